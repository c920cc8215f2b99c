"""People who are several records: what one record says holds for the others.

Random histories of a few prospects who share addresses, spelled differently, held against a
reading of the promise that shares no code with the program: it looks at the events and entries
alone, in the order in which they were recorded.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cadence.domain import (
    AttemptMade,
    Channel,
    ContactPoint,
    ContactPointAdded,
    ContactPointRemoved,
    Disposition,
    Event,
    EventRetracted,
    FollowUpEnded,
    OptedBackIn,
    OptOutRequested,
    Part,
    ProspectAdded,
    ProspectsMerged,
    SamePersonDenied,
    standing_events,
)
from cadence.domain.channels import CALL, EMAIL, SMS
from cadence.domain.prospect import Prospect
from cadence.domain.stages import Stage
from cadence.engine import MakeAttempt, Task
from cadence.engine.decision import TaskKind
from cadence.errors import CadenceError, Refused
from cadence.policy.rules import Rule
from cadence.store import Cadence

START = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
# Each address in the spellings in which people type it; by its key.
SPELLINGS = {
    "+12125550100": ["+1 212 555 0100", "+12125550100", "(212) 555-0100", "tel:+1-212-555-0100"],
    "+12125550101": ["+1 212 555 0101", "212.555.0101"],
    "a@example.com": ["a@example.com", "A@Example.com", "mailto:a@example.com"],
    "b@example.com": ["b@example.com", "B@EXAMPLE.com"],
}
PHONES = [key for key in SPELLINGS if "@" not in key]
CHANNELS = [CALL, SMS, EMAIL]
NAMES = ["Ada Brook", "ada  brook", "Bo Lind"]
HELD = {TaskKind.SAME_PERSON, TaskKind.FIND_ADDRESS, TaskKind.RECORD_OPT_IN}


class Step(NamedTuple):
    """One thing that happens to one of the prospects, or to an address."""

    what: str
    who: int
    channel: Channel | None
    address: str
    name: str
    minutes: int


def _address_for(channel: Channel | None, number: int, spelling: int) -> str:
    keys = [key for key in SPELLINGS if "@" in key] if channel == EMAIL else PHONES
    written = SPELLINGS[keys[number % len(keys)]]
    return written[spelling % len(written)]


channels = st.sampled_from([None, *CHANNELS])
steps = st.builds(
    lambda what, who, channel, number, spelling, name, minutes: Step(
        what, who, channel, _address_for(channel, number, spelling), name, minutes
    ),
    st.sampled_from(
        [
            *("add", "add", "add", "opt_out", "opt_out", "opt_in", "undo", "attempt", "attempt"),
            *("point", "remove", "not_same", "suppress", "unsuppress", "bounce", "wrong_number"),
            *("merge", "merge", "unmerge"),
        ]
    ),
    st.integers(0, 3),
    channels,
    st.integers(0, 1),
    st.integers(0, 3),
    st.sampled_from(NAMES),
    st.sampled_from([1, 30, 60 * 26, 60 * 24 * 4 + 1]),
)


@st.composite
def _lives(draw: st.DrawFn) -> list[Step]:
    """Two to four people who are there from the start, and what happens then."""
    begun = [
        draw(steps)._replace(what="add", who=who, minutes=draw(st.sampled_from([1, 30])))
        for who in range(draw(st.integers(2, 4)))
    ]
    return begun + draw(st.lists(steps, min_size=4, max_size=25))


lives = _lives()


class World:
    """A store, and what was recorded in it in the order in which it came."""

    def __init__(self) -> None:
        self.app = Cadence.open()
        self.app.change_settings({"default_region": "US"}, by="ann", at=START)
        self.now = START
        self.listed: dict[tuple[str, Channel | None], datetime] = {}

    def do(self, prospect: str, data: Any) -> None:
        try:
            self.app.execute(prospect, data, at=self.now)
        except CadenceError:
            return  # a command that is refused, or a fact that can't be: nothing is recorded

    def play(self, step: Step) -> None:
        self.now += timedelta(minutes=step.minutes)
        who, channel = f"p{step.who}", step.channel or CALL
        key = _key(step.address)
        match step.what:
            case "add":
                # Every other has a second address, which only waits for the owner's word.
                second = EMAIL if "@" not in step.address else CALL
                more = ContactPoint(second, _address_for(second, step.who, step.minutes))
                points = (ContactPoint(channel, step.address), *([more] * (step.minutes % 2)))
                added = ProspectAdded(step.name, "America/New_York", "US", contact_points=points)
                self.do(who, added)
            case "point":
                self.do(who, ContactPointAdded(channel, step.address))
            case "remove":
                self.do(who, ContactPointRemoved(channel, step.address, "not theirs"))
            case "opt_out":
                self.do(who, OptOutRequested(step.channel))
            case "opt_in":
                self.do(who, OptedBackIn(step.channel, why="they called"))
            case "undo":
                for event in reversed(self.history(who)):
                    if isinstance(event.data, OptOutRequested):
                        self.do(who, EventRetracted(event.version, "a mistake"))
            case "attempt":
                self.do(who, MakeAttempt((Part(channel, Disposition.NO_ANSWER),)))
            case "bounce" | "wrong_number":
                part = Part(channel, Disposition(step.what + "d" * (step.what == "bounce")))
                self.do(who, AttemptMade((part,)))
            case "not_same":
                self.do(who, SamePersonDenied(f"p{(step.who + 1) % 4}", "brothers"))
            case "merge":
                into = f"p{(step.who + 1 + step.minutes % 3) % 4}"
                with suppress(CadenceError):
                    self.app.merges.merge(who, into, why="one", keep=into, at=self.now)
            case "unmerge":
                with suppress(CadenceError):
                    self.app.merges.unmerge(who, why="two after all", at=self.now)
            case "suppress":
                self.app.addresses.suppress([step.address], by="ann", source="s", at=self.now)
                self.listed.setdefault((key, None), self.now)
            case "unsuppress":
                self.app.addresses.unsuppress(step.address, by="ann", why="asked", at=self.now)
                self.listed.pop((key, None), None)

    def history(self, prospect: str) -> list[Event]:
        return self.app.histories.of([prospect])[prospect]

    def everybody(self) -> list[str]:
        return list(self.app.prospects())


def _key(address: str) -> str:
    return next(key for key, written in SPELLINGS.items() if address in written)


# The promise, read from the events ------------------------------------------------------------


Word = tuple[Channel | None, str, int]
"""An opt-out: its channel, and the prospect and version of its event."""


def opted_out(world: World, prospect: str) -> list[Word]:
    """The opt-outs of a person that stand, also those that a merged record of theirs gave."""
    words: list[Word] = []
    for event in standing_events(world.history(prospect)):
        data = event.data
        if isinstance(data, OptOutRequested):
            words.append((data.channel, prospect, event.version))
        elif isinstance(data, ProspectsMerged):
            words += opted_out(world, data.prospect)
        elif isinstance(data, OptedBackIn):
            # An opt-in for one channel leaves an opt-out of all standing for the others.
            words = [] if data.channel is None else _without(words, data.channel)
    return words


def _without(words: list[Word], channel: Channel) -> list[Word]:
    left: list[Word] = []
    for named, *event in words:
        if named is None:
            left += [(one, *event) for one in CHANNELS if one != channel]
        elif named != channel:
            left.append((named, *event))
    return left


def ever_held(world: World, prospect: str) -> set[str]:
    """The keys of every address that was theirs at some time."""
    held: set[str] = set()
    for event in standing_events(world.history(prospect)):
        data = event.data
        if isinstance(data, ProspectsMerged):
            held |= ever_held(world, data.prospect)
        if isinstance(data, ProspectAdded):
            held |= {_key(point.address) for point in data.contact_points}
        elif isinstance(data, ContactPointAdded):
            held.add(_key(data.address))
    return held


def is_stopped(world: World, prospect: str, channel: Channel, key: str) -> bool:
    """Whether somebody's word, or a list, forbids an address on a channel."""
    if (key, None) in world.listed:
        return True
    lifted = lifted_by(world, prospect)
    for other in world.everybody():
        if is_merged(world, other) or key not in ever_held(world, other):
            continue
        for named, who, version in opted_out(world, other):
            is_lifted = other != prospect and any(
                who == one and version <= until and on in (None, channel)
                for on, one, until in lifted
            )
            if named in (None, channel) and not is_lifted:
                return True
    return False


