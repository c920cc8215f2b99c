"""Hold the prover of one commit against that of another, on random policies.

    python bench/verdicts.py OLD [NEW] [--policies N] [--seed N] [--keep FOLDER]

OLD and NEW are commits; NEW is this tree, if it is not given. Each policy is drawn by
``cadence.testing`` as the file that it would be, and both sides read the file. One that OLD can't
read is left out and counted, because the language has grown since. Each side proves a batch in a
process of its own, one after the other, and reports processor time.

For each rule it says on how many policies the two verdicts or the lengths of the counterexamples
differ, and why. A difference that :func:`why_wanted` does not explain is a fault, and the exit code
is 1. The shortest policies of each difference are written to ``--keep``. Interrupted, it reports
what it has seen.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import median
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from measure import say
from rich.console import Console
from rich.table import Table

from cadence.testing.random_policies import policy_texts

_HERE: Final = Path(__file__).parents[1]
_BATCH: Final = 500
_KEPT: Final = 3
"""How many policies of each difference are written out."""

# What a side does with a batch; it writes a line of JSON for each policy.
_WORK: Final = """
import json
import sys
from time import process_time
from cadence.errors import CadenceError
try:
    from cadence.policy.loader import parse_text
    from cadence.prover import prove
except ImportError:  # before 2026-11-26
    from cadence.policy.load import read_text as parse_text
    from cadence.policy.prove import prove
for text in json.load(sys.stdin):
    try:
        policy = parse_text(text, "random.toml")
    except CadenceError as error:
        print(json.dumps({"unread": str(error)}))
        continue
    started = process_time()
    proof = prove(policy)
    taken = process_time() - started
    found = {str(rule.rule): len(rule.counterexample) for rule in proof.refuted}
    print(json.dumps({"refuted": found, "seconds": taken}))
"""

_AS_BEFORE: Final = "with no more rules refuted"
ONLY_NEW: Final = "refuted by NEW alone"
ONLY_OLD: Final = "refuted by OLD alone"
LONGER: Final = "longer counterexample"
SHORTER: Final = "shorter counterexample"
WITHOUT: Final = "without a history now"

_ADDED: Final = "an invariant since 2026-11-27 (ADR 0038)"
_DELAYED: Final = "frequency delays touches, so the history is another (ADR 0038)"
_WINDOWS: Final = "contact windows are played for each channel alone (ADR 0036)"


def why_wanted(rule: str, kind: str, text: str, refuted: Collection[str]) -> str | None:
    """Say why two verdicts differ on purpose; ``None`` where that is a fault.

    Args:
        rule: the rule of the two verdicts.
        kind: how they differ.
        text: the policy.
        refuted: the rules that NEW refutes.
    """
    if kind == SHORTER:
        return "better"
    if kind == ONLY_NEW and rule == "frequency":
        return _ADDED
    if kind == ONLY_NEW and rule == "forgotten" and '"contact_window"' in text:
        return _WINDOWS
    return _DELAYED if kind == LONGER and "frequency" in refuted else None


def main() -> None:
    """Compare, print, and exit with 1 where a difference is a fault."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("old")
    parser.add_argument("new", nargs="?")
    parser.add_argument("--policies", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--keep", type=Path)
    given_ = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        sides = {}
        for side, commit in {"old": given_.old, "new": given_.new}.items():
            sides[side] = _HERE if commit is None else Path(name) / side
            if commit is not None:
                git = ["git", "-C", str(_HERE), "worktree"]
                add = [*git, "add", "--detach", "--quiet", str(sides[side]), commit]
                subprocess.run(add, check=True)
                stack.callback(
                    subprocess.run, [*git, "remove", "--force", str(sides[side])], check=True
                )
        found = _Found()
        with suppress(KeyboardInterrupt):
            _compare(found, sides, given_.policies, given_.seed)
    _report(found)
    if given_.keep is not None:
        _keep(found, given_.keep)
    sys.exit(1 if found.faults() else 0)


class _Found:
    """What the comparison has seen so far."""

    def __init__(self) -> None:
        self.policies = 0
        self.unread: Counter[str] = Counter()
        self.verdicts: Counter[tuple[bool, bool]] = Counter()
        self.same: Counter[str] = Counter()
        self.differ: defaultdict[tuple[str, str, str | None], list[str]] = defaultdict(list)
        self.seconds: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)

    def add(self, text: str, old: dict[str, Any], new: dict[str, Any]) -> None:
        """Add what both sides say of one policy."""
        if "unread" in new:
            self.differ["reading", "read by OLD alone", None].append(text)
            return
        self.policies += 1
        self.verdicts[not old["refuted"], not new["refuted"]] += 1
        for rule in sorted({*old["refuted"], *new["refuted"]}):
            kind = _kind(old["refuted"].get(rule), new["refuted"].get(rule))
            if kind is None:
                self.same[rule] += 1
            else:
                self.differ[rule, kind, why_wanted(rule, kind, text, new["refuted"])].append(text)
        which = "with more rules refuted" if new["refuted"].keys() - old["refuted"] else _AS_BEFORE
        self.seconds[which].append((old["seconds"], new["seconds"]))

    def faults(self) -> int:
        """Return how many differences are not explained."""
        return sum(len(texts) for (_, _, why), texts in self.differ.items() if why is None)


