"""Hypothesis strategies for prospects, policies and whole histories.

A history is made by driving the engine itself, event by event: touches made when they are due or
late, attempts off policy, replies, refusals, pauses, opt-outs, lost contact points, policies
adopted half-way. It shrinks towards few events, a plain week, and touches made on time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from hypothesis import strategies as st

from cadence.domain.channels import (
    CALL,
    CHANNELS,
    EMAIL,
    MAIL,
    SMS,
    VIDEO_EMAIL,
    Channel,
    in_order,
)
from cadence.domain.codec import encode_line
from cadence.domain.events import (
    AttemptMade,
    AutoReplyReceived,
    ContactPoint,
    ContactPointAdded,
    ContactPointFailed,
    Data,
    Disposition,
    EndReason,
    Event,
    FollowUpEnded,
    FollowUpReopened,
    GuidelinesAgreed,
    Intent,
    OptedBackIn,
    OptOutRequested,
    Part,
    PauseRequested,
    PolicyAdopted,
    PreferenceStated,
    ProspectAdded,
    ProspectUpdated,
    ReplyReceived,
)
from cadence.domain.prospect import Prospect
from cadence.domain.stages import Stage
from cadence.engine.commands import (
    Command,
    MakeAttempt,
    NoteValue,
    SetAppointment,
    complete_attempt,
    decide,
)
from cadence.engine.decision import Close, Decision, Task, TaskKind, Verdict
from cadence.engine.loop import advance, decision_for
from cadence.errors import Refused
from cadence.policy.model import Policy
from cadence.policy.registry import PolicyRegistry
from cadence.policy.touch import Touch
from cadence.testing.random_policies import policies, policy_texts

__all__ = ["History", "Moment", "histories", "policies", "policy_texts", "prospects"]

_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)

# A plain week first; then weeks in which clocks change, and weeks full of holidays.
_STARTS: Final = [
    datetime(2026, 11, 2, 15, tzinfo=UTC),
    datetime(2026, 3, 5, 14, tzinfo=UTC),
    datetime(2026, 3, 26, 9, tzinfo=UTC),
    datetime(2026, 4, 1, 16, tzinfo=UTC),
    datetime(2026, 10, 22, 10, tzinfo=UTC),
    datetime(2026, 12, 17, 18, tzinfo=UTC),
]
_ZONES: Final[list[str | tuple[str, ...]]] = [
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    ("America/New_York", "America/Los_Angeles"),
    ("Europe/London", "Asia/Dubai"),
]
_PLACES: Final[list[tuple[str | None, str | None]]] = [
    (None, None),
    ("US", None),
    ("DE", "BY"),
    ("GB", "SCT"),
    ("JP", None),
    ("SA", None),
    ("IR", None),
    ("GB", None),
    ("IS", None),
]
_LATE: Final = [timedelta(0)] * 6 + [
    _MINUTE,
    10 * _MINUTE,
    16 * _MINUTE,
    5 * _HOUR,
    _DAY,
    4 * _DAY,
    15 * _DAY,
    100 * _DAY,
]
_WHATEVER: Final = [
    "off_policy",
    "reply",
    "refusal",
    "pause",
    "auto_reply",
    "lost",
    "found",
    "opt_out",
    "opt_out_of_all",
    "opt_in",
    "guidelines",
    "preference",
    "moved",
    "appoint",
    "ended",
    "reopened",
    "adopted",
    "wait",
]


class Moment(NamedTuple):
    """What was so at one moment of a history.

    Attributes:
        events: how many events had happened.
        now: when.
        prospect: their fold.
        decision: what came next, as the engine saw it.
    """

    events: int
    now: datetime
    prospect: Prospect
    decision: Decision


class History(NamedTuple):
    """A history and what the engine said along it.

    Attributes:
        events: in order.
        moments: after each event, and whenever the history was looked at.
        policies: those that it was under.
        refused: a touch that was due and that the engine then refused; ``None``: there was none.
    """

    events: tuple[Event, ...]
    moments: tuple[Moment, ...]
    policies: PolicyRegistry
    refused: Refused | None = None

    def __repr__(self) -> str:
        """The events, one a line, as ``cadence import`` takes them."""
        return "\n".join(encode_line(event).decode() for event in self.events)


_ADDRESSES: Final = {
    CALL: "+1212555{:04}",
    SMS: "+1312555{:04}",
    EMAIL: "person{}@example.com",
    VIDEO_EMAIL: "person{}@video.example.com",
    MAIL: "{} example street",
}


def _address(channel: Channel, number: int) -> str:
    """An address that is its own key."""
    return _ADDRESSES.get(channel, "+1412555{:04}").format(number)


def channels_of(policy: Policy) -> list[Channel]:
    """The built-in channels, and those that a policy declares."""
    return in_order({*CHANNELS, *policy.usable})


@st.composite
def prospects(draw: st.DrawFn, *, channels: Sequence[Channel] = CHANNELS) -> ProspectAdded:
    """A prospect with some contact points, in some zone.

    Args:
        draw: given by Hypothesis.
        channels: on which they may have contact points.
    """
    some = st.lists(st.sampled_from(channels), unique=True, min_size=1, max_size=len(channels))
    known = draw(st.one_of(st.just(list(channels)), some))
    points = [ContactPoint(channel, _address(channel, 1)) for channel in known]
    if draw(st.sampled_from([False, False, True])):
        points.append(ContactPoint(known[0], _address(known[0], 2)))
    country, subdivision = draw(st.sampled_from(_PLACES))
    zone = draw(st.sampled_from(_ZONES))
    return ProspectAdded("Somebody", zone, country, subdivision, tuple(points))


class _Drive:
    """One history in the making."""

    def __init__(
        self, draw: st.DrawFn, policy: Policy, adoptable: Sequence[Policy], added: ProspectAdded
    ) -> None:
        self.draw = draw
        self.adoptable = adoptable
        self.channels = channels_of(policy)
        self.policies = PolicyRegistry(policy, adoptable)
        self.now = draw(st.sampled_from(_STARTS)) + draw(st.integers(0, 60)) * _HOUR
        self.events: list[Event] = []
        self.moments: list[Moment] = []
        self.refused: Refused | None = None
        self.found = 0
        self._prospect: Prospect | None = None
        self.record(added)

    def record(self, data: Data) -> None:
        """Let it happen now."""
        event = Event("somebody", len(self.events) + 1, self.now, self.now, data)
        self.events.append(event)
        self._prospect, decision = advance(self._prospect, (event,), self.policies, self.now)
        self.moments.append(Moment(len(self.events), self.now, self._prospect, decision))

    def look(self, at: datetime) -> None:
        """Look again at ``at``, or now if that has passed."""
        self.now = max(self.now, at)
        decision = decision_for(self.prospect, self.policies, self.now)
        self.moments.append(Moment(len(self.events), self.now, self.prospect, decision))

    @property
    def prospect(self) -> Prospect:
        assert self._prospect is not None  # the first event adds them
        return self._prospect

    @property
    def decision(self) -> Decision:
        return self.moments[-1].decision

    @property
    def policy(self) -> Policy:
        return self.policies.of(self.prospect) or self.policies.default

    def command(self, command: Command) -> bool:
        """Do it, if that is allowed."""
        try:
            found = decide(self.prospect, command, self.policy, self.now)
        except Refused:
            return False
        for data in found:
            self.record(data)
        return True

    # Following the engine -----------------------------------------------------------------------

    def follow(self) -> bool:
        """Do what comes next, on time or late; ``False``: there is nothing more to do."""
        decision, draw = self.decision, self.draw
        if decision.verdict is Verdict.STOP:
            return False
        if isinstance(decision, Close):
            self.record(FollowUpEnded(decision.end))
            return True
        if decision.verdict is Verdict.WAIT:
            assert decision.at is not None  # a wait has an end
            self.look(decision.at + draw(st.sampled_from(_LATE)))
            return True
        if decision.verdict is Verdict.DUE:
            assert decision.touch is not None  # due is always a touch
            self._make(decision.touch)
            return self.refused is None
        return self._task()

    def _make(self, touch: Touch) -> None:
        parts = tuple(
            Part(part.channel, self.draw(st.sampled_from(self._silent(part.channel))), part.address)
            for part in touch.parts
        )
        try:
            (data,) = decide(
                self.prospect, MakeAttempt(parts, is_strict=True), self.policy, self.now
            )
        except Refused as error:
            self.refused = error
            return
        self.record(data)

    def _task(self) -> bool:
        """What an owner does: finds something of value, agrees on a time, or tries them."""
        if isinstance(self.decision, Task) and self.decision.kind is TaskKind.FIND_VALUE:
            return self.command(NoteValue("a map"))
        if self.prospect.stage not in (Stage.NEW, Stage.ENGAGED, Stage.SCHEDULED):
            return False
        if self.draw(st.booleans()):
            ahead = self.draw(st.sampled_from([_HOUR, 20 * _HOUR, _DAY, 3 * _DAY]))
            if self.command(SetAppointment(self.now + ahead)):
                return True
        return self._own()

    def _own(self) -> bool:
        """The owner's own attempt, at the first hour of a fortnight that no rule forbids."""
        points = [p for p in self.prospect.reach.contact_points if p.channel in self.policy.usable]
        if not points:
            return False
        point = self.draw(st.sampled_from(points))
        disposition = self.draw(st.sampled_from(self._silent(point.channel)))
        for _ in range(14 * 24 // 5):
            if self.command(
                MakeAttempt((Part(point.channel, disposition, point.address),), is_strict=True)
            ):
                return True
            self.now += 5 * _HOUR
        self.look(self.now)
        return False

    # Whatever happens ---------------------------------------------------------------------------

    def whatever(self) -> None:
        """Anything that a prospect or a rep may do, whatever the policy says."""
        kind = self.draw(st.sampled_from(_WHATEVER))
        if kind == "off_policy":
            self._off_policy()
        elif kind == "appoint":
            ahead = self.draw(st.integers(1, 100)) * _HOUR
            agreed = self.draw(st.sampled_from([None, EMAIL]))
            self.command(SetAppointment(self.now + ahead, agreed))
        elif kind == "wait":
            self.look(self.now + self.draw(st.integers(1, 30)) * 7 * _HOUR)
        elif kind == "adopted":
            self._adopt()
        elif kind == "lost":
            point = self.draw(st.sampled_from(self.prospect.reach.contact_points))
            self.record(ContactPointFailed(point.channel, point.address))
        else:
            self.record(self._fact(kind))

    def _off_policy(self) -> None:
        point = self.draw(st.sampled_from(self.prospect.reach.contact_points))
        dispositions = [*self._silent(point.channel), *Disposition]
        part = Part(point.channel, self.draw(st.sampled_from(dispositions)), point.address)
        made = complete_attempt(self.prospect, AttemptMade((part,)), self.policy, self.now)
        self.record(made)

    def _silent(self, channel: Channel) -> list[Disposition]:
        """What an attempt on a channel ends in when they say nothing."""
        is_spoken = channel in self.policy.spoken
        return _SILENT.get(channel) or (_SILENT[CALL] if is_spoken else _SILENT[EMAIL])

    def _adopt(self) -> None:
        if self.adoptable:
            chosen = self.draw(st.sampled_from(self.adoptable))
            promised = self.decision.at if self.decision.touch is not None else None
            self.record(PolicyAdopted(chosen.id, chosen.version, chosen.digest, promised))

    def _fact(self, kind: str) -> Data:
        draw = self.draw
        channel = draw(st.sampled_from(self.channels))
        later = self.now + draw(st.integers(1, 20)) * _DAY
        if kind == "found":
            self.found += 1
            return ContactPointAdded(channel, _address(channel, 10 + self.found))
        if kind == "preference":
            return PreferenceStated(channel, draw(st.sampled_from([None, "10:00-12:30"])))
        if kind == "moved":
            return ProspectUpdated(timezone=draw(st.sampled_from(_ZONES)))
        if kind == "auto_reply":
            return AutoReplyReceived(channel, draw(st.sampled_from([None, later])))
        facts: dict[str, Data] = {
            "reply": ReplyReceived(channel),
            "refusal": ReplyReceived(channel, Intent.NO),
            "pause": PauseRequested(later),
            "opt_out": OptOutRequested(channel),
            "opt_out_of_all": OptOutRequested(),
            "opt_in": OptedBackIn(),
            "guidelines": GuidelinesAgreed(),
            "ended": FollowUpEnded(EndReason.DECLINED),
            "reopened": FollowUpReopened("a second look"),
        }
        return facts[kind]


_SILENT: Final = {
    CALL: [Disposition.NO_ANSWER, Disposition.VOICEMAIL_LEFT, Disposition.BUSY],
    EMAIL: [Disposition.SENT, Disposition.SENT, Disposition.BOUNCED],
    SMS: [Disposition.SENT, Disposition.UNKNOWN],
    MAIL: [Disposition.SENT],
    VIDEO_EMAIL: [Disposition.SENT, Disposition.BOUNCED],
}


@st.composite
def histories(
    draw: st.DrawFn,
    policy: Policy,
    *,
    adoptable: Sequence[Policy] = (),
    following: bool = False,
    most: int = 24,
) -> History:
    """A history under ``policy``, with everything that may happen on the way.

    Args:
        draw: given by Hypothesis.
        policy: under which it begins.
        adoptable: those that the prospect may be moved to half-way.
        following: nothing happens but what comes next, on time or late.
        most: how often something may happen.
    """
    added = draw(prospects(channels=channels_of(policy)))
    made = _Drive(draw, policy, adoptable, added)
    for _ in range(draw(st.sampled_from(range(1, most + 1)))):
        if not following and draw(st.sampled_from([False] * 4 + [True])):
            made.whatever()
        elif not made.follow():
            if following or made.refused is not None:
                break
            made.whatever()
    return History(tuple(made.events), tuple(made.moments), made.policies, made.refused)
