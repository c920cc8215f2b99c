"""Export as JSONL, CSV and XES, and back again without loss; XES that other tools read."""

import csv
import gzip
import io
import subprocess
import sys
import xml.etree.ElementTree as ET
from datetime import datetime
from pathlib import Path

import msgspec
import paths
import pytest
from clocks import AFTER, ahead
from hypothesis import given
from hypothesis import strategies as st
from strategies import data_strategies, instants, prospect_ids, texts

from cadence.cli.main import main
from cadence.domain.codec import encode_line
from cadence.domain.events import (
    AddressesRead,
    Data,
    Event,
    EventCorrected,
    EventRetracted,
    PolicyAdopted,
    ProspectAdded,
)
from cadence.engine.commands import check_fact
from cadence.errors import InputError
from cadence.store import Cadence
from cadence.transfer import ImportRefused
from cadence.transfer.formats import EXPORTS, choose_source
from cadence.transfer.importer import ImportResult, import_all
from cadence.transfer.input_file import Input

FORMATS = list(EXPORTS)
XES = "{http://www.xes-standard.org/}"


def exported(app: Cadence, form: str) -> bytes:
    out = io.BytesIO()
    EXPORTS[form](app, out)
    return out.getvalue()


def imported(app: Cadence, content: bytes, name: str = "file") -> ImportResult:
    return import_all(app, choose_source(Input(io.BytesIO(content), name)))


def _can_be(data: Data) -> bool:
    try:
        check_fact(data)
    except InputError:
        return False
    return True


STORABLE = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
ANY_TEXT = st.one_of(texts(), st.text(STORABLE, max_size=20))
UGLY = st.sampled_from(["\ufffe", "\uffff\x0b", "]]>", "&amp;<a>", "'", "=cmd|'!A0", "\ud7ff"])
TEXT = ANY_TEXT | UGLY
ADDED = st.builds(ProspectAdded, TEXT, st.sampled_from(["UTC", ("UTC", "Europe/Berlin")]))
# What takes an event back has to name one that is there.
TAKING_BACK = (EventRetracted, EventCorrected)
LATER = st.one_of(
    [
        one
        for kind, one in data_strategies().items()
        if kind is not ProspectAdded and kind not in TAKING_BACK
    ]
).filter(_can_be)


@st.composite
def stores(draw: st.DrawFn) -> dict[str, list[Event]]:
    """Histories that can be imported, with every type of event and every awkward text."""
    found = {}
    maybe = st.none() | TEXT
    for prospect in draw(st.lists(prospect_ids(), unique=True, max_size=4)):
        data = [draw(ADDED), *draw(st.lists(LATER, max_size=6))]
        if len(data) > 2 and not isinstance(data[1], PolicyAdopted | AddressesRead):
            data.append(draw(st.sampled_from([EventRetracted(2), EventCorrected(2, data[1])])))
        found[prospect] = [
            Event(
                prospect,
                version,
                draw(instants()),
                draw(instants()),
                one,
                draw(maybe),
                draw(maybe),
                draw(maybe),
                draw(maybe),
                draw(st.none() | st.dictionaries(TEXT, TEXT, min_size=1, max_size=2)),
            )
            for version, one in enumerate(data, 1)
        ]
    return found


@pytest.mark.parametrize("form", FORMATS)
@given(histories=stores())
def test_every_format_comes_back_as_it_was(form: str, histories: dict[str, list[Event]]) -> None:
    app, other = Cadence.open(clock=ahead), Cadence.open(clock=ahead)
    # First as an import leaves them: with all that it fills in.
    lines = b"".join(encode_line(one) + b"\n" for events in histories.values() for one in events)
    imported(app, lines)
    content = exported(app, form)
    done = imported(other, content)
    assert done.events == sum(map(len, histories.values()))
    assert exported(other, "jsonl") == exported(app, "jsonl")
    assert exported(other, form) == content
    assert other.due_rows.stored() == app.due_rows.stored()
    # Again, and into where it came from: nothing changes.
    assert imported(other, content).events == imported(app, content).events == 0


def one_of_everything() -> Cadence:
    app = Cadence.open(clock=ahead)
    folder = paths.EXAMPLES / "histories"
    for file in sorted(folder.glob("*.jsonl")):
        imported(app, file.read_bytes())
    note = {"text": 'two\nlines, "quotes", <tags> & \t'}
    line = {
        "prospect": "=1+1",
        "occurred_at": "2026-12-01T14:00:00.123456Z",
        "by": "Zoë\n",
    }
    added = {**line, "type": "ProspectAdded", "data": {"name": "K", "timezone": "UTC"}}
    noted = {**line, "type": "InterestNoted", "data": note}
    imported(app, msgspec.json.encode(added) + b"\n" + msgspec.json.encode(noted))
    return app


def test_a_log_has_what_the_standard_asks_for_and_counts_as_other_tools_count() -> None:
    app = one_of_everything()
    root = ET.fromstring(exported(app, "xes"))
    assert root.tag == f"{XES}log"
    assert root.attrib.keys() >= {"xes.version", "xes.features"}
    prefixes = {one.get("prefix") for one in root.findall(f"{XES}extension")}
    assert prefixes == {"concept", "lifecycle", "org", "time"}
    assert {one.get("scope") for one in root.findall(f"{XES}global")} == {"trace", "event"}
    declared = {
        one.get("key") for scope in root.findall(f"{XES}global[@scope='event']") for one in scope
    }
    for classifier in root.findall(f"{XES}classifier"):
        assert set(classifier.get("keys").split()) <= declared
    traces = root.findall(f"{XES}trace")
    ids = [one.find(f"{XES}string[@key='concept:name']").get("value") for one in traces]
    assert ids == list(app.prospects())
    for prospect, trace in zip(ids, traces, strict=True):
        events = trace.findall(f"{XES}event")
        history = app.history(prospect)
        assert len(events) == len(history)
        for element, event in zip(events, history, strict=True):
            row = {one.get("key"): one.get("value") for one in element}
            assert row.keys() >= declared
            assert row["concept:name"] == type(event.data).__name__
            at = datetime.fromisoformat(row["time:timestamp"])
            assert at == event.occurred_at.replace(
                microsecond=event.occurred_at.microsecond // 1000 * 1000
            )
            assert row.get("org:resource") == event.by
            for one in element:
                assert one.tag in (f"{XES}string", f"{XES}date")


