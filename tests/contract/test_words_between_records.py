"""What one record says of an address reaches the others, on every store."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from nightly import NIGHTLY

from cadence.domain import (
    AttemptMade,
    ContactPoint,
    ContactPointAdded,
    ContactPointFailed,
    ContactPointRestored,
    Disposition,
    EndReason,
    Event,
    EventCorrected,
    EventRetracted,
    FollowUpEnded,
    OptedBackIn,
    OptOutRequested,
    Part,
    ProspectAdded,
    SamePersonDenied,
)
from cadence.domain.channels import CALL, EMAIL, MAIL, Channel
from cadence.domain.events import FailureReason
from cadence.engine import Due, MakeAttempt, SetAppointment, Task, Wait
from cadence.engine.decision import TaskKind
from cadence.errors import InputError, Refused
from cadence.policy.rules import Rule
from cadence.store import Cadence
from cadence.store.duplicates import duplicates
from cadence.store.list_load import Suppression
from cadence.store.writer import StreamWriter

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
DAY = timedelta(days=1)
NUMBER = "+1 212 555 0101"
ADA = "ada@example.com"
STRICT = MakeAttempt((Part(CALL, Disposition.NO_ANSWER),), is_strict=True)
ROUNDS = 1000 if NIGHTLY else 40


@pytest.fixture
def app(address: str | None) -> Iterator[Cadence]:
    with Cadence.open(address) as opened:
        yield opened


def person(name: str = "Ada Brook", *points: ContactPoint) -> ProspectAdded:
    given = points or (ContactPoint(CALL, NUMBER), ContactPoint(EMAIL, ADA))
    return ProspectAdded(name, "America/New_York", "US", contact_points=given)


def both(app: Cadence) -> None:
    app.execute("lead", person(), at=NOW)
    spelled = (ContactPoint(CALL, "(212) 555-0101"), ContactPoint(EMAIL, "ADA@example.com"))
    app.execute("contact", person("ada  brook", *spelled), at=NOW)


def task(app: Cadence, prospect: str, at: datetime) -> TaskKind | None:
    decision = app.explain(prospect, at)
    return decision.kind if isinstance(decision, Task) else None


def test_an_opt_out_of_one_record_stops_the_other_however_it_is_spelled(app: Cadence) -> None:
    both(app)
    app.execute("contact", SetAppointment(NOW + 2 * DAY), at=NOW)
    app.execute("lead", OptOutRequested(), at=NOW + DAY)
    decision = app.explain("contact", NOW + 2 * DAY)
    assert decision.touch is None
    assert decision.reasons[0].rule == Rule.SUPPRESSED
    assert "lead has +12125550101 too and opted out (event 2 of lead)" in [
        reason.because for reason in decision.reasons
    ]
    with pytest.raises(Refused) as refused:
        app.execute("contact", STRICT, at=NOW + 2 * DAY)
    assert refused.value.rule == Rule.SUPPRESSED
    assert [one.prospect for one in app.due(NOW + 2 * DAY)] == ["contact"]


def test_who_is_added_after_an_opt_out_is_stopped_too(app: Cadence) -> None:
    app.execute("lead", person(), at=NOW)
    app.execute("lead", OptOutRequested(), at=NOW)
    app.execute("contact", person(), at=NOW + DAY)
    assert task(app, "contact", NOW + DAY) is TaskKind.FIND_ADDRESS


def test_an_import_in_any_order_has_the_same_words(app: Cadence) -> None:
    added = [Event("a", 1, NOW, NOW, person()), Event("b", 1, NOW, NOW, person())]
    out = Event("b", 2, NOW + DAY, NOW + DAY, OptOutRequested())
    app.histories.append([([added[1], out], 0), ([added[0]], 0)], at=NOW + DAY)
    assert app.explain("a", NOW + DAY).reasons[0].rule == Rule.SUPPRESSED
    assert "a" in [one.prospect for one in app.due(NOW + 9 * DAY)]


def test_an_opt_out_that_is_taken_back_frees_the_other_at_once(app: Cadence) -> None:
    both(app)
    app.execute("lead", OptOutRequested(), at=NOW + DAY)
    app.execute("lead", EventRetracted(2, "a mistake"), at=NOW + DAY)
    assert task(app, "contact", NOW + DAY) is TaskKind.BEGIN
    app.execute("contact", STRICT, at=NOW + DAY)


def test_an_attempt_for_another_record_moves_nothing_before_a_limit_is_reached(
    app: Cadence,
) -> None:
    both(app)
    before = app.explain("contact", NOW)
    three = tuple(Part(CALL, Disposition.NO_ANSWER, address=NUMBER) for _ in range(3))
    app.execute("lead", MakeAttempt(three[:1]), at=NOW + 5 * DAY)
    after = app.explain("contact", NOW + 5 * DAY)
    assert isinstance(after, Task)
    assert after.at == before.at
    assert all(reason.because for reason in after.reasons)
    app.execute("lead", AttemptMade(three[:2]), at=NOW + 5 * DAY)
    limited = app.explain("contact", NOW + 5 * DAY)
    assert any("at most 3 parts in 24 hours" in one.because for one in limited.reasons)


def test_other_addresses_wait_until_the_owner_says_who_they_are(app: Cadence) -> None:
    other = ContactPoint(CALL, "+1 212 555 0199")
    app.execute("lead", person("Ada Brook", ContactPoint(EMAIL, ADA)), at=NOW)
    app.execute("contact", person("Bo Lind", ContactPoint(EMAIL, ADA), other), at=NOW)
    app.execute("lead", OptOutRequested(), at=NOW + DAY)
    assert task(app, "contact", NOW + DAY) is TaskKind.SAME_PERSON
    with pytest.raises(Refused):
        app.execute("contact", STRICT, at=NOW + DAY)
    app.execute("contact", SamePersonDenied("lead", "they share a mailbox"), at=NOW + DAY)
    made = app.execute("contact", STRICT, at=NOW + DAY).events[-1].data
    assert isinstance(made, AttemptMade)
    assert made.parts[0].key == "+12125550199"


def test_an_attempt_corrected_to_a_later_time_names_what_was_said_by_then(
    app: Cadence,
) -> None:
    both(app)
    called = AttemptMade((Part(CALL, Disposition.NO_ANSWER),))
    app.execute("contact", called, at=NOW + DAY)
    app.execute("lead", OptOutRequested(), at=NOW + 2 * DAY)
    for days, is_broken in ((3, True), (1.5, False)):
        later = EventCorrected(2, called, NOW + days * DAY)
        (event,) = app.execute("contact", later, at=NOW + 4 * DAY).events
        assert isinstance(event.data, EventCorrected)
        assert isinstance(event.data.data, AttemptMade)
        assert ("suppressed" in event.data.data.broke) is is_broken


def test_an_opt_in_lifts_what_others_had_said_and_nothing_later(app: Cadence) -> None:
    both(app)
    app.execute("lead", OptOutRequested(), at=NOW)
    app.execute("contact", OptedBackIn(why="they called"), at=NOW + DAY)
    app.execute("contact", STRICT, at=NOW + 2 * DAY)
    app.execute("lead", OptedBackIn(), at=NOW + 2 * DAY)
    app.execute("lead", OptOutRequested(), at=NOW + 2 * DAY)
    assert task(app, "contact", NOW + 3 * DAY) is TaskKind.RECORD_OPT_IN or (
        task(app, "contact", NOW + 3 * DAY) is TaskKind.FIND_ADDRESS
    )


@pytest.mark.parametrize("again", [None, CALL])
@pytest.mark.parametrize("first", [None, CALL])
def test_an_opt_out_said_again_holds_though_the_first_was_lifted(
    app: Cadence, first: Channel | None, again: Channel | None
) -> None:
    both(app)
    app.execute("lead", OptOutRequested(first), at=NOW)
    app.execute("contact", OptedBackIn(CALL, why="they called"), at=NOW + DAY)
    assert not is_stopped(app, "contact", NOW + 2 * DAY)
    app.execute("lead", OptOutRequested(again), at=NOW + 2 * DAY)
    assert is_stopped(app, "contact", NOW + 3 * DAY)
    app.execute("contact", OptedBackIn(CALL, why="they called again"), at=NOW + 3 * DAY)
    assert not is_stopped(app, "contact", NOW + 4 * DAY)


@pytest.mark.parametrize("said", [FailureReason.DISCONNECTED, FailureReason.WRONG_NUMBER])
def test_an_address_that_failed_again_after_its_restoration_has_failed(
    app: Cadence, said: FailureReason
) -> None:
    for name, is_called in (("lead", "Ada"), ("contact", "Ada"), ("third", "Bo")):
        app.execute(name, person(is_called, ContactPoint(CALL, NUMBER)), at=NOW)
    failed = ContactPointFailed(CALL, NUMBER, said)
    app.execute("lead", failed, at=NOW)
    app.execute("contact", ContactPointRestored(CALL, NUMBER, "they called"), at=NOW + DAY)
    assert not is_stopped(app, "contact", NOW + 2 * DAY)
    app.execute("lead", failed, at=NOW + 2 * DAY)
    assert is_stopped(app, "contact", NOW + 3 * DAY)
    app.execute("lead", ContactPointFailed(CALL, NUMBER, FailureReason.BOUNCED), at=NOW + 3 * DAY)
    assert is_stopped(app, "third", NOW + 4 * DAY)  # a dead line, not only a stranger's


def test_no_touch_is_planned_at_an_address_that_failed_for_another(app: Cadence) -> None:
    both(app)
    app.execute("contact", SetAppointment(NOW + DAY), at=NOW)
    planned = app.explain("contact", NOW).touch
    assert planned is not None
    assert [part.channel for part in planned.parts] == [CALL]
    app.execute("lead", ContactPointFailed(CALL, NUMBER, FailureReason.DISCONNECTED), at=NOW)
    planned = app.explain("contact", NOW).touch
    assert planned is None or CALL not in {part.channel for part in planned.parts}


def test_a_wrong_number_is_not_restored_by_a_holder_of_another_name(app: Cadence) -> None:
    for prospect, name in (("lead", "Ada"), ("contact", "ADA"), ("third", "Bo")):
        app.execute(prospect, person(name, ContactPoint(CALL, NUMBER)), at=NOW)
    app.execute("lead", ContactPointFailed(CALL, NUMBER, FailureReason.WRONG_NUMBER), at=NOW)
    app.execute("third", ContactPointRestored(CALL, NUMBER, "Bo called"), at=NOW + DAY)
    assert is_stopped(app, "contact", NOW + 2 * DAY)
    app.execute("contact", ContactPointRestored(CALL, NUMBER, "Ada called"), at=NOW + 2 * DAY)
    assert not is_stopped(app, "contact", NOW + 3 * DAY)


def is_stopped(app: Cadence, prospect: str, at: datetime) -> bool:
    """Whether a call would break what others said."""
    try:
        app.release(app.claim(prospect, own=CALL, by="ann", at=at))
    except Refused as refused:
        return refused.rule in (Rule.SUPPRESSED, Rule.CONTACT_POINT)
    return False


def test_a_list_stops_who_has_the_address_now_and_later_whatever_they_say(app: Cadence) -> None:
    both(app)
    done = app.addresses.suppress([ADA, NUMBER, "none"], by="kim", source="dnc", at=NOW)
    assert (done.new, done.known, done.unusable) == (2, 0, 1)
    assert done.holders.total == len(done.holders.first)
    again = app.addresses.suppress([ADA], by="kim", source="dnc", at=NOW)
    assert (again.new, again.known, again.unusable) == (0, 1, 0)
    app.execute("lead", OptedBackIn(why="they said so"), at=NOW + DAY)
    app.execute("third", person(), at=NOW + DAY)
    for prospect in ("lead", "contact", "third"):
        assert task(app, prospect, NOW + DAY) is TaskKind.FIND_ADDRESS
    assert app.addresses.unsuppress(ADA, by="kim", why="an error", at=NOW + DAY) == 1
    assert app.addresses.unsuppress(ADA, by="kim", why="an error", at=NOW + DAY) == 0
    assert task(app, "third", NOW + DAY) is TaskKind.BEGIN
    assert [entry.ended_why for entry in app.addresses.entries(ended=True)] == ["an error"]


def test_a_list_puts_back_what_was_taken_off_before_its_day_and_nothing_else(
    app: Cadence,
) -> None:
    both(app)
    book = app.addresses
    book.suppress([ADA, NUMBER], by="kim", source="dnc", at=NOW)
    book.unsuppress(ADA, by="ann", why="they asked", at=NOW + DAY)
    given = {"by": "kim", "source": "dnc", "at": NOW + 3 * DAY}
    older = book.suppress([ADA, NUMBER, ADA], dated=NOW.date(), **given)
    assert (older.new, older.known, older.kept_off, older.put_back) == (0, 1, 2, 0)
    assert task(app, "lead", NOW + 3 * DAY) is not TaskKind.FIND_ADDRESS
    newer = book.suppress([ADA, NUMBER, ADA], dated=(NOW + 2 * DAY).date(), **given)
    assert (newer.new, newer.known, newer.kept_off, newer.put_back) == (1, 2, 0, 1)
    assert [entry.ended_why for entry in newer.put_back_first] == ["they asked"]
    assert newer.holders.first == ("contact", "lead")
    assert task(app, "lead", NOW + 3 * DAY) is TaskKind.FIND_ADDRESS


def test_an_address_is_suppressed_on_known_channels_alone(app: Cadence) -> None:
    with pytest.raises(InputError, match="channel: unknown 'phone'"):
        app.addresses.suppress([Suppression(NUMBER, Channel("phone"))], by="kim", at=NOW)
    app.execute("lead", person(), at=NOW)
    for ask in (
        lambda: app.may("lead", Channel("phone")),
        lambda: app.claim("lead", own=Channel("phone"), by="kim", at=NOW),
        lambda: app.due(NOW, channel="phone"),
        lambda: app.claim_next(1, by="kim", channel="phone", at=NOW),
    ):
        with pytest.raises(InputError, match="unknown 'phone'"):
            ask()


def test_at_a_line_a_word_is_its_holders_alone_unless_it_was_said_from_it(app: Cadence) -> None:
    desk = ContactPoint(CALL, NUMBER)
    for name in ("ann", "bob", "cleo"):
        app.execute(name, person(name, desk), at=NOW)
    assert app.addresses.declare_line(NUMBER, by="kim", why="the front desk", at=NOW)
    assert not app.addresses.declare_line(NUMBER, by="kim", why="the front desk", at=NOW)
    app.execute("ann", OptOutRequested(), at=NOW + DAY)
    assert task(app, "bob", NOW + DAY) is TaskKind.BEGIN
    app.execute("bob", OptOutRequested(address=NUMBER), at=NOW + DAY)
    assert task(app, "cleo", NOW + DAY) is TaskKind.FIND_ADDRESS


def test_a_line_declared_later_releases_no_word_that_stood(app: Cadence) -> None:
    desk = ContactPoint(CALL, NUMBER)
    app.execute("ann", person("Ann", desk), at=NOW)
    app.execute("bob", person("Bob", desk), at=NOW)
    app.execute("ann", OptOutRequested(), at=NOW)
    app.addresses.declare_line(NUMBER, by="kim", why="the front desk", at=NOW + DAY)
    assert task(app, "bob", NOW + DAY) is TaskKind.FIND_ADDRESS


def test_calls_for_other_records_of_a_number_delay_the_next(app: Cadence) -> None:
    for name in ("ann", "bob"):
        app.execute(name, person(name, ContactPoint(CALL, NUMBER)), at=NOW)
    logged = AttemptMade((Part(CALL, Disposition.NO_ANSWER),))
    app.execute("bob", logged, at=NOW)
    alone = app.explain("bob", NOW + DAY)
    assert isinstance(alone, Wait)
    for hour in range(5):
        app.execute("ann", logged, at=NOW + 2 * DAY + timedelta(hours=hour))
    crowded = app.explain("bob", NOW + 3 * DAY)
    assert isinstance(crowded, Wait)
    assert crowded.at > alone.at
    said = [one.because for one in crowded.reasons if one.rule == Rule.FREQUENCY]
    assert "of them for other records of the address" in said[0]
    app.addresses.declare_line(NUMBER, by="kim", why="a desk", at=NOW + 3 * DAY)
    freed = app.explain("bob", NOW + 3 * DAY)
    assert isinstance(freed, Due | Wait)
    assert freed.at == alone.at


def test_find_lists_the_holders_of_an_address_in_any_spelling(app: Cadence) -> None:
    both(app)
    app.execute("desk", person("Desk", ContactPoint(CALL, f"{NUMBER} ext. 5")), at=NOW)
    assert app.find("tel:+1-212-555-0101") == ["contact", "desk", "lead"]
    assert app.find("Ada@Example.com") == ["contact", "lead"]
    assert app.find("+1 212 555 0101 x5") == ["desk"]
    assert app.find("bo@example.com") == []
    with pytest.raises(InputError):
        app.find("nothing")


def test_a_lease_is_not_made_longer_after_another_records_word(app: Cadence) -> None:
    both(app)
    app.execute("contact", SetAppointment(NOW + DAY), at=NOW)
    claim = app.claim("contact", by="ann", at=NOW + DAY)
    assert app.claim("contact", by="ann", at=NOW + DAY).token == claim.token
    app.execute("lead", OptOutRequested(), at=NOW + DAY)
    with pytest.raises(Refused) as refused:
        app.claim("contact", by="ann", at=NOW + DAY)
    assert refused.value.rule == Rule.SUPPRESSED
    assert "lead has +12125550101 too and opted out" in str(refused.value)


def test_records_that_may_be_one_person_are_found_by_address_then_by_name(app: Cadence) -> None:
    both(app)
    desk = ContactPoint(CALL, "+1 212 555 0177")
    for number in range(5):  # a house's number, but for the two of one name
        app.execute(f"desk{number}", person(f"Person {number % 4}", desk), at=NOW)
    street = ContactPoint(MAIL, "1 Main Street")
    for name in ("ann", "bob"):
        app.execute(name, person(name, street), at=NOW)
    for name in ("kim", "lee"):
        added = person("Kim Lee", ContactPoint(EMAIL, f"{name}@x.com"))
        app.execute(name, msgspec.structs.replace(added, company="Vandelay"), at=NOW)
    found = list(duplicates(app))
    assert found == [
        ("contact", "lead", ("+12125550101", "ada@example.com"), True),
        ("desk0", "desk4", ("+12125550177",), True),
        ("kim", "lee", (), True),
    ]
    app.execute("lee", SamePersonDenied("kim", "father and son"), at=NOW)
    app.addresses.declare_line(NUMBER, by="kim", why="a desk", at=NOW)
    assert next(iter(duplicates(app))) == ("contact", "lead", ("ada@example.com",), True)
    assert len(list(duplicates(app))) == 2


def test_many_holders_are_told_together_what_each_is_told_alone(app: Cadence) -> None:
    """Of hundreds who share an address few say something; the others are counted alone."""
    names = [f"p{number:03}" for number in range(60)]
    for number, name in enumerate(names):
        points = (ContactPoint(EMAIL, "none@example.com"), ContactPoint(CALL, NUMBER))
        added = ProspectAdded(f"Jo {number % 7}", "America/New_York", contact_points=points)
        app.execute(name, added, at=NOW)
    for name, said in (
        ("p003", OptOutRequested(EMAIL)),
        ("p010", ContactPointFailed(CALL, NUMBER, FailureReason.WRONG_NUMBER)),
        ("p017", AttemptMade((Part(EMAIL, Disposition.SENT, "none@example.com"),))),
        ("p020", FollowUpEnded(EndReason.DECLINED)),
    ):
        app.execute(name, said, at=NOW + DAY)
    assert app.histories.load(names) == [app.load(name) for name in names]
    assert app.load("p017").elsewhere.words
    assert app.load("p024").elsewhere.failed  # it has the name of p010


def test_a_word_said_between_reading_and_writing_is_seen(
    app: Cadence, monkeypatch: pytest.MonkeyPatch
) -> None:
    both(app)
    append, said = StreamWriter.write, []

    def word_first(self: StreamWriter, *given: object) -> None:
        if not said:
            said.append(True)
            app.execute("lead", OptOutRequested(), at=NOW + DAY)
        append(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(StreamWriter, "write", word_first)
    with pytest.raises(Refused) as refused:
        app.execute("contact", STRICT, at=NOW + DAY)
    assert refused.value.rule == Rule.SUPPRESSED
    assert [type(event.data) for event in app.history("contact")] == [ProspectAdded]


def test_a_list_written_between_reading_and_writing_is_seen(
    app: Cadence, monkeypatch: pytest.MonkeyPatch
) -> None:
    both(app)
    append, said = StreamWriter.write, []

    def list_first(self: StreamWriter, *given: object) -> None:
        if not said:
            said.append(app.addresses.suppress([NUMBER], by="kim", at=NOW))
        append(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(StreamWriter, "write", list_first)
    with pytest.raises(Refused):
        app.execute("contact", STRICT, at=NOW + DAY)


# Races in real processes ------------------------------------------------------------------------

SPEAKER = """
import sys
from datetime import datetime, timedelta
from cadence.domain import *
from cadence.store import Cadence
from cadence.engine import MakeAttempt
from cadence.errors import Refused
from cadence.transfer.jsonl import import_jsonl
address, what = sys.argv[1:]
at = datetime.fromisoformat("2026-03-03T15:00:00+00:00")
call = Channel("call")
with Cadence.open(address, lock_timeout_seconds=30) as app:
    print("ready", flush=True)
    for line in sys.stdin:
        number = line.strip()
        point = ContactPoint(call, f"+1212555{number}")
        try:
            if what == "word":
                app.execute(f"a{number}", OptOutRequested(), at=at)
            elif what == "list":
                app.addresses.suppress([point.address], by="kim", at=at)
            elif what == "attempt":
                made = MakeAttempt((Part(call, Disposition("no_answer")),), is_strict=True)
                app.execute(f"b{number}", made, at=at)
            elif what == "claim":
                app.claim(f"b{number}", own=call, by="bo", at=at)
            elif what == "claim a":
                app.claim(f"a{number}", own=call, by="ann", at=at)
            elif what == "import":
                added = ProspectAdded("C", "America/New_York", "US", contact_points=(point,))
                line = encode_line(Event(f"c{number}", 1, at, at, added))
                import_jsonl(app, [line], at=at)
            elif what == "add":
                app.execute(
                    f"c{number}",
                    ProspectAdded("C", "America/New_York", "US", contact_points=(point,)),
                    at=at,
                )
            print("done", flush=True)
        except Refused as refused:
            print(refused.rule, flush=True)
