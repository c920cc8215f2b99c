"""Break the code on purpose, and see whether the tests notice: mutation testing of the pure rooms.

    python bench/mutate.py [--all | --sample N] [--seed S] [--only MODULE] [--jobs N] [--json FILE]
                           [--since FILE]

Each *mutant* is the program with one small change (``mutants.py``). It is *killed* when a test
fails, and *survives* when all pass: then either a test is missing or the change means nothing. The
report has the score of each module and every survivor with its line. Stopped with Ctrl-C, it
reports on what was tried so far, in no order.

How it goes. A snapshot of ``src`` and ``tests`` is taken, so nothing that is edited meanwhile
disturbs it. The tests run once, with coverage, to learn which of them reach which line; those that
fail are left out, and named. Each mutant runs in a forked process of its own, whose import of the
broken module is replaced; only tests that reach the line run, the quickest first, until one fails.
A line that runs at import (tables, constants, the shapes of structs) is every test's; those that
reach its module come first. Hypothesis runs derandomised, with few examples and without shrinking.

Without ``--all`` it takes a random sample (``--seed`` names another): enough for a score, not for
the whole list. ``--since`` takes from an earlier run's JSON what was killed then and is unchanged,
and runs the rest: tests that are only added kill no less. A line with ``# pragma: no mutate`` is
left alone.

Why not mutmut 3: it mutates only plain functions, by switching copies of them inside an imported
module. Decorated functions (``lru_cache``, ``property``), constants, tables, and whatever runs at
import are out of its reach, and caches that are warm when it forks hide the rest.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final

import msgspec
from measure import progress, say
from mutants import Mutant, mutants, mutated
from rich.console import Console
from rich.table import Table

__all__ = ["main"]

ROOT: Final = Path(__file__).resolve().parent.parent

MODULES: Final = (
    "cadence.domain.events",
    "cadence.domain.fold",
    "cadence.domain.prospect",
    "cadence.domain.stages",
    "cadence.domain.codec",
    "cadence.policy.allowed",
    "cadence.worktime.calendar",
    "cadence.engine.context",
    "cadence.engine.invariants",
    "cadence.engine.course",
    "cadence.engine.commands",
    "cadence.policy.guards",
    "cadence.prover.bounds",
    "cadence.engine.next_touch",
    "cadence.engine.channels",
    "cadence.engine.schedule",
    "cadence.prover.proof",
    "cadence.prover.checks",
    "cadence.prover.search",
    "cadence.prover.played",
    "cadence.prover.state_space",
    "cadence.prover.reachability",
    "cadence.prover.simulation",
)
"""What is broken."""

# Tests that start processes or servers, or take seconds for one mutant.
_IMPURE: Final = ("cadence.cli", "pgserver", "subprocess", "RuleBasedStateMachine", "os.fork")
_LARGEST_WAIT: Final = 300.0


class Reach(msgspec.Struct):
    """What the tests did without any change.

    Attributes:
        seconds: how long each test takes that passed.
        lines: for each module and line the tests that reach it.
        imported: for each module the lines that ran while it, or a test file, was imported.
        modules: for each module the tests that reach any line of it.
        failed: the tests that fail as things are, and are left out.
    """

    seconds: dict[str, float]
    lines: dict[str, dict[int, list[str]]]
    imported: dict[str, list[int]]
    modules: dict[str, list[str]]
    failed: list[str]


class Result(msgspec.Struct, frozen=True):
    """What became of one mutant: killed, timeout, survived or unreached."""

    module: str
    line: int
    before: str
    after: str
    fate: str
    seconds: float


# In the forked children ---------------------------------------------------------------------------


class _Loader(importlib.abc.Loader):
    def __init__(self, code: CodeType, path: str) -> None:
        self.code, self.path = code, path

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = self.path
        exec(self.code, module.__dict__)


class _Finder(importlib.abc.MetaPathFinder):
    """Puts the broken module in the place of the one on disk."""

    def __init__(self, module: str, code: CodeType, path: str) -> None:
        self.module, self.code, self.path = module, code, path

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.module:
            return None
        loader = _Loader(self.code, self.path)
        return importlib.util.spec_from_file_location(fullname, self.path, loader=loader)


class _Watch:
    """A pytest plugin: a Hypothesis profile, and, for the first run, what each test reaches."""

    def __init__(self, examples: int, coverage: Any = None) -> None:
        self.examples = examples
        self.coverage = coverage
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()

    def pytest_collection(self) -> None:
        from hypothesis import Phase, settings

        settings.register_profile(
            "mutate",
            parent=settings.get_profile("ci"),
            max_examples=self.examples,
            stateful_step_count=20,
            phases=(Phase.explicit, Phase.generate),
            database=None,
            derandomize=True,
        )
        settings.load_profile("mutate")

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.failed.add(report.nodeid)

    def pytest_runtest_setup(self, item: Any) -> None:
        if self.coverage is None:
            return
        name = item.nodeid.partition("[")[0]
        if name not in self.seconds:
            # A cache that another test warmed would hide what this one reaches.
            for module in list(sys.modules.values()):
                if module.__name__.startswith("cadence"):
                    for value in list(vars(module).values()):
                        if hasattr(value, "cache_clear"):
                            value.cache_clear()
        self.coverage.switch_context(name)

    def pytest_runtest_logreport(self, report: Any) -> None:
        name = report.nodeid.partition("[")[0]
        self.seconds[name] = self.seconds.get(name, 0.0) + report.duration
        if report.failed:
            self.failed.add(name)


def _enter(place: Path) -> None:
    """Become a child that works in the snapshot, and says nothing."""
    os.setpgid(0, 0)
    silent = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(silent, descriptor)
    os.chdir(place)
    sys.path[:0] = [str(place / "src"), str(place / "tests")]


def _pytest(names: list[str], watch: _Watch, *, stop: bool) -> int:
    import pytest

    arguments = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--assert=plain", *names]
    return int(pytest.main(["-x", *arguments] if stop else arguments, plugins=[watch]))


def _learn(place: Path, files: list[str], examples: int, answer: Path) -> None:
    import coverage

    measured = coverage.Coverage(data_file=None, include=[f"{place}/src/*"], branch=False)
    watch = _Watch(examples, measured)
    measured.start()
    _pytest(files, watch, stop=False)
    measured.stop()
    data = measured.get_data()
    lines: dict[str, dict[int, list[str]]] = {}
    imported: dict[str, list[int]] = {}
    modules: dict[str, list[str]] = {}
    for module in MODULES:
        path = str(place / "src" / (module.replace(".", "/") + ".py"))
        by_line = data.contexts_by_lineno(path)
        lines[module] = {
            line: [name for name in names if name and name not in watch.failed]
            for line, names in by_line.items()
        }
        imported[module] = [line for line, names in by_line.items() if "" in names]
        modules[module] = sorted({name for names in lines[module].values() for name in names})
    seconds = {name: s for name, s in watch.seconds.items() if name not in watch.failed}
    reach = Reach(seconds, lines, imported, modules, sorted(watch.failed))
    answer.write_bytes(msgspec.json.encode(reach))


def _try(place: Path, module: str, mutant: Mutant, rounds: list[list[str]], examples: int) -> int:
    path = place / "src" / (module.replace(".", "/") + ".py")
    tree = mutated(path.read_text(encoding="utf-8"), mutant)
    code = compile(tree, str(path), "exec")
    sys.meta_path.insert(0, _Finder(module, code, str(path)))
    # One round after the other: few test files to collect until the broken line is noticed.
    for names in rounds:
        if ended := _pytest(names, _Watch(examples), stop=True):
            return ended
    return 0


def _fork(place: Path, work: Any) -> int:
    """Run ``work`` in a child; returns its process id."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        _enter(place)
        code = work()
    except BaseException:
        code = 1  # a module that can't even be imported is noticed
    finally:
        os._exit(code or 0)


