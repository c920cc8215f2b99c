"""Define every error that a caller can meet.

People read ``what`` and ``hint``; programs read the class attributes ``code``, ``exit_code``,
``retryable`` and ``http_status``. A hint speaks of the library; the command line adds its own
options to it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar

__all__ = [
    "CadenceError",
    "Conflict",
    "ExecutorFailed",
    "InputError",
    "InvalidStore",
    "PolicyError",
    "Refused",
    "StoreBusy",
    "StoreError",
    "UnknownProspect",
    "UnprovedPolicy",
    "VersionConflict",
    "did_you_mean",
    "printable",
]


class CadenceError(Exception):
    """Base of every error that cadence raises on purpose.

    Attributes:
        what: one line: what is wrong, with the id and the values.
        hint: one line: how to fix it.
        code: the kind of error, a word that never changes.
        exit_code: what the command line exits with (1 refused or failed, 2 bad usage or input).
        retryable: whether the same call may succeed later. Nothing was recorded then.
        http_status: the status that a web service answers with (docs/how-to/http-errors.md).
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False
    http_status: ClassVar[int] = 500

    def __init__(self, what: str, hint: str) -> None:
        self.what = printable(what)
        self.hint = printable(hint)
        super().__init__(f"{self.what}\n{self.hint}")

    def details(self) -> Iterable[str]:
        """List what is wrong, one line each, where there is more than one thing."""
        return ()

    def __reduce__(self) -> tuple[Any, ...]:
        # Subclasses take other arguments than they show; another process gets the same error.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(
    kind: type[CadenceError], args: tuple[Any, ...], state: dict[str, Any]
) -> CadenceError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class Refused(CadenceError):
    """A command that the policy or an invariant does not allow now.

    Attributes:
        rule: the id of the rule that forbids it (``docs/reference/invariants.md`` lists them).
        until: the instant from which it would be allowed, or ``None`` if waiting does not help.
    """

    code = "refused"
    http_status = 409

    def __init__(self, what: str, hint: str, *, rule: str, until: datetime | None = None) -> None:
        super().__init__(what, hint)
        self.rule = rule
        self.until = until


class InputError(CadenceError):
    """Bad usage or input: a naive time, an unknown zone, a line that holds no event."""

    code = "invalid_input"
    exit_code = 2
    http_status = 422


class PolicyError(InputError):
    """A policy file that can't be read; names the key path, the value and what is allowed."""

    code = "invalid_policy"


class UnprovedPolicy(PolicyError):
    """A policy that the prover refutes: it would pester people, or never come to an end."""

    code = "unproved_policy"
    exit_code = 1


class UnknownProspect(InputError):
    """The store holds no prospect with this id.

    Attributes:
        prospect: the id.
    """

    code = "unknown_prospect"
    http_status = 404

    def __init__(self, prospect: str) -> None:
        self.prospect = prospect
        super().__init__(f"unknown prospect {prospect!r}", "use the id of a stored prospect")


class Conflict(CadenceError):
    """Other writers kept winning on the same prospect; nothing was recorded."""

    code = "conflict"
    retryable = True
    http_status = 503


class VersionConflict(Conflict):
    """The prospect is not at the version that the caller expected; nothing was recorded.

    The same call fails again: load the prospect, and decide again.

    Attributes:
        prospect: its id.
        version: the version that it is at; 0: it does not exist.
        expected: the version that the caller expected.
    """

    code = "version_conflict"
    retryable = False
    http_status = 412

    def __init__(self, prospect: str, version: int, expected: int) -> None:
        self.prospect, self.version, self.expected = prospect, version, expected
        known = f"is at version {version}" if version else "does not exist"
        wanted = f"not at {expected}" if expected else "and was to be new"
        super().__init__(
            f"{prospect}: {known}, {wanted}; nothing was recorded", "load it, and decide again"
        )


class StoreError(CadenceError):
    """The database can't be used: it is read-only, full, broken or out of reach."""

    code = "store_failed"


class StoreBusy(StoreError):
    """Another program holds the database; nothing was recorded."""

    code = "store_busy"
    retryable = True
    http_status = 503


class ExecutorFailed(CadenceError):
    """An executor lost a worker, or can't be reached; nothing more was recorded."""

    code = "executor_failed"
    retryable = True
    http_status = 503


class InvalidStore(StoreError):
    """The database can't be one that this version of cadence works with."""

    code = "invalid_store"
    exit_code = 2


def printable(text: str) -> str:
    """Return ``text`` with an escape for each character that is not printable.

    It is one line then, and steers no terminal: no escape sequence, no line break, no text that
    reads backwards.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def did_you_mean(word: str, known: Iterable[str], *, otherwise: str | None = None) -> str:
    """Word the hint for an unknown word: the nearest known one, or what there is.

    Args:
        word: the word that was given.
        known: the words that are allowed.
        otherwise: the hint if no known word is near; by default it lists all of them.
    """
    words = list(known)
    near = difflib.get_close_matches(word, words, n=1)
    if near:
        return f"use {near[0]}"
    return otherwise if otherwise is not None else f"use one of: {', '.join(words)}"
