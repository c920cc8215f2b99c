"""cadence.testing: what it draws, and that its contracts find what is wrong and nothing else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import bad_guards
import paths
import pytest
from clocks import ahead
from filled_in import as_given
from hypothesis import given
from nightly import NIGHTLY

from bad_policies import ALL
from cadence.domain.channels import CALL, EMAIL, MAIL
from cadence.domain.events import (
    AttemptMade,
    AttemptStage,
    Disposition,
    Event,
    Part,
    ProspectAdded,
)
from cadence.domain.fold import fold
from cadence.policy import GuardDelay, Policy, Veto, builtin
from cadence.policy.loader import parse_text
from cadence.prover import prove
from cadence.store import Cadence
from cadence.testing import (
    GuardContract,
    History,
    PolicyContract,
    contract,
    histories,
    policies,
    policy_texts,
    prospects,
)
from cadence.testing.past import Past
from cadence.testing.random_policies import to_toml
from cadence.transfer import import_jsonl

EXAMPLE = paths.EXAMPLES / "extension"
BAD = {bad.name: bad for bad in ALL}


# What is drawn ------------------------------------------------------------------------------------


@given(policy_texts(faults=0))
def test_without_faults_every_policy_drawn_is_one(text: str) -> None:
    assert isinstance(parse_text(text, "drawn.toml"), Policy)


@given(policies(faults=0, guarded=True))
def test_a_guarded_policy_has_a_guard(policy: Policy) -> None:
    assert policy.guards


@given(policies(faults=1, proved=True))
def test_a_proved_policy_is_proved(policy: Policy) -> None:
    assert prove(policy).proved


@given(prospects(channels=[CALL, MAIL]))
def test_a_prospect_has_contact_points_on_the_channels_asked_for(added: ProspectAdded) -> None:
    assert {point.channel for point in added.contact_points} <= {CALL, MAIL}
    assert added.contact_points


@given(histories(builtin()))
def test_a_history_can_be_imported_as_it_is_shown(history: History) -> None:
    app = Cadence.open()
    assert import_jsonl(app, repr(history).encode().splitlines(), at=ahead()).events == len(
        history.events
    )
    assert as_given(app.history("somebody")) == as_given(history.events)
    assert fold(None, history.events) == history.moments[-1].prospect


@given(histories(builtin(), following=True))
def test_who_follows_the_policy_breaks_nothing(history: History) -> None:
    assert history.refused is None
    for event in history.events:
        assert not isinstance(event.data, AttemptMade) or event.data.broke == ()


def test_a_policy_is_written_as_the_file_that_it_would_be() -> None:
    table = {"a": 1, "b": ["x", 'y"'], "c": [{"d": True, "e": 1.5}], "f": {}, "g": []}
    assert tomllib.loads(to_toml(table)) == table


# The contract of a policy -------------------------------------------------------------------------


def promises(suite: type) -> list[str]:
    return sorted(name for name in dir(suite) if name.startswith("test_"))


def kept(suite: type, **given_: Any) -> dict[str, str]:
    """Each promise of a contract that is not kept, with what it fails with."""
    failed = {}
    for name in promises(suite):
        try:
            getattr(suite(), name)(**given_)
        except pytest.fail.Exception as error:
            failed[name] = str(error)
    return failed


class Quick(PolicyContract):
    examples = 20


def test_a_good_policy_keeps_its_contract() -> None:
    assert kept(Quick, under_test=builtin()) == {}


@pytest.mark.parametrize(
    ("name", "promise", "says"),
    [
        ("cap_by_times", "test_it_is_proved", "policy cap-by-times breaks spaced_cap"),
        ("exit_missing", "test_it_is_proved", "policy exit-missing breaks polite_exit"),
        ("exit_missing", "test_every_silence_ends", "is not closed: leave them a polite way out"),
        (
            "unreachable_behind_a_limit",
            "test_every_step_can_be_reached",
            "spaced#4 of policy unreachable-behind-a-limit is never made",
        ),
    ],
)
def test_a_bad_policy_fails_with_one_sentence_and_a_history(
    name: str, promise: str, says: str
) -> None:
    policy = parse_text(BAD[name].text, name)
    with pytest.raises(pytest.fail.Exception) as caught:
        getattr(Quick(), promise)(policy)
    sentence, *shown = str(caught.value).splitlines()
    assert says in sentence
    if promise == "test_it_is_proved":
        lines = [line for line in shown if line.startswith("{")]
        app = Cadence.open(default=policy, use_unproved_policies=True)
        assert (
            import_jsonl(app, [line.encode() for line in lines], at=ahead()).events
            == len(lines)
            > 0
        )


def test_a_silence_that_does_not_end_is_shown_with_no_event_too_many() -> None:
    with pytest.raises(pytest.fail.Exception) as caught:
        Quick().test_every_silence_ends(parse_text(BAD["exit_missing"].text, "exit_missing"))
    sentence, *shown = str(caught.value).splitlines()
    # Left lying behind the horizon, there is nothing left but the exit, which it has not got.
    kinds = [json.loads(line)["type"] for line in shown if line.startswith("{")]
    assert kinds == ["ProspectAdded", "AttemptMade"]
    assert re.search(r"leave them .* \(... 20\d\d-\d\d-\d\d \d\d:\d\d UTC\)$", sentence)


# The contract of a guard --------------------------------------------------------------------------


class QuickGuard(GuardContract):
    examples = 30 if NIGHTLY else 12


def tuesday(prospect: object, touch: Any, at: datetime) -> GuardDelay | None:
    return GuardDelay(at + timedelta(days=1), "not on Mondays") if at.weekday() == 0 else None


def raises(prospect: object, touch: Any, at: datetime) -> None:
    if at.minute == 10:
        raise ValueError("ten past")


def nonsense(prospect: object, touch: Any, at: datetime) -> str:
    return "no"


class Clock:
    """Stands in for ``time`` in the contract, so that no test waits for a slow guard."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