# In the parent ------------------------------------------------------------------------------------


def _snapshot(place: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", ".hypothesis")
    for name in ("src", "tests", "examples", "docs"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place / name, symlinks=True, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "Makefile"):
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, place / name)


def pure_tests(place: Path) -> list[str]:
    """The test files that use neither a store nor the command line."""
    return [
        f"tests/{path.name}"
        for path in sorted((place / "tests").glob("test_*.py"))
        if not any(word in path.read_text(encoding="utf-8") for word in _IMPURE)
    ]


def _warm() -> None:
    """Import what every child needs, but nothing of ours."""
    import hypothesis
    import pytest

    for name in ("holidays", "jinja2", "transitions", "tzdata", "coverage", "hypothesis.stateful"):
        importlib.import_module(name)
    assert hypothesis
    assert pytest
    if any(name.split(".")[0] == "cadence" for name in sys.modules):
        raise AssertionError("a child would keep the unbroken module")


def _tests_of(reach: Reach, module: str, mutant: Mutant) -> list[list[str]]:
    """The tests that may notice ``mutant``, the nearest first; empty if there are none."""
    lines, span = reach.lines[module], range(mutant.line, mutant.end + 1)
    near = {name for line in span for name in lines.get(line, ())}
    others: set[str] = set()
    if any(line in span for line in reach.imported[module]):
        near = near or set(reach.modules[module])
        others = set(reach.seconds) - near
    rounds = [sorted(one, key=lambda name: (reach.seconds[name], name)) for one in (near, others)]
    return [one for one in rounds if one]


