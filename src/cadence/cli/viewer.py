"""``replay --interactive``: stepping through a history in a terminal.

Moments are worked out as they are reached, so the first screen is there at once however long the
history is. The terminal is put back as it was on every way out: quitting, an error, an interrupt,
a signal; and while it is suspended.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from importlib.util import find_spec
from types import FrameType
from typing import Any, Final, NoReturn

from rich.console import Console, Group
from rich.text import Text

from cadence.cli.show import details, happened, stood
from cadence.cli.strip import strip
from cadence.cli.terminal import to_rich
from cadence.domain.events import Event
from cadence.errors import InputError
from cadence.policy.registry import PolicyRegistry
from cadence.replay.steps import AnnotatedStep

__all__ = ["Keys", "Viewer", "can_view", "keys", "view"]

Keys = list[str]

_HELP: Final = "→ ← step   n p decision   Home End   ↑ ↓ scroll   + - time   q quit"
_SPANS: Final = tuple(timedelta(days=days) for days in (1, 3, 7, 14, 28, 56, 112, 365, 1100, 3650))
_WORKING: Final = 500  # moments after which a long way says how far it is


class Viewer:
    """Where the reader is in a history, and what is on the screen; knows no terminal."""

    def __init__(
        self, events: Sequence[Event], found: Iterator[AnnotatedStep], policies: PolicyRegistry
    ) -> None:
        """Args:
        events: those that ``found`` steps through.
        found: their steps, in order.
        policies: those they are replayed with.
        """
        self.events = events
        self.policies = policies
        self.position = 0
        self.scroll = 0
        self.span = 4
        self.working: Callable[[int], None] = lambda done: None
        self._coming = found
        self._seen: list[AnnotatedStep] = []

    @property
    def step(self) -> AnnotatedStep:
        """The step that is shown."""
        return self._at(self.position)

    def _at(self, position: int) -> AnnotatedStep:
        while len(self._seen) <= position:
            self._seen.append(next(self._coming))
            if len(self._seen) % _WORKING == 0:
                self.working(len(self._seen))
        return self._seen[position]

    def press(self, key: str) -> bool:
        """Do what a key asks for; ``False``: to quit."""
        last = len(self.events) - 1
        before = self.position
        if key in ("q", "escape"):
            return False
        if key in ("right", " ", "enter", "l"):
            self.position = min(last, self.position + 1)
        elif key in ("left", "backspace", "h"):
            self.position = max(0, self.position - 1)
        elif key in ("home", "g"):
            self.position = 0
        elif key in ("end", "G"):
            self.position = last
        elif key == "n":
            self.position = self._changed(1, last)
        elif key == "p":
            self.position = self._changed(-1, 0)
        elif key in ("down", "j", "up", "k"):
            self.scroll = max(0, self.scroll + (1 if key in ("down", "j") else -1))
        elif key in ("+", "=", "-"):
            step = 1 if key == "-" else -1
            self.span = min(len(_SPANS) - 1, max(0, self.span + step))
        if self.position != before:
            self.scroll = 0
        return True

    def _changed(self, by: int, end: int) -> int:
        """The next step on the way at which something else was decided, or the end."""
        position = self.position
        while position != end:
            position += by
            if self._at(position).is_changed:
                break
        return position

    def screen(self, console: Console, width: int, height: int) -> Group:
        """What is shown on a screen of that size."""
        step = self.step
        prospect = step.prospect
        head = Text.assemble(
            (f"moment {self.position + 1} of {len(self.events)}  ", "bold"),
            (prospect.id, "bold"),
            to_rich(f"  {prospect.identity.name}  {', '.join(prospect.identity.zones)}"),
        )
        lines = [head, Text()]
        lines += strip(self.events, step, self.policies, width, _SPANS[self.span])
        lines.append(Text())
        foot = [Text(_HELP, "dim")]
        body: list[Text] = []
        for line in self._body(step):
            indent = len(line) - len(line.lstrip())
            wrapped = to_rich(line.strip()).wrap(console, max(10, width - indent - 2))
            for number, one in enumerate(wrapped):
                body.append(Text(" " * (indent + 2 * (number > 0))) + one)
        room = max(1, height - len(lines) - len(foot))
        self.scroll = min(self.scroll, max(0, len(body) - room))
        shown = body[self.scroll : self.scroll + room]
        if len(body) > self.scroll + room:
            shown[-1] = Text("… more below: ↓", "dim")
        shown += [Text()] * (room - len(shown))
        found = [*lines, *shown, *foot]
        for shown_line in found:
            shown_line.truncate(width)
            shown_line.no_wrap = True
        return Group(*found[:height])

    @staticmethod
    def _body(step: AnnotatedStep) -> Iterator[str]:
        yield happened(step).lstrip()
        yield stood(step).lstrip()
        yield ""
        for line in details(step):
            yield f"  {line}"


# Keys ---------------------------------------------------------------------------------------------

_SEQUENCES: Final = {
    b"\x1b[C": "right",
    b"\x1bOC": "right",
    b"\x1b[D": "left",
    b"\x1bOD": "left",
    b"\x1b[A": "up",
    b"\x1bOA": "up",
    b"\x1b[B": "down",
    b"\x1bOB": "down",
    b"\x1b[H": "home",
    b"\x1bOH": "home",
    b"\x1b[1~": "home",
    b"\x1b[7~": "home",
    b"\x1b[F": "end",
    b"\x1bOF": "end",
    b"\x1b[4~": "end",
    b"\x1b[8~": "end",
    b"\r": "enter",
    b"\n": "enter",
    b"\x7f": "backspace",
    b"\x08": "backspace",
    b"\x04": "q",
}


def keys(typed: bytes) -> Keys:
    """The keys in what a terminal sent; a sequence that means nothing here is left out."""
    found: Keys = []
    while typed:
        known = next((s for s in _SEQUENCES if typed.startswith(s)), None)
        if known is not None:
            found.append(_SEQUENCES[known])
            typed = typed[len(known) :]
        elif typed[:1] != b"\x1b":
            found.append(typed[:1].decode("latin-1"))
            typed = typed[1:]
        elif typed[1:2] in (b"[", b"O"):
            end = 2
            while end < len(typed) and not 0x40 <= typed[end] <= 0x7E:
                end += 1
            typed = typed[end + 1 :]
        else:
            if len(typed) == 1:
                found.append("escape")
            typed = typed[2:]
    return found


# The terminal -------------------------------------------------------------------------------------


def can_view() -> bool:
    """Return whether a person reads and types in a terminal."""
    if sys.stdin is None or os.environ.get("TERM", "dumb") == "dumb":
        return False
    return sys.stdin.isatty() and sys.stdout.isatty()


def view(events: Sequence[Event], found: Iterator[AnnotatedStep], policies: PolicyRegistry) -> None:
    """Let the reader step through a history until they quit.

    Args:
        events: those that ``found`` steps through, at least one.
        found: their steps, in order.
        policies: those they are replayed with.

    Raises:
        InputError: there is no terminal, or none of POSIX, or nothing to show.
    """
    if not can_view():
        raise InputError("--interactive: missing terminal", "leave it out, or use --html FILE")
    if find_spec("termios") is None:
        raise InputError(
            "--interactive: missing termios, so this system can't read single keys",
            "leave it out, or use --html FILE",
        )
    if not events:
        raise InputError("nothing had been recorded by then", "give a later version or instant")
    viewer = Viewer(events, found, policies)
    console = Console(highlight=False)
    # To interrupt a viewer is one way of leaving it.
    with suppress(KeyboardInterrupt), _Terminal(console) as terminal:
        viewer.working = lambda done: terminal.tell(f"reading {done:,} of {len(events):,} …")
        while True:
            terminal.draw(viewer)
            for key in terminal.wait():
                if not viewer.press(key):
                    return


class _Terminal:
    """The terminal in our hands: another screen, keys as they are typed, no cursor."""

    def __init__(self, console: Console) -> None:
        import termios  # not every system has it: view() asked before

        self._console = console
        self._input = sys.stdin.fileno()
        self._before: list[Any] = termios.tcgetattr(self._input)
        self._handlers: dict[int, Any] = {}
        self._awake, self._wake = os.pipe()

    def __enter__(self) -> _Terminal:
        os.set_blocking(self._wake, False)
        # Even what a handler interrupts must end up in wait(): it reads the signal from the pipe.
        self._old_wake = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for number in (signal.SIGWINCH, signal.SIGTSTP):
            self._handlers[number] = signal.signal(number, lambda number, frame: None)
        for number in (signal.SIGTERM, signal.SIGHUP):
            self._handlers[number] = signal.signal(number, _end)
        self._take()
        return self

    def __exit__(self, *error: object) -> None:
        self._give_back()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_wake)
        os.close(self._awake)
        os.close(self._wake)

    def _take(self) -> None:
        import termios
        import tty

        tty.setcbreak(self._input, termios.TCSADRAIN)
        self._console.set_alt_screen(True)
        self._console.show_cursor(False)

    def _give_back(self) -> None:
        import termios

        try:
            self._console.show_cursor(True)
            self._console.set_alt_screen(False)
        finally:
            termios.tcsetattr(self._input, termios.TCSADRAIN, self._before)

    def draw(self, viewer: Viewer) -> None:
        """Show where the reader is."""
        # The window's own size, whatever COLUMNS says: it changes while we are in it.
        width, height = os.get_terminal_size(sys.stdout.fileno())
        width, height = width or 80, height or 24
        self._console.size = (width, height)
        self._console.update_screen(viewer.screen(self._console, width, height))

    def tell(self, text: str) -> None:
        """Say on the last line what takes so long."""
        sys.stdout.write(f"\x1b[999;1H\x1b[2K{text}")
        sys.stdout.flush()

    def wait(self) -> Keys:
        """The keys that were typed; none when the screen must be redrawn."""
        ready, _, _ = select.select([self._input, self._awake], [], [])
        if self._awake in ready:
            if signal.SIGTSTP in os.read(self._awake, 64):
                self._suspend()
            return []
        typed = os.read(self._input, 1024)
        if typed.endswith(b"\x1b") and select.select([self._input], [], [], 0.05)[0]:
            typed += os.read(self._input, 1024)  # the rest of a key
        return keys(typed) if typed else ["q"]

    def _suspend(self) -> None:
        self._give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._take()  # continued by fg


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
