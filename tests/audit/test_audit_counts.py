"""The audit's counts on something like an event log, against a second, naive count.

The naive count is in ``naive_audit.py``. ``check_counts`` takes any histories, for example those of
a log that was imported.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import paths
import pytest
from clocks import ahead
from naive_audit import RANK, naive_breaches

from cadence.audit import Auditor, Noticed
from cadence.domain.codec import encode_line
from cadence.domain.events import AttemptMade, Event
from cadence.policy import builtin
from cadence.store import Cadence
from cadence.transfer.formats import choose_source, mapping_for
from cadence.transfer.importer import import_all
from cadence.transfer.input_file import open_input
from cadence.transfer.jsonl import import_jsonl

BPI = paths.BPI
DOCS = paths.DOCS / "explanation" / "audit.md"
DOI = "3926db30-f712-4394-aebc-75976070e91f"
COUNTED = {
    "opt_out",
    "spaced_cap",
    "gap",
    "polite_exit",
    "concern",
    "contact_point",
    "order",
    "frequency",
    "appointment",
    "suspended",
    "quiet_hours",
    "plan",
    "business_hours",
}


def check_counts(histories: Iterable[Sequence[Event]]) -> Counter[str]:
    """That the audit finds each breach that the naive count finds, and no other.

    Args:
        histories: under ``tip8``, each attempt learnt of when it was made, one zone a prospect.

    Returns:
        The counts, so that a test can say that there was something to count.
    """
    auditor = Auditor(builtin())
    prospects = events = 0
    counts: Counter[str] = Counter()
    for history in histories:
        prospects, events = prospects + 1, events + len(history)
        theirs = Counter(
            (one.version, one.rule)
            for one in auditor.audit(history)
            if one.noticed is not Noticed.HINDSIGHT
        )
        ours = Counter(naive_breaches(history))
        assert theirs == ours, (
            f"{history[0].prospect}: audit {theirs - ours}, naive {ours - theirs}"
        )
        counts.update(rule for _, rule in theirs.elements())
    assert (auditor.prospects, auditor.events) == (prospects, events)
    return counts


# Something like an event log ----------------------------------------------------------------------


def log_like(seed: int, prospects: int, pace: int = 1) -> list[bytes]:
    """JSONL of people who were called and written to by hand, without any plan.

    Args:
        seed: for the same log again.
        prospects: how many.
        pace: how many times slower than usual everything happens.
    """
    chance = random.Random(seed)
    lines = []
    for number in range(prospects):
        now = datetime.fromisoformat("2026-09-01T13:00:00+00:00")
        now += timedelta(days=chance.randrange(60), minutes=chance.randrange(600))
        zone, country = chance.choice([("Europe/Amsterdam", "NL"), ("America/New_York", "US")])
        points = [("call", "+12125550100"), ("email", "a@example.com"), ("mail", "Street 1")]
        rows: list[tuple[datetime, str, dict[str, Any]]] = [
            (
                now,
                "ProspectAdded",
                {
                    "name": "N",
                    "timezone": zone,
                    "country": country,
                    "contact_points": [{"channel": c, "address": a} for c, a in points],
                },
            )
        ]
        for _ in range(chance.randrange(2, 22)):
            now += chance.choice(
                [timedelta(minutes=10), timedelta(hours=4), timedelta(days=1), timedelta(days=3)]
            ) * (pace * chance.randrange(1, 4))
            rows.append((now, *something(chance, now, points)))
        for at, kind, data in rows:
            line = {
                "prospect": f"case-{number}",
                "type": kind,
                "occurred_at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
                "data": data,
            }
            lines.append(msgspec.json.encode(line))
    return lines


def something(
    chance: random.Random, now: datetime, points: list[tuple[str, str]]
) -> tuple[str, dict[str, Any]]:
    dice = chance.random()
    later = f"{now + timedelta(days=chance.randrange(1, 9)):%Y-%m-%dT%H:%M:%SZ}"
    if dice < 0.75:
        channel, address = chance.choice([points[0], *points])
        went = "no_answer" if channel == "call" else "sent"
        disposition = chance.choice([went] * 12 + ["connected", "bounced", "voicemail_left"])
        data: dict[str, Any] = {
            "parts": [{"channel": channel, "disposition": disposition, "address": address}]
        }
        if chance.random() < 0.5:
            data["stage"] = chance.choice(["spaced"] * 6 + RANK)
        return "AttemptMade", data
    return chance.choice(
        [
            ("ReplyReceived", {"channel": "email", "intent": chance.choice(["no", "yes"])}),
            ("AutoReplyReceived", {"channel": "email", "until": later}),
            ("PauseRequested", {"until": later}),
            ("AppointmentSet", {"at": later}),
            ("OptOutRequested", {"channel": "mail"}),
            ("OptOutRequested", {}),
            ("OptedBackIn", {}),
            ("FollowUpEnded", {"reason": chance.choice(["no_response", "unreachable", "bought"])}),
        ]
    )


@pytest.mark.parametrize("seed", range(3))
def test_every_count_agrees_with_a_naive_one_on_something_like_a_log(seed: int) -> None:
    with Cadence.open(None) as store:
        import_jsonl(store, log_like(seed, 400), at=ahead())
        counts = check_counts(store.histories.all())
    assert set(counts) >= COUNTED, "the log has something to count for every rule"


def test_every_count_agrees_with_a_naive_one_where_everything_is_slow() -> None:
    with Cadence.open(None) as store:
        import_jsonl(store, log_like(11, 400, pace=9), at=ahead())
        counts = check_counts(store.histories.all())
    assert set(counts) >= {"horizon", "gap", "plan", "business_hours"}


def test_what_the_engine_recorded_as_a_breach_the_audit_finds(tmp_path: object) -> None:
    with Cadence.open(None) as store:
        import_jsonl(store, log_like(99, 60), at=ahead())
        auditor = Auditor(builtin())
        for history in store.histories.all():
            versions = {one.version for one in auditor.audit(history)}
            for event in history:
                if isinstance(event.data, AttemptMade) and event.data.broke:
                    assert event.version in versions, encode_line(event)


def test_every_count_agrees_with_a_naive_one_on_the_bpi_log(tmp_path: Path) -> None:
    """The whole log: 5,006 cases in which a Dutch lender called (see docs/how-to/import.md)."""
    if not BPI.exists():
        pytest.skip(f"the BPI log is not here ({BPI}); it is DOI 10.4121/uuid:{DOI}")
    with Cadence.open(str(tmp_path / "bpi.db")) as store:
        with open_input(str(BPI)) as file:
            import_all(store, choose_source(file, mapping_for("bpic2012")), at=ahead())
        counts = check_counts(store.histories.all())
    told = re.findall(r"^\| `(\w+)` \| ([\d,]+) \|$", DOCS.read_text(encoding="utf-8"), re.M)
    assert {rule: int(count.replace(",", "")) for rule, count in told} == counts
