"""Break the code on purpose and see whether the tests notice: mutation testing with mutmut.

    python bench/mutation.py [--sample N | --all] [--seed N] [--minutes N] [PATH …]

A PATH is a file or a folder of ``src/cadence``; ``domain``, ``engine`` and ``worktime`` when none
is given. A mutant is the program with one small change. It is *killed* when a test fails or runs
out of time, and it *survives* when every test that reaches it passes. The report has the score of
each package and the names of the mutants that survived or ran out of time; ``--keep FOLDER`` keeps
the copy in which ``mutmut show NAME`` prints the change.

mutmut runs on a copy of the tree, so edits made meanwhile disturb nothing. Without ``--all`` it
tries a random sample: enough for a score, not for the list of all survivors. After ``--minutes``
it begins no other mutant and reports what it has. ADR 0033 says what mutmut can't reach.

This module is also the pytest plugin that tries them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final, cast

import pytest
import tomli_w

ROOT: Final = Path(__file__).resolve().parent.parent
MUTMUT: Final = str(Path(sys.executable).parent / "mutmut")
PATHS: Final = ["src/cadence/domain", "src/cadence/engine", "src/cadence/worktime"]
COPIED: Final = ["src", "tests", "docs", "examples", "README.md", "pyproject.toml"]
# The quick tests: the random machines of tests/properties take seconds for each mutant.
TESTS: Final = ["tests/domain", "tests/engine", "tests/policy", "tests/worktime"]
# They read the source, which mutmut fills with copies of each function.
READ_THE_SOURCE: Final = [
    "tests/domain/test_stages.py::test_there_is_one_machine_construction_in_the_whole_program",
]
# They break the engine themselves and search for long whether something notices: half of the time.
BREAK_THE_ENGINE: Final = ["tests/engine/test_engine_guarded.py"]
DETECTED: Final = {"killed", "timeout"}
CPU_SECONDS: Final = 100
"""For all tests of a package, which take less than 25 seconds."""
DURATION_OF: Final = "duration_by_test"
TESTS_OF: Final = "tests_by_mangled_function_name"
"""What mutmut's file of measurements calls them."""
TRIALS: Final = "MUTATION_TRIALS"
"""The variable that names the file with the mutants to try."""
SAMPLE: Final = 500


def configure(copy: Path, paths: Sequence[str]) -> None:
    """Write mutmut's settings into the copy's ``pyproject.toml``."""
    project = copy / "pyproject.toml"
    settings = tomllib.loads(project.read_text(encoding="utf-8"))
    deselected = [word for test in READ_THE_SOURCE for word in ("--deselect", test)]
    settings["tool"]["mutmut"] = {
        "source_paths": ["src"],
        "only_mutate": [path if path.endswith(".py") else f"{path}/*" for path in paths],
        "also_copy": ["docs", "examples", "README.md"],
        "pytest_add_cli_args_test_selection": TESTS,
        "pytest_add_cli_args": [
            *("--hypothesis-profile=quick", "-p", "no:cacheprovider", "-p", Path(__file__).stem),
            *deselected,
            *(f"--ignore={test}" for test in BREAK_THE_ENGINE),
        ],
    }
    project.write_text(tomli_w.dumps(settings), encoding="utf-8")


# The plugin ---------------------------------------------------------------------------------------


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the quickest tests first: a mutant ends at its first failure, most of them at once."""
    durations = measured(DURATION_OF)
    items.sort(key=lambda item: durations.get(item.nodeid, 0))


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Try each mutant in a fork of the process that has collected the tests.

    mutmut would collect the tests again for each mutant, which takes longer than the tests do that
    kill it, and it counts a mutant as killed whose tests pytest doesn't find again.
    """
    if TRIALS not in os.environ:
        return None
    reached, durations = measured(TESTS_OF), measured(DURATION_OF)
    path = Path(os.environ[TRIALS])
    trials = json.loads(path.read_text(encoding="utf-8"))
    for mutant in trials["mutants"]:
        if time.time() > trials["until"]:
            break
        tests = set(reached.get(mutant.rpartition("__mutmut_")[0], ()))
        items = [item for item in session.items if item.nodeid in tests]
        status = try_forked(session, mutant, items, durations)
        with path.with_suffix(".results").open("a", encoding="utf-8") as results:
            print(mutant, status, file=results)
    return True


def measured(what: str) -> dict[str, Any]:
    """What mutmut has measured: which tests reach a function, or how long each takes."""
    path = Path("mutmut-stats.json")
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return cast("dict[str, Any]", found.get(what, {}))


def try_forked(
    session: pytest.Session,
    mutant: str,
    items: Sequence[pytest.Item],
    durations: Mapping[str, float],
) -> str:
    """Run the tests that reach a mutant until one fails, or takes many times as long as it did."""
    child = os.fork()
    if child == 0:
        os.environ["MUTANT_UNDER_TEST"] = mutant
        for item, following in zip_longest(items, items[1:]):
            # CPU time: on a busy machine a test may wait for long.
            signal.setitimer(signal.ITIMER_PROF, 10 + 5 * durations.get(item.nodeid, 0))
            item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                break
        os._exit(1 if session.testsfailed else 0)
    return status_of(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def limit_time() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))


def status_of(exit_code: int) -> str:
    if exit_code < 0:
        return "timeout"
    return "killed" if exit_code else "survived"


