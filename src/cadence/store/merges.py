"""Merge records of one person, and take merges back.

A merge writes two streams in one transaction: the survivor's, which takes over what the other
history says, and the end of the other. What is recorded for a merged record from then on counts in
the survivor, marked with the id that it came for (ADR 0058).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from cadence.domain.codec import check_id
from cadence.domain.elsewhere import keys_of
from cadence.domain.events import (
    MERGED_FROM,
    AttemptMade,
    Data,
    EndReason,
    Event,
    EventCorrected,
    EventRetracted,
    FollowUpEnded,
    ProspectAdded,
    ProspectsMerged,
)
from cadence.domain.fold import evolve, fold
from cadence.domain.keys import KeyReader, addresses_read
from cadence.domain.limits import check_texts
from cadence.domain.others import Others
from cadence.domain.prospect import Prospect
from cadence.domain.stages import Stage
from cadence.domain.standing import end_of_merge, merge_of
from cadence.engine.claims import Claim
from cadence.engine.commands import Command, Undo, complete_attempt, unchecked_attempt
from cadence.engine.corrections import TakeBack
from cadence.engine.decision import Decision
from cadence.engine.loop import decision_for
from cadence.engine.merging import (
    came_for,
    decide_merge,
    given_back,
    taken_over,
)
from cadence.errors import InputError, Refused, UnknownProspect
from cadence.policy.rules import Rule
from cadence.store.addresses import AddressIndex, Heard, change_of_addresses
from cadence.store.claims import Claims, change_of, held, retried
from cadence.store.due_list import DueRow
from cadence.store.recorder import Recorder, StreamWrite
from cadence.store.writer import StreamWriter

if TYPE_CHECKING:
    from cadence.store.service import Cadence

__all__ = ["Merged", "Merges"]


class Merged(NamedTuple):
    """Two records before and after a merge, or after one was taken back.

    Attributes:
        survivor, other: the record that goes on, and the other one, as they are now.
        before: the two as they were.
        decision: what comes next for the survivor.
        events: what was recorded, of both.
    """

    survivor: Prospect
    other: Prospect
    before: tuple[Prospect, Prospect]
    decision: Decision
    events: tuple[Event, ...]


class _Record(NamedTuple):
    """One of the two records, as it is read for a write.

    Attributes:
        history: its events.
        folded: their fold.
        claim: the open claim on it.
    """

    history: list[Event]
    folded: Prospect
    claim: Claim | None


class _MergedInto(NamedTuple):
    """How a record was merged: by which end, and into which."""

    end: Event
    into: str


def _end_of_merge(history: Sequence[Event]) -> _MergedInto | None:
    """Return how a record was merged; ``None``: it was not, or that was taken back."""
    end = end_of_merge(history)
    if end is None or not isinstance(end.data, FollowUpEnded) or end.data.into is None:
        return None
    return _MergedInto(end, end.data.into)


class Merges:
    """The merges of a store. Every method raises ``StoreError`` where it can't be used."""

    def __init__(
        self,
        app: Cadence,
        recorder: Recorder,
        addresses: AddressIndex,
        claims: Claims,
        writer: StreamWriter,
    ) -> None:
        """Args:
        app: the store.
        recorder: keeps the events.
        addresses: what others say.
        claims: who holds what.
        writer: writes streams.
        """
        self._app = app
        self._recorder = recorder
        self._addresses = addresses
        self._claims = claims
        self._writer = writer

    def merge(  # noqa: PLR0913  (each may be left out)
        self,
        prospect: str,
        into: str,
        *,
        why: str,
        by: str | None = None,
        keep: str | None = None,
        at: datetime | None = None,
        force: bool = False,
        is_preview: bool = False,
    ) -> Merged:
        """Merge one record of a person into another, which goes on for both.

        Args:
            prospect: the record that ends, at stage ``merged``.
            into: the record that goes on.
            why: how we know that they are one person.
            by: who says so.
            keep: whose end or appointment counts, where the two differ.
            at: when; by default the clock's time.
            force: as of :meth:`~cadence.store.Cadence.execute`.
            is_preview: show what it would change, and write nothing.

        Raises:
            Refused: one of them is merged or claimed, or the owner has to choose (``keep``).
            UnknownProspect: one of them has no history.
            InputError: a value is invalid.
            Conflict: other writers kept winning; nothing was recorded.
        """
        if prospect == into:
            raise InputError(f"into: invalid {into!r}, the same record", "give the other record")
        now = self._checked(prospect, into, why=why, by=by, at=at, force=force)

        def once() -> Merged:
            settle_at = None if is_preview else now
            survivor, other = self._read(into, settle_at), self._read(prospect, settle_at)
            for one in (survivor, other):
                self._check_free(one)
            survivor, read = self._with_addresses(survivor, by, now)
            other, other_read = self._with_addresses(other, by, now)
            data = decide_merge(
                survivor.folded,
                other.folded,
                other.history,
                self._app.policies,
                why=why,
                keep=keep,
            )
            merged = (*read, _event(survivor, now, data, by))
            end = FollowUpEnded(EndReason.MERGED, into)
            ended = (*other_read, _event(other, now, end, by))
            return self._written((survivor, merged), (other, ended), is_preview=is_preview)

        return retried(prospect, once)

    def unmerge(
        self,
        prospect: str,
        *,
        why: str,
        by: str | None = None,
        at: datetime | None = None,
        force: bool = False,
    ) -> Merged:
        """Take a merge back: they are two people, or should be two records.

        What came for the merged record meanwhile goes back to it.

        Args:
            prospect: the record that was merged.
            why: how we know.
            by: who says so.
            at: when; by default the clock's time.
            force: as of :meth:`~cadence.store.Cadence.execute`.

        Raises:
            Refused: it is not merged, its survivor is merged itself, or one of the two is claimed.
            UnknownProspect: it has no history.
            InputError: a value is invalid.
            Conflict: other writers kept winning; nothing was recorded.
        """
        if not why.strip():
            raise InputError("why: missing", "give how you know")
        now = self._checked(prospect, prospect, why=why, by=by, at=at, force=force)

        def once() -> Merged:
            other = self._read(prospect, now)
            merged = _end_of_merge(other.history)
            if merged is None:
                raise Refused(
                    f"{prospect}: unmerge refused by plan: it is not merged "
                    f"(stage {other.folded.stage})",
                    "leave it; it stands by itself",
                    rule=Rule.PLAN,
                )
            end, into = merged
            survivor = self._read(into, now)
            merge = merge_of(survivor.history, prospect)
            if survivor.folded.stage is Stage.MERGED or merge is None:
                raise Refused(
                    f"{prospect}: unmerge refused by plan: {survivor.folded.id} was merged into "
                    f"{survivor.folded.ending.into}",
                    f"take that back first: cadence unmerge {survivor.folded.id} --why WHY",
                    rule=Rule.PLAN,
                )
            self._check_free(survivor)
            names = {prospect, *other.folded.merged}
            came = came_for(survivor.history, names, merge.version)
            gone = _events(
                survivor, now, [EventRetracted(one.version, why) for one in (merge, *came)], by
            )
            back: list[Event] = [_event(other, now, EventRetracted(end.version, why), by)]
            folded = fold(None, [*other.history, *back])
            others = self._addresses.others_of([[*other.history, *came]]).get(prospect)
            for event in came:
                assert folded is not None, "its history is not empty"
                event = self._returned(folded, event, now, others)
                back.append(event)
                folded = evolve(folded, event)
            return self._written((survivor, gone), (other, tuple(back)))

        return retried(prospect, once)

    def goes_to(self, prospect: Prospect, command: Command) -> tuple[str, Command] | None:
        """Return where a command for a merged record goes: to the record that goes on.

        Returns:
            That record, and the command for it; ``None``: it is about the old stream itself.
        """
        into = prospect.ending.into
        history = [] if into is None else self._recorder.select_stream(into)
        if into is None or not history or isinstance(command, ProspectAdded):
            return None
        if not isinstance(command, TakeBack):
            return into, command
        if isinstance(command, Undo) and command.version is None:
            came = self.came_since(prospect.id)
            if came:
                return into, replace(command, version=came[-1].version)
        return None

    def came_since(self, prospect: str) -> list[Event]:
        """List what came for a merged record since its merge and stands, in order of version.

        They are events of the record that goes on; empty where ``prospect`` is not merged.
        """
        merged = _end_of_merge(self._recorder.select_stream(prospect))
        if merged is None:
            return []
        history = self._recorder.select_stream(merged.into)
        merge = merge_of(history, prospect)
        return [] if merge is None else came_for(history, {prospect}, merge.version)

    def survivors(self, prospects: Sequence[str]) -> dict[str, str]:
        """Return, of some records, those that are merged, each with the record that goes on."""
        return self._addresses.survivors(prospects)

    def updated_survivors(
        self, history: Sequence[Event], events: Sequence[Event]
    ) -> list[StreamWrite]:
        """Return what brings the survivors up to date where a merged history was taken back in.

        Args:
            history: of the merged record, ``events`` included.
            events: what takes something of it back.
        """
        writes: list[StreamWrite] = []
        at, by = events[-1].recorded_at, events[-1].by
        while merged := _end_of_merge(history):
            survivor = self._read(merged.into, None)
            merge = merge_of(survivor.history, merged.end.prospect)
            other = fold(None, history)
            if merge is None or not isinstance(merge.data, ProspectsMerged) or other is None:
                break
            before = fold(None, [one for one in survivor.history if one.version < merge.version])
            data = taken_over(
                before or survivor.folded,
                other,
                history,
                self._app.policies,
                why=merge.data.why,
                keep=merge.data.keep,
            )
            what = f"version {events[-1].version} of {merged.end.prospect}"
            change = _event(survivor, at, EventCorrected(merge.version, data, why=what), by)
            after = fold(None, [*survivor.history, change])
            assert after is not None, "its history is not empty"
            heard = self._addresses.hear(after)
            told = heard.told_to(after)
            addresses = change_of_addresses(survivor.folded, told, heard)
            writes.append(StreamWrite((change,), self._row(told), addresses))
            history = [*survivor.history, change]
        return writes

    # Inside ---------------------------------------------------------------------------------------

    def _row(self, prospect: Prospect) -> DueRow:
        """The due row of a record whose addresses change hands: to be decided again."""
        row = self._app.due_rows.row(prospect)
        return row if row.at is None else row.look_now()

    def _checked(
        self,
        prospect: str,
        into: str,
        *,
        why: str,
        by: str | None,
        at: datetime | None,
        force: bool,
    ) -> datetime:
        """Check the values of a call; return its time."""
        for name in (prospect, into):
            check_id(name)
        check_texts(why, "why")
        check_texts(by, "by")
        clock = self._app.clock.for_write(at, force=force)
        clock.check_distance(clock.now)
        return clock.now

    def _read(self, prospect: str, settle_at: datetime | None) -> _Record:
        """Read a record; what a lease left to be assumed is recorded first, where a time is given.

        Raises:
            UnknownProspect: it has no history.
        """
        if settle_at is None:
            claim = self._claims.open(prospect)
        else:
            claim = self._claims.settled(prospect, settle_at)
        history = self._recorder.select_stream(prospect)
        folded = fold(None, history)
        if folded is None:
            raise UnknownProspect(prospect)
        return _Record(history, folded, claim)

    def _check_free(self, record: _Record) -> None:
        """Refuse while a worker may be about to contact them."""
        claimed = self._claims.claimed_for(record.claim, None, record.history)
        if claimed is not None:
            raise held(claimed.claim, "merge")

    def _with_addresses(
        self, record: _Record, by: str | None, now: datetime
    ) -> tuple[_Record, tuple[Event, ...]]:
        """Read the addresses of a history from before, as every command does."""
        country = record.folded.identity.country
        policy = self._app.policies.of(record.folded) or self._app.policies.default
        region = self._app.settings().default_region
        reader = KeyReader(policy.traits, lambda: country or region, is_strict=False)
        read = addresses_read(record.folded, reader)
        if read is None:
            return record, ()
        event = _event(record, now, read, by)
        history = [*record.history, event]
        return _Record(history, evolve(record.folded, event), record.claim), (event,)

    def _returned(
        self, prospect: Prospect, event: Event, now: datetime, others: Others | None
    ) -> Event:
        """Return an event that came for a merged record as it is recorded there.

        Args:
            prospect: the record that it is given back to.
            event: as the other record has it.
            now: when the merge is taken back.
            others: what the other holders of its addresses had said when.
        """
        data = given_back(event)
        if isinstance(data, AttemptMade):
            if others is not None:
                prospect = others.tell(prospect, event.occurred_at)
            policy = self._app.policies.of(prospect)
            if policy is None or prospect.unreadable is not None:
                data = unchecked_attempt(prospect, data)
            else:
                data = complete_attempt(prospect, data, policy, event.occurred_at, now)
            if data.broke and data.why is None:
                # It may have been in order for the person that they were taken to be.
                data = replace(data, why=f"it came while merged into {event.prospect}")
        meta = dict(event.meta or {})
        if meta.get(MERGED_FROM) == prospect.id:  # and not of a record that is merged into it
            del meta[MERGED_FROM]
        return replace(
            event,
            prospect=prospect.id,
            version=prospect.version + 1,
            recorded_at=max(now, prospect.recorded_at),
            data=data,
            meta=meta or None,
        )

    def _written(
        self,
        survivor: tuple[_Record, tuple[Event, ...]],
        other: tuple[_Record, tuple[Event, ...]],
        *,
        is_preview: bool = False,
    ) -> Merged:
        """Write both streams in one transaction, unless it is a preview."""
        ids = {record.folded.id for record, _ in (survivor, other)}
        writes: list[StreamWrite] = []
        after: list[Prospect] = []
        folds = [_fold_of(record, events) for record, events in (survivor, other)]
        for (record, events), folded in zip((survivor, other), folds, strict=True):
            known = self._addresses.read(record.folded)
            keys = [key for one in folds for key in keys_of(one)]
            heard = self._addresses.hear(known, keys)
            # What the two say to each other is changed by this very write.
            beyond = Heard(heard.bases, tuple(r for r in heard.rows if r.prospect not in ids))
            told = beyond.told_to(folded)
            addresses = change_of_addresses(known, told, heard)
            claim = change_of(folded.id, record.claim, [*record.history, *events])
            writes.append(StreamWrite(events, self._row(told), addresses, claim))
            after.append(told)
        if not is_preview:
            self._writer.write(writes)
        # Once two people again, each hears the other.
        now = writes[0].events[-1].recorded_at
        shown = after[0] if is_preview else self._app.load(after[0].id)
        return Merged(
            shown,
            after[1],
            (survivor[0].folded, other[0].folded),
            decision_for(shown, self._app.policies, now),
            (*writes[0].events, *writes[1].events),
        )


def _fold_of(record: _Record, events: Sequence[Event]) -> Prospect:
    folded = fold(None, [*record.history, *(one for one in events if one not in record.history)])
    assert folded is not None, "its history is not empty"
    return folded


def _event(record: _Record, now: datetime, data: Data, by: str | None) -> Event:
    (event,) = _events(record, now, [data], by)
    return event


def _events(
    record: _Record, now: datetime, data: Sequence[Data], by: str | None
) -> tuple[Event, ...]:
    folded = record.folded
    at = max(now, folded.recorded_at)
    return tuple(
        Event(folded.id, version, at, at, one, by)
        for version, one in enumerate(data, folded.version + 1)
    )
