"""Follow a page of the docs: run its commands and its code, and compare what they print.

A page is followed from top to bottom in one folder. The language of a block says what it is:

- ``console``: each ``$ cadence …`` runs. The lines below it must be printed, in that order; ``…``
  stands for any lines, or for the rest of a line, and blanks count once. A line that begins with
  ``! `` is printed on stderr. Other commands (``pip``, ``make``, ``git``) are not run.
- ``python``: runs, with the names of the blocks before it. With ``title="x.py"`` it is written to
  that file.
- ``toml``, ``csv``, ``json`` with ``title="x"``: written to that file; without, not used.

A comment above a block changes what it does: ``<!-- add to FILE -->`` appends the block to a file,
``<!-- replace in FILE: TEXT -->`` puts it in the place of a text that stands there once.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import paths
import pytest

from cadence.cli.main import main

_BLOCK = re.compile(
    r"(?:^<!-- (?P<note>.*?) -->\n)?"
    r"^```(?P<kind>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<body>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


class Block(NamedTuple):
    """A fenced block: its language, the file it is for, the comment above it, and its text."""

    kind: str
    title: str
    note: str
    body: str


def every_page() -> list[Path]:
    """Return every Markdown page of the project."""
    return [
        *sorted(paths.ROOT.glob("*.md")),
        *sorted((paths.ROOT / "docs").rglob("*.md")),
        *sorted((paths.ROOT / "examples").glob("*.md")),
        *sorted((paths.ROOT / "tests").rglob("*.md")),
    ]


def blocks(page: Path, kind: str | None = None) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    found = [
        Block(match["kind"], match["title"] or "", match["note"] or "", match["body"])
        for match in _BLOCK.finditer(page.read_text(encoding="utf-8"))
    ]
    return [block for block in found if kind is None or block.kind == kind]


def follow(page: Path, folder: Path, printed: pytest.CaptureFixture[str]) -> int:
    """Follow a page in ``folder``, which is the current one; return how many blocks were used."""
    names: dict[str, Any] = {"__name__": page.stem}
    used = 0
    for block in blocks(page):
        if block.kind == "console":
            _run(block.body, printed)
        elif block.note.startswith("add to "):
            file = folder / block.note.removeprefix("add to ")
            file.write_text(file.read_text(encoding="utf-8") + "\n" + block.body, encoding="utf-8")
        elif block.note.startswith("replace in "):
            name, _, old = block.note.removeprefix("replace in ").partition(": ")
            _replace(folder / name, old.replace("\\n", "\n"), block.body.rstrip())
        elif block.title:
            (folder / block.title).write_text(block.body, encoding="utf-8")
        elif block.kind == "python":
            exec(compile(block.body, page.name, "exec"), names)
        else:
            continue
        used += 1
    return used


def _run(body: str, printed: pytest.CaptureFixture[str]) -> None:
    """Run the commands of a console block and compare what each prints with what is shown."""
    for text in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        command, _, shown = text.partition("\n")
        command = "cadence demo" if command == "make demo" else command
        words = shlex.split(command, comments=True)
        if words[0] != "cadence":
            continue
        printed.readouterr()
        code = main(words[1:])
        out, err = printed.readouterr()
        said = [_plain(line) for line in out.splitlines()]
        said += [_plain(f"! {line}") for line in err.splitlines()]
        place = 0
        for line in (_plain(line) for line in shown.splitlines()):
            if line in ("", "…"):
                continue
            matches = [n for n, one in enumerate(said) if n >= place and _fits(one, line)]
            assert matches, f"{command}\n{line}\nexit code {code}, printed:\n{out}{err}"
            place = matches[0] + 1
        if not shown.strip():
            assert code == 0, f"{command}\n{out}{err}"


def _plain(line: str) -> str:
    return " ".join(line.split())


def _fits(printed: str, shown: str) -> bool:
    return printed.startswith(shown[:-1].rstrip()) if shown.endswith("…") else printed == shown


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{file.name} has {text.count(old)} times: {old}"
    file.write_text(text.replace(old, new), encoding="utf-8")
