"""``policy adopt`` without ``--apply``: previews a second over a database of many prospects."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

from due_list import make_database
from measure import Figure, Plan, figure

from cadence.policy import builtin
from cadence.store import Cadence
from cadence.store.adoption import preview

__all__ = ["NAME", "run"]

NAME = "adopting"


def run(plan: Plan, folder: Path) -> list[Figure]:
    path = folder / "adopt.db"
    few, _ = make_database(path, plan.due_prospects)
    policy = builtin("polite-persistence")
    seen = []
    with Cadence.open(str(path), read_only=True) as store:
        names = list(store.prospects())
        for _ in range(5):
            start = perf_counter()
            looked = sum(1 for _ in preview(store, policy, names, few))
            seen.append(looked / (perf_counter() - start))
    what = f"previews of {plan.due_prospects:,} prospects, one process"
    return [figure(NAME, what, "/s", seen, target=20_000, better="more")]
