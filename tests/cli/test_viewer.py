"""``replay --interactive``: what the keys do, what is drawn, and that the terminal is put back."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from io import StringIO
from pathlib import Path

import paths
import pytest
from clocks import ahead
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cadence.cli.viewer import Viewer, keys
from cadence.domain import Event, ProspectAdded
from cadence.policy import PolicyRegistry
from cadence.replay import annotate
from cadence.store import Cadence
from cadence.store.list_load import Suppression
from cadence.transfer import import_jsonl

EXAMPLES = paths.EXAMPLES / "histories"
JERRY = "jerry-never-answers"


def jerry() -> list[Event]:
    with Cadence.open() as app, (EXAMPLES / f"{JERRY}.jsonl").open("rb") as lines:
        import_jsonl(app, lines, at=ahead())
        return app.history(JERRY)


@pytest.fixture
def viewer() -> Viewer:
    events = jerry()
    return Viewer(events, annotate(events, PolicyRegistry()), PolicyRegistry())


def drawn(viewer: Viewer, width: int = 100, height: int = 30) -> list[str]:
    console = Console(file=StringIO(), width=width, height=height)
    with console.capture() as capture:
        console.print(viewer.screen(console, width, height))
    return capture.get().splitlines()


# Keys ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        (b"\x1b[C\x1b[D", ["right", "left"]),
        (b"\x1bOC", ["right"]),
        (b"nnq", ["n", "n", "q"]),
        (b"\x1b", ["escape"]),
        (b"\x1b[5~ \r", [" ", "enter"]),
        (b"\x1b[1;5C", []),
        (b"\x1bx", []),
        (b"\x1b[200~", []),
        (b"\x04", ["q"]),
    ],
)
def test_what_a_terminal_sends_becomes_keys(typed: bytes, found: list[str]) -> None:
    assert keys(typed) == found


@given(st.binary(max_size=40))
def test_whatever_a_terminal_sends_is_read_to_its_end(typed: bytes) -> None:
    assert len(keys(typed)) <= len(typed)


def test_keys_step_forward_and_back_and_to_the_ends(viewer: Viewer) -> None:
    places = []
    for key in ("right", " ", "left", "end", "right", "home", "left"):
        assert viewer.press(key)
        places.append(viewer.position)
    assert places == [1, 2, 1, 14, 14, 0, 0]
    assert not viewer.press("q")
    assert not viewer.press("escape")


def test_next_decision_goes_to_where_something_else_was_decided(viewer: Viewer) -> None:
    changed = [n for n, one in enumerate(annotate(jerry(), PolicyRegistry())) if one.is_changed]
    assert 1 not in changed
    seen = [0]
    while seen[-1] < 14:
        viewer.press("n")
        seen.append(viewer.position)
    assert seen == changed
    viewer.press("p")
    assert viewer.position == changed[-2]


def test_only_what_was_reached_has_been_worked_out() -> None:
    events = jerry()
    asked = []

    def counted() -> Iterator[object]:
        for one in annotate(events, PolicyRegistry()):
            asked.append(one.event.version)
            yield one

    viewer = Viewer(events, counted(), PolicyRegistry())  # type: ignore[arg-type]
    drawn(viewer)
    assert asked == [1]
    viewer.press("right")
    drawn(viewer)
    assert asked == [1, 2]
    viewer.press("left")
    drawn(viewer)
    assert asked == [1, 2]


# What is drawn ------------------------------------------------------------------------------------


def test_the_screen_tells_event_stage_decision_and_why(viewer: Viewer) -> None:
    for _ in range(7):
        viewer.press("right")
    text = "\n".join(drawn(viewer))
    assert "moment 8 of 15" in text
    assert "AttemptMade  spaced#1: call no_answer, gap 3 business days" in text
    assert "wait until Wed 2026-12-09 13:10 America/New_York  spaced#2: call" in text
    assert "why: plan           3 business days after the attempt of Fri 2026-12-04" in text
    assert "gap: 3 business days after event 7" in text


def test_the_timeline_moves_along(viewer: Viewer) -> None:
    viewer.press("end")
    viewer.press("left")
    ends = drawn(viewer)
    viewer.press("home")
    starts = drawn(viewer)
    assert starts[3].index("▲") < ends[3].index("▲")
    assert starts[4] != ends[4]  # the dates
    assert "○" in starts[3]  # the deadline of the task
    assert starts[2].count("●") >= 3
    assert "◆" in starts[2]
    before = drawn(viewer)
    viewer.press("-")
    assert drawn(viewer)[4] != before[4]


@pytest.mark.parametrize(("width", "height"), [(20, 6), (40, 10), (80, 24), (300, 80), (5, 3)])
def test_the_screen_fits_any_terminal(viewer: Viewer, width: int, height: int) -> None:
    for key in ("home", "n", "end", "down", "down", "up"):
        viewer.press(key)
        lines = drawn(viewer, width, height)
        assert len(lines) <= height
        assert max(map(len, lines)) <= width


def test_what_does_not_fit_can_be_scrolled_to(viewer: Viewer) -> None:
    viewer.press("right")
    first = drawn(viewer, 40, 12)
    assert any("more below" in line for line in first)
    for _ in range(30):
        viewer.press("down")
    last = drawn(viewer, 40, 12)
    assert not any("more below" in line for line in last)
    viewer.press("right")
    assert viewer.scroll == 0


# In a terminal ------------------------------------------------------------------------------------

PATIENCE = 60  # seconds; only something that hangs takes as long


class Terminal:
    """A program in a terminal of its own."""

    def __init__(self, pid: int, fd: int) -> None:
        self.pid, self.fd = pid, fd
        self.drawn = b""

    def wait_for(self, text: str) -> None:
        until = time.monotonic() + PATIENCE
        while text.encode() not in self.drawn:
            assert time.monotonic() < until, self.drawn[-3000:]
            if select.select([self.fd], [], [], 1)[0]:
                try:
                    self.drawn += os.read(self.fd, 1 << 16)
                except OSError:
                    assert text.encode() in self.drawn, self.drawn[-3000:]

    def type(self, text: bytes) -> None:
        self.drawn = b""
        os.write(self.fd, text)

    def end(self) -> int:
        """Its exit code."""
        until = time.monotonic() + PATIENCE
        while True:
            with suppress(OSError):
                if select.select([self.fd], [], [], 0.02)[0]:
                    self.drawn += os.read(self.fd, 1 << 16)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            assert time.monotonic() < until

    def modes(self) -> list[object]:
        return termios.tcgetattr(self.fd)[:4]


@contextmanager
def terminal(tmp_path: Path, *arguments: str) -> Iterator[Terminal]:
    db = tmp_path / "one.db"
    if not db.exists():
        with Cadence.open(str(db)) as app:
            app.histories.append([(jerry(), 0)], at=ahead())
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # also if we were started in the background
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
        for number in (0, 1, 2):
            os.dup2(theirs, number)
        os.environ["TERM"] = "xterm-256color"
        command = [sys.executable, "-m", "cadence", "--db", str(db), "replay", JERRY]
        os.execv(sys.executable, [*command, *arguments])
    # We keep their end open too, so that its modes can be read after the program has gone.
    try:
        yield Terminal(pid, ours)
    finally:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(ours)
        os.close(theirs)


LEFT = b"\x1b[?1049l"
SHOWN = b"\x1b[?25h"


def assert_put_back(screen: Terminal, before: list[object]) -> None:
    assert screen.modes() == before
    assert LEFT in screen.drawn
    assert screen.drawn.rindex(SHOWN) > screen.drawn.rfind(b"\x1b[?25l")


def test_it_steps_and_quits_and_puts_the_terminal_back(tmp_path: Path) -> None:
    with terminal(tmp_path, "-i") as screen:
        before = screen.modes()
        screen.wait_for("moment 1 of 15")
        assert screen.modes() != before
        screen.type(b"\x1b[C\x1b[C")
        screen.wait_for("moment 3 of 15")
        screen.type(b"\x1b[F")
        screen.wait_for("moment 15 of 15")
        screen.type(b"q")
        assert screen.end() == 0
        assert_put_back(screen, before)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_the_terminal_is_put_back_whatever_ends_it(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    with terminal(tmp_path, "-i") as screen:
        before = screen.modes()
        screen.wait_for("moment 1 of 15")
        os.kill(screen.pid, number)
        assert screen.end() == code
        assert_put_back(screen, before)
        assert b"Traceback" not in screen.drawn


def test_an_error_while_it_runs_puts_the_terminal_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch = tmp_path / "sitecustomize.py"
    patch.write_text(
        "import cadence.cli.viewer as v\n"
        "def broken(self, key): raise RuntimeError('broken on purpose')\n"
        "v.Viewer.press = broken\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with terminal(tmp_path, "-i") as screen:
        before = screen.modes()
        screen.wait_for("moment 1 of 15")
        screen.type(b"n")
        assert screen.end() == 1
        assert_put_back(screen, before)
        assert b"broken on purpose" in screen.drawn


def test_it_is_drawn_anew_when_the_window_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")  # as some shells export it, once
    with terminal(tmp_path, "-i") as screen:
        screen.wait_for("q quit")  # the last of the first screen
        screen.drawn = b""
        fcntl.ioctl(screen.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 50, 0, 0))
        os.kill(screen.pid, signal.SIGWINCH)
        screen.wait_for("moment 1 of 15")
        screen.wait_for("more below")  # as it is only in a lower window
        assert b"scroll   + - time" not in screen.drawn  # cut off at 50 columns
        screen.type(b"q")
        assert screen.end() == 0


def test_while_suspended_the_terminal_is_as_it_was(tmp_path: Path) -> None:
    with terminal(tmp_path, "-i") as screen:
        before = screen.modes()
        screen.wait_for("moment 1 of 15")
        os.kill(screen.pid, signal.SIGTSTP)
        _, status = os.waitpid(screen.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        assert screen.modes() == before
        screen.drawn = b""
        os.kill(screen.pid, signal.SIGCONT)
        screen.wait_for("moment 1 of 15")
        assert screen.modes() != before
        screen.type(b"q")
        assert screen.end() == 0
        assert_put_back(screen, before)


def test_until_shows_no_more_than_that(tmp_path: Path) -> None:
    with terminal(tmp_path, "-i", "--until", "2026-12-10T20:00:00Z") as screen:
        screen.wait_for("moment 1 of 9")
        screen.type(b"G")
        screen.wait_for("seen Thu 2026-12-10 15:00")
        screen.type(b"\x1b")
        assert screen.end() == 0


def test_the_last_moment_may_be_what_another_record_said(tmp_path: Path) -> None:
    with Cadence.open(str(tmp_path / "one.db")) as app:
        history = jerry()
        app.histories.append([(history, 0)], at=ahead())
        later = history[-1].recorded_at + timedelta(days=1)
        added = history[0].data
        assert isinstance(added, ProspectAdded)
        number = added.contact_points[0].address
        app.addresses.suppress([Suppression(number)], by="kim", source="dnc", at=later)
    with terminal(tmp_path, "-i") as screen:
        screen.wait_for("moment 1 of 16")
        screen.type(b"G")
        screen.wait_for("moment 16 of 16")
        screen.wait_for("suppressed")
        screen.type(b"q")
        assert screen.end() == 0
