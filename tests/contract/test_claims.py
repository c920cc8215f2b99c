"""One touch is carried out by one worker: claims, on every store."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import pgserver
import pytest
from eventsourcing.persistence import IntegrityError

from cadence import Cadence, Refused
from cadence.audit.auditor import Auditor
from cadence.domain import (
    AttemptMade,
    Channel,
    ContactPoint,
    ContactPointFailed,
    Disposition,
    EventCorrected,
    EventRetracted,
    FollowUpEnded,
    OptOutRequested,
    Part,
    PolicyAdopted,
    ProspectAdded,
    ReplyReceived,
    Stage,
)
from cadence.domain.channels import CALL, EMAIL
from cadence.domain.events import AttemptStage, EndReason, InterestNoted
from cadence.domain.standing import standing
from cadence.engine.claims import Claim, ClaimState, OnExpiry
from cadence.engine.commands import Command, MakeAttempt, SetAppointment
from cadence.engine.decision import Task
from cadence.errors import Conflict, InputError, StoreError, UnknownProspect
from cadence.store.claims import Claims
from cadence.store.recorder import (
    AddressChange,
    AddressesChanged,
    AddressRow,
    ClaimChange,
    ClaimChanged,
    ClaimRow,
    Recorder,
)
from cadence.store.serializer import EventMapper
from cadence.store.writer import StreamWriter

MEETING = datetime(2026, 12, 1, 14, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LEASE = 15 * MINUTE
BOUGHT = FollowUpEnded(EndReason.BOUGHT)
NO_ANSWER = (Part(CALL, Disposition.NO_ANSWER),)
ADDED = ProspectAdded(
    "Jerry",
    "America/New_York",
    "US",
    contact_points=(ContactPoint(CALL, "+12125550100"), ContactPoint(EMAIL, "j@example.com")),
)


class Clock:
    """The store's clock, set by the test."""

    now = MEETING

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(address: str | None, clock: Clock) -> Iterator[Cadence]:
    with Cadence.open(address, clock=clock) as opened:
        begin(opened)
        yield opened


@pytest.fixture
def assumed(app: Cadence, clock: Clock) -> Claim:
    """A claim that ran out; the store has recorded that its touch may have been sent."""
    claim = app.claim("jerry", by="bot", on_expiry="assume_made")
    clock.now = claim.until
    app.tick()
    return claim


def begin(app: Cadence, name: str = "jerry", number: str | None = None) -> None:
    """Add a prospect whose on-time call is due at ``MEETING``."""
    added = ADDED
    if number is not None:
        added = msgspec.structs.replace(ADDED, contact_points=(ContactPoint(CALL, number),))
    app.execute(name, added, at=MEETING - timedelta(days=1))
    app.execute(name, SetAppointment(MEETING), at=MEETING - timedelta(days=1))


def log(app: Cadence, by: str | None, at: datetime | None = None) -> AttemptMade:
    """Log an unanswered call."""
    return attempt_of(app.execute("jerry", MakeAttempt(NO_ANSWER), at=at, by=by).events[-1].data)


def attempt_of(data: object) -> AttemptMade:
    assert isinstance(data, AttemptMade)
    return data


def before_the_next_command(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> list[Any]:
    """Let another program act once, right before a command; what that gives comes into the list."""
    execute, begun, seen = Cadence.execute, [], list[Any]()

    def in_between(self: Cadence, *given: Any, **named: Any) -> object:
        if not begun:
            begun.append(1)
            seen.append(act())
        return execute(self, *given, **named)

    monkeypatch.setattr(Cadence, "execute", in_between)
    return seen


def refusal(app: Cadence, by: str, touch: str | None = None) -> Refused:
    with pytest.raises(Refused) as caught:
        app.claim("jerry", touch, by=by)
    return caught.value


# Taking -------------------------------------------------------------------------------------------


def test_who_holds_no_claim_is_refused_while_another_does(app: Cadence, clock: Clock) -> None:
    touch = app.due(MEETING).items[0].touch
    assert touch is not None
    claim = app.claim("jerry", touch.id, by="ann")
    assert (claim.touch, claim.by, claim.until) == (touch.id, "ann", MEETING + LEASE)
    assert [(part.channel, part.address) for part in claim.parts] == [(CALL, "+12125550100")]
    error = refusal(app, "ben", touch.id)
    assert (error.rule, error.until) == ("claimed", claim.until)
    assert "ann holds it until 2026-12-01T14:15:00Z" in error.what
    clock.now = claim.until - timedelta(microseconds=1)
    refusal(app, "ben")
    clock.now = claim.until
    assert app.claim("jerry", by="ben").by == "ben"


def test_the_holder_who_asks_again_gets_the_same_claim_and_a_longer_lease(
    app: Cadence, clock: Clock
) -> None:
    claim = app.claim("jerry", by="ann")
    clock.now += 5 * MINUTE
    again = app.claim("jerry", claim.touch, by="ann")
    assert (again.token, again.until) == (claim.token, clock.now + LEASE)
    shorter = app.claim("jerry", by="ann", lease=MINUTE)
    assert shorter == again


def test_a_touch_that_is_not_in_order_now_is_refused_by_its_own_rule(app: Cadence) -> None:
    with pytest.raises(Refused) as early:
        app.claim("jerry", by="ann", at=MEETING - timedelta(hours=1))
    assert early.value.rule == "appointment"
    error = refusal(app, "ann", "jerry:9:9:spaced#1")
    assert error.rule == "plan"
    assert "jerry:9:9:spaced#1 is not next" in error.what
    app.execute("jerry", OptOutRequested())
    assert refusal(app, "ann").rule == "plan"
    with pytest.raises(Refused) as opted_out:
        app.claim("jerry", own=CALL, by="ann")
    assert opted_out.value.rule == "opt_out"


def test_an_owner_claims_an_attempt_of_their_own(app: Cadence, clock: Clock) -> None:
    app.execute("new", ADDED)
    clock.now = datetime(2026, 12, 1, 15, tzinfo=UTC)
    with pytest.raises(Refused, match="no touch is next"):
        app.claim("new", by="ann")
    claim = app.claim("new", own=CALL, by="ann")
    assert (claim.touch, claim.stage) == (None, AttemptStage.SPACED)
    assert app.claim("new", own=CALL, by="ann").token == claim.token
    with pytest.raises(Refused, match="ann holds it"):
        app.claim("new", own=EMAIL, by="ben")
    other = app.claim("new", own=EMAIL, by="ann")
    assert other.token != claim.token
    assert not app.release(claim)
    assert app.complete(other, [Part(EMAIL, Disposition.SENT)]).prospect.stage is Stage.SPACED


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("by", {"by": " "}),
        ("by", {"by": "a\nb"}),
        ("lease", {"lease": timedelta(0)}),
        ("lease", {"lease": timedelta(days=31)}),
        ("on_expiry", {"on_expiry": "perhaps"}),
        ("touch, own", {"own": CALL, "touch": "x"}),
        ("own", {"own": "no channel"}),
    ],
)
def test_an_invalid_claim_names_the_value(
    app: Cadence, field: str, given: dict[str, object]
) -> None:
    with pytest.raises(InputError) as caught:
        app.claim("jerry", **{"by": "ann", **given})  # type: ignore[arg-type]
    assert caught.value.what.startswith(f"{field}: ")
    with pytest.raises(InputError):
        app.release("no such token")
    with pytest.raises(UnknownProspect):
        app.claim("nobody", by="ann")


