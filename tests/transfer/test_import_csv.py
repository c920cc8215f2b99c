"""CSV through mappings: HubSpot, Salesforce, a team's own; and what is refused, line by line."""

import csv
import io
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cadence.cli.main import main
from cadence.domain.events import (
    AttemptMade,
    Event,
    EventCorrected,
    EventRetracted,
    ProspectAdded,
    ReplyReceived,
)
from cadence.errors import InputError
from cadence.store import Cadence
from cadence.transfer import ImportRefused
from cadence.transfer.formats import choose_source
from cadence.transfer.importer import ImportResult, import_all
from cadence.transfer.input_file import open_input
from cadence.transfer.mapped_csv import MappedCsvSource
from cadence.transfer.mapping_loader import read_mapping
from cadence.transfer.mapping_model import Mapping

ZONE = "America/New_York"


def mapping(base: str, more: str = "") -> Mapping:
    return read_mapping(f'extends = "{base}"\n[prospect]\ntimezone = "{ZONE}"\n{more}', "ours.toml")


def table(header: str, *rows: tuple[object, ...], delimiter: str = ",") -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(header.split(","))
    writer.writerows(rows)
    return text.getvalue().encode()


def imported(app: Cadence, content: bytes, how: Mapping) -> ImportResult:
    return import_all(app, MappedCsvSource(how, io.BytesIO(content), "file.csv"))


def refused(content: bytes, how: Mapping) -> InputError:
    app = Cadence.open()
    with pytest.raises(InputError) as caught:
        imported(app, content, how)
    assert list(app.prospects()) == []
    return caught.value


def bad_lines(content: bytes, how: Mapping) -> list[tuple[int, str]]:
    error = refused(content, how)
    assert isinstance(error, ImportRefused)
    return [(one.number, one.what) for one in error.lines]


def attempts(app: Cadence, prospect: str) -> list[tuple[str, str]]:
    """Channel and disposition of every attempt."""
    made = [one.data for one in app.history(prospect) if isinstance(one.data, AttemptMade)]
    return [(part.channel, part.disposition.value) for one in made for part in one.parts]


# HubSpot calls ------------------------------------------------------------------------------------

CALLS = mapping("hubspot_calls")
INTERNAL = (
    "hs_object_id,hs_timestamp,hs_call_title,hs_call_body,hs_call_direction,hs_call_disposition,"
    "hs_call_status,hs_call_duration,hs_call_to_number,hubspot_owner_id,Associated Contact IDs"
)
CONNECTED = "f240bbac-87c9-4f6e-bf70-924b57d47db7"
VOICEMAIL = "b2cf5968-551e-4856-9783-52b3da59a7d0"


def call(
    record: object = 1,
    at: object = "2026-03-02T15:00:00Z",
    disposition: str = "",
    status: str = "COMPLETED",
    direction: str = "OUTBOUND",
    to: str = "+12125550100",
    response: str = "101",
    body: str = "",
) -> tuple[object, ...]:
    row = (record, at, "Call", body, direction, disposition, status, 1000, to, "9", response)
    assert len(row) == len(INTERNAL.split(","))
    return row


@pytest.mark.parametrize(
    ("disposition", "status", "said"),
    [
        ("9d9162e7-6cf3-4944-bf63-4dff82258764", "COMPLETED", "busy"),
        (CONNECTED, "COMPLETED", "connected"),
        ("a4c4c377-d246-4b32-a13b-75a56a4cd0ff", "COMPLETED", "voicemail_left"),
        (VOICEMAIL, "COMPLETED", "voicemail_left"),
        (VOICEMAIL.upper(), "COMPLETED", "voicemail_left"),
        ("73a0d17f-1163-4015-bdd5-ec830791da20", "COMPLETED", "no_answer"),
        ("17b47fee-58de-441e-a44c-c6300d46f273", "COMPLETED", "wrong_number"),
        ("Left voicemail", "COMPLETED", "voicemail_left"),
        ("", "BUSY", "busy"),
        ("", "NO_ANSWER", "no_answer"),
        ("", "COMPLETED", "unknown"),
        ("", "CANCELED", "unknown"),
        ("", "FAILED", "unknown"),
        ("", "", "unknown"),
    ],
)
def test_a_hubspot_call_becomes_an_attempt_with_its_outcome(
    disposition: str, status: str, said: str
) -> None:
    app = Cadence.open()
    imported(app, table(INTERNAL, call(disposition=disposition, status=status)), CALLS)
    assert attempts(app, "101") == [("call", said)]
    added, made = app.history("101")
    assert isinstance(added.data, ProspectAdded)
    assert isinstance(made.data, AttemptMade)
    assert added.data.timezone == ZONE
    assert [point.address for point in added.data.contact_points] == ["+12125550100"]
    assert made.data.parts[0].address == "+12125550100"
    assert (made.by, made.command_id) == ("9", "hubspot_calls:1")
    assert made.data.stage is not None  # filled in under the policy


