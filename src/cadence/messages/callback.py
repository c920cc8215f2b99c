"""Choose the number to call back, and write it as it is dialled."""

from __future__ import annotations

import phonenumbers

from cadence.domain.team import Owner, Team

__all__ = ["callback_for"]


def callback_for(team: Team, owner: Owner, country: str | None) -> str:
    """Return the number to call back, as it is dialled in ``country``.

    An owner's own number comes first, then the team's number of that country, then its first one.
    Empty where there is none.
    """
    numbers = [owner.phone] if owner.phone else list(team.callbacks)
    regions = [_region(number) for number in numbers]
    if country in regions:
        return _dialled(numbers[regions.index(country)], country)
    return _dialled(numbers[0], country) if numbers else ""


def _region(number: str) -> str | None:
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return None


def _dialled(number: str, country: str | None) -> str:
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    home = phonenumbers.region_code_for_number(parsed) == country
    form = phonenumbers.PhoneNumberFormat
    return phonenumbers.format_number(parsed, form.NATIONAL if home else form.INTERNATIONAL)
