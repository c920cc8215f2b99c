"""Call a team's own guard, and turn whatever goes wrong into a held touch.

A custom guard is a function ``(prospect, touch, at) -> GuardDelay | Veto | None`` of the team's.
It runs in the team's process like the rest of their code, without a sandbox (ADR 0032). Where it
raises, or returns anything else, :class:`GuardFailed` says so, and the engine holds the touch
(rule ``guard``: it fails closed). Slow guards, and guards that never return, are found by
:class:`cadence.testing.GuardContract` in the team's own tests.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from cadence.domain.prospect import Prospect
from cadence.errors import PolicyError, did_you_mean
from cadence.policy.touch import GuardDelay, Touch, Veto

__all__ = ["ENTRY_POINTS", "GuardFailed", "GuardFunction", "ask", "call", "resolve"]

ENTRY_POINTS: Final = "cadence.guards"
"""The group of entry points under which a package registers its guards."""

GuardFunction = Callable[[Prospect, Touch, datetime], object]
"""A custom guard. It should return ``GuardDelay | Veto | None``; the caller checks that."""


class GuardFailed(Exception):
    """A guard gave no valid answer; the message says why, in one line."""


@lru_cache(maxsize=256)
def resolve(name: str) -> GuardFunction:
    """Return the function that a policy names.

    Cached, because the engine asks for it with every touch, and finding an entry point reads the
    metadata of every installed package. Failures are not cached: the name is looked up again.

    Args:
        name: ``"package.module:function"``, or the name of an entry point.

    Raises:
        PolicyError: the function is unknown, can't be imported, or can't be called.
    """
    try:
        found = _import(name) if ":" in name else _load_entry_point(name)
    except PolicyError:
        raise
    except Exception as error:  # importing runs the module, which may raise anything
        raise PolicyError(
            f"guard function {name!r} can't be loaded: {_first_line(error)}",
            'give one that can be imported, e.g. function = "our_team.guards:no_mondays"',
        ) from None
    if not callable(found):
        raise PolicyError(
            f"guard function {name!r}: invalid {type(found).__name__}", "give a function"
        )
    function: GuardFunction = found
    return function


def _import(name: str) -> object:
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for attribute in path.split("."):
        found = getattr(found, attribute)
    return found


def _load_entry_point(name: str) -> object:
    from importlib import metadata  # slow to load, and most policies have no custom guard

    known = {point.name: point for point in metadata.entry_points(group=ENTRY_POINTS)}
    if name not in known:
        hint = did_you_mean(name, known, otherwise='write it as "package.module:function"')
        raise PolicyError(f"guard function: unknown entry point {name!r} of {ENTRY_POINTS}", hint)
    return known[name].load()


def ask(name: str, prospect: Prospect, touch: Touch, at: datetime) -> GuardDelay | Veto | None:
    """Return what the guard ``name`` answers about ``touch`` at ``at``.

    Args:
        name: as the policy names the function.
        prospect: the prospect of the touch.
        touch: what is to be done.
        at: when; aware, in UTC.

    Raises:
        GuardFailed: the function can't be loaded, raised, or returned an invalid answer.
    """
    try:
        function = resolve(name)
    except PolicyError as error:
        raise GuardFailed(error.what) from None
    return call(function, prospect, touch, at)


def call(
    function: GuardFunction, prospect: Prospect, touch: Touch, at: datetime
) -> GuardDelay | Veto | None:
    """Call a guard and check its answer; arguments and errors as for :func:`ask`."""
    try:
        answer = function(prospect, touch, at)
    except Exception as error:
        raise GuardFailed(f"it raised {_first_line(error)}") from None
    return _checked(answer)


def _first_line(error: Exception) -> str:
    """Word an exception in one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _checked(answer: object) -> GuardDelay | Veto | None:
    """Return ``answer`` with its time in UTC, or raise :class:`GuardFailed` if it is invalid.

    Python does not check type hints, and an invalid value would fail far from here: where times
    are compared, or where a decision is encoded.
    """
    if answer is None:
        return None
    if not isinstance(answer, GuardDelay | Veto):
        raise GuardFailed(f"it answered {answer!r:.60}, neither GuardDelay, Veto nor None")
    because: object = answer.because
    events: object = answer.events
    if not isinstance(because, str):
        raise GuardFailed(f"it says because {because!r:.60}, which is not a text")
    if not isinstance(events, tuple) or not all(type(version) is int for version in events):
        raise GuardFailed(f"it names the events {events!r:.60}, which are not event versions")
    if isinstance(answer, Veto):
        return answer
    until: object = answer.until
    if not _is_aware(until):
        raise GuardFailed(f"it delays until {until!r:.60}, which is not an aware datetime")
    # In UTC, so that a zone class of the team's own is never asked again.
    return GuardDelay(answer.until.astimezone(UTC), because, events)


def _is_aware(instant: object) -> bool:
    try:
        if not isinstance(instant, datetime) or instant.utcoffset() is None:
            return False
        return instant.astimezone(UTC) == instant
    except Exception:  # a zone class of the team's own may raise anything
        return False