@pytest.mark.parametrize(
    "status", ["CALLING_CRM_USER", "CONNECTING", "IN_PROGRESS", "QUEUED", "RINGING"]
)
def test_a_hubspot_call_that_is_not_over_is_passed_over_until_it_is(status: str) -> None:
    app = Cadence.open()
    done = imported(app, table(INTERNAL, call(status=status)), CALLS)
    assert (done.events, done.skipped_rows) == (0, {"a call that is not over yet": 1})
    assert imported(app, table(INTERNAL, call()), CALLS).events == 2


def test_an_inbound_hubspot_call_is_a_reply_from_the_number_that_rang() -> None:
    app = Cadence.open()
    header = INTERNAL + ",hs_call_from_number"
    rows = [(*call(direction="INBOUND", to="+1ours", response=""), "+12125550177")]
    imported(app, table(header, *rows), CALLS)
    added, reply = app.history("+12125550177")
    assert isinstance(added.data, ProspectAdded)
    assert [point.address for point in added.data.contact_points] == ["+12125550177"]
    assert reply.data == ReplyReceived(reply.data.channel)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "at",
    ["2026-03-02T15:00:00Z", "2026-03-02T16:00:00.000+01:00", "1772463600000", "2026-03-02 15:00"],
)
def test_hubspot_times_are_milliseconds_or_utc_text(at: str) -> None:
    app = Cadence.open()
    imported(app, table(INTERNAL, call(at=at)), CALLS)
    assert app.history("101")[1].occurred_at == datetime(2026, 3, 2, 15, tzinfo=UTC)


def test_the_labels_of_hubspot_do_as_well_in_any_case_and_order() -> None:
    app = Cadence.open()
    header = "Associated Contact IDs,call outcome,ACTIVITY DATE,Record ID,Activity assigned to"
    imported(app, table(header, (101, "No answer", "2026-03-02 15:00", 7, "ann@x")), CALLS)
    made = app.history("101")[1]
    assert attempts(app, "101") == [("call", "no_answer")]
    assert (made.by, made.command_id) == ("ann@x", "hubspot_calls:7")


def test_a_call_of_two_contacts_is_an_attempt_for_each() -> None:
    app = Cadence.open()
    imported(app, table(INTERNAL, call(response="101;202")), CALLS)
    assert list(app.prospects()) == ["101", "202"]


def test_a_call_without_a_contact_is_about_the_number() -> None:
    app = Cadence.open()
    imported(app, table(INTERNAL, call(response="")), CALLS)
    assert list(app.prospects()) == ["+12125550100"]


def test_a_call_about_nobody_is_passed_over_and_counted() -> None:
    app = Cadence.open()
    done = imported(app, table(INTERNAL, call(response="", to="")), CALLS)
    assert sum(done.skipped_rows.values()) == 1
    assert done.events == 0


def test_an_outcome_of_the_portals_own_is_refused_until_the_table_says_what_it_is() -> None:
    content = table(INTERNAL, call(), call(record=2, disposition="our-own-guid"))
    ((number, what),) = bad_lines(content, CALLS)
    assert number == 3
    assert what.startswith("hs_call_disposition: unknown 'our-own-guid'")
    app = Cadence.open()
    ours = mapping("hubspot_calls", '[tables.disposition]\n"our-own-guid" = "connected"\n')
    imported(app, content, ours)
    assert ("call", "connected") in attempts(app, "101")