def lifted_by(world: World, prospect: str) -> list[Word]:
    """The words of others that they, or a merged record of theirs, took back for themselves."""
    lifted: list[Word] = []
    for event in standing_events(world.history(prospect)):
        data = event.data
        if isinstance(data, OptedBackIn):
            lifted += [(data.channel, ref.prospect, ref.version) for ref in data.lifts]
        elif isinstance(data, ProspectsMerged):
            lifted += lifted_by(world, data.prospect)
    return lifted


def is_merged(world: World, prospect: str) -> bool:
    """Whether another record goes on for this one."""
    ends = [event.data for event in standing_events(world.history(prospect))]
    return any(isinstance(one, FollowUpEnded) and one.reason == "merged" for one in ends)


def proposed(world: World, prospect: str) -> list[tuple[Channel, str]]:
    """What a decision proposes to use, at the time of the last event and a while later."""
    found = []
    for later in (timedelta(0), timedelta(days=1), timedelta(days=30)):
        touch = world.app.explain(prospect, world.now + later).touch
        if touch is not None:
            found += [(part.channel, part.same) for part in touch.parts]
    return found


@given(lives)
@settings(deadline=None)
def test_nothing_is_proposed_to_an_address_after_a_holders_word(life: list[Step]) -> None:
    world = World()
    for step in life:
        world.play(step)
        for prospect in world.everybody():
            for channel, key in proposed(world, prospect):
                assert not is_stopped(world, prospect, channel, key), (prospect, channel, key)


