"""Calling a team's own guard, and trusting it with nothing.

A guard of one's own is a function ``(prospect, touch, at) -> GuardDelay | Veto | None``. It gets
frozen values and no store. It may raise, hang or answer nonsense: each fails the guard,
and the touch is held (rule ``guard``: it fails closed).

How a hang is told. Each call runs in a thread of its own, with a budget of executed lines, so that
an endless loop is stopped at the same line on every machine; an answer that comes after the budget
is none. A function that catches even that is stopped again and again, until it ends. What hangs
inside one line (a sleep, a socket) can't be stopped from outside: after :data:`PATIENCE_SECONDS`
the thread is left behind, and the function is not asked again by this process.
"""

from __future__ import annotations

import ctypes
import difflib
import importlib
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from types import FrameType
from typing import Any, Final

from cadence.domain.prospect import Prospect
from cadence.errors import PolicyError
from cadence.policy.touch import GuardDelay, Touch, Veto

__all__ = ["ENTRY_POINTS", "MAX_LINES", "PATIENCE_SECONDS", "GuardFailed", "ask", "resolve"]

ENTRY_POINTS: Final = "cadence.guards"
"""The group of entry points under which a package registers its guards."""
MAX_LINES: Final = 20_000
"""How many lines of Python a guard may execute for one answer."""
PATIENCE_SECONDS: Final = 2.0
"""How long a guard may take for one answer, where it does not execute lines."""

_ENDING_SECONDS: Final = 0.25
"""How long a function may take to end once it was stopped; one that catches that …"""
_STOPS: Final = 25
"""… is stopped anew so often, …"""
_BETWEEN_STOPS_SECONDS: Final = 0.01
"""… and waited for so long each time."""

Function = Callable[[Prospect, Touch, datetime], object]


class GuardFailed(Exception):
    """A guard gave no answer that counts; the message says why."""


class _TooLong(BaseException):
    """Not an ``Exception``, so that a guard that catches those does not go on."""


def resolve(name: str) -> Function:
    """The function that a policy names.

    Args:
        name: ``"package.module:function"``, or the name of an entry point.

    Raises:
        PolicyError: there is none, or it is no function.
    """
    try:
        found = _import(name) if ":" in name else _entry_point(name)
    except PolicyError:
        raise
    except Exception as error:  # importing runs the module, which may do anything
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise PolicyError(
            f"guard function {name!r} can't be loaded: {reason}",
            'name an importable one, e.g. function = "our_team.guards:no_mondays"',
        ) from None
    if not callable(found):
        raise PolicyError(f"guard function {name!r} is a {type(found).__name__}", "name a function")
    checked: Function = found
    return checked


def _import(name: str) -> object:
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def _entry_point(name: str) -> object:
    from importlib import metadata  # slow to load, and most policies have no guard of their own

    known = {point.name: point for point in metadata.entry_points(group=ENTRY_POINTS)}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else 'write it as "package.module:function"'
        raise PolicyError(f"guard function {name!r} is no entry point of {ENTRY_POINTS}", hint)
    return known[name].load()


class _Hung:
    """What this process knows of a function: whether a call of it was left behind."""

    __slots__ = ("function", "hung")

    def __init__(self, function: Function) -> None:
        self.function = function
        self.hung = False


@lru_cache(maxsize=256)
def _known(name: str) -> _Hung:
    return _Hung(resolve(name))


def ask(name: str, prospect: Prospect, touch: Touch, at: datetime) -> GuardDelay | Veto | None:
    """The answer of the function ``name`` about ``touch`` at ``at``.

    Raises:
        GuardFailed: it can't be loaded, raised, hung, or answered something that is no answer.
    """
    try:
        known = _known(name)
    except PolicyError as error:
        raise GuardFailed(error.what) from None
    if known.hung:
        raise GuardFailed("it hung before, and is not asked again by this process")
    call = _Call(known.function, prospect, touch, at)
    # A daemon, so that one that hangs does not keep the process from ending.
    thread = threading.Thread(target=call.run, name=f"guard {name}", daemon=True)
    thread.start()
    if not call.settled.wait(PATIENCE_SECONDS) or call.left < 0:
        known.hung = not _stopped(thread)
    if call.left < 0:
        raise GuardFailed(f"it ran for more than {MAX_LINES} lines")
    if call.failure is not None:
        raise GuardFailed(call.failure)
    if not call.answered:
        known.hung = True
        raise GuardFailed(f"it did not answer within {PATIENCE_SECONDS:g} seconds")
    return _answer(call.answer)


class _Call:
    """One call of a function, with its budget of lines.

    Attributes:
        left: how many lines it may still execute; less than 0: it went on beyond its budget.
        answered: whether it came to its end.
        answer: what it answered.
        failure: what it raised, for a reader.
        settled: set once it is clear how it ends.
    """

    def __init__(self, function: Function, *asked: Any) -> None:
        self.left = MAX_LINES
        self.answered = False
        self.answer: object = None
        self.failure: str | None = None
        self.settled = threading.Event()
        self._function = function
        self._asked = asked

    def run(self) -> None:
        """Make the call, in the thread that is its own."""
        sys.settrace(self._count)
        try:
            self.answer = self._function(*self._asked)
            self.answered = True
        except _TooLong:
            pass  # `left` says so, or nobody waits any more
        except BaseException as error:
            said = f"{type(error).__name__}: {error}".splitlines()
            self.failure = f"it raised {said[0] if said else type(error).__name__}"
        finally:
            sys.settrace(None)
            self.settled.set()

    def _count(self, frame: FrameType, event: str, argument: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            self.settled.set()
            raise _TooLong  # which ends the tracing, also where the function catches it
        return self._count


def _stopped(thread: threading.Thread) -> bool:
    """Raise :class:`_TooLong` in ``thread`` until it ends; whether it does.

    Sooner or later that falls between two ``try`` statements; what waits inside one call of the
    system does not notice.
    """
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    thread.join(_ENDING_SECONDS)
    for _ in range(_STOPS):
        if thread.ident is None or not thread.is_alive():
            return True
        raise_in(ctypes.c_ulong(thread.ident), ctypes.py_object(_TooLong))
        thread.join(_BETWEEN_STOPS_SECONDS)
    return not thread.is_alive()


def _answer(answer: object) -> GuardDelay | Veto | None:
    if answer is None:
        return None
    if not isinstance(answer, GuardDelay | Veto):
        raise GuardFailed(f"it answered {answer!r:.60}, neither Delay, Veto nor None")
    because: object = answer.because
    events: object = answer.events
    if not isinstance(because, str):
        raise GuardFailed(f"it says because {because!r:.60}, which is no text")
    if not isinstance(events, tuple) or not all(type(one) is int for one in events):
        raise GuardFailed(f"it names the events {events!r:.60}, which are no versions")
    if isinstance(answer, GuardDelay):
        until: object = answer.until
        if not _is_aware(until):
            raise GuardFailed(f"it delays until {until!r:.60}, which is no aware instant")
        # In UTC, so that no zone of its own is asked anything later.
        return GuardDelay(answer.until.astimezone(UTC), because, events)
    return answer


def _is_aware(instant: object) -> bool:
    try:
        if isinstance(instant, datetime) and instant.utcoffset() is None:
            return False
        return isinstance(instant, datetime) and instant.astimezone(UTC) == instant
    except Exception:  # a zone of its own may do anything
        return False
