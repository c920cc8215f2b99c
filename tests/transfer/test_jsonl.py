"""Import and export of JSONL: all or nothing, the same twice, and back without loss."""

import io
import json

import pytest
from clocks import ahead
from hypothesis import given
from hypothesis import strategies as st

from cadence.domain import Gap, Stage
from cadence.store import Cadence
from cadence.transfer import ImportRefused, export_jsonl, import_jsonl


def line(kind: str, at: str, prospect: str = "kim", **more: object) -> dict[str, object]:
    data = more.pop("data", {})
    return {"prospect": prospect, "type": kind, "occurred_at": at, "data": data, **more}


ADDED = line(
    "ProspectAdded",
    "2026-11-30T15:00:00Z",
    data={
        "name": "Kim",
        "timezone": "America/New_York",
        "contact_points": [{"channel": "call", "address": "+12125550100"}],
    },
)
APPOINTED = line("AppointmentSet", "2026-11-30T15:00:00Z", data={"at": "2026-12-01T14:00:00Z"})


def called(at: str, **more: object) -> dict[str, object]:
    parts = [{"channel": "call", "disposition": "no_answer"}]
    return line("AttemptMade", at, data={"parts": parts, **more})


def lines(*objects: dict[str, object]) -> list[bytes]:
    return [json.dumps(one).encode() + b"\n" for one in objects]


def exported(app: Cadence) -> bytes:
    out = io.BytesIO()
    export_jsonl(app, out)
    return out.getvalue()


def test_an_attempt_with_parts_alone_is_filled_in_under_the_policy() -> None:
    app = Cadence.open(clock=ahead)
    import_jsonl(
        app,
        lines(ADDED, APPOINTED, called("2026-12-01T14:00:00Z"), called("2026-12-01T14:10:00Z")),
    )
    made = app.history("kim")[3].data
    assert (made.stage, made.step, made.gap) == ("ten_minutes", "ten_minutes", Gap(0, 10))
    assert made.policy == app.policies.default.ref
    assert made.parts[0].address == "+12125550100"


def test_what_an_attempt_carries_is_kept() -> None:
    app = Cadence.open(clock=ahead)
    given_gap = {"business_days": 9, "minutes": 0}
    import_jsonl(
        app, lines(ADDED, called("2026-12-01T15:00:00Z", stage="spaced", step="x", gap=given_gap))
    )
    made = app.history("kim")[1].data
    assert (made.stage, made.step, made.gap) == ("spaced", "x", Gap(9, 0))


def test_importing_twice_changes_nothing() -> None:
    app = Cadence.open(clock=ahead)
    file = lines(ADDED, APPOINTED, called("2026-12-01T14:00:00Z"))
    assert import_jsonl(app, file).events == 3
    before, rows = exported(app), app.due_rows.stored()
    again = import_jsonl(app, file)
    assert (again.events, again.skipped) == (0, 3)
    assert exported(app) == before
    assert app.due_rows.stored() == rows


def test_a_longer_file_adds_only_what_is_new() -> None:
    app = Cadence.open(clock=ahead)
    import_jsonl(app, lines(ADDED, APPOINTED))
    done = import_jsonl(app, lines(ADDED, APPOINTED, called("2026-12-01T14:00:00Z")))
    assert (done.events, done.skipped) == (1, 2)
    assert app.load("kim").stage is Stage.ON_TIME


def test_an_export_imports_into_the_same_histories_and_the_same_due_list() -> None:
    app, other = Cadence.open(clock=ahead), Cadence.open(clock=ahead)
    import_jsonl(app, lines(ADDED, APPOINTED, called("2026-12-01T14:00:00Z")))
    import_jsonl(other, exported(app).splitlines(keepends=True))
    assert exported(other) == exported(app)
    assert other.due_rows.stored() == app.due_rows.stored()


@given(text=st.text(max_size=300), by=st.text(max_size=20))
def test_any_text_comes_back_as_it_was(text: str, by: str) -> None:
    app, other = Cadence.open(clock=ahead), Cadence.open(clock=ahead)
    noted = line("InterestNoted", "2026-11-30T16:00:00Z", data={"text": text}, by=by)
    import_jsonl(app, lines(ADDED, noted))
    import_jsonl(other, exported(app).splitlines(keepends=True))
    event = other.history("kim")[1]
    assert (event.data.text, event.by) == (text, by)


def test_recorded_at_missing_is_never_before_what_stands_above() -> None:
    app = Cadence.open(clock=ahead)
    late = line("ReplyReceived", "2026-11-29T10:00:00Z", data={"channel": "email"})
    import_jsonl(app, lines(ADDED, APPOINTED, late))
    recorded = [event.recorded_at for event in app.history("kim")]
    assert recorded == sorted(recorded)


def refused(app: Cadence, *objects: dict[str, object]) -> ImportRefused:
    before, rows = exported(app), app.due_rows.stored()
    with pytest.raises(ImportRefused) as caught:
        import_jsonl(app, lines(*objects))
    assert exported(app) == before
    assert app.due_rows.stored() == rows
    return caught.value


def test_different_content_at_a_version_that_is_taken_refuses_the_whole_file() -> None:
    app = Cadence.open(clock=ahead)
    import_jsonl(app, lines(ADDED, APPOINTED))
    other = {**called("2026-12-01T14:00:00Z"), "version": 2}
    new = {**ADDED, "prospect": "lou"}
    error = refused(app, new, other)
    assert [(bad.number, bad.what.split(":")[0]) for bad in error.lines] == [(2, "version")]
    assert "lou" not in list(app.prospects())


def test_a_version_hole_is_named_with_the_version_that_is_missing() -> None:
    error = refused(Cadence.open(clock=ahead), ADDED, {**APPOINTED, "version": 3})
    assert "use 2, the next version" in error.lines[0].hint


def test_every_bad_line_is_reported_with_number_and_field() -> None:
    app = Cadence.open(clock=ahead)
    error = refused(
        app,
        ADDED,
        line("Nonsense", "2026-12-01T14:00:00Z"),
        line("ReplyReceived", "2026-12-01T14:00:00", data={"channel": "call"}),
        line("ReplyReceived", "2026-12-01T14:00:00Z", data={"channel": "by fax"}),
        {**ADDED, "prospect": "lou", "data": {"name": "Lou", "timezone": "Mars/Olympus"}},
    )
    found = [(bad.number, bad.what.split(":")[0]) for bad in error.lines]
    assert found == [
        (2, "type"),
        (3, "occurred_at"),
        (4, "data.channel"),
        (5, "timezone"),
    ]


def test_a_history_begins_with_the_person_and_adds_them_once() -> None:
    app = Cadence.open(clock=ahead)
    assert "missing ProspectAdded" in refused(app, APPOINTED).lines[0].what
    import_jsonl(app, lines(ADDED))
    again = line("ProspectAdded", "2026-12-02T15:00:00Z", data={"name": "K", "timezone": "UTC"})
    assert "was added before" in refused(app, again).lines[0].what
