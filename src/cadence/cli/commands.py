"""Find the module of each command: a call loads its own and no other."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final

import typer
from typer.core import TyperGroup

from cadence import __version__
from cadence.cli.session import global_options, new_app
from cadence.cli.terminal import write
from cadence.errors import InputError, did_you_mean

__all__ = ["COMMANDS", "POLICY_COMMANDS", "command_line", "full_command_line"]

_MODULES: Final = {
    "demo": ("demo",),
    "writes": (
        *("add", "update", "appoint", "cancel", "attempt", "log", "reply", "pause", "auto-reply"),
        *(
            "failed",
            "restore",
            "remove",
            "opt-out",
            "opt-in",
            "note",
            "referral",
            "end",
            "reopen",
            "tick",
            "rebuild",
        ),
    ),
    "claims": ("claim", "release"),
    "corrections": ("undo", "correct"),
    "addresses": ("suppress", "unsuppress", "line", "not-same", "duplicates"),
    "merges": ("merge", "unmerge"),
    "people": ("list", "find", "show"),
    "reads": ("due", "explain", "may", "replay"),
    "audit": ("audit",),
    "whatif": ("whatif",),
    "transfer": ("import", "export"),
    "settings": ("settings",),
}
COMMANDS: Final[Mapping[str, str]] = MappingProxyType(
    {name: module for module, names in _MODULES.items() for name in names}
)
"""The module of each command; those of ``policy`` apart."""

POLICY_COMMANDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("list", "show", "schema"), "policies"),
        "check": "policy_check",
        "diff": "policy_diff",
        "adopt": "policy_adopt",
        "new": "policy_new",
    }
)
"""The module of each command of ``policy``."""


_GROUPS: Final = {
    "Who and why": ("due", "list", "find", "show", "explain", "replay"),
    "Attempts and responses": (
        *("claim", "release", "may", "log", "attempt", "reply", "auto-reply", "pause", "appoint"),
        *("cancel", "opt-out", "opt-in"),
    ),
    "About a prospect": (
        *("add", "update", "note", "referral", "failed", "restore", "remove"),
        *("end", "reopen"),
    ),
    "About an address": ("suppress", "unsuppress", "line"),
    "One person, several records": ("duplicates", "merge", "unmerge", "not-same"),
    "When it was wrong": ("undo", "correct"),
    "For the team": ("audit", "whatif", "policy", "settings", "import", "export"),
}
"""The commands as the help groups them; the others stand in a last group."""


class _LazyGroup(TyperGroup):
    """Commands that are loaded when they are called for."""

    modules: ClassVar[Mapping[str, str]] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names, without loading any."""
        return list(self.modules)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Load a command; ``None``: it is unknown."""
        if cmd_name in self.modules and cmd_name not in self.commands:
            app = import_module(f"cadence.cli.{self.modules[cmd_name]}").app
            self.commands[cmd_name] = typer.main.get_group(app).commands[cmd_name]
        return self.commands.get(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command of a call.

        Raises:
            InputError: it is unknown.
        """
        if args[0] not in self.list_commands(ctx) and not args[0].startswith("-"):
            hint = f"see: {ctx.command_path} --help"
            known = self.list_commands(ctx)
            raise InputError(
                f"unknown command {args[0]!r}", did_you_mean(args[0], known, otherwise=hint)
            )
        return super().resolve_command(ctx, args)


class _PolicyGroup(_LazyGroup):
    modules = POLICY_COMMANDS


class _Cadence(_LazyGroup):
    """All commands, and the global options in front of them."""

    modules = COMMANDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params = [*global_options(), *self.params]

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names, without loading any; the groups stand last."""
        return [*self.modules, *self.commands.keys() - self.modules.keys()]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands in groups, each with its whole summary."""
        names = self.list_commands(ctx)
        grouped = {name for group in _GROUPS.values() for name in group}
        others = tuple(name for name in names if name not in grouped)
        width = formatter.width - max(map(len, names)) - 6
        for title, group in {**_GROUPS, "Other commands": others}.items():
            rows = [
                (name, self.get_command(ctx, name).get_short_help_str(limit=width))
                for name in group
                if name in names
            ]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows, col_max=30)


def command_line() -> typer.Typer:
    """Return the command line; it loads a command's module when the command is called."""
    app = new_app(
        name="cadence",
        cls=_Cadence,
        help="Follow up exactly as promised, patiently, and never as a pest.",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    policy = new_app(
        cls=_PolicyGroup,
        help="Show, prove, compare, write and adopt policies.",
    )
    app.add_typer(policy, name="policy")

    @app.callback()
    def options(
        version: Annotated[
            bool,
            typer.Option(
                "--version", help="Print the version.", callback=_print_version, is_eager=True
            ),
        ] = False,
    ) -> None:
        pass

    return app


def full_command_line() -> TyperGroup:
    """Return the parser with every command loaded, for docs and tests."""
    whole: Any = typer.main.get_command(command_line())
    for group in (whole, whole.commands["policy"]):
        for name in group.list_commands(None):
            group.get_command(None, name)
    whole.commands["policy"] = whole.commands.pop("policy")  # behind the others
    parser: TyperGroup = whole
    return parser


def _print_version(is_asked: bool) -> None:
    if is_asked:
        write(f"cadence {__version__}")
        raise typer.Exit
