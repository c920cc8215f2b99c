"""Which policy is meant by a name, who it is, and files written beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cadence.errors import InputError, PolicyError, StoreError
from cadence.policy.load import builtin, builtin_names, read
from cadence.policy.model import Policy

__all__ = ["PolicyArgument", "find_policy", "summary", "write_file"]

PolicyArgument = Annotated[
    str, typer.Argument(metavar="POLICY", help="A name of the catalogue, or a .toml file.")
]


def find_policy(name: str) -> Policy:
    """A policy of the catalogue, or of a file; proved or not.

    Raises:
        PolicyError: there is none, or the file is none.
    """
    if name.endswith(".toml") or "/" in name:
        return read(Path(name))
    if name not in builtin_names():
        for file in (f"{name}.toml", f"./{name}"):
            if name and Path(file).is_file():
                raise PolicyError(
                    f"no policy {name!r} is in the catalogue", f"did you mean {file}?"
                )
    return builtin(name)


def summary(policy: Policy) -> dict[str, object]:
    """Who a policy is, for JSON."""
    return {
        "name": policy.id,
        "version": policy.version,
        "digest": policy.digest,
        "title": policy.title,
        "source": policy.source,
    }


def write_file(name: str, text: str, *, unless: str) -> None:
    """Write a file, or say in two lines why not.

    Args:
        name: the file.
        text: what to write.
        unless: the file that was read, which must not be lost.
    """
    try:
        path, read_from = Path(name), Path(unless)
        if path.exists() and read_from.exists() and path.samefile(read_from):
            raise InputError(f"{name}: is the policy itself", "name another file to write")
        path.write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StoreError(f"{name}: {reason}", "name a file that can be written") from None