# The run ------------------------------------------------------------------------------------------


def make_mutants(copy: Path) -> None:
    """Make the mutants, and measure which tests reach which function."""
    # With a name that fits no mutant, mutmut stops there with an error.
    subprocess.run(
        [MUTMUT, "run", "--max-children", "1", "none"],
        cwd=copy,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )


def environment(**more: str) -> dict[str, str]:
    """Where workers find the mutated program and this plugin."""
    path = os.pathsep.join(["src", str(Path(__file__).parent)])
    return os.environ | {"PYTHONPATH": path} | more


def test_command(copy: Path, *tests: str) -> list[str]:
    settings = tomllib.loads((copy / "pyproject.toml").read_text(encoding="utf-8"))
    options = settings["tool"]["mutmut"]["pytest_add_cli_args"]
    return [sys.executable, "-m", "pytest", "-x", "-q", "--rootdir=.", *options, *tests]


def try_all(copy: Path, mutants: Sequence[str], minutes: float) -> dict[str, str]:
    """Return the status of each mutant that was tried within so many minutes."""
    trials = copy / "trials.json"
    results = trials.with_suffix(".results")
    results.unlink(missing_ok=True)
    until = time.time() + minutes * 60
    trials.write_text(json.dumps({"mutants": mutants, "until": until}), encoding="utf-8")
    subprocess.run(
        test_command(copy, *TESTS),
        cwd=copy / "mutants",
        env=environment(**{TRIALS: str(trials.resolve())}, MUTANT_UNDER_TEST=""),
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if not results.exists():
        sys.exit("the tests can't be collected: run them first")
    lines = results.read_text(encoding="utf-8").splitlines()
    statuses: dict[str, str] = dict(line.split() for line in lines)
    survivors = [mutant for mutant, status in statuses.items() if status == "survived"]
    print(f"trying {len(survivors)} survivors in a process of their own …", flush=True)
    return statuses | {mutant: try_alone(copy, mutant) for mutant in survivors}


def try_alone(copy: Path, mutant: str) -> str:
    """Try a survivor once more, in a process of its own, with all tests of its package.

    There it is on while the program is imported, as it must be where a function makes a table,
    and no test is left out that found its answer in a cache while mutmut measured.
    """
    tried = subprocess.run(
        test_command(copy, f"tests/{mutant.split('.')[1]}"),
        cwd=copy / "mutants",
        env=environment(MUTANT_UNDER_TEST=mutant),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=limit_time,
        check=False,
    )
    return status_of(tried.returncode)


def names_of(copy: Path) -> list[str]:
    """The names of all mutants, in order."""
    listed = subprocess.run(
        [MUTMUT, "results", "--all", "true"], cwd=copy, capture_output=True, text=True, check=True
    ).stdout
    return sorted(re.findall(r"^ *(\S+): .+$", listed, re.MULTILINE))


def package(mutant: str) -> str:
    return ".".join(mutant.split(".")[:2])


def sample(names: Sequence[str], number: int, chance: random.Random) -> list[str]:
    """So many of the mutants of each package, which has a score of its own."""
    packages: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        packages[package(name)].append(name)
    return [
        name
        for group in packages.values()
        for name in chance.sample(group, min(number, len(group)))
    ]


def report(statuses: dict[str, str]) -> None:
    """Print the score of each package and the survivors."""
    packages: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for name, status in statuses.items():
        packages[package(name)][status] += 1
    print(f"{'package':<20}{'tried':>7}{'killed':>8}{'score':>8}")
    for of_package, counts in sorted(packages.items()):
        tried = sum(counts.values())
        killed = sum(counts[status] for status in DETECTED)
        print(f"{of_package:<20}{tried:>7}{killed:>8}{killed / tried:>8.1%}")
    for name, status in sorted(statuses.items()):
        if status != "killed":
            print(f"{status}: {name}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Mutation testing with mutmut.")
    parser.add_argument("paths", nargs="*", default=PATHS, metavar="PATH")
    parser.add_argument("--sample", type=int, default=SAMPLE, help="how many to try a package")
    parser.add_argument("--all", action="store_true", help="try every mutant")
    parser.add_argument("--seed", type=int, default=1, help="another sample")
    parser.add_argument("--minutes", type=float, default=50, help="begin none after so many")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the copy here")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    with tempfile.TemporaryDirectory() as temporary:
        copy = given.keep or Path(temporary) / "copy"
        copy.mkdir(parents=True, exist_ok=True)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, copy / name, dirs_exist_ok=True)
            else:
                shutil.copy(source, copy / name)
        configure(copy, given.paths)
        print("making the mutants and measuring the tests …", flush=True)
        make_mutants(copy)
        names = names_of(copy)
        if not names:
            sys.exit("no mutants: give files or folders of src/cadence")
        stats = copy / "mutants" / "mutmut-stats.json"
        if not stats.exists() or not json.loads(stats.read_text(encoding="utf-8")).get(TESTS_OF):
            sys.exit("the tests failed where mutmut measured them: --keep the copy, run them there")
        chance = random.Random(given.seed)
        if not given.all:
            names = sample(names, given.sample, chance)
        chance.shuffle(names)  # so that a run that ends early has been fair
        print(f"trying {len(names)} mutants …", flush=True)
        report(try_all(copy, names, given.minutes))


if __name__ == "__main__":
    main()
