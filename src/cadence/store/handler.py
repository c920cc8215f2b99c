"""Carry out commands: load a prospect, decide with the pure core, and append what follows.

The events are appended together with the prospect's due row and what its addresses say, in one
transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

import msgspec

from cadence.domain.channels import BUILT_IN
from cadence.domain.events import (
    MERGED_FROM,
    AttemptMade,
    Data,
    Event,
    EventCorrected,
    OptedBackIn,
    ProspectAdded,
    ProspectUpdated,
    Unreadable,
    WordRef,
    type_name,
)
from cadence.domain.fold import evolve, fold
from cadence.domain.keys import KeyReader, addresses_read, keys_in, read_again
from cadence.domain.prospect import Prospect
from cadence.domain.stages import Stage
from cadence.domain.standing import TAKING_BACK
from cadence.engine.claims import Claim, Claimed
from cadence.engine.commands import (
    Command,
    EndFollowUp,
    MakeAttempt,
    SetAppointment,
    checked,
    decide,
    unchecked_attempt,
    with_keys,
)
from cadence.engine.corrections import TakeBack, take_back
from cadence.engine.decision import Decision
from cadence.engine.loop import decision_for
from cadence.engine.repeats import led_to
from cadence.errors import InputError, UnknownProspect, VersionConflict
from cadence.policy.loader import builtin
from cadence.store.addresses import AddressIndex, Heard, change_of_addresses
from cadence.store.claims import Claims, change_of, check_untold, is_assumption
from cadence.store.due_rows import DueRows
from cadence.store.merges import Merges
from cadence.store.policy_library import PolicyLibrary, cannot_judge
from cadence.store.recorder import ClaimChanged, Recorder, StreamWrite
from cadence.store.writer import StreamWriter

__all__ = ["Call", "CommandHandler", "Outcome"]


class Outcome(msgspec.Struct, frozen=True):
    """Result of a command.

    Attributes:
        prospect: the prospect after it.
        events: the events that it recorded.
        decision: what comes next.
        repeated: the ``command_id`` had been seen before; nothing was recorded now.
        overtaken_by: of a claim that was completed: what had ended it before.
    """

    prospect: Prospect
    events: tuple[Event, ...]
    decision: Decision
    repeated: bool = False
    overtaken_by: Event | None = None


class Call(NamedTuple):
    """One call of :meth:`Cadence.execute`, its instants in UTC."""

    prospect: str
    command: Command
    occurred_at: datetime
    recorded_at: datetime
    by: str | None
    correlation: str | None
    command_id: str | None
    meta: dict[str, str] | None = None
    expect: int | None = None

    @property
    def merged_from(self) -> str | None:
        """As of the events that it makes: :attr:`Event.merged_from`."""
        return None if self.meta is None else self.meta.get(MERGED_FROM)

    def check_version(self, version: int) -> None:
        """Check that the prospect is at the version that the caller expects, if at any."""
        if self.expect not in (None, version):
            raise VersionConflict(self.prospect, version, self.expect)

    def of(self, survivor: str, command: Command) -> Call:
        """Return the call for the record that goes on for a merged one."""
        return Call(
            prospect=survivor,
            command=command,
            occurred_at=self.occurred_at,
            recorded_at=self.recorded_at,
            by=self.by,
            correlation=self.correlation,
            command_id=self.command_id,
            meta={MERGED_FROM: self.prospect, **(self.meta or {})},
            expect=None,  # it was a version of the merged record, and was checked there
        )

    def events(self, version: int, data: Iterable[Data]) -> tuple[Event, ...]:
        """Make the events that follow after ``version``."""
        data = tuple(data)
        command_id = self.command_id
        if command_id is None and len(data) > 1:
            command_id = f"{self.prospect}#{version + 1}"  # they are taken back together
        return tuple(
            Event(
                self.prospect,
                number,
                self.occurred_at,
                self.recorded_at,
                one,
                self.by,
                self.correlation,
                command_id,
                meta=self.meta,
            )
            for number, one in enumerate(data, version + 1)
        )


class CommandHandler:
    """Carries out the commands of a store."""

    def __init__(
        self,
        recorder: Recorder,
        addresses: AddressIndex,
        claims: Claims,
        merges: Merges,
        library: PolicyLibrary,
        rows: DueRows,
        writer: StreamWriter,
    ) -> None:
        """Args:
        recorder: keeps the events.
        addresses: what others say.
        claims: who has which touch.
        merges: which records go on for others.
        library: the policies that prospects are under.
        rows: computes due rows.
        writer: writes streams.
        """
        self._recorder = recorder
        self._addresses = addresses
        self._claims = claims
        self._merges = merges
        self._library = library
        self._rows = rows
        self._writer = writer

    def carry_out(self, call: Call) -> Outcome:
        """Load, decide and append once.

        A command for a merged record is carried out for its survivor.

        Raises:
            IntegrityError: another writer took this version first.
        """
        # A merged record had the claim; the survivor has none of it.
        is_assumed = is_assumption(call.command_id) and call.merged_from is None
        if not is_assumed:
            with suppress(ClaimChanged):  # raised if there is an open claim; most have none
                return self._decide_and_write(call, None)
        claim = self._claims.before(
            call.prospect, call.command, call.by, call.command_id, call.recorded_at
        )
        if is_assumed:
            check_untold(call.prospect, claim, call.command_id)
        return self._decide_and_write(call, claim)

    def _decide_and_write(self, call: Call, claim: Claim | None) -> Outcome:
        """Load, decide and append once.

        Args:
            call: what to do.
            claim: the open claim on the prospect.

        Raises:
            ClaimChanged: another claim is open.
            IntegrityError: another writer took this version first.
        """
        history = self._recorder.select_stream(call.prospect)
        prospect = fold(None, history)
        before = prospect
        if prospect is None:
            if not isinstance(call.command, ProspectAdded):
                raise UnknownProspect(call.prospect)
            call.check_version(0)
            new = self._begin(call, call.command)
            change, heard, told = None, Heard(), None
        else:
            done = _find_repeated(call, history)
            if done:
                decision = decision_for(prospect, self._library.registry, call.recorded_at)
                return Outcome(prospect, done, decision, repeated=True)
            call.check_version(prospect.version)
            if prospect.stage is Stage.MERGED:
                further = self._merges.goes_to(prospect, call.command)
                if further is not None:
                    return self.carry_out(call.of(*further))
            claimed = self._claims.claimed_for(claim, call.by, history)
            new, heard, told = self._go_on(call, prospect, history, claimed)
            change = change_of(call.prospect, claim, [*history, *new])
        events = new
        others: list[StreamWrite] = []
        if isinstance(new[-1].data, TAKING_BACK):
            prospect, events = None, (*history, *new)
            if before is not None and before.stage is Stage.MERGED:
                others = self._merges.updated_survivors(events, new)
        folded = fold(prospect, events)
        if folded is None:
            raise UnknownProspect(call.prospect)
        heard = self._addresses.hear_more(heard, folded)  # it may have addresses more now
        after = heard.told_to(folded, told)
        decision = decision_for(after, self._library.registry, call.recorded_at)
        known = None if before is None else self._addresses.read(before)
        addresses = change_of_addresses(known, after, heard)
        self._writer.write(
            [StreamWrite(new, self._rows.row(after, decision), addresses, change), *others]
        )
        return Outcome(after, new, decision)

    def _begin(self, call: Call, added: ProspectAdded) -> tuple[Event, ...]:
        """Decide the first event: it has the address keys, and the policy from here on."""
        default = self._library.default()
        self._library.remember([default])
        # Checked first: the country says how national numbers are read.
        decide(None, added, default, call.occurred_at)
        reader = KeyReader(default.traits, lambda: added.country or self._addresses.region())
        keyed = reader.data(added)
        if isinstance(keyed, ProspectAdded) and keyed.policy is None:
            keyed = msgspec.structs.replace(keyed, policy=default.ref)
        return call.events(0, (keyed,))

    def _go_on(
        self,
        call: Call,
        prospect: Prospect,
        history: Sequence[Event],
        claimed: Claimed | None,
    ) -> tuple[tuple[Event, ...], Heard, Prospect]:
        """Decide what a command leads to for a prospect that is known.

        Returns:
            The events, what was read of others, and the prospect with it that was decided on.
        """
        policy = self._library.registry.of(prospect)
        traits = BUILT_IN if policy is None else policy.traits
        country = prospect.identity.country

        def where() -> str | None:
            return country or self._addresses.region()

        before: tuple[Data, ...] = ()
        read = addresses_read(prospect, KeyReader(traits, where, is_strict=False))
        if read is not None:  # a history from before: from here on its addresses have keys
            before = (read,)
            (event,) = call.events(prospect.version, before)
            prospect = evolve(prospect, event)
        reader = self._addresses.reader(prospect, traits)
        command = with_keys(call.command, reader)
        heard = self._addresses.hear(prospect, keys_in(command))
        prospect = heard.told_to(prospect)
        command = _lifting(command, prospect)
        data: tuple[Data, ...]
        if isinstance(command, TakeBack):
            others = None
            if isinstance(command, EventCorrected) and isinstance(command.data, AttemptMade):
                others = self._addresses.others_of([history]).get(call.prospect)
            data = take_back(history, command, self._library.registry, call.by, others)
        elif policy is None or prospect.unreadable is not None:
            data = _decide_unjudged(prospect, command, call.occurred_at, claimed)
        else:
            data = decide(prospect, command, policy, call.occurred_at, call.recorded_at, claimed)
        if isinstance(command, ProspectUpdated):
            data += read_again(prospect, command, traits)
        return call.events(prospect.version - len(before), (*before, *data)), heard, prospect


def _decide_unjudged(
    prospect: Prospect, command: Command, at: datetime, claimed: Claimed | None
) -> tuple[Data, ...]:
    """Decide where the policy is unknown or an event unreadable: facts are kept, unjudged."""
    if isinstance(command, MakeAttempt) and not command.is_strict:
        command = AttemptMade(command.parts, why=command.why, note=command.note)
    if isinstance(command, AttemptMade):
        return (unchecked_attempt(prospect, checked(command), claimed),)
    if isinstance(command, MakeAttempt | SetAppointment | EndFollowUp):
        raise cannot_judge(prospect)
    return decide(prospect, command, builtin(), at)


def _lifting(command: Command, prospect: Prospect) -> Command:
    """Add to an opt-in the opt-outs of other holders that it lifts for this prospect."""
    if not isinstance(command, OptedBackIn) or command.lifts:
        return command
    said: dict[str, int] = {}
    elsewhere = prospect.elsewhere
    words = [(word.prospect, word.opt_outs) for word in elsewhere.words]
    words += [(one.prospect, one.opt_outs) for one in elsewhere.questions if one.opt_outs]
    for other, opt_outs in words:
        said[other] = max(said.get(other, 0), opt_outs.newest)
    lifts = tuple([WordRef(other, version) for other, version in sorted(said.items())])
    return msgspec.structs.replace(command, lifts=lifts) if lifts else command


def _find_repeated(call: Call, history: Sequence[Event]) -> tuple[Event, ...]:
    """Return the events that this command recorded before, under its id.

    Raises:
        InputError: another command has this id.
    """
    if call.command_id is None:
        return ()
    # The ids of a merged record are its own.
    ids = call.command_id, call.merged_from
    done = tuple([event for event in history if (event.command_id, event.merged_from) == ids])
    if not done or any(isinstance(event.data, Unreadable) for event in done):
        return done
    # Not when it occurred: who tries again may stamp it again.
    if not led_to(call.command, [event.data for event in done]):
        raise InputError(
            f"command_id: {call.command_id!r} was used for another {type_name(done[0].data)} "
            f"(version {done[0].version} of {done[0].prospect})",
            "give every command an id of its own, and repeat one with the same content",
        )
    return done