def test_a_hubspot_export_may_be_in_any_order() -> None:
    app = Cadence.open()
    rows = [call(n, f"2026-03-{n:02}T15:00:00Z", VOICEMAIL) for n in (9, 3, 6)]
    imported(app, table(INTERNAL, *rows), CALLS)
    history = app.history("101")
    assert [one.command_id for one in history[1:]] == [f"hubspot_calls:{n}" for n in (3, 6, 9)]
    assert history[0].occurred_at == history[1].occurred_at


def test_two_calls_that_say_the_same_are_two_and_importing_twice_changes_nothing() -> None:
    app = Cadence.open()
    content = table(INTERNAL, call(1), call(2))
    assert imported(app, content, CALLS).events == 3
    again = imported(app, content, CALLS)
    assert (again.events, again.skipped) == (0, 3)
    # Next month's export begins with what was there.
    more = table(INTERNAL, call(1), call(2), call(3, "2026-04-02T15:00:00Z"))
    assert imported(app, more, CALLS).events == 1


def test_a_record_that_changed_since_is_refused_or_kept_as_it_is() -> None:
    app = Cadence.open()
    imported(app, table(INTERNAL, call(1, status="NO_ANSWER")), CALLS)
    changed = table(INTERNAL, call(1, disposition=CONNECTED), call(2, "2026-03-05T15:00:00Z"))
    with pytest.raises(ImportRefused) as caught:
        imported(app, changed, CALLS)
    (bad,) = caught.value.lines
    assert (bad.number, bad.what.split(":")[0]) == (2, "record")
    assert len(app.history("101")) == 2
    keep = read_mapping(
        f'extends = "hubspot_calls"\nchanged = "keep"\n[prospect]\ntimezone = "{ZONE}"', "k.toml"
    )
    assert imported(app, changed, keep).events == 1
    assert attempts(app, "101") == [("call", "no_answer"), ("call", "unknown")]


CORRECT = read_mapping(
    f'extends = "hubspot_calls"\nchanged = "correct"\n[prospect]\ntimezone = "{ZONE}"', "c.toml"
)


def test_a_record_that_changed_since_is_corrected_where_the_mapping_says_so() -> None:
    app = Cadence.open()
    monday = table(INTERNAL, call(1, status="NO_ANSWER"))
    imported(app, monday, CALLS)
    tuesday = table(INTERNAL, call(1, disposition=CONNECTED), call(2, "2026-03-05T15:00:00Z"))
    done = imported(app, tuesday, CORRECT)
    assert (done.events, done.corrected, done.skipped) == (2, 1, 1)
    last = app.history("101")[-1]
    assert isinstance(last.data, EventCorrected)
    assert (last.data.version, last.data.why) == (
        2,
        "the record has changed since it was imported",
    )
    assert last.recorded_at >= app.history("101")[2].recorded_at
    assert app.load("101").response.kind == "conversation"
    # Neither file changes anything again, in whatever order.
    for content in (tuesday, monday, tuesday):
        again = imported(app, content, CORRECT)
        assert (again.events, again.corrected) == (0, 0)


def test_a_record_that_somebody_retracted_stays_retracted() -> None:
    app = Cadence.open()
    imported(app, table(INTERNAL, call(1, status="NO_ANSWER")), CALLS)
    app.execute("101", EventRetracted(2, "the wrong person"))
    changed = table(INTERNAL, call(1, disposition=CONNECTED))
    assert imported(app, changed, CORRECT).events == 0
    assert app.load("101").silence.attempts == ()


def test_without_a_time_zone_nothing_is_guessed(tmp_path: Path) -> None:
    bare = read_mapping('extends = "hubspot_calls"', "bare.toml")
    error = refused(table(INTERNAL, call()), bare)
    assert "time zone" in error.what
    assert "--timezone" in error.hint
    app = Cadence.open()
    header = INTERNAL + ",Time Zone,Country"
    rows = [(*call(), "Europe/Berlin", "DE"), (*call(2, response="7"), "Europe/Berln", "DE")]
    ((number, what),) = bad_lines(table(header, *rows), bare)
    assert (number, what.split(":")[0]) == (3, "Time Zone")
    imported(app, table(header, rows[0]), bare)
    added = app.history("101")[0].data
    assert isinstance(added, ProspectAdded)
    assert (added.timezone, added.country) == ("Europe/Berlin", "DE")


# HubSpot tasks ------------------------------------------------------------------------------------

