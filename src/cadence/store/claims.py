"""Take, complete and end claims: leases on touches, kept beside the events.

A claim is decided from the history and the open claim that were read, and written only if both are
still the newest. So of two workers one gets the touch. Leases run on the store's clock.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar, get_args

import msgspec
from eventsourcing.persistence import IntegrityError

from cadence.domain.addresses import covers
from cadence.domain.channels import Channel, check_channel, check_known
from cadence.domain.codec import check_id
from cadence.domain.events import (
    AttemptMade,
    AttemptStage,
    Disposition,
    Event,
    EventCorrected,
    EventRetracted,
    Part,
    type_name,
)
from cadence.domain.fold import fold
from cadence.domain.limits import check_texts
from cadence.domain.prospect import Prospect
from cadence.domain.stages import Stage
from cadence.domain.standing import TAKING_BACK, is_retraction, taken_back_by
from cadence.domain.words import Obstacle
from cadence.engine.claims import Claim, Claimed, ClaimShown, ClaimState, OnExpiry, ended_by
from cadence.engine.commands import Command, MakeAttempt, make_attempt
from cadence.engine.decision import Decision, Due, Wait
from cadence.engine.next_touch import decide_silently, next_touch
from cadence.engine.reasons import stop_facts
from cadence.engine.wording import because
from cadence.errors import Conflict, InputError, Refused, UnknownProspect, VersionConflict
from cadence.policy.model import Policy
from cadence.policy.rules import Rule
from cadence.store.addresses import AddressIndex, Heard, holders_of
from cadence.store.recorder import (
    AddressChange,
    ClaimChange,
    ClaimChanged,
    ClaimRow,
    ClaimWrite,
    Recorder,
)

if TYPE_CHECKING:
    from cadence.store.handler import Outcome
    from cadence.store.service import Cadence

__all__ = [
    "ClaimRequest",
    "ClaimTerms",
    "Claimable",
    "Claims",
    "change_of",
    "check_untold",
    "held",
    "is_assumption",
    "is_untold",
    "judged_again",
    "retried",
    "shared_address",
]

_RETRIES: Final = 100
_LONGEST_WAIT: Final = 0.05  # seconds
_LONGEST_LEASE: Final = timedelta(days=30)
_ASSUMED: Final = "assumed made: the lease of its claim ran out"
_ASSUMED_AT_ONCE: Final = "assumed made: another claim came before its worker said what was done"
_ASSUMED_ID: Final = "assumed:"

_T = TypeVar("_T")


class ClaimTerms(NamedTuple):
    """Who claims, for how long, and what it means if the lease runs out."""

    by: str
    lease: timedelta
    on_expiry: OnExpiry
    at: datetime

    def check(self) -> None:
        """Check the values.

        Raises:
            InputError: one is invalid.
        """
        check_texts(self.by, "by")
        if not self.by.strip() or not self.by.isprintable():
            raise InputError(f"by: invalid {self.by!r}", "give who claims the touch")
        if not timedelta(0) < self.lease <= _LONGEST_LEASE:
            raise InputError(
                f"lease: invalid {self.lease}", f"give a time of up to {_LONGEST_LEASE.days} days"
            )
        if self.on_expiry not in get_args(OnExpiry):
            known = " or ".join(get_args(OnExpiry))
            raise InputError(f"on_expiry: unknown {self.on_expiry!r}", f"use {known}")


class ClaimRequest(NamedTuple):
    """What is claimed, and on which terms."""

    prospect: str
    touch: str | None
    own: Channel | None
    terms: ClaimTerms

    def check(self) -> None:
        """Check the values.

        Raises:
            InputError: one is invalid.
        """
        check_id(self.prospect)
        self.terms.check()
        if self.touch is not None and self.own is not None:
            raise InputError("touch, own: invalid together", "give one of them")
        if self.own is not None:
            check_channel(self.own, "own")


class Claimable(NamedTuple):
    """What was read to judge a claim.

    Attributes:
        prospect: with what others say to it.
        history: its events.
        heard: what others say.
        claim: the open claim on it.
        due: the decision, if it is known that a touch is due.
    """

    prospect: Prospect
    history: Sequence[Event]
    heard: Heard
    claim: Claim | None
    due: Due | None = None


class Claims:
    """The claims of a store: reads, takes, completes and ends them.

    A claim is *open* until the store ends it. An open claim *stands*, and keeps other workers off,
    until its lease runs out or an event ends it. With ``assume_made`` it stands after the lease
    too, until its attempt is recorded or another event ends it.
    """

    def __init__(
        self,
        app: Cadence,
        recorder: Recorder,
        addresses: AddressIndex,
        clock: Callable[[], datetime],
    ) -> None:
        """Args:
        app: records the attempts.
        recorder: keeps the claims.
        addresses: what others say.
        clock: the store's, which leases run on.
        """
        self._app = app
        self._recorder = recorder
        self._addresses = addresses
        self._clock = clock

    # Reading --------------------------------------------------------------------------------------

    def open(self, prospect: str) -> Claim | None:
        """Read the open claim on ``prospect``."""
        rows = self._recorder.open_claims(prospect)
        return _decode(rows[0]) if rows else None

    def open_on(self, prospects: Sequence[str]) -> dict[str, Claim]:
        """Read the open claims on some prospects, by prospect."""
        return {row.prospect: _decode(row) for row in self._recorder.claims_on(prospects)}

    def going_on(self, prospects: Sequence[str]) -> dict[str, Claim]:
        """Read the open claims on some prospects that no event has ended, by prospect."""
        return self._not_ended(self.open_on(prospects))

    def _not_ended(self, claims: Mapping[str, Claim]) -> dict[str, Claim]:
        """Return those of some open claims that no event has ended."""
        newest = self._recorder.newest_versions(list(claims))
        # Most prospects have no event since.
        moved = [name for name, one in claims.items() if newest.get(name) != one.version]
        streams = self._recorder.select_streams(moved) if moved else {}
        ended = {name for name in moved if ended_by(claims[name], streams[name]) is not None}
        return {name: one for name, one in claims.items() if name not in ended}

    def standing(self, claims: Mapping[str, Claim]) -> set[str]:
        """Return on which prospects some open claims stand: they keep others off."""
        clock = self._clock()
        kept = {
            name: one for name, one in claims.items() if one.state(clock) is not ClaimState.RETURNED
        }
        return set(self._not_ended(kept))

    def every_open(self) -> dict[str, Claim]:
        """Read all open claims, by prospect."""
        return {row.prospect: _decode(row) for row in self._recorder.open_claims()}

    def claimed_for(
        self, claim: Claim | None, by: str | None, history: Iterable[Event]
    ) -> Claimed | None:
        """Return what an open claim is to an attempt by ``by`` after ``history``."""
        if claim is None or claim.state(self._clock()) is ClaimState.RETURNED:
            return None
        return Claimed(claim, claim.by == by) if ended_by(claim, history) is None else None

    def show(self, decision: Decision, claim: Claim | None) -> Decision:
        """Return a decision that says who has the touch, or had it last.

        Args:
            decision: on the prospect.
            claim: the open claim on it, if no event has ended that.
        """
        if claim is None:
            return decision
        state = claim.state(self._clock())
        touch = decision.touch
        is_same = touch.id == claim.touch if touch is not None else claim.touch is None
        if state is ClaimState.RETURNED and not is_same:
            return decision  # something else is next now
        shown = ClaimShown(claim.by, claim.until, state)
        return msgspec.structs.replace(decision, claim=shown)

    # Taking and ending ----------------------------------------------------------------------------

    def take(self, request: ClaimRequest, policy_of: Callable[[Prospect], Policy]) -> Claim:
        """Load, judge and write a claim once.

        Args:
            request: what is claimed.
            policy_of: the policy that a prospect is under; refuses where nothing can be judged.

        Raises:
            Refused: another holds a claim, or a rule forbids the attempt now.
            ClaimChanged: another writer came first.
        """
        at = request.terms.at
        claim = self.settled(request.prospect, at)
        history = self._app.history(request.prospect)
        taken, write = self._judge_stored(request, history, claim, policy_of)
        if claim is not None and ended_by(claim, history) is not None:
            # An event has ended that claim, but its machine may have acted. Its attempt is recorded
            # before another claim begins, and only where one does: a refusal writes nothing.
            if self._assume(claim, at, at_once=True) is not None:
                history = self._app.history(request.prospect)
                taken, write = self._judge_stored(request, history, None, policy_of)
        self._recorder.insert_events([], claims=write.claims, addresses=[write.addresses])
        return taken

    def _judge_stored(
        self,
        request: ClaimRequest,
        history: Sequence[Event],
        claim: Claim | None,
        policy_of: Callable[[Prospect], Policy],
    ) -> tuple[Claim, ClaimWrite]:
        """Judge a claim by a history and by what others say now.

        Raises:
            Refused: as of :meth:`take`.
        """
        folded = fold(None, history)
        if folded is None:
            raise UnknownProspect(request.prospect)
        if folded.stage is Stage.MERGED:
            raise Refused(
                f"{request.prospect}: claim refused by plan: it was merged into "
                f"{folded.ending.into} (event {folded.ending.version})",
                f"claim what is next for {folded.ending.into}",
                rule=Rule.PLAN,
            )
        folded = self._addresses.read(folded)
        heard = self._addresses.hear(folded)
        given = Claimable(heard.told_to(folded), history, heard, claim)
        policy, at = policy_of(given.prospect), request.terms.at
        return self.judge(request, given, policy, lambda name: self.settled(name, at))

    def judge(
        self,
        request: ClaimRequest,
        given: Claimable,
        policy: Policy,
        open_on: Callable[[str], Claim | None],
    ) -> tuple[Claim, ClaimWrite]:
        """Judge a claim; return it, and what takes it.

        Args:
            request: what is claimed.
            given: what was read of the prospect.
            policy: the policy that it is under.
            open_on: gives the open claim on another prospect, once what that leaves to be assumed
                is recorded.

        Raises:
            Refused: another holds a claim, or a rule forbids the attempt now.
        """
        taken, change = _take(request, given, policy, self._clock())
        others = self._none_at_the_same(taken, given.heard, open_on)
        asked = AddressChange(request.prospect, given.heard.bases, given.heard.rows)
        return taken, ClaimWrite((change, *others), asked)

    def _none_at_the_same(
        self, taken: Claim, heard: Heard, open_on: Callable[[str], Claim | None]
    ) -> list[ClaimChange]:
        """Check that no claim on another record is for an address of ``taken``.

        A line belongs to many, so there each may be called by another worker.

        Returns:
            What was seen of the claims on the other holders, so that it is still so when this one
            is written.

        Raises:
            Refused: there is one.
        """
        seen: list[ClaimChange] = []
        for other in holders_of([part.key for part in taken.parts if part.key], heard):
            claim = open_on(other)
            shared = None if claim is None else shared_address(taken, claim)
            if claim is not None and shared is not None:
                is_over = claim.state(self._clock()) is ClaimState.RETURNED
                if not is_over and ended_by(claim, self._recorder.select_stream(other)) is None:
                    raise held(claim, "claim", taken.prospect, shared)
            seen.append(ClaimChange(other, None if claim is None else claim.token))
        return seen

    def complete(
        self,
        claim: Claim | str,
        attempt: MakeAttempt | None,
        at: datetime | None,
        occurred_at: datetime | None,
        *,
        force: bool,
    ) -> tuple[str, Outcome | None, Event | None]:
        """Log the attempt of a claim; return the prospect, and what had ended the claim before.

        Where it was assumed to be made, this is the late truth: it corrects what was assumed, or
        retracts it.

        Args:
            claim: the claim, or its token.
            attempt: what was done; ``None``: it was not made, and where nothing was assumed,
                nothing is recorded.
            at: when it is recorded; by default the clock's time.
            occurred_at: when it was made.
            force: as of :meth:`Cadence.execute`.

        Raises:
            InputError: the claim is unknown, or was completed with another attempt.
        """
        found = self._find(claim)
        return judged_again(lambda: self._complete(found, attempt, at, occurred_at, force=force))

    def _complete(
        self,
        claim: Claim,
        attempt: MakeAttempt | None,
        at: datetime | None,
        made_at: datetime | None,
        *,
        force: bool,
    ) -> tuple[str, Outcome | None, Event | None]:
        """Complete a claim, by what its history says now.

        Raises:
            VersionConflict: that has changed meanwhile.
        """
        if attempt is None:
            # First, so that what is read below is all that was assumed of it.
            self._app.release(claim)
        history = self._app.history(claim.prospect)
        assumed, occurred = _assumed_of(claim, history), None
        command: Command
        if assumed is not None and _takes_back(claim, assumed, history):
            command = _late_truth(assumed, attempt, made_at)
        elif attempt is not None:
            command = attempt
            # The attempt was assumed at the time of the claim. Log it at that time too, unless
            # that is after this write.
            is_there = assumed is not None and claim.at <= (at or self._clock())
            occurred = made_at or (claim.at if is_there else None)
        else:
            return claim.prospect, None, ended_by(claim, history)
        outcome = self._app.execute(
            claim.prospect,
            command,
            at=at,
            occurred_at=occurred,
            by=claim.by,
            command_id=claim.completed_id,
            expect=history[-1].version,
            force=force,
        )
        history = self._recorder.select_stream(claim.prospect)
        done = outcome.events[0]
        # Where the record was merged meanwhile, it was recorded for the one that goes on.
        before = [
            event
            for event in history
            if event.prospect != done.prospect or event.version < done.version
        ]
        ended = ended_by(claim, before) or self._stopped_by(claim, outcome.prospect)
        return claim.prospect, outcome, ended

    def _stopped_by(self, claim: Claim, prospect: Prospect) -> Event | None:
        """The event by which another record has stopped what was claimed, since it was."""
        for stop in _stops(claim, prospect):
            if stop.prospect is not None and stop.at >= claim.at:
                history = self._recorder.select_stream(stop.prospect)
                return next((one for one in history if one.version == stop.version), None)
        return None

    def release(self, claim: Claim | str) -> bool:
        """Give a claim back; return whether it was still open.

        Raises:
            InputError: the claim is unknown.
        """
        claim = self._find(claim)
        change = ClaimChange(claim.prospect, claim.token, ended="released")
        try:
            self._recorder.insert_events([], claims=[change])
        except ClaimChanged:
            return False
        return True

    def _find(self, claim: Claim | str) -> Claim:
        token = claim if isinstance(claim, str) else claim.token
        check_texts(token, "claim")
        row = self._recorder.find_claim(token)
        if row is None:
            raise InputError(f"claim: unknown token {token!r}", "give a claim of this store")
        return _decode(row)

    # A lease that ran out -------------------------------------------------------------------------

    def settled(self, prospect: str, recorded: datetime) -> Claim | None:
        """Read the open claim on ``prospect``, once what it leaves to be assumed is recorded."""
        claim = self.open(prospect)
        if claim is not None and self._assume(claim, recorded) is not None:
            return None
        return claim

    def before(
        self,
        prospect: str,
        command: Command,
        by: str | None,
        command_id: str | None,
        recorded: datetime,
    ) -> Claim | None:
        """Read the open claim on ``prospect`` for a command; record what it leaves to be assumed.

        Args:
            prospect: the prospect's id.
            command: what is about to be carried out.
            by: who gives it.
            command_id: its id.
            recorded: when.
        """
        claim = self.open(prospect)
        if claim is None:
            return None
        is_holders = (
            isinstance(command, MakeAttempt | AttemptMade)
            and by == claim.by
            and claim.is_about(command.parts)
        ) or command_id == claim.completed_id
        # Who claimed it says now what was done: nothing is to be assumed.
        if not is_holders and self._assume(claim, recorded) is not None:
            return None
        return claim

    def assume_all(self, recorded: datetime, *, force: bool) -> Iterator[Outcome]:
        """Record every attempt that a lease left to be assumed."""
        for claim in self.every_open().values():
            outcome = self._assume(claim, recorded, force=force)
            if outcome is not None and not outcome.repeated:  # another program was first
                yield outcome

    def _assume(
        self, claim: Claim, recorded: datetime, *, force: bool = True, at_once: bool = False
    ) -> Outcome | None:
        """Record the attempt that a lease left to be assumed; ``None``: it left none.

        Args:
            claim: open.
            recorded: when.
            force: as of :meth:`Cadence.execute`.
            at_once: do not wait for the end of the lease.
        """
        if not at_once and claim.state(self._clock()) is not ClaimState.UNKNOWN:
            return None

        def once() -> Outcome | None:
            history = self._recorder.select_stream(claim.prospect)
            if not history or not is_untold(claim, history):
                return None
            return self._app.execute(
                claim.prospect,
                AttemptMade(claim.parts, note=_ASSUMED_AT_ONCE if at_once else _ASSUMED),
                at=max(recorded, claim.at),
                occurred_at=claim.at,
                by=claim.by,
                command_id=_ASSUMED_ID + claim.token,
                expect=history[-1].version,
                force=force,
            )

        with suppress(_AlreadyToldError):
            return judged_again(once)
        return None


class _AlreadyToldError(Conflict):
    """What a lease left to be assumed was told, or assumed, by another meanwhile."""


def is_assumption(command_id: str | None) -> bool:
    """Return whether a command records what a lease left to be assumed."""
    return command_id is not None and command_id.startswith(_ASSUMED_ID)


def check_untold(prospect: str, claim: Claim | None, command_id: str | None) -> None:
    """Refuse to record what is assumed of a claim that is not open any more.

    Raises:
        Conflict: it was completed or released, so it is known what was done.
    """
    if claim is None or command_id != _ASSUMED_ID + claim.token:
        raise _AlreadyToldError(
            f"{prospect}: its claim was completed or released meanwhile; nothing was recorded",
            "look at its history",
        )


def judged_again(function: Callable[[], _T]) -> _T:
    """Call ``function`` again while what it was judged by changes before it is written.

    Raises:
        Conflict: it kept changing.
    """
    for _ in range(_RETRIES):
        try:
            return function()
        except VersionConflict as error:
            prospect = error.prospect
    raise Conflict(
        f"{prospect}: its history changed {_RETRIES} times in a row; nothing was recorded",
        "try again",
    )


def retried(prospect: str, function: Callable[[], _T]) -> _T:
    """Call ``function`` again while other writers come first.

    Raises:
        Conflict: they kept winning.
    """
    for attempt in range(_RETRIES):
        if attempt:
            # At random times, or a writer in a loop would win every single time.
            time.sleep(random.uniform(0, min(_LONGEST_WAIT, 0.001 * 2**attempt)))
        # Suppressed: another writer took this version first, so reload and decide again.
        with suppress(IntegrityError):
            return function()
    raise Conflict(
        f"{prospect}: other writers won {_RETRIES} times in a row; nothing was recorded",
        "try again",
    )


def change_of(prospect: str, claim: Claim | None, events: Iterable[Event]) -> ClaimChange:
    """Return what a write does to the open claim that it read.

    Args:
        prospect: the prospect's id.
        claim: the open claim.
        events: its history, the new events included.
    """
    if claim is None:
        return ClaimChange(prospect)
    events = tuple(events)
    if is_untold(claim, events):
        return ClaimChange(prospect, claim.token)  # its row stays, until that is told or assumed
    return ClaimChange(prospect, claim.token, _how_ended(claim, events))


def _how_ended(claim: Claim, events: Iterable[Event]) -> str | None:
    """Return how events ended a claim, in a word; ``None``: it goes on."""
    event = ended_by(claim, events)
    if event is None:
        return None
    return "made" if isinstance(event.data, AttemptMade) and event.by == claim.by else "overtaken"


def is_untold(claim: Claim, events: Iterable[Event]) -> bool:
    """Whether a machine may have made what it claimed, and no attempt says so yet.

    That something was said meanwhile has ended the claim, and leaves this open.
    """
    if claim.on_expiry != "assume_made":
        return False
    return not any(
        isinstance(event.data, AttemptMade)
        and event.version > claim.version
        and (
            event.command_id in (claim.completed_id, _ASSUMED_ID + claim.token)
            or (event.by == claim.by and claim.is_about(event.data.parts))
        )
        for event in events
    )


def _assumed_of(claim: Claim, history: Iterable[Event]) -> Event | None:
    """Return the attempt that was recorded because the lease ran out."""
    command_id = _ASSUMED_ID + claim.token
    return next((event for event in history if event.command_id == command_id), None)


def _takes_back(claim: Claim, assumed: Event, history: Sequence[Event]) -> bool:
    """Whether completing the claim corrects or retracts the assumed attempt.

    A repeated completion does what the first did. If a user has retracted the assumed attempt
    already, the real one is recorded as a new event.
    """
    completed = (event for event in history if event.command_id == claim.completed_id)
    done = next(completed, None)
    if done is not None:
        return isinstance(done.data, TAKING_BACK)
    return not is_retraction(taken_back_by(history).get(assumed.version))


def _late_truth(assumed: Event, attempt: MakeAttempt | None, made_at: datetime | None) -> Command:
    """Return what takes an assumed attempt back: what was done, or that it was not made."""
    if attempt is None:
        return EventRetracted(assumed.version, "it was not made")
    # A note has to be there, or that of the assumption would stay.
    data = AttemptMade(attempt.parts, why=attempt.why, note=attempt.note or "as the worker said")
    return EventCorrected(assumed.version, data, made_at)


def _decode(row: ClaimRow) -> Claim:
    return msgspec.json.decode(row.claim, type=Claim)


def _encode(claim: Claim) -> ClaimRow:
    return ClaimRow(claim.token, claim.prospect, msgspec.json.encode(claim).decode())


# Deciding on a claim ------------------------------------------------------------------------------


def _take(
    request: ClaimRequest, given: Claimable, policy: Policy, clock: datetime
) -> tuple[Claim, ClaimChange]:
    """Decide on a claim: return it, and the change that takes it."""
    claim, terms = given.claim, request.terms
    until = clock + terms.lease
    seen, ended = None, None
    if claim is not None:
        seen, ended = claim.token, _how_ended(claim, given.history)
        if ended == "overtaken" and claim.by == terms.by and is_untold(claim, given.history):
            raise _untold(claim, given.history)
        if ended is None and claim.state(clock) is ClaimState.RETURNED:
            ended = "expired"
        elif ended is None:
            if claim.by != terms.by:
                raise held(claim, "claim")
            if _is_same(request, claim):
                _check_not_stopped(given.prospect, claim)
                # It never gets less safe: what asks for less may be another thread of the holder.
                longer = msgspec.structs.replace(
                    claim,
                    until=max(until, claim.until),
                    on_expiry=terms.on_expiry if claim.on_expiry == "return" else claim.on_expiry,
                )
                version = given.history[-1].version
                return longer, ClaimChange(
                    request.prospect, seen, taken=_encode(longer), version=version
                )
            ended = "released"  # for another touch
    made = _judged(request, given, policy)
    taken = Claim(
        token=secrets.token_urlsafe(12),
        prospect=request.prospect,
        version=given.history[-1].version,
        touch=made.touch,
        stage=made.stage or AttemptStage.EXTRA,
        step=made.step,
        parts=made.parts,
        by=terms.by,
        at=terms.at,
        claimed_at=clock,
        until=until,
        on_expiry=terms.on_expiry,
    )
    return taken, ClaimChange(request.prospect, seen, ended, _encode(taken), taken.version)


def shared_address(one: Claim, other: Claim) -> str | None:
    """Return the first address that the touches of two claims would both use."""
    theirs = [part.key for part in other.parts if part.key]
    for part in one.parts:
        key = part.key
        if key and any(covers(key, also) or covers(also, key) for also in theirs):
            return key
    return None


def held(claim: Claim, what: str, prospect: str = "", address: str | None = None) -> Refused:
    """Return the refusal of what an open claim forbids.

    Args:
        claim: the claim.
        what: what is refused, in a word.
        prospect: whose claim is refused, if that is another record of ``address``.
        address: what the claim is for.
    """
    until = f"{claim.until:%Y-%m-%dT%H:%M:%SZ}"
    it = "it" if address is None else f"{claim.prospect}, who has {address} too,"
    return Refused(
        f"{prospect or claim.prospect}: {what} refused by claimed: {claim.by} holds {it} "
        f"until {until}",
        f"take another touch, or ask {claim.by} to release it",
        rule=Rule.CLAIMED,
        until=claim.until,
    )


def _untold(claim: Claim, history: Sequence[Event]) -> Refused:
    """Return the refusal of a next claim to a holder who has not said what became of the last."""
    event = ended_by(claim, history)
    by = "" if event is None else f" by event {event.version} ({type_name(event.data)})"
    return Refused(
        f"{claim.prospect}: claim refused by claimed: claim {claim.token} of {claim.by} was ended"
        f"{by}, and its outcome is not known yet",
        "complete that claim with what was done, or with not_made=True",
        rule=Rule.CLAIMED,
    )


def _check_not_stopped(prospect: Prospect, claim: Claim) -> None:
    """Refuse a longer lease where another record, or a list, has stopped what is claimed."""
    for stop in _stops(claim, prospect):
        said = because(Rule.SUPPRESSED, "stopped_elsewhere", (), stop_facts(stop))
        raise Refused(
            f"{claim.prospect}: claim refused by suppressed: {said}",
            "release it; if it was made already, log it",
            rule=Rule.SUPPRESSED,
        )


def _stops(claim: Claim, prospect: Prospect) -> Iterator[Obstacle]:
    """Yield what other records, or lists, have said that stops a part of a claim."""
    for part in claim.parts:
        stop = None if part.same is None else prospect.elsewhere.obstacle(part.channel, part.same)
        if stop is not None:
            yield stop


def _is_same(request: ClaimRequest, claim: Claim) -> bool:
    """Return whether the holder asks again for what they hold."""
    if request.own is not None:
        return claim.touch is None and claim.channels == (request.own,)
    return request.touch in (None, claim.touch)


def _judged(request: ClaimRequest, given: Claimable, policy: Policy) -> AttemptMade:
    """Judge the claim as a strict attempt: it is refused where that is.

    Raises:
        Refused: a rule forbids it, or the touch is not next.
    """
    prospect, at = given.prospect, request.terms.at
    decision: Decision | None = None
    if request.own is not None:
        points = prospect.reach.contact_points
        check_known(request.own, [*policy.traits, *(one.channel for one in points)], "own")
        parts: tuple[Part, ...] = (Part(request.own, Disposition.UNKNOWN),)
    else:
        decision = given.due or decide_silently(prospect, policy, at)
        touch = decision.touch
        if touch is None or request.touch not in (None, touch.id):
            raise _not_next(request, next_touch(prospect, policy, at))
        parts = tuple(
            Part(part.channel, Disposition.UNKNOWN, part.address, part.key) for part in touch.parts
        )
    command = MakeAttempt(parts, is_strict=True)
    due = decision if isinstance(decision, Due) else None
    made = make_attempt(prospect, command, policy, at, at, due=due)
    if decision is not None and decision.touch is not None and made.touch != decision.touch.id:
        raise _not_next(request, next_touch(prospect, policy, at))
    return made


def _not_next(request: ClaimRequest, decision: Decision) -> Refused:
    touch = decision.touch
    if touch is None:
        next_ = f"no touch is next: {decision.reasons[0].because}"
        hint = "set an appointment, or claim an attempt of your own by its channel (own)"
    else:
        next_, hint = f"{touch.id} is next", "read what is due again"
    what = "the touch" if request.touch is None else request.touch
    return Refused(
        f"{request.prospect}: claim refused by plan: {what} is not next; {next_}",
        hint,
        rule=Rule.PLAN,
        until=decision.at if touch is not None and isinstance(decision, Wait) else None,
    )