def test_a_spreadsheet_sees_no_formula_and_every_row_has_its_columns() -> None:
    app = one_of_everything()
    text = exported(app, "csv").decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == sum(len(app.history(one)) for one in app.prospects())
    assert {len(row) for row in rows} == {14}
    for row in rows:
        assert None not in row
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row.values())
    made = next(row for row in rows if row["type"] == "AttemptMade")
    assert made["channels"]
    assert made["dispositions"]


@pytest.mark.parametrize(
    ("form", "old", "new", "field"),
    [
        ("csv", b"spaced,call,", b"nurture,call,", "stage"),
        ("csv", b",AttemptMade,", b",AttemptMad,", "type"),
        ("csv", b"{", b"", "data"),
        ("csv", b',,"{', b',not so,"{', "meta"),
        ("csv", b"T14:00:00Z", b"T14:00:00", "occurred_at"),
        ("xes", b'value="AttemptMade"', b'value="ReplyReceived"', "concept:name"),
        ("xes", b"T14:00:00.000Z", b"T15:00:00.000Z", "time:timestamp"),
        ("xes", b"AttemptMade&quot;", b"AttemptMad&quot;", "type"),
    ],
)
def test_an_export_that_was_edited_by_halves_is_refused_with_line_and_field(
    form: str, old: bytes, new: bytes, field: str
) -> None:
    content = exported(one_of_everything(), form)
    assert old in content
    app = Cadence.open(clock=ahead)
    with pytest.raises(ImportRefused) as caught:
        imported(app, content.replace(old, new))
    fields = {bad.what.split(": ")[0] for bad in caught.value.lines}
    assert field in fields
    assert fields <= {field, "data.at", "version"}  # what follows a bad line leaves a hole
    assert list(app.prospects()) == []


def test_a_table_that_somebody_made_needs_only_four_columns() -> None:
    app = Cadence.open(clock=ahead)
    header = "type,prospect,occurred_at,data,colour"
    row = 'ProspectAdded,kim,2026-12-01T14:00:00Z,"{""name"":""Kim"",""timezone"":""UTC""}",red'
    done = imported(app, f"\ufeff{header}\r\n{row}\r\n".encode())
    assert (done.events, done.unknown_columns) == (1, ("colour",))


@pytest.mark.parametrize("form", FORMATS)
def test_a_packed_export_is_the_same_and_packs_to_the_same_bytes(form: str, tmp_path: Path) -> None:
    db, plain = str(tmp_path / "x.db"), tmp_path / f"a.{form}"
    source = tmp_path / "all.jsonl"
    source.write_bytes(exported(one_of_everything(), "jsonl"))
    assert main(["import", str(source), "--db", db, "--at", AFTER]) == 0
    assert main(["export", "--format", form, str(plain), "--db", db]) == 0
    packed = []
    for name in ("a", "b"):
        file = tmp_path / f"{name}.{form}.gz"
        assert main(["export", "--format", form, str(file), "--db", db]) == 0
        packed.append(file.read_bytes())
        assert gzip.decompress(file.read_bytes()) == plain.read_bytes()
        other = str(tmp_path / f"{name}.db")
        assert main(["import", str(file), "--db", other, "--at", AFTER]) == 0
        with Cadence.open(other) as app:
            assert exported(app, "jsonl") == source.read_bytes()
    assert packed[0] == packed[1]


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_goes_through_a_pipe_into_an_import(form: str, tmp_path: Path) -> None:
    db, other = str(tmp_path / "x.db"), str(tmp_path / "y.db")
    source = tmp_path / "all.jsonl"
    source.write_bytes(exported(one_of_everything(), "jsonl"))
    assert main(["import", str(source), "--db", db, "--at", AFTER]) == 0
    cadence = [sys.executable, "-m", "cadence"]
    with subprocess.Popen(
        [*cadence, "export", "--format", form, "-", "--db", db], stdout=subprocess.PIPE
    ) as export:
        command = [*cadence, "import", "-", "--db", other, "--at", AFTER]
        done = subprocess.run(command, stdin=export.stdout, check=False)
    assert (export.returncode, done.returncode) == (0, 0)
    with Cadence.open(db) as app, Cadence.open(other) as copy:
        assert exported(copy, "jsonl") == exported(app, "jsonl")


def test_an_empty_store_is_exported_and_imported(tmp_path: Path) -> None:
    for form in FORMATS:
        content = exported(Cadence.open(clock=ahead), form)
        assert imported(Cadence.open(clock=ahead), content).events == 0


def test_the_longest_note_comes_back_in_every_format() -> None:
    app = one_of_everything()
    data = {"text": 'ü"\n<&\x01\ufffe' * 2_857 + "x"}
    line = {"prospect": "=1+1", "type": "InterestNoted", "occurred_at": "2026-12-02T14:00:00Z"}
    imported(app, msgspec.json.encode({**line, "data": data}))
    for form in FORMATS:
        other = Cadence.open(clock=ahead)
        imported(other, exported(app, form))
        assert exported(other, "jsonl") == exported(app, "jsonl")
