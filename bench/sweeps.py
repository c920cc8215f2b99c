"""``audit`` and ``whatif`` over a whole store: events a second, on one core and on two; memory.

    python bench/sweeps.py --memory 10000 1000000

makes two stores of so many prospects and prints the peak memory of each command on both, which is
bounded by a page of prospects and must not grow with the store.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from time import perf_counter, process_time
from typing import Final

import msgspec
from decode_fold import least
from lives import LATER, PLACES, chunks, life, mondays, renamed
from measure import Figure, Plan, Side, figure, interleave, progress, ratio

from cadence.analysis.whatif import whatif
from cadence.audit.runner import audit
from cadence.cli.executors import chosen_executor, cores
from cadence.domain.events import Event
from cadence.domain.stages import Stage
from cadence.policy import builtin
from cadence.store import Cadence

__all__ = ["NAME", "kinds_of_lives", "run"]

NAME = "sweep"

_CHUNK: Final = 1_000
# Both ask the engine, so they read as many events as it decides about attempts.
_EVENTS_A_SECOND: Final = {"audit": 60_000, "whatif": 50_000}
# What decodes and folds in memory reads some 1.1 M events a second where the targets were set.
_BARE: Final = 1_100_000
_BARE_PROSPECTS: Final = 5_000
_TWO_CORES: Final = 1.6
_MEMORY: Final = 1.2


def kinds_of_lives(events: int | None = None) -> list[list[Event]]:
    """Whole lives of every place; one in four prospects was away for a while."""
    made: list[list[Event]] = []
    with Cadence.open(None) as app:
        for start in mondays(4):
            for place in PLACES:
                name = f"kind-{len(made)}"
                away = Stage.SPACED if len(made) % 4 == 0 else None
                made.append(life(app, name, place, start, events=events, away_from=away))
    return made


def make_store(path: Path, prospects: int, kinds: list[list[Event]]) -> int:
    """Fill a store; returns how many events it has."""
    people = ((renamed(kinds[n % len(kinds)], f"p{n:07}"), 0) for n in range(prospects))
    made = 0
    with Cadence.open(str(path)) as store, progress(f"{NAME}: {path.name}", prospects) as done:
        for number, chunk in enumerate(chunks(people, _CHUNK), 1):
            made += store.histories.append(chunk, at=LATER)
            done(number * _CHUNK)
    return made


def run(plan: Plan, folder: Path) -> list[Figure]:
    kinds = kinds_of_lives()
    figures: list[Figure] = []
    # Enough for ten seconds: two processes take half a second to start.
    for name in ("audit", "whatif"):
        prospects = plan.due_prospects
        path = folder / f"{name}.db"
        events = make_store(path, prospects, kinds)
        with Cadence.open(str(path), read_only=True) as store:
            figures += _speed(name, store, events, plan)
        path.unlink()
    figures += _memory(plan, folder)
    return figures


def _speed(name: str, store: Cadence, events: int, plan: Plan) -> list[Figure]:
    def side(jobs: int) -> Side:
        def go() -> int:
            # Started each time, as the command does.
            with chosen_executor(store, jobs, None) as executor:
                pages: Iterable[object] = (
                    audit(store, executor=executor)
                    if name == "audit"
                    else whatif(store, builtin(), executor=executor)
                )
                for _ in pages:
                    pass
            return events

        return go

    busy: list[float] = []

    def alone() -> int:
        started = process_time()
        done = side(1)()
        busy.append(done / (process_time() - started))
        return done

    one, two, bare = f"{name}, one process", f"{name}, two processes", "bare decode + least fold"
    sides = {one: alone, two: side(2), bare: _bare(store)}
    rates = interleave(sides, max(5, plan.repetitions // 3))
    target = _EVENTS_A_SECOND[name]
    on_two = _TWO_CORES if cores() > 1 else None
    return [
        ratio(NAME, rates, one, bare, target=target / _BARE),
        figure(NAME, f"{one}, {events:,} events", "/s", rates[one], target=target),
        figure(NAME, f"{one}, by processor time", "/s", busy[1:], target=target),
        ratio(NAME, rates, two, one, target=on_two),
    ]


def _bare(store: Cadence) -> Side:
    """Decoding and folding, and nothing else, some of the same events, from memory."""
    lines = [
        (b"\n".join(map(msgspec.json.encode, history)), len(history))
        for history in islice(store.histories.all(), _BARE_PROSPECTS)
    ]
    decode = msgspec.json.Decoder(Event).decode_lines

    def go() -> int:
        for text, _ in lines:
            least(decode(text))
        return sum(count for _, count in lines)

    return go


# Memory -------------------------------------------------------------------------------------------


def peak_mb(path: Path, command: list[str]) -> float:
    """The peak memory of a command's own process, in MB; its helpers have as much each."""
    helper = Path(__file__).with_name("child.py")
    call = [sys.executable, "-S", str(helper), sys.executable, "-m", "cadence", "--db", str(path)]
    done = subprocess.run([*call, *command], capture_output=True, check=True)
    seen = msgspec.json.decode(done.stdout)
    if seen["code"]:
        raise SystemExit(f"{' '.join(command)}: exit code {seen['code']}")
    return float(seen["peak_mb"])


_COMMANDS: Final = {
    "audit": ["audit", "--jobs", "1"],
    "audit, two processes": ["audit", "--jobs", "2"],
    "whatif": ["whatif", "--policy", "tip8", "--jobs", "1"],
    "whatif, two processes": ["whatif", "--policy", "tip8", "--jobs", "2"],
}


def _memory(plan: Plan, folder: Path) -> list[Figure]:
    few = max(1_000, plan.due_prospects // 10)
    return compare_memory(folder, few, plan.due_prospects, times=3)


def compare_memory(folder: Path, few: int, many: int, times: int) -> list[Figure]:
    """Peak memory on a store of many prospects, as a multiple of that on one of few."""
    kinds = kinds_of_lives(events=6)
    small, large = folder / "few.db", folder / "many.db"
    make_store(small, few, kinds)
    make_store(large, many, kinds)
    figures = []
    for name, command in _COMMANDS.items():
        started = perf_counter()
        pairs = [(peak_mb(small, command), peak_mb(large, command)) for _ in range(times)]
        values = [b / a for a, b in pairs]
        beside = {
            f"{few:,}": f"{pairs[0][0]:.0f} MB",
            f"{many:,}": f"{pairs[0][1]:.0f} MB",
            "took": f"{(perf_counter() - started) / times:.0f} s",
        }
        what = f"{name}: peak memory, {many:,} : {few:,} prospects"
        figures.append(
            figure(NAME, what, "x", values, target=_MEMORY, better="less", beside=beside)
        )
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--memory", nargs=2, type=int, metavar=("FEW", "MANY"), required=True)
    options = parser.parse_args()
    few, many = options.memory
    with tempfile.TemporaryDirectory(prefix="cadence-bench-") as folder:
        for one in compare_memory(Path(folder), few, many, times=1):
            print(f"{one.what}: {one.median:.2f}x ({one.beside})")


if __name__ == "__main__":
    main()