# Ending -------------------------------------------------------------------------------------------


def test_completing_a_claim_logs_the_attempt_and_ends_it(app: Cadence, clock: Clock) -> None:
    claim = app.claim("jerry", by="ann")
    clock.now += MINUTE
    outcome = app.complete(claim.token, NO_ANSWER, note="rang long")
    made = attempt_of(outcome.events[0].data)
    assert (made.step, made.touch, made.broke, made.note) == (
        "on_time",
        claim.touch,
        (),
        "rang long",
    )
    assert (outcome.events[0].by, outcome.overtaken_by) == ("ann", None)
    assert app.claimed_for("jerry", None) is None
    assert not app.release(claim)
    assert app.complete(claim, NO_ANSWER, note="rang long").repeated
    with pytest.raises(InputError, match="command_id"):
        app.complete(claim, [Part(CALL, Disposition.BUSY)])


def test_an_attempt_that_the_holder_logs_completes_the_claim(app: Cadence) -> None:
    app.claim("jerry", by="ann")
    assert log(app, "ann").step == "on_time"
    assert app.claimed_for("jerry", None) is None


def test_a_claim_given_back_is_free_for_others(app: Cadence) -> None:
    claim = app.claim("jerry", by="ann")
    assert app.release(claim)
    assert not app.release(claim)
    assert app.explain("jerry", MEETING).claim is None
    assert app.claim("jerry", by="ben").by == "ben"


def test_an_attempt_while_another_holds_the_claim_is_an_extra_that_broke_claimed(
    app: Cadence, clock: Clock
) -> None:
    claim = app.claim("jerry", by="ann")
    clock.now += MINUTE / 2
    with pytest.raises(Refused) as strict:
        app.execute("jerry", MakeAttempt(NO_ANSWER, is_strict=True), by="ben")
    assert (strict.value.rule, strict.value.until) == ("claimed", claim.until)
    for by in ("ben", None):
        made = log(app, by)
        assert made.stage is AttemptStage.EXTRA
        assert made.broke[0] == "claimed"
    # It took no place, so the one who asked first keeps it, or the person would be rung once more.
    clock.now += MINUTE
    made = attempt_of(app.complete(claim, NO_ANSWER).events[0].data)
    assert (made.step, made.touch) == ("on_time", claim.touch)
    findings = Auditor(app.library.default()).audit(app.history("jerry"))
    assert [one.version for one in findings if one.rule == "claimed"] == [3, 4]


def test_the_polite_exit_that_was_claimed_is_not_sent_again(app: Cadence, clock: Clock) -> None:
    """Also where another sent one without asking: theirs is an extra, the claimed one counts."""
    exit_, at = to_the_exit(app, clock)
    claim = app.claim("jerry", exit_, by="ann", at=at)
    sent = [Part(claim.channels[0], Disposition.SENT)]
    app.execute("jerry", MakeAttempt(tuple(sent)), by="ben", at=at + MINUTE)
    outcome = app.complete(claim, sent, at=at + 2 * MINUTE)
    assert attempt_of(outcome.events[0].data).stage is AttemptStage.POLITE_EXIT
    assert outcome.decision.touch is None


def to_the_exit(app: Cadence, clock: Clock) -> tuple[str, datetime]:
    """Make every touch until the exit is due; return its id and the time."""
    while True:
        decision = app.explain("jerry", clock.now)
        touch = decision.touch
        assert touch is not None
        assert decision.at is not None
        clock.now = max(clock.now, decision.at)
        if touch.stage is Stage.POLITE_EXIT:
            return touch.id, clock.now
        went = {CALL: Disposition.NO_ANSWER}
        parts = [Part(p.channel, went.get(p.channel, Disposition.SENT)) for p in touch.parts]
        app.execute("jerry", MakeAttempt(tuple(parts)), by="ann")


