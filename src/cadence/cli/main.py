"""The command line: thin commands over the rooms, and errors in two lines."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from typing import Any

import typer

from cadence.cli.commands import command_line
from cadence.errors import CadenceError, InputError, did_you_mean

__all__ = ["main"]

_INTERRUPTED = 130

# What the command line offers beside the library's own hint, by the code of the error.
_OPTIONS = {
    "unknown_prospect": " (cadence due --all lists them)",
    "invalid_store": " (--db names the database)",
}

# The option parser's own errors; typer exports only the most derived one.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit code: 0 done, 1 refused or failed, 2 bad usage or input.
    """
    given = sys.argv[1:] if arguments is None else arguments
    if sys.stdout is None:
        # Closed by whoever started us. Files opened from here on must not take its place.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  (open for as long as we run)
        if "export" in given and "-" in given:
            _say("export: standard output is closed", "name a file")
            return 1
    try:
        try:
            _refuse_bytes(given)
            if "import" in given:
                from cadence.cli.transfer import PREVIEW

                given = _with_default(given, "--preview", PREVIEW)
            app = command_line(given)
            code = app(args=given or ["--help"], standalone_mode=False, prog_name="cadence")
            if code == _INTERRUPTED:  # how typer passes on Ctrl-C
                raise typer.Abort
            if isinstance(code, int):  # how a command that found something says so
                return code
        except typer.Exit as error:
            return error.exit_code
        finally:
            sys.stdout.flush()
    except CadenceError as error:
        _say(error.what, error.hint + _OPTIONS.get(error.code, ""), error.details())
        return error.exit_code
    except _USAGE_ERROR as error:
        _say(*_explain(error))
        return 2
    except (typer.Abort, KeyboardInterrupt):
        _say("interrupted", "nothing that was not acknowledged is recorded")
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; what was to be done is done.
        _forget_stdout()
    except OSError as error:
        _forget_stdout()
        _say(f"the output can't be written: {error.strerror or error}", "free some space there")
        return 1
    return 0


def _refuse_bytes(arguments: list[str]) -> None:
    for one in arguments:
        try:
            one.encode()
        except UnicodeEncodeError:
            raise InputError(
                f"the argument {one!r} is not in UTF-8",
                "write it in UTF-8",
            ) from None


def _with_default(arguments: list[str], option: str, value: int) -> list[str]:
    """Let ``option`` stand without a number; the option parser knows no such options."""
    found: list[str] = []
    for one, after in zip(arguments, [*arguments[1:], ""], strict=True):
        bare = one == option and not after.removeprefix("-").isdecimal()
        found.append(f"{option}={value}" if bare else one)
    return found


def _forget_stdout() -> None:
    """Keep the interpreter from complaining at exit about output that nobody takes."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _explain(error: Exception) -> tuple[str, str]:
    """What is wrong with a call, and the nearest right spelling or the page that tells."""
    message: str = error.format_message() if hasattr(error, "format_message") else str(error)
    message = " ".join(message.replace("Value error, ", "").split())
    message = message.partition(" Did you mean ")[0]  # said once, below
    context: Any = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "cadence"
    wrong = re.findall(r"'([^']*)' is not (?:one of )?(.*?)\.?$", message)
    if wrong:
        word, known = wrong[0][0], re.findall(r"'([^']*)'", wrong[0][1])
    else:
        named = re.findall(r"[Nn]o such (?:command|option):? '?([^' .]+)'?", message)
        word, known = (named[0] if named else ""), []
        command = getattr(context, "command", None)
        for parameter in getattr(command, "params", ()):
            known += getattr(parameter, "opts", ())
        known += list(getattr(command, "commands", ()))
    return message, did_you_mean(word, known, otherwise=f"see: {path} --help")


def _say(what: str, hint: str, details: Iterable[str] = ()) -> None:
    try:
        sys.stderr.write(f"cadence: {what}\n")
        sys.stderr.writelines(f"{line}\n" for line in details)
        sys.stderr.write(f"{hint}\n")
        sys.stderr.flush()
    except (AttributeError, OSError):
        pass  # nobody is listening; the exit code says it


def run() -> None:
    """The entry point of the installed command."""
    sys.exit(main())


if __name__ == "__main__":
    run()
