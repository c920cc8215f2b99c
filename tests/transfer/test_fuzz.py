"""Whatever a file holds, reading it ends soon, with a result or with an error of ours.

Valid files are mutated in their bytes and in their values. What was imported can be listed,
replayed, audited and exported, and the export reads back. A few seconds in all; in the nightly
profile some ten minutes.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import signal
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import policies
import pytest
import tomli_w
from clocks import ahead
from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from mutations import BYTES, CHANGES, changed, edited
from nightly import NIGHTLY

from cadence.audit.runner import audit
from cadence.cli.show import replay_lines
from cadence.engine.decision import Verdict
from cadence.errors import CadenceError, InputError
from cadence.messages import lint_policy
from cadence.policy.loader import builtin, builtin_names, parse_text
from cadence.policy.writer import to_toml
from cadence.prover.proof import prove
from cadence.prover.timetable import timetable
from cadence.replay.steps import annotate
from cadence.store import Cadence
from cadence.transfer.cadence_csv import export_csv
from cadence.transfer.cadence_xes import export_xes
from cadence.transfer.formats import choose_source
from cadence.transfer.importer import import_all
from cadence.transfer.input_file import Input
from cadence.transfer.jsonl import export_jsonl, import_jsonl
from cadence.transfer.mapping_loader import load_mapping, mapping_names, read_mapping
from cadence.transfer.mapping_model import Mapping

LIMIT = 20
"""CPU seconds after which reading a file of some kilobytes hangs: a busy machine gives few."""
NOW = datetime(2026, 12, 7, 15, tzinfo=UTC)
HISTORIES = Path(__file__).parents[2] / "examples" / "histories"

fuzzed = settings(max_examples=settings().max_examples * 25 if NIGHTLY else 120)


def check_error(error: CadenceError) -> None:
    assert error.what.strip()
    assert error.hint.strip()
    assert all(line.isprintable() for line in str(error).split("\n")), str(error)


@contextmanager
def survives() -> Iterator[None]:
    """What is done ends soon, and raises nothing but an error in printable lines."""

    def hangs(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"it takes more than {LIMIT} CPU seconds")

    before = signal.signal(signal.SIGPROF, hangs)
    signal.setitimer(signal.ITIMER_PROF, LIMIT)
    try:
        yield
    except CadenceError as error:
        event(type(error).__name__)
        check_error(error)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


# Histories ----------------------------------------------------------------------------------------

CALL = {"channel": "call", "address": "+1 212 555 0100"}
# What the examples lack: events that take others back, exceptions, addresses, tables of texts.
RARE: list[tuple[str, dict[str, Any]]] = [
    (
        "ProspectAdded",
        {"name": "Rae", "timezone": ["America/New_York", "UTC"], "contact_points": [CALL]},
    ),
    ("ContactPointFailed", {**CALL, "reason": "bounced"}),
    ("ContactPointRestored", {**CALL, "why": "a typo"}),
    ("AttemptMade", {"parts": [{**CALL, "disposition": "no_answer"}], "note": "busy"}),
    (
        "EventCorrected",
        {"version": 4, "data": {"type": "AttemptMade", "parts": [{**CALL, "disposition": "busy"}]}},
    ),
    ("OptOutRequested", {"except_channels": ["email"]}),
    ("EventRetracted", {"version": 6, "why": "another's"}),
    ("EventRetracted", {"version": 7}),
    ("OptedBackIn", {"why": "they rang"}),
    ("ReferralGiven", {"name": "Ann", "contact_points": [CALL]}),
    ("Noted", {"kind": "demo", "data": {"seats": "3"}}),
    ("FollowUpEnded", {"reason": "mistaken"}),
    ("FollowUpReopened", {"why": "they moved"}),
]


@cache
def lines() -> list[dict[str, Any]]:
    rare = [
        {
            "prospect": "rae",
            "version": number,
            "type": kind,
            "occurred_at": f"2026-12-01T14:{number:02}:00Z",
            "data": data,
            "meta": {"campaign": "spring"},
        }
        for number, (kind, data) in enumerate(RARE, 1)
    ]
    files = sorted(HISTORIES.glob("*.jsonl"))
    return rare + [json.loads(line) for file in files for line in file.read_text().splitlines()]


@cache
def exported(kind: str) -> bytes:
    with Cadence.open(None, clock=ahead) as app:
        import_jsonl(app, [json.dumps(one).encode() for one in lines()[: 30 + len(RARE)]])
        out = io.BytesIO()
        {"jsonl": export_jsonl, "csv": export_csv, "xes": export_xes}[kind](app, out)
    return out.getvalue()


def import_and_look(content: bytes, name: str, mapping: Mapping | None = None) -> None:
    """Import a file; if that succeeds, do all that can be done with what is stored then."""
    with Cadence.open(None, clock=ahead) as app:
        import_all(app, choose_source(Input(io.BytesIO(content), name), mapping))
        # From here on an error of ours is a fault too: what was accepted can be worked with.
        try:
            _look(app)
        except CadenceError as error:
            raise AssertionError("what was imported can't be used") from error


def _look(app: Cadence) -> None:
    for one in app.due(NOW, limit=3, verdicts=[*Verdict]):
        list(replay_lines(annotate(app.history(one.prospect), app.policies)))
    for page in audit(app):
        assert page
    out, again = io.BytesIO(), io.BytesIO()
    export_jsonl(app, out)
    with Cadence.open(None, clock=ahead) as other:
        import_jsonl(other, out.getvalue().splitlines(keepends=True))
        export_jsonl(other, again)
    assert again.getvalue() == out.getvalue()


def test_the_files_that_are_mutated_are_valid() -> None:
    for kind in ("jsonl", "csv", "xes"):
        import_and_look(exported(kind), f"file.{kind}")
    for name, content in CSV.items():
        import_and_look(content.encode(), "file.csv", load_mapping(name))
    for text in policy_texts():
        check_policy(text)


@fuzzed
@given(kind=st.sampled_from(["jsonl", "csv", "xes"]), edits=BYTES, packed=st.booleans())
@example(kind="csv", edits=[("replace", 28, 0, b"9" * 5000)], packed=False)
def test_a_file_of_ours_with_other_bytes(
    kind: str, edits: list[tuple[str, int, int, bytes]], packed: bool
) -> None:
    content = exported(kind)
    if packed:
        content = gzip.compress(content, mtime=0)
    with survives():
        import_and_look(edited(content, edits), f"file.{kind}")


@fuzzed
@given(first=st.just(0) | st.integers(0, 100), changes=CHANGES)
def test_a_history_with_other_values(first: int, changes: list[tuple[str, int, int, Any]]) -> None:
    some = changed(lines()[first : first + len(RARE)], changes)
    rows = some if isinstance(some, list) else [some]
    with survives():
        import_and_look("\n".join(map(json.dumps, rows)).encode(), "file.jsonl")


@fuzzed
@given(
    content=st.binary(max_size=400) | st.text(max_size=200).map(lambda text: text.encode()),
    begins=st.sampled_from(
        [b"", b"{", b'{"prospect": ', b"prospect,type,occurred_at,data\n", b"<?xml ", b"\x1f\x8b"]
    ),
    suffix=st.sampled_from(["jsonl", "csv", "xes", "xes.gz", ""]),
)
def test_a_file_of_any_bytes(content: bytes, begins: bytes, suffix: str) -> None:
    with survives():
        import_and_look(begins + content, f"file.{suffix}")


@fuzzed
@given(st.binary(max_size=400) | st.text(max_size=200).map(lambda text: text.encode()))
def test_a_policy_or_a_mapping_of_any_bytes(content: bytes) -> None:
    text = content.decode("utf-8", "replace")
    for read in (check_policy, lambda it: read_and_use(it, "hubspot_calls")):
        with survives():
            read(text)


@pytest.mark.parametrize("more", [{}, {"gap": {"business_days": 1_000_000, "minutes": 0}}])
def test_a_silence_of_a_century_is_decided_soon(more: dict[str, Any]) -> None:
    """Asking the calendar of every region about each of its days took minutes."""
    rows = [{**one, "prospect": "far"} for one in lines()[:1]]
    attempt = {"parts": [{"channel": "call", "disposition": "no_answer"}], **more}
    for year in (2027, 2166):
        at = f"{year}-11-22T15:00:00Z"
        rows.append({"prospect": "far", "type": "AttemptMade", "occurred_at": at, "data": attempt})
    with survives():
        import_and_look("\n".join(map(json.dumps, rows)).encode(), "file.jsonl")


@pytest.mark.parametrize("encoding", ["UTF-m", "email", "true", "XXUTF-8", "utf-7", "idna", "hex"])
def test_a_log_in_an_unknown_encoding_is_an_error_with_its_line(encoding: str) -> None:
    content = exported("xes").replace(b"UTF-8", encoding.encode(), 1)
    with pytest.raises(InputError, match=r"^file\.xes: line 1: invalid"):
        import_and_look(content, "file.xes")


# Policies and mappings ----------------------------------------------------------------------------


@cache
def policy_texts() -> list[str]:
    return [policies.RICH, *(to_toml(builtin(name)) for name in builtin_names())]


def check_policy(text: str) -> None:
    """Do what ``policy check`` and ``policy show`` do."""
    policy = parse_text(text, "file.toml")
    assert parse_text(to_toml(policy), "again.toml").digest == policy.digest
    prove(policy)
    list(timetable(policy))
    list(lint_policy(policy))


def toml(plain: Any) -> str:
    try:
        return tomli_w.dumps(plain if isinstance(plain, dict) else {"a": plain})
    except (TypeError, ValueError):
        return ""


@fuzzed
@given(number=st.integers(0, 5), edits=BYTES)
def test_a_policy_with_other_bytes(number: int, edits: list[tuple[str, int, int, bytes]]) -> None:
    content = edited(policy_texts()[number].encode(), edits)
    with survives():
        check_policy(content.decode("utf-8", "replace"))


@fuzzed
@given(number=st.integers(0, 5), changes=CHANGES)
def test_a_policy_with_other_values(number: int, changes: list[tuple[str, int, int, Any]]) -> None:
    plain = tomllib.loads(policy_texts()[number])
    with survives():
        check_policy(toml(changed(plain, changes)))


CSV = {
    "hubspot_calls": (
        "Record ID,Call outcome,Activity date,Associated Contact IDs,To Number,timezone\n"
        "1,Connected,2026-12-01 14:00,7,+12125550100,America/New_York\n"
        "2,No answer,1764597600000,8;9,+12125550101,us_slash_central\n"
        '3,Left voicemail,2026-12-02T14:00:00Z,7,"+1 212\n555 0100",UTC\n'
    ),
    "salesforce_tasks": (
        "Id,WhoId,ActivityDate,CompletedDateTime,Status,TaskSubtype,CallDisposition,TimeZone\n"
        "00T000000000001,003000000000001,2026-12-01,2026-12-01T15:00:00.000Z,Completed,Call,Busy,UTC\n"
        "00T000000000002,003000000000001,2026-12-02,,Completed,Email,,UTC\n"
    ),
    "hubspot_tasks": (
        "hs_object_id,hs_timestamp,hs_task_completion_date,hs_task_status,hs_task_type,"
        "Associated Contact IDs,timezone\n"
        "1,2026-12-01T15:00:00Z,2026-12-01T14:00:00Z,COMPLETED,CALL,7;8,us_slash_eastern\n"
        "2,1764597600000,,COMPLETED,EMAIL,7,UTC\n"
    ),
    "hubspot_contacts": (
        "hs_object_id,lastmodifieddate,firstname,lastname,phone,email,hs_email_optout,hs_timezone\n"
        "7,2026-12-01T15:00:00Z,Ann,Lee,+12125550100,ann@example.com,true,us_slash_central\n"
        "8,1764597600000,Bo,Day,(212) 555-0101,bo@example.com,,UTC\n"
    ),
    "salesforce_contacts": (
        "Id,LastModifiedDate,Name,Phone,Email,HasOptedOutOfEmail,DoNotCall,IsDeleted,Time Zone\n"
        "003000000000001,2026-12-01T15:00:00.000Z,Ann Lee,+12125550100,ann@example.com,1,0,0,UTC\n"
        "003000000000002AAA,,Bo Day,212 555 0101,,false,true,,America/New_York\n"
    ),
}


@cache
def mapping_text(name: str) -> str:
    folder = Path(load_mapping.__code__.co_filename).parent / "mappings"
    return (folder / f"{name}.toml").read_text()


def read_and_use(text: str, name: str) -> None:
    mapping = read_mapping(text, "file.toml")
    content = exported("xes") if mapping.format == "xes" else CSV.get(name, "a,b\n").encode()
    import_and_look(content, "file", mapping)


@fuzzed
@given(name=st.sampled_from(mapping_names()), edits=BYTES)
def test_a_mapping_with_other_bytes(name: str, edits: list[tuple[str, int, int, bytes]]) -> None:
    text = edited(mapping_text(name).encode(), edits).decode("utf-8", "replace")
    with survives():
        read_and_use(text, name)


@fuzzed
@given(name=st.sampled_from(mapping_names()), changes=CHANGES)
def test_a_mapping_with_other_values(name: str, changes: list[tuple[str, int, int, Any]]) -> None:
    plain = tomllib.loads(mapping_text(name))
    with survives():
        read_and_use(toml(changed(plain, changes)), name)


@fuzzed
@given(name=st.sampled_from(sorted(CSV)), changes=CHANGES, edits=BYTES | st.just([]))
def test_a_table_of_another_program(
    name: str,
    changes: list[tuple[str, int, int, Any]],
    edits: list[tuple[str, int, int, bytes]],
) -> None:
    rows = changed(list(csv.reader(io.StringIO(CSV[name]))), changes)
    text = io.StringIO()
    csv.writer(text).writerows(
        [str(cell) for cell in row] if isinstance(row, list | dict) else [str(row)]
        for row in (rows if isinstance(rows, list) else [rows])
    )
    content = text.getvalue().encode("utf-8", "replace")
    with survives():
        import_and_look(edited(content, edits), "file.csv", load_mapping(name))


@fuzzed
@given(edits=BYTES)
def test_a_log_of_another_program(edits: list[tuple[str, int, int, bytes]]) -> None:
    with survives():
        import_and_look(edited(exported("xes"), edits), "file.xes", load_mapping("bpic2012"))
