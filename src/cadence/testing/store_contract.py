"""What every store promises, as a suite that a recorder of a team's own turns on.

::

    from cadence.testing import StoreContract
    class TestOurStore(StoreContract):
        def new_recorder(self, folder): return OurRecorder(folder / "our.db")

Run it with pytest. The stores of cadence run it too.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import pytest
from eventsourcing.persistence import IntegrityError, StoredEvent

from cadence.domain.channels import CALL, EMAIL
from cadence.domain.events import (
    AttemptMade,
    ContactPoint,
    ContactPointFailed,
    Data,
    Disposition,
    Event,
    InterestNoted,
    OptOutRequested,
    Part,
    PolicyRef,
    ProspectAdded,
    ReplyReceived,
    Unreadable,
)
from cadence.domain.stored import decode_row, encode_event, stored_type
from cadence.engine.commands import Command, SetAppointment
from cadence.errors import CadenceError, Conflict, Refused, StoreError
from cadence.policy.loader import builtin, parse_text
from cadence.policy.writer import to_toml
from cadence.store.due_list import AddressRow, DueQuery, DueRow, Prepared
from cadence.store.feed import START, FeedPosition, FeedRow
from cadence.store.recorder import (
    AddressChange,
    AddressesChanged,
    ClaimChange,
    ClaimRow,
    ClaimWrite,
    EntryQuery,
    EntryRow,
    Recorder,
    Refreshed,
    SettingRow,
)
from cadence.store.recorders.memory import MemoryRecorder
from cadence.store.service import Cadence

__all__ = ["StoreContract"]

_NOW: Final = datetime(2026, 11, 2, 9, tzinfo=UTC)
_BASE: Final = "tel:+12125550100"
_LAST: Final = "\U0010ffff"
_AWKWARD: Final = (
    *("jo", "Jo", "o'brien", 'he said "no"', "'; DROP TABLE due; --", "back\\slash", "%s", "{}"),
    *("$1", "?", ":name", "../../etc/passwd", "NULL", "0", "-1", "ж", "ü", "日本", "😀", "a b"),
)


def _stored(prospect: str, version: int, data: Data | None = None) -> StoredEvent:
    event = Event(prospect, version, _NOW, _NOW, data or InterestNoted(f"note {version}"))
    return StoredEvent(prospect, version, stored_type(event), encode_event(event))


def _row(
    prospect: str,
    at: int | None = 1,
    *,
    owner: str = "ann",
    channels: str = ",call,",
    stamp: str = "8",
) -> DueRow:
    return DueRow(prospect, "due" if at else "stop", at, at, owner, "Jo", channels, stamp)


def _said(prospect: str, *, speaks: bool = False, base: str = _BASE) -> AddressRow:
    return AddressRow(base, base, prospect, '{"is_held":true}', speaks)


def _entry(source: str = "list", base: str = _BASE) -> EntryRow:
    return EntryRow(base, base, "suppressed", source, "", '{"why":"asked"}')


def _claim(token: str, prospect: str = "jo", ended: str | None = None) -> ClaimRow:
    return ClaimRow(token, prospect, '{"by":"ann"}', ended)


def _at_once(works: Sequence[Callable[[], object]]) -> list[object]:
    """Call functions in a thread each, all at once; return what they returned or raised."""
    barrier = threading.Barrier(len(works))
    results: list[object] = [None] * len(works)

    def run(number: int, work: Callable[[], object]) -> None:
        barrier.wait()
        try:
            results[number] = work()
        except Exception as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return results


class StoreContract:
    """The promises of a store. Give :meth:`new_recorder`."""

    def new_recorder(self, folder: Path) -> Recorder:
        """Return the recorder of a store that is new and empty.

        Args:
            folder: of this test alone.
        """
        raise NotImplementedError

    @pytest.fixture
    def recorder(self, tmp_path: Path) -> Iterator[Recorder]:
        """The recorder; it is closed after the test."""
        made = self.new_recorder(tmp_path)
        yield made
        made.close()

    @pytest.fixture
    def app(self, recorder: Recorder) -> Cadence:
        """The service on it."""
        return Cadence.open(recorder)

    # Events -----------------------------------------------------------------------------------

    def test_what_was_written_is_read_in_order_of_version(self, recorder: Recorder) -> None:
        recorder.insert_events([_stored("jo", 1), _stored("jo", 2)])
        recorder.insert_events([_stored("jo", 3), _stored("kim", 1)])
        assert [event.version for event in recorder.select_stream("jo")] == [1, 2, 3]
        assert [event.version for event in recorder.select_stream("kim")] == [1]
        assert recorder.select_stream("x") == []

    def test_a_state_comes_back_byte_for_byte(self, recorder: Recorder) -> None:
        long = _stored("jo", 1, InterestNoted("ü😀'\\\"%" * 20_000))
        recorder.insert_events([long])
        assert [tuple(one) for one in recorder.select_states("jo")] == [(1, long.state)]

    def test_an_event_that_cannot_be_read_stands_in_no_other_ones_way(
        self, recorder: Recorder
    ) -> None:
        broken = StoredEvent("jo", 2, "Unheard", b"{")
        recorder.insert_events([_stored("jo", 1), broken, _stored("jo", 3)])
        read = recorder.select_stream("jo")
        assert [isinstance(event.data, Unreadable) for event in read] == [False, True, False]

    def test_a_version_that_is_taken_is_refused_and_nothing_is_written(
        self, recorder: Recorder
    ) -> None:
        recorder.insert_events([_stored("jo", 1)], due=[_row("jo")])
        before = self._everything(recorder)
        with pytest.raises(IntegrityError):
            recorder.insert_events(
                [_stored("kim", 1), _stored("jo", 1)],
                due=[_row("jo", 5), _row("kim")],
                claims=[ClaimChange("kim", taken=_claim("t", "kim"))],
                addresses=[AddressChange("kim", written=(_said("kim"),))],
            )
        assert self._everything(recorder) == before

    def test_many_events_are_one_write(self, recorder: Recorder) -> None:
        recorder.insert_events([_stored("jo", version) for version in range(1, 1201)])
        assert len(recorder.select_stream("jo")) == 1200
        with pytest.raises(IntegrityError):
            recorder.insert_events([_stored("kim", one) for one in [*range(1, 1201), 700]])
        assert recorder.select_stream("kim") == []

    def test_ids_are_in_the_order_of_their_code_points(self, recorder: Recorder) -> None:
        recorder.insert_events([_stored(prospect, 1) for prospect in _AWKWARD])
        found: list[str] = []
        while page := recorder.select_prospects(found[-1] if found else None, 3):
            assert len(page) <= 3
            found += page
        assert found == sorted(_AWKWARD)

    def test_several_streams_are_read_at_once(self, recorder: Recorder) -> None:
        recorder.insert_events([_stored("jo", 1), _stored("kim", 1), _stored("kim", 2)])
        found = recorder.select_streams(["kim", "x", "jo"])
        assert {name: len(events) for name, events in found.items()} == {"kim": 2, "x": 0, "jo": 1}
        page = recorder.select_page("jo", "kim")
        assert page is None or [len(history) for history in page] == [1, 2]

    def test_events_are_found_by_what_they_mention_and_by_type(self, recorder: Recorder) -> None:
        note = InterestNoted("as Kim says")
        added = ProspectAdded("Jo", "UTC")
        recorder.insert_events([_stored("jo", 1, added), _stored("jo", 2, note)])
        recorder.insert_events([_stored("kim", 1, added)])
        assert recorder.select_mentioning("as Kim says") == ["jo"]
        assert recorder.select_mentioning("as Ann says") == []
        found = sorted(
            (row.prospect, row.version) for row in recorder.select_topics(("ProspectAdded",))
        )
        assert found == [("jo", 1), ("kim", 1)]

    def test_of_writers_of_one_version_one_wins(self, recorder: Recorder) -> None:
        recorder.insert_events([_stored("jo", 1)])
        for version in range(2, 8):
            works = [partial(recorder.insert_events, [_stored("jo", version)])] * 4
            lost = [one for one in _at_once(works) if isinstance(one, Exception)]
            assert len(lost) == 3
            assert all(isinstance(one, IntegrityError) for one in lost), lost
        assert [event.version for event in recorder.select_stream("jo")] == [*range(1, 8)]

    # The feed ---------------------------------------------------------------------------------

    def test_the_feed_gives_each_event_once_in_pages(self, recorder: Recorder) -> None:
        assert recorder.select_feed(START, 10) == []
        assert recorder.newest() is None
        for version in range(1, 8):
            recorder.insert_events([_stored("jo", version), _stored("kim", version)])
        rows = self._feed(recorder, START, 3)
        assert [row.version for row in rows if row.prospect == "jo"] == [*range(1, 8)]
        assert len(rows) == 14
        assert [row.position for row in rows] == sorted({row.position for row in rows})
        assert FeedPosition.parse(str(rows[4].position)) == rows[4].position
        assert self._feed(recorder, rows[4].position, 100) == rows[5:]
        newest = recorder.newest()
        assert newest is not None
        assert (newest.prospect, newest.version) == (rows[-1].prospect, 7)
        event = decode_row(rows[0].prospect, rows[0].version, rows[0].state)
        assert event == recorder.select_stream(rows[0].prospect)[0]

    def test_the_feed_misses_nothing_while_many_write(self, recorder: Recorder) -> None:
        def write(name: str) -> None:
            for version in range(1, 31):
                recorder.insert_events([_stored(name, version)])

        seen: list[FeedRow] = []
        names = ["a", "b", "c"]
        writers = [threading.Thread(target=write, args=(name,)) for name in names]
        for one in writers:
            one.start()
        while any(one.is_alive() for one in writers):
            seen += recorder.select_feed(seen[-1].position if seen else START, 7)
        seen += self._feed(recorder, seen[-1].position if seen else START, 7)
        for name in names:
            assert [row.version for row in seen if row.prospect == name] == [*range(1, 31)]

    def _feed(self, recorder: Recorder, after: FeedPosition, limit: int) -> list[FeedRow]:
        rows: list[FeedRow] = []
        while page := recorder.select_feed(rows[-1].position if rows else after, limit):
            assert len(page) <= limit
            assert page[0].position > (rows[-1].position if rows else after), "it goes back"
            rows += page
        return rows

    # The due list -----------------------------------------------------------------------------

    def test_due_rows_are_in_order_and_stops_are_left_out(self, recorder: Recorder) -> None:
        rows = [_row("d", 2), _row("c", 1), _row("b", 2), _row("a", None)]
        recorder.insert_events([], due=rows)
        assert recorder.due_rows() == [rows[3], rows[2], rows[1], rows[0]]
        assert recorder.due_rows("a", "c") == [rows[2], rows[1]]
        assert recorder.count_due() == 4
        listed = recorder.select_due(DueQuery(), None, 10)
        assert [row.prospect for row in listed] == ["c", "b", "d"]
        assert recorder.select_due(DueQuery(), None, 2) == listed[:2]
        assert recorder.select_due(DueQuery(), listed[0].position, 10) == listed[1:]

    def test_a_due_row_is_replaced_by_the_next(self, recorder: Recorder) -> None:
        recorder.insert_events([_stored("jo", 1)], due=[_row("jo", 1)])
        changed = DueRow("jo", "wait", 2, None, None, "", "", "9")
        recorder.insert_events([_stored("jo", 2)], due=[changed])
        assert recorder.due_rows() == [changed]

    def test_due_rows_are_chosen_by_owner_channel_and_review(self, recorder: Recorder) -> None:
        bob = _row("bob", 1, owner="bob")
        mail = _row("mail", 2, channels=",email,")
        later = _row("later", 9)
        recorder.insert_events([], due=[bob, mail, later])

        def names(query: DueQuery) -> list[str]:
            return [row.prospect for row in recorder.select_due(query, None, 10)]

        assert names(DueQuery(owner="bob")) == ["bob"]
        assert names(DueQuery(channel="email")) == ["mail"]
        assert names(DueQuery(review_until=2)) == ["bob", "mail"]
        assert names(DueQuery(review_until=2, owner="ann", channel="email")) == ["mail"]

    def test_rows_of_another_stamp_are_found(self, recorder: Recorder) -> None:
        rows = [_row(name, stamp=stamp) for name, stamp in (("a", "8"), ("b", "7"), ("c", "9"))]
        recorder.insert_events([], due=rows)
        assert recorder.select_stale(["8"], None, 10) == [("7", "b"), ("9", "c")]
        assert recorder.select_stale(["8"], ("7", "b"), 10) == [("9", "c")]
        assert recorder.select_stale(["8", "9", "7"], None, 10) == []
        assert recorder.select_stale([], None, 2) == [("7", "b"), ("8", "a")]

    def test_a_rebuild_leaves_the_row_of_a_newer_version(self, recorder: Recorder) -> None:
        self._whole(recorder)
        recorder.insert_events([_stored("jo", 1), _stored("kim", 1)], due=[_row("jo"), _row("kim")])
        recorder.insert_events([_stored("jo", 2)], due=[_row("jo", 7)])
        recorder.insert_events([], due=[_row("gone")])
        given = [Refreshed(_row(name, 3), 1, (_said(name),)) for name in ("jo", "kim")]
        recorder.refresh_due(given, None, "kim", "so far")
        assert recorder.due_mark() == "so far"
        assert recorder.due_rows() == [_row("jo", 7), _row("kim", 3)]
        assert [row.prospect for row in recorder.address_rows(None, _LAST)] == ["kim"]

    def test_a_rebuild_ends_with_a_whole_list(self, recorder: Recorder) -> None:
        assert recorder.due_stamp() is None
        recorder.insert_events([_stored("jo", 1)], due=[_row("jo"), _row("zoe")])
        recorder.refresh_due([Refreshed(_row("jo"), 1)], None, "jo", "so far")
        recorder.finish_due("jo", "8")
        assert recorder.due_rows() == [_row("jo")]
        assert (recorder.due_stamp(), recorder.due_mark()) == ("8", None)
        assert recorder.addresses_are_whole()

    # Addresses --------------------------------------------------------------------------------

    def test_who_says_something_tells_the_other_holders_to_look(self, recorder: Recorder) -> None:
        self._whole(recorder)
        for name in ("jo", "kim"):
            written = AddressChange(name, written=(_said(name),))
            recorder.insert_events([], due=[_row(name, 5)], addresses=[written])
        assert [row.at for row in recorder.due_rows()] == [5, 5]
        speaking = AddressChange("jo", written=(_said("jo", speaks=True),))
        recorder.insert_events([], due=[_row("jo", 6)], addresses=[speaking])
        jo, kim = recorder.due_rows()
        assert (jo.at, kim.at, kim.review_from, kim.verdict) == (6, 0, 0, "task")
        assert (kim.owner, kim.name, kim.stamp) == ("ann", "Jo", "8")

    def test_address_rows_are_replaced_and_deleted(self, recorder: Recorder) -> None:
        self._whole(recorder)
        other = _said("jo", base="mailto:jo@x.example")
        recorder.insert_events([], addresses=[AddressChange("jo", written=(_said("jo"), other))])
        recorder.insert_events([], addresses=[AddressChange("kim", written=(_said("kim"),))])
        assert recorder.select_addresses([_BASE]) == [_said("jo"), _said("kim")]
        assert recorder.select_addresses([]) == []
        assert recorder.address_rows("jo", "kim") == [_said("kim")]
        assert recorder.select_shared("", 10) == [_BASE]
        assert recorder.select_shared(_BASE, 10) == []
        assert recorder.count_holders([_BASE, other.base]) == {_BASE: 2}
        recorder.insert_events([], addresses=[AddressChange("jo", gone=((_BASE, _BASE),))])
        assert recorder.select_addresses([_BASE, other.base]) == [other, _said("kim")]

    def test_a_write_holds_against_what_others_said_when_it_was_decided(
        self, recorder: Recorder
    ) -> None:
        self._whole(recorder)
        recorder.insert_events([], addresses=[AddressChange("kim", written=(_said("kim"),))])
        decided = AddressChange("jo", (_BASE,), (_said("kim"),), (_said("jo"),))
        recorder.insert_events([_stored("jo", 1)], addresses=[decided])
        recorder.insert_events([], addresses=[AddressChange("ann", written=(_said("ann"),))])
        before = self._everything(recorder)
        with pytest.raises(AddressesChanged):
            recorder.insert_events([_stored("jo", 2)], due=[_row("jo")], addresses=[decided])
        assert self._everything(recorder) == before

    def test_an_entry_stands_once_and_tells_every_holder(self, recorder: Recorder) -> None:
        self._whole(recorder)
        recorder.insert_events(
            [], due=[_row("jo", 5)], addresses=[AddressChange("jo", written=(_said("jo"),))]
        )
        assert recorder.insert_entries([_entry(), _entry("other"), _entry()]) == 2
        assert recorder.insert_entries([_entry()]) == 0
        assert recorder.due_rows()[0].at == 0
        first, second = recorder.select_entries(EntryQuery())
        assert (first.source, second.source) == ("list", "other")
        assert 0 < first.number < second.number
        heard = recorder.select_addresses([_BASE])
        assert [row.prospect for row in heard] == ["", "", "jo"]
        assert heard[0].holding == first.entry
        assert recorder.select_entries(EntryQuery(source="other")) == [second]
        assert recorder.select_entries(EntryQuery(base="x")) == []
        assert recorder.select_entries(EntryQuery(), first.number, 1) == [second]
        assert recorder.entries_of(["x", _BASE]) == [first, second]
        assert recorder.entries_of(["x"]) == recorder.entries_of([]) == []

    def test_an_entry_that_was_taken_back_stands_no_more(self, recorder: Recorder) -> None:
        self._whole(recorder)
        recorder.insert_entries([_entry()])
        (row,) = recorder.select_entries(EntryQuery(kind="suppressed", ended=False))
        assert recorder.end_entry(EntryRow(*row[:5], '{"ended":true}', number=row.number))
        assert not recorder.end_entry(row)
        assert recorder.select_addresses([_BASE]) == []
        (ended,) = recorder.select_entries(EntryQuery(ended=True))
        assert (ended.entry, ended.ended) == ('{"ended":true}', True)
        assert recorder.entries_of([_BASE]) == [ended]
        assert recorder.insert_entries([_entry()]) == 1

    def test_entries_of_another_store_come_as_they_are(self, recorder: Recorder) -> None:
        self._whole(recorder)
        recorder.insert_events(
            [], due=[_row("jo", 5)], addresses=[AddressChange("jo", written=(_said("jo"),))]
        )
        ended = EntryRow(*_entry()[:5], '{"ended":true}', True)
        assert recorder.insert_copies([ended, _entry(), ended, _entry()]) == 2
        assert recorder.due_rows()[0].at == 0
        first, second = recorder.entries_of([_BASE])
        assert (first.entry, first.ended, second.ended) == (ended.entry, True, False)
        later = EntryRow(*_entry()[:5], '{"at":2}')
        assert recorder.insert_copies([later]) == 1  # beside the one that stands
        end = EntryRow(*later[:5], '{"at":2,"ended":true}', True, second.number + 1)
        assert recorder.insert_copies([end]) == 1
        assert recorder.insert_copies([end, second]) == 1  # the second is ended, too
        assert recorder.insert_copies([]) == 0
        assert recorder.select_entries(EntryQuery(ended=False)) == []

    def test_many_prospects_are_one_write_with_their_addresses(self, recorder: Recorder) -> None:
        self._whole(recorder)
        recorder.insert_entries([_entry(base="tel:+1")])
        written = AddressChange("jo", written=(_said("jo"),))
        recorder.insert_events([_stored("jo", 1)], addresses=[written])
        batches = [
            Prepared([_stored("jo", 2)], _row("jo", 5), (_said("jo", base="tel:+1"),)),
            Prepared([_stored("kim", 1), _stored("kim", 2)], _row("kim", 5), (_said("kim"),)),
        ]
        assert recorder.insert_batches(iter(batches)) == 3
        assert [row.at for row in recorder.due_rows()] == [0, 5]
        assert recorder.select_addresses([_BASE]) == [_said("kim")]
        before = self._everything(recorder)
        with pytest.raises(IntegrityError):
            recorder.insert_batches([Prepared([_stored("zoe", 1)], _row("zoe")), batches[0]])
        assert self._everything(recorder) == before

    # Claims -----------------------------------------------------------------------------------

    def test_a_claim_is_taken_and_ended(self, recorder: Recorder) -> None:
        recorder.insert_events([], claims=[ClaimChange("jo", taken=_claim("t"))])
        assert recorder.open_claims() == [_claim("t")] == recorder.open_claims("jo")
        assert recorder.open_claims("kim") == []
        recorder.insert_events([], claims=[ClaimChange("jo", seen="t", ended="released")])
        assert recorder.open_claims() == []
        assert recorder.find_claim("t") == _claim("t", ended="released")
        assert recorder.find_claim("x") is None

    def test_a_claim_holds_against_the_one_that_was_seen(self, recorder: Recorder) -> None:
        recorder.insert_events([_stored("jo", 1)], claims=[ClaimChange("jo", taken=_claim("t"))])
        before = self._everything(recorder)
        for change in (
            ClaimChange("jo", taken=_claim("u")),
            ClaimChange("jo", seen="x", ended="released"),
            ClaimChange("jo", seen="t", ended="released", taken=_claim("u"), version=2),
        ):
            with pytest.raises(IntegrityError):
                recorder.insert_events([_stored("jo", 2)], due=[_row("jo")], claims=[change])
        assert self._everything(recorder) == before
        change = ClaimChange("jo", seen="t", ended="released", taken=_claim("u"), version=1)
        recorder.insert_events([_stored("jo", 2)], claims=[change])
        assert recorder.open_claims() == [_claim("u")]

    def test_of_several_claims_those_that_can_be_had_are_taken(self, recorder: Recorder) -> None:
        self._whole(recorder)
        names = ["a", "b", "c", "d"]
        recorder.insert_events([_stored(name, 1) for name in names])
        recorder.insert_events([], claims=[ClaimChange("b", taken=_claim("t", "b"))])
        recorder.insert_events([_stored("c", 2)])
        writes = [
            ClaimWrite((ClaimChange(name, taken=_claim(f"u{name}", name), version=1),), asked)
            for name in names
            for asked in [AddressChange(name, (_BASE,), ())]
        ]
        assert recorder.insert_claims(writes[:3]) == [True, False, False]
        recorder.insert_events([], addresses=[AddressChange("x", written=(_said("x"),))])
        assert recorder.insert_claims(writes[3:]) == [False]
        assert [row.token for row in recorder.open_claims()] == ["ua", "t"]

    def test_of_workers_that_claim_at_once_one_wins(self, recorder: Recorder) -> None:
        recorder.insert_events([_stored("jo", 1)])
        for turn in range(5):
            claims = [_claim(f"{turn}{number}") for number in range(4)]
            works = [
                partial(
                    recorder.insert_events, [], claims=[ClaimChange("jo", taken=one, version=1)]
                )
                for one in claims
            ]
            lost = [one for one in _at_once(works) if isinstance(one, Exception)]
            assert len(lost) == 3
            assert all(isinstance(one, IntegrityError) for one in lost), lost
            (won,) = recorder.open_claims()
            recorder.insert_events([], claims=[ClaimChange("jo", seen=won.token, ended="released")])

    # Settings and policies --------------------------------------------------------------------

    def test_settings_are_read_in_the_order_in_which_they_were_changed(
        self, recorder: Recorder
    ) -> None:
        rows = [SettingRow("a", "1", "ann", 1), SettingRow("b", None, "bob", 2)]
        recorder.insert_settings(rows)
        recorder.insert_settings([SettingRow("a", "2", "bob", 0)])
        assert recorder.select_settings() == [*rows, SettingRow("a", "2", "bob", 0)]
        assert [row.value for row in recorder.select_settings("a")] == ["1", "2"]

    def test_policies_are_kept_by_digest(self, recorder: Recorder) -> None:
        assert recorder.policy_digests() == []
        for digest, text in (("b", "two"), ("a", "one"), ("b", "2")):
            recorder.save_policy(digest, text)
        assert recorder.policy_digests() == ["a", "b"]
        assert (recorder.policy_text("b"), recorder.policy_text("c")) == ("2", None)

    def test_a_closed_store_refuses_every_call(self, recorder: Recorder) -> None:
        recorder.close()
        recorder.close()
        for call in (
            lambda: recorder.select_stream("jo"),
            lambda: recorder.insert_events([_stored("jo", 1)]),
            lambda: recorder.due_rows(),
        ):
            with pytest.raises(StoreError):
                call()

    # The service on it ------------------------------------------------------------------------

    def test_a_prospect_is_followed_up(self, app: Cadence) -> None:
        number = ContactPoint(CALL, "+1 212 555 0101")
        app.execute("jo", ProspectAdded("Jo", "UTC", contact_points=(number,)), at=_NOW)
        app.execute("jo", SetAppointment(_NOW + timedelta(hours=1)), at=_NOW)
        at = _NOW + timedelta(hours=1)
        (due,) = app.due(at)
        claim = app.claim("jo", by="ann", at=at)
        with pytest.raises(Refused):
            app.claim("jo", by="bob", at=at)
        assert due.touch is not None
        app.complete(claim, (Part(CALL, Disposition.NO_ANSWER),), at=at)
        decision = app.explain("jo", at)
        assert decision.at == at + timedelta(minutes=10)
        app.execute("jo", OptOutRequested(), at=at)
        assert list(app.due(at + timedelta(days=30))) == []
        assert [item.event.version for item in app.events()] == [*range(1, 5)]

    def test_a_word_to_one_record_stops_the_other(self, app: Cadence) -> None:
        point = (ContactPoint(EMAIL, "jo@x.example"), ContactPoint(CALL, "+1 212 555 0101"))
        for name in ("jo", "joe"):
            app.execute(name, ProspectAdded(name, "UTC", contact_points=point), at=_NOW)
            app.execute(name, SetAppointment(_NOW + timedelta(days=1)), at=_NOW)
        app.execute("jo", OptOutRequested(), at=_NOW)
        with pytest.raises(Refused):
            app.claim("joe", own=CALL, by="ann", at=_NOW + timedelta(days=1))

    def test_workers_that_claim_one_person_under_two_names_are_refused_but_one(
        self, app: Cadence
    ) -> None:
        point = (ContactPoint(CALL, "+1 212 555 0101"),)
        for name in ("jo", "joe"):
            app.execute(name, ProspectAdded(name, "UTC", contact_points=point), at=_NOW)
        works = [
            partial(app.claim, name, own=CALL, by=by, at=_NOW)
            for name, by in (("jo", "ann"), ("joe", "bob"), ("jo", "cy"), ("joe", "di"))
        ]
        lost = [one for one in _at_once(works) if isinstance(one, Exception)]
        assert len(lost) == 3
        assert all(isinstance(one, Refused | Conflict) for one in lost), lost

    def test_a_policy_of_a_teams_own_is_kept_with_the_store(self, recorder: Recorder) -> None:
        text = to_toml(msgspec.structs.replace(builtin(), id="ours", version=3))
        ours = parse_text(text, "ours.toml")
        Cadence.open(recorder, default=ours).execute("jo", ProspectAdded("Jo", "UTC"), at=_NOW)
        other = Cadence.open(recorder)
        assert other.explain("jo", _NOW).policy == ours.ref
        assert other.library.in_use() == {PolicyRef(ours.id, ours.version, ours.digest): 1}

    @pytest.mark.parametrize("seed", range(4))
    def test_it_answers_as_the_store_in_memory_does(self, recorder: Recorder, seed: int) -> None:
        """Random commands on people who share addresses, in the store and in one in memory."""
        chance = random.Random(seed)
        at = _NOW
        app, in_memory = Cadence.open(recorder), MemoryRecorder()
        with Cadence.open(in_memory) as model:
            for _ in range(60):
                at += timedelta(minutes=chance.choice((1, 10, 60, 24 * 60)))
                name = chance.choice("abcd")
                command = _any_command(chance)
                told = [_outcome(one, name, command, at) for one in (app, model)]
                assert told[0] == told[1]
            for one in (app, model):
                one.due_rows.rebuild()
            assert app.due_rows.stored() == model.due_rows.stored()
            for name in model.prospects():
                assert app.history(name) == model.history(name)
                assert app.explain(name, at) == model.explain(name, at)
            later = at + timedelta(days=3)
            assert list(app.due(later)) == list(model.due(later))
            assert [one.prospect.id for one in app.tick(later)] == [
                one.prospect.id for one in model.tick(later)
            ]
            rows = recorder.address_rows(None, _LAST)
            assert rows == in_memory.address_rows(None, _LAST)

    # Inside -----------------------------------------------------------------------------------

    def _whole(self, recorder: Recorder) -> None:
        """As the service leaves a new store: the index of no prospects is whole."""
        recorder.finish_due(None, "8")

    def _everything(self, recorder: Recorder) -> object:
        names = recorder.select_prospects(None, 1000)
        return (
            [[tuple(one) for one in recorder.select_states(name)] for name in names],
            recorder.due_rows(),
            recorder.open_claims(),
            recorder.address_rows(None, _LAST),
            recorder.select_entries(EntryQuery()),
            recorder.select_settings(),
            recorder.policy_digests(),
        )


def _any_command(chance: random.Random) -> Command:
    number = f"+1 212 555 01{chance.randrange(4):02}"
    points = (ContactPoint(CALL, number), ContactPoint(EMAIL, f"{number[-2:]}@x.example"))
    how = chance.choice((Disposition.NO_ANSWER, Disposition.CONNECTED, Disposition.VOICEMAIL_LEFT))
    return chance.choice(
        (
            ProspectAdded("Jo", "UTC", contact_points=points),
            AttemptMade((Part(CALL, how),)),
            AttemptMade((Part(EMAIL, Disposition.SENT),)),
            ReplyReceived(EMAIL),
            InterestNoted("less paper"),
            ContactPointFailed(CALL, number),
            OptOutRequested(CALL if chance.random() < 0.5 else None),
            SetAppointment(_NOW + timedelta(days=chance.randrange(1, 40))),
        )
    )


def _outcome(app: Cadence, name: str, command: Command, at: datetime) -> object:
    try:
        outcome = app.execute(name, command, at=at)
    except CadenceError as error:
        return type(error), error.what
    return outcome.events, outcome.decision
