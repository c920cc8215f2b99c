"""A machine that drives the application at random, on memory and on a SQLite file.

Every rule acts on both stores and compares them. Each test that uses the machine adds what must
hold after a step or in the end.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import naive
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from own_addresses import own_addresses

from cadence.domain import (
    AppointmentCancelled,
    AppointmentSet,
    AttemptMade,
    AttemptStage,
    AutoReplyReceived,
    Channel,
    ContactPoint,
    ContactPointAdded,
    ContactPointFailed,
    Disposition,
    EndReason,
    Event,
    FailureReason,
    FollowUpEnded,
    FollowUpReopened,
    GuidelinesAgreed,
    Intent,
    InterestNoted,
    OptedBackIn,
    OptOutRequested,
    Part,
    PauseRequested,
    PolicyAdopted,
    PreferenceStated,
    ProspectAdded,
    ProspectUpdated,
    ReferralGiven,
    ReplyReceived,
    ValueKind,
    ValueNoted,
)
from cadence.domain.channels import CALL, CHANNELS, EMAIL, MAIL, SMS, VIDEO_EMAIL
from cadence.engine import (
    CancelAppointment,
    Command,
    Decision,
    EndFollowUp,
    MakeAttempt,
    ReopenFollowUp,
    SetAppointment,
    Verdict,
)
from cadence.errors import CadenceError, Refused
from cadence.policy import builtin
from cadence.store import Cadence, Outcome

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
STARTS = [
    datetime(2026, 11, 16, 14, 0, tzinfo=UTC),  # Thanksgiving and Christmas ahead
    datetime(2026, 3, 4, 9, 30, tzinfo=UTC),  # both continents change their clocks
    datetime(2026, 10, 20, 15, 45, tzinfo=UTC),
]
PLACES: list[tuple[str | tuple[str, ...], str | None, str | None]] = [
    ("America/New_York", "US", "NY"),
    ("Europe/Berlin", "DE", "BE"),
    ("Europe/Berlin", "DE", None),
    (("America/New_York", "America/Los_Angeles"), "US", None),
    ("Asia/Tokyo", "JP", None),
    ("Australia/Lord_Howe", "AU", "NSW"),
    (("America/New_York", "Pacific/Auckland"), None, None),
    (("Europe/Berlin", "Pacific/Auckland"), None, None),  # never open in both
    ("UTC", None, None),
]
ADDRESSES = {
    CALL: ["+12125550100", "+1 212 555 0101"],
    EMAIL: ["a@example.com", "B@Example.com"],
    SMS: ["+1 (212) 555-0100"],  # the first of the calls, spelled otherwise
    MAIL: ["Street 1"],
    VIDEO_EMAIL: ["A@example.com"],
}
CHANNEL_SETS = [
    (CALL, EMAIL),
    (CALL, EMAIL),
    (CALL,),
    (CALL, MAIL),
    (EMAIL,),
    (CALL, SMS, EMAIL, VIDEO_EMAIL),
    (MAIL,),
    (),
]


whom = st.integers(0, 5)
channels = st.sampled_from(CHANNELS)
often_call = st.sampled_from([CALL, CALL, *CHANNELS])
lateness = st.sampled_from(
    [timedelta(0)] * 6 + [MINUTE, 20 * MINUTE, 5 * HOUR, DAY, 4 * DAY, 12 * DAY]
)
jumps = st.sampled_from(
    [MINUTE, 9 * MINUTE, 16 * MINUTE, HOUR, 4 * HOUR, 11 * HOUR, DAY, 3 * DAY, 7 * DAY, 30 * DAY]
)
late_by = st.sampled_from([timedelta(0)] * 5 + [3 * MINUTE, 16 * MINUTE, 2 * DAY, 9 * DAY])
silent = {
    CALL: [Disposition.NO_ANSWER, Disposition.VOICEMAIL_LEFT, Disposition.BUSY],
    EMAIL: [Disposition.SENT, Disposition.SENT, Disposition.BOUNCED],
    SMS: [Disposition.SENT, Disposition.UNKNOWN],
    MAIL: [Disposition.SENT],
    VIDEO_EMAIL: [Disposition.SENT, Disposition.BOUNCED],
}


@st.composite
def parts(draw: st.DrawFn) -> tuple[Part, ...]:
    """One part or two, most of them unanswered."""
    found = []
    for _ in range(draw(st.sampled_from([1, 1, 1, 2]))):
        channel = draw(often_call)
        disposition = draw(st.sampled_from(silent[channel] * 3 + list(Disposition)))
        address = draw(st.sampled_from([None, *ADDRESSES[channel]]))
        found.append(Part(channel, disposition, address))
    return tuple(found)


def plain_facts() -> st.SearchStrategy[Any]:
    """Facts that are no contact and no attempt."""
    return st.one_of(
        st.builds(ContactPointAdded, st.just(EMAIL), st.sampled_from(ADDRESSES[EMAIL])),
        st.builds(
            ContactPointFailed,
            st.just(CALL),
            st.sampled_from(ADDRESSES[CALL]),
            st.sampled_from(FailureReason),
        ),
        st.builds(
            ContactPointFailed,
            st.just(EMAIL),
            st.sampled_from(ADDRESSES[EMAIL]),
            st.just(FailureReason.BOUNCED),
        ),
        st.just(GuidelinesAgreed("they know")),
        st.builds(
            PreferenceStated,
            st.none() | channels,
            st.sampled_from([None, "10:00-12:00", "16:00-20:00", "06:00-07:00"]),
        ),
        st.just(InterestNoted("saving time")),
        st.builds(
            ValueNoted, st.sampled_from("abc"), st.just("worth it"), st.sampled_from(ValueKind)
        ),
        st.just(ReferralGiven("Kim")),
        st.sampled_from(PLACES).map(
            lambda place: ProspectUpdated(timezone=place[0], country=place[1], subdivision=place[2])
        ),
    )


ENDS = st.sampled_from([one for one in EndReason if one is not EndReason.MERGED])
"""Why a follow-up ends; a merge is of two records."""


class Machine(RuleBasedStateMachine):
    """Two stores, one clock, a few prospects."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir=_fast_folder())
        self.path = str(Path(self.folder.name) / "cadence.db")
        self.memory = Cadence.open()
        self.disk = Cadence.open(self.path)
        self.now = STARTS[0]
        self.ids: list[str] = []
        self.touched: set[str] = set()
        self.commands = 0
        self.histories: dict[str, list[Event]] = {}
        self.policy = builtin()

    def teardown(self) -> None:
        self.memory.close()
        self.disk.close()
        self.folder.cleanup()

    # Acting ---------------------------------------------------------------------------------------

    def pick(self, index: int) -> str:
        prospect = self.ids[index % len(self.ids)]
        self.touched = {prospect}
        return prospect

    def do(
        self,
        prospect: str,
        command: Command,
        *,
        by: str = "fact",
        ago: timedelta = timedelta(0),
        command_id: str | None = None,
    ) -> Outcome | CadenceError:
        """Carry it out in both stores; they must agree, and a refusal must record nothing."""
        command = own_addresses(int(prospect[1:]), command)
        before = self.histories.get(prospect, [])
        answers: list[Outcome | CadenceError] = []
        for store in (self.memory, self.disk):
            try:
                answers.append(
                    store.execute(
                        prospect,
                        command,
                        at=self.now,
                        occurred_at=self.now - ago,
                        by=by,
                        command_id=command_id,
                    )
                )
            except CadenceError as error:
                answers.append(error)
        first, second = answers
        if isinstance(first, CadenceError):
            assert isinstance(second, CadenceError)
            assert (type(first), first.what, first.hint) == (type(second), second.what, second.hint)
            if isinstance(first, Refused):
                assert first.rule
                assert first.what
                assert first.until is None or first.until > self.now - ago
        else:
            assert first == second
            assert not isinstance(second, CadenceError)
        self.reload(prospect)
        after = self.histories.get(prospect, [])
        if isinstance(first, CadenceError):
            assert after == before, "a refusal recorded something"
        elif first.repeated:
            assert after == before
        else:
            assert after == [*before, *first.events]
        return first

    def reload(self, prospect: str) -> None:
        if prospect in self.ids:
            self.histories[prospect] = self.memory.history(prospect)

    def explain(self, prospect: str) -> Decision:
        return self.memory.explain(prospect, self.now)

    # The clock ------------------------------------------------------------------------------------

    @initialize(
        start=st.sampled_from(STARTS),
        places=st.tuples(st.sampled_from(PLACES), st.sampled_from(PLACES)),
        reaches=st.tuples(st.sampled_from(CHANNEL_SETS), st.sampled_from(CHANNEL_SETS)),
    )
    def begin(self, start: datetime, places: tuple[Any, Any], reaches: tuple[Any, Any]) -> None:
        """Two prospects, one with an appointment on the next day."""
        self.now = start
        self.add_one(places[0], reaches[0], DAY)
        self.add_one(places[1], reaches[1], None)

    @rule(jump=jumps)
    def time_passes(self, jump: timedelta) -> None:
        self.now += jump
        self.touched = set(self.ids)

    @rule(back=st.sampled_from([MINUTE, 20 * MINUTE, 3 * HOUR]))
    def the_clock_is_set_back(self, back: timedelta) -> None:
        self.now -= back
        self.touched = set()

    # Prospects ------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.ids) < 4)
    @rule(
        where=st.sampled_from(PLACES),
        reach=st.sampled_from(CHANNEL_SETS),
        appointment=st.none() | st.sampled_from([2 * HOUR, DAY, 2 * DAY + 90 * MINUTE, 5 * DAY]),
    )
    def add(
        self,
        where: tuple[str | tuple[str, ...], str | None, str | None],
        reach: tuple[Channel, ...],
        appointment: timedelta | None,
    ) -> None:
        self.add_one(where, reach, appointment)

    def add_one(
        self,
        where: tuple[str | tuple[str, ...], str | None, str | None],
        reach: tuple[Channel, ...],
        appointment: timedelta | None,
    ) -> None:
        prospect = f"p{len(self.ids)}"
        self.ids.append(prospect)
        self.touched = {prospect}
        points = tuple(ContactPoint(channel, ADDRESSES[channel][0]) for channel in reach)
        added = self.do(prospect, ProspectAdded("Jo", where[0], where[1], where[2], points))
        assert isinstance(added, Outcome)
        if appointment is not None:
            self.do(prospect, SetAppointment(self.now + appointment), by="command")

    @rule(index=whom)
    def adding_again_is_refused(self, index: int) -> None:
        answer = self.do(self.pick(index), ProspectAdded("Jo", "UTC"))
        assert isinstance(answer, Refused)

    # Following the decision -----------------------------------------------------------------------

    @rule(index=whom, times=st.sampled_from([1, 2, 4, 12]), late=late_by, data=st.data())
    def follow(self, index: int, times: int, late: timedelta, data: st.DataObject) -> None:
        """Do what is due when it is due (or a bit late), unanswered; close what is to be closed."""
        prospect = self.pick(index)
        # With a clock set back behind the last record one would act in the past.
        self.now = max([self.now, *(event.recorded_at for event in self.histories[prospect])])
        for _ in range(times):
            decision = self.explain(prospect)
            if decision.verdict is Verdict.STOP:
                break
            assert decision.at is not None
            if decision.verdict is Verdict.WAIT:
                if decision.at - self.now > 60 * DAY:
                    break
                self.now = max(self.now, decision.at + late)
                decision = self.explain(prospect)
            self.check_one(prospect)
            assert decision.at is not None
            if decision.verdict is Verdict.CLOSE and decision.at <= self.now:
                self.ticks()
                self.touched = {prospect}
                assert self.explain(prospect).verdict is Verdict.STOP
                break
            if decision.verdict is not Verdict.DUE:
                break
            touch = decision.touch
            assert touch is not None
            made = tuple(
                Part(part.channel, data.draw(st.sampled_from(silent[part.channel])), part.address)
                for part in touch.parts
            )
            answer = self.do(prospect, MakeAttempt(made, is_strict=True), by="command")
            assert isinstance(answer, Outcome), f"what was due was refused: {answer}"
            (event,) = answer.events
            attempt = event.data
            assert isinstance(attempt, AttemptMade)
            assert attempt.stage is not None
            assert attempt.stage.value == touch.stage.value, show_history(
                self.histories[prospect], decision
            )
            assert (attempt.step, attempt.touch) == (touch.step, touch.id)
            assert attempt.broke == ()
            assert attempt.policy == self.policy.ref

    @rule(index=whom, made=parts(), ago=lateness)
    def attempt_by_the_book(self, index: int, made: tuple[Part, ...], ago: timedelta) -> None:
        """An attempt at any time: in order only if it is due, or the owner's own at a task."""
        prospect = self.pick(index)
        then = self.memory.explain(prospect, self.now - ago)
        past = self.now - ago < naive.last_contact(self.facts(prospect))["occurred"]
        answer = self.do(prospect, MakeAttempt(made, is_strict=True), by="command", ago=ago)
        if past:  # it belongs to a silence that is over
            return
        if then.verdict is Verdict.DUE:
            return
        if then.verdict is Verdict.TASK:  # an owner's own attempt
            return
        if then.verdict is Verdict.CLOSE and "an attempt instead of the close" in naive.TOLERATED:
            return
        assert isinstance(answer, Refused), f"made though {then}\n{listed(self.facts(prospect))}"

    @rule(index=whom, made=parts(), ago=lateness)
    def attempt_off_policy(self, index: int, made: tuple[Part, ...], ago: timedelta) -> None:
        prospect = self.pick(index)
        self.do(prospect, MakeAttempt(made, why="I felt like it"), by="command", ago=ago)

    @rule(index=whom, made=parts(), ago=lateness, stage=st.none() | st.sampled_from(AttemptStage))
    def attempt_as_a_fact(
        self, index: int, made: tuple[Part, ...], ago: timedelta, stage: AttemptStage | None
    ) -> None:
        answer = self.do(self.pick(index), AttemptMade(made, stage), by="import", ago=ago)
        assert isinstance(answer, Outcome), f"a fact was refused: {answer}"
        attempt = answer.events[0].data
        assert isinstance(attempt, AttemptMade)
        assert attempt.stage is not None
        assert stage is None or attempt.stage is stage, "what was given is kept"

    # Facts ----------------------------------------------------------------------------------------

    def fact(self, index: int, data: Any, ago: timedelta) -> None:
        answer = self.do(self.pick(index), data, ago=ago)
        assert isinstance(answer, Outcome), f"a fact was refused: {answer}"

    @rule(index=whom, data=plain_facts(), ago=lateness)
    def something_is_learnt(self, index: int, data: Any, ago: timedelta) -> None:
        self.fact(index, data, ago)

    @rule(index=whom, channel=channels, intent=st.none() | st.sampled_from(Intent), ago=lateness)
    def they_reply(
        self, index: int, channel: Channel, intent: Intent | None, ago: timedelta
    ) -> None:
        self.fact(index, ReplyReceived(channel, intent), ago)

    @rule(index=whom, length=st.sampled_from([-DAY, HOUR, DAY, 8 * DAY, 40 * DAY]), ago=lateness)
    def they_ask_for_a_pause(self, index: int, length: timedelta, ago: timedelta) -> None:
        self.fact(index, PauseRequested(self.now + length), ago)

    @rule(index=whom, length=st.sampled_from([None, -DAY, HOUR, 3 * DAY, 10 * DAY]), ago=lateness)
    def an_auto_reply_comes(self, index: int, length: timedelta | None, ago: timedelta) -> None:
        until = None if length is None else self.now + length
        self.fact(index, AutoReplyReceived(EMAIL, until), ago)

    @rule(index=whom, channel=st.sampled_from([None, None, *CHANNELS]), ago=lateness)
    def they_opt_out(self, index: int, channel: Channel | None, ago: timedelta) -> None:
        self.fact(index, OptOutRequested(channel), ago)
        held = self.memory.load(self.ids[index % len(self.ids)]).reach.opted_out
        assert all(one in held for one in (CHANNELS if channel is None else (channel,)))

    @rule(index=whom, channel=st.sampled_from([None, None, *CHANNELS]), ago=lateness)
    def they_opt_back_in(self, index: int, channel: Channel | None, ago: timedelta) -> None:
        self.fact(index, OptedBackIn(channel), ago)

    @rule(index=whom, reason=ENDS, ago=lateness)
    def it_ended(self, index: int, reason: EndReason, ago: timedelta) -> None:
        self.fact(index, FollowUpEnded(reason), ago)

    @rule(index=whom, reopened=st.booleans(), ago=lateness)
    def it_was_reopened(self, index: int, reopened: bool, ago: timedelta) -> None:
        self.fact(index, FollowUpReopened("a new budget"), ago)

    @rule(index=whom, ahead=st.sampled_from([-HOUR, 2 * HOUR, DAY, 6 * DAY]), ago=lateness)
    def an_appointment_was_set(self, index: int, ahead: timedelta, ago: timedelta) -> None:
        self.fact(index, AppointmentSet(self.now + ahead), ago)

    @rule(index=whom, ago=lateness)
    def the_appointment_was_cancelled(self, index: int, ago: timedelta) -> None:
        self.fact(index, AppointmentCancelled(), ago)

    @rule(index=whom, ahead=st.sampled_from([None, DAY, 10 * DAY]))
    def a_policy_is_adopted(self, index: int, ahead: timedelta | None) -> None:
        ref = self.policy.ref
        until = None if ahead is None else self.now + ahead
        self.fact(index, PolicyAdopted(ref.name, ref.version, ref.digest, until), timedelta(0))

    # Commands -------------------------------------------------------------------------------------

    @rule(
        index=whom,
        ahead=st.sampled_from([-HOUR, HOUR, 3 * HOUR, DAY, 3 * DAY]),
        agreed_by=st.sampled_from([None, CALL, EMAIL]),
    )
    def appoint(self, index: int, ahead: timedelta, agreed_by: Channel | None) -> None:
        prospect = self.pick(index)
        at = self.now + ahead
        answer = self.do(prospect, SetAppointment(at, agreed_by), by="command")
        local = [naive.local(at, zone) for zone in naive.zones(self.facts(prospect))]
        if any(not naive.WAKING_FROM <= one.time() < naive.WAKING_TO for one in local):
            assert isinstance(answer, Refused), "an appointment in quiet hours"

    @rule(index=whom)
    def cancel(self, index: int) -> None:
        prospect = self.pick(index)
        standing = naive.standing_appointment(self.facts(prospect))
        answer = self.do(prospect, CancelAppointment(), by="command")
        assert isinstance(answer, Outcome) or standing is None

    @rule(index=whom, reason=ENDS)
    def end(self, index: int, reason: EndReason) -> None:
        self.do(self.pick(index), EndFollowUp(reason), by="command")

    @rule(index=whom)
    def reopen(self, index: int) -> None:
        prospect = self.pick(index)
        was = naive.stage(self.facts(prospect))
        answer = self.do(prospect, ReopenFollowUp("a new budget"), by="command")
        assert isinstance(answer, Outcome) == (was in naive.ENDED)

    @rule()
    def ticks(self) -> None:
        before = {prospect: len(self.histories[prospect]) for prospect in self.ids}
        first, second = self.memory.tick(self.now), self.disk.tick(self.now)
        assert first == second
        for prospect in self.ids:
            self.reload(prospect)
            fresh = self.histories[prospect][before[prospect] :]
            assert all(isinstance(event.data, FollowUpEnded) for event in fresh)
            assert len(fresh) <= 1
            decision = self.explain(prospect)
            assert decision.verdict is not Verdict.CLOSE or (
                decision.at is not None and decision.at > self.now
            ), "tick left a file to close"
        self.touched = {outcome.prospect.id for outcome in first}

    # What goes wrong ------------------------------------------------------------------------------

    @rule(index=whom, channel=channels)
    def a_command_is_repeated(self, index: int, channel: Channel) -> None:
        prospect = self.pick(index)
        self.commands += 1
        command_id = f"c{self.commands}"
        first = self.do(prospect, ReplyReceived(channel), command_id=command_id)
        self.now += MINUTE
        second = self.do(prospect, ReplyReceived(channel), command_id=command_id, ago=MINUTE)
        assert isinstance(first, Outcome)
        assert isinstance(second, Outcome)
        assert second.repeated
        assert not first.repeated
        assert second.events == first.events

    @rule(index=whom, channel=channels)
    def it_crashes_inside_the_transaction(self, index: int, channel: Channel) -> None:
        prospect = self.pick(index)
        recorder: Any = self.disk._recorder
        whole = recorder.insert_events
        rows = self.disk.due_rows.stored()

        def row_that_breaks() -> Iterator[Any]:
            """The events are written when the recorder asks for the first due row."""
            raise Crash
            yield

        recorder.insert_events = lambda events, due, **rest: whole(
            events, due=row_that_breaks(), **rest
        )
        try:
            crashed = _crashes(
                lambda: self.disk.execute(prospect, OptOutRequested(channel), at=self.now)
            )
        finally:
            del recorder.insert_events
        assert crashed
        assert self.disk.history(prospect) == self.histories[prospect]
        assert self.disk.due_rows.stored() == rows

    @rule(index=whom, channel=channels)
    def it_crashes_after_the_append(self, index: int, channel: Channel) -> None:
        prospect = self.pick(index)
        self.commands += 1
        command_id = f"c{self.commands}"
        writer: Any = self.disk._handler._writer
        whole = writer.write
        command = OptOutRequested(channel)

        def breaks(*args: Any, **kwargs: Any) -> Any:
            whole(*args, **kwargs)
            raise Crash

        writer.write = breaks
        try:
            crashed = _crashes(
                lambda: self.disk.execute(
                    prospect, command, at=self.now, by="fact", command_id=command_id
                )
            )
        finally:
            del writer.write
        assert crashed
        assert len(self.disk.history(prospect)) == len(self.histories[prospect]) + 1
        self.restart()
        outcomes = [
            store.execute(prospect, command, at=self.now, by="fact", command_id=command_id)
            for store in (self.memory, self.disk)
        ]
        assert [outcome.repeated for outcome in outcomes] == [False, True]
        assert outcomes[0].events == outcomes[1].events
        self.reload(prospect)
        self.touched = {prospect}

    @rule()
    def restart(self) -> None:
        rows = self.disk.due_rows.stored()
        self.disk.close()
        self.disk = Cadence.open(self.path)
        assert self.disk.due_rows.stored() == rows
        self.touched = set(self.ids)

    # Looking ------------------------------------------------------------------------------------

    def facts(self, prospect: str) -> list[naive.Fact]:
        return naive.facts(self.histories[prospect])

    def check_one(self, prospect: str) -> None:
        """Check one prospect between two steps of a rule; a machine that judges says how."""


class Crash(Exception):
    """The machine stops here."""


def _crashes(action: Callable[[], object]) -> bool:
    try:
        action()
    except Crash:
        return True
    return False


def _fast_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


_HIDDEN = {"prospect", "version", "occurred", "recorded", "policy", "touch"}


def _show_fact(fact: naive.Fact) -> str:
    shown = {name: value for name, value in fact.items() if name not in _HIDDEN}
    return (
        f"{fact['version']} {fact['occurred']:%m-%d %H:%M} ({fact['recorded']:%m-%d %H:%M}) {shown}"
    )


def listed(found: list[naive.Fact]) -> str:
    return "\n".join(map(_show_fact, found))


def show_history(history: list[Event], decision: Decision) -> str:
    return "\n".join([*map(_show_fact, naive.facts(history)), str(decision)])
