"""What an import and an audit pay for the names of likely duplicates.

    python bench/likely_duplicates.py [--prospects N] [--rounds N]

As many people as the store has are imported, with and without the look-up, in turn, by processor
time: once all of them new, once a fifth of them with an address of a stored record.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from statistics import median
from time import process_time
from typing import Final
from unittest import mock

from measure import say

from cadence.audit.runner import audit
from cadence.store import Cadence
from cadence.store.duplicates import duplicates_by_address
from cadence.transfer import import_jsonl
from cadence.transfer.likely_duplicates import LikelyDuplicates
from cadence.transfer.staging import StagingArea

_SHARES: Final = (0.0, 0.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prospects", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stored = Path(folder) / "stored.db"
        _import(stored, _people("old", given.prospects))
        for share in _SHARES:
            _compare(stored, Path(folder) / "copy.db", share, given.prospects, given.rounds)


def _compare(stored: Path, copy: Path, share: float, prospects: int, rounds: int) -> None:
    new = _people("new", prospects, first=int(prospects * (1 - share)))
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(rounds + 1):
        for is_looking in (False, True):
            shutil.copy(stored, copy)
            with _without_look_up(is_off=not is_looking):
                spent = _import(copy, new)
            if turn:  # the first warms up
                seconds[is_looking].append(spent)
    ratios = [a / b for a, b in zip(seconds[True], seconds[False], strict=True)]
    say(
        f"import of {prospects:,} people, {share:.0%} of them stored already: "
        f"{median(seconds[True]):.2f} s with the look-up, {median(seconds[False]):.2f} s without; "
        f"{median(ratios):.3f} x ({min(ratios):.3f} to {max(ratios):.3f})"
    )
    with Cadence.open(str(copy)) as app:
        started = process_time()
        for _ in audit(app):
            pass
        audited = process_time()
        pairs = len(duplicates_by_address(app))
        named = process_time()
    say(
        f"audit of both: {audited - started:.2f} s, {named - audited:.3f} s more for {pairs:,} "
        f"pairs; {(named - started) / (audited - started):.3f} x"
    )


@contextmanager
def _without_look_up(*, is_off: bool) -> Iterator[None]:
    if not is_off:
        yield
        return
    with mock.patch.object(StagingArea, "find_duplicates", return_value=LikelyDuplicates()):
        yield


def _import(db: Path, people: bytes) -> float:
    with Cadence.open(str(db)) as app:
        started = process_time()
        import_jsonl(app, BytesIO(people))
        return process_time() - started


def _people(prefix: str, count: int, first: int = 0) -> bytes:
    """Return people with two addresses each; ``first`` is the number of the first one's."""
    lines = []
    for number in range(count):
        which = number + first
        points = [
            {"channel": "call", "address": f"+1212{2_000_000 + which}"},
            {"channel": "email", "address": f"p{which}@example.com"},
        ]
        data = {"name": f"P {which}", "timezone": "Europe/Berlin", "contact_points": points}
        event = {"type": "ProspectAdded", "occurred_at": "2026-03-02T10:00:00Z", "data": data}
        lines.append(json.dumps({"prospect": f"{prefix}{number:07}", **event}))
    return "\n".join(lines).encode()


if __name__ == "__main__":
    main()
