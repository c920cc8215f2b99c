"""Calling a team's own guard, and trusting it with nothing.

A guard of one's own is a function ``(prospect, touch, at) -> Delay | Veto | None``. It gets frozen
values and no store. It may raise, hang or answer nonsense: each becomes :class:`GuardFailed`, and
the touch is held (rule ``guard``: it fails closed).

How a hang is told. Each call runs in a thread of its own, with a budget of executed lines, so that
an endless loop is stopped at the same line on every machine. What hangs inside one line (a sleep, a
socket) can't be stopped from outside: after :data:`PATIENCE_SECONDS` the thread is left behind, and
the function is not asked again by this process.
"""

from __future__ import annotations

import difflib
import importlib
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from types import FrameType
from typing import Any, Final

from cadence.core.prospect import Prospect
from cadence.errors import PolicyError
from cadence.policy.decision import Delay, Touch, Veto

__all__ = ["ENTRY_POINTS", "MAX_LINES", "PATIENCE_SECONDS", "GuardFailed", "ask", "resolve"]

ENTRY_POINTS: Final = "cadence.guards"
"""The group of entry points under which a package registers its guards."""
MAX_LINES: Final = 20_000
"""How many lines of Python a guard may execute for one answer."""
PATIENCE_SECONDS: Final = 2.0
"""How long a guard may take for one answer, where it does not execute lines."""

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


def ask(name: str, prospect: Prospect, touch: Touch, at: datetime) -> Delay | Veto | None:
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
    answers: list[object] = []
    failures: list[str] = []

    def call() -> None:
        sys.settrace(_budget())
        try:
            answers.append(known.function(prospect, touch, at))
        except _TooLong:
            failures.append(f"it ran for more than {MAX_LINES} lines")
        except BaseException as error:
            said = f"{type(error).__name__}: {error}".splitlines()
            failures.append(f"it raised {said[0] if said else type(error).__name__}")
        finally:
            sys.settrace(None)

    # A daemon, so that one that hangs does not keep the process from ending.
    thread = threading.Thread(target=call, name=f"guard {name}", daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    if thread.is_alive():
        known.hung = True
        raise GuardFailed(f"it did not answer within {PATIENCE_SECONDS:g} seconds")
    if failures:
        raise GuardFailed(failures[0])
    return _answer(answers[0])


def _budget() -> Callable[[FrameType, str, Any], Any]:
    left = MAX_LINES

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise _TooLong
        return trace

    return trace


def _answer(answer: object) -> Delay | Veto | None:
    if answer is None:
        return None
    if not isinstance(answer, Delay | Veto):
        raise GuardFailed(f"it answered {answer!r:.60}, neither Delay, Veto nor None")
    because: object = answer.because
    events: object = answer.events
    if not isinstance(because, str):
        raise GuardFailed(f"it says because {because!r:.60}, which is no text")
    if not isinstance(events, tuple) or not all(type(one) is int for one in events):
        raise GuardFailed(f"it names the events {events!r:.60}, which are no versions")
    if isinstance(answer, Delay):
        until: object = answer.until
        if not _is_aware(until):
            raise GuardFailed(f"it delays until {until!r:.60}, which is no aware instant")
        # In UTC, so that no zone of its own is asked anything later.
        return Delay(answer.until.astimezone(UTC), because, events)
    return answer


def _is_aware(instant: object) -> bool:
    try:
        if isinstance(instant, datetime) and instant.utcoffset() is None:
            return False
        return isinstance(instant, datetime) and instant.astimezone(UTC) == instant
    except Exception:  # a zone of its own may do anything
        return False
