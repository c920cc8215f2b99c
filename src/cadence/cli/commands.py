"""Which module has which commands: a call loads its own and waits for no other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Final

import typer

from cadence import __version__
from cadence.cli.session import AtOption, DbOption, JsonOption

__all__ = ["MODULES", "command_line"]

MODULES: Final[dict[str, tuple[str, ...]]] = {
    "demo": ("demo",),
    "writes": (
        *("add", "update", "appoint", "cancel", "attempt", "reply", "pause", "auto-reply"),
        *("failed", "opt-out", "opt-in", "note", "referral", "end", "reopen", "tick", "rebuild"),
    ),
    "reads": ("due", "explain", "replay"),
    "audit": ("audit",),
    "whatif": ("whatif",),
    "transfer": ("import", "export"),
}
"""The commands of each module of this room; those of ``policy`` apart."""

_POLICY: Final = ("policies", "policy_check", "policy_diff", "policy_adopt", "policy_new")
_MODULE_OF: Final = {name: (module,) for module, names in MODULES.items() for name in names}
_WITH_VALUE: Final = ("--db", "--at")


def command_line(arguments: Sequence[str]) -> typer.Typer:
    """The command line, as far as a call needs it: for help and for words nobody knows, all of it.

    Args:
        arguments: what follows the program's name.
    """
    word = _word(arguments)
    everything = "_CADENCE_COMPLETE" in os.environ or word not in (*_MODULE_OF, "policy")
    app = typer.Typer(
        name="cadence",
        help="Follow up exactly as promised, patiently, and never as a pest.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_global)
    for module in MODULES if everything else _MODULE_OF.get(word, ()):
        import_module(f"cadence.cli.{module}").register(app)
    if everything or word == "policy":
        policy = typer.Typer(
            help="Policies: the catalogue, one as a timetable, its proof, two compared, prospects "
            "moved.",
            no_args_is_help=True,
            rich_markup_mode=None,
        )
        for module in _POLICY:
            import_module(f"cadence.cli.{module}").register(policy)
        app.add_typer(policy, name="policy")
    return app


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"cadence {__version__}")
        raise typer.Exit


def _global(
    ctx: typer.Context,
    db: DbOption = None,
    at: AtOption = None,
    json: JsonOption = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    ctx.obj = {"db": db, "at": at, "json": json}


def _word(arguments: Sequence[str]) -> str:
    """The first argument behind the global options; none, if that is another option."""
    rest = iter(arguments)
    for one in rest:
        if not one.startswith("-"):
            return one
        if one in _WITH_VALUE:
            next(rest, None)
        elif one != "--json" and not one.startswith(tuple(f"{name}=" for name in _WITH_VALUE)):
            break
    return ""
