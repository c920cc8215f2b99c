"""Which policy is meant by a name, and who it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cadence.cli.session import Session
from cadence.cli.show import plain
from cadence.errors import PolicyError
from cadence.policy.catalogue import is_builtin
from cadence.policy.load import builtin, builtin_names, read
from cadence.policy.model import Policy
from cadence.policy.prove import prove

__all__ = ["PolicyArgument", "find_policy", "note_if_refuted", "policy_inputs", "summary"]

PolicyArgument = Annotated[
    str, typer.Argument(metavar="POLICY", help="A name of the catalogue, or a .toml file.")
]


def find_policy(name: str) -> Policy:
    """A policy of the catalogue, or of a file; proved or not.

    Raises:
        PolicyError: there is none, or the file is none.
    """
    if _is_file_name(name):
        return read(Path(name))
    if name not in builtin_names():
        for file in (f"{name}.toml", f"./{name}"):
            if name and Path(file).is_file():
                raise PolicyError(
                    f"no policy {name!r} is in the catalogue", f"did you mean {file}?"
                )
    return builtin(name)


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
    refuted = () if is_builtin(policy.ref) else prove(policy).refuted
    if refuted:
        rules = ", ".join(one.rule for one in refuted)
        session.note(f"policy {plain(policy.id)} is refuted ({rules}); {what} all the same")


def summary(policy: Policy) -> dict[str, object]:
    """Who a policy is, for JSON."""
    return {
        "name": policy.id,
        "version": policy.version,
        "digest": policy.digest,
        "title": policy.title,
        "source": policy.source,
    }