"""


@pytest.mark.parametrize("speaks", ["word", "list"])
@pytest.mark.parametrize("acts", ["attempt", "claim", "add", "import"])
def test_of_a_word_and_an_act_at_one_moment_one_sees_the_other(
    address: str | None, speaks: str, acts: str
) -> None:
    """In two processes: what comes second is refused, or was first; nothing is in between."""
    if address is None:
        return  # one process cannot share memory with another: the test above covers it
    numbers = [f"{number:04}" for number in range(ROUNDS)]
    for first, second in raced(address, numbers, speaks, acts):
        assert first == "done"
        assert second in ("done", Rule.SUPPRESSED)
    with Cadence.open(address) as app:
        for number in numbers:
            _check_round(app, number, speaks)


def test_of_two_claims_on_one_number_at_one_moment_one_is_refused(address: str | None) -> None:
    if address is None:
        return  # one process cannot share memory with another
    numbers = [f"{number:04}" for number in range(ROUNDS)]
    for answers in raced(address, numbers, "claim a", "claim"):
        assert sorted(answers) == [Rule.CLAIMED, "done"]


def raced(address: str, numbers: list[str], *acts: str) -> Iterator[list[str]]:
    """Let two processes act on two records of one number, a number after the other."""
    with Cadence.open(address) as app:
        for number in numbers:
            point = ContactPoint(CALL, f"+1212555{number}")
            app.execute(f"a{number}", person("A", point), at=NOW)
            app.execute(f"b{number}", person("B", point), at=NOW)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", SPEAKER, address, what],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for what in acts
    ]
    try:
        assert [ask(worker) for worker in workers] == ["ready", "ready"]
        for number in numbers:
            for worker in workers:
                assert worker.stdin is not None
                worker.stdin.write(f"{number}\n")
                worker.stdin.flush()
            yield [ask(worker) for worker in workers]
    finally:
        for worker in workers:
            worker.communicate()


def ask(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout is not None
    return worker.stdout.readline().strip()


def _check_round(app: Cadence, number: str, speaks: str) -> None:
    """Whoever acted did so before the word was written, by the order of the commits."""
    words = _committed(app, f"a{number}", lambda data: isinstance(data, OptOutRequested))
    acts = _committed(app, f"b{number}", lambda data: isinstance(data, AttemptMade))
    if speaks == "word" and acts:
        assert acts < words, number
    for name in (f"b{number}", f"c{number}"):
        if app.histories.of([name])[name]:
            assert app.explain(name, NOW + 2 * DAY).touch is None, name
            with pytest.raises(Refused):
                app.execute(name, STRICT, at=NOW + 3 * DAY)


def _committed(app: Cadence, prospect: str, is_meant: Callable[[object], bool]) -> list[int]:
    """The notification ids, which are in the order of the commits, of some events."""
    versions = {one.version for one in app.history(prospect) if is_meant(one.data)}
    return [
        one.id
        for one in app._recorder.select_notifications(None, 100_000)
        if one.originator_id == prospect and one.originator_version in versions
    ]


def test_addresses_are_read_by_the_same_order_on_every_store(app: Cadence) -> None:
    both(app)
    app.execute("desk", person("Desk", ContactPoint(CALL, f"{NUMBER} x5")), at=NOW)
    app.execute("desk", ContactPointAdded(EMAIL, ADA), at=NOW)
    app.addresses.suppress([NUMBER], by="kim", at=NOW)
    rows = app._recorder.select_addresses(["+12125550101", "ada@example.com"])
    assert [(row.base, row.prospect, row.key) for row in rows] == [
        ("+12125550101", "", "+12125550101"),
        ("+12125550101", "contact", "+12125550101"),
        ("+12125550101", "desk", "+12125550101;ext=5"),
        ("+12125550101", "lead", "+12125550101"),
        ("ada@example.com", "contact", "ada@example.com"),
        ("ada@example.com", "desk", "ada@example.com"),
        ("ada@example.com", "lead", "ada@example.com"),
    ]
