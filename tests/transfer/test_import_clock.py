"""Nothing is imported that lies after the clock: the machine's, or the one that is given."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cadence.cli.main import main
from cadence.domain.events import Event
from cadence.store import Cadence
from cadence.transfer import ImportRefused, import_all, import_jsonl
from cadence.transfer.formats import EXPORTS, choose_source
from cadence.transfer.importer import ImportResult
from cadence.transfer.input_file import Input
from cadence.transfer.mapping_loader import load_mapping, read_mapping

NOW = datetime(2026, 3, 3, 14, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def opened(now: datetime = NOW) -> Cadence:
    return Cadence.open(None, clock=lambda: now)


def added(at: datetime, prospect: str = "kim", **more: object) -> bytes:
    data = {"name": "Kim", "timezone": "UTC"}
    line = {"prospect": prospect, "type": "ProspectAdded", "occurred_at": at.isoformat()}
    return json.dumps({**line, "data": data, **more}).encode() + b"\n"


def reply(at: datetime, **more: object) -> bytes:
    line = {"prospect": "kim", "type": "ReplyReceived", "occurred_at": at.isoformat()}
    return json.dumps({**line, "data": {"channel": "call"}, **more}).encode() + b"\n"


def bad_lines(
    app: Cadence, lines: list[bytes], at: datetime | None = None
) -> list[tuple[int, str]]:
    with pytest.raises(ImportRefused) as caught:
        import_jsonl(app, lines, at=at)
    assert app.count() == 0
    return [(one.number, one.what.partition(":")[0]) for one in caught.value.lines]


@pytest.mark.parametrize("is_given", [False, True])
def test_every_time_after_the_clock_is_a_bad_line_with_its_field(is_given: bool) -> None:
    with opened(NOW + DAY if is_given else NOW) as app:
        at = NOW if is_given else None
        lines = [
            added(NOW + 6 * MINUTE),
            reply(NOW + 7 * MINUTE),
            reply(NOW, recorded_at="2026-03-04T14:00:00Z"),
            reply(NOW, version=9),
        ]
        assert bad_lines(app, lines, at) == [
            (1, "occurred_at"),
            (2, "occurred_at"),
            (3, "recorded_at"),
            (4, "version"),
        ]


def test_the_clock_of_the_machine_has_five_minutes_of_grace_and_a_given_one_none() -> None:
    lines = [added(NOW + 5 * MINUTE)]
    with opened() as app:
        assert bad_lines(app, lines, NOW) == [(1, "occurred_at")]
        assert import_jsonl(app, lines).events == 1
    with opened() as app:
        assert import_jsonl(app, lines, at=NOW + 5 * MINUTE).events == 1


def test_what_is_stored_already_is_skipped_whatever_the_clock_shows() -> None:
    lines = [added(NOW), reply(NOW + DAY)]
    with opened() as app:
        import_jsonl(app, lines, at=NOW + DAY)
        assert import_jsonl(app, lines).skipped == 2
        out = io.BytesIO()
        EXPORTS["jsonl"](app, out)
        assert import_jsonl(app, out.getvalue().splitlines()).skipped == 2


@pytest.mark.parametrize("form", ["csv", "xes"])
def test_the_formats_of_cadence_are_held_against_the_clock_alike(form: str) -> None:
    out = io.BytesIO()
    with opened(NOW + DAY) as app:
        import_jsonl(app, [added(NOW), reply(NOW + DAY)])
        EXPORTS[form](app, out)
    with opened() as app:
        source = choose_source(Input(io.BytesIO(out.getvalue()), "file"))
        with pytest.raises(ImportRefused, match="occurred_at: invalid 2026-03-04T14:00:00Z, after"):
            import_all(app, source)


def test_an_import_over_a_year_after_everything_known_is_refused_unless_forced() -> None:
    far = NOW.replace(year=2029)
    with opened() as app:
        import_jsonl(app, [added(far)], at=far)  # an empty store takes any time
    with opened() as app:
        import_jsonl(app, [added(NOW)])
        with pytest.raises(ImportRefused, match=r"line 1: recorded_at: .* over a year after"):
            import_jsonl(app, [added(far, "lou")], at=far)
        assert import_jsonl(app, [added(NOW, "eve")], at=far).events == 1
        assert import_jsonl(app, [added(far, "lou")], at=far, force=True).events == 1


# Files of other programs --------------------------------------------------------------------------

TASKS = "Id,WhoId,Status,TaskSubtype,CallType,CallDisposition,CompletedDateTime,ActivityDate\n"
FULL, PLANNED = "2026-03-02T14:05:00Z,", ",2026-03-12"


def task(times: str, record: str = "00T1") -> str:
    return f"{record},003P1,Completed,Call,Outbound,No Answer,{times}\n"


def imported(app: Cadence, text: str, at: datetime | None = None) -> ImportResult:
    extended = 'extends = "salesforce_tasks"\n[prospect]\ntimezone = "America/New_York"\n'
    mapping = read_mapping(extended, "ours.toml")
    source = choose_source(Input(io.BytesIO(text.encode()), "tasks.csv"), mapping)
    return import_all(app, source, at=at)


def attempt(app: Cadence) -> Event:
    return app.history("003P1")[-1]


def test_a_task_closed_before_its_date_happened_at_the_import_at_the_latest() -> None:
    with opened() as app:
        assert imported(app, TASKS + task(PLANNED)).events == 2
        for event in app.history("003P1"):
            assert (event.occurred_at, event.recorded_at) == (NOW, NOW)
        assert attempt(app).uncertain == (
            "ActivityDate names 2026-03-12, after the import; this is the import's time"
        )


@pytest.mark.parametrize("later", [DAY, 30 * DAY])
def test_a_planned_row_is_seen_again_before_and_after_its_date(later: timedelta) -> None:
    with opened() as app:
        imported(app, TASKS + task(PLANNED))
        assert imported(app, TASKS + task(PLANNED), NOW + later).events == 0
    with opened() as app:
        imported(app, TASKS + task(PLANNED), NOW + 30 * DAY)
        assert attempt(app).occurred_at == datetime(2026, 3, 12, 16, tzinfo=UTC)
        assert imported(app, TASKS + task(PLANNED), NOW + 31 * DAY).events == 0
        with pytest.raises(ImportRefused, match="other content"):
            imported(app, TASKS + task(",2026-03-13"), NOW + 31 * DAY)


def test_a_planned_row_is_seen_again_where_a_stored_event_was_recorded_later() -> None:
    with opened() as app:
        imported(app, TASKS + task(FULL), NOW)
        _, event = app.history("003P1")
        app.execute("003P1", event.data, at=NOW + 2 * DAY)
        assert imported(app, TASKS + task(PLANNED, "00T2")).events == 1
        assert imported(app, TASKS + task(PLANNED, "00T2"), NOW + 30 * DAY).events == 0


def test_a_time_of_another_program_after_the_clock_is_a_bad_line_with_its_column() -> None:
    with opened() as app, pytest.raises(ImportRefused) as caught:
        imported(app, TASKS + task(FULL) + task("2026-03-03T14:06:00Z,", "00T2"))
    assert [(one.number, one.what.partition(":")[0]) for one in caught.value.lines] == [
        (3, "CompletedDateTime")
    ]


DAYS = """
name = "days"
format = "csv"
[prospect]
id = { from = "who" }
timezone = "America/New_York"
[record]
at = { from = "day", formats = ["date"] }
id = { from = "who" }
[[rules]]
event = "reply"
channel = "email"
"""


def test_a_bare_day_that_has_begun_is_taken_and_one_that_has_not_is_refused() -> None:
    def days(app: Cadence, day: str, who: str = "jo") -> ImportResult:
        mapping = read_mapping(DAYS, "days.toml")
        source = choose_source(Input(io.BytesIO(f"who,day\n{who},{day}\n".encode()), "f"), mapping)
        return import_all(app, source)

    with opened() as app:
        assert days(app, "2026-03-03").events == 2  # noon there is three hours ahead
        assert app.history("jo")[1].occurred_at == NOW
        with pytest.raises(ImportRefused, match="line 2: day: invalid 2026-03-04T17:00:00Z"):
            days(app, "2026-03-04", "al")


def test_hubspot_tasks_too_say_when_they_were_due() -> None:
    for name in ("salesforce_tasks", "hubspot_tasks"):
        assert any(one.planned for one in load_mapping(name).record.times)


# The command line ---------------------------------------------------------------------------------


def test_import_takes_at_and_force(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file, far = tmp_path / "kim.jsonl", datetime(2150, 1, 1, tzinfo=UTC)
    file.write_bytes(added(far))
    call = ["import", str(file), "--db", str(tmp_path / "x.db")]
    assert main(call) == 2
    assert not (tmp_path / "x.db").exists()
    assert main([*call, "--preview"]) == 2
    assert "after the clock" in capfd.readouterr().out
    assert main([*call, "--at", far.isoformat()]) == 0
    file.write_bytes(added(far.replace(year=2152), "lou"))
    at = ("--at", far.replace(year=2153).isoformat())
    assert main([*call, *at]) == 2
    assert "over a year after" in capfd.readouterr().err
    assert main([*call, *at, "--force"]) == 0
    write = ["note", "lou", "--interest", "x", "--db", call[3]]
    far_at = ("--at", "2160-01-01T00:00:00Z")
    assert main([*write, *far_at]) == 2
    assert main([*write, *far_at, "--force"]) == 0
