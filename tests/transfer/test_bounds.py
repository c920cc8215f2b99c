"""Whatever a file unpacks to, and however it is nested, reading it takes bounded memory."""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
import tracemalloc
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from clocks import ahead

from cadence.domain import limits
from cadence.domain.events import InterestNoted, ProspectAdded
from cadence.engine.decision import Verdict
from cadence.errors import InputError
from cadence.policy.loader import parse
from cadence.store import Cadence
from cadence.store.recorders import sqlite as sqlite_store
from cadence.transfer import csv_reader, input_file, xes_reader
from cadence.transfer.formats import choose_source, import_file
from cadence.transfer.importer import ImportRefused, import_all
from cadence.transfer.input_file import Input
from cadence.transfer.mapping_loader import load_mapping

NOW = datetime(2026, 12, 1, 15, tzinfo=UTC)
KB = 1024


def refused(content: bytes, name: str = "file", mapping: str | None = None) -> InputError:
    """The error of an import; nothing was imported."""
    with Cadence.open(None, clock=ahead) as app:
        chosen = None if mapping is None else load_mapping(mapping)
        with pytest.raises(InputError) as caught:
            import_all(app, choose_source(Input(io.BytesIO(content), name), chosen))
        assert app.count() == 0
    return caught.value


@pytest.mark.parametrize("line", [b"\n", b" " * 1000 + b"\n", b'{"prospect": "a"}\n'])
def test_a_gzip_bomb_is_refused_before_it_is_unpacked(
    line: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(input_file, "UNPACKED_BYTES", 64 * KB)
    packed = gzip.compress(line * (1_000 * KB // len(line)))
    assert "200 times its packed size" in refused(packed).what


def test_a_gzip_bomb_in_a_log_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_file, "UNPACKED_BYTES", 64 * KB)
    log = b"<log><trace>" + b"<event></event>" * 100_000 + b"</trace></log>"
    error = refused(gzip.compress(log), "file.xes", "bpic2012")
    assert "200 times its packed size" in error.what


def test_a_gzip_file_of_real_histories_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_file, "UNPACKED_BYTES", 0)
    data = {"name": "Jo", "timezone": "America/New_York", "country": "US"}
    lines = [
        json.dumps(
            {
                "prospect": f"p{n}",
                "type": "ProspectAdded",
                "occurred_at": NOW.isoformat(),
                "data": data,
            }
        )
        for n in range(500)
    ]
    with Cadence.open(None, clock=ahead) as app:
        import_all(
            app, choose_source(Input(io.BytesIO(gzip.compress("\n".join(lines).encode())), "f"))
        )
        assert app.count() == 500


def test_a_zip_archive_is_refused_by_name() -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.jsonl", "{}")
    assert "ZIP archive" in refused(archive.getvalue()).what


def test_a_line_longer_than_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_file, "LINE_BYTES", 64 * KB)
    assert "line 2: invalid, longer" in refused(b"\n" + b"x" * 65 * KB).what


@pytest.mark.parametrize("sign", [b"[", b'{"a":', b'{"prospect": {"a": '])
def test_json_without_an_end_of_nesting_is_a_bad_line(sign: bytes) -> None:
    error = refused(sign * 200_000)
    assert isinstance(error, ImportRefused)
    assert error.lines[0].number == 1


def test_a_table_of_too_many_columns_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_reader, "COLUMNS", 100)
    header = ",".join(f"c{n}" for n in range(101)).encode()
    assert "101 columns" in refused(header + b"\n", "f.csv", "hubspot_calls").what


def test_a_row_of_many_long_cells_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_reader, "LINE_BYTES", 64 * KB)
    row = b",".join([b'"' + b"x\n" * 10 * KB + b'"'] * 30)
    error = refused(b"Record ID\n" + row, "f.csv", "hubspot_calls")
    assert "a row of more than" in error.what or "missing column" in error.what
    rows = csv_reader.CsvTable([b"a\n", *row.splitlines(keepends=True)], "f.csv").rows()
    with pytest.raises(InputError, match="a row of more than"):
        next(rows)


def blocks(text: bytes) -> Iterator[bytes]:
    return iter([text[n : n + KB] for n in range(0, len(text), KB)])


def test_a_case_of_a_log_longer_than_the_limit_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(xes_reader, "LINE_BYTES", 64 * KB)
    event = b'<event><string key="a" value="b"/></event>'
    small, large = (b"<trace>" + event * n + b"</trace>" for n in (100, 3_000))
    assert len(list(xes_reader.read_xes(blocks(b"<log>" + small * 50 + b"</log>"), "f"))) == 50
    with pytest.raises(InputError, match="a case is longer than"):
        list(xes_reader.read_xes(blocks(b"<log>" + small + large + b"</log>"), "f"))


def test_a_log_nested_too_deep_is_refused() -> None:
    log = b"<log><trace>" + b"<list>" * 200 + b"</list>" * 200 + b"</trace></log>"
    assert "nested more than 100 deep" in refused(log, "f.xes", "bpic2012").what


def test_a_policy_file_without_an_end_is_refused() -> None:
    tracemalloc.start()
    with pytest.raises(InputError, match="larger than 1,000,000 bytes"):
        parse("/dev/zero")
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


# What SQLite takes --------------------------------------------------------------------------------


def test_histories_longer_than_one_text_of_sqlite_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "big.db"
    with Cadence.open(str(path)) as app:
        for name in ("a", "b", "c"):
            app.execute(name, ProspectAdded(name, "UTC"), at=NOW)
            for _ in range(20):
                app.execute(name, InterestNoted("x" * 1000), at=NOW)

    def connect(*arguments: Any) -> sqlite3.Connection:
        connection = connect_to_read(*arguments)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10 * KB)
        return connection

    connect_to_read = sqlite_store.connect_to_read
    monkeypatch.setattr(sqlite_store, "connect_to_read", connect)
    with Cadence.open(str(path)) as app:
        assert len(app.history("a")) == 21
        assert {name: len(one) for name, one in app.histories.of(["a", "c"]).items()} == {
            "a": 21,
            "c": 21,
        }
        assert [len(one) for one in app.histories.all()] == [21, 21, 21]
        assert len(list(app.due(NOW, verdicts=[*Verdict]).items)) == 3


def test_more_prospects_than_sqlite_has_variables_are_read_at_once(tmp_path: Path) -> None:
    many = [f"p{number}" for number in range(40_000)]
    with Cadence.open(str(tmp_path / "many.db")) as app:
        app.execute("p7", ProspectAdded("Jo", "UTC"), at=NOW)
        found = app.histories.of(many)
    assert len(found["p7"]) == 1
    assert len(found) == len(many)


def test_the_limits_of_files_leave_room_for_real_ones(tmp_path: Path) -> None:
    """A note of a megabyte in a cell that no rule reads is no error."""
    assert limits.LINE_BYTES >= 16 * KB * KB
    file = tmp_path / "calls.csv"
    file.write_text(
        "Record ID,Call outcome,Activity date,Associated Contact IDs,timezone,Call notes\n"
        f'1,Busy,2026-12-01T14:00:00Z,7,UTC,"{"x" * KB * KB}"\n'
    )
    with Cadence.open(None, clock=ahead) as app:
        assert import_file(app, str(file), "hubspot_calls").events == 2