@given(lives, st.sampled_from(CHANNELS))
@settings(deadline=None)
def test_a_strict_attempt_and_a_claim_are_refused_after_a_holders_word(
    life: list[Step], channel: Channel
) -> None:
    world = World()
    for step in life:
        world.play(step)
    for prospect in world.everybody():
        folded = world.app.load(prospect)
        if is_merged(world, prospect):
            with pytest.raises(Refused):
                world.app.claim(prospect, by="ann", at=world.now)
            continue
        for point in folded.reach.contact_points:
            if is_stopped(world, prospect, point.channel, point.same):
                part = Part(point.channel, Disposition.NO_ANSWER, point.address)
                with pytest.raises(Refused) as refused:
                    world.app.execute(prospect, MakeAttempt((part,), is_strict=True), at=world.now)
                rules = (Rule.SUPPRESSED, Rule.OPT_OUT, Rule.CONTACT_POINT)
                assert refused.value.rule in rules
                try:
                    claim = world.app.claim(prospect, own=point.channel, by="ann", at=world.now)
                except Refused:
                    continue
                # They have another address on the channel, and that one is free.
                (used,) = claim.parts
                assert not is_stopped(world, prospect, used.channel, used.same)


@given(lives)
@settings(deadline=None)
def test_a_logged_attempt_at_a_stopped_address_says_so(life: list[Step]) -> None:
    world = World()
    for step in life:
        world.play(step)
    for prospect in world.everybody():
        if is_merged(world, prospect):
            continue
        points = world.app.load(prospect).reach.contact_points
        stopped = [one for one in points if is_stopped(world, prospect, one.channel, one.same)]
        if stopped:
            part = Part(stopped[0].channel, Disposition.NO_ANSWER, stopped[0].address)
            outcome = world.app.execute(prospect, MakeAttempt((part,)), at=world.now)
            made = outcome.events[-1].data
            assert isinstance(made, AttemptMade)
            assert {Rule.SUPPRESSED, Rule.OPT_OUT} & set(made.broke)


@given(lives)
@settings(deadline=None)
def test_nobody_is_held_once_every_word_is_taken_back(life: list[Step]) -> None:
    world = World()
    for step in life:
        world.play(step)
    world.now += timedelta(minutes=1)
    for prospect in world.everybody():
        for event in world.history(prospect):
            if isinstance(event.data, OptOutRequested):
                world.do(prospect, EventRetracted(event.version, "a mistake"))
    for key in SPELLINGS:
        world.app.addresses.unsuppress(key, by="ann", why="a mistake", at=world.now)
    for prospect in world.everybody():
        decision = world.app.explain(prospect, world.now)
        assert decision.stage is not Stage.OPTED_OUT, (prospect, decision)
        if isinstance(decision, Task):
            assert decision.kind not in HELD, (prospect, decision)


@given(lives)
@settings(deadline=None)
def test_the_address_index_is_the_one_that_a_rebuild_makes(life: list[Step]) -> None:
    world = World()
    for step in life:
        world.play(step)
    recorder = world.app._recorder
    kept, listed = recorder.address_rows(None, "~"), _listed(world)
    world.app.due_rows.rebuild()
    assert recorder.address_rows(None, "~") == kept
    assert _listed(world) == listed


@given(lives, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_imports_does_not_matter(life: list[Step], random: Any) -> None:
    world = World()
    for step in life:
        if step.what not in ("suppress", "unsuppress"):
            world.play(step)
    order = world.everybody()
    random.shuffle(order)
    with Cadence.open() as other:
        for prospect in order:
            other.histories.append([(world.history(prospect), 0)], at=world.now)
        for prospect in order:
            assert _said(other.load(prospect)) == _said(world.app.load(prospect))
            for later in (timedelta(0), timedelta(days=30)):
                at = world.now + later
                assert other.explain(prospect, at) == world.app.explain(prospect, at)
        at = world.now + timedelta(days=60)
        assert list(other.due(at)) == list(world.app.due(at))


def _said(prospect: Prospect) -> object:
    return prospect.elsewhere


def _listed(world: World) -> list[object]:
    return list(world.app.due(world.now + timedelta(days=60)))
