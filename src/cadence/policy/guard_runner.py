"""Call a team's own guard, and turn whatever goes wrong into a held touch.

A custom guard is a function ``(prospect, touch, at) -> GuardDelay | Veto | None`` of the team's.
A policy file or a database that names one is data: its module is imported only after
:func:`allow`, or where an installed package registered it as an entry point (ADR 0041). Then it
runs in the team's process like the rest of their code, without a sandbox (ADR 0032) and without a
time limit (ADR 0042), on copies of what it is asked about. Where it raises, or returns anything
else, :class:`GuardFailed` says so, and the engine holds the touch (rule ``guard``: it fails
closed). Slow guards, and guards that never return, are found by
:class:`cadence.testing.GuardContract` in the team's own tests.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import msgspec

from cadence.domain.prospect import Prospect
from cadence.errors import PolicyError, did_you_mean
from cadence.policy.touch import GuardDelay, Touch, Veto

__all__ = [
    "ENTRY_POINTS",
    "GuardFailed",
    "GuardFunction",
    "allow",
    "allowed",
    "allowing_only",
    "ask",
    "call",
    "is_allowed",
    "loaded",
    "resolve",
]

ENTRY_POINTS: Final = "cadence.guards"
"""The group of entry points under which a package registers its guards."""

GuardFunction = Callable[[Prospect, Touch, datetime], object]
"""A custom guard. It should return ``GuardDelay | Veto | None``; the caller checks that."""


# What this process may import. It belongs to the process, because an import does: once a module is
# imported, its code has run for all.
_allowed: Final[set[str]] = set()

# A worker serves many callers. What one allowed stays out of the decisions of the next.
_allowed_here: Final[ContextVar[set[str] | None]] = ContextVar("allowed", default=None)

_MOST_SHOWN: Final = 200
"""How many characters of what a guard raised are shown."""


class GuardFailed(Exception):
    """A guard gave no valid answer; the message says why, in one line."""


def allow(functions: Iterable[str]) -> None:
    """Let this process import these functions, as policies name them.

    Args:
        functions: ``"package.module:function"``.
    """
    _those().update(functions)


def allowed() -> frozenset[str]:
    """Return what :func:`allow` was given, for another process."""
    return frozenset(_those())


@contextmanager
def allowing_only(functions: set[str]) -> Iterator[None]:
    """Ask these functions only, whatever the process was allowed before.

    Args:
        functions: those; what :func:`allow` is given meanwhile is added.
    """
    token = _allowed_here.set(functions)
    try:
        yield
    finally:
        _allowed_here.reset(token)


def is_allowed(name: str) -> bool:
    """Return whether the function may be imported; an installed entry point always may."""
    return ":" not in name or name in _those()


def _those() -> set[str]:
    here = _allowed_here.get()
    return _allowed if here is None else here


def resolve(name: str) -> GuardFunction:
    """Return the function that a policy names.

    Args:
        name: ``"package.module:function"``, or the name of an entry point.

    Raises:
        PolicyError: the function is not allowed, unknown, can't be imported, or can't be called.
    """
    if not is_allowed(name):
        raise PolicyError(
            f"guard function {name!r}: invalid, its code is not allowed",
            "allow it where the policy can be trusted (allow_code), or install it as an entry "
            f"point of {ENTRY_POINTS}",
        )
    return loaded(name)


@lru_cache(maxsize=256)
def loaded(name: str) -> GuardFunction:
    """Import a function that is allowed, once.

    Cached, because the engine asks for it with every touch, and finding an entry point reads the
    metadata of every installed package. Failures are not cached: the name is looked up again.
    Arguments and errors are those of :func:`resolve`.
    """
    try:
        found = _import(name) if ":" in name else _load_entry_point(name)
    except (PolicyError, KeyboardInterrupt):
        raise
    except BaseException as error:  # importing runs the module, which may raise anything
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
        how = "" if is_allowed(name) else f"; {error.hint}"
        raise GuardFailed(f"{error.what}{how}") from None
    return call(function, prospect, touch, at)


def call(
    function: GuardFunction, prospect: Prospect, touch: Touch, at: datetime
) -> GuardDelay | Veto | None:
    """Call a guard and check its answer; arguments and errors as for :func:`ask`.

    It gets copies, so nothing that it does to them changes the prospect. Whatever it raises holds
    the touch, ``SystemExit`` too; only Ctrl-C stops the program.
    """
    try:
        return _checked(function(_copy(prospect), _copy(touch), at))
    except (GuardFailed, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise GuardFailed(f"it raised {_first_line(error)}") from None


def _copy(value: Any) -> Any:
    """Copy structs, tuples and tables, and what they hold; a third of what ``deepcopy`` takes."""
    if isinstance(value, msgspec.Struct):
        fields = value.__struct_fields__
        return type(value)(**{name: _copy(getattr(value, name)) for name in fields})
    if type(value) is tuple:
        return tuple([_copy(one) for one in value])
    if isinstance(value, dict):
        return {key: _copy(one) for key, one in value.items()}
    return value


def _first_line(error: BaseException) -> str:
    """Word an exception in one line; its own words may fail as well."""
    name = type(error).__name__
    try:
        said = str(error)
    except Exception:
        said = ""
    line = (said.splitlines() or [""])[0]
    return f"{name}: {line[:_MOST_SHOWN]}"


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
