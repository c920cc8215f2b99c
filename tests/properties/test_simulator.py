"""Whatever crashes, in whatever order: no word is lost, and no touch is made twice.

``tests/support/simulator.py`` runs the real code on a store in memory; here some seeds, and many in
the nightly run. ``tests/store/test_kill.py`` kills real processes.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import simulator
from nightly import NIGHTLY
from simulator import simulate

from cadence.store import claims, handler
from cadence.store.feed import FeedPosition, FeedRow
from cadence.store.recorder import ClaimChange
from cadence.store.recorders.memory import MemoryRecorder

SEEDS = range(300 if NIGHTLY else 8)


@pytest.mark.parametrize("seed", SEEDS)
def test_workers_that_crash_break_no_promise(seed: int) -> None:
    report = simulate(seed, days=40 if NIGHTLY else 30)
    assert report.faults == ()
    for what in ("kills", "lost", "sent", "acknowledged", "events"):
        assert report.counts[what], what


def test_the_same_seed_is_the_same_run() -> None:
    assert simulate(1, days=10) == simulate(1, days=10)


# What it notices ----------------------------------------------------------------------------------


def without_claims(patch: pytest.MonkeyPatch) -> None:
    def check(self: MemoryRecorder, claim: ClaimChange) -> None:
        """Take every claim."""

    patch.setattr(MemoryRecorder, "_check_claim", check)


def without_ids(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(handler, "_find_repeated", lambda call, history: ())


def without_assuming(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(claims.Claims, "_assume", lambda self, claim, recorded, force=True: None)


def with_a_feed_that_repeats(patch: pytest.MonkeyPatch) -> None:
    read = MemoryRecorder.select_feed

    def again(self: MemoryRecorder, after: FeedPosition, limit: int) -> list[FeedRow]:
        rows = read(self, FeedPosition(0, max(0, after.number - 1)), limit)
        return rows if len(rows) > 1 else []

    patch.setattr(MemoryRecorder, "select_feed", again)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (without_claims, "times"),
        (without_ids, "was acknowledged, and is there 2 times"),
        (without_assuming, "was made, and no attempt says so"),
        (with_a_feed_that_repeats, "the feed gave the versions"),
    ],
)
def test_the_simulation_notices_what_is_broken(
    monkeypatch: pytest.MonkeyPatch, broken: Callable[[pytest.MonkeyPatch], None], said: str
) -> None:
    broken(monkeypatch)
    assert any(
        said in fault for seed in range(8) for fault in simulator.simulate(seed, days=20).faults
    )