@pytest.mark.parametrize("said", [OptOutRequested(), OptOutRequested(CALL), ReplyReceived(EMAIL)])
def test_what_they_say_is_recorded_and_ends_the_claim(
    app: Cadence, clock: Clock, said: OptOutRequested | ReplyReceived
) -> None:
    claim = app.claim("jerry", by="ann")
    app.execute("jerry", said, at=MEETING + MINUTE)
    assert app.claimed_for("jerry", None) is None
    assert app.explain("jerry", MEETING + MINUTE).claim is None
    clock.now = claim.until + MINUTE
    assert app.tick() == []
    outcome = app.complete(claim, NO_ANSWER, at=MEETING + 2 * MINUTE)
    assert outcome.overtaken_by is not None
    assert outcome.overtaken_by.data == said
    broke = attempt_of(outcome.events[0].data).broke
    assert ("opt_out" in broke) is isinstance(said, OptOutRequested)


@pytest.mark.parametrize("said", [OptOutRequested(), ReplyReceived(EMAIL)])
@pytest.mark.parametrize("is_claimed_again", [False, True])
def test_what_a_machine_may_have_made_is_recorded_whatever_they_said_meanwhile(
    app: Cadence,
    clock: Clock,
    said: OptOutRequested | ReplyReceived,
    is_claimed_again: bool,
) -> None:
    claim = app.claim("jerry", by="bot", on_expiry="assume_made")
    app.execute("jerry", said, at=MEETING + MINUTE)
    assert app.claimed_for("jerry", None) is None
    assert app.tick() == []  # it may still be told
    if is_claimed_again and isinstance(said, ReplyReceived):
        app.claim("jerry", own=CALL, by="ann", at=MEETING + 2 * MINUTE)
    else:
        clock.now = claim.until + MINUTE
        app.tick()
    *_, event = app.history("jerry")
    attempt = attempt_of(event.data)
    assert [part.disposition for part in attempt.parts] == [Disposition.UNKNOWN]
    assert (event.occurred_at, event.by) == (claim.at, "bot")
    assert app.tick() == []
    outcome = app.complete(claim, NO_ANSWER, at=clock.now)
    assert outcome.overtaken_by is not None
    assert outcome.overtaken_by.data == said
    assert [one.data for one in app.history("jerry") if one.version == event.version] == [attempt]
    truth = outcome.events[0].data
    assert isinstance(truth, EventCorrected)
    assert truth.version == event.version
    assert attempt_of(truth.data).parts[0].disposition is Disposition.NO_ANSWER


def test_what_an_import_brings_ends_the_claim_too(app: Cadence) -> None:
    app.claim("jerry", by="ann")
    history = app.history("jerry")
    reply = history[-1]
    reply = type(reply)("jerry", 3, MEETING, MEETING, ReplyReceived(EMAIL))
    app.histories.append([([*history, reply], 2)])
    assert app.claimed_for("jerry", None) is None
    assert app.claim("jerry", own=EMAIL, by="ben", at=MEETING + MINUTE * 60).by == "ben"


# A lease that ran out -----------------------------------------------------------------------------


def test_a_lease_that_ran_out_returns_and_says_who_had_it(app: Cadence, clock: Clock) -> None:
    claim = app.claim("jerry", by="ann")
    assert shown(app) == ("ann", claim.until, ClaimState.HELD)
    clock.now = claim.until
    assert shown(app) == ("ann", claim.until, ClaimState.RETURNED)
    outcome = app.complete(claim, NO_ANSWER)
    made = attempt_of(outcome.events[0].data)
    assert (made.step, made.broke, outcome.overtaken_by) == ("on_time", (), None)
    assert app.explain("jerry", clock.now).claim is None


def shown(app: Cadence) -> tuple[str, datetime, ClaimState] | None:
    (decision,) = app.due(MEETING).items
    assert decision == app.explain("jerry", MEETING)
    if decision.claim is None:
        assert "claim" not in decision.to_dict()
        return None
    plain = decision.to_dict()["claim"]
    assert (plain["by"], plain["state"]) == (decision.claim.by, decision.claim.state.value)
    return decision.claim.by, decision.claim.until, decision.claim.state


def test_a_late_completion_after_another_took_the_touch_is_an_extra(
    app: Cadence, clock: Clock
) -> None:
    claim = app.claim("jerry", by="ann")
    clock.now = claim.until
    other = app.claim("jerry", by="ben")
    made = attempt_of(app.complete(claim, NO_ANSWER).events[0].data)
    assert (made.stage, made.broke) == (AttemptStage.EXTRA, ("claimed",))
    assert app.complete(other, NO_ANSWER).prospect.stage is Stage.ON_TIME


def test_leases_run_on_the_clock_of_the_store_whatever_time_is_given(
    app: Cadence, clock: Clock
) -> None:
    claim = app.claim("jerry", by="ann", at=MEETING + 3 * MINUTE)
    assert (claim.at, claim.claimed_at) == (MEETING + 3 * MINUTE, MEETING)
    with pytest.raises(Refused):
        app.claim("jerry", by="ben", at=MEETING + 14 * MINUTE)
    clock.now = claim.until
    assert app.claim("jerry", by="ben", at=MEETING + 4 * MINUTE).by == "ben"