TASKS = mapping("hubspot_tasks")
TASK = (
    "hs_object_id,hs_timestamp,hs_task_subject,hs_task_status,hs_task_type,Associated Contact IDs"
)


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        ("COMPLETED", "CALL", [("call", "unknown")]),
        ("COMPLETED", "EMAIL", [("email", "sent")]),
        ("Completed", "Call", [("call", "unknown")]),
        ("COMPLETED", "TODO", None),
        ("NOT_STARTED", "CALL", None),
        ("IN_PROGRESS", "CALL", None),
        ("WAITING", "EMAIL", None),
        ("DEFERRED", "EMAIL", None),
    ],
)
def test_a_hubspot_task_is_an_attempt_once_it_is_done(
    status: str, kind: str, said: list[tuple[str, str]] | None
) -> None:
    app = Cadence.open()
    row = (1, "2026-03-02T15:00:00Z", "Call them", status, kind, 101)
    done = imported(app, table(TASK, row), TASKS)
    if said is None:
        assert sum(done.skipped_rows.values()) == 1
        assert list(app.prospects()) == []
    else:
        assert attempts(app, "101") == said
        assert "when it was due" in str(app.history("101")[1].uncertain)


def test_when_a_hubspot_task_was_completed_counts_before_when_it_was_due() -> None:
    app = Cadence.open()
    header = TASK + ",hs_task_completion_date"
    row = (1, "2026-03-02T15:00:00Z", "", "COMPLETED", "CALL", 101, "1772700000000")
    imported(app, table(header, row), TASKS)
    made = app.history("101")[1]
    assert (made.occurred_at, made.uncertain) == (datetime(2026, 3, 5, 8, 40, tzinfo=UTC), None)


# Salesforce ---------------------------------------------------------------------------------------

SALESFORCE = mapping("salesforce_tasks")
SF = (
    "Id,WhoId,WhatId,OwnerId,Subject,Description,Status,Priority,ActivityDate,CallDisposition,"
    "CallType,CallDurationInSeconds,TaskSubtype,CreatedDate,CompletedDateTime,IsClosed,IsDeleted"
)


def task(**more: object) -> tuple[object, ...]:
    row: dict[str, object] = {
        "Id": "00T1",
        "WhoId": "003A",
        "OwnerId": "005X",
        "Status": "Completed",
        "ActivityDate": "2026-03-02",
        "CallType": "Outbound",
        "TaskSubtype": "Call",
        "CreatedDate": "2026-03-01T10:00:00.000Z",
        "CompletedDateTime": "2026-03-02T15:00:00.000Z",
        "IsClosed": "true",
        "IsDeleted": "false",
        **more,
    }
    return tuple(row.get(name, "") for name in SF.split(","))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, [("call", "unknown")]),
        ({"CallDisposition": "Left Voicemail"}, [("call", "voicemail_left")]),
        (
            {"TaskSubtype": "", "CallDisposition": "no answer", "CallType": ""},
            [("call", "no_answer")],
        ),
        ({"TaskSubtype": "Email", "CallType": ""}, [("email", "sent")]),
        ({"TaskSubtype": "Task", "CallType": ""}, None),
        ({"IsDeleted": "true"}, None),
        ({"IsClosed": "false"}, None),
        ({"IsClosed": "", "Status": "In Progress"}, None),
        ({"CallType": "Internal"}, None),
        ({"WhoId": ""}, None),
        ({"CallType": "Inbound"}, []),
    ],
)
def test_a_salesforce_task_becomes_what_it_was(
    more: dict[str, object], said: list[tuple[str, str]] | None
) -> None:
    app = Cadence.open()
    done = imported(app, table(SF, task(**more)), SALESFORCE)
    if said is None:
        assert sum(done.skipped_rows.values()) == 1
        assert list(app.prospects()) == []
    else:
        assert attempts(app, "003A") == said
        assert len(app.history("003A")) == 2


def test_the_case_of_salesforce_headers_does_not_matter() -> None:
    app = Cadence.open()
    imported(app, table(SF.upper(), task()), SALESFORCE)
    assert attempts(app, "003A") == [("call", "unknown")]


