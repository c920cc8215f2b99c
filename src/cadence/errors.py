"""Every error a caller can meet: one base class, one exit code each.

An error has two lines: ``what`` is wrong, with the id and the values, and how to ``mend`` it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

__all__ = [
    "CadenceError",
    "Conflict",
    "CorruptStream",
    "InputError",
    "PolicyError",
    "Refused",
    "StoreError",
    "UnknownEventType",
    "UnknownProspect",
    "UnprovedPolicy",
]


class CadenceError(Exception):
    """Base of every error that cadence raises on purpose.

    Attributes:
        what: one line, what is wrong, with the id and the values.
        mend: one line, how to mend it.
        exit_code: what the command line exits with (1 refused or failed, 2 bad usage or input).
    """

    exit_code = 1

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(f"{what}\n{hint}")
        self.what = what
        self.hint = hint

    def details(self) -> Iterable[str]:
        """Lines between the two, where there is a list of what is wrong."""
        return ()

    def __reduce__(self) -> tuple[Any, ...]:
        # Subclasses take other arguments than they show; another process gets the same error.
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[CadenceError], args: tuple[Any, ...], state: dict[str, Any]) -> CadenceError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class Refused(CadenceError):
    """A command that the policy or the charter does not allow now.

    Attributes:
        rule: the id of the rule that forbids it (``docs/guarantees.md`` lists them).
        until: the instant from which it would be allowed, or ``None`` if waiting does not help.
    """

    def __init__(self, what: str, hint: str, *, rule: str, until: datetime | None = None) -> None:
        super().__init__(what, hint)
        self.rule = rule
        self.until = until


class InputError(CadenceError):
    """Bad usage or bad input: a naive time, an unknown zone, a line that is no event."""

    exit_code = 2


class PolicyError(InputError):
    """A policy file that cannot be read; names the key path, the value and what is allowed."""


class UnprovedPolicy(PolicyError):
    """A policy that the prover refutes: it would pester people, or never come to an end."""

    exit_code = 1


class UnknownProspect(InputError):
    """No prospect has this id."""

    def __init__(self, prospect: str) -> None:
        super().__init__(
            f"no prospect {prospect!r} is known",
            "look ids up with: cadence due --all, or in: cadence export -",
        )


class UnknownEventType(InputError):
    """A stored or imported event whose type this version of cadence does not know."""


class CorruptStream(CadenceError):
    """A stored history that cannot have been written by cadence: a version hole, broken JSON."""


class Conflict(CadenceError):
    """Another writer kept winning on the same prospect; nothing was written."""


class StoreError(CadenceError):
    """The database is locked, read-only, full, broken, or not ours (then ``exit_code`` is 2)."""

    def __init__(self, what: str, hint: str, *, exit_code: int = 1) -> None:
        super().__init__(what, hint)
        self.exit_code = exit_code
