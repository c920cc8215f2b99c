"""In how many parts a text message is sent, against an independent count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cadence.messages.sms import sms_parts, sms_text

# 3GPP TS 23.038 table 6.2.1, typed row by row from the standard; the module has it as one string.
GSM = set(
    "@Δ 0¡P¿p£_!1AQaq$Φ\"2BRbr¥Γ#3CScsèΛ¤4DTdtéΩ%5EUeuùΠ&6FVfvìΨ'7GWgwòΣ(8HXhxÇΘ)9IYiy"
    "\nΞ*:JZjzØ+;KÄkäøÆ,<LÖlö\ræ-=MÑmñÅß.>NÜnüåÉ/?O§oà"
)
ESCAPED = set("^{}\\[~]|€\f")


def parts(text: str) -> int:
    """Fill parts one character after the other, as a phone does."""
    is_gsm = set(text) <= GSM | ESCAPED

    def units(char: str) -> int:
        if is_gsm:
            return 2 if char in ESCAPED else 1
        return len(char.encode("utf-16-le")) // 2

    room, joined = (160, 153) if is_gsm else (70, 67)
    if sum(map(units, text)) <= room:
        return bool(text)
    filled = [0]
    for char in text:
        if filled[-1] + units(char) > joined:
            filled.append(0)
        filled[-1] += units(char)
    return len(filled)


@given(st.text(alphabet=st.sampled_from([*"aé^€|á漢😀\n"]), max_size=400))
def test_parts_are_counted_as_a_phone_fills_them(text: str) -> None:
    assert sms_parts(text) == parts(text)


@given(st.text(max_size=200))
def test_any_text_has_as_many_parts_as_a_phone_fills(text: str) -> None:
    assert sms_parts(text) == parts(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        *(("", 0), ("a" * 160, 1), ("a" * 161, 2), ("a" * 306, 2), ("a" * 307, 3), ("€" * 80, 1)),
        *(("€" * 81, 2), ("á" * 70, 1), ("á" * 71, 2), ("😀" * 35, 1), ("😀" * 36, 2)),
    ],
)
def test_the_limits_of_the_standard(text: str, count: int) -> None:
    assert sms_parts(text) == count


@given(st.text(max_size=300))
def test_a_message_never_needs_more_parts_than_it_was_given(text: str) -> None:
    assert sms_parts(sms_text(text)) <= max(1, sms_parts(text)) + text.count("…")


def test_accents_are_left_out_only_where_that_saves_a_part() -> None:
    assert sms_text("Un no también está bien.") == "Un no también está bien."
    assert sms_text("Un no también está bien. " * 4).startswith(
        "Un no también esta bien."
    )  # é is one of theirs
    assert sms_text("¿Qué prefiere, “sí” o no?") == '¿Qué prefiere, "sí" o no?'
