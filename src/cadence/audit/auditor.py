"""One history, event by event: what broke a rule, judged by what was known when it was done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from cadence.audit.findings import (
    CONTACT_POINT,
    OPT_OUT,
    PLAN,
    SUSPENDED,
    Finding,
    Noticed,
)
from cadence.audit.guards import guarded
from cadence.audit.invariants import Breach, closing, forbidden, lasting, measure, show, timing
from cadence.audit.plan import RANK, Plan
from cadence.audit.records import Appointed, Known, Made, Phase
from cadence.audit.state import File
from cadence.audit.steps import plan_breach
from cadence.audit.swift import surely_in_order
from cadence.domain.events import (
    AppointmentCancelled,
    AppointmentSet,
    AttemptMade,
    AutoReplyReceived,
    Channel,
    ContactPointAdded,
    ContactPointFailed,
    Disposition,
    Event,
    FollowUpEnded,
    FollowUpReopened,
    GuidelinesAgreed,
    OptedBackIn,
    OptOutRequested,
    PauseRequested,
    PolicyAdopted,
    PolicyRef,
    PreferenceStated,
    ProspectAdded,
    ProspectUpdated,
    ReplyReceived,
)
from cadence.domain.prospect import Suspension
from cadence.policy.model import Policy
from cadence.worktime.calendar import WorkCalendar

__all__ = ["Auditor"]

_CALL: Final = Channel.CALL
_CONNECTED: Final = Disposition.CONNECTED
_WRONG_NUMBER: Final = Disposition.WRONG_NUMBER
_BOUNCED: Final = Disposition.BOUNCED


class Auditor:
    """Audits histories one after the other, and counts what it saw.

    Attributes:
        prospects, events: how many were audited.
        unknown: policies that are not at hand, and how many attempts were made under each; of
            those only the charter was checked.
        own_guards: policies with guards that are functions of a team's own, the names of those,
            and how many attempts were made under each; nobody can ask such a function about the
            past, so it was left out.
    """

    def __init__(self, default: Policy, others: Iterable[Policy] = ()) -> None:
        """Args:
        default: the policy of a prospect until its history names another.
        others: further policies that histories may name.
        """
        self._default = Plan(default)
        self._plans: Mapping[str, Plan] = {
            plan.digest: plan for plan in (*map(Plan, others), self._default)
        }
        self._findings: list[Finding] = []
        self.count_anew()

    def count_anew(self) -> None:
        """Forget what was counted so far."""
        self.prospects = 0
        self.events = 0
        self.unknown: dict[PolicyRef, int] = {}
        self.own_guards: dict[tuple[PolicyRef, tuple[str, ...]], int] = {}

    def audit(self, events: Sequence[Event]) -> list[Finding]:
        """What the history of one prospect breaks, in order of version.

        Args:
            events: all of it, in order of version.
        """
        if not events:
            return []
        file = File(events[0], self._default, self._plans)
        if not isinstance(events[0].data, ProspectAdded):
            file.moved()  # nobody said where they are: UTC
        found = self._findings = []
        for event in events:
            data = event.data
            if type(data) is AttemptMade:
                self._attempt(file, event, data)
            else:
                handler = _HANDLERS.get(type(data))
                if handler is not None:
                    handler(self, file, event, data)
        self.prospects += 1
        self.events += len(events)
        if len(found) > 1:
            found.sort(key=_version)
        return found

    # Attempts -------------------------------------------------------------------------------------

    def _attempt(self, file: File, event: Event, data: AttemptMade) -> None:
        at, parts = event.occurred_at, data.parts
        ref, plan = data.policy, file.plan
        if ref is not None and ref.digest != plan.digest:
            file.under(ref)
            plan = file.plan
        if not plan.known:
            self.unknown[plan.ref] = self.unknown.get(plan.ref, 0) + 1
        elif plan.own_guards:
            left_out = plan.ref, plan.own_guards
            self.own_guards[left_out] = self.own_guards.get(left_out, 0) + 1
        if at < file.since:
            # It belongs to a silence that was over when it was recorded: what was next at its time
            # can't be known any more.
            self._report(file, event, data, list(lasting(file, parts, at)))
            self._fail(file, event, data)
            rank, recorded = RANK[data.stage], event.recorded_at
            old = Made(at, event.version, rank, parts, False, 0, 0, None, recorded, data.step)
            file.remember([old])
            return
        rank = RANK[data.stage]
        connected = has_call = failing = False
        for part in parts:
            disposition = part.disposition
            if disposition is _CONNECTED:
                connected = True
            elif disposition is _WRONG_NUMBER or disposition is _BOUNCED:
                failing = True
            if part.channel is _CALL:
                has_call = True
        day = second = 0
        calendar = file.calendar
        if calendar is not None:
            local = at.astimezone(calendar.tz)
            day = local.toordinal()
            second = local.hour * 3600 + local.minute * 60 + local.second
        recorded, step = event.recorded_at, data.step
        made = Made(
            at, event.version, rank, parts, has_call, day, second, file.time, recorded, step
        )
        if calendar is None and file.time is not None:
            made.clocks = _clocks(file.time, at)
        place = plan.by_name.get(step)  # type: ignore[arg-type]  # no touch is called None
        if file.opted_out or file.failed or not surely_in_order(file, made, data, place):
            breaches = list(lasting(file, parts, at))
            before, doubt = measure(file, made, data.gap) if file.attempts else (None, "")
            if file.phase != Phase.OPTED_OUT:
                breaches += self._judge(file, data, made, before, doubt, breaches)
            if breaches or data.broke:
                self._report(file, event, data, breaches)
        if failing:
            self._fail(file, event, data)
        file.waiting = 0
        if rank == 1:
            file.kept, file.appointment = file.appointment, None
        if connected:
            self._contact(file, event, "conversation", conversation=True)
            file.remember([made])
            file.waiting = 0
            return
        file.made(made)
        if place is not None and place.rank == rank and file.attempts[-1] is made:
            file.next_place = place.number + 1
        else:
            file.next_place = -1

    def _judge(
        self,
        file: File,
        data: AttemptMade,
        made: Made,
        before: Made | None,
        doubt: str,
        others: Sequence[Breach],
    ) -> list[Breach]:
        silence = file.silence
        if silence.recorded > made.at and silence.version > 1:
            # Made before we knew that they had spoken: it carried out what was next before that.
            because = (
                f"sent after the contact of {show(file, silence.occurred)} "
                f"(event {silence.version})"
            )
            return [
                Breach(PLAN, because, silence.recorded),
                *timing(file, made, before, doubt),
                *self._guarded(file, made),
            ]
        nothing = forbidden(file, made.at)
        if nothing is not None:
            return [nothing]
        breaches = [*timing(file, made, before, doubt), *self._guarded(file, made)]
        # What was lost since is no longer next; what was next at its time can't be known any more.
        if not (others or any(one.learnt is None or one.learnt <= made.at for one in breaches)):
            breach = plan_breach(file, made, data, before)
            if breach is not None:
                breaches.append(breach)
        return breaches

    @staticmethod
    def _guarded(file: File, made: Made) -> Iterable[Breach]:
        if not file.plan.guards or file.time is None:
            return ()
        return guarded(file, made)

    def _fail(self, file: File, event: Event, data: AttemptMade) -> None:
        for part in data.parts:
            if part.disposition is _WRONG_NUMBER or part.disposition is _BOUNCED:
                file.fail(part.channel, part.address, event)

    def _report(
        self, file: File, event: Event, data: AttemptMade, breaches: Sequence[Breach]
    ) -> None:
        """Turn breaches into findings, and say what the history says of them itself."""
        said = data.broke
        real = False
        known_later: set[str] = set()
        for one in breaches:
            if one.learnt is not None and one.learnt > event.occurred_at:
                # Also where the attempt says so: whoever wrote it down afterwards knew by then.
                self._add(file, event.version, one, Noticed.HINDSIGHT)
                known_later.add(one.rule)
                continue
            real = True
            noticed = Noticed.UNNOTICED
            if one.rule in said:
                noticed = Noticed.SAID_SO if data.why else Noticed.RECORDED
            self._add(file, event.version, one, noticed, data.why)
        if not real:
            noticed = Noticed.SAID_SO if data.why else Noticed.RECORDED
            for rule in dict.fromkeys(rule for rule in said if rule not in known_later):
                because = "the attempt says so itself; nothing else in the history does"
                self._add(file, event.version, Breach(rule, because), noticed, data.why)

    def _add(
        self, file: File, version: int, breach: Breach, noticed: Noticed, why: str | None = None
    ) -> None:
        words = f": {why}" if noticed is Noticed.SAID_SO else ""
        because = f"{breach.because} ({noticed}{words})"
        self._findings.append(Finding(file.prospect, version, breach.rule, because, noticed))

    # Facts ----------------------------------------------------------------------------------------

    def _contact(self, file: File, event: Event, what: str, **known: Any) -> None:
        """They said something; what was sent after it, before we knew, is worth a note."""
        at = event.occurred_at
        if at >= file.since:
            for made in file.attempts:
                if made.at > at:
                    because = f"sent after the {what} of {show(file, at)} (event {event.version})"
                    self._add(file, made.version, Breach(PLAN, because), Noticed.HINDSIGHT)
        file.response(event, **known)

    def _in_hindsight(
        self, file: File, since: datetime, rule: str, because: str, channel: Channel | None = None
    ) -> None:
        """Note the attempts that were made after something which we learn only now."""
        for made in file.attempts:
            if made.at >= since and (
                channel is None or any(part.channel is channel for part in made.parts)
            ):
                self._add(file, made.version, Breach(rule, because), Noticed.HINDSIGHT)


def _clocks(time: WorkCalendar, at: datetime) -> tuple[tuple[int, int], ...]:
    """Local date and time of day in each candidate zone."""
    locals_ = [at.astimezone(calendar.tz) for calendar in time.calendars]
    return tuple(
        (one.toordinal(), one.hour * 3600 + one.minute * 60 + one.second) for one in locals_
    )


def _version(finding: Finding) -> int:
    return finding.version


# What other events change -------------------------------------------------------------------------


def _added(auditor: Auditor, file: File, event: Event, data: ProspectAdded) -> None:
    file.zones = (data.timezone,) if isinstance(data.timezone, str) else data.timezone
    file.country, file.subdivision = data.country, data.subdivision
    file.points = [(point.channel, point.address) for point in data.contact_points]
    file.points_changed()
    file.moved()


def _updated(auditor: Auditor, file: File, event: Event, data: ProspectUpdated) -> None:
    if data.timezone is not None:
        file.zones = (data.timezone,) if isinstance(data.timezone, str) else data.timezone
    if data.country is not None and data.country != file.country:
        # A subdivision belongs to its country.
        file.country, file.subdivision = data.country, None
    if data.subdivision is not None:
        file.subdivision = data.subdivision
    file.moved()


def _point_added(auditor: Auditor, file: File, event: Event, data: ContactPointAdded) -> None:
    point = (data.channel, data.address)
    if point not in file.points:
        file.points.append(point)
        file.points_changed()


def _point_failed(auditor: Auditor, file: File, event: Event, data: ContactPointFailed) -> None:
    at = event.occurred_at
    because = f"{data.channel} {data.address} had failed by then (event {event.version})"
    for made in file.attempts:
        if made.at >= at and any(
            part.channel is data.channel and part.address == data.address for part in made.parts
        ):
            auditor._add(file, made.version, Breach(CONTACT_POINT, because), Noticed.HINDSIGHT)
    file.fail(data.channel, data.address, event)


def _guidelines(auditor: Auditor, file: File, event: Event, data: GuidelinesAgreed) -> None:
    if file.guidelines is None:
        file.guidelines = Known(event.occurred_at, event.recorded_at, event.version)


def _preference(auditor: Auditor, file: File, event: Event, data: PreferenceStated) -> None:
    if data.channel is not None:
        file.preferred_channel = data.channel
    if data.hours is not None:
        file.preferred_hours = data.hours


def _appointed(auditor: Auditor, file: File, event: Event, data: AppointmentSet) -> None:
    # In a silence that has attempts, and in a reopened file, nobody can have agreed to it.
    if file.attempts or file.reopened is not None:
        return
    if file.phase in (Phase.NEW, Phase.ENGAGED, Phase.SCHEDULED):
        if file.phase != Phase.SCHEDULED:
            file.pause_until = None
        file.phase = Phase.SCHEDULED
        agreed = Known(event.occurred_at, event.recorded_at, event.version)
        file.appointment = Appointed(data.at, agreed)


def _cancelled(auditor: Auditor, file: File, event: Event, data: AppointmentCancelled) -> None:
    file.appointment = None
    if file.phase == Phase.SCHEDULED:
        file.phase = Phase.NEW if file.silence.version == 1 else Phase.ENGAGED


def _replied(auditor: Auditor, file: File, event: Event, data: ReplyReceived) -> None:
    auditor._contact(file, event, "reply", intent=data.intent)


def _auto_replied(auditor: Auditor, file: File, event: Event, data: AutoReplyReceived) -> None:
    if event.occurred_at >= file.since:
        _away(auditor, file, event, data.until)
        file.suspend(Suspension(event.occurred_at, data.until, event.version), event.recorded_at)


def _paused(auditor: Auditor, file: File, event: Event, data: PauseRequested) -> None:
    before = file.since
    auditor._contact(file, event, "request for a pause", pause_until=data.until)
    if event.occurred_at >= before and data.until > event.occurred_at:
        file.suspend(Suspension(event.occurred_at, data.until, event.version), event.recorded_at)


def _away(auditor: Auditor, file: File, event: Event, until: datetime | None) -> None:
    because = f"they were away from {show(file, event.occurred_at)} on (event {event.version})"
    for made in file.attempts:
        if made.at >= event.occurred_at and (until is None or made.at < until):
            auditor._add(file, made.version, Breach(SUSPENDED, because), Noticed.HINDSIGHT)


def _opted_out(auditor: Auditor, file: File, event: Event, data: OptOutRequested) -> None:
    what = "everything" if data.channel is None else str(data.channel)
    because = (
        f"they had opted out of {what} on {show(file, event.occurred_at)} (event {event.version})"
    )
    auditor._in_hindsight(file, event.occurred_at, OPT_OUT, because, data.channel)
    file.opt_out(data.channel, event)


def _opted_in(auditor: Auditor, file: File, event: Event, data: OptedBackIn) -> None:
    file.opt_in(data.channel, event)


def _adopted(auditor: Auditor, file: File, event: Event, data: PolicyAdopted) -> None:
    file.under(PolicyRef(data.name, data.version, data.digest))
    file.not_before = data.not_before


def _ended(auditor: Auditor, file: File, event: Event, data: FollowUpEnded) -> None:
    breach = closing(file, event, data.reason)
    if breach is not None:
        auditor._add(file, event.version, breach, Noticed.UNNOTICED)
    file.end(data.reason, event)


def _reopened(auditor: Auditor, file: File, event: Event, data: FollowUpReopened) -> None:
    file.reopen(event)


# Keyed by exact type; events that change nothing which a rule asks for have no entry.
_HANDLERS: Final[dict[type, Callable[[Auditor, File, Event, Any], None]]] = {
    ProspectAdded: _added,
    ProspectUpdated: _updated,
    ContactPointAdded: _point_added,
    ContactPointFailed: _point_failed,
    GuidelinesAgreed: _guidelines,
    PreferenceStated: _preference,
    AppointmentSet: _appointed,
    AppointmentCancelled: _cancelled,
    ReplyReceived: _replied,
    AutoReplyReceived: _auto_replied,
    PauseRequested: _paused,
    OptOutRequested: _opted_out,
    OptedBackIn: _opted_in,
    PolicyAdopted: _adopted,
    FollowUpEnded: _ended,
    FollowUpReopened: _reopened,
}
