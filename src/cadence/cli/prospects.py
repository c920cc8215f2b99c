"""The argument that names a prospect: completed by the shell, and suggested when mistyped."""

from __future__ import annotations

from itertools import islice, takewhile
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cadence.errors import CadenceError, InputError, UnknownProspect, did_you_mean

if TYPE_CHECKING:
    from cadence.cli.session import Session

__all__ = ["P", "complete", "suggest"]

_MOST: Final = 100  # ids that a shell lists


def complete(ctx: Any, incomplete: str) -> list[str]:
    """List the ids that begin like ``incomplete``; none before the database exists."""
    session: Session = ctx
    try:
        with session.reading_if_there() as store:
            # What begins like it stands right behind it; itself it is not behind itself.
            ids = store.prospects(after=incomplete[:-1])
            behind = (one for one in ids if one >= incomplete)
            return list(islice(takewhile(lambda one: one.startswith(incomplete), behind), _MOST))
    except CadenceError:
        return []


def suggest(session: Session, error: UnknownProspect) -> InputError:
    """Return the error for an unknown id with the nearest stored one."""
    try:
        with session.reading_if_there() as store:
            otherwise = f"{error.hint} (cadence list shows them)"
            hint = did_you_mean(error.prospect, store.prospects(), otherwise=otherwise)
    except CadenceError:
        return error
    return InputError(error.what, hint)


P = Annotated[str, typer.Argument(metavar="P", help="The prospect's id.", autocompletion=complete)]
