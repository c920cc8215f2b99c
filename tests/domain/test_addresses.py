"""Addresses are read into keys: one address is one, however it is spelled."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cadence.domain import addresses
from cadence.domain.addresses import UNUSABLE, address_key, covers, key_or_unusable
from cadence.domain.channels import CALL, EMAIL, MAIL, AddressKind, Channel, check_channel
from cadence.errors import InputError

NUMBER = "+12125550100"


def phone(text: str, country: str | None = None) -> str:
    return key_or_unusable(AddressKind.PHONE, CALL, text, country)


def email(text: str) -> str:
    return key_or_unusable(AddressKind.EMAIL, EMAIL, text, None)


@pytest.mark.parametrize(
    ("text", "country"),
    [
        (NUMBER, None),
        ("+1 212 555 0100", None),
        ("+1 (212) 555-0100", None),
        ("(212) 555-0100", "US"),
        ("212.555.0100", "US"),
        ("001 212 555 0100", "DE"),
        ("tel:+1-212-555-0100", None),
        ("TEL:+12125550100", None),
        ("\u202a+1\u00a0212 555 0100\u202c", None),
        ("+١٢١٢٥٥٥٠١٠٠", None),
        ("＋１２１２５５５０１００", None),
        ("+1 212 555\u20110100", None),
    ],
)
def test_every_spelling_of_a_number_has_one_key(text: str, country: str | None) -> None:
    assert phone(text, country) == NUMBER


@pytest.mark.parametrize(
    "text",
    ["212 555 0100 x12", "212 555 0100 ext. 12", "+12125550100;ext=12", "tel:+12125550100;ext=12"],
)
def test_an_extension_is_a_part_of_the_key(text: str) -> None:
    assert phone(text, "US") == f"{NUMBER};ext=12"


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("", "US"),
        ("   ", "US"),
        ("555-0100", "US"),
        ("+1 555 0100", None),
        ("212 555 0100", None),
        ("911", "US"),
        ("112", "DE"),
        ("12345", "US"),
        ("+", None),
        ("call me", "US"),
        # Letters are no digits: of "212 555 home" they would make another's number.
        ("1-800-FLOWERS", "US"),
        ("+1-800-FLOWERS", None),
        ("212 555 home", "US"),
        ("+1 212 555 0100 or +1 212 555 0101", None),
        ("+1 212 555 0100, +1 212 555 0101", None),
        ("+1 212 555 0100 / 0101", None),
        ("2125550100/2125550101", "US"),
        ("ann@example.com", "US"),
        ("9" * 10_000, "US"),
        ("+1 212 555 0100 " * 600, None),
    ],
)
def test_what_is_no_one_number_is_unusable(text: str, country: str | None) -> None:
    assert phone(text, country) == UNUSABLE
    with pytest.raises(InputError) as caught:
        address_key(AddressKind.PHONE, CALL, text, country)
    assert "\n" not in caught.value.what
    assert len(caught.value.what) < 600


def test_a_refused_number_says_how_to_give_it() -> None:
    with pytest.raises(InputError) as caught:
        address_key(AddressKind.PHONE, CALL, "212 555 0100", None)
    assert caught.value.what == "call: invalid phone number '212 555 0100'"
    assert "with its country code" in caught.value.hint


@pytest.mark.parametrize("country", ["US", "GU", "MP", "PR", "CA"])
@pytest.mark.parametrize(
    "text", ["671 555 0100", "(671) 555-0100", "1 671 555 0100", "+16715550100"]
)
def test_a_number_of_a_territory_is_one_in_every_country_of_its_plan(
    text: str, country: str
) -> None:
    """Guam, the Marianas and the States share +1; who dials makes no other number of it."""
    assert phone(text, country) == "+16715550100"


@given(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)), st.data())
def test_the_written_forms_of_an_example_number_have_one_key(
    region: str, draw: st.DataObject
) -> None:
    number = phonenumbers.example_number(region)
    if number is None or not phonenumbers.is_possible_number(number):
        return
    forms = [
        phonenumbers.format_number(number, form)
        for form in (
            phonenumbers.PhoneNumberFormat.E164,
            phonenumbers.PhoneNumberFormat.INTERNATIONAL,
            phonenumbers.PhoneNumberFormat.RFC3966,
        )
    ]
    assert len({phone(one) for one in forms}) == 1
    assert phone(forms[0]).startswith("+")


@pytest.mark.parametrize(
    "text",
    ["ann@example.com", "Ann@Example.COM", " ann@example.com\u200f", "mailto:ann@example.com"],
)
def test_every_spelling_of_an_email_address_has_one_key(text: str) -> None:
    assert email(text) == "ann@example.com"


def test_an_international_domain_has_one_key_in_both_forms() -> None:
    assert email("jo@münchen.de") == email("jo@xn--mnchen-3ya.de") == "jo@münchen.de"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ann",
        "ann@",
        "ann@localhost",
        "ann@example.com; bea@example.com",
        "Ann <ann@example.com>",
        "a" * 10_000 + "@example.com",
        NUMBER,
    ],
)
def test_what_is_no_one_email_address_is_unusable(text: str) -> None:
    assert email(text) == UNUSABLE


@example("+1 212 555 0100")
@example("+1(212)555-0100")
@example("+1 (212 555-0100")
@given(st.from_regex(r"\+1[ .()-]{0,2}\d{3}[ .()-]{0,2}\d{3}[ .-]?\d{4}", fullmatch=True))
def test_a_north_american_number_has_the_key_that_its_parser_gives_it(text: str) -> None:
    try:
        parsed = addresses._parsed_phone(text, CALL, None)
    except InputError:
        parsed = UNUSABLE
    assert phone(text, None) == parsed


@example("Ann@Example.com")
@example("ann@localhost")
@example("ann@EXAMPLE.COM.")
@example("ann@a@example.com")
@example("ann@xn--mnchen-3ya.de")
@example("ann@[127.0.0.1]")
@given(
    st.from_regex(r"[A-Za-z0-9_.+-]{1,22}@[A-Za-z0-9.-]{1,20}(com|de|test|local)?", fullmatch=True)
    | st.emails()
)
def test_an_email_address_has_the_key_that_its_parser_gives_it(text: str) -> None:
    try:
        parsed = addresses._parsed_email(text, text, EMAIL)
    except InputError:
        parsed = UNUSABLE
    assert email(text) == parsed


def test_letters_that_only_look_alike_are_other_addresses() -> None:
    assert email("jo@exаmple.com") != email("jo@example.com")


def test_a_postal_address_has_case_and_space_folded() -> None:
    key = address_key(AddressKind.POST, MAIL, " 1  Main\nSTREET ", None)
    assert key == "1 main street"


def test_a_handle_is_another_on_another_channel() -> None:
    keys = {
        address_key(AddressKind.HANDLE, Channel(channel), name, None)
        for channel in ("telegram", "linkedin")
        for name in ("@Ann", "ann")
    }
    assert keys == {"telegram:ann", "linkedin:ann"}


@given(st.text(max_size=60), st.sampled_from(AddressKind))
def test_any_text_is_read_or_is_an_input_error(text: str, kind: AddressKind) -> None:
    key = key_or_unusable(kind, CALL, text, "US")
    try:
        assert address_key(kind, CALL, text, "US") == key
    except InputError:
        assert key == UNUSABLE


@given(st.text(max_size=30), st.sampled_from(AddressKind))
def test_a_key_is_its_own_key(text: str, kind: AddressKind) -> None:
    key = key_or_unusable(kind, CALL, text, "US")
    if key and kind is not AddressKind.HANDLE:
        assert key_or_unusable(kind, CALL, key, None) == key


def test_a_word_on_a_number_covers_its_extensions_and_not_the_reverse() -> None:
    assert covers(NUMBER, NUMBER)
    assert covers(NUMBER, f"{NUMBER};ext=12")
    assert not covers(f"{NUMBER};ext=12", NUMBER)
    assert not covers(NUMBER, "+121255501001")


@pytest.mark.parametrize("name", ["", "Call", "by fax", "1st", "a-b", "x" * 41, "ärger"])
def test_a_channel_that_is_not_well_written_is_refused(name: str) -> None:
    with pytest.raises(InputError):
        check_channel(name)
