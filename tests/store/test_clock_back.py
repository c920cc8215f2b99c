"""A clock that goes back stops no fact from being recorded, and makes no hour a better one.

What another clock, which was ahead, has recorded still counts. Whether it is night or a Sunday for
the prospect is asked of the clock that shows the time now (ADR 0051).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from cadence import Cadence, Outcome, Refused
from cadence.audit.runner import audit
from cadence.domain import (
    AppointmentSet,
    AttemptMade,
    AutoReplyReceived,
    Channel,
    ContactPoint,
    ContactPointFailed,
    Disposition,
    FailureReason,
    FollowUpEnded,
    InterestNoted,
    Part,
    PauseRequested,
    ProspectAdded,
    ReplyReceived,
)
from cadence.engine import Command, MakeAttempt, Verdict
from cadence.engine.precheck import precheck
from cadence.policy.loader import builtin, parse_text
from cadence.policy.writer import to_toml

CALL = (Part(Channel("call"), Disposition.NO_ANSWER),)
BERLIN = ContactPoint(Channel("call"), "+49 30 1234567")
MONDAY = datetime(2026, 3, 9, 9, tzinfo=UTC)  # ten o'clock in Berlin
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
AHEAD = MONDAY + 2 * DAY
GUARDED = """
[[guards]]
kind = "frequency_cap"
attempts = 1
days = 3

[[guards]]
kind = "contact_window"
mon = ["09:00-12:00"]
tue = ["09:00-12:00"]
wed = ["09:00-12:00"]
"""


class Shop:
    """A store with one prospect in Berlin; each write says what its clock shows."""

    def __init__(self, app: Cadence) -> None:
        self.app = app
        added = ProspectAdded("Jo", "Europe/Berlin", "DE", contact_points=(BERLIN,))
        self.at(MONDAY - 5 * DAY, added)

    def at(self, now: datetime, command: Command) -> Outcome:
        """Carry out a command by a clock that shows ``now``."""
        return self.app.execute("p", command, at=now)

    def broken_by_a_call(self, now: datetime) -> tuple[str, ...]:
        """Log a call; to ask, to claim and to act strictly before that all say the same of it."""
        asked = precheck(self.app.load("p"), self.app.policies, now)
        refused: list[str | None] = []
        try:
            claim = self.app.claim("p", own=Channel("call"), by="kim", at=now)
        except Refused as error:
            refused.append(error.rule)
            with pytest.raises(Refused):
                self.at(now, MakeAttempt(CALL, is_strict=True))
        else:
            self.app.release(claim)
        logged = self.at(now, MakeAttempt(CALL)).events[-1].data
        assert isinstance(logged, AttemptMade)
        assert tuple(one.rule for one in asked.breaks) == logged.broke
        assert refused == list(logged.broke[:1])
        return logged.broke

    def found(self) -> set[str]:
        """Return the rules that the audit says were broken."""
        return {one.rule for page in audit(self.app) for one in page.findings}


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Cadence.open() as app:
        yield Shop(app)


def test_a_clock_that_went_back_decides_for_each_region_that_is_missing() -> None:
    noon = datetime(2026, 3, 2, 15, tzinfo=UTC)
    before = noon - timedelta(hours=30)
    with Cadence.open() as app:
        point = ContactPoint(Channel("call"), "+1 212 555 0100")
        added = ProspectAdded("Jo", "America/New_York", "US", contact_points=(point,))
        app.execute("jo", added, at=noon)
        app.execute("jo", MakeAttempt(CALL), at=noon)
        paused = app.execute("jo", PauseRequested(before + timedelta(days=1)), at=before)
        assert paused.decision.at is not None


# What hour it is ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "broke"),
    [
        (AHEAD - DAY, ()),
        (AHEAD - DAY - 6 * HOUR, ("quiet_hours", "business_hours")),
        (AHEAD - DAY + 10 * HOUR, ("business_hours",)),
        (MONDAY - DAY, ("business_hours",)),
        (MONDAY - DAY - 7 * HOUR, ("quiet_hours", "business_hours")),
    ],
)
@pytest.mark.parametrize("hour", [0, 13, 18])
def test_whether_they_may_be_called_now_is_asked_of_the_clock_of_now(
    shop: Shop, now: datetime, broke: tuple[str, ...], hour: int
) -> None:
    """Another clock recorded a reply of Wednesday: in business hours, in the evening, at night."""
    shop.at(AHEAD + hour * HOUR, ReplyReceived(Channel("email")))
    assert shop.broken_by_a_call(now) == broke
    assert shop.found() == set(broke[:1])  # one act is one finding


def test_what_is_claimed_is_what_is_due_by_the_clock_of_now(shop: Shop) -> None:
    """As of a note that another clock recorded, the appointment would have come."""
    shop.at(MONDAY, AppointmentSet(AHEAD - HOUR))
    shop.at(AHEAD, InterestNoted("less paper"))
    now = MONDAY + DAY
    assert shop.app.explain("p", now).verdict is Verdict.WAIT
    with pytest.raises(Refused):
        shop.app.claim("p", by="kim", at=now)
    assert "appointment" in shop.broken_by_a_call(now)
    assert "appointment" in shop.found()


# What is known ------------------------------------------------------------------------------------


def test_an_attempt_that_another_clock_recorded_counts_before_its_time(shop: Shop) -> None:
    for minutes in (0, 10, 20):
        shop.at(AHEAD + timedelta(minutes=minutes), MakeAttempt(CALL))
    broke = shop.broken_by_a_call(AHEAD - DAY)
    assert {"plan", "frequency"} <= set(broke)
    assert "quiet_hours" not in broke


@pytest.mark.parametrize("is_pause", [False, True])
def test_an_absence_holds_by_either_of_two_clocks(shop: Shop, is_pause: bool) -> None:
    """One of them was wrong, and it can't be told which."""
    if is_pause:
        shop.at(AHEAD, PauseRequested(AHEAD + 5 * DAY))
    else:
        shop.at(MONDAY, AutoReplyReceived(Channel("email"), AHEAD - HOUR))
        shop.at(AHEAD, InterestNoted("less paper"))
    assert "suspended" in shop.broken_by_a_call(AHEAD - DAY)
    assert "suspended" in shop.found()