@pytest.mark.parametrize(
    "zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu", ZONE]
)
def test_an_activity_date_is_that_day_on_the_persons_own_calendar(zone: str) -> None:
    app = Cadence.open()
    how = read_mapping(
        f'extends = "salesforce_tasks"\n[prospect]\ntimezone = "{zone}"', "ours.toml"
    )
    imported(app, table(SF, task(CompletedDateTime="")), how)
    made = app.history("003A")[1]
    assert str(made.occurred_at.astimezone(ZoneInfo(zone)).date()) == "2026-03-02"
    assert "CompletedDateTime is missing" in str(made.uncertain)


@pytest.mark.parametrize("theirs", ["Pacific/Kiritimati", "Asia/Tokyo", "Pacific/Pago_Pago"])
@pytest.mark.parametrize("ours", ["America/Los_Angeles", "America/New_York", "Asia/Kolkata"])
def test_of_somebody_who_is_known_a_bare_date_is_a_day_on_their_calendar(
    theirs: str, ours: str
) -> None:
    app = Cadence.open()
    known = datetime(2026, 1, 1, tzinfo=UTC)
    app.execute("003A", ProspectAdded("Ann", theirs), at=known)
    how = read_mapping(
        f'extends = "salesforce_tasks"\n[prospect]\ntimezone = "{ours}"', "ours.toml"
    )
    imported(app, table(SF, task(CompletedDateTime="")), how)
    made = app.history("003A")[1]
    assert str(made.occurred_at.astimezone(ZoneInfo(theirs)).date()) == "2026-03-02"


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"IsClosed": "maybe"}, "IsClosed: 'maybe' is neither true nor false"),
        ({"IsDeleted": "yes"}, "IsDeleted: 'yes' is neither true nor false"),
        (
            {"IsClosed": "", "Status": "Open"},
            "IsClosed: '', Status: 'Open' does not say whether the task is closed",
        ),
    ],
)
def test_what_salesforce_never_writes_is_a_bad_line_and_no_attempt(
    more: dict[str, object], what: str
) -> None:
    content = table(SF, task(), task(Id="00T2", **more))
    assert bad_lines(content, SALESFORCE) == [(3, what)]


@pytest.mark.parametrize(
    ("more", "made"),
    [
        ({"IsClosed": "1", "Status": "Done"}, 1),
        ({"IsClosed": "", "Status": "Completed"}, 1),
        ({"IsClosed": "", "Status": "Deferred"}, 0),
        ({"IsClosed": "0", "Status": "Open"}, 0),
        ({"IsClosed": "TRUE", "IsDeleted": "1"}, 0),
        ({"IsClosed": "true", "IsDeleted": ""}, 1),
    ],
)
def test_an_attempt_is_a_task_that_was_closed_and_not_deleted(
    more: dict[str, object], made: int
) -> None:
    app = Cadence.open()
    imported(app, table(SF, task(**more)), SALESFORCE)
    found = [e for p in app.prospects() for e in app.history(p) if isinstance(e.data, AttemptMade)]
    assert len(found) == made


def test_salesforce_tasks_are_ordered_by_when_they_were_completed() -> None:
    app = Cadence.open()
    rows = [
        task(Id="late", CompletedDateTime="2026-03-04T15:00:00Z", ActivityDate="2026-03-01"),
        task(Id="early", CompletedDateTime="2026-03-03T15:00:00Z", ActivityDate="2026-03-09"),
        task(Id="unsure", CompletedDateTime="", ActivityDate="2026-03-04"),
    ]
    imported(app, table(SF, *rows), SALESFORCE)
    history = app.history("003A")[1:]
    ids = [str(one.command_id).partition(":")[2] for one in history]
    assert ids == ["early", "late", "unsure"]
    assert [one.uncertain is not None for one in history] == [False, False, True]


