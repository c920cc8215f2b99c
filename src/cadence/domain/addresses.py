"""Read addresses into address keys, so that one address is one, however it is spelled.

``+12125550100``, ``+1 (212) 555-0100`` and ``tel:+1-212-555-0100`` are one number. Events carry
the key beside the address as it was given. Comparisons, failures, opt-outs, caps and look-ups use
keys only. A key is computed once, where an address is recorded; the fold never computes one.

A phone number is in E.164 form, with ``;ext=`` for an extension. An email address is in lower
case. A postal address has case and white space folded. A handle carries its channel, because the
same name on another platform is another person.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

from cadence.domain.channels import AddressKind, Channel
from cadence.errors import InputError

__all__ = [
    "UNUSABLE",
    "address_key",
    "bare",
    "covers",
    "is_elsewhere",
    "key_elsewhere",
    "key_or_unusable",
    "lacks_country",
]

UNUSABLE: Final = ""
"""The key of an address that can't be read: it is kept and shown, and never used."""

_ELSEWHERE: Final = "elsewhere:"
_LONGEST: Final = 500  # characters: no address of any kind is longer
_EXTENSION: Final = ";ext="
_NATIONAL_DIGITS: Final = range(6, 16)  # a shorter number is a local one; E.164 ends at fifteen
_PHONE_SCHEME: Final = re.compile(r"(?:tel|sms|callto|whatsapp):", re.IGNORECASE)
_MAIL_SCHEME: Final = re.compile(r"mailto:", re.IGNORECASE)
# What a number may be written with: digits of any script, signs between them, an extension. A
# word or a second number in the same cell is none of these.
_PHONE: Final = re.compile(
    r"[\d\s+()./\-\u2010-\u2015\u00ad\uff0b]+(?:(?:;?\s*ext?\.?n?\s*[.:=]?|extension|x|#)\s*\d+)?",
    re.IGNORECASE,
)

# Most addresses of a list are of these forms, and to parse each takes half of its import. Their
# keys are the same without: the tests hold both ways against each other.
_NORTH_AMERICAN: Final = re.compile(
    r"\+1[ .-]?\(?([2-9]\d{2})\)?[ .-]?(\d{3})[ .-]?(\d{4})", re.ASCII
)
_PLAIN_MAILBOX: Final = re.compile(r"[a-z0-9_+-]{1,20}(?:\.[a-z0-9_+-]{1,20}){0,2}")
_LONGEST_DOMAIN: Final = 100


def address_key(kind: AddressKind, channel: Channel, address: str, country: str | None) -> str:
    """Return the key of ``address``.

    Args:
        kind: what the addresses of the channel are.
        channel: the channel, which is part of a handle's key.
        address: as it was typed.
        country: ISO 3166 code of the country in which a national number is read.

    Raises:
        InputError: it can't be an address of this kind.
    """
    text = _plain(address)
    if not text:
        raise InputError(f"{channel}: missing address", "give one address")
    if len(text) > _LONGEST:
        raise InputError(
            f"{channel}: invalid address {text[:20]!r}…, {len(text)} characters long",
            "give one address",
        )
    if kind is AddressKind.PHONE:
        return _phone(text, channel, country)
    if kind is AddressKind.EMAIL:
        return _email(text, channel)
    folded = " ".join(text.casefold().split())
    if kind is AddressKind.HANDLE:
        return f"{channel}:{folded.removeprefix('@')}"
    return folded


def key_or_unusable(kind: AddressKind, channel: Channel, address: str, country: str | None) -> str:
    """Return the key of ``address``, or :data:`UNUSABLE` where it can't be one."""
    try:
        return address_key(kind, channel, address, country)
    except InputError:
        return UNUSABLE


def lacks_country(address: str) -> bool:
    """Return whether an address may be a phone number that only lacks its country."""
    text = _plain(address)
    number = _PHONE_SCHEME.sub("", text, count=1).strip()
    digits = sum(sign.isdigit() for sign in number)
    is_national = not number.startswith("+") and digits in _NATIONAL_DIGITS
    return is_national and _PHONE.fullmatch(number) is not None