def test_a_guard_of_hours_asks_the_clock_and_one_that_counts_forgets_nothing() -> None:
    text = to_toml(builtin()).replace('id = "tip8"', 'id = "guarded"') + GUARDED
    policy = parse_text(text, "guarded.toml")
    for hour, broke in ((0, set()), (2, {"contact_window"})):
        with Cadence.open(default=policy) as app:
            shop = Shop(app)
            shop.at(AHEAD, ReplyReceived(Channel("email")))
            assert set(shop.broken_by_a_call(MONDAY + DAY + hour * HOUR)) == broke
            assert shop.found() == broke
    for hour, broke in ((0, {"frequency_cap"}), (2, {"frequency_cap", "contact_window"})):
        with Cadence.open(default=policy) as app:
            shop = Shop(app)
            shop.at(AHEAD - HOUR, MakeAttempt(CALL))
            shop.at(AHEAD, ReplyReceived(Channel("email")))
            assert set(shop.broken_by_a_call(MONDAY + DAY + hour * HOUR)) == broke
            assert broke <= shop.found()


# What is to be closed -----------------------------------------------------------------------------


@pytest.mark.parametrize("behind", [HOUR, 3 * DAY])
def test_what_explain_would_close_is_closed_by_a_clock_that_is_behind(
    shop: Shop, behind: timedelta
) -> None:
    shop.at(MONDAY, MakeAttempt(CALL))
    lost = ContactPointFailed(Channel("call"), "+49 30 1234567", FailureReason.DISCONNECTED)
    shop.at(AHEAD, lost)
    now = AHEAD - behind
    assert shop.app.explain("p", now).verdict is Verdict.CLOSE
    assert [one.prospect for one in shop.app.due(now, verdicts=[*Verdict]).items] == ["p"]
    (closed,) = shop.app.tick(now)
    assert isinstance(closed.events[-1].data, FollowUpEnded)
    assert shop.app.explain("p", now).verdict is Verdict.STOP