def test_the_history_says_where_the_order_is_uncertain(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, db = tmp_path / "sf.csv", str(tmp_path / "x.db")
    file.write_bytes(table(SF, task(CompletedDateTime="")))
    how = ["--mapping", "salesforce_tasks", "--timezone", ZONE]
    assert main(["import", str(file), *how, "--db", db]) == 0
    assert main(["replay", "003A", "--db", db]) == 0
    assert "order uncertain: CompletedDateTime is missing" in capsys.readouterr().out
    assert main(["replay", "003A", "--db", db, "--json"]) == 0
    assert '"uncertain":"CompletedDateTime is missing' in capsys.readouterr().out


# A team's own -------------------------------------------------------------------------------------

OWN = """
name = "ours"
format = "csv"
delimiter = "{delimiter}"
encoding = "{encoding}"

[prospect]
id = {{ from = "who" }}
timezone = "Europe/Berlin"

[record]
at = {{ from = "when", formats = {formats}, zone = "prospect" }}

[[rules]]
when = {{ what = "call" }}
event = "attempt"
channel = "call"
disposition = "no_answer"
first_of = "{first_of}"

[[rules]]
when = {{ what = "bought" }}
event = "end"
reason = "bought"

[[rules]]
when = {{ what = "note" }}
event = "interest"
text = {{ from = "text" }}

[[rules]]
when = {{ what = "stop" }}
event = "opt_out"

[[rules]]
when = {{ what = "*" }}
event = "pass_over"
because = "we do not import this"
"""


def own(
    formats: str = '["iso"]', delimiter: str = ",", encoding: str = "utf-8", first: bool = False
) -> Mapping:
    text = OWN.format(formats=formats, delimiter=delimiter, encoding=encoding, first_of="day")
    return read_mapping(text if first else text.replace('first_of = "day"\n', ""), "ours.toml")


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ('["iso"]', "2026-03-02T10:00:00"),
        ('["iso"]', "2026-03-02 09:00:00Z"),
        ('["epoch_s"]', "1772442000"),
        ('["epoch_ms"]', "1772442000000"),
        ('["%d.%m.%Y %H:%M"]', "02.03.2026 10:00"),
        ('["%m/%d/%Y %I:%M %p"]', "03/02/2026 10:00 AM"),
        ('["date", "%d %B %Y, %H:%M"]', "2 March 2026, 10:00"),
    ],
)
def test_a_time_is_read_in_the_formats_that_the_mapping_lists(form: str, text: str) -> None:
    app = Cadence.open()
    imported(app, table("who,when,what", ("kim", text, "call")), own(form))
    assert app.history("kim")[1].occurred_at == datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        *("02.03.2026 10:00", "03/02/2026", "1772442000", "2 March 2026", "2026-03-02", "now", "-"),
        *(
            "2026-02-30T10:00:00",
            "9999-12-31T23:59:59Z",
            "1900-01-01T00:00:00Z",
            "2026-03-02T25:00",
        ),
    ],
)
def test_a_time_in_any_other_format_is_a_bad_line(text: str) -> None:
    ((number, what),) = bad_lines(table("who,when,what", ("kim", text, "call")), own())
    assert number == 2
    assert what.startswith("when: ")


@pytest.mark.parametrize("text", ["99999999999999999999", "-99999999999999", "1.5", "٣", ""])
def test_a_number_that_is_no_time_is_a_bad_line(text: str) -> None:
    ((_, what),) = bad_lines(table("who,when,what", ("kim", text, "call")), own('["epoch_ms"]'))
    assert what.startswith("when: ")


def test_other_events_of_a_mapping() -> None:
    app = Cadence.open()
    rows = [
        ("kim", "2026-03-02T10:00:00", "call", ""),
        ("kim", "2026-03-03T10:00:00", "note", "wants a bigger one"),
        ("kim", "2026-03-04T10:00:00", "bought", ""),
        ("lou", "2026-03-04T10:00:00", "stop", ""),
        ("lou", "2026-03-04T11:00:00", "dance", ""),
        ("lou", "2026-03-04T11:00:00", "", ""),
    ]
    done = imported(app, table("who,when,what,text", *rows), own())
    assert app.load("kim").stage == "won"
    assert app.load("lou").stage == "opted_out"
    assert done.skipped_rows == {"we do not import this": 1, "no rule fits": 1}


def test_the_first_of_a_day_counts_also_in_a_table_in_any_order() -> None:
    app = Cadence.open()
    rows = [
        ("kim", f"2026-03-{day:02}T{hour}:00:00", "call") for day in (3, 2) for hour in (15, 10)
    ]
    done = imported(app, table("who,when,what", *rows), own(first=True))
    assert [one.occurred_at.hour for one in app.history("kim")[1:]] == [9, 9]
    assert done.skipped_rows == {"not the first of its day": 2}


