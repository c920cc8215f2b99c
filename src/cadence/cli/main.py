"""The command line: thin commands over the rooms, and errors in two lines."""

from __future__ import annotations

import os
import sys

import typer

from cadence.cli import demo, policies, reads, transfer, writes
from cadence.cli.session import AtOption, DbOption, JsonOption
from cadence.errors import CadenceError

__all__ = ["app", "main"]

app = typer.Typer(
    name="cadence",
    help="Follow up exactly as promised, patiently, and never as a pest.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_policy = typer.Typer(
    help="The catalogue of policies.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def _global(
    ctx: typer.Context, db: DbOption = None, at: AtOption = None, json: JsonOption = False
) -> None:
    ctx.obj = {"db": db, "at": at, "json": json}


demo.register(app)
writes.register(app)
reads.register(app)
transfer.register(app)
policies.register(_policy)
app.add_typer(_policy, name="policy")

# The option parser's own errors; typer exports only the most derived one.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit code: 0 done, 1 refused or failed, 2 bad usage or input.
    """
    given = sys.argv[1:] if arguments is None else arguments
    try:
        app(args=given or ["--help"], standalone_mode=False)
    except CadenceError as error:
        _say(error.what, error.mend)
        return error.exit_code
    except _USAGE_ERROR as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "cadence"
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        _say(message.replace("\n", " "), f"see: {path} --help")
        return 2
    except typer.Exit as error:
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        _say("interrupted", "nothing that was not acknowledged is recorded")
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough; keep the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _say(what: str, mend: str) -> None:
    sys.stderr.write(f"cadence: {what}\n{mend}\n")


def run() -> None:
    """The entry point of the installed command."""
    sys.exit(main())


if __name__ == "__main__":
    run()
