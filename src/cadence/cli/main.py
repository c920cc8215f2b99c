"""Run the command line, and say every error in two lines: what is wrong, and how to fix it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from typing import Any, Final

import typer

from cadence.cli.commands import command_line
from cadence.cli.terminal import write_error
from cadence.errors import CadenceError, InputError, did_you_mean

__all__ = ["main"]

_INTERRUPTED: Final = 130
_BAD_USAGE: Final = 2

# What the command line offers beside the library's own hint, by the code of the error.
_COMMANDS: Final = {
    "invalid_store": "--db names the database",
}

# A parameter of the library that a hint names in brackets; it is an option here.
_PARAMETER: Final = re.compile(r"\(([a-z]+_[a-z]+)\)")

# A parameter of the library that a hint sets; it is a flag here.
_FLAG: Final = re.compile(r"\b([a-z]+)=True\b")

# The option parser's own errors; typer exports only the most derived one.
_USAGE_ERROR: Final[type[Exception]] = typer.BadParameter.__mro__[1]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: what follows the program's name; those of the process by default.

    Returns:
        The exit code: 0 done, 1 refused or failed, 2 bad usage or input.
    """
    given = sys.argv[1:] if arguments is None else arguments
    if sys.stdout is None:
        # It was closed. Files opened from here on must not take its place.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  (open until the end)
    try:
        return _run(given)
    except CadenceError as error:
        _say(error.what, _hint(error), error.details())
        return error.exit_code
    except _USAGE_ERROR as error:
        _say(*_explain(error))
        return _BAD_USAGE
    except (typer.Abort, KeyboardInterrupt):
        _say("interrupted", "only confirmed changes were saved")
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader has seen enough; what was to be done is done.
        _forget_stdout()
    except OSError as error:
        _forget_stdout()
        _say(f"output: can't be written: {error.strerror or error}", "free some space there")
        return 1
    return 0


def _run(arguments: list[str]) -> int:
    try:
        _check_encoding(arguments)
        code = command_line()(
            args=arguments or ["--help"], standalone_mode=False, prog_name="cadence"
        )
        if code == _INTERRUPTED:  # how typer passes on Ctrl-C
            raise typer.Abort
        return code if isinstance(code, int) else 0
    except typer.Exit as error:
        return error.exit_code
    finally:
        sys.stdout.flush()


def _check_encoding(arguments: list[str]) -> None:
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise InputError(f"argument: invalid UTF-8 {argument!r}", "give it in UTF-8") from None


def _hint(error: CadenceError) -> str:
    """The library's hint, with the command or option that carries it out."""
    hint = _PARAMETER.sub(lambda found: f"(--{found[1].replace('_', '-')})", error.hint)
    hint = _FLAG.sub(lambda found: f"--{found[1]}", hint)
    own = _COMMANDS.get(error.code)
    return hint if own is None else f"{hint} ({own})"


def _forget_stdout() -> None:
    """Keep the interpreter from complaining at exit about output that can't be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _explain(error: Any) -> tuple[str, str]:
    """What is wrong with a call, and the nearest right spelling or the page that tells."""
    context = error.ctx
    path = context.command_path if context is not None else "cadence"
    message = " ".join(error.format_message().replace("Value error, ", "").split())
    word, known = "", []
    if hasattr(error, "option_name") and context is not None:  # an unknown option
        word = error.option_name
        message = f"unknown option {word}"
        known = [spelling for parameter in context.command.params for spelling in parameter.opts]
    else:
        choices = getattr(getattr(getattr(error, "param", None), "type", None), "choices", ())
        quoted = re.search(r"'([^']*)' is not one of", message)
        if quoted:
            word, known = quoted[1], [str(getattr(choice, "value", choice)) for choice in choices]
    return message, did_you_mean(word, known, otherwise=f"see: {path} --help")


def _say(what: str, hint: str, details: Iterable[str] = ()) -> None:
    write_error(f"cadence: {what}", *details, hint)


def run() -> None:
    """The entry point of the installed command."""
    sys.exit(main())


if __name__ == "__main__":
    run()