def test_of_several_rules_the_first_that_fits_makes_the_event_whatever_the_case() -> None:
    text = OWN.format(formats='["iso"]', delimiter=",", encoding="utf-8", first_of="day")
    text = text.replace('first_of = "day"\n', "").replace(
        "[[rules]]",
        """[[rules]]
when = { what = "CALL", text = "skip" }
event = "pass_over"
because = "said so"

[[rules]]""",
        1,
    )
    how = read_mapping(text, "ours.toml")
    at = "2026-03-02T10:00:00"
    rows = [("kim", at, what, text) for what in ("CALL", "call", "Call") for text in ("skip", "go")]
    done = imported(Cadence.open(), table("who,when,what,text", *rows), how)
    assert done.skipped_rows == {"said so": 3}
    assert (done.events, done.skipped) == (2, 2)  # without ids the three are one


# What is refused ----------------------------------------------------------------------------------

ROW = ("kim", "2026-03-02T10:00:00", "call")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "missing header"),
        (b"\n\n", "missing header"),
        (b"who;when;what\nkim;2026-03-02T10:00:00;call\n", "missing column 'who'"),
        (b"who,what\n", "missing column 'when'"),
        (b"who,when,what,When\n", "'When' is the name of two columns (2 and 4)"),
        (b"who,when,what, x,x \n", "'x' is the name of two columns"),
        ("who,when,what\n".encode("utf-16"), "UTF-16"),
        (b'who,when,what\nkim,"2026,call\n', "line 2: invalid quote, it is never closed"),
    ],
)
def test_a_file_that_can_not_be_read_is_refused_whole(content: bytes, said: str) -> None:
    assert said in refused(content, own()).what


def test_every_bad_row_is_reported_with_the_line_it_begins_in() -> None:
    rows = [
        ("kim", "yesterday", "call", "x"),
        ("kim", "2026-03-02T10:00:00", "note", "two\nlines,\r\nthree"),
        ("kim", "2026-03-02T10:00:00"),
        ("\x07", "2026-03-02T10:00:00", "call", ""),
        ("x" * 300, "2026-03-02T10:00:00", "call", ""),
    ]
    content = table("who,when,what,text", *rows) + b'kim,"a"b,c,d\n'
    found = bad_lines(content, own())
    assert [number for number, _ in found] == [2, 6, 7, 8, 9]
    starts = [what.split(":")[0] for _, what in found]
    assert starts == [
        "when",
        "invalid row",
        "prospect",
        "prospect",
        "invalid row",
    ]


def test_another_encoding_is_refused_line_by_line_unless_the_mapping_names_it() -> None:
    content = table("who,when,what", ROW, ("Zoë", *ROW[1:]), ROW, ("Jürgen", *ROW[1:]))
    latin = content.decode().encode("windows-1252")
    found = bad_lines(latin, own())
    assert [number for number, _ in found] == [3, 5]
    assert "invalid UTF-8 text: byte 0xeb at 3" in found[0][1]
    app, other = Cadence.open(), Cadence.open()
    imported(app, latin, own(encoding="windows-1252"))
    imported(other, b"\xef\xbb\xbf" + content, own())
    assert list(app.prospects()) == list(other.prospects()) == ["Jürgen", "Zoë", "kim"]


def test_another_delimiter_is_read_if_the_mapping_says_so() -> None:
    for delimiter, written in ((";", ";"), ("\t", "\\t"), ("|", "|")):
        app = Cadence.open()
        imported(app, table("who,when,what", ROW, delimiter=delimiter), own(delimiter=written))
        assert list(app.prospects()) == ["kim"]


def test_unknown_columns_are_listed_and_known_ones_are_not() -> None:
    content = table(INTERNAL + ",Favourite colour,", (*call(), "red", ""))
    done = imported(Cadence.open(), content, CALLS)
    assert done.unknown_columns == ("Favourite colour",)


def test_a_bad_value_of_a_megabyte_is_reported_in_a_line() -> None:
    long = "x/" * 500_000
    header = INTERNAL + ",Time Zone"
    how = read_mapping('extends = "hubspot_calls"', "h.toml")
    rows = [
        (*call(at=long), ZONE),
        (*call(disposition=long), ZONE),
        (*call(response=long), ZONE),
        (*call(), long),
    ]
    found = bad_lines(table(header, *rows), how)
    assert [number for number, _ in found] == [2, 3, 4, 5]
    assert all(len(what) < 600 for _, what in found)