class _Running(msgspec.Struct):
    module: str
    mutant: Mutant
    started: float
    limit: float


def _run_all(
    place: Path, todo: list[tuple[str, Mutant]], reach: Reach, jobs: int, examples: int
) -> list[Result]:
    results: list[Result] = []
    running: dict[int, _Running] = {}
    waiting = list(reversed(todo))

    def finish(one: _Running, fate: str) -> None:
        results.append(
            Result(
                one.module,
                one.mutant.line,
                one.mutant.before,
                one.mutant.after,
                fate,
                time.monotonic() - one.started,
            )
        )

    with progress("mutants", len(todo)) as done:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    module, mutant = waiting.pop()
                    rounds = _tests_of(reach, module, mutant)
                    usual = sum(reach.seconds[name] for names in rounds for name in names)
                    one = _Running(
                        module, mutant, time.monotonic(), min(_LARGEST_WAIT, 20 + 5 * usual)
                    )
                    if not rounds:
                        finish(one, "unreached")
                        continue
                    child = _fork(
                        place,
                        lambda m=module, u=mutant, r=rounds: _try(place, m, u, r, examples),
                    )
                    running[child] = one
                for child, one in list(running.items()):
                    ended, status = os.waitpid(child, os.WNOHANG)
                    if ended:
                        del running[child]
                        code = os.waitstatus_to_exitcode(status)
                        finish(one, "survived" if code == 0 else "killed")
                    elif time.monotonic() - one.started > one.limit:
                        os.killpg(child, signal.SIGKILL)
                        os.waitpid(child, 0)
                        del running[child]
                        finish(one, "timeout")
                done(len(results))
                time.sleep(0.01)
        except KeyboardInterrupt:
            for child in running:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
            say(f"stopped after {len(results)} of {len(todo)}; the others are left out")
    return results


def _killed(file: Path, todo: list[tuple[str, Mutant]]) -> list[Result]:
    """Those of ``todo`` that were killed in an earlier run, wherever their line stood then."""
    old = msgspec.convert(json.loads(file.read_text(encoding="utf-8"))["results"], list[Result])
    killed = {(one.module, one.before, one.after): one for one in old}
    for one in old:
        if one.fate not in ("killed", "timeout"):
            killed.pop((one.module, one.before, one.after), None)
    found = []
    for module, mutant in todo:
        then = killed.get((module, mutant.before, mutant.after))
        if then is not None:
            found.append(msgspec.structs.replace(then, line=mutant.line))
    return found


