"""export and import of what suppression lists and lines say."""

from __future__ import annotations

from pathlib import Path

from command_line import Cli

AT = ("--at", "2026-03-02T15:00:00Z")
JANE = (
    *("add", "jane", "--name", "Jane Roe", "--timezone", "America/New_York", "--country", "US"),
    *("--call", "+1 212 555 0100", "--email", "jane@example.com", *AT),
)


def with_entries(cli: Cli) -> None:
    cli(*JANE)
    cli("suppress", "jane@example.com", "--source", "dnc", "--by", "ann", *AT)
    cli("line", "+12125550100", "--why", "the desk", "--by", "kim", *AT)


def test_an_export_and_an_import_say_how_many_entries_they_bring(
    cli: Cli, raw: Cli, tmp_path: Path
) -> None:
    with_entries(cli)
    file, other = tmp_path / "all.jsonl", ("--db", tmp_path / "other.db")
    done = cli("export", file)
    assert done.out.splitlines() == [
        f"1 event exported to {file}",
        "  and 2 entries of suppression lists and lines",
    ]
    assert cli("--json", "export", file).json["entries"] == 2
    first, second, third = file.read_text().splitlines()
    assert first == (
        '{"type":"AddressEntry","data":{"key":"jane@example.com","kind":"suppressed",'
        '"at":"2026-03-02T15:00:00Z","by":"ann","source":"dnc"}}'
    )
    assert ('"kind":"line"' in second, '"ProspectAdded"' in third) == (True, True)
    shown = raw("import", file, "--preview", *other, *AT)
    assert "AddressEntry  suppressed jane@example.com of dnc, by ann" in shown.out
    assert not (tmp_path / "other.db").exists()
    came = raw("import", file, *other, *AT).out
    assert "lists and lines: 2 entries taken in, 0 were there already" in came
    again = raw("--json", "import", file, *other, *AT).json
    assert (again["entries"], again["entries_known"]) == (0, 2)
    for look in (("suppress", "--list"), ("audit",), ("due",)):
        assert raw(*look, *other, *AT).out == cli(*look, *AT).out


def test_csv_and_xes_say_that_they_have_no_entries(cli: Cli, tmp_path: Path) -> None:
    with_entries(cli)
    for name in ("csv", "xes"):
        done = cli("export", "--format", name, tmp_path / f"all.{name}")
        assert done.code == 0
        said = f"2 entries of suppression lists and lines: not in {name}, only in jsonl"
        assert said in done.err