@pytest.mark.parametrize("writer", ["tick", "note", "attempt", "claim"])
def test_what_may_have_been_sent_is_recorded_as_unknown_by_the_next_writer(
    app: Cadence, clock: Clock, writer: str
) -> None:
    claim = app.claim("jerry", by="bot", on_expiry="assume_made")
    clock.now = claim.until
    assert shown(app) == ("bot", claim.until, ClaimState.UNKNOWN)
    claimed = app.claimed_for("jerry", "ann")
    assert claimed is not None
    assert not claimed.is_own
    if writer == "tick":
        (outcome,) = app.tick()
        assert outcome.prospect.id == "jerry"
    elif writer == "note":
        app.execute("jerry", InterestNoted("boats"))
    elif writer == "attempt":
        assert log(app, "ann").step != "on_time"
    else:
        refusal(app, "ann", claim.touch)
    event = app.history("jerry")[2]
    made = attempt_of(event.data)
    assert (event.by, event.occurred_at, event.recorded_at) == ("bot", MEETING, clock.now)
    assert made.parts == claim.parts
    assert (made.step, made.touch, made.broke) == ("on_time", claim.touch, ())
    assert made.parts[0].disposition is Disposition.UNKNOWN
    assert app.claimed_for("jerry", None) is None
    assert app.tick() == []


def test_the_holder_who_comes_late_says_what_was_done_and_nothing_is_assumed(
    app: Cadence, clock: Clock
) -> None:
    claim = app.claim("jerry", by="bot", on_expiry="assume_made")
    clock.now = claim.until + MINUTE
    app.complete(claim, NO_ANSWER)
    assert app.tick() == []
    assert [type(event.data) for event in app.history("jerry")[2:]] == [AttemptMade]


def test_the_late_truth_corrects_what_was_assumed(app: Cadence, assumed: Claim) -> None:
    outcome = app.complete(assumed, NO_ANSWER)
    (event,) = outcome.events
    assert isinstance(event.data, EventCorrected)
    assert event.data.version == 3
    (made,) = outcome.prospect.silence.attempts
    assert (made.at, made.step, made.version) == (MEETING, "on_time", 3)
    assert made.parts[0].disposition is Disposition.NO_ANSWER
    assert app.complete(assumed, NO_ANSWER).repeated


def test_a_report_that_comes_late_says_when_the_attempt_was_made(
    app: Cadence, clock: Clock
) -> None:
    """A dialler's webhook is delivered an hour later."""
    claim = app.claim("jerry", by="dialler")
    clock.now += 60 * MINUTE
    outcome = app.complete(claim, NO_ANSWER, occurred_at=MEETING + MINUTE)
    (event,) = outcome.events
    assert (event.occurred_at, event.recorded_at) == (MEETING + MINUTE, clock.now)
    assert attempt_of(event.data).stage is AttemptStage.ON_TIME
    assert not attempt_of(event.data).broke
    again = app.complete(claim, NO_ANSWER, occurred_at=MEETING + MINUTE)
    assert again.repeated
    assert again.events == outcome.events


def test_a_late_report_moves_what_was_assumed_to_when_it_was_made(
    app: Cadence, clock: Clock, assumed: Claim
) -> None:
    clock.now += 60 * MINUTE
    (event,) = app.complete(assumed, NO_ANSWER, occurred_at=MEETING + MINUTE).events
    assert isinstance(event.data, EventCorrected)
    (made,) = [
        one for one, _ in standing(app.history("jerry")) if isinstance(one.data, AttemptMade)
    ]
    assert made.occurred_at == MEETING + MINUTE
    assert made.data.parts[0].disposition is Disposition.NO_ANSWER
    assert app.complete(assumed, NO_ANSWER, occurred_at=MEETING + MINUTE).repeated


def test_no_attempt_is_made_after_it_is_recorded(
    app: Cadence, clock: Clock, assumed: Claim
) -> None:
    with pytest.raises(InputError, match="jerry: invalid occurred_at 2026-12-01T15:15:00Z"):
        app.complete(assumed, NO_ANSWER, occurred_at=clock.now + 60 * MINUTE)
    later = EventCorrected(3, AttemptMade(NO_ANSWER), clock.now + 60 * MINUTE)
    with pytest.raises(InputError, match="jerry: invalid occurred_at 2026-12-01T15:15:00Z"):
        app.execute("jerry", later)
    with pytest.raises(InputError, match="occurred_at: missing time zone"):
        app.complete(assumed, NO_ANSWER, occurred_at=MEETING.replace(tzinfo=None))


def test_the_late_truth_is_recorded_where_what_was_assumed_has_been_taken_back(
    app: Cadence, assumed: Claim
) -> None:
    """A user took it back as not made; the worker, who knows, says that it was."""
    app.execute("jerry", EventRetracted(3, "the bot was down"), by="ann")
    outcome = app.complete(assumed, NO_ANSWER)
    made = attempt_of(outcome.events[0].data)
    assert (made.parts[0].disposition, outcome.events[0].occurred_at) == ("no_answer", MEETING)
    assert [one.version for one in outcome.prospect.silence.attempts] == [5]
    assert app.complete(assumed, NO_ANSWER).repeated


def test_a_late_truth_is_recorded_also_by_a_clock_that_has_gone_back(
    app: Cadence, clock: Clock, assumed: Claim
) -> None:
    app.execute("jerry", EventRetracted(3, "the bot was down"), by="ann")
    clock.now = MEETING - 60 * MINUTE
    (event,) = app.complete(assumed, NO_ANSWER).events
    assert event.occurred_at == clock.now


def test_what_was_assumed_and_taken_back_already_is_not_taken_back_twice(
    app: Cadence, assumed: Claim
) -> None:
    app.execute("jerry", EventRetracted(3, "the bot was down"), by="ann")
    assert app.complete(assumed, not_made=True).events == ()


def test_a_late_truth_that_was_taken_back_has_no_second_effect(
    app: Cadence, assumed: Claim
) -> None:
    app.complete(assumed, NO_ANSWER)
    app.execute("jerry", EventRetracted(3, "another prospect's"), by="ann")
    assert app.complete(assumed, NO_ANSWER).repeated
    assert app.load("jerry").silence.attempts == ()


