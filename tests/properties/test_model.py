"""Whatever happens, in whatever order and by whatever clock, the service and a naive model agree.

The model (``tests/support/model.py``) was written from the design without reading the code. It
knows every event, retractions, corrections, claims, imports and wrong clocks, under any policy.
Where the design leaves something open, it does not judge. When a touch is due it does not compute:
``test_machine.py`` does, under one policy.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import model
import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from nightly import NIGHTLY

from cadence import Cadence, InputError, Outcome, Refused, builtin, fold
from cadence.domain import (
    AttemptMade,
    AutoReplyReceived,
    Channel,
    ContactPoint,
    ContactPointAdded,
    ContactPointFailed,
    ContactPointRemoved,
    ContactPointRestored,
    Disposition,
    EndReason,
    Event,
    EventCorrected,
    EventRetracted,
    FailureReason,
    Gap,
    Intent,
    InterestNoted,
    OptedBackIn,
    OptOutRequested,
    Part,
    PauseRequested,
    PolicyAdopted,
    ProspectAdded,
    ReferralGiven,
    ReplyReceived,
    standing_events,
)
from cadence.engine import (
    CancelAppointment,
    Due,
    EndFollowUp,
    MakeAttempt,
    ReopenFollowUp,
    SetAppointment,
    Undo,
)
from cadence.transfer import import_jsonl

# Three numbers and two mailboxes, as people type them, and the normal form of each.
SPELLINGS = {
    "+12125550100": ("+1 212 555 0100", "+1 (212) 555-0100", "tel:+1-212-555-0100"),
    "+12125550199": ("+1 212 555 0199", "+12125550199"),
    "+49301234567": ("+49 30 1234567", "+49 (0)30 1234567", "+49-30-123 45 67"),
    "jerry@example.com": ("jerry@example.com", "Jerry@Example.com"),
    "jd@example.org": ("jd@example.org", "JD@example.ORG"),
    "1 main st, town": ("1 Main St, Town", "1  main st,  Town"),
}
KEYS = {spelling: key for key, spellings in SPELLINGS.items() for spelling in spellings}
# Without its country code a number is read in the country of the prospect.
LOCAL = {"US": ("(212) 555-0100", "+12125550100"), "DE": ("030 1234567", "+49301234567")}
KEYS |= dict(LOCAL.values())

PHONES = [s for s, key in KEYS.items() if key.startswith("+") and s not in dict(LOCAL.values())]
MAILS = [s for s, key in KEYS.items() if "@" in key]
POSTS = [s for s, key in KEYS.items() if "main st" in key]
ADDRESSES = {"call": PHONES, "sms": PHONES, "email": MAILS, "video_email": MAILS, "mail": POSTS}
DISPOSITIONS = {"call": ("no_answer", "voicemail_left", "busy", "wrong_number", "connected")}

# Zone, country and region. (What a missing region may move has tests of its own.)
PLACES = (
    ("America/New_York", "US", "NY"),
    ("Europe/Berlin", "DE", "BE"),
    ("America/New_York", None, None),
    (("America/New_York", "Europe/Berlin"), None, None),
)
WORKERS = st.sampled_from(["kim", "lee"])
CHANNELS = st.sampled_from(model.CHANNELS)
HOURS_BACK = st.sampled_from([0, 0, 0, 1, 5, 30, 200])
WHICH = st.integers(0, 2)
BACK = st.integers(0, 6)
INTENTS = st.none() | st.sampled_from(list(Intent))
ENDINGS = st.sampled_from(["made", "made", "not_made", "release"])


@st.composite
def parts_of(draw: st.DrawFn, channels: tuple[str, ...] = model.CHANNELS) -> tuple[Part, ...]:
    """Draw one or two parts on different channels; some name the address that was used."""
    # A call is what most attempts are.
    first = draw(st.sampled_from(("call", *channels)))
    chosen = [first]
    if draw(st.integers(0, 3)) == 0:
        chosen.append(draw(st.sampled_from([c for c in channels if c != first])))
    parts = []
    for channel in chosen:
        how = draw(st.sampled_from(DISPOSITIONS.get(channel, ("sent", "sent", "bounced"))))
        address = draw(st.none() | st.sampled_from(ADDRESSES[channel]))
        intent = draw(INTENTS) if how == "connected" else None
        parts.append(Part(Channel(channel), Disposition(how), address, intent=intent))
    return tuple(parts)


class Service(RuleBasedStateMachine):
    """The service in memory, by a clock that moves both ways."""

    # One only: what records say to each other is held against another reading
    # (test_shared_addresses.py).
    ids: ClassVar[tuple[str, ...]] = ("p0",)

    def __init__(self) -> None:
        super().__init__()
        self.now = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
        self.apps = self.open()
        self.app = self.apps[0]
        self.claims: dict[str, model.NaiveClaim] = {}
        self.claimed_at: dict[str, datetime] = {}
        self.claimed_on: dict[str, list[str]] = {}
        self.added: list[str] = []

    def open(self) -> list[Cadence]:
        """Open the store; the same one in several processes, if there are more."""
        return [Cadence.open(None, clock=lambda: self.now)]

    def teardown(self) -> None:
        """Close the store."""
        for app in self.apps:
            app.close()

    # What the rules use.

    def set_clock(self, now: datetime) -> None:
        """Set the clock; a lease that ran out is over even if the clock goes back after that."""
        self.now = now
        for prospect, claim in self.claims.items():
            if now >= claim.until:
                self.claims[prospect] = replace(claim, has_run_out=True)

    def pick(self, which: int) -> str:
        """Choose one of those that were added."""
        return self.added[which % len(self.added)]

    def run(self, prospect: str, command: Any, hours_back: int = 0, by: str = "kim") -> Outcome:
        """Execute a command; what it recorded has the keys that the address book says."""
        occurred = self.now - timedelta(hours=hours_back) if hours_back else None
        outcome = self.app.execute(prospect, command, occurred_at=occurred, by=by)
        for event in outcome.events:
            self.check_keys(event.data)
        return outcome

    def check_keys(self, data: Any) -> None:
        """Section 4a: each address is stored with its normal form."""
        points = [data, *getattr(data, "contact_points", ()), *getattr(data, "parts", ())]
        for point in points:
            if getattr(point, "address", None):
                assert point.key == KEYS[point.address], point

    def fact(self, which: int, data: Any, hours_back: int = 0, *, ends_claim: bool = True) -> None:
        """Record what happened: a fact is never refused (section 4)."""
        prospect = self.pick(which)
        before = len(self.app.history(prospect))
        self.run(prospect, data, hours_back)
        assert len(self.app.history(prospect)) > before
        if ends_claim:
            self.doubt(prospect)

    def attempt_to(self, prospect: str, command: Any) -> Outcome | None:
        """Try a command, which may be refused: then nothing is recorded."""
        before = self.app.history(prospect)
        try:
            outcome = self.run(prospect, command)
        except (Refused, InputError):
            self.check_nothing_new(prospect, before)
            return None
        self.doubt(prospect)
        return outcome

    def check_nothing_new(self, prospect: str, before: list[Event]) -> None:
        """Nothing was recorded but what a lease left to be assumed, by the next writer."""
        history = self.app.history(prospect)
        assert history[: len(before)] == before
        new = history[len(before) :]
        assert all((event.command_id or "").startswith("assumed:") for event in new)

    def doubt(self, prospect: str) -> None:
        """What may have ended a claim has happened."""
        if (claim := self.claims.get(prospect)) is not None:
            self.claims[prospect] = replace(claim, is_sure=False)

    # The rules.

    @initialize(where=st.sampled_from(PLACES), number=st.sampled_from(PHONES))
    def begin(self, where: Any, number: str) -> None:
        """Start with one prospect who has a number and a mailbox."""
        self._add(where, (("call", number), ("email", MAILS[0])))

    @precondition(lambda self: len(self.added) < len(self.ids))
    @rule(
        where=st.sampled_from(PLACES),
        channels=st.lists(CHANNELS, max_size=3, unique=True),
        number=st.integers(0, 9),
        is_local=st.booleans(),
    )
    def add(self, where: Any, channels: list[str], number: int, is_local: bool) -> None:
        """Add somebody."""
        points = [(c, ADDRESSES[c][number % len(ADDRESSES[c])]) for c in channels]
        if is_local and where[1]:
            points.append(("sms", LOCAL[where[1]][0]))
        self._add(where, points)

    def _add(self, where: Any, points: Any) -> None:
        prospect = self.ids[len(self.added)]
        known = tuple(ContactPoint(Channel(c), a) for c, a in points)
        self.added.append(prospect)
        self.run(prospect, ProspectAdded("Jerry Doe", *where, contact_points=known))

    @rule(minutes=st.sampled_from([1, 4, 6, 10, 61, 240, 600, 1440, 2880, 7200, 43200]))
    def later(self, minutes: int) -> None:
        """Let time pass."""
        self.set_clock(self.now + timedelta(minutes=minutes))

    @rule(hours=st.sampled_from([1, 3, 30]))
    def clock_back(self, hours: int) -> None:
        """Set the clock back."""
        self.set_clock(self.now - timedelta(hours=hours))

    @rule(
        which=WHICH,
        what=st.sampled_from([ReplyReceived, AttemptMade, OptOutRequested, InterestNoted]),
        parts=parts_of(),
        hours=st.sampled_from([-30, -1, 1, 30, 200]),
    )
    def import_by_another_clock(
        self, which: int, what: Any, parts: tuple[Part, ...], hours: int
    ) -> None:
        """Import what a system recorded whose clock is behind ours, or ahead by up to a week."""
        prospect, at = self.pick(which), self.now + timedelta(hours=hours)
        data = {
            ReplyReceived: {"channel": "email"},
            AttemptMade: {"parts": msgspec.to_builtins(parts)},
            OptOutRequested: {"channel": "mail"},
            InterestNoted: {"text": "less paper"},
        }[what]
        line = {"prospect": prospect, "type": what.__name__, "occurred_at": at, "data": data}
        before = self.app.history(prospect)
        import_jsonl(self.app, [msgspec.json.encode(line)], at=max(at, self.now))
        history = self.app.history(prospect)
        assert history[: len(before)] == before
        for event in history[len(before) :]:
            assert (type(event.data), event.occurred_at) == (what, at)
            self.check_keys(event.data)
        self.doubt(prospect)

    @rule(which=WHICH)
    def use_another_process(self, which: int) -> None:
        """What comes next is done by another process, which has another default policy."""
        self.app = self.apps[which % len(self.apps)]

    @rule(which=WHICH)
    def wait_for_it(self, which: int) -> None:
        """Let time pass until the decision changes."""
        at = getattr(self.app.explain(self.pick(which), self.now), "at", None)
        if at is not None:
            self.set_clock(max(self.now, at))

    @rule(which=WHICH, parts=parts_of(), hours_back=HOURS_BACK, by=WORKERS)
    def log(self, which: int, parts: tuple[Part, ...], hours_back: int, by: str) -> None:
        """Log an attempt, on plan or not: it is always recorded."""
        prospect = self.pick(which)
        self._log(prospect, MakeAttempt(parts), hours_back, by)

    def _log(self, prospect: str, command: MakeAttempt, hours_back: int, by: str) -> Event:
        claim = self.claims.get(prospect)
        holder = model.holder(claim, self.now)
        outcome = self.run(prospect, command, hours_back, by)
        event = [e for e in outcome.events if isinstance(e.data, AttemptMade)][-1]
        data = event.data
        assert isinstance(data, AttemptMade)
        if not hours_back and holder is not None and holder != by:
            # Section 7a: another's attempt under a claim.
            assert "claimed" in data.broke
            assert data.stage == "extra"
        if model.is_surely_free(claim) or holder == by:
            assert "claimed" not in data.broke
        if holder == by or model.is_conversation(data) or hours_back:
            self.doubt(prospect)
        return event

    @rule(which=WHICH, parts=parts_of(), by=WORKERS)
    def strictly(self, which: int, parts: tuple[Part, ...], by: str) -> None:
        """Make an attempt only if it is allowed: then it keeps every limit."""
        self._strictly(self.pick(which), parts, by)

    def _strictly(self, prospect: str, parts: tuple[Part, ...], by: str) -> None:
        before = self.app.history(prospect)
        try:
            event = self._log(prospect, MakeAttempt(parts, is_strict=True), 0, by)
        except (Refused, InputError):
            self.check_nothing_new(prospect, before)
            return
        assert model.broken_limits(self.app.history(prospect), event.version) == []

    @rule(which=WHICH, is_answered=st.sampled_from([False, False, False, True]), by=WORKERS)
    def follow_plan(self, which: int, is_answered: bool, by: str) -> None:
        """Wait for the next touch and make it, strictly."""
        prospect = self.pick(which)
        self.wait_for_it(which)
        decision = self.app.explain(prospect, self.now)
        if isinstance(decision, Due):
            how = {"call": "connected" if is_answered else "no_answer"}
            self._strictly(
                prospect,
                tuple(
                    Part(p.channel, Disposition(how.get(p.channel, "sent")), p.address)
                    for p in decision.touch.parts
                ),
                by,
            )

    @rule(which=WHICH, channel=CHANNELS, intent=INTENTS, back=HOURS_BACK)
    def reply(self, which: int, channel: str, intent: Intent | None, back: int) -> None:
        """They reply."""
        self.fact(which, ReplyReceived(Channel(channel), intent), back)

    @rule(which=WHICH, days=st.none() | st.integers(1, 20), is_pause=st.booleans())
    def suspend(self, which: int, days: int | None, is_pause: bool) -> None:
        """They ask us to wait, or are out of office."""
        until = None if days is None else self.now + timedelta(days=days)
        if is_pause and until is not None:
            self.fact(which, PauseRequested(until))
        else:
            self.fact(which, AutoReplyReceived(Channel("email"), until))

    @rule(which=WHICH)
    def refer(self, which: int) -> None:
        """They name somebody else."""
        self.fact(which, ReferralGiven("Ann Roe", (ContactPoint(Channel("call"), PHONES[-1]),)))

    @rule(which=WHICH)
    def note(self, which: int) -> None:
        """We learn what they care about."""
        self.fact(which, InterestNoted("less paper"), ends_claim=False)

    @rule(
        which=WHICH,
        channel=CHANNELS | st.none(),
        still=st.just(()) | st.lists(CHANNELS, min_size=1, max_size=4, unique=True),
        back=HOURS_BACK,
    )
    def opt_out(self, which: int, channel: str | None, still: list[str], back: int) -> None:
        """They ask for no more: on a channel, on all, or on all except some."""
        word = (
            OptOutRequested(except_channels=tuple(Channel(c) for c in still))
            if channel is None
            else OptOutRequested(Channel(channel))
        )
        self.fact(which, word, back)

    @rule(which=WHICH, is_rare=st.integers(0, 5))
    def opt_out_one_by_one(self, which: int, is_rare: int) -> None:
        """They ask for no more on each channel."""
        for channel in model.CHANNELS if is_rare == 5 else model.CHANNELS[-1:]:
            self.fact(which, OptOutRequested(Channel(channel)))

    @rule(which=WHICH, channel=st.none() | CHANNELS)
    def opt_in(self, which: int, channel: str | None) -> None:
        """They take an opt-out back."""
        self.fact(which, OptedBackIn(Channel(channel) if channel else None, why="they called"))

    @rule(
        which=WHICH,
        channel=CHANNELS,
        number=st.integers(0, 9),
        what=st.sampled_from(
            [ContactPointAdded, ContactPointFailed, ContactPointRestored, ContactPointRemoved]
        ),
        reason=st.sampled_from(list(FailureReason)),
    )
    def contact_point(self, which: int, channel: str, number: int, what: Any, reason: Any) -> None:
        """We learn something about an address, in some spelling."""
        address = ADDRESSES[channel][number % len(ADDRESSES[channel])]
        if what is ContactPointFailed:
            data = ContactPointFailed(Channel(channel), address, reason)
        elif what is ContactPointAdded:
            data = ContactPointAdded(Channel(channel), address)
        else:
            data = what(Channel(channel), address, "they said so")
        # What is no address of theirs can be neither restored nor removed.
        self.attempt_to(self.pick(which), data)

    @rule(which=WHICH, how=st.integers(0, 9), spelling=st.integers(0, 2))
    def what_is_next_fails(self, which: int, how: int, spelling: int) -> None:
        """The address of the next touch fails, in another spelling, on any channel that uses it."""
        prospect = self.pick(which)
        touch = getattr(self.app.explain(prospect, self.now), "touch", None)
        if touch is None or (key := KEYS.get(touch.parts[0].address)) is None:
            return
        address = SPELLINGS[key][spelling % len(SPELLINGS[key])]
        channels = [c for c in model.CHANNELS if address in ADDRESSES[c]]
        channel = Channel(channels[how % len(channels)])
        self.fact(which, ContactPointFailed(channel, address, FailureReason.WRONG_NUMBER))

    @rule(which=WHICH, hours=st.sampled_from([1, 2, 24, 72]), agreed=st.booleans())
    def appoint(self, which: int, hours: int, agreed: bool) -> None:
        """We agree on a time."""
        at = self.now.replace(minute=0) + timedelta(hours=hours)
        self.attempt_to(self.pick(which), SetAppointment(at, Channel("email") if agreed else None))

    @rule(which=WHICH)
    def cancel(self, which: int) -> None:
        """The appointment is called off."""
        self.attempt_to(self.pick(which), CancelAppointment())

    @rule(which=WHICH, reason=st.sampled_from(list(EndReason)), is_reopened=st.booleans())
    def end(self, which: int, reason: EndReason, is_reopened: bool) -> None:
        """It ends, and may be taken up again."""
        prospect = self.pick(which)
        self.attempt_to(prospect, EndFollowUp(reason))
        if is_reopened:
            self.attempt_to(prospect, ReopenFollowUp("they moved"))

    @rule(which=WHICH, back=BACK)
    def retract(self, which: int, back: int) -> None:
        """An earlier event never happened; it may be one that took something back."""
        prospect = self.pick(which)
        version = max(1, len(self.app.history(prospect)) - back)
        self.attempt_to(prospect, EventRetracted(version, "mistaken"))

    @rule(which=WHICH, back=BACK)
    def retract_and_take_it_back(self, which: int, back: int) -> None:
        """A retraction that is itself taken back leaves no trace in the fold."""
        prospect = self.pick(which)
        before = self.app.history(prospect)
        version = max(1, len(before) - back)
        if version not in model.retracted_versions(before) and (
            made := self.attempt_to(prospect, EventRetracted(version, "mistaken"))
        ):
            if len(self.app.history(prospect)) > len(before) + 1:
                return  # the next writer, it also recorded what a lease left to be assumed
            self.run(prospect, EventRetracted(made.events[-1].version, "it was right"))
            assert folded(self.app.history(prospect)) == folded(before)

    @rule(which=WHICH, is_sure=st.booleans())
    def undo(self, which: int, is_sure: bool) -> None:
        """Take the last command back: one that stands, and none after it but undoings."""
        prospect = self.pick(which)
        before = self.app.history(prospect)
        made = self.attempt_to(prospect, Undo("mistaken" if is_sure else None))
        if made is None:
            return
        gone = {e.data.version for e in made.events if isinstance(e.data, EventRetracted)}
        assert gone
        assert not gone & model.retracted_versions(before)
        after = [e for e in model.standing(before) if e.version > max(gone)]
        assert all(isinstance(e.data, PolicyAdopted) for e in after)
        if not is_sure:
            mine = [e for e in before if e.version in gone]
            assert all(e.by in ("kim", None) for e in mine)

    @rule(which=WHICH, back=BACK, parts=parts_of(), hours_back=st.sampled_from([None, 0, 2, 50]))
    def correct(self, which: int, back: int, parts: Any, hours_back: int | None) -> None:
        """An attempt went otherwise, or at another time."""
        prospect = self.pick(which)
        before = model.standing(self.app.history(prospect))
        attempts = [e for e in before if isinstance(e.data, AttemptMade)]
        if not attempts:
            return
        old = attempts[-1 - back % len(attempts)]
        when = None if hours_back is None else self.now - timedelta(hours=hours_back)
        now_said = AttemptMade(parts)
        at = when or old.occurred_at
        made = self.attempt_to(
            prospect, EventCorrected(old.version, now_said, at, "it was otherwise")
        )
        if made is None or when is not None:
            return
        new = made.events[-1].data
        assert isinstance(new, EventCorrected)
        assert isinstance(new.data, AttemptMade)
        assert isinstance(old.data, AttemptMade)
        if model.channels_of(parts) == model.channels_of(old.data.parts):
            # Section 4b: a decision of that time stays what it was.
            for field in ("stage", "step", "touch", "gap", "value", "broke"):
                assert getattr(new.data, field) == getattr(old.data, field), field

    @rule(
        which=WHICH,
        by=WORKERS,
        minutes=st.sampled_from([15, 300, 3000]),
        on_expiry=st.sampled_from(["return", "assume_made"]),
        own=st.none() | st.sampled_from(["call", "email"]),
        rival=st.booleans(),
    )
    def claim(
        self, which: int, by: str, minutes: int, on_expiry: Any, own: str | None, rival: bool
    ) -> None:
        """A worker claims what is next: never while another holds it."""
        prospect = self.pick(which)
        if rival:
            self.wait_for_it(which)  # so that there is something to claim
        known = self.claims.get(prospect)
        holder = model.holder(known, self.now)
        lease = timedelta(minutes=minutes)
        refused = None
        try:
            claim = self.app.claim(
                prospect, own=Channel(own) if own else None, by=by, lease=lease, on_expiry=on_expiry
            )
        except Refused as error:
            refused = error
        if refused is not None:
            # Section 7a: where nobody else can hold it, that can't be why.
            assert refused.rule != "claimed" or not model.is_surely_free(known)
            return
        assert holder in (None, by), f"{holder} holds it, and {by} got it"
        is_same = known is not None and known.token == claim.token
        if not is_same:
            assert model.forbids(self.app.history(prospect), claim.parts, self.now) == []
        may_have_sent = known.may_have_sent if is_same and known else on_expiry == "assume_made"
        self.claims[prospect] = model.NaiveClaim(by, claim.until, claim.token, may_have_sent)
        if not is_same:
            self.claimed_at[prospect] = self.now
            self.claimed_on[prospect] = model.channels_of(claim.parts)
        if rival:
            self.contend(prospect, "lee" if by == "kim" else "kim")
        assert claim.until == self.now + lease or is_same

    def contend(self, prospect: str, by: str) -> None:
        """Another worker gets nothing while one holds it, and logs what they did all the same."""
        for own in (None, Channel("call"), Channel("email")):
            with pytest.raises(Refused) as refused:
                self.app.claim(prospect, own=own, by=by)
            # An attempt that is not in order anyway may be refused for that.
            assert refused.value.rule == "claimed" or own is not None
        call = Part(Channel("call"), Disposition("no_answer"))
        with pytest.raises(Refused):
            self.run(prospect, MakeAttempt((call,), is_strict=True), by=by)
        self._log(prospect, MakeAttempt((call,)), 0, by)

    @rule(which=WHICH, parts=parts_of(("call", "email")), how=ENDINGS)
    def finish(self, which: int, parts: tuple[Part, ...], how: str) -> None:
        """The worker says what became of it: in time, late, or after something ended it."""
        prospect = self.pick(which)
        claim = self.claims.get(prospect)
        if claim is None:
            return
        holder = model.holder(claim, self.now)
        if how == "release":
            was_open = self.app.release(claim.token)
            assert was_open or holder is None
            if was_open:
                self.claims[prospect] = replace(claim, is_over=True)
            else:
                self.doubt(prospect)
            return
        before = len(self.app.history(prospect))
        try:
            if how == "not_made":
                self.app.complete(claim.token, not_made=True)
            else:
                made = self.app.complete(claim.token, parts)
                for event in made.events:
                    if isinstance(event.data, AttemptMade) and holder:
                        assert "claimed" not in event.data.broke
                        assert event.by == claim.by
        except InputError:
            assert claim.is_over or len(self.app.history(prospect)) == before
            return
        if how == "made" and holder:
            assert len(self.app.history(prospect)) > before
        # The design says that this ends the claim. Where another channel was used than was claimed,
        # the claim stays open today: not judged.
        claimed_on = set(self.claimed_on[prospect])
        is_ended = how == "not_made" or bool(claimed_on & set(model.channels_of(parts)))
        is_over = claim.is_over or (holder is not None and is_ended)
        self.claims[prospect] = replace(claim, is_over=is_over, is_sure=False)

    @rule()
    def tick(self) -> None:
        """Close what may be closed, and record what a lease left to be assumed; nothing else."""
        before = {p: len(self.app.history(p)) for p in self.added}
        decided = {p: self.app.explain(p, self.now) for p in self.added}
        closable = {p for p, d in decided.items() if d.verdict == "close"}
        self.app.tick()
        for prospect in self.added:
            claim = self.claims.get(prospect)
            history = self.app.history(prospect)
            new = history[before[prospect] :]
            if claim and claim.is_sure and not claim.is_over and self.now > claim.until:
                assumed = [
                    e
                    for e in history
                    if isinstance(e.data, AttemptMade)
                    and {p.disposition for p in e.data.parts} == {"unknown"}
                    and e.occurred_at == self.claimed_at[prospect]
                ]
                # Section 7a: a machine's that may have sent is assumed to be made, once; by the
                # tick, if no writer came before.
                assert bool(assumed) or not claim.may_have_sent
                assert len([e for e in assumed if e in new]) <= int(claim.may_have_sent)
                self.claims[prospect] = replace(claim, is_sure=False)
            if prospect not in closable and (claim is None or not claim.may_have_sent):
                assert new == []
            assert new or prospect not in closable, f"{prospect} was to be closed"

    @rule(days=st.sampled_from([-30, -1, 1, 7, 60]))
    def look(self, days: int) -> None:
        """The list as of another time is that of the decisions as of then."""
        self.check_due(self.now + timedelta(days=days))

    # What holds after every step.

    def check_due(self, now: datetime) -> None:
        """Section 8, `due`: decisions that are due or a task, soonest first."""
        decided = {p: self.app.explain(p, now) for p in self.added}
        expected = {p: d for p, d in decided.items() if d.verdict in ("due", "task")}
        for app in self.apps:
            # Section 6a: what two processes decide about one prospect is the same.
            assert {p: app.explain(p, now) for p in self.added} == decided
            listed = app.due(now).items
            assert {d.prospect: (d.verdict, d.at) for d in listed} == {
                p: (d.verdict, d.at) for p, d in expected.items()
            }
            assert len(listed) == len(expected)

    @invariant()
    def the_list_is_the_decisions(self) -> None:
        """The due list names exactly those whose own decision is due or a task."""
        self.check_due(self.now)

    @invariant()
    def what_stands_is_what_counts(self) -> None:
        """Section 4b: the fold is that of what stands."""
        for prospect in self.added:
            history = self.app.history(prospect)
            assert [e.version for e in history] == list(range(1, len(history) + 1))
            stands = model.standing(history)
            assert list(standing_events(history)) == stands
            if len(stands) < len(history):
                # Section 6a: no gap is kept to what was made before a correction told us that they
                # had spoken; of what stands alone that can't be seen.
                learnt = self.app.load(prospect).silence.response.version
                is_told = isinstance(history[learnt - 1].data, EventCorrected)
                assert counted(history, is_told) == counted(stands, is_told)

    @invariant()
    def taking_a_retraction_back_leaves_nothing(self) -> None:
        """Section 4b, on events alone: each event in its turn."""
        for prospect in self.added:
            history = self.app.history(prospect)
            last = history[-1]
            version = 2 + (len(history) * 7) % max(1, len(history) - 1)
            if version > len(history) or version in model.retracted_versions(history):
                continue

            def then(number: int, what: int, after: Event = last) -> Event:
                data = EventRetracted(what)
                return msgspec.structs.replace(after, version=after.version + number, data=data)

            both = [*history, then(1, version), then(2, last.version + 1)]
            assert folded(both) == folded(history)

    @invariant()
    def decisions_are_allowed(self) -> None:
        """Stages, opt-outs, failed addresses, and that nobody is forgotten."""
        for prospect in self.added:
            known = model.read(self.app.history(prospect))
            decision = self.app.explain(prospect, self.now)
            stage = self.app.load(prospect).stage
            assert stage in known.stages, f"{stage}, not {sorted(known.stages)}"
            if known.is_surely_open:
                # Rule 6: one next thing, with a time.
                assert decision.verdict != "stop"
                assert decision.to_dict()["at"] is not None
            if known.is_surely_ended:
                assert decision.verdict in ("stop", "task")
            # Also what it waits for: never proposed, claimable or authorised (section 7).
            touch = getattr(decision, "touch", None)
            if touch is not None:
                # Section 7, rule 12: a touch has at most two parts, on different channels.
                channels = model.channels_of(touch.parts)
                assert len(channels) == len(set(channels)) <= 2
                for part in touch.parts:
                    assert part.channel not in known.out, f"opted out of {part.channel}"
                    assert KEYS[part.address or ""] not in known.failed | known.removed
            if isinstance(decision, Due):
                for zone in known.zones:
                    assert not model.is_quiet(self.now, zone)


class ServiceOnSqlite(Service):
    """The same in a file that two processes share, each with a default policy of its own."""

    def open(self) -> list[Cadence]:
        """Open the store in a folder of its own."""
        self.folder = tempfile.TemporaryDirectory()
        file = os.path.join(self.folder.name, "m.db")
        defaults = builtin("tip8"), builtin("voicemail-and-email")
        return [Cadence.open(file, default=one, clock=lambda: self.now) for one in defaults]

    def teardown(self) -> None:
        """Close the store, and take the folder away."""
        super().teardown()
        self.folder.cleanup()


# What differs as soon as anything is recorded: how much was, and when.
_RECORD = ("version", "recorded_at")


def folded(history: list[Event]) -> dict[str, Any]:
    """Return the fold, apart from how much was recorded, and when."""
    prospect = fold(None, history)
    assert prospect is not None
    whole = msgspec.structs.asdict(prospect)
    return {name: value for name, value in whole.items() if name not in _RECORD}


def counted(history: list[Event], is_told_late: bool) -> dict[str, Any]:
    """Return the fold without what it remembers of how we learnt.

    Whether a retraction joined two silences, and that a correction is a response learnt of late.
    """
    whole = folded(history)
    silence = whole.pop("silence")
    response = msgspec.structs.replace(silence.response, version=0)
    silence = msgspec.structs.replace(silence, response=response, is_joined=False)
    if is_told_late:
        silence = msgspec.structs.replace(silence, largest_gap=Gap(0, 0), unmeasured=())
    return whole | {"silence": silence}


def _run(machine: Callable[[], Service], examples: int) -> None:
    if NIGHTLY:
        chosen = settings(max_examples=examples * 8)
    else:
        chosen = settings(max_examples=examples, stateful_step_count=30)
    run_state_machine_as_test(machine, settings=chosen)  # type: ignore[arg-type]


def test_the_service_in_memory_agrees_with_a_naive_model() -> None:
    _run(Service, 80)


def test_the_service_on_sqlite_agrees_with_a_naive_model() -> None:
    _run(ServiceOnSqlite, 8)