CLOCK = Clock()


def slow(prospect: object, touch: Any, at: datetime) -> None:
    if touch.stage.value == "spaced":
        CLOCK.now += 0.06


def backwards(prospect: object, touch: Any, at: datetime) -> GuardDelay:
    return GuardDelay(at - timedelta(minutes=1), "sooner")


def for_ever(prospect: object, touch: Any, at: datetime) -> GuardDelay:
    return GuardDelay(at + timedelta(days=7), "next week")


def no_way_out(prospect: object, touch: Any, at: datetime) -> Veto | None:
    return Veto("never") if touch.stage.value == "polite_exit" else None


_calls: list[datetime] = []


def moody(prospect: object, touch: Any, at: datetime) -> Veto | None:
    _calls.append(at)
    return Veto("not now") if len(_calls) % 2 and touch.stage.value == "spaced" else None


def test_a_good_guard_keeps_its_contract() -> None:
    assert kept(QuickGuard, function=tuesday) == {}


@pytest.mark.parametrize(
    ("guard", "promise", "says"),
    [
        (raises, "test_it_answers_and_does_not_raise", "it raised ValueError: ten past"),
        (nonsense, "test_it_answers_and_does_not_raise", "it answered 'no'"),
        (slow, "test_it_answers_within_50_ms", "ms to answer; the limit is 50 ms"),
        (moody, "test_it_says_the_same_when_asked_the_same", "and then"),
        (backwards, "test_it_never_asks_for_a_time_that_has_come", "it delays until"),
        (for_ever, "test_its_delays_come_to_an_end", "it still delays after 30 days"),
        (no_way_out, "test_it_lets_the_polite_exit_pass", "it vetoes the polite exit"),
    ],
)
def test_a_bad_guard_fails_with_one_sentence_and_a_minimal_history(
    guard: Callable[..., Any], promise: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contract, "time", CLOCK)
    failed = kept(QuickGuard, function=guard)
    sentence, _, title, *lines = failed.pop(promise).splitlines()
    assert says in sentence
    assert title == "The shortest history found:"
    assert json.loads(lines[0])["type"] == "ProspectAdded"
    if guard is not no_way_out:  # up to the exit it takes a few
        assert len(lines) <= 4
    assert failed == {}


