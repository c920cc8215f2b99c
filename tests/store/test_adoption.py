"""Moving prospects to another policy: never sooner than promised, whole, once, whatever happens."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pgserver
import policies
import pytest
import strategies
from adoption_cases import ADDED, NO_ANSWER, NOW, OURS, REFUTED, TIP8, in_silence
from clocks import ahead
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from nightly import NIGHTLY
from random_steps import STEPS, take_step

from cadence.domain.channels import CALL, CHANNELS
from cadence.domain.events import (
    AttemptMade,
    Disposition,
    EndReason,
    Event,
    InterestNoted,
    OptOutRequested,
    Part,
    PolicyAdopted,
)
from cadence.engine.commands import EndFollowUp, MakeAttempt, SetAppointment
from cadence.engine.decision import Decision, Verdict
from cadence.engine.loop import decision_for
from cadence.errors import Refused, StoreError, UnknownProspect, UnprovedPolicy
from cadence.policy import builtin, builtin_names
from cadence.policy.model import Policy
from cadence.policy.rules import Rule
from cadence.prover.proof import prove
from cadence.prover.simulation import Scenario, Simulation
from cadence.prover.state_space import Beginning
from cadence.store import Cadence, adoption
from cadence.store.adoption import PolicyMove, SkipReason, adopt, preview

STORES = ["memory", "sqlite", "postgres"]
SHARED = ["sqlite", "postgres"]


def new_address(kind: str, folder: Path) -> str | None:
    if kind == "memory":
        return None
    return str(folder / "cadence.db") if kind == "sqlite" else pgserver.new_address()


@pytest.fixture(params=STORES)
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cadence]:
    address = new_address(request.param, tmp_path)
    with Cadence.open(address, lock_timeout_seconds=30) as opened:
        yield opened


@pytest.fixture(params=SHARED)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    found = new_address(request.param, tmp_path)
    assert found is not None
    return found


def moves_of(app: Cadence, prospect: str) -> list[Event]:
    return [one for one in app.history(prospect) if isinstance(one.data, PolicyAdopted)]


def rows_are_right(app: Cadence) -> None:
    rows = app.due_rows.stored()
    app.due_rows.rebuild()
    assert app.due_rows.stored() == rows


# Never sooner than promised -----------------------------------------------------------------------


@st.composite
def lives(draw: st.DrawFn, old: Policy) -> list[Event]:
    """The history of a prospect under ``old``, with random events."""
    channels = draw(st.frozensets(st.sampled_from(CHANNELS), min_size=1))
    made = Simulation(old, Scenario(channels, draw(st.sampled_from(list(Beginning)))))
    for what in draw(st.lists(STEPS, max_size=10)):
        take_step(made, what)
    return made.events


@st.composite
def moves(draw: st.DrawFn) -> tuple[Policy, Policy, list[Event], datetime]:
    """A policy, another, a history under the first, and when to move."""
    old, new = draw(policies.variants()), draw(policies.variants())
    history = draw(st.one_of(lives(old), strategies.histories()))
    assume(history)
    latest = max(event.recorded_at for event in history)
    hours = draw(st.integers(-48, -1) | st.integers(0, 24 * 60))
    return old, new, history, latest + timedelta(hours=hours)


def not_sooner(decision: Decision, promised: datetime | None) -> None:
    if decision.touch is not None and promised is not None:
        assert decision.at is not None
        assert decision.at >= promised


@given(moves())
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_nobody_is_contacted_sooner_than_promised(
    given_: tuple[Policy, Policy, list[Event], datetime],
) -> None:
    old, new, history, now = given_
    assert prove(new).proved
    name = history[0].prospect
    with Cadence.open(None, default=old, policies=[new], use_unproved_policies=True) as app:
        app.histories.append([(history, 0)], at=ahead())
        prospect = app.load(name)
        before = decision_for(prospect, app.policies, now)
        [seen] = preview(app, new, [name], now)
        moved = adopt(app, new, [name], now)
        after = app.load(name)
        if isinstance(seen, SkipReason):
            assert moved == 0
            assert after == prospect
            return
        assert moved == 1
        # What was shown is what happened, and nothing of the silence was lost.
        assert seen.before == before
        assert app.history(name) == [*history, seen.event]
        assert (after.stage, after.silence) == (prospect.stage, prospect.silence)
        assert decision_for(after, app.policies, now) == seen.after
        assert seen.event.recorded_at == max(now, prospect.recorded_at)
        rows_are_right(app)
        promised = before.at if before.touch is not None else prospect.not_before
        for hours in (0, 1, 24, 24 * 7, 24 * 30, 24 * 90):
            not_sooner(decision_for(after, app.policies, now + timedelta(hours=hours)), promised)
        # Again: it has it already.
        assert list(preview(app, new, [name], now)) == [SkipReason.HAS_IT]
        assert adopt(app, new, [name], now) == 0


@given(moves())
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_a_silence_goes_on_in_order_after_a_move(
    given_: tuple[Policy, Policy, list[Event], datetime],
) -> None:
    old, new, history, now = given_
    name = history[0].prospect
    with Cadence.open(None, default=old, use_unproved_policies=True) as app:
        app.histories.append([(history, 0)], at=ahead())
        before = app.explain(name, now)
        if not adopt(app, new, [name], now):
            return
        first = True
        # Their clock may have been ahead: what is open then is not always open now.
        now = max(now, app.load(name).recorded_at)
        for _ in range(20):
            decision = app.explain(name, now)
            if decision.verdict is Verdict.WAIT and decision.at is not None:
                now = decision.at
                continue
            if decision.verdict is not Verdict.DUE or decision.touch is None:
                break
            if first and before.touch is not None and before.at is not None:
                assert now >= before.at
            first = False
            how = {CALL: Disposition.VOICEMAIL_LEFT}
            parts = tuple(
                Part(part.channel, how.get(part.channel, Disposition.SENT), part.address)
                for part in decision.touch.parts
            )
            *_, event = app.execute(
                name, MakeAttempt(parts, is_strict=True), at=now, force=True
            ).events  # it is not refused
            assert isinstance(event.data, AttemptMade)
            assert not event.data.broke


def test_an_appointment_moved_after_the_move_is_kept(app: Cadence) -> None:
    friday, wednesday = NOW + timedelta(days=3), NOW + timedelta(days=1)
    app.execute("kim", ADDED, at=NOW)
    app.execute("kim", SetAppointment(friday), at=NOW)
    assert adopt(app, OURS, ["kim"], NOW) == 1
    assert app.explain("kim", NOW).at == friday
    app.execute("kim", SetAppointment(wednesday), at=NOW)
    assert app.explain("kim", NOW).at == wednesday


def test_a_promise_outlives_a_second_move(app: Cadence) -> None:
    in_silence(app, "kim")
    at = NOW + timedelta(minutes=1)
    promised = app.explain("kim", at).at
    assert promised == NOW + timedelta(minutes=10)
    for policy in (OURS, TIP8, OURS):
        adopt(app, policy, ["kim"], at)
        assert app.explain("kim", at).at == promised
    assert [one.data.not_before for one in moves_of(app, "kim")] == [promised] * 3  # type: ignore[union-attr]


def test_a_promise_made_under_a_policy_that_nobody_knows_is_kept(app: Cadence) -> None:
    in_silence(app, "kim")
    promised = NOW + timedelta(days=30)
    lost = PolicyAdopted("lost", 1, "0" * 64, promised)
    app.execute("kim", lost, at=NOW)
    assert app.explain("kim", NOW).verdict is Verdict.TASK
    adopt(app, OURS, ["kim"], NOW)
    assert app.explain("kim", NOW).at == promised


def test_an_answer_time_is_promised_too(app: Cadence) -> None:
    in_silence(app, "kim")
    for _ in range(9):
        due = app.explain("kim", NOW + timedelta(minutes=1))
        assert due.touch is not None
        assert due.at is not None
        parts = tuple(Part(p.channel, Disposition.SENT, p.address) for p in due.touch.parts)
        app.execute("kim", MakeAttempt(parts, is_strict=True), at=due.at)
    waits = app.explain("kim", due.at)
    assert (waits.verdict, waits.touch) == (Verdict.WAIT, None)
    adopt(app, OURS, ["kim"], due.at)
    [moved] = moves_of(app, "kim")
    assert isinstance(moved.data, PolicyAdopted)
    assert moved.data.not_before == waits.at


# Who is moved -------------------------------------------------------------------------------------


def test_ended_files_are_left_alone_and_so_is_who_has_it(app: Cadence) -> None:
    in_silence(app, "bought", "out", "has", "moves")
    app.execute("bought", EndFollowUp(EndReason.BOUGHT), at=NOW)
    app.execute("out", OptOutRequested(), at=NOW)
    adopt(app, OURS, ["has"], NOW)
    names = ["bought", "out", "has", "moves"]
    seen = list(preview(app, OURS, names, NOW))
    assert seen[:3] == [SkipReason.ENDED, SkipReason.ENDED, SkipReason.HAS_IT]
    assert isinstance(seen[3], PolicyMove)
    assert adopt(app, OURS, names, NOW) == 1


def test_who_is_under_another_policy_is_left_alone_where_one_is_named(app: Cadence) -> None:
    in_silence(app, "a", "b", "c")
    adopt(app, OURS, ["b"], NOW)
    other = builtin("are-you-ok")
    assert list(preview(app, other, "abc", NOW, under="ours"))[::2] == [
        SkipReason.OTHER,
        SkipReason.OTHER,
    ]
    assert adopt(app, other, "abc", NOW, under="ours") == 1
    assert [len(moves_of(app, name)) for name in "abc"] == [0, 2, 0]


def test_a_name_given_twice_is_moved_once(app: Cadence) -> None:
    in_silence(app, "a", "b")
    assert adopt(app, OURS, ["a", "b", "a", "a"], NOW) == 2
    assert [len(moves_of(app, name)) for name in "ab"] == [1, 1]


def test_an_unknown_prospect_is_refused_and_nobody_beside_it_is_moved(app: Cadence) -> None:
    in_silence(app, "a")
    with pytest.raises(UnknownProspect):
        list(preview(app, OURS, ["a", "nobody"], NOW))
    with pytest.raises(UnknownProspect):
        adopt(app, OURS, ["a", "nobody"], NOW)
    assert moves_of(app, "a") == []


def test_a_refuted_policy_is_not_adopted_and_not_kept(app: Cadence) -> None:
    in_silence(app, "a")
    with pytest.raises(UnprovedPolicy, match="spaced_cap"):
        adopt(app, REFUTED, ["a"], NOW)
    assert moves_of(app, "a") == []
    assert app._recorder.policy_text(REFUTED.digest) is None


def test_a_store_to_be_read_only_is_not_written(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    with Cadence.open(path) as app:
        in_silence(app, "a")
    with Cadence.open(path, read_only=True) as app:
        assert isinstance(next(iter(preview(app, OURS, ["a"], NOW))), PolicyMove)
        with pytest.raises(StoreError, match="opened read-only"):
            adopt(app, OURS, ["a"], NOW)


def test_what_lies_ahead_counts_only_what_they_have_a_channel_for(app: Cadence) -> None:
    in_silence(app, "a")  # a phone and an email
    other = builtin("are-you-ok")
    [seen] = preview(app, other, ["a"], NOW)
    assert isinstance(seen, PolicyMove)
    # tip8: ten minutes, half a day and six calls; then five and the question.
    assert (seen.touches_before, seen.touches_after) == (8, 6)
    assert (seen.dropped, seen.added) == (2, 0)
    assert seen.is_later


@pytest.mark.parametrize("name", builtin_names())
def test_everybody_can_be_moved_to_each_policy_of_the_catalogue(name: str) -> None:
    policy = builtin(name)
    with Cadence.open(None, default=OURS) as app:
        in_silence(app, "a")
        promised = app.explain("a", NOW).at
        assert adopt(app, policy, ["a"], NOW) == 1
        assert app.explain("a", NOW).policy == policy.ref
        after = app.explain("a", NOW)
        assert after.at is not None
        assert promised is not None
        assert after.at >= promised


# The policy is kept -------------------------------------------------------------------------------


def test_whoever_opens_the_store_decides_under_the_policy_that_was_adopted(address: str) -> None:
    with Cadence.open(address) as app:
        in_silence(app, "kim")
        adopt(app, OURS, ["kim"], NOW)
        expected = app.explain("kim", NOW)
        rows = app.due_rows.stored()
    with Cadence.open(address) as other:
        assert other.explain("kim", NOW) == expected
        assert other.due_rows.stored() == rows
        rows_are_right(other)
        assert other.policies.of(other.load("kim")) == OURS
    at = NOW.isoformat()
    seen = subprocess.run(
        [sys.executable, "-m", "cadence", "--db", address, "--at", at, "--json", "explain", "kim"],
        capture_output=True,
        check=True,
    )
    said = json.loads(seen.stdout)
    assert said["policy"] == {"name": "ours", "version": 1, "digest": OURS.digest}
    assert said["decision"] == expected.verdict.value


def test_one_who_has_the_store_open_learns_of_a_policy_adopted_elsewhere(address: str) -> None:
    with Cadence.open(address) as here, Cadence.open(address) as there:
        in_silence(here, "kim")
        assert there.explain("kim", NOW).policy == TIP8.ref
        adopt(here, OURS, ["kim"], NOW)
        assert there.explain("kim", NOW).policy == OURS.ref
        there.execute("kim", InterestNoted("x"), at=NOW)
        rows_are_right(there)
        rows_are_right(here)


@pytest.mark.parametrize("text", ["", "no = toml = this", "id = 3", "tip8"])
def test_a_kept_policy_that_is_not_what_was_adopted_is_not_used(address: str, text: str) -> None:
    with Cadence.open(address) as app:
        in_silence(app, "kim", "max")
        adopt(app, OURS, ["kim"], NOW)
        spoilt = policies.to_toml(TIP8) if text == "tip8" else text
        app._recorder.save_policy(OURS.digest, spoilt)
    with Cadence.open(address) as other:
        decision = other.explain("kim", NOW)
        assert decision.verdict is Verdict.TASK
        assert decision.reasons[0].rule == Rule.FORGOTTEN
        with pytest.raises(Refused, match="unknown policy ours version 1"):
            other.execute(
                "kim", MakeAttempt(NO_ANSWER, is_strict=True), at=NOW + timedelta(minutes=10)
            )
        other.execute("kim", InterestNoted("x"), at=NOW)
        rows_are_right(other)
        assert [one.prospect for one in other.due(NOW) if one.verdict is Verdict.TASK] == ["kim"]
        # Adopted again, the right one is kept again.
        adopt(other, OURS, ["max"], NOW)
    with Cadence.open(address) as again:
        assert again.explain("kim", NOW).policy == OURS.ref
        assert again.explain("kim", NOW).verdict is Verdict.WAIT


def test_a_policy_of_the_catalogue_is_known_everywhere(address: str) -> None:
    with Cadence.open(address) as app:
        in_silence(app, "kim")
        adopt(app, builtin("are-you-ok"), ["kim"], NOW)
    with Cadence.open(address) as other:
        assert other.explain("kim", NOW).policy.name == "are-you-ok"
        rows_are_right(other)


def test_the_move_stands_in_the_due_list_at_once(app: Cadence) -> None:
    names = [f"p{number}" for number in range(20)]
    in_silence(app, *names)
    adopt(app, OURS, names[::2], NOW)
    rows_are_right(app)
    for at in (NOW, NOW + timedelta(minutes=10), NOW + timedelta(days=9)):
        listed = {one.prospect: one for one in app.due(at)}
        asked = {name: app.explain(name, at) for name in names}
        wanted = {Verdict.DUE, Verdict.TASK}
        assert listed == {name: one for name, one in asked.items() if one.verdict in wanted}


# Others write meanwhile ---------------------------------------------------------------------------


def test_a_prospect_that_is_written_to_all_the_time_keeps_nobody_from_moving(address: str) -> None:
    names = [f"p{number:02}" for number in range(40)]
    with Cadence.open(address, lock_timeout_seconds=30) as app:
        in_silence(app, *names)
        stop = threading.Event()
        failed: list[BaseException] = []

        def write() -> None:
            try:
                with Cadence.open(address, lock_timeout_seconds=30) as other:
                    while not stop.is_set():
                        other.execute("p07", InterestNoted("x"), at=NOW)
            except BaseException as error:
                failed.append(error)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            assert adopt(app, OURS, names, NOW) == len(names)
        finally:
            stop.set()
            writer.join()
        assert not failed
        for name in names:
            assert len(moves_of(app, name)) == 1
            versions = [event.version for event in app.history(name)]
            assert versions == list(range(1, len(versions) + 1))
        rows_are_right(app)


def test_two_who_move_the_same_prospects_move_each_once(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adoption, "_BATCH", 8)
    names = [f"p{number:02}" for number in range(60)]
    with Cadence.open(address, lock_timeout_seconds=30) as app:
        in_silence(app, *names)
    moved: list[int] = []

    def move(order: list[str]) -> None:
        with Cadence.open(address, lock_timeout_seconds=30) as mine:
            moved.append(adopt(mine, OURS, order, NOW))

    movers = [threading.Thread(target=move, args=(order,)) for order in (names, names[::-1])]
    for mover in movers:
        mover.start()
    for mover in movers:
        mover.join()
    with Cadence.open(address) as app:
        assert sum(moved) == len(names)
        assert all(len(moves_of(app, name)) == 1 for name in names)
        rows_are_right(app)


# Interrupted --------------------------------------------------------------------------------------

KILLS = 40 if NIGHTLY else 8


def telling(descriptor: int) -> Callable[[int, int | None], None]:
    """A byte for each batch."""

    def tell(_done: int, _total: int | None) -> None:
        os.write(descriptor, b".")

    return tell


def test_a_move_killed_again_and_again_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adoption, "_BATCH", 4)
    path = str(tmp_path / "killed.db")
    names = [f"p{number:03}" for number in range(400)]
    with Cadence.open(path) as app:
        in_silence(app, names[0])
        [*first] = app.history(names[0])
        histories = [
            [Event(name, one.version, one.occurred_at, one.recorded_at, one.data) for one in first]
            for name in names[1:]
        ]
        app.histories.append(((history, 0) for history in histories), at=ahead())
    half_way = 0
    turn = random.Random("kill")
    for number in range(KILLS):
        heard, tells = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                with Cadence.open(path) as app:
                    adopt(app, OURS, names, NOW, progress=telling(tells))
            finally:
                os._exit(0)
        os.close(tells)
        # Some batches on, and a moment more: so it is in the midst of one on any machine.
        for _ in range(turn.randrange(2 * number + 3)):
            os.read(heard, 1)
        time.sleep(turn.uniform(0, 0.004))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(heard)
        with Cadence.open(path, read_only=True) as app:
            moved = [len(moves_of(app, name)) for name in names]
            assert set(moved) <= {0, 1}
            assert moved == sorted(moved, reverse=True)  # from the first on, without holes
            if any(moved):
                assert app._recorder.policy_text(OURS.digest) is not None
            half_way += 0 < sum(moved) < len(names)
    assert half_way, "no kill came half-way; the test shows nothing"
    with Cadence.open(path) as app:
        already = sum(len(moves_of(app, name)) for name in names)
        assert adopt(app, OURS, names, NOW) == len(names) - already
        assert all(len(moves_of(app, name)) == 1 for name in names)
        rows_are_right(app)
