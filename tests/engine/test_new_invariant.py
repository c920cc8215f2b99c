"""A new invariant is one row of the table: skip, refusal, sentence, proof and docs come from it.

CONTRIBUTING.md shows how to add one; this is what it promises.
"""

from __future__ import annotations

import importlib.util
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import paths
import pytest
from guarded_policy import BASE

from cadence.domain import (
    ContactPoint,
    Disposition,
    Event,
    Part,
    PauseRequested,
    ProspectAdded,
    Stage,
    fold,
)
from cadence.domain.channels import EMAIL, SMS
from cadence.domain.prospect import Prospect
from cadence.engine import Due, MakeAttempt, decide, decide_silently, invariants, next_touch
from cadence.engine.invariants import Effect, Invariant, ProvedBy
from cadence.engine.reasons import ReasonKind
from cadence.errors import Refused
from cadence.policy import builtin, parse_text
from cadence.prover import prove

MONDAY = datetime(2026, 11, 2, 15, tzinfo=UTC)
TEXT_FIRST = parse_text(
    BASE.replace('["call", "email"], script = "spaced"', '["sms"], script = "spaced"'),
    "text_first.toml",
)

# One row: its check, the same said otherwise for the prover, and the check of an attempt.
TOY = Invariant(
    id="no_text_first",
    number=15,
    promise="the first attempt of a silence is never a text message alone",
    effect=Effect.SKIP,
    stops=lambda planned, so_far: (
        {"attempts": so_far.attempts}
        if planned.channels == {SMS} and so_far.attempts == 0
        else None
    ),
    because=lambda facts: f"a text is not the first word ({facts['attempts']} attempts were made)",
    counted=lambda attempt: True,
    breaks=lambda planned, before, after: (
        all(channel == SMS for channel in planned.channels) and before.attempts < 1
    ),
    forbids=lambda attempt: (
        not attempt.prospect.silence.attempts and all(part.channel == SMS for part in attempt.parts)
    ),
    refusal="a text is not the first word",
    proved_by=ProvedBy.SEARCH,
    how_proved="proved in {states} states: a text never comes first",
)


@pytest.fixture(autouse=True)
def _toy_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invariants, "INVARIANTS", (*invariants.INVARIANTS, TOY))


def after_a_pause() -> Prospect:
    """A silence whose first touch the plan makes by itself: behind a pause."""
    points = (ContactPoint(SMS, "+1"), ContactPoint(EMAIL, "kim@example.com"))
    added = ProspectAdded("Kim", "UTC", contact_points=points)
    pause = PauseRequested(MONDAY + timedelta(days=1))
    events = [Event("kim", n, MONDAY, MONDAY, data) for n, data in enumerate((added, pause), 1)]
    prospect = fold(None, events)
    assert prospect is not None
    return prospect


def test_a_new_row_skips_the_touch_and_words_the_skip() -> None:
    prospect, now = after_a_pause(), MONDAY + timedelta(days=1)
    decision = next_touch(prospect, TEXT_FIRST, now)
    (skipped,) = [reason for reason in decision.reasons if reason.rule == TOY.id]
    assert skipped.kind is ReasonKind.SKIP
    assert skipped.steps
    assert skipped.facts == {"attempts": 0}
    assert skipped.because.endswith("skipped: a text is not the first word (0 attempts were made)")
    assert decide_silently(prospect, TEXT_FIRST, now).touch == decision.touch
    assert decision.to_dict()["reasons"]


def test_a_new_row_refuses_the_attempt_and_is_recorded_as_broken() -> None:
    prospect, now = after_a_pause(), MONDAY + timedelta(days=1)
    parts = (Part(SMS, Disposition.SENT, "+1"),)
    with pytest.raises(Refused) as refused:
        decide(prospect, MakeAttempt(parts, is_strict=True), TEXT_FIRST, now)
    assert TOY.id in refused.value.what
    (made,) = decide(prospect, MakeAttempt(parts, why="they asked"), TEXT_FIRST, now)
    broke: tuple[str, ...] = made.broke  # type: ignore[union-attr]  # an attempt comes of it
    assert TOY.id in broke


def test_a_new_row_is_proved_of_a_policy_that_keeps_it() -> None:
    (row,) = [rule for rule in prove(builtin()).rules if rule.rule == TOY.id]
    assert row.proved
    assert row.how.startswith("proved in ")


def test_a_new_row_is_refuted_with_its_shortest_history() -> None:
    (row,) = [rule for rule in prove(TEXT_FIRST).rules if rule.rule == TOY.id]
    assert not row.proved
    # Added, paused: nothing shorter leads to a first touch that the plan makes by itself.
    assert [type(event.data) for event in row.counterexample[:2]] == [ProspectAdded, PauseRequested]
    assert len(row.counterexample) <= 3
    folded = fold(None, row.counterexample[:2])
    assert folded is not None
    assert folded.stage is Stage.ENGAGED
    named = next_touch(folded, TEXT_FIRST, row.counterexample[1].recorded_at + timedelta(days=1))
    assert TOY.id in [reason.rule for reason in named.reasons]


def test_a_new_row_appears_in_the_docs() -> None:
    generate = _docs_generator()
    page: str = generate.invariants_page(invariants.INVARIANTS)
    assert f"`{TOY.id}`" in page
    assert TOY.promise in page
    assert TOY.refusal in page


def test_the_docs_say_which_pages_must_name_a_new_row(monkeypatch: pytest.MonkeyPatch) -> None:
    generate = _docs_generator()
    *known, toy = generate.INVARIANTS
    within = msgspec.structs.replace(toy, within_silence=True)
    monkeypatch.setattr(generate, "INVARIANTS", (*known, within))
    pages = {page for page, sentence in generate._missing()}
    assert pages == {
        "design.md",
        "explanation/audit.md",
        "explanation/invariants.md",
        "explanation/proof.md",
        "reference/guarantees.md",
    }
    monkeypatch.setattr(generate, "_guard_kinds", lambda: ["pause", "raffle"])
    pages = {page for page, sentence in generate._missing() if "raffle" in sentence}
    assert len(pages) == 3


def _docs_generator() -> Any:
    sys.path.insert(0, str(paths.DOCS))
    try:
        spec = importlib.util.spec_from_file_location("generate", paths.DOCS / "generate.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(paths.DOCS))


def test_without_the_row_the_text_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """The policy is in order but for the toy: what the tests above see comes of the row."""
    rows = tuple(row for row in invariants.INVARIANTS if row.id != TOY.id)
    monkeypatch.setattr(invariants, "INVARIANTS", rows)
    decision = next_touch(after_a_pause(), TEXT_FIRST, MONDAY + timedelta(days=1))
    assert decision.touch is not None
    assert [part.channel for part in decision.touch.parts] == [SMS]
    assert isinstance(decision, Due)
    assert prove(TEXT_FIRST).proved


def test_a_row_that_no_check_judges_is_not_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the prover does not look at must not be called proved."""
    unjudged = msgspec.structs.replace(TOY, proved_by=ProvedBy.STRUCTURE)
    rows = (*[row for row in invariants.INVARIANTS if row.id != TOY.id], unjudged)
    monkeypatch.setattr(invariants, "INVARIANTS", rows)
    (row,) = [rule for rule in prove(builtin()).rules if rule.rule == TOY.id]
    assert not row.proved
    assert "no check of the prover judges it" in row.how
