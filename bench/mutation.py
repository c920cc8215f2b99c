"""Break the code on purpose and see whether the tests notice: mutation testing with mutmut.

    python bench/mutation.py [--sample N | --all] [--seed N] [--minutes N] [PATH …]

A PATH is a file or a folder of ``src/cadence``; ``domain``, ``engine`` and ``worktime`` when none
is given. A mutant is the program with one small change. It is *killed* when a test fails or runs
out of time, and it *survives* when every test that reaches it passes. The report has the score of
each package and the name of each survivor; ``--keep FOLDER`` keeps the copy in which
``mutmut show NAME`` prints its change.

mutmut runs on a copy of the tree, so edits made meanwhile disturb nothing. Without ``--all`` it
tries a random sample: enough for a score, not for the list of all survivors. After ``--minutes``
the run stops and reports what it has. ADR 0033 says what mutmut can't reach.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

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
DETECTED: Final = {"killed", "timeout", "suspicious", "segfault", "caught by type check"}
SAMPLE: Final = 1500


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
            *("--hypothesis-profile=quick", "-p", "no:cacheprovider"),
            *deselected,
        ],
        # A fork of the process that measured the tests has warm caches, which hide mutants.
        "process_isolation": "forkserver",
    }
    project.write_text(tomli_w.dumps(settings), encoding="utf-8")


def run(copy: Path, names: Sequence[str], minutes: float, *, quietly: bool = False) -> None:
    """Try the mutants of these names; stop after so many minutes."""
    process = subprocess.Popen(
        [MUTMUT, "run", "--max-children", "2", *names],
        cwd=copy,
        stdout=subprocess.DEVNULL if quietly else None,
        stderr=subprocess.DEVNULL if quietly else None,
    )
    try:
        process.wait(minutes * 60)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        process.wait()


def results(copy: Path) -> dict[str, str]:
    """The status of each mutant by its name."""
    listed = subprocess.run(
        [MUTMUT, "results", "--all", "true"], cwd=copy, capture_output=True, text=True, check=True
    ).stdout
    return dict(re.findall(r"^ *(\S+): (.+)$", listed, re.MULTILINE))


def report(statuses: dict[str, str]) -> None:
    """Print the score of each package and the survivors."""
    packages: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for name, status in statuses.items():
        packages[".".join(name.split(".")[:2])][status] += 1
    print(f"{'package':<20}{'tried':>7}{'killed':>8}{'score':>8}")
    for package, counts in sorted(packages.items()):
        tried = sum(counts.values())
        killed = sum(counts[status] for status in DETECTED)
        print(f"{package:<20}{tried:>7}{killed:>8}{killed / tried:>8.1%}")
    for name, status in sorted(statuses.items()):
        if status not in DETECTED:
            print(f"{status}: {name}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Mutation testing with mutmut.")
    parser.add_argument("paths", nargs="*", default=PATHS, metavar="PATH")
    parser.add_argument("--sample", type=int, default=SAMPLE, help="how many mutants to try")
    parser.add_argument("--all", action="store_true", help="try every mutant")
    parser.add_argument("--seed", type=int, default=1, help="another sample")
    parser.add_argument("--minutes", type=float, default=50, help="stop after so many")
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
        # With a name that fits no mutant, mutmut stops there with an error.
        run(copy, ["none"], given.minutes, quietly=True)
        names = sorted(results(copy))
        if not names:
            sys.exit("no mutants: give files or folders of src/cadence")
        if not given.all:
            names = random.Random(given.seed).sample(names, min(given.sample, len(names)))
        run(copy, names, given.minutes)
        statuses = results(copy)
        report({name: statuses[name] for name in names if statuses[name] != "not checked"})


if __name__ == "__main__":
    main()
