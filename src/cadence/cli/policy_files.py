"""Find the policy that a user names, and describe it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from cadence.cli.session import Session
from cadence.errors import PolicyError, did_you_mean
from cadence.policy.loader import builtin, builtin_names, check_code, parse, unknown_name
from cadence.policy.model import Policy
from cadence.policy.registry import is_builtin
from cadence.prover.proof import prove

__all__ = [
    "POLICY_HELP",
    "PolicyArgument",
    "find_policy",
    "note_if_refuted",
    "policy_inputs",
    "summary",
]

POLICY_HELP: Final = "A catalogue name, a .toml file, or the name or digest of an adopted policy."

PolicyArgument = Annotated[str, typer.Argument(metavar="POLICY", help=POLICY_HELP)]

_SHORTEST_DIGEST: Final = 4


def find_policy(session: Session, name: str, *, as_data: bool = False) -> Policy:
    """Find the policy that a user names, proved or not; every command looks it up here.

    In this order: a ``.toml`` file or a path, a name of the catalogue, the name of a policy that
    was adopted and so is kept with the database, the first characters of a digest of either.

    Args:
        session: of this call.
        name: what the user gave.
        as_data: whether it is only looked at, so that guards whose code is not allowed may be in
            it.

    Raises:
        PolicyError: it is unknown or ambiguous, the file can't be read, or the code of a guard is
            not allowed.
        StoreError: the database can't be read.
    """
    found = _find(session, name)
    if not as_data:
        check_code(found, name)
    return found


def _find(session: Session, name: str) -> Policy:
    if _is_file_name(name):
        return _read_file(session, name)
    names = builtin_names()
    if name in names:
        return builtin(name)
    kept = _kept_policies(session)
    found = [policy for policy in kept if policy.id == name]
    if not found and len(name) >= _SHORTEST_DIGEST:
        known = {policy.digest: policy for policy in (*map(builtin, names), *kept)}
        found = [policy for digest, policy in known.items() if digest.startswith(name.lower())]
    if len(found) == 1:
        return found[0]
    if found:
        digests = ", ".join(f"{one.digest[:12]} (version {one.version})" for one in found)
        raise PolicyError(f"policy: invalid {name!r}: {len(found)} match", f"use one of: {digests}")
    for file in (f"{name}.toml", f"./{name}"):
        if name and os.path.isfile(file):
            raise PolicyError(f"policy: unknown {name!r}", f"use {file}")
    raise unknown_name(name, sorted({*names, *(policy.id for policy in kept)}))


def _read_file(session: Session, name: str) -> Policy:
    try:
        return parse(name, allow_code=session.allow_code)
    except PolicyError as error:
        if os.path.exists(name):
            raise
        beside = [str(path) for path in Path(name).parent.glob("*.toml")]
        hint = did_you_mean(name, [*beside, *builtin_names()], otherwise=error.hint)
        raise PolicyError(error.what, hint) from None


def _kept_policies(session: Session) -> list[Policy]:
    """The policies that were adopted; none before the database exists."""
    with session.reading_if_there() as store:
        return store.library.kept()


def policy_inputs(name: str | None) -> dict[str, str]:
    """The file that a policy is read from, if it is, for :func:`cadence.cli.files.writing`."""
    return {name: "policy"} if name is not None and _is_file_name(name) else {}


def _is_file_name(name: str) -> bool:
    return name.endswith(".toml") or "/" in name


def note_if_refuted(session: Session, policy: Policy, what: str) -> None:
    """Say on stderr that a refuted policy is used, by a command that only looks at the record.

    Args:
        session: of this call.
        policy: which.
        what: what holds all the same, such as "its findings hold".
    """
    try:
        check_code(policy)
    except PolicyError as error:
        session.note(f"{error.what}; it is not proved, and {what} all the same")
        return
    refuted = () if is_builtin(policy.ref) else prove(policy).refuted
    if refuted:
        rules = ", ".join(one.rule for one in refuted)
        session.note(f"policy {policy.id} is refuted ({rules}); {what} all the same")


def summary(policy: Policy) -> dict[str, object]:
    """Who a policy is, for JSON."""
    return {
        "name": policy.id,
        "version": policy.version,
        "digest": policy.digest,
        "title": policy.title,
        "source": policy.source,
    }
