"""A year of many reps, lived through by workers, and judged by a check of its own.

``tests/support/years.py`` simulates it, ``years_check.py`` reads the export alone. Here it is
small; ``python tests/support/years.py`` runs it in full (docs/reference/figures.md).
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nightly import NIGHTLY
from years import CROSSING, Size, simulate
from years_check import Findings, check

SEEDS = range(20 if NIGHTLY else 1)
NEVER = ("opted_out", "failed", "listed", "capped", "frequent", "held", "merged", "lost")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("is_in_memory", [True, False], ids=["one worker", "eight workers"])
def test_a_simulated_year_breaks_no_promise_to_a_person(
    tmp_path: Path, seed: int, is_in_memory: bool
) -> None:
    size = Size(people=60, days=60 if is_in_memory else 40, seed=seed)
    result = simulate(size, tmp_path, is_in_memory=is_in_memory)
    assert not result.is_bad, result.text()
    assert result.findings.attempts > 30
    if is_in_memory:  # of eight workers, who comes first is not the same each time
        assert result.findings.stopped
        for what in ("OptOutRequested", "EventRetracted", "suppressed", "imported", "crashes"):
            assert result.counts[what], what
        assert result.counts["merge"] > 3


# The check itself: each kind of fault, planted in an export ---------------------------------------

AT = "2026-03-02T15:00:00Z"
NUMBER = "+12125550101"


def event(prospect: str, version: int, kind: str, day: int, /, **data: Any) -> dict[str, Any]:
    at = f"2026-03-{day:02}T15:00:00Z"
    times = {"occurred_at": at, "recorded_at": at}
    line = {"prospect": prospect, "version": version, "type": kind, "data": data, **times}
    return {**line, "by": "worker1"} if kind == "AttemptMade" else line


def added(prospect: str, name: str = "Ada", number: str = NUMBER) -> dict[str, Any]:
    point = {"channel": "call", "address": number, "key": number}
    return event(prospect, 1, "ProspectAdded", 2, name=name, contact_points=[point])


def called(
    prospect: str,
    version: int,
    day: int,
    stage: str = "spaced",
    how: str = "no_answer",
    number: str = NUMBER,
) -> dict[str, Any]:
    part = {"channel": "call", "disposition": how, "address": number, "key": number}
    made = event(prospect, version, "AttemptMade", day, parts=[part], stage=stage)
    at = f"2026-03-{day:02}T{12 + version:02}:00:00Z"
    return {**made, "occurred_at": at, "recorded_at": at}


BEFORE = [added("a"), added("b")]
LISTED = {"key": NUMBER, "kind": "suppressed", "at": "2026-03-04T15:00:00Z", "source": "list"}
LINE = {"key": NUMBER, "kind": "line", "at": "2026-03-03T15:00:00Z"}
OUT = event("a", 2, "OptOutRequested", 4)
FAILED = event("a", 2, "ContactPointFailed", 4, channel="call", key=NUMBER, reason="wrong_number")
LIFTED = event("b", 2, "OptedBackIn", 5, lifts=[{"prospect": "a", "version": 2}])
HELD = {"prospect": "b", "touch": None, "reasons": [{"rule": "suppressed", "because": "a word"}]}
BACK = event("a", 3, "EventRetracted", 5, version=2)

# A record "a" of another number, which is merged into "b" on the tenth.
OTHER = "+12125550102"
APART = [added("a", "Bo", OTHER), added("b")]


def merged(version: int, ended: int) -> list[dict[str, Any]]:
    """The two halves of the merge: the version of "b", and of "a"."""
    # What it says of the other history is wrong, and is not read.
    history: list[Any] = []
    return [
        event("b", version, "ProspectsMerged", 10, prospect="a", history=history),
        event("a", ended, "FollowUpEnded", 10, reason="merged", into="b"),
    ]


def apart_again(version: int, merge: int, ended: int) -> list[dict[str, Any]]:
    """The two halves of what takes the merge back on the twelfth."""
    return [
        event("b", version, "EventRetracted", 12, version=merge),
        event("a", ended + 1, "EventRetracted", 12, version=ended),
    ]


CAME = {**event("b", 3, "OptOutRequested", 11), "meta": {"merged_from": "a"}}
GONE = [*apart_again(4, 2, 2), event("b", 5, "EventRetracted", 12, version=3)]
GIVEN = {**event("a", 4, "OptOutRequested", 11), "recorded_at": "2026-03-12T15:00:00Z"}


@pytest.mark.parametrize(
    ("found", "events"),
    [
        ("opted_out", [*APART, OUT, *merged(2, 3), called("b", 3, 14)]),
        ("", [*APART, OUT, called("b", 2, 9), *merged(3, 3)]),
        ("", [*APART, OUT, BACK, *merged(2, 4), called("b", 3, 14)]),
        (
            "",
            [
                *APART,
                OUT,
                *merged(2, 3),
                event("a", 4, "EventRetracted", 12, version=2),
                called("b", 3, 14),
            ],
        ),
        ("", [*APART, OUT, *merged(2, 3), *apart_again(3, 2, 3), called("b", 4, 14)]),
        ("opted_out", [*APART, OUT, *merged(2, 3), *apart_again(3, 2, 3), called("a", 5, 14)]),
        ("opted_out", [*APART, *merged(2, 2), CAME, called("b", 4, 14)]),
        ("", [*APART, *merged(2, 2), CAME, *GONE, GIVEN, called("b", 6, 14)]),
        ("opted_out", [*APART, *merged(2, 2), CAME, *GONE, GIVEN, called("a", 5, 14)]),
        ("lost", [*APART, *merged(2, 2), CAME, *GONE, called("b", 6, 14)]),
        ("merged", [*APART, *merged(2, 2), called("a", 3, 14)]),
        (
            "failed",
            [
                *APART,
                called("a", 2, 4, how="wrong_number", number=OTHER),
                *merged(2, 3),
                called("b", 3, 14, number=OTHER),
            ],
        ),
        (
            "capped",
            [
                *APART,
                *(called("a", n, n, number=OTHER) for n in (2, 3, 4)),
                *(called("b", n, n + 3) for n in (2, 3, 4)),
                *merged(5, 5),
                called("b", 6, 16),
            ],
        ),
        (
            "",
            [
                *APART,
                *(called("a", n, n, number=OTHER) for n in (2, 3, 4)),
                *(called("b", n, n + 3) for n in (2, 3)),
                *merged(4, 5),
                called("b", 5, 16),
            ],
        ),
        (
            "",
            [
                *APART,
                *(called("a", n, n, number=OTHER) for n in (2, 3, 4)),
                event("b", 2, "ReplyReceived", 5),
                *(called("b", n, n + 3) for n in (3, 4, 5)),
                *merged(6, 5),
                called("b", 7, 16),
            ],
        ),
        (
            "frequent",
            [
                *APART,
                *(called("a", n, 9, "nurture", number=OTHER) for n in (2, 3, 4, 5, 6)),
                *merged(2, 7),
                called("b", 3, 14, "nurture"),
            ],
        ),
    ],
)
def test_the_check_reads_a_merge_from_the_history_of_the_merged_record(
    tmp_path: Path, found: str, events: list[dict[str, Any]]
) -> None:
    findings = checked(tmp_path, events, [], [])
    assert [kind for kind in NEVER if getattr(findings, kind)] == ([found] if found else [])


@pytest.mark.parametrize(
    ("found", "events", "entries"),
    [
        ("opted_out", [*BEFORE, OUT, called("b", 2, 5)], []),
        ("opted_out", [*BEFORE, OUT, called("a", 3, 5)], []),
        ("", [*BEFORE, OUT, called("b", 2, 3)], []),
        ("", [*BEFORE, OUT, BACK, called("b", 2, 6)], []),
        ("", [*BEFORE, OUT, LIFTED, called("b", 3, 6)], []),
        (
            "opted_out",
            [*BEFORE, OUT, event("a", 3, "OptOutRequested", 6), LIFTED, called("b", 3, 7)],
            [],
        ),
        ("", [*BEFORE, OUT, called("b", 2, 5)], [LINE]),
        ("listed", [*BEFORE, called("b", 2, 5)], [LISTED]),
        ("", [*BEFORE, called("b", 2, 5)], [{**LISTED, "channel": "email"}]),
        ("", [*BEFORE, called("b", 2, 6)], [{**LISTED, "ended_at": "2026-03-05T15:00:00Z"}]),
        ("failed", [*BEFORE, FAILED, called("b", 2, 5)], []),
        ("", [added("a", "Bo"), added("b"), FAILED, called("b", 2, 5)], []),
        ("failed", [*BEFORE, called("a", 2, 4, how="bounced"), called("b", 2, 5)], []),
        ("capped", [added("b"), *(called("b", n, 2 * n) for n in range(2, 9))], []),
        ("frequent", [added("b"), *(called("b", n, 5, "nurture") for n in range(2, 6))], []),
        ("frequent", [*BEFORE, *(called("a", n, 5) for n in range(2, 5)), called("b", 9, 5)], []),
        ("", [*BEFORE, *(called("a", n, 5) for n in range(2, 5)), called("b", 9, 5)], [LINE]),
    ],
)
def test_the_check_finds_each_kind_of_fault_and_no_other(
    tmp_path: Path, found: str, events: list[dict[str, Any]], entries: list[dict[str, Any]]
) -> None:
    findings = checked(tmp_path, events, entries, [])
    assert [kind for kind in NEVER if getattr(findings, kind)] == ([found] if found else [])


@pytest.mark.parametrize(("said", "is_found"), [([], True), ([OUT], False), ([OUT, BACK], True)])
def test_the_check_finds_who_is_held_without_a_word(
    tmp_path: Path, said: list[dict[str, Any]], is_found: bool
) -> None:
    findings = checked(tmp_path, [*BEFORE, *said], [], [HELD])
    assert bool(findings.held) == is_found
    assert findings.stopped == 1


def test_a_word_that_crosses_an_attempt_is_counted_and_is_no_fault(tmp_path: Path) -> None:
    late = {**OUT, "recorded_at": "2026-03-05T13:59:00Z"}
    findings = checked(tmp_path, [*BEFORE, late, called("b", 2, 5)], [], [])
    assert (findings.crossed, findings.is_bad) == (1, False)
    assert timedelta(minutes=1) < CROSSING


def checked(
    folder: Path,
    events: list[dict[str, Any]],
    entries: list[dict[str, Any]],
    decisions: list[dict[str, Any]],
) -> Findings:
    lines = b"".join(msgspec.json.encode(one) + b"\n" for one in events)
    (folder / "x-histories.jsonl").write_bytes(lines)
    (folder / "x-entries.json").write_bytes(msgspec.json.encode(entries))
    (folder / "x-decisions.json").write_bytes(msgspec.json.encode(decisions))
    return check(folder, "x", CROSSING)