STORABLE = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
UGLY = st.text(STORABLE, max_size=30) | st.sampled_from(
    [
        *('"', '""', "a,b", "a\nb", "a\r\nb", "x\ry", "'", "=1+1", " x "),
        *("שלום", "\u202ex", "👩\u200d👩\u200d👧"),
    ]
)


@given(st.lists(UGLY, min_size=1, max_size=5))
def test_ugly_text_in_any_cell_is_read_as_it_is(texts: list[str]) -> None:
    app = Cadence.open()
    rows = [("kim", f"2026-03-02T10:00:{n:02}", "note", text) for n, text in enumerate(texts)]
    imported(app, table("who,when,what,text", *rows), own())
    found = [one.data.text for one in app.history("kim")[1:]]  # type: ignore[union-attr]
    assert found == [text if text.strip() else "" for text in texts]


def test_the_longest_note_is_read_and_a_longer_one_is_a_bad_line() -> None:
    app = Cadence.open()
    text = 'line "one"\n' * 1_818 + "ü" * 2
    imported(app, table("who,when,what,text", (*ROW[:2], "note", text)), own())
    assert app.history("kim")[1].data.text == text  # type: ignore[union-attr]
    with pytest.raises(ImportRefused, match=r"line 2: data\.text: invalid, 20,001 characters"):
        imported(app, table("who,when,what,text", (*ROW[:2], "note", text + "ü")), own())


def test_csv_without_a_mapping_is_not_guessed_at(tmp_path: Path) -> None:
    file = tmp_path / "calls.csv"
    file.write_bytes(table(INTERNAL, call()))
    with open_input(str(file)) as found, pytest.raises(InputError) as caught:
        choose_source(found)
    assert "--mapping NAME (one of bpic2012, hubspot_calls" in caught.value.hint
    with open_input(str(file)) as found, pytest.raises(InputError, match="the file is not XML"):
        choose_source(found, read_mapping('extends = "bpic2012"', "b.toml"))


# The command --------------------------------------------------------------------------------------


def test_a_preview_shows_the_first_rows_as_events_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [call(n, status="RINGING" if n == 2 else "BUSY") for n in range(1, 30)]
    Path("calls.csv").write_bytes(table(INTERNAL + ",Odd", *((*row, "") for row in rows)))
    base = ["import", "calls.csv", "--mapping", "hubspot_calls", "--timezone", ZONE]
    for preview, count in ((["--preview"], 10), (["--preview", "3"], 3), (["--preview=4"], 4)):
        assert main([*base, *preview]) == 0
        out = capsys.readouterr().out
        assert out.count("AttemptMade") == count
        assert "nothing was written" in out
        assert "skipped: 1 row (a call that is not over yet)" in out
        assert "unknown columns, not imported: Odd" in out
    assert main([*base, "--json", "--preview"]) == 0
    assert '"passed_over":{"a call that is not over yet":1}' in capsys.readouterr().out
    Path("calls.csv").write_bytes(table(INTERNAL, call(at="x"), call()))
    assert main([*base, "--preview", "1"]) == 2
    shown = capsys.readouterr()
    assert "hs_timestamp: invalid 'x'" in shown.out
    assert "1 of the first 1 can't be imported" in shown.err
    assert [path.name for path in tmp_path.iterdir()] == ["calls.csv"]


def test_a_file_that_is_refused_leaves_no_database(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("calls.csv").write_bytes(table(INTERNAL, call(at="x"), call(2), call(3, at="y")))
    how = ["--mapping", "hubspot_calls", "--timezone", ZONE]
    assert main(["import", "calls.csv", *how]) == 2
    first, *lines, hint = capsys.readouterr().err.splitlines()
    assert first == "cadence: 2 bad lines; nothing was imported"
    assert [line.split(":")[0] for line in lines] == ["line 2", "line 4"]
    assert hint == "fix these lines and import the file again"
    assert [path.name for path in tmp_path.iterdir()] == ["calls.csv"]


def test_a_time_zone_without_a_mapping_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "x.jsonl", "--timezone", ZONE]) == 2
    assert "--mapping: missing" in capsys.readouterr().err


def test_events_keep_the_record_they_came_from() -> None:
    app = Cadence.open()
    imported(app, table(INTERNAL, call(77)), CALLS)
    made: Event = app.history("101")[1]
    assert made.command_id == "hubspot_calls:77"
