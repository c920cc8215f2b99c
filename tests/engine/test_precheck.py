"""Precheck: the answer is what the command itself would record."""

from __future__ import annotations

import importlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from clocks import AFTER, ahead
from engine_lives import PLACES, live
from guarded_policy import guarded
from histories import HOUR, MONDAY, SENT, added, after, attempt
from hypothesis import given
from hypothesis import strategies as st

from cadence.cli.main import main
from cadence.domain.channels import CALL, CHANNELS, Channel
from cadence.domain.codec import encode_line
from cadence.domain.events import (
    AppointmentSet,
    AttemptMade,
    AttemptStage,
    ContactPoint,
    Disposition,
    Event,
    Intent,
    Part,
    PolicyAdopted,
    ProspectAdded,
    ReplyReceived,
)
from cadence.domain.fold import fold
from cadence.domain.prospect import Prospect
from cadence.engine import MakeAttempt, decide
from cadence.engine.precheck import Precheck, precheck
from cadence.errors import Refused
from cadence.policy import PolicyRegistry, Rule
from cadence.store import Cadence


def asked(prospect: Prospect, now: datetime, channel: Channel = CALL) -> Precheck:
    """The answer under the policies at hand."""
    return precheck(prospect, PolicyRegistry(), now, channel)


HISTORY = live(PLACES[0], close=True)
MADE = Disposition.NO_ANSWER


@given(
    version=st.integers(1, len(HISTORY)),
    minutes=st.integers(0, 60 * 24 * 12),
    channel=st.sampled_from(CHANNELS),
)
def test_it_names_exactly_the_rules_that_the_attempt_would_record_as_broken(
    version: int, minutes: int, channel: Channel
) -> None:
    now = HISTORY[version - 1].recorded_at + timedelta(minutes=minutes)
    with Cadence.open(None) as store:
        store.histories.append([(HISTORY[:version], 0)], at=ahead())
        prospect = store.load("jo")
        answer = precheck(prospect, store.policies, now, channel)
        parts = (Part(channel, MADE),)
        if answer.breaks:
            with pytest.raises(Refused):
                store.execute("jo", MakeAttempt(parts, is_strict=True), at=now)
        done = store.execute("jo", MakeAttempt(parts, why="I wanted to know"), at=now)
        made = done.events[0].data
        assert isinstance(made, AttemptMade)
        assert tuple(one.rule for one in answer.breaks) == made.broke
        assert (answer.stage, answer.step) == (made.stage, made.step)
        assert answer.address == made.parts[0].address
        assert all(one.because for one in answer.breaks)
        assert all(one.until is None or one.until > now for one in answer.breaks)


def test_where_no_touch_comes_next_it_says_why_and_no_time_to_wait_for() -> None:
    said_no = (MONDAY, ReplyReceived(Channel("email"), Intent.NO))
    (broken,) = asked(after(added(), said_no), MONDAY + HOUR).breaks
    assert (broken.rule, broken.because, broken.until) == (Rule.PLAN, "they said no", None)


def test_no_waiting_helps_against_a_lasting_rule_though_its_reason_has_an_end() -> None:
    sent = attempt(MONDAY + HOUR, AttemptStage.POLITE_EXIT, SENT)
    (broken,) = asked(after(added(), attempt(MONDAY), sent), MONDAY + 2 * HOUR).breaks
    assert (broken.rule, broken.until) == (Rule.POLITE_EXIT, None)


def test_under_a_policy_that_is_not_at_hand_it_says_that_nothing_can_be_checked() -> None:
    prospect = after(added(), (MONDAY, PolicyAdopted("theirs", 3, "f" * 64)))
    answer = asked(prospect, MONDAY, Channel("email"))
    assert (answer.prospect, answer.at, answer.channel) == ("kim", MONDAY, Channel("email"))
    assert (answer.address, answer.stage, answer.step) == (None, "extra", None)
    (broken,) = answer.breaks
    assert broken.because == (
        "nothing can be checked: unknown policy theirs version 3 (digest ffffffffffff…)"
    )


