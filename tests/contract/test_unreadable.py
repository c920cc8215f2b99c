"""What every store promises of rows that can't be read: one stops one prospect."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from eventsourcing.persistence import StoredEvent

from cadence.analysis.funnel import overview
from cadence.analysis.whatif import whatif
from cadence.audit.runner import audit
from cadence.domain.channels import CALL
from cadence.domain.events import (
    AttemptMade,
    ContactPoint,
    Disposition,
    EndReason,
    Event,
    InterestNoted,
    OptOutRequested,
    Part,
    ProspectAdded,
    Unreadable,
)
from cadence.engine.commands import EndFollowUp, MakeAttempt, SetAppointment
from cadence.engine.decision import Verdict
from cadence.errors import InputError, Refused
from cadence.policy.loader import builtin
from cadence.store import Cadence
from cadence.store.adoption import SkipReason, preview
from cadence.store.serializer import EventMapper
from cadence.transfer.formats import EXPORTS
from cadence.transfer.jsonl import import_jsonl

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
DAY = timedelta(days=1)
ADDED = ProspectAdded(
    "Jerry", "Europe/Berlin", contact_points=(ContactPoint(CALL, "+1 212 555 0101"),)
)


@pytest.fixture
def app(address):
    with Cadence.open(address) as opened:
        yield opened


@pytest.fixture
def store(app):
    return app._recorder


def noted(prospect, version, text="x"):
    return Event(prospect, version, NOW, NOW, InterestNoted(text))


def stored(*events):
    return [EventMapper().to_stored_event(event) for event in events]


def raw(version, state, topic="InterestNoted"):
    return StoredEvent("kramer", version, topic, state)


def damage_of(app):
    """The event of ``kramer`` that can't be read, and the task that it leads to."""
    [event] = [one for one in app.history("kramer") if isinstance(one.data, Unreadable)]
    task = app.explain("kramer", NOW + DAY)
    assert task.verdict is Verdict.TASK
    assert task.reasons[0].rule == "forgotten"
    assert task.reasons[0].events == (event.version,)
    assert event.data.what in task.reasons[0].because
    assert f"event {event.version}" in task.task
    assert "\n" not in task.task + event.data.what
    assert ("damaged" in task.task) is event.data.is_damaged
    assert ("newer version" in task.task) is not event.data.is_damaged
    return event


def goes_on(app, version):
    """Facts are recorded behind it, and the prospect is on the list at any time from then on."""
    noted_now = app.execute("kramer", InterestNoted("x"), at=NOW + DAY)
    assert [event.version for event in noted_now.events] == [version]
    [row] = [row for row in app.due_rows.stored() if row.prospect == "kramer"]
    assert (row.verdict, row.review_from) == ("task", 0)
    assert [one.prospect for one in app.due(NOW - DAY)] == ["kramer"]
    tried = AttemptMade((Part(CALL, Disposition.NO_ANSWER),))
    assert app.execute("kramer", tried, at=NOW + DAY).events[0].version == version + 1
    opted_out = app.execute("kramer", OptOutRequested(), at=NOW + DAY)
    assert opted_out.prospect.stage == "opted_out"
    assert opted_out.decision.verdict is Verdict.TASK
    for command in (
        MakeAttempt(tried.parts, is_strict=True),
        SetAppointment(NOW + 2 * DAY),
        EndFollowUp(EndReason.BOUGHT),
    ):
        with pytest.raises(Refused) as caught:
            app.execute("kramer", command, at=NOW + DAY)
        assert caught.value.rule == "forgotten"
    return app.load("kramer")


def test_the_first_version_of_a_hole_is_named_as_damage(app, store):
    store.insert_events(stored(noted("kramer", 1), noted("kramer", 2), noted("kramer", 4)))
    event = damage_of(app)
    assert (event.version, event.data.what) == (3, "version 3 is missing")
    assert goes_on(app, 5).interests == ("x", "x", "x", "x")


def test_a_stream_without_its_beginning_is_damaged(app, store):
    store.insert_events(stored(noted("kramer", 3)))
    event = damage_of(app)
    assert (event.version, event.data.what) == (1, "versions 1 to 2 are missing")
    goes_on(app, 4)


def test_an_event_of_a_newer_version_is_named_with_what_can_be_read_of_it(app, store):
    good, bad = stored(noted("kramer", 1), noted("kramer", 2))
    state = bad.state.replace(b"InterestNoted", b"HologramSent")
    state = state.replace(b'"data"', b'"command_id":"c-1","tomorrow":true,"data"')
    store.insert_events([good, raw(2, state, "HologramSent")])
    event = damage_of(app)
    assert (event.version, event.data.is_damaged) == (2, False)
    assert event.data.what == "unknown event type 'HologramSent'"
    assert (event.occurred_at, event.recorded_at, event.command_id) == (NOW, NOW, "c-1")
    goes_on(app, 3)