def test_under_an_unknown_policy_what_a_claim_says_of_an_attempt_is_recorded(app: Cadence) -> None:
    """Another program adopted a policy that this one does not have."""
    claim = app.claim("jerry", by="ann")
    app.execute("jerry", PolicyAdopted("theirs", 2, "d"))
    logged = attempt_of(app.execute("jerry", AttemptMade(NO_ANSWER), by="bob").events[0].data)
    assert (logged.stage, logged.broke) == ("extra", ("claimed",))
    logged = attempt_of(app.execute("jerry", MakeAttempt(NO_ANSWER), by="bob").events[0].data)
    assert (logged.stage, logged.broke) == ("extra", ("claimed",))
    with pytest.raises(Refused):
        app.execute("jerry", MakeAttempt(NO_ANSWER, is_strict=True), by="bob")
    made = attempt_of(app.complete(claim, NO_ANSWER).events[0].data)
    assert (made.stage, made.step, made.touch, made.broke) == (
        "on_time",
        "on_time",
        claim.touch,
        (),
    )


def test_what_was_assumed_and_not_made_is_retracted(
    app: Cadence, clock: Clock, assumed: Claim
) -> None:
    outcome = app.complete(assumed, not_made=True)
    assert [type(event.data) for event in outcome.events] == [EventRetracted]
    assert outcome.prospect.silence.attempts == ()
    touch = app.explain("jerry", clock.now).touch
    assert touch is not None
    assert touch.id == assumed.touch


@pytest.mark.parametrize("late", [False, True])
def test_a_claim_is_completed_by_another_channel_too(
    app: Cadence, clock: Clock, late: bool
) -> None:
    claim = app.claim("jerry", by="bot", on_expiry="assume_made")
    if late:
        clock.now = claim.until
    app.complete(claim, (Part(Channel("email"), Disposition.SENT),))
    clock.now = claim.until
    assert app.tick() == []
    assert app.claimed_for("jerry", "ann") is None
    assert [type(event.data) for event in app.history("jerry")[2:]] == [AttemptMade]


def test_a_claim_whose_touch_was_not_made_is_given_back(app: Cadence, clock: Clock) -> None:
    claim = app.claim("jerry", by="bot")
    assert app.complete(claim, not_made=True).events == ()
    assert app.claimed_for("jerry", "ann") is None
    with pytest.raises(InputError, match=f"claim {claim.token}: missing parts"):
        app.complete(claim)
    with pytest.raises(InputError, match=f"claim {claim.token}: invalid parts with not_made"):
        app.complete(claim, NO_ANSWER, not_made=True)


def test_an_exit_that_did_go_out_awaits_its_answer_after_the_late_truth(
    app: Cadence, clock: Clock
) -> None:
    exit_, _ = to_the_exit(app, clock)
    claim = app.claim("jerry", exit_, by="bot", on_expiry="assume_made")
    clock.now = claim.until
    app.tick()
    sent = tuple(
        Part(part.channel, Disposition.SENT, part.address, part.key) for part in claim.parts
    )
    outcome = app.complete(claim, sent)
    assert outcome.prospect.exit_delivered() is not None
    assert outcome.decision.verdict == "wait"


# The rows -----------------------------------------------------------------------------------------


def row(token: str, prospect: str = "jerry", ended: str | None = None) -> ClaimRow:
    return ClaimRow(token, prospect, "{}", ended)


def test_a_change_of_a_claim_is_written_only_over_what_was_seen(app: Cadence) -> None:
    store = app._recorder
    take = ClaimChange("jerry", taken=row("one"), version=2)
    with pytest.raises(ClaimChanged):
        store.insert_events([], claims=[take._replace(version=1)])
    with pytest.raises(ClaimChanged):
        store.insert_events([], claims=[take._replace(seen="another")])
    store.insert_events([], claims=[take])
    with pytest.raises(IntegrityError):
        store.insert_events([], claims=[take._replace(taken=row("two"))])
    assert store.open_claims() == store.open_claims("jerry") == [row("one")]
    assert store.open_claims("kramer") == []
    store.insert_events([], claims=[ClaimChange("jerry", "one", "expired", row("two"), 2)])
    assert store.open_claims() == [row("two")]
    assert store.find_claim("one") == row("one", ended="expired")
    assert store.find_claim("three") is None


def test_events_and_the_end_of_a_claim_are_written_together_or_not_at_all(app: Cadence) -> None:
    store = app._recorder
    store.insert_events([], claims=[ClaimChange("jerry", taken=row("one"), version=2)])
    (event,) = map(EventMapper().to_stored_event, [app.history("jerry")[1]])
    with pytest.raises(IntegrityError):
        store.insert_events([event], claims=[ClaimChange("jerry", "one", "made")])
    newer = type(event)(event.originator_id, 3, event.topic, event.state)
    with pytest.raises(ClaimChanged):
        store.insert_events([newer], claims=[ClaimChange("jerry")])
    assert store.open_claims("jerry") == [row("one")]
    assert len(app.history("jerry")) == 2


