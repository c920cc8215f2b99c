"""``cadence replay`` of a prospect with 10,000 events: the first screen, and all of it.

From the start of the process, as a person meets it: through a pipe, and stepping through it in a
terminal. Beside it an interpreter that does nothing. The page is given for orientation.
"""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from lives import LATER, PLACES, mondays
from measure import Figure, Plan, figure, progress

from cadence.domain.channels import CALL, EMAIL
from cadence.domain.events import (
    AttemptMade,
    AttemptStage,
    ContactPoint,
    Data,
    Disposition,
    Event,
    InterestNoted,
    Part,
    ProspectAdded,
    ReplyReceived,
)
from cadence.domain.fold import evolve
from cadence.engine.commands import complete_attempt
from cadence.policy.loader import builtin
from cadence.store import Cadence
from cadence.worktime.calendar import work_calendar

__all__ = ["NAME", "run"]

NAME = "replay"

_EVENTS: Final = 10_000
_LINES: Final = 40  # of a screen
_PER_SILENCE: Final = 7  # attempts, before they answer


def long_history(prospect: str, count: int) -> list[Event]:
    """A person who answers after every few attempts, for years: ``count`` events."""
    place, policy = PLACES[0], builtin()
    call = ContactPoint(CALL, "+12125550100")
    clock = work_calendar(policy.open_times, place.zones, place.country, place.subdivision)
    at = clock.next_open(mondays(1)[0] + timedelta(hours=12)) or mondays(1)[0]
    added = ProspectAdded("Jo", place.zones[0], place.country, place.subdivision, (call,))
    events = [Event(prospect, 1, at, at, added)]
    folded = evolve(None, events[0])

    def add(data: Data, at: datetime) -> None:
        nonlocal folded
        events.append(Event(prospect, len(events) + 1, at, at, data))
        folded = evolve(folded, events[-1])

    part = Part(CALL, Disposition.NO_ANSWER, call.address)
    given = frozenset({"parts", "stage"})
    while len(events) < count:
        for _ in range(_PER_SILENCE):
            at = clock.next_open(at + timedelta(hours=5)) or at
            made = AttemptMade((part,), AttemptStage.SPACED)
            add(complete_attempt(folded, made, policy, at, given=given), at)
        add(InterestNoted("still"), at + timedelta(minutes=1))
        add(ReplyReceived(EMAIL), at + timedelta(minutes=2))
    return events[:count]


def _piped(command: list[str]) -> tuple[float, float]:
    """Seconds to the first screenful of lines, and to the end."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0)
    assert process.stdout is not None
    lines, first = 0, 0.0
    while block := os.read(process.stdout.fileno(), 1 << 16):
        lines += block.count(b"\n")
        if not first and lines >= _LINES:
            first = time.perf_counter() - started
    if process.wait():
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    total = time.perf_counter() - started
    return first or total, total


def _in_a_terminal(command: list[str], wanted: bytes) -> float:
    """Seconds until a program in a terminal has drawn ``wanted``."""
    started = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(command[0], command)
    drawn = b""
    try:
        while wanted not in drawn:
            ready, _, _ = select.select([terminal], [], [], 30)
            if not ready:
                raise SystemExit(f"{' '.join(command)}: drew nothing")
            drawn += os.read(terminal, 1 << 16)
        return time.perf_counter() - started
    finally:
        os.write(terminal, b"q")
        _wait(pid, terminal)


def _wait(pid: int, terminal: int) -> None:
    until = time.monotonic() + 10
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            break
        if select.select([terminal], [], [], 0.01)[0]:
            with suppress(OSError):
                os.read(terminal, 1 << 16)
    os.close(terminal)


def run(plan: Plan, folder: Path) -> list[Figure]:
    path = folder / "long.db"
    with Cadence.open(str(path)) as app:
        app.histories.append([(long_history("jo", _EVENTS), 0)], at=LATER)
    python = sys.executable
    replay = [python, "-m", "cadence", "--db", str(path), "replay", "jo"]
    sides: dict[str, Callable[[], tuple[float, float]]] = {
        "python -c pass": lambda: _piped([python, "-c", "pass"]),
        "piped": lambda: _piped(replay),
        "--interactive": lambda: (_in_a_terminal([*replay, "-i"], b"q quit"), 0.0),
        "--html": lambda: _piped([*replay, "--html", str(folder / "long.html")]),
    }
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    repetitions = 5
    with progress("replay: 10,000 events", repetitions + 1) as done:
        for turn in range(repetitions + 1):
            for name, side in sides.items():
                found = side()
                if turn:
                    seen[name].append(found)
            done(turn + 1)
    firsts = {name: [first for first, _ in runs] for name, runs in seen.items()}
    totals = {name: [total for _, total in runs] for name, runs in seen.items()}
    size = {"page": f"{(folder / 'long.html').stat().st_size / 1e6:.1f} MB"}
    figures = [
        figure(NAME, f"first screen, {name}", "s", firsts[name], target=0.5, better="less")
        for name in ("piped", "--interactive")
    ]
    floor = totals["python -c pass"]
    pairs = [a / b for a, b in zip(firsts["piped"], floor, strict=True)]
    return [
        *figures,
        figure(NAME, "first screen, piped : python -c pass", "x", pairs, better="less"),
        figure(NAME, "all of it, piped", "s", totals["piped"], better="less"),
        figure(NAME, "the page", "s", totals["--html"], better="less", beside=size),
    ]
