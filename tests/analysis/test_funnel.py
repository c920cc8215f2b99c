"""A whole database at a glance: what is counted, and how it is shown."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from clocks import ahead
from hypothesis import given
from hypothesis import strategies as st
from strategies import histories

from cadence.analysis import overview
from cadence.analysis.funnel import Rate, claim_words, stay_words, to_builtins
from cadence.cli.main import main
from cadence.domain import (
    AppointmentSet,
    AttemptMade,
    AttemptStage,
    Disposition,
    Event,
    Part,
    ProspectAdded,
    ReplyReceived,
    Stage,
    fold,
)
from cadence.domain.channels import CALL, EMAIL
from cadence.reports import funnel_page
from cadence.store import Cadence

T0 = datetime(2026, 11, 2, 15, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def history(*happened: tuple[float, Any], name: str = "p") -> list[Event]:
    """Events at so many hours after the first; a third value is when it was recorded."""
    found = [Event(name, 1, T0, T0, ProspectAdded("Kim", "UTC"))]
    for version, (hours, data) in enumerate(happened, 2):
        found.append(Event(name, version, T0 + hours * HOUR, T0 + hours * HOUR, data))
    return found


def call(stage: str, disposition: str = "no_answer") -> AttemptMade:
    part = Part(CALL, Disposition(disposition))
    return AttemptMade((part,), AttemptStage(stage), stage)


REPLY = ReplyReceived(EMAIL)


def test_an_attempt_is_counted_by_its_place_in_its_silence() -> None:
    found = overview(
        [
            history(
                (1, call("on_time")),
                (2, call("ten_minutes")),
                (3, call("spaced", "connected")),
                (4, call("spaced", "connected")),  # the first of the next silence
            ),
            history((1, call("on_time", "connected"))),
        ]
    )
    numbers = {line.number: (line.rate.of, line.rate.reached) for line in found.attempts}
    assert numbers == {1: (3, 2), 2: (1, 0), 3: (1, 1)}
    assert (found.appointment.of, found.appointment.reached) == (2, 1)


def test_an_attempt_whose_outcome_nobody_knows_is_in_no_share() -> None:
    found = overview(
        [
            history((1, call("on_time", "unknown"))),
            history((1, call("on_time", "unknown")), (2, call("ten_minutes", "unknown"))),
            history((1, call("on_time", "connected"))),
        ]
    )
    first, second = (line.rate for line in found.attempts)
    assert (first.of, first.reached, first.unknown, first.share) == (3, 1, 2, 1.0)
    assert first.interval == Rate(1, 1).interval
    assert (second.of, second.unknown, second.share, second.interval) == (1, 1, None, None)
    assert "Of 1 attempt at the appointment itself whose outcome is known" in claim_words(
        found.appointment
    )
    assert "no outcome is known" in claim_words(Rate(4, 0, 4))
    assert to_builtins(found)["attempts"][1]["unknown"] == 1


def test_an_attempt_learnt_of_after_its_silence_has_no_number() -> None:
    *told, late = history((5, REPLY), (3, call("spaced")))
    learnt = msgspec.structs.replace(late, recorded_at=T0 + 6 * HOUR)
    found = overview([[*told, learnt]])
    assert found.attempts == ()
    assert found.late == 1


def test_a_stay_lasts_until_the_next_stage() -> None:
    found = overview(
        [
            history((2, call("spaced")), (3, call("spaced")), (12, REPLY)),
            history((4, call("spaced")), (5, REPLY)),
            history((6, call("spaced"))),
        ]
    )
    lines = {line.stage: line for line in found.stages}
    new, spaced, engaged = (lines[stage] for stage in (Stage.NEW, Stage.SPACED, Stage.ENGAGED))
    assert (new.reached, new.now, new.stays) == (3, 0, 3)
    assert (new.median, new.nine_in_ten) == (4 * HOUR, 6 * HOUR)
    assert (spaced.reached, spaced.now, spaced.stays) == (3, 1, 2)
    assert (spaced.median, spaced.nine_in_ten) == (HOUR, 10 * HOUR)
    assert (engaged.reached, engaged.now, engaged.stays, engaged.median) == (2, 2, 0, None)


@given(st.lists(histories(max_size=8), max_size=3))
def test_every_prospect_and_every_attempt_is_counted_once(many: list[list[Event]]) -> None:
    found = overview(many)
    folded = [one for one in (fold(None, events) for events in many) if one is not None]
    assert found.prospects == len(folded)
    assert found.events == sum(map(len, many))
    now = Counter(one.stage for one in folded)
    assert {line.stage: line.now for line in found.stages if line.now} == now
    attempts = [e.data for events in many for e in events if isinstance(e.data, AttemptMade)]
    assert sum(line.rate.of for line in found.attempts) + found.late == len(attempts)
    reached = sum(line.rate.reached for line in found.attempts)
    assert reached <= sum(one.connected for one in attempts)
    for line in found.stages:
        assert line.now <= line.reached <= found.prospects
        assert line.median is None or timedelta(0) <= line.median <= (
            line.nine_in_ten or line.median
        )
    HTMLParser().feed(funnel_page(found))
    json.dumps(to_builtins(found))


@pytest.mark.parametrize(
    ("reached", "of", "low", "high"),
    # By R: prop.test(x, n, correct = FALSE)$conf.int
    [(5, 15, 0.1518, 0.5829), (0, 6, 0.0, 0.3903), (70, 100, 0.6042, 0.7811), (1, 1, 0.2065, 1.0)],
)
def test_the_interval_is_wilsons(reached: int, of: int, low: float, high: float) -> None:
    interval = Rate(of, reached).interval
    assert interval is not None
    assert interval == pytest.approx((low, high), abs=5e-5)


def test_nothing_has_no_share() -> None:
    assert Rate(0, 0).share is None
    assert Rate(0, 0).interval is None
    found = overview([])
    assert found.prospects == 0
    assert "No attempt was made at an appointment yet; the source claims 70 %" in funnel_page(found)


@pytest.mark.parametrize(
    ("hours", "words"),
    [(0.5, "30 min"), (1.5, "1.5 h"), (47, "47.0 h"), (49, "2.0 d"), (240, "10.0 d")],
)
def test_a_stay_is_told_in_the_unit_that_fits(hours: float, words: str) -> None:
    assert stay_words(hours * HOUR) == words
    assert stay_words(None) == "–"


# The command --------------------------------------------------------------------------------------

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    with Cadence.open(str(tmp_path / "one.db")) as app:
        app.histories.append(
            [
                (
                    history(
                        (0, AppointmentSet(T0 + HOUR)), (1, call("on_time")), (30, REPLY), name="a"
                    ),
                    0,
                ),
                (history((1, call("on_time", "connected")), name="b"), 0),
                (history((50, call("spaced")), name="c"), 0),
            ],
            at=ahead(),
        )

    def run(*arguments: object) -> str:
        assert main(["--db", str(tmp_path / "one.db"), *map(str, arguments)]) == 0
        return capsys.readouterr().out

    return run


def test_the_command_shows_the_same_as_table_json_and_page(run: Run, tmp_path: Path) -> None:
    found = json.loads(run("replay", "--all", "--json"))
    assert (found["prospects"], found["events"]) == (3, 8)
    assert found["appointment"] == {
        "made": 2,
        "connected": 1,
        "unknown": 0,
        "share": 0.5,
        "low": 0.0945,
        "high": 0.9055,
        "claimed": 0.7,
    }
    on_time = next(line for line in found["stages"] if line["stage"] == "on_time")
    assert on_time["reached"] == 1
    assert on_time["median_hours"] == 29
    assert [line["number"] for line in found["attempts"]] == [1]
    claim = (
        "Of 2 attempts at the appointment itself 1 reached the person: 50 % (9–91 %); "
        "the source claims 70 %."
    )
    text = run("replay", "--all")
    assert claim in text
    assert (
        "on_time              1   33 %        0        1       29.0 h              29.0 h" in text
    )
    path = tmp_path / "all.html"
    assert run("replay", "--all", "--html", path) == f"overview of 3 prospects written to {path}\n"
    page = path.read_text(encoding="utf-8")
    assert claim in page
    assert "29.0 h" in page
    assert "<script" not in page
    assert "script-src 'none'" in unescape(page)


def test_until_an_instant_counts_what_was_recorded_by_then(run: Run) -> None:
    found = json.loads(run("replay", "--all", "--until", "2026-11-03T15:00:00Z", "--json"))
    assert found["events"] == 6
    assert "as seen at" in run("replay", "--all", "--until", "2026-11-03T15:00:00Z", "--html", "-")