def test_two_prospects_are_written_together_or_not_at_all(app: Cadence) -> None:
    store = app._recorder
    told = AddressRow("+1", "+1", "jerry", "{}", speaks=True)
    jerry, kramer = AddressChange("jerry", ("+1",), (), (told,)), AddressChange("kramer", ("+1",))
    first = ClaimChange("jerry", taken=row("one"))
    with pytest.raises(ClaimChanged):
        store.insert_events([], claims=[first, ClaimChange("kramer", seen="two")])
    other = AddressChange("kramer", ("+1",), (told._replace(speaks=False),))
    with pytest.raises(AddressesChanged):
        store.insert_events([], claims=[first], addresses=[jerry, other])
    assert not store.open_claims()
    assert not store.select_addresses(["+1"])
    # Each is held against what was there before: not against what the other writes.
    also = ClaimChange("kramer", taken=row("two", "kramer"))
    seen = kramer._replace(seen=(), written=(told._replace(prospect="kramer"),))
    store.insert_events([], claims=[first, also], addresses=[jerry, seen])
    assert store.open_claims() == [row("one"), row("two", "kramer")]
    assert [one.prospect for one in store.select_addresses(["+1"])] == ["jerry", "kramer"]


@pytest.mark.parametrize("address", ["sqlite", "postgres"], indirect=True)
def test_the_table_is_added_to_the_database_of_an_older_cadence(
    app: Cadence, address: str, clock: Clock
) -> None:
    drop = "DROP TABLE {}claims"
    if address.startswith("postgresql"):
        with pgserver.connect(address) as connection:
            connection.execute(drop.format(f"{pgserver.schema_of(address)}."))  # type: ignore[arg-type]
    else:
        app.close()
        with closing(sqlite3.connect(address)) as connection, connection:
            connection.execute(drop.format(""))
    with Cadence.open(address, read_only=True, clock=clock) as reader:
        assert [one.claim for one in reader.due(MEETING)] == [None]
        with pytest.raises(InputError):
            reader.complete("token", NO_ANSWER)
    with Cadence.open(address, clock=clock) as again:
        assert again.claim("jerry", by="ann").by == "ann"


# Two workers --------------------------------------------------------------------------------------

ROUNDS = 200
WORKER = """
import sys
from datetime import UTC, datetime
from cadence import Cadence, Refused

address, name = sys.argv[1:]
now = datetime(2026, 12, 1, 14, tzinfo=UTC)
with Cadence.open(address, clock=lambda: now, lock_timeout_seconds=30) as app:
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            app.claim(line.strip(), by=name)
        except Refused as error:
            print(error.rule, flush=True)
        else:
            print("mine", flush=True)
"""


@pytest.mark.parametrize("address", ["sqlite", "postgres"], indirect=True)
def test_of_two_processes_that_claim_one_touch_exactly_one_gets_it(
    address: str, clock: Clock
) -> None:
    names = [f"p{number}" for number in range(ROUNDS)]
    with Cadence.open(address, clock=clock) as app:
        for number, name in enumerate(names):
            begin(app, name, f"+1212556{number:04}")
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, address, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    try:
        for worker in workers:
            assert ask(worker) == "ready"
        for name in names:
            for worker in workers:
                assert worker.stdin is not None
                worker.stdin.write(f"{name}\n")
                worker.stdin.flush()
            assert sorted(map(ask, workers)) == ["claimed", "mine"]
    finally:
        for worker in workers:
            worker.communicate()
    with Cadence.open(address, clock=clock) as app:
        assert len(app._recorder.open_claims()) == ROUNDS


