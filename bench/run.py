"""Measure cadence side by side with what it is built on, and print ratios beside their targets.

    python bench/run.py [--only NAME] [--quick] [--json FILE]

Every figure is the median of at least five interleaved repetitions of one run, with the least and
the greatest. Nothing fails when a target is missed; the table says so. ``--quick`` is for seeing
that it works, not for quoting.
"""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Final

import adopting
import decisions
import decode_fold
import due_list
import first_screen
import imports
import load_one
import msgspec
import one_command
import proving
import rebuild
import sweeps
import transition_checks
from measure import Figure, Plan, say
from rich.console import Console
from rich.table import Table

__all__ = ["main"]

_PACKAGES: Final = ("cadence", "eventsourcing", "transitions", "msgspec", "holidays", "tzdata")

MEASUREMENTS: Final[dict[str, Callable[[Plan, Path], list[Figure]]]] = {
    transition_checks.NAME: lambda plan, folder: transition_checks.run(plan),
    decode_fold.NAME: decode_fold.run,
    load_one.NAME: load_one.run,
    one_command.NAME: one_command.run,
    decisions.NAME: lambda plan, folder: decisions.run(plan),
    due_list.NAME: due_list.run,
    rebuild.NAME: rebuild.run,
    proving.NAME: lambda plan, folder: proving.run(plan),
    adopting.NAME: adopting.run,
    imports.NAME: imports.run,
    sweeps.NAME: sweeps.run,
    first_screen.NAME: first_screen.run,
}


def machine() -> dict[str, str]:
    """What it was measured on."""
    said = {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {_cpu()}",
        "load": ", ".join(f"{one:.1f}" for one in os.getloadavg()),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite": sqlite3.sqlite_version,
        "temporary files": _file_system(Path(tempfile.gettempdir())),
    }
    return said | {name: version(name) for name in _PACKAGES}


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or "unknown processor"
    names = [line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line]
    return names[0] if names else "unknown processor"


def _file_system(path: Path) -> str:
    """The kind of file system that commits are synced to; on ``tmpfs`` a sync costs nothing."""
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown file system"
    found, kind = "", "unknown file system"
    for line in mounts:
        _, place, type_, *_ = line.split()
        if path.is_relative_to(place) and len(place) >= len(found):
            found, kind = place, type_
    return kind


def number(value: float, unit: str) -> str:
    """A figure with as many digits as it is worth."""
    if unit == "/s":
        return f"{value:,.0f}/s"
    if unit == "MB":
        return f"{value:.0f} MB"
    text = f"{value:.0f}" if value >= 100 else f"{value:.3g}"
    return f"{text} {unit}" if unit == "s" else f"{text}{unit}"


def table(figures: list[Figure]) -> Table:
    """The report."""
    made = Table(title="cadence, side by side (median of the repetitions)")
    for name, justify in (
        ("measurement", "left"),
        ("ours : beside", "left"),
        ("median", "right"),
        ("min", "right"),
        ("max", "right"),
        ("n", "right"),
        ("target", "right"),
        ("seen", "left"),
        ("absolute, for orientation", "left"),
    ):
        made.add_column(name, justify="right" if justify == "right" else "left")
    before = ""
    for one in figures:
        if before and one.measurement != before:
            made.add_section()
        before = one.measurement
        goal = ""
        if one.target is not None:
            goal = ("≥ " if one.better == "more" else "≤ ") + number(one.target, one.unit)
        style = {"r": "green", "s": "yellow"}.get(one.seen[:1], "")
        made.add_row(
            one.measurement,
            one.what,
            number(one.median, one.unit),
            number(one.low, one.unit),
            number(one.high, one.unit),
            str(one.repetitions),
            goal,
            f"[{style}]{one.seen}[/]" if style else one.seen,
            ", ".join(f"{name} {text}" for name, text in one.beside.items()),
        )
    return made


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", choices=list(MEASUREMENTS), action="append", help="just this one")
    parser.add_argument("--quick", action="store_true", help="short, to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args(arguments)
    plan = Plan.quick() if options.quick else Plan()
    about = machine()
    figures: list[Figure] = []
    for name in options.only or MEASUREMENTS:
        say(f"{name} …")
        # A folder each: what one leaves behind must not slow the next.
        with tempfile.TemporaryDirectory(prefix="cadence-bench-") as folder:
            figures += MEASUREMENTS[name](plan, Path(folder))
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(", ".join(f"{name} {text}" for name, text in about.items()), highlight=False)
    if options.quick:
        console.print("--quick: too short to quote", style="yellow")
    console.print(table(figures))
    if options.json is not None:
        found = {"about": about, "quick": options.quick, "figures": figures}
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
