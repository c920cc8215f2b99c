"""The short words for how a touch went: what of the touch they log, and where they are refused."""

from __future__ import annotations

import pytest
from histories import DAY, MINUTE, MONDAY, SENT, TIP8, added, after, attempt, fact, policy

from cadence.domain import Channel, Intent, Prospect
from cadence.domain.events import Disposition
from cadence.engine import next_touch
from cadence.engine.outcomes import OutcomeWord, parts_of
from cadence.errors import InputError
from cadence.policy import Policy

BOTH = policy("""
[[steps]]
id = "both"
stage = "spaced"
after = { business_days = 3 }
times = 3
parts = [{ channels = ["call"], script = "spaced" }, { channels = ["email"], script = "spaced" }]
""")
DUE = MONDAY + 3 * DAY
CALLED = after(added(), attempt(MONDAY))


def logged(
    prospect: Prospect, word: str, under: Policy = BOTH, intent: Intent | None = None
) -> list[tuple[str, Disposition]]:
    decision = next_touch(prospect, under, DUE)
    parts = parts_of(prospect, under, decision, OutcomeWord(word), DUE, intent)
    assert all(part.address for part in parts)
    return [(part.channel, part.disposition) for part in parts]


@pytest.mark.parametrize(
    ("word", "disposition"),
    [
        ("na", Disposition.NO_ANSWER),
        ("vm", Disposition.VOICEMAIL_LEFT),
        ("busy", Disposition.BUSY),
        ("talked", Disposition.CONNECTED),
        ("wrong", Disposition.WRONG_NUMBER),
    ],
)
def test_a_word_of_a_call_logs_the_call_of_the_touch(word: str, disposition: Disposition) -> None:
    assert logged(CALLED, word) == [("call", disposition)]


def test_sent_logs_what_is_written() -> None:
    assert logged(CALLED, "sent") == [("email", Disposition.SENT)]


def test_sent_after_the_voicemail_logs_the_email_of_the_same_touch() -> None:
    voicemail = fact(CALLED, DUE, under=BOTH)
    made = after(added(), attempt(MONDAY), (DUE, voicemail))
    decision = next_touch(made, BOTH, DUE + 4 * MINUTE)
    parts = parts_of(made, BOTH, decision, OutcomeWord.SENT, DUE + 4 * MINUTE)
    assert [(part.channel, part.disposition) for part in parts] == [("email", Disposition.SENT)]
    email = fact(made, DUE + 4 * MINUTE, parts, under=BOTH)
    assert (email.touch, email.broke) == (voicemail.touch, ())


def test_what_they_want_is_kept_where_they_talked() -> None:
    decision = next_touch(CALLED, BOTH, DUE)
    parts = parts_of(CALLED, BOTH, decision, OutcomeWord.TALKED, DUE, Intent.NO)
    assert [part.intent for part in parts] == [Intent.NO]


def test_a_word_that_the_touch_has_no_part_for_is_refused_with_its_channels() -> None:
    with pytest.raises(InputError, match="invalid outcome sent of spaced#2, which is by call"):
        logged(CALLED, "sent", TIP8)
    with pytest.raises(InputError, match="no touch is next that na can be about"):
        logged(after(added()), "na")


def test_a_text_logged_alone_is_not_taken_for_the_touch() -> None:
    assert Channel("email") in {part.channel for part in SENT}
    assert fact(CALLED, DUE, SENT, under=TIP8).touch is None