def ask(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout is not None
    return worker.stdout.readline().strip()


def test_an_attempt_and_a_claim_at_the_same_moment_see_each_other(
    app: Cadence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim is taken between the reading and the writing of an attempt without one."""
    taken: list[Claim] = []
    append = StreamWriter.write

    def claim_first(self: StreamWriter, *given: object) -> None:
        if not taken:
            taken.append(app.claim("jerry", by="ann"))
        append(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(StreamWriter, "write", claim_first)
    assert log(app, "ben").broke == ("claimed",)
    assert app.claimed_for("jerry", "ann") == (taken[0], True)


def test_an_exit_of_unknown_outcome_is_a_task_and_not_the_next_channel(
    app: Cadence, clock: Clock
) -> None:
    exit_, _ = to_the_exit(app, clock)
    claim = app.claim("jerry", exit_, by="bot", on_expiry="assume_made")
    clock.now = claim.until
    (outcome,) = app.tick()
    for days in (0, 1, 30, 300):
        decision = app.explain("jerry", clock.now + timedelta(days=days))
        assert isinstance(decision, Task)
        assert "find out whether the polite exit went out" in decision.task
        assert decision.reasons[0].events == (outcome.events[0].version,)
    assert app.tick(clock.now + timedelta(days=300)) == []
    # Where it is known that it did not arrive, the next channel has its turn.
    used = claim.parts[0]
    app.execute("jerry", ContactPointFailed(used.channel, used.address or ""))
    touch = app.explain("jerry", clock.now).touch
    assert touch is not None
    assert used.channel not in [part.channel for part in touch.parts]


# What comes in between ---------------------------------------------------------------------------


def test_an_opt_out_of_another_channel_leaves_the_claim_standing(app: Cadence) -> None:
    claim = app.claim("jerry", by="ann")
    app.execute("jerry", OptOutRequested(EMAIL))
    with pytest.raises(Refused) as refused:
        app.claim("jerry", own=CALL, by="bo")
    assert refused.value.rule == "claimed"
    assert app.complete(claim, NO_ANSWER).overtaken_by is None
    again = app.claim("jerry", own=CALL, by="ann", at=MEETING + 3 * timedelta(days=1))
    word = app.execute("jerry", OptOutRequested(except_channels=(EMAIL,))).events[0]
    assert app.complete(again, NO_ANSWER).overtaken_by == word


@pytest.mark.parametrize("first", ["tick", "complete"])
def test_an_attempt_that_is_assumed_while_it_is_completed_is_recorded_once(
    app: Cadence, clock: Clock, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    claim = app.claim("jerry", by="bot", on_expiry="assume_made")
    clock.now = claim.until + MINUTE
    acts = [app.tick, lambda: app.complete(claim, NO_ANSWER)]
    between, act = acts if first == "tick" else reversed(acts)
    before_the_next_command(monkeypatch, between)
    act()
    made = [one for one, _ in standing(app.history("jerry")) if isinstance(one.data, AttemptMade)]
    assert [attempt_of(one.data).parts[0].disposition for one in made] == ["no_answer"]


@pytest.mark.parametrize("other", ["tick", "bought"])
def test_a_follow_up_that_two_programs_end_at_once_is_ended_once_by_tick(
    app: Cadence, clock: Clock, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    app.execute("jerry", ContactPointFailed(CALL, "+12125550100"))
    app.execute("jerry", ContactPointFailed(EMAIL, "j@example.com"))
    end = app.tick if other == "tick" else lambda: [app.execute("jerry", BOUGHT)]
    seen = before_the_next_command(monkeypatch, end)
    assert app.tick() == []
    ends = [one.data for one in app.history("jerry") if isinstance(one.data, FollowUpEnded)]
    assert [len(outcomes) for outcomes in seen] == [1]
    assert [one.reason for one in ends] == ["unreachable" if other == "tick" else "bought"]


def test_an_attempt_that_two_programs_assume_at_once_is_reported_by_one(
    app: Cadence, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = app.claim("jerry", by="bot", on_expiry="assume_made")
    clock.now = claim.until
    seen = before_the_next_command(monkeypatch, app.tick)
    assert app.tick() == []
    assert [len(outcomes) for outcomes in seen] == [1]


def test_what_was_not_made_is_not_assumed_by_a_tick_at_that_moment(
    app: Cadence, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = app.claim("jerry", by="bot", on_expiry="assume_made")
    clock.now = claim.until
    before_the_next_command(monkeypatch, lambda: app.complete(claim, not_made=True))
    assert app.tick() == []
    assert not [one for one in app.history("jerry") if isinstance(one.data, AttemptMade)]


def test_a_claim_that_is_refused_records_nothing(app: Cadence) -> None:
    app.claim("jerry", by="bot", on_expiry="assume_made")
    app.execute("jerry", OptOutRequested())
    before = app.history("jerry")
    assert refusal(app, "bot").rule == "claimed"
    assert refusal(app, "bo").rule == "plan"
    assert app.history("jerry") == before


def test_a_holder_says_what_was_done_before_the_next_claim(app: Cadence, clock: Clock) -> None:
    claim = app.claim("jerry", by="bot", on_expiry="assume_made")
    app.execute("jerry", ReplyReceived(EMAIL))
    caught = refusal(app, "bot")
    assert f"claim {claim.token} of bot was ended by event 3 (ReplyReceived)" in caught.what
    assert app.claim_next(5, by="bo") == []
    app.complete(claim, not_made=True)
    assert not [one for one in app.history("jerry") if isinstance(one.data, AttemptMade)]


def test_a_claim_that_is_renewed_gets_no_less_safe(app: Cadence, clock: Clock) -> None:
    first = app.claim("jerry", by="bot", lease=LEASE)
    asked = app.claim("jerry", by="bot", lease=MINUTE, on_expiry="assume_made")
    assert (asked.token, asked.until, asked.on_expiry) == (first.token, first.until, "assume_made")
    assert app.claim("jerry", by="bot", lease=2 * LEASE).on_expiry == "assume_made"
    clock.now = MEETING + 2 * LEASE
    (outcome,) = app.tick()
    assert attempt_of(outcome.events[0].data).parts[0].disposition is Disposition.UNKNOWN


@pytest.mark.parametrize(("on_expiry", "rule"), [("return", "plan"), ("assume_made", "claimed")])
def test_a_claim_is_not_renewed_over_an_opt_out_that_comes_in_between(
    app: Cadence, monkeypatch: pytest.MonkeyPatch, on_expiry: OnExpiry, rule: str
) -> None:
    claim = app.claim("jerry", by="ann", on_expiry=on_expiry)
    before_the_next_write(app, monkeypatch, OptOutRequested())
    with pytest.raises(Refused) as refused:
        app.claim("jerry", by="ann", on_expiry=on_expiry)
    assert refused.value.rule == rule
    assert app._claims.going_on(["jerry"]) == {}
    assert app.complete(claim, not_made=True).prospect.stage is Stage.OPTED_OUT


def test_a_claim_is_renewed_over_a_note_that_comes_in_between(
    app: Cadence, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = app.claim("jerry", by="ann")
    clock.now += MINUTE
    before_the_next_write(app, monkeypatch, InterestNoted("boats"))
    again = app.claim("jerry", by="ann")
    assert (again.token, again.until) == (claim.token, clock.now + LEASE)


def before_the_next_write(app: Cadence, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    """Let another writer record something after what comes next is judged, before it is written."""
    kind, begun = type(app._recorder), list[int]()
    insert = kind.insert_events

    def after_it(self: Recorder, *given: object, **named: object) -> object:
        if not begun:
            begun.append(1)
            app.execute("jerry", command)
        return insert(self, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "insert_events", after_it)


def test_an_attempt_that_is_assumed_while_its_claim_is_given_back_is_retracted(
    app: Cadence, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = app.claim("jerry", by="bot", on_expiry="assume_made")
    clock.now = claim.until
    release = Claims.release

    def after_a_tick(self: Claims, given: Claim | str) -> bool:
        app.tick()
        return release(self, given)

    monkeypatch.setattr(Claims, "release", after_a_tick)
    outcome = app.complete(claim, not_made=True)
    assert [type(event.data) for event in outcome.events] == [EventRetracted]
    assert not any(isinstance(one.data, AttemptMade) for one, _ in standing(app.history("jerry")))


def test_a_store_that_is_read_only_gives_no_claim_back(app: Cadence, clock: Clock) -> None:
    claim = app.claim("jerry", by="ann")
    reader = Cadence(app._recorder, read_only=True, clock=clock)
    for give_back in (reader.release, partial(reader.complete, not_made=True)):
        with pytest.raises(StoreError, match="read-only"):
            give_back(claim)
    assert app.claimed_for("jerry", "ann") == (claim, True)


def test_a_completion_at_a_time_without_a_zone_changes_nothing(app: Cadence) -> None:
    claim = app.claim("jerry", by="ann")
    naive = MEETING.replace(tzinfo=None)
    for done in (
        partial(app.complete, claim, not_made=True),
        partial(app.complete, claim, NO_ANSWER),
    ):
        with pytest.raises(InputError, match=r"^at: "):
            done(at=naive)
    assert app.claimed_for("jerry", "ann") == (claim, True)


def test_a_completion_that_is_overtaken_again_and_again_may_be_tried_later(
    app: Cadence, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = app.claim("jerry", by="ann")
    execute, told = Cadence.execute, list[int]()

    def after_a_note(self: Cadence, *given: object, **named: object) -> object:
        told.append(1)
        execute(self, "jerry", InterestNoted(f"boat {len(told)}"))
        return execute(self, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("cadence.store.claims._RETRIES", 3)
    monkeypatch.setattr(Cadence, "execute", after_a_note)
    with pytest.raises(Conflict, match="changed 3 times in a row") as caught:
        app.complete(claim, NO_ANSWER)
    assert caught.value.retryable
    monkeypatch.undo()
    assert len(app.complete(claim, NO_ANSWER).events) == 1


# Several at once ----------------------------------------------------------------------------------


def test_the_touches_that_are_due_longest_are_claimed_up_to_a_number(
    app: Cadence, clock: Clock
) -> None:
    for number in range(5):
        begin(app, f"p{number}", f"+1212557{number:04}")
    clock.now = MEETING + MINUTE
    first = app.claim_next(2, by="ann")
    second = app.claim_next(10, by="bo", channel="call")
    assert [claim.prospect for claim in first] == ["jerry", "p0"]
    assert [claim.prospect for claim in second] == ["p1", "p2", "p3", "p4"]
    assert {claim.by for claim in second} == {"bo"}
    assert app.claim_next(10, by="cy") == app.claim_next(1, by="cy", owner="sam") == []
    app.release(first[1])
    assert [claim.prospect for claim in app.claim_next(1, by="cy")] == ["p0"]
    with pytest.raises(InputError):
        app.claim_next(0, by="cy")


def test_of_two_records_with_one_number_one_is_claimed_with_the_others(app: Cadence) -> None:
    begin(app, "twin", "+1 212 555 0100")
    assert [claim.prospect for claim in app.claim_next(5, by="ann")] == ["jerry"]


# Several records of one address -------------------------------------------------------------------


def twins(app: Cadence, address: str = "(212) 555-0100") -> None:
    """Another record of Jerry's number, spelled otherwise."""
    points = (ContactPoint(CALL, address), ContactPoint(EMAIL, "twin@example.com"))
    added = ProspectAdded("Jerry", "America/New_York", "US", contact_points=points)
    app.execute("twin", added, at=MEETING - timedelta(days=1))


def test_a_number_that_two_records_have_is_claimed_once(app: Cadence, clock: Clock) -> None:
    twins(app)
    claim = app.claim("jerry", by="ann")
    with pytest.raises(Refused) as refused:
        app.claim("twin", own=CALL, by="bo")
    assert refused.value.rule == "claimed"
    assert refused.value.until == claim.until
    assert "ann holds jerry, who has +12125550100 too, until" in refused.value.what
    # Another address of theirs is free, and so is the number once it is given back.
    app.release(app.claim("twin", own=EMAIL, by="bo"))
    app.release(claim)
    app.release(app.claim("twin", own=CALL, by="bo"))
    app.claim("jerry", by="ann")
    clock.now += 2 * LEASE  # the lease ran out
    app.claim("twin", own=CALL, by="bo")


def test_an_assumed_attempt_at_a_number_is_recorded_before_another_record_is_claimed(
    app: Cadence, clock: Clock
) -> None:
    twins(app)
    claim = app.claim("jerry", by="bot", on_expiry="assume_made")
    clock.now = claim.until
    app.claim("twin", own=CALL, by="bo")
    assert isinstance(app.history("jerry")[-1].data, AttemptMade)


def test_a_line_is_claimed_by_as_many_as_have_it(app: Cadence) -> None:
    twins(app)
    app.addresses.declare_line("+1 212 555 0100", by="ann", why="the front desk")
    app.claim("jerry", by="ann")
    app.claim("twin", own=CALL, by="bo")


def test_an_extension_is_another_phone_and_the_bare_number_is_all_of_them(app: Cadence) -> None:
    twins(app, "+1 212 555 0100 x5")
    app.claim("twin", own=CALL, by="bo")
    with pytest.raises(Refused):
        app.claim("jerry", by="ann")


def test_a_word_of_another_record_is_named_when_the_claim_is_completed(
    app: Cadence, clock: Clock
) -> None:
    twins(app)
    claim = app.claim("jerry", by="ann")
    clock.now += MINUTE
    said = app.execute("twin", OptOutRequested(CALL)).events[0]
    clock.now += MINUTE
    outcome = app.complete(claim, NO_ANSWER)
    assert outcome.overtaken_by == said
    assert "suppressed" in attempt_of(outcome.events[-1].data).broke