def test_the_command_says_it_and_leaves_the_decision_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db = str(tmp_path / "a.db")
    (tmp_path / "h.jsonl").write_bytes(b"\n".join(map(encode_line, HISTORY[:8])))
    assert main(["--db", db, "import", "--at", AFTER, str(tmp_path / "h.jsonl")]) == 0
    capsys.readouterr()
    at = f"{HISTORY[7].recorded_at + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    call = ["--db", db, "--at", at, "explain", "jo"]
    ask = ["--db", db, "--at", at, "may", "jo"]
    assert main(call) == 0
    text = capsys.readouterr().out
    assert "why:" in text
    assert "not earlier: plan until" in text
    assert "if you tried by call now:" in text
    assert f"it breaks {Rule.GAP}:" in text
    assert main([*ask, "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert set(answer) == {"prospect", "at", "channel", "address", "stage", "step", "breaks"}
    assert [one["rule"] for one in answer["breaks"]] == [
        *(Rule.PLAN, Rule.GAP, Rule.BUSINESS_HOURS, Rule.FREQUENCY)
    ]
    assert main([*call, "--json"]) == 0
    decision = json.loads(capsys.readouterr().out)
    assert set(decision) == {
        *("prospect", "stage", "decision", "at", "from", "due_since", "touch", "task", "reasons"),
        *("policy", "name", "owner"),
    }
    assert main([*ask, "--channel", "email"]) == 1
    assert "if you tried by email now:" in capsys.readouterr().out


def test_explain_decides_for_now_for_an_attempt_and_once_ahead(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decision, what an attempt would break, and when the message says we try again."""
    module = importlib.import_module("cadence.engine.next_touch")
    decided: list[datetime] = []
    whole = module._decide_at

    def counted(stage: Any, context: Any) -> Any:
        decided.append(context.now)
        return whole(stage, context)

    db = str(tmp_path / "a.db")
    (tmp_path / "h.jsonl").write_bytes(b"\n".join(map(encode_line, HISTORY[:8])))
    assert main(["--db", db, "import", "--at", AFTER, str(tmp_path / "h.jsonl")]) == 0
    monkeypatch.setattr(module, "_decide_at", counted)
    at = f"{HISTORY[7].recorded_at + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    assert main(["--db", db, "--at", at, "explain", "jo"]) == 0
    assert "it breaks" in capsys.readouterr().out
    decided_now, judged, ahead = decided
    assert decided_now == judged < ahead


def test_explain_of_a_past_instant_says_that_later_events_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db = str(tmp_path / "a.db")
    (tmp_path / "h.jsonl").write_bytes(b"\n".join(map(encode_line, HISTORY)))
    assert main(["--db", db, "import", "--at", AFTER, str(tmp_path / "h.jsonl")]) == 0
    capsys.readouterr()
    at = f"{HISTORY[3].recorded_at:%Y-%m-%dT%H:%M:%SZ}"
    assert main(["--db", db, "--at", at, "explain", "jo"]) == 0
    assert f"cadence replay jo --until {at}" in capsys.readouterr().err
    last = f"{HISTORY[-1].recorded_at:%Y-%m-%dT%H:%M:%SZ}"
    assert main(["--db", db, "--at", last, "explain", "jo"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("appointed", [False, True], ids=["new", "scheduled"])
def test_a_guard_says_its_own_reason_whether_or_not_a_touch_is_next(appointed: bool) -> None:
    pause = 'kind = "pause"\nid = "fair"\nfirst_day = "2026-11-02"\nlast_day = "2026-11-06"'
    policy = guarded(pause)
    monday = datetime(2026, 11, 2, 10, tzinfo=UTC)
    added = ProspectAdded("Jo", "UTC", contact_points=(ContactPoint(Channel("call"), "1"),))
    facts = [added, AppointmentSet(monday)] if appointed else [added]
    events = [Event("jo", n, monday, monday, data) for n, data in enumerate(facts, 1)]
    prospect, policies = fold(None, events), PolicyRegistry(policy)
    assert prospect is not None
    (broken,) = precheck(prospect, policies, monday).breaks
    assert broken.rule == "fair"
    assert broken.because.startswith("paused")
    assert broken.until is not None
    assert broken.until >= datetime(2026, 11, 7, tzinfo=UTC)
    with pytest.raises(Refused, match="refused by fair: paused"):
        decide(
            prospect, MakeAttempt((Part(Channel("call"), MADE),), is_strict=True), policy, monday
        )
