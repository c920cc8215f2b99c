"""Describe a store as plain data, so that another process can open the same one to read it."""

from __future__ import annotations

import io
import pickle
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from cadence.errors import InputError
from cadence.policy.loader import builtin, parse_text
from cadence.policy.model import Policy
from cadence.policy.registry import is_builtin
from cadence.policy.writer import to_toml
from cadence.store.recorder import Recorder

__all__ = ["NewestEvent", "StoreSource", "absolute", "has_event", "newest_event", "pickled"]


class NewestEvent(NamedTuple):
    """The event of a store that was written last: no other database has the same."""

    prospect: str
    version: int
    digest: str


class StoreSource(msgspec.Struct, frozen=True):
    """How a store was opened, and what was in it.

    Attributes:
        address: the absolute path, or the address of the server; ``None``: it has none.
        policies: those given beside the catalogue.
        default: the policy of new prospects, if one was given.
        team: what the team file gives, by the names of the settings.
        allow_code: whether guard functions that policies of the store name may be imported.
        functions: guard functions that may be imported in any case.
        newest: the newest event; ``None``: there is none.
    """

    address: str | None
    policies: tuple[Policy, ...] = ()
    default: Policy | None = None
    team: dict[str, str] = {}
    allow_code: bool = False
    functions: frozenset[str] = frozenset()
    newest: NewestEvent | None = None


def absolute(address: str | None) -> str | None:
    """Return an address that means the same in another folder."""
    if address is None or "://" in address:
        return address
    return str(Path(address).absolute())


def newest_event(recorder: Recorder) -> NewestEvent | None:
    """Read which event was written last; ``None``: there is none."""
    row = recorder.newest()
    return None if row is None else NewestEvent(row.prospect, row.version, _digest(row.state))


def has_event(recorder: Recorder, event: NewestEvent) -> bool:
    """Return whether a store has an event that another process read."""
    states = dict(recorder.select_states(event.prospect))
    return event.version in states and _digest(states[event.version]) == event.digest


def _digest(state: object) -> str:
    # Also of a row that can't be read, whatever it holds.
    return blake2b(repr(state).encode(), digest_size=16).hexdigest()


# Policies travel as texts -------------------------------------------------------------------------


def pickled(value: Any) -> bytes:
    """Pickle plain data; a policy within it becomes its name, digest and text.

    Raises:
        InputError: no file can hold one of the policies as it is.
    """
    found = io.BytesIO()
    _Pickler(found, pickle.HIGHEST_PROTOCOL).dump(value)
    return found.getvalue()


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, Policy):
            return NotImplemented
        return _policy, (value.id, value.digest, "" if is_builtin(value.ref) else _text(value))


def _text(policy: Policy) -> str:
    text = to_toml(policy)
    if parse_text(text, policy.id, find_guards=False).digest != policy.digest:
        raise InputError(
            f"policy {policy.id}: invalid for an executor: no file can hold it as it is",
            "use one that was read from a file, or no executor",
        )
    return text


# Cached, because each store and each work names its policies.
@lru_cache(maxsize=64)
def _policy(name: str, digest: str, text: str) -> Policy:
    return parse_text(text, f"policy {name}", find_guards=False) if text else builtin(name)