@pytest.mark.parametrize("reply", [None, Veto("too late")])
def test_a_guard_that_does_not_return_fails_its_contract(
    reply: Veto | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contract, "_PATIENCE_SECONDS", 0.2)
    called, end = [], threading.Event()

    def hangs(prospect: object, touch: Any, at: datetime) -> Veto | None:
        called.append(at)
        end.wait(60)
        return reply

    failed = kept(QuickGuard, function=hangs)
    end.set()
    assert sorted(failed) == promises(QuickGuard)
    first, *others = failed.values()  # in the order of `promises`
    sentence, _, title, *lines = first.splitlines()
    assert sentence.endswith("it did not answer within 0.2 seconds")
    assert title == "The history:"
    assert json.loads(lines[0])["type"] == "ProspectAdded"
    assert all("it hung before, and is not called again" in said for said in others)
    assert len(called) == 1


def test_a_guard_may_be_named_as_in_a_file() -> None:
    class Named(GuardContract):
        guard = "bad_guards:silent"

    assert Named.function.__wrapped__(Named()) is bad_guards.silent  # type: ignore[attr-defined]


# As a team would run it ---------------------------------------------------------------------------


FEWER = [] if NIGHTLY else ["-p", "fewer_examples"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-c", "/dev/null", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=EXAMPLE,
        env={**os.environ, "PYTHONPATH": str(paths.TESTS / "support")},
    )


def test_the_good_example_passes_with_three_lines_each() -> None:
    done = run("test_our_way.py", *FEWER)
    assert done.returncode == 0, done.stdout
    assert "12 passed" in done.stdout
    source = (EXAMPLE / "test_our_way.py").read_text(encoding="utf-8")
    contract = re.findall(r"^(?:from cadence.*|class .*|    \w+ = .*)$", source, re.MULTILINE)
    assert len(contract) == 1 + 2 + 2


def test_the_bad_example_fails_and_shows_the_minimal_history() -> None:
    done = run("broken_test_pushy.py")
    assert done.returncode == 1
    assert "policy pushy breaks gap: spaced#3 comes 1 business day after" in done.stdout
    assert "once_more of policy pushy is never made: stopped by polite_exit" in done.stdout
    for says in (
        "it raised LookupError: who knows what is open there in November",
        "it delays until Mon",
        "it vetoes the polite exit: we never let go",
        "it answered GuardDelay(",
    ):
        assert says in done.stdout, says
    assert "Traceback" not in done.stdout
    assert done.stdout.count("The shortest history found:") >= 5
    assert '"type":"ProspectAdded"' in done.stdout


def test_nothing_else_needs_hypothesis_or_pytest() -> None:
    code = (
        "import sys; import cadence, cadence.cli.main, cadence.policy, cadence.replay; "
        "bad = {'hypothesis', 'pytest', 'cadence.testing'} & set(sys.modules); "
        "sys.exit(f'loaded {bad}' if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_parts_of_a_touch_that_were_logged_apart_are_one_attempt() -> None:
    at = datetime(2026, 12, 1, 14, tzinfo=UTC)
    parts = Part(EMAIL, Disposition.BOUNCED, "a@x.example"), Part(CALL, Disposition.BUSY, "+1")
    touch = AttemptStage.ON_TIME, "on_time", "p:1:1:on_time"
    datas = [ProspectAdded("Ann", "UTC"), *(AttemptMade((part,), *touch) for part in parts)]
    events = [
        Event("p", number, at + hours * timedelta(hours=1), at, data)
        for number, (hours, data) in enumerate(zip((0, 1, 7), datas, strict=True), 1)
    ]
    (attempt,) = Past(events, builtin()).attempts
    assert (attempt.version, attempt.occurred_at) == (2, events[1].occurred_at)
    assert isinstance(attempt.data, AttemptMade)
    assert attempt.data.parts == parts
