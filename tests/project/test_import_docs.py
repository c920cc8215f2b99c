"""The page on imports tells the truth: its mappings are read, its commands print what it shows."""

import re
import shlex
from pathlib import Path

import msgspec
import paths
import pytest

from cadence.cli.main import main
from cadence.transfer.importer import ImportResult
from cadence.transfer.mapping_loader import mapping_names, read_mapping
from cadence.transfer.mapping_model import At, From, Mapping, ProspectFields, RecordFields, Rule

PAGE = (paths.DOCS / "how-to/import.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def test_the_tutorial_does_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("calls.csv").write_text(blocks("csv")[0], encoding="utf-8")
    Path("ours.toml").write_text(blocks("toml")[0], encoding="utf-8")
    commands = blocks("console")[0].split("$ cadence ")[1:]
    assert len(commands) == 3
    for text in commands:
        command, _, shown = text.partition("\n")
        assert main(shlex.split(command)) == 0
        assert capsys.readouterr().out == shown
    (code,) = blocks("python")
    exec(compile(code, "import.md", "exec"), {})
    assert capsys.readouterr().out == "6 engaged\n"
    assert Path("all.csv").read_text(encoding="utf-8").count("\n") == 7


def test_every_mapping_of_the_page_is_read() -> None:
    for number, text in enumerate(blocks("toml")):
        assert read_mapping(text, f"block {number}").rules


def test_the_page_names_every_mapping_and_every_key() -> None:
    for name in mapping_names():
        assert f"`{name}`" in PAGE
    for kind in (Mapping, ProspectFields, RecordFields, Rule, At, From):
        for field in msgspec.structs.fields(kind):
            name = field.encode_name
            if name not in ("about", "rules", "tables", "columns", "prospect", "record"):
                assert re.search(rf"`{name}\b", PAGE), name
    assert ImportResult._fields[:3] == ("prospects", "events", "skipped")
