"""Importing: a log against the bare parse of the same file, and the memory of few and of many.

The log is the BPI Challenge 2012 (262,200 events) where it lies beside the project, otherwise one
of the same shape made here; the report says which. The bare parse streams the same packed file
through expat with handlers that do nothing, and, as most programs read XML, through ``iterparse``.
The import is whole: parse, mapping, sorting, every attempt judged under the policy, the due list,
the commit. Memory is that of a process of its own that imports JSONL from a pipe.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import textwrap
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Final
from xml.parsers import expat

from measure import Figure, Plan, figure, say

from cadence.store import Cadence
from cadence.transfer.formats import choose_source, mapping_for
from cadence.transfer.importer import import_all
from cadence.transfer.input_file import open_input

__all__ = ["NAME", "run"]

NAME = "import"

_BPI: Final = Path(__file__).parents[2] / "shared" / "data" / "bpic2012.xes.gz"
_BLOCK: Final = 1 << 16
_EVENTS_A_CASE: Final = 20
_REPETITIONS: Final = 7


def run(plan: Plan, folder: Path) -> list[Figure]:
    quick = plan.import_prospects < 100_000
    if _BPI.exists() and not quick:
        log, what = _BPI, "BPI 2012"
    else:
        log, what = folder / "log.xes.gz", "a made log"
        _make_log(log, cases=300 if quick else 13_087)
    return [*_speed(log, what, folder), _memory(plan.import_prospects, folder)]


# Speed --------------------------------------------------------------------------------------------


def _speed(log: Path, what: str, folder: Path) -> list[Figure]:
    sides: dict[str, Callable[[int], None]] = {
        "import": lambda turn: _import(log, folder / f"{turn}.db"),
        "expat": lambda turn: _expat(log),
        "iterparse": lambda turn: _iterparse(log),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(_REPETITIONS + 1):
        for name, side in sides.items():
            started = perf_counter()
            side(turn)
            if turn:  # the first warms up
                seconds[name].append(perf_counter() - started)
    beside = {name: f"{sorted(found)[len(found) // 2]:.2g} s" for name, found in seconds.items()}
    return [
        figure(
            NAME,
            f"{what}: import : bare {name}",
            "x",
            [a / b for a, b in zip(seconds["import"], seconds[name], strict=True)],
            target=4,
            better="less",
            beside={one: beside[one] for one in ("import", name)},
        )
        for name in ("expat", "iterparse")
    ]


def _import(log: Path, db: Path) -> None:
    with Cadence.open(str(db)) as app, open_input(str(log)) as file:
        done = import_all(app, choose_source(file, mapping_for("bpic2012")))
    assert done.events
    db.unlink()


def _expat(log: Path) -> None:
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, attributes: None
    parser.EndElementHandler = lambda name: None
    with gzip.open(log) as file:
        while block := file.read(_BLOCK):
            parser.Parse(block)
    parser.Parse(b"", True)


def _iterparse(log: Path) -> None:
    with gzip.open(log) as file:
        for _, element in ET.iterparse(file):
            if element.tag.endswith("trace"):
                element.clear()


def _make_log(log: Path, cases: int) -> None:
    """A log whose cases are as long as those of the lender's, and as often have a call."""
    random = Random(1)
    names = ["A_SUBMITTED", "O_SENT", "W_Completeren aanvraag", "O_SENT_BACK", "A_APPROVED"]
    with gzip.open(log, "wt", compresslevel=1, encoding="utf-8") as out:
        out.write('<log xmlns="http://www.xes-standard.org/">\n')
        for case in range(cases):
            at = datetime(2011, 10, 3, 8, tzinfo=UTC) + timedelta(hours=case % 2000)
            out.write(f'<trace><string key="concept:name" value="{case}"/>\n')
            called = random.random() < 0.4
            for number in range(_EVENTS_A_CASE):
                at += timedelta(hours=random.randrange(1, 20))
                is_call = called and number % 5 == 4
                name = "W_Nabellen offertes" if is_call else random.choice(names[: 2 + number // 6])
                out.write(
                    f'<event><string key="org:resource" value="{number}"/>'
                    '<string key="lifecycle:transition" value="START"/>'
                    f'<string key="concept:name" value="{name}"/>'
                    f'<date key="time:timestamp" value="{at.isoformat()}"/></event>\n'
                )
            out.write("</trace>\n")
        out.write("</log>\n")


# Memory -------------------------------------------------------------------------------------------

# A process of its own that says at the end how much memory it held at most, in kB.
_CHILD: Final = textwrap.dedent(
    """
    import resource, sys
    from cadence.cli.main import main
    code = main(sys.argv[1:])
    try:
        status = open("/proc/self/status").read()
        peak = int(status.partition("VmHWM:")[2].split()[0])
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.stderr.write(f"peak {peak}\\n")
    sys.exit(code)
    """
)


def _memory(most: int, folder: Path) -> Figure:
    few = most // 100
    peaks = []
    for count in (few, most):
        say(f"{NAME}: {count:,} prospects from a pipe …")
        peaks.append(_peak_mb(count, folder / f"{count}.db"))
        (folder / f"{count}.db").unlink()
    return figure(
        NAME,
        f"peak memory, {most:,} prospects : {few:,}",
        "x",
        [peaks[1] / peaks[0]],
        target=1.2,
        better="less",
        beside={f"{few:,}": f"{peaks[0]:.0f} MB", f"{most:,}": f"{peaks[1]:.0f} MB"},
    )


def _peak_mb(count: int, db: Path) -> float:
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD, "import", "-", "--json", "--db", str(db)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        for line in _lives(count):
            process.stdin.write(line)
        out, err = process.communicate()
    assert process.returncode == 0, err.decode()
    assert json.loads(out)["events"] == 3 * count
    return int(err.decode().rpartition("peak ")[2]) / 1024


def _lives(count: int) -> Iterator[bytes]:
    """Three events of each prospect, one after the other through all of them."""
    data = (
        '"type":"ProspectAdded","data":{"name":"Kim","timezone":"Europe/Berlin","contact_points":'
        '[{"channel":"call","address":"+49 30 1234"}]}',
        '"type":"AttemptMade","data":{"parts":[{"channel":"call","disposition":"no_answer"}]}',
        '"type":"ReplyReceived","data":{"channel":"email"}',
    )
    for hour, one in enumerate(data, 10):
        rest = f'","occurred_at":"2026-03-02T{hour}:00:00Z",{one}}}\n'.encode()
        for number in range(count):
            yield b'{"prospect":"p%07d' % (number * 7919 % count) + rest
