"""``policy adopt`` without ``--apply``: previews a second over a database of many prospects."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from time import perf_counter

from due_list import make_database
from measure import Figure, Plan, figure

from cadence.cli.executors import cores
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
    # The whole command, as somebody waits for it: its start, and a process for each core.
    command = [sys.executable, "-m", "cadence", "--db", str(path)]
    command += ["policy", "adopt", policy.id, "--all"]
    whole = []
    for _ in range(5):
        start = perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        whole.append(plan.due_prospects / (perf_counter() - start))
    many = f"{plan.due_prospects:,}"
    return [
        figure(NAME, f"previews of {many} prospects, one process", "/s", seen, better="more"),
        figure(NAME, f"the same by the command, {cores()} cores", "/s", whole, target=20_000),
    ]