def key_elsewhere(channel: Channel) -> str:
    """Return the key of an address that only another system knows, such as the CRM's dialler.

    It can be used, and it is never the same as an address of another prospect.
    """
    return f"{_ELSEWHERE}{channel}"


def is_elsewhere(key: str | None) -> bool:
    """Return whether only another system knows the address of ``key``."""
    return key is not None and key.startswith(_ELSEWHERE)


def bare(key: str) -> str:
    """Return the key of a number without its extension; any other key as it is."""
    return key.partition(_EXTENSION)[0]


def covers(key: str, other: str) -> bool:
    """Return whether a word about ``key`` also holds for ``other``.

    A word about a bare number covers its extensions; one about an extension covers only that.
    """
    return key == other or other.startswith(f"{key}{_EXTENSION}")


def _plain(address: str) -> str:
    """``address`` without invisible characters, in one Unicode form.

    Marks for right-to-left text come with copied numbers. Full-width letters are the same letters.
    Letters that only look alike (homoglyphs) stay apart: they are other addresses.
    """
    if address.isascii():
        return address.strip()  # pragma: no mutate (only saves time)
    normal = unicodedata.normalize("NFKC", address)
    return "".join(one for one in normal if unicodedata.category(one) != "Cf").strip()


def _phone(text: str, channel: Channel, country: str | None) -> str:
    plain = _NORTH_AMERICAN.fullmatch(text)
    if plain is not None:
        return f"+1{plain[1]}{plain[2]}{plain[3]}"
    return _parsed_phone(text, channel, country)


def _parsed_phone(text: str, channel: Channel, country: str | None) -> str:
    # Imported here: it is slow to load, and reading a history needs no number parsed.
    from phonenumbers import (
        NumberParseException,
        PhoneNumberFormat,
        ValidationResult,
        format_number,
        is_possible_number_with_reason,
        parse,
    )

    number = _PHONE_SCHEME.sub("", text, count=1).strip() if _PHONE_SCHEME.match(text) else text
    try:
        if _PHONE.fullmatch(number) is None:
            raise NumberParseException(NumberParseException.NOT_A_NUMBER, "")
        read = parse(number, country)
    except NumberParseException:
        read = None
    if read is None or is_possible_number_with_reason(read) != ValidationResult.IS_POSSIBLE:
        raise InputError(
            f"{channel}: invalid phone number {text!r}",
            "give it with its country code, like +1 212 555 0100",
        )
    key = format_number(read, PhoneNumberFormat.E164)
    return f"{key}{_EXTENSION}{read.extension}" if read.extension else key


def _email(text: str, channel: Channel) -> str:
    bare = text
    if _MAIL_SCHEME.match(text):
        bare = _MAIL_SCHEME.sub("", text, count=1).partition("?")[0]
    folded = bare.lower()
    mailbox, _, domain = folded.partition("@")
    is_plain = len(domain) <= _LONGEST_DOMAIN and _PLAIN_MAILBOX.fullmatch(mailbox) is not None
    if is_plain and domain.isascii() and _is_usual(domain):
        return folded
    return _parsed_email(bare, text, channel)


@lru_cache(maxsize=4096)
def _is_usual(domain: str) -> bool:
    """Whether an address at ``domain`` is its own key."""
    address = f"a@{domain}"
    try:
        return _parsed_email(address, address, Channel("email")) == address
    except InputError:
        return False


def _parsed_email(bare: str, text: str, channel: Channel) -> str:
    # Imported here: it is slow to load, and reading a history needs no address parsed.
    from email_validator import EmailNotValidError, validate_email

    try:
        return validate_email(bare, check_deliverability=False).normalized.casefold()
    except EmailNotValidError:
        raise InputError(
            f"{channel}: invalid email address {text!r}", "give one address, like ann@example.com"
        ) from None
