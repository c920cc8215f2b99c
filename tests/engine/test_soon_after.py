"""An attempt minutes after one on the same channel is the same one, unless a policy plans it."""

from datetime import UTC, datetime, timedelta

import pytest

from cadence.domain import ContactPoint, Disposition, Part, ProspectAdded
from cadence.domain.channels import CALL
from cadence.engine import Due, MakeAttempt, SetAppointment
from cadence.errors import Refused
from cadence.policy import Policy
from cadence.policy.loader import parse_text
from cadence.store import Cadence

MEETING = datetime(2026, 12, 1, 15, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
STRICT = MakeAttempt((Part(CALL, Disposition.NO_ANSWER),), is_strict=True)
TEXT = """
id = "soon"
version = 1
title = "Soon"
source = "a test"
horizon_business_days = 90
task_business_days = 2
[calendar]
mon = ["09:00-17:00"]
tue = ["09:00-17:00"]
wed = ["09:00-17:00"]
thu = ["09:00-17:00"]
fri = ["09:00-17:00"]
[[steps]]
id = "on_time"
stage = "on_time"
at = "appointment"
parts = [{ channels = ["call"], script = "on_time" }]
[[steps]]
id = "ten_minutes"
stage = "ten_minutes"
after = { minutes = MINUTES }
parts = [{ channels = ["call"], script = "ten_minutes" }]
[[steps]]
id = "spaced"
stage = "spaced"
after = { business_days = 3 }
times = 4
parts = [{ channels = ["call"], script = "spaced" }]
[[steps]]
id = "polite_exit"
stage = "polite_exit"
after = { business_days = 3 }
answer_within = { business_days = 5 }
parts = [{ channels = ["call"], script = "polite_exit" }]
"""


def policy(minutes: int) -> Policy:
    return parse_text(TEXT.replace("MINUTES", str(minutes)), "soon.toml")


def called(minutes: int) -> Cadence:
    app = Cadence.open(default=policy(minutes), use_unproved_policies=True)
    point = ContactPoint(CALL, "+1 212 555 0100")
    added = ProspectAdded("Jo", "America/New_York", "US", "NY", (point,))
    app.execute("jo", added, at=MEETING - 60 * MINUTE)
    app.execute("jo", SetAppointment(MEETING), at=MEETING - 60 * MINUTE)
    app.execute("jo", STRICT, at=MEETING)
    return app


def test_a_touch_that_is_planned_two_minutes_later_is_in_order_when_it_is_due() -> None:
    app = called(2)
    assert isinstance(app.explain("jo", MEETING + 2 * MINUTE), Due)
    (made,) = app.execute("jo", STRICT, at=MEETING + 2 * MINUTE).events
    assert made.data.stage == "ten_minutes"  # type: ignore[union-attr]
    with pytest.raises(Refused):  # and the one after it is days away
        app.execute("jo", STRICT, at=MEETING + 4 * MINUTE)


def test_an_attempt_before_its_time_is_the_same_one_once_more() -> None:
    with pytest.raises(Refused):
        called(10).execute("jo", STRICT, at=MEETING + 2 * MINUTE)