def test_a_newer_shape_number_and_an_unknown_field_need_a_newer_version(app, store):
    for number, (old, new) in enumerate(
        [(b"InterestNoted", b"AttemptMade.9"), (b'"text"', b'"words"')], 1
    ):
        [row] = stored(noted("kramer", number))
        store.insert_events([raw(number, row.state.replace(old, new))])
    first, second = app.history("kramer")
    assert first.data == Unreadable("unknown event type 'AttemptMade.9'")
    assert "unknown field `words`" in second.data.what
    assert not second.data.is_damaged
    assert app.load("kramer").unreadable.version == 1
    goes_on(app, 3)


@pytest.mark.parametrize(
    "state",
    [
        b"{",
        b"null",
        b"[]",
        b"not json at all",
        b'{"prospect": "kramer", "version": 2}',
        b'{"a": 1}\n{"b": 2}',
        b"\x00",
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_broken_json_is_damage_of_one_event(app, store, state):
    first, last = stored(noted("kramer", 1), noted("kramer", 3))
    store.insert_events([first, raw(2, state), last])
    event = damage_of(app)
    assert (event.version, event.data.is_damaged) == (2, True)
    assert goes_on(app, 4).interests == ("x", "x", "x")


def test_a_history_of_which_nothing_can_be_read_is_damaged_and_not_unknown(app, store):
    store.insert_events([raw(1, b"")])
    assert damage_of(app).version == 1
    goes_on(app, 2)


def test_an_event_of_another_prospect_in_its_place_is_damage(app, store):
    good, other = stored(noted("kramer", 1), noted("newman", 2))
    store.insert_events([good, raw(2, other.state)])
    assert damage_of(app).data.what == "version 2 of newman stands in its place"
    goes_on(app, 3)


def test_a_command_repeated_behind_an_unreadable_event_is_recognised(app, store):
    app.execute("kramer", ADDED, at=NOW)
    app.execute("kramer", InterestNoted("x"), at=NOW, command_id="c-1")
    store.insert_events([raw(3, b"{")])
    assert app.execute("kramer", InterestNoted("x"), at=NOW, command_id="c-1").repeated


def test_what_stands_for_an_unreadable_event_is_never_stored(app):
    app.execute("kramer", ADDED, at=NOW)
    with pytest.raises(InputError, match="never stored"):
        app.execute("kramer", Unreadable("x"), at=NOW)
    assert len(app.history("kramer")) == 1


def test_one_unreadable_event_never_stands_in_the_way_of_others(app, store):
    policy = builtin("tip8")
    for name in ("elaine", "jerry", "kramer", "newman"):
        app.execute(name, ADDED, at=NOW)
        app.execute(name, SetAppointment(NOW + DAY), at=NOW)
    store.insert_events([raw(3, b"{")])
    others = ["elaine", "jerry", "newman"]
    later = NOW + DAY
    assert sorted(one.prospect for one in app.due(later)) == sorted([*others, "kramer"])
    assert app.tick(later) == []
    app.due_rows.rebuild()  # the row was written when all could be read
    assert len(list(app.histories.all())) == 4
    assert len(app.histories.of([*others, "kramer"])["kramer"]) == 3
    pages = list(audit(app))
    assert [(one.prospect, one.rule) for page in pages for one in page.findings] == [
        ("kramer", "forgotten")
    ]
    assert sum(page.prospects for page in pages) == 4
    [compared] = whatif(app, policy)
    assert (compared.prospects, compared.left_out) == (3, 1)
    for export in EXPORTS.values():
        out = io.BytesIO()
        written = export(app, out)
        assert [event.prospect for event in written.left_out] == ["kramer"]
        assert written.events == 6
        assert b"kramer" not in out.getvalue()
    assert overview(app.histories.all()).prospects == 4
    moves = preview(app, builtin("are-you-ok"), [*others, "kramer"], later)
    assert [one for one in moves if isinstance(one, SkipReason)] == [SkipReason.UNREADABLE]
    assert len(app.due_rows.stored()) == 4
    lines = [
        b'{"prospect":"%s","type":"InterestNoted","occurred_at":"2026-11-02T10:00:00Z",'
        b'"data":{"text":"imported"}}' % name.encode()
        for name in ("jerry", "kramer")
    ]
    assert import_jsonl(app, lines).events == 2
    assert import_jsonl(app, lines).events == 0
    assert app.history("kramer")[-1].version == 4
