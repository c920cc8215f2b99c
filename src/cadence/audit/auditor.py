"""Walk one history, event by event, and report what violates a rule.

An attempt is judged by what was known when it was made. The invariants come first, from the events
alone (``invariants.py``). Then the engine is asked about the guards and the plan
(``plan_rules.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from cadence.audit.contact_record import RecordedFact
from cadence.audit.findings import Finding, Noticed
from cadence.audit.invariants import (
    Violation,
    check_appointment_stands,
    check_close,
    check_ended,
    check_part,
    check_reach,
    check_silence,
    measure_gap,
)
from cadence.audit.plan_rules import (
    FoldedHistory,
    PastAttempt,
    PlanRules,
    check_guards,
    check_plan,
)
from cadence.audit.reviews import reviews, would_have_broken
from cadence.audit.state import FAILING, AttemptRecord, AuditState, Phase
from cadence.domain.events import (
    SOFT_FAILURES,
    AddressesRead,
    AppointmentCancelled,
    AppointmentSet,
    AttemptMade,
    AttemptStage,
    AutoReplyReceived,
    ContactPoint,
    ContactPointAdded,
    ContactPointFailed,
    ContactPointRemoved,
    ContactPointRestored,
    EndReason,
    Event,
    EventCorrected,
    FollowUpEnded,
    FollowUpReopened,
    Intent,
    OptedBackIn,
    OptOutRequested,
    PauseRequested,
    PolicyAdopted,
    PolicyRef,
    ProspectAdded,
    ProspectsMerged,
    ProspectUpdated,
    ReferralGiven,
    ReplyReceived,
    Unreadable,
)
from cadence.domain.others import Others
from cadence.domain.prospect import Suspension
from cadence.domain.standing import (
    TAKING_BACK,
    corrected,
    is_end_of_merge,
    responses_taken_back,
    standing,
    taken_back_by,
)
from cadence.policy.model import Policy
from cadence.policy.rules import Rule

__all__ = ["Auditor"]

_CLOCK_GRACE: Final = timedelta(minutes=5)
"""How far clocks may be apart before one is taken to have been wrong."""


def _unjudged(event: Event, data: Unreadable) -> Finding:
    because = f"the history can't be judged: {data.what}"
    return Finding(event.prospect, event.version, Rule.FORGOTTEN, because, Noticed.UNDECLARED)


class Auditor:
    """Audits histories one after the other, and counts what it saw.

    Attributes:
        prospects, events: how many were audited.
        unknown: policies that are not at hand, and how many attempts were made under each; those
            were held against the invariants only.
        own_guards: policies with guards that are functions of the team's own, the names of those,
            and how many attempts were made under each; the functions were not asked.
        folded: the last history that was audited, folded as far as that needed.
        to_review: what of that history took back what protects them, or was possible only so.
    """

    def __init__(self, default: Policy, others: Iterable[Policy] = ()) -> None:
        """Prepare to audit under some policies.

        Args:
            default: the policy of a prospect until its history names another.
            others: further policies that histories may name.
        """
        self._default = default
        self._policies = {policy.digest: policy for policy in (*others, default)}
        self._rules: dict[str, PlanRules] = {}
        self._findings: list[Finding] = []
        self._others: Others | None = None
        self.folded: FoldedHistory | None = None
        self.to_review: list[Finding] = []
        self.reset_counts()

    def reset_counts(self) -> None:
        """Set every count to nothing."""
        self.prospects = 0
        self.events = 0
        self.unknown: dict[PolicyRef, int] = {}
        self.own_guards: dict[tuple[PolicyRef, tuple[str, ...]], int] = {}

    def audit(self, events: Sequence[Event], others: Others | None = None) -> list[Finding]:
        """Find what the history of one prospect violates, in order of version.

        Args:
            events: all of it, in order of version.
            others: what other holders of its addresses had said; ``None``: there are none.
        """
        if not events:
            return []
        self._others = others
        self.prospects += 1
        self.events += len(events)
        self.to_review = []
        for event in events:
            if isinstance(event.data, Unreadable):
                self.folded = FoldedHistory(events)
                # It may be the response, opt-out or end that every event after it is judged by.
                return [_unjudged(event, event.data)]
        self.folded = FoldedHistory(events)
        judged = _without_wrong_clocks(events)
        history = self.folded if judged is events else FoldedHistory(judged)
        found = self._judge_all(judged, history)
        violated = _rules_by_version(found)
        if any(isinstance(event.data, TAKING_BACK) for event in judged):
            found = self._as_it_stands(judged, found)
        self.to_review = [one for one in found if one.noticed is Noticed.TO_REVIEW]
        self.to_review += reviews(events, violated)
        if self.to_review:
            self.to_review.sort(key=lambda one: one.version)
            found = [one for one in found if one.noticed is not Noticed.TO_REVIEW]
        if len(found) > 1:
            found.sort(key=lambda one: one.version)
        return found

    def _judge_all(self, events: Sequence[Event], history: FoldedHistory) -> list[Finding]:
        """Find what each event violates, by what was known when it was recorded."""
        found = self._findings = []
        self._walk(events, history)
        return found

    def _walk(self, events: Sequence[Event], history: FoldedHistory) -> AuditState:
        state = AuditState(events[0], self._default, self._policies)
        newest = events[0].occurred_at
        for position, event in enumerate(events):
            data, clock = event.data, event.occurred_at
            if isinstance(data, TAKING_BACK):
                state, newest = self._what_stands(events[: position + 1])
                continue
            if newest - event.recorded_at > _CLOCK_GRACE:
                # Recorded before what an earlier record tells of: it follows that at once.
                event = msgspec.structs.replace(event, occurred_at=max(event.occurred_at, newest))
                state.clocks[event.version, event.occurred_at] = clock
            newest = max(newest, event.occurred_at)
            if type(data) is AttemptMade:
                self._attempt(state, history, position, event, data, clock)
            else:
                handler = _HANDLERS.get(type(data))
                if handler is not None:
                    handler(self, state, event, data)
        return state

    # What was taken back --------------------------------------------------------------------------

    def _what_stands(self, events: Sequence[Event]) -> tuple[AuditState, datetime]:
        """The state after what stands of ``events``, and when the newest of it occurred."""
        found, counts = self._findings, (dict(self.unknown), dict(self.own_guards))
        kept = standing(events)
        left = [event for event, _ in kept] or events[:1]
        self._findings = []  # each was judged before, by what was known then
        state = self._walk(left, FoldedHistory(left))
        self._findings = found
        self.unknown, self.own_guards = counts
        for event, learnt in kept:
            if learnt != event.version == state.silence.version:
                state.silence = state.silence._replace(version=learnt)
        joined = responses_taken_back(events, kept)
        state.is_joined = any(one.occurred_at > state.silence.occurred for one in joined)
        return state, max(event.occurred_at for event in left)

    def _as_it_stands(self, events: Sequence[Event], found: list[Finding]) -> list[Finding]:
        """``found`` of what stands, and what is to be reviewed of what was taken back.

        A retracted event did not happen, so it broke nothing, and a corrected one is judged as it
        was corrected. The others are judged by what was known then.
        """
        taken_back = taken_back_by(events)
        kept = [one for one in found if not {one.version, one.cause} & taken_back.keys()]
        counts = dict(self.unknown), dict(self.own_guards)
        for position, event in enumerate(events):
            by = taken_back.get(event.version)
            if by is not None and isinstance(by.data, EventCorrected):
                history = [*events[:position], corrected(event, by.data)]
                again = self._judge_all(history, FoldedHistory(history))
                kept += [one for one in again if one.version == event.version]
            if isinstance(event.data, TAKING_BACK) and not _is_of_a_merge(event, events):
                # Had it not been taken back: what of our attempts since would have been wrong?
                rest = [one for one in events[position + 1 :] if not _is_about(one, event)]
                history = [*events[:position], *rest]
                known = {(one.version, one.rule) for one in found}
                kept += [
                    would_have_broken(one, event, event.data)
                    for one in self._judge_all(history, FoldedHistory(history))
                    if one.version > event.version and (one.version, one.rule) not in known
                ]
        self.unknown, self.own_guards = counts
        return kept

    # Attempts -------------------------------------------------------------------------------------

    def _attempt(
        self,
        state: AuditState,
        history: FoldedHistory,
        position: int,
        event: Event,
        data: AttemptMade,
        clock: datetime,
    ) -> None:
        if data.policy is not None:
            state.adopt(data.policy)
        rules = self._rules_of(state)
        if self._others is not None:
            state.elsewhere = self._others.said_by(event.occurred_at, event.version)
        if event.occurred_at < state.silence.occurred:
            # It belongs to a silence that was over when it was recorded. What was next at its time
            # can't be known any more.
            violations = check_reach(state, data.parts, event.occurred_at)
            self._report(state, event, data, violations)
            _fail(state, event, data)
            return
        made = AttemptRecord(event, clock, data.stage, data.parts, state.time, state.calendar)
        joined = None if state.phase == Phase.OPTED_OUT else state.joined(made)
        if joined is not None and not made.is_answered:
            self._join(state, event, data, made, joined)
            return
        measure_gap(state, made, data.gap)
        past = None
        if rules is not None and state.time is not None and position:
            past = PastAttempt(
                rules,
                history,
                position,
                data,
                clock,
                made.at,
                state.time,
                made.was_measured_otherwise,
                state.elsewhere,
            )
        violations = check_reach(state, data.parts, made.at)
        if state.phase != Phase.OPTED_OUT:
            violations += _judge(state, made, past, is_lost=bool(violations))
        if violations or data.broke:
            self._report(state, event, data, violations)
        if made.has_failed:
            _fail(state, event, data)
        state.pending_response = 0
        if data.stage is AttemptStage.ON_TIME:
            state.keep_appointment()
        if made.is_answered:
            self._respond(state, event, "conversation", data.intent)
            state.pending_response = 0
        else:
            state.add_attempt(made)

    def _join(
        self,
        state: AuditState,
        event: Event,
        data: AttemptMade,
        made: AttemptRecord,
        joined: AttemptRecord,
    ) -> None:
        """Judge a part of the touch just made that was logged alone: the same attempt goes on."""
        violations = [*check_reach(state, data.parts, made.at), *check_part(state, made)]
        if violations or data.broke:
            self._report(state, event, data, violations)
        if made.has_failed:
            _fail(state, event, data)
        joined.join(made)
        state.recount()

    def _rules_of(self, state: AuditState) -> PlanRules | None:
        """The rules of the policy that the prospect is under, if it is at hand; counts attempts."""
        ref = state.policy_ref
        if not state.is_policy_known:
            self.unknown[ref] = self.unknown.get(ref, 0) + 1
            return None
        rules = self._rules.get(ref.digest)
        if rules is None:
            rules = self._rules[ref.digest] = PlanRules(state.policy)
        if rules.own_guards:
            left_out = ref, rules.own_guards
            self.own_guards[left_out] = self.own_guards.get(left_out, 0) + 1
        return rules

    def _report(
        self, state: AuditState, event: Event, data: AttemptMade, violations: Sequence[Violation]
    ) -> None:
        """Turn violations into findings, with what the history says of them itself."""
        declared = Noticed.DECLARED if data.why else Noticed.RECORDED
        learnt_later: set[str] = set()
        reported = len(self._findings)
        for one in violations:
            if one.learnt is not None and one.learnt > event.occurred_at:
                # Also where the attempt names it: it was logged afterwards, when that was known.
                self._add(state, event.version, one, Noticed.HINDSIGHT)
                learnt_later.add(one.rule)
            else:
                noticed = declared if one.rule in data.broke else Noticed.UNDECLARED
                self._add(state, event.version, one, noticed, data.why)
        is_in_order = all(one.rule in learnt_later for one in violations)
        for rule in dict.fromkeys(data.broke):
            # Claims are no part of a history, so nothing else can tell of them.
            if rule not in learnt_later and (is_in_order or rule == Rule.CLAIMED):
                because = (
                    "another held the claim"
                    if rule == Rule.CLAIMED
                    else "the attempt says so itself; nothing else in the history does"
                )
                self._add(state, event.version, Violation(rule, because), declared, data.why)
        found = self._findings[reported:]
        also = tuple(set(data.broke).difference(one.rule for one in found))
        first = next((one for one in found if one.noticed is not Noticed.HINDSIGHT), None)
        if also and first is not None:
            also = tuple(rule for rule in dict.fromkeys(data.broke) if rule in also)
            place = reported + found.index(first)
            self._findings[place] = msgspec.structs.replace(first, also=also)

    def _add(
        self,
        state: AuditState,
        version: int,
        violation: Violation,
        noticed: Noticed,
        why: str | None = None,
        cause: int = 0,
    ) -> None:
        words = f": {why}" if noticed is Noticed.DECLARED else ""
        because = f"{violation.because} ({noticed}{words})"
        rule = str(violation.rule)
        self._findings.append(Finding(state.prospect, version, rule, because, noticed, cause))

    # Facts ----------------------------------------------------------------------------------------

    def _respond(
        self, state: AuditState, event: Event, what: str, intent: Intent | None = None
    ) -> None:
        """Note what was sent after they spoke, before we knew; and begin a silence."""
        at = event.occurred_at
        if at >= state.silence.occurred:
            because = f"sent after the {what} of {state.when(at, event.version)}"
            later = [made for made in state.attempts if made.at > at]
            self._add_hindsight(state, event, later, Rule.PLAN, because)
        state.respond(event, intent=intent)

    def _add_hindsight(
        self,
        state: AuditState,
        event: Event,
        attempts: Iterable[AttemptRecord],
        rule: str,
        because: str,
    ) -> None:
        """Note attempts that only what we learn now shows to be wrong."""
        for made in attempts:
            violation = Violation(rule, because)
            self._add(state, made.version, violation, Noticed.HINDSIGHT, cause=event.version)


def _without_wrong_clocks(events: Sequence[Event]) -> Sequence[Event]:
    """The history without what was taken back of a clock that was ahead.

    Nothing follows an event before it happened. So all that comes after such an event counts as
    following it at once, until it is taken back; then no clock was wrong.
    """
    if not any(isinstance(event.data, TAKING_BACK) for event in events):
        return events
    taken_back = taken_back_by(events)
    wrong: dict[int, datetime] = {}
    first_behind = events[-1].recorded_at
    for event in reversed(events):
        if event.version in taken_back and event.occurred_at - first_behind > _CLOCK_GRACE:
            wrong[event.version] = event.occurred_at
        first_behind = min(first_behind, event.recorded_at)
    if not wrong:
        return events
    kept = []
    ahead = events[0].occurred_at
    for event in events:
        data, by = event.data, taken_back.get(event.version)
        if isinstance(data, TAKING_BACK) and data.version in wrong:
            continue
        if event.version in wrong:
            ahead = max(ahead, wrong[event.version])
            if by is None or not isinstance(by.data, EventCorrected):
                continue
            event = corrected(event, by.data)
        elif isinstance(data, AttemptMade) and ahead - event.recorded_at > _CLOCK_GRACE:
            # Its gap was measured to the time at which it counted as made.
            data = msgspec.structs.replace(data, gap=None, gap_from=None)
            event = msgspec.structs.replace(event, data=data)
        kept.append(event)
    return kept


def _rules_by_version(found: Iterable[Finding]) -> dict[int, list[str]]:
    """The rules that each event violates, by its version."""
    rules: dict[int, list[str]] = {}
    for one in found:
        if one.noticed is not Noticed.HINDSIGHT:
            rules.setdefault(one.version, []).append(one.rule)
    return rules


def _is_about(event: Event, other: Event) -> bool:
    """Whether ``event`` takes ``other`` back."""
    return isinstance(event.data, TAKING_BACK) and event.data.version == other.version


def _is_of_a_merge(event: Event, events: Sequence[Event]) -> bool:
    """Whether an event takes back, or renews, a half of a merge; that is reviewed as a merge."""
    target = next((one for one in events if _is_about(event, one)), None)
    return target is not None and (
        isinstance(target.data, ProspectsMerged) or is_end_of_merge(target)
    )


def _judge(
    state: AuditState, made: AttemptRecord, past: PastAttempt | None, *, is_lost: bool
) -> list[Violation]:
    """What an attempt of the running silence violates.

    Args:
        state: before it.
        made: the attempt, with its gap measured.
        past: the same, to be judged by its policy; ``None`` where that can't be asked.
        is_lost: it used an address or a channel that was lost.
    """
    silence = state.silence
    if silence.recorded > made.at and silence.version > 1:
        # Made before we knew that they had spoken: it carried out what was next before that.
        because = f"sent after the response of {state.when(silence.occurred, silence.version)}"
        found = [Violation(Rule.PLAN, because, silence.recorded), *check_silence(state, made)]
        return found if past is None else [*found, *check_guards(past)]
    ended = check_ended(state, made.at)
    if ended is not None:
        return [ended]
    found = check_silence(state, made)
    if past is None:
        return found
    found += check_guards(past)
    # The plan is asked only about what broke nothing else: one wrong act is one finding. What was
    # lost since is no longer next, so then the plan can't be asked.
    if is_lost or any(one.learnt is None or one.learnt <= made.at for one in found):
        return found
    deviation = check_appointment_stands(state, made) or check_plan(past)
    return found if deviation is None else [*found, deviation]


def _fail(state: AuditState, event: Event, data: AttemptMade) -> None:
    """Note the contact points that an attempt found to be dead."""
    for part in data.parts:
        if part.disposition in FAILING:
            state.contact.fail(part.channel, part.same, _fact(event))


# What other events change -------------------------------------------------------------------------


def _added(auditor: Auditor, state: AuditState, event: Event, data: ProspectAdded) -> None:
    state.contact.points = list(data.contact_points)
    if data.policy is not None:
        state.adopt(data.policy)
    state.move(data.timezone, data.country, data.subdivision)


def _updated(auditor: Auditor, state: AuditState, event: Event, data: ProspectUpdated) -> None:
    state.move(data.timezone, data.country, data.subdivision)


def _point_added(
    auditor: Auditor, state: AuditState, event: Event, data: ContactPointAdded
) -> None:
    state.contact.add(ContactPoint(data.channel, data.address, data.key))


def _point_failed(
    auditor: Auditor, state: AuditState, event: Event, data: ContactPointFailed
) -> None:
    if data.reason in SOFT_FAILURES:
        return
    because = f"{data.channel} {data.address} had failed by then (event {event.version})"
    key = data.address if data.key is None else data.key
    later = [
        made
        for made in state.attempts
        if made.at >= event.occurred_at and any(part.same == key for part in made.parts)
    ]
    auditor._add_hindsight(state, event, later, Rule.CONTACT_POINT, because)
    state.contact.fail(data.channel, key, _fact(event))


def _point_restored(
    auditor: Auditor, state: AuditState, event: Event, data: ContactPointRestored
) -> None:
    key = data.address if data.key is None else data.key
    state.contact.restore(key, event.recorded_at)


def _point_removed(
    auditor: Auditor, state: AuditState, event: Event, data: ContactPointRemoved
) -> None:
    state.contact.remove(ContactPoint(data.channel, data.address, data.key))


def _addresses_read(auditor: Auditor, state: AuditState, event: Event, data: AddressesRead) -> None:
    state.contact.read(data)


def _fact(event: Event) -> RecordedFact:
    return RecordedFact(event.occurred_at, event.recorded_at, event.version)


def _appointed(auditor: Auditor, state: AuditState, event: Event, data: AppointmentSet) -> None:
    state.agree(data.at, event)


def _cancelled(
    auditor: Auditor, state: AuditState, event: Event, data: AppointmentCancelled
) -> None:
    state.cancel()


def _replied(auditor: Auditor, state: AuditState, event: Event, data: ReplyReceived) -> None:
    auditor._respond(state, event, "reply", data.intent)


def _referred(auditor: Auditor, state: AuditState, event: Event, data: ReferralGiven) -> None:
    auditor._respond(state, event, "referral")


def _auto_replied(
    auditor: Auditor, state: AuditState, event: Event, data: AutoReplyReceived
) -> None:
    at = event.occurred_at
    if at < state.silence.occurred:
        return
    because = f"they were away from {state.when(at, event.version)} on"
    until = data.until
    later = [m for m in state.attempts if m.at >= at and (until is None or m.at < until)]
    auditor._add_hindsight(state, event, later, Rule.SUSPENDED, because)
    _suspend(state, event, until)


def _paused(auditor: Auditor, state: AuditState, event: Event, data: PauseRequested) -> None:
    at, before = event.occurred_at, state.silence.occurred
    auditor._respond(state, event, "request for a pause")
    if at >= before and data.until > at:
        _suspend(state, event, data.until)


def _suspend(state: AuditState, event: Event, until: datetime | None) -> None:
    state.suspend(Suspension(event.occurred_at, until, event.version), event.recorded_at)


def _opted_out(auditor: Auditor, state: AuditState, event: Event, data: OptOutRequested) -> None:
    at, channel = event.occurred_at, data.channel
    kept = data.except_channels
    what = "everything" if channel is None else str(channel)
    if kept:
        what += f" but {', '.join(kept)}"
    because = f"they had opted out of {what} on {state.when(at, event.version)}"
    later = [
        made
        for made in state.attempts
        if made.at >= at
        and any(
            part.channel == channel or (channel is None and part.channel not in kept)
            for part in made.parts
        )
    ]
    auditor._add_hindsight(state, event, later, Rule.OPT_OUT, because)
    state.opt_out(data, event)


def _opted_in(auditor: Auditor, state: AuditState, event: Event, data: OptedBackIn) -> None:
    state.opt_in(data.channel, event)


def _adopted(auditor: Auditor, state: AuditState, event: Event, data: PolicyAdopted) -> None:
    state.adopt(PolicyRef(data.name, data.version, data.digest))


def _ended(auditor: Auditor, state: AuditState, event: Event, data: FollowUpEnded) -> None:
    if auditor._others is not None and data.reason is EndReason.UNREACHABLE:
        state.elsewhere = auditor._others.said_by(event.occurred_at, event.version)
    violation = check_close(state, event, data.reason)
    if violation is not None:
        auditor._add(state, event.version, violation, Noticed.UNDECLARED)
    state.end(data.reason, event)


def _merged(auditor: Auditor, state: AuditState, event: Event, data: ProspectsMerged) -> None:
    """The other history was judged by itself; here it only counts."""
    others, auditor._others = auditor._others, None
    other, _ = auditor._what_stands(data.history)
    auditor._others = others
    state.take_over(other, event, data.keep)


def _reopened(auditor: Auditor, state: AuditState, event: Event, data: FollowUpReopened) -> None:
    state.reopen(event)


# Keyed by exact type; events that change nothing which an invariant asks for have no entry.
_HANDLERS: Final[dict[type, Callable[[Auditor, AuditState, Event, Any], None]]] = {
    ProspectAdded: _added,
    ProspectUpdated: _updated,
    ContactPointAdded: _point_added,
    ContactPointFailed: _point_failed,
    ContactPointRestored: _point_restored,
    ContactPointRemoved: _point_removed,
    AddressesRead: _addresses_read,
    AppointmentSet: _appointed,
    AppointmentCancelled: _cancelled,
    ReplyReceived: _replied,
    ReferralGiven: _referred,
    AutoReplyReceived: _auto_replied,
    PauseRequested: _paused,
    OptOutRequested: _opted_out,
    OptedBackIn: _opted_in,
    PolicyAdopted: _adopted,
    FollowUpEnded: _ended,
    ProspectsMerged: _merged,
    FollowUpReopened: _reopened,
}
