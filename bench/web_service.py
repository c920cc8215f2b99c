"""Measure the example web service under many requests at once, by the size of its thread pool.

    python bench/web_service.py [--requests N] [--rounds N]

Half of the requests write and half read, all at once, in one process over a PostgreSQL of its own
in a temporary folder. Beside each size: the share of the time that the slowest health check took.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final, NamedTuple

import anyio
import httpx
from anyio.to_thread import current_default_thread_limiter
from measure import say
from rich.console import Console
from rich.table import Table

_HERE: Final = Path(__file__).parents[1]
sys.path += [str(_HERE / "examples"), str(_HERE / "tests" / "support")]
_SIZES: Final = (1, 5, 15, 40, 100)
_PROSPECTS: Final = 20


class Turn(NamedTuple):
    """One turn: seconds, the slowest health check, how many answers had which status."""

    seconds: float
    slowest: float
    answers: Counter[int]


async def turn(address: str, threads: int, requests: int) -> Turn:
    """Ask everything at once."""
    app = import_module("fastapi_service.main").create_app(address)
    current_default_thread_limiter().total_tokens = threads
    answers: Counter[int] = Counter()
    slowest = 0.0

    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://test", headers={"X-User": "kim"}
        ) as client,
    ):
        for number in range(_PROSPECTS):
            person = {"name": "P", "timezone": "UTC", "owner": "kim"}
            await client.put(f"/prospects/p{number}", json=person)

        async def ask(number: int) -> None:
            prospect = f"/prospects/p{number % _PROSPECTS}"
            if number % 2:
                fact = {"type": "InterestNoted", "data": {"text": "less paper"}}
                answer = await client.post(f"{prospect}/facts", json=fact)
            else:
                answer = await client.get(f"{prospect}/decision")
            answers[answer.status_code] += 1

        async def look() -> None:
            nonlocal slowest
            while True:
                started = perf_counter()
                await client.get("/health")
                slowest = max(slowest, perf_counter() - started)
                await anyio.sleep(0.005)

        started = perf_counter()
        async with anyio.create_task_group() as looking:
            looking.start_soon(look)
            async with anyio.create_task_group() as asking:
                for number in range(requests):
                    asking.start_soon(ask, number)
            looking.cancel_scope.cancel()
        return Turn(perf_counter() - started, slowest, answers)


def main() -> int:
    """Measure every size."""
    parser = argparse.ArgumentParser(description="Many requests at once, by threads.")
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    pgserver = import_module("pgserver")
    taken: dict[int, list[Turn]] = {size: [] for size in _SIZES}
    for number in range(options.rounds):
        say(f"round {number + 1} of {options.rounds}")
        for size in _SIZES:
            taken[size].append(anyio.run(turn, pgserver.new_address(), size, options.requests))
    table = Table("threads", "answered", "time, 40 threads = 1", "slowest health check / time")
    usual = median(one.seconds for one in taken[40])
    for size, turns in taken.items():
        answers = sum((one.answers for one in turns), Counter[int]())
        table.add_row(
            str(size),
            ", ".join(f"{status}: {count}" for status, count in sorted(answers.items())),
            f"{median(one.seconds for one in turns) / usual:.2f}",
            f"{median(one.slowest / one.seconds for one in turns):.3f}",
        )
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