def _report(results: list[Result], reach: Reach, seed: int | None) -> None:
    console = Console(width=None if sys.stdout.isatty() else 160)
    which = "all mutants" if seed is None else f"a sample, seed {seed}"
    table = Table(title=f"mutation score ({which}; {len(reach.seconds)} tests)")
    table.add_column("module")
    for name in ("killed", "timeout", "survived", "unreached", "score"):
        table.add_column(name, justify="right")
    for module in (*MODULES, ""):
        of = [one for one in results if one.module == module or not module]
        if not of:
            continue
        counts = [sum(one.fate == fate for one in of) for fate in _FATES]
        score = (counts[0] + counts[1]) / len(of)
        if not module:
            table.add_section()
        table.add_row(module or "all", *map(str, counts), f"{score:.1%}")
    console.print(table)
    for name in reach.failed:
        console.print(f"left out, fails unbroken: {name}", style="yellow", markup=False)
    for one in sorted(results, key=lambda one: (one.module, one.line)):
        if one.fate in ("survived", "unreached"):
            path = f"src/{one.module.replace('.', '/')}.py:{one.line}"
            console.print(f"{one.fate}  {path}", highlight=False, markup=False)
            console.print(f"  - {one.before}", highlight=False, markup=False, soft_wrap=True)
            console.print(f"  + {one.after}", highlight=False, markup=False, soft_wrap=True)


_FATES: Final = ("killed", "timeout", "survived", "unreached")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--all", action="store_true", help="every mutant, not a sample")
    parser.add_argument("--sample", type=int, default=200, metavar="N", help="how many (200)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample (1)")
    parser.add_argument(
        "--only", action="append", metavar="MODULE", help="just this one, e.g. policy.charter"
    )
    parser.add_argument("--tests", nargs="+", metavar="FILE", help="in place of the pure ones")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--examples", type=int, default=25, help="Hypothesis examples a test (25)")
    parser.add_argument(
        "--since", type=Path, metavar="FILE", help="what was killed in this earlier JSON stays so"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    options = parser.parse_args(arguments)
    modules = [m for m in MODULES if not options.only or m.removeprefix("cadence.") in options.only]
    if not modules:
        parser.error(f"--only: one of {', '.join(m.removeprefix('cadence.') for m in MODULES)}")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also in the background
    os.environ["CI"] = "1"  # the derandomised profile
    sys.dont_write_bytecode = True
    _warm()
    with tempfile.TemporaryDirectory(prefix="cadence-mutate-") as folder:
        place = Path(folder).resolve()
        _snapshot(place)
        files = options.tests or pure_tests(place)
        say(f"running {len(files)} test files unbroken, with coverage …")
        answer = place / "reach.json"
        child = _fork(place, lambda: _learn(place, files, options.examples, answer))
        os.waitpid(child, 0)
        if not answer.exists():
            say("the tests can't be run; try: python -m pytest " + " ".join(files))
            return 1
        reach = msgspec.json.decode(answer.read_bytes(), type=Reach)
        todo = [
            (module, mutant)
            for module in modules
            for mutant in mutants(
                (place / "src" / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8")
            )
        ]
        found = len(todo)
        if not options.all and options.sample < found:
            todo = random.Random(options.seed).sample(todo, options.sample)
        before = [] if options.since is None else _killed(options.since, todo)
        known = {(one.module, one.before, one.after) for one in before}
        todo = [(name, one) for name, one in todo if (name, one.before, one.after) not in known]
        # In no order: whoever stops it with Ctrl-C has a fair sample of the rest.
        random.Random(options.seed).shuffle(todo)
        say(f"{len(todo)} of {found} mutants, {len(reach.seconds)} tests")
        results = before + _run_all(place, todo, reach, options.jobs, options.examples)
    _report(results, reach, None if options.all else options.seed)
    if options.json is not None:
        plain = {"mutants": found, "results": msgspec.to_builtins(results)}
        options.json.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
