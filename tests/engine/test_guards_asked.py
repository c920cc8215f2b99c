"""Which guards are asked about an attempt or an appointment, and about what."""

from __future__ import annotations

from datetime import datetime

import pytest
from guarded_policy import guarded
from histories import DAY, HOUR, MONDAY, added, after, attempt, fact

from cadence.domain import Prospect
from cadence.engine import SetAppointment, decide
from cadence.errors import Refused
from cadence.policy import Policy, Rule, Touch, Veto


def ours(**functions: str) -> Policy:
    """A policy with these functions as guards, by the id of each, in this order."""
    return guarded(
        *(
            f'kind = "custom"\nid = "{name}"\nfunction = "{function}"\nversion = 1'
            for name, function in functions.items()
        )
    )


def says_what_it_sees(prospect: Prospect, touch: Touch, at: datetime) -> Veto:
    parts = ", ".join(f"{part.channel} {part.address} {part.script}" for part in touch.parts)
    return Veto(f"{touch.id} {touch.stage} {touch.step} on {parts}")


def test_every_guard_that_objects_is_named_also_behind_one_that_fails() -> None:
    policy = ours(first="bad_guards:tomorrow", broken="bad_guards:raises", last="bad_guards:seven")
    made = fact(after(added(), attempt(MONDAY)), MONDAY + HOUR, under=policy)
    assert made.broke == ("first", Rule.GUARD)
    policy = ours(
        broken="bad_guards:raises", silent="bad_guards:silent", last="bad_guards:tomorrow"
    )
    made = fact(after(added(), attempt(MONDAY)), MONDAY + HOUR, under=policy)
    assert made.broke == (Rule.GUARD, "last")


def test_a_guard_is_asked_about_an_appointment_as_about_its_on_time_touch() -> None:
    with pytest.raises(Refused) as caught:
        decide(
            after(added()),
            SetAppointment(MONDAY + DAY),
            ours(ours="test_guards_asked:says_what_it_sees"),
            MONDAY,
        )
    assert caught.value.rule == "ours"
    assert caught.value.until is None
    assert "kim:appointment on_time on_time on call +1 on_time" in caught.value.what