def _kind(old: int | None, new: int | None) -> str | None:
    """How two refutations differ, each by its number of events; ``None``: they do not."""
    if old == new:
        return None
    if old is None or new is None:
        return ONLY_NEW if old is None else ONLY_OLD
    if not new:
        return WITHOUT
    return SHORTER if new < old or not old else LONGER


def _compare(found: _Found, sides: Mapping[str, Path], policies: int, seed: int) -> None:
    seen: set[str] = set()
    while found.policies < policies:
        texts = [text for text in _drawn(_BATCH, seed) if text not in seen]
        seen.update(texts)
        seed += 1
        old = list(_proved(sides["old"], texts))
        found.unread.update(_reason(one["unread"]) for one in old if "unread" in one)
        both = [(text, one) for text, one in zip(texts, old, strict=True) if "unread" not in one]
        both = both[: policies - found.policies]
        new = _proved(sides["new"], [text for text, _ in both])
        for (text, before), after in zip(both, new, strict=True):
            found.add(text, before, after)
        say(f"{found.policies:,} policies, {found.faults()} unexplained differences")


def _drawn(count: int, seed: int) -> list[str]:
    texts: dict[str, None] = {}

    @seeded(seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(policy_texts())
    def draw(text: str) -> None:
        texts[text] = None

    draw()
    return list(texts)


def _proved(source: Path, texts: list[str]) -> Iterator[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-c", _WORK],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(source / "src"), "PYTHONHASHSEED": "0"},
        input=json.dumps(texts),
        text=True,
    )
    return map(json.loads, done.stdout.splitlines())


def _reason(error: str) -> str:
    """What can't be read, without the value: ``random.toml: KEY: what is wrong``."""
    return " ".join(error.splitlines()[0].split()[1:3])


def _report(found: _Found) -> None:
    console = Console()
    table = Table("rule", "difference", "policies", "why")
    for rule, count in sorted(found.same.items()):
        table.add_row(rule, "none", f"{count:,}", "the same verdict, as many events")
    for (rule, kind, why), texts in sorted(found.differ.items(), key=lambda one: one[0][:2]):
        table.add_row(rule, kind, f"{len(texts):,}", why or "NOT EXPLAINED")
    console.print(table)
    words = {True: "proved", False: "refuted"}
    for (old, new), count in sorted(found.verdicts.items()):
        console.print(f"OLD {words[old]}, NEW {words[new]}: {count:,}")
    console.print(f"policies that both read: {found.policies:,}")
    console.print(f"not read by OLD: {found.unread.total():,}")
    speed = Table("policies", "", "OLD", "NEW", "OLD : NEW", "of all together")
    for which, seconds in sorted(found.seconds.items()):
        sides = [median(side) for side in zip(*seconds, strict=True)]
        times = [f"{1000 * side:.1f} ms" for side in sides]
        ratio = f"{median(a / b for a, b in seconds):.2f}"
        total = f"{sum(a for a, _ in seconds) / sum(b for _, b in seconds):.2f}"
        speed.add_row(which, f"{len(seconds):,}", *times, ratio, total)
    console.print(speed)


def _keep(found: _Found, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for (rule, kind, why), texts in found.differ.items():
        for number, text in enumerate(sorted(texts, key=len)[:_KEPT], 1):
            name = f"{'wanted' if why else 'fault'} {rule} {kind} {number}.toml".replace(" ", "_")
            (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
