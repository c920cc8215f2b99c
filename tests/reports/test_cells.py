"""What a notebook shows of a decision, a policy and a history."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest
import unmeasured

from cadence import Cadence, Decision, builtin
from cadence.domain import (
    Channel,
    ContactPoint,
    Disposition,
    EndReason,
    FollowUpEnded,
    InterestNoted,
    Part,
    ProspectAdded,
    ReplyReceived,
)
from cadence.engine import MakeAttempt, SetAppointment, Undo
from cadence.errors import InputError
from cadence.policy.loader import builtin_names
from cadence.replay import History
from cadence.reports.cells import cell

NOW = datetime(2026, 12, 1, 14, tzinfo=UTC)  # 9:00 in New York
CALL = Channel("call")
NASTY = '<script>alert("x")</script>'


@pytest.fixture
def app() -> Cadence:
    app = Cadence.open()
    phone = ContactPoint(CALL, "+1 212 555 0100")
    added = ProspectAdded(NASTY, "America/New_York", "US", contact_points=(phone,))
    app.execute("jo", added, at=NOW - timedelta(days=1))
    app.execute("jo", SetAppointment(NOW), at=NOW - timedelta(days=1))
    return app


class _Tags(HTMLParser):
    """Sees whether every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def html(value: object) -> str:
    """What a notebook asks for, once it is found to be whole and harmless."""
    shown: str = value._repr_html_()  # type: ignore[attr-defined]
    tags = _Tags()
    tags.feed(shown)
    assert tags.open == []
    assert "<script" not in shown
    return shown


def words(shown: str) -> str:
    return " ".join(re.sub("<[^>]+>", " ", shown.partition("</style>")[2]).split())


def decisions(app: Cadence) -> dict[str, Decision]:
    """One of each kind."""
    made = {"wait": app.explain("jo", NOW - timedelta(hours=1)), "due": app.explain("jo", NOW)}
    app.execute("jo", ReplyReceived(CALL), at=NOW)
    app.execute("jo", Undo(), at=NOW)
    app.execute("kim", ProspectAdded("Kim", "UTC"), at=NOW)
    made["task"] = app.explain("kim", NOW)
    app.execute("kim", FollowUpEnded(EndReason.BOUGHT), at=NOW)
    made["stop"] = app.explain("kim", NOW)
    return made


def test_a_decision_is_shown_with_its_time_and_reasons(app: Cadence) -> None:
    for kind, decision in decisions(app).items():
        shown = words(html(decision))
        assert shown.startswith(f"{kind} {decision.prospect} , {decision.stage}")
        for reason in decision.reasons:
            assert f"{reason.rule} {reason.because}" in shown.replace("&#39;", "'")
        if decision.at is not None:
            assert f"{decision.at:%Y-%m-%d %H:%M} UTC" in shown
        assert "policy tip8 version 1" in shown


def test_a_claim_is_shown_with_its_decision(app: Cadence) -> None:
    app.claim("jo", by="ann", at=NOW)
    assert "claimed by ann until" in words(html(app.explain("jo", NOW)))


@pytest.mark.parametrize("name", builtin_names())
def test_a_policy_is_shown_as_a_timetable(name: str) -> None:
    policy = builtin(name)
    shown = words(html(policy))
    assert shown.startswith(policy.title.replace("'", "&#39;"))
    assert f"{policy.id} version {policy.version}" in shown
    assert all(step.id in shown for step in policy.steps if step.id == "polite_exit")


def test_a_history_is_shown_event_by_event(app: Cadence) -> None:
    app.execute("jo", MakeAttempt((Part(CALL, Disposition.NO_ANSWER),)), at=NOW)
    app.execute("jo", InterestNoted("y" * 500), at=NOW)
    app.execute("jo", Undo(version=4), at=NOW)
    history = History(app.history("jo"), app.policies)
    shown = words(html(history))
    assert shown.startswith("&lt;script&gt;")
    assert "3 Tue 2026-12-01 09:00 AttemptMade on_time: call no_answer on_time wait until" in shown
    assert "y" * 81 not in shown  # long texts are cut
    assert "taken back by event 5" in shown
    assert [step.event.version for step in history] == [1, 2, 3, 4, 5]
    assert repr(history) == "History('jo', 5 steps, on_time)"


def test_a_history_up_to_an_instant_shows_what_was_next_then(app: Cadence) -> None:
    history = History(app.history("jo"), app.policies, NOW - timedelta(hours=1))
    assert len(history) == 2
    assert "wait until Tue 2026-12-01 09:00: on_time: call" in words(html(history))
    with pytest.raises(InputError, match="nothing had been recorded by then"):
        History(app.history("jo"), app.policies, NOW - timedelta(days=9))


def test_what_a_notebook_shows_is_no_part_of_the_value(app: Cadence) -> None:
    decision = app.explain("jo", NOW)
    assert pickle.loads(pickle.dumps(decision)) == decision
    assert not hasattr(decision, "__dict__")
    with pytest.raises(TypeError, match="int has no cell"):
        cell(3)


def test_nothing_of_it_is_loaded_before_a_notebook_asks() -> None:
    code = (
        "import sys, cadence; assert 'jinja2' not in sys.modules;"
        "assert 'cadence.reports' not in sys.modules; cadence.builtin()._repr_html_();"
        "assert 'cadence.reports.cells' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=unmeasured.environment())
