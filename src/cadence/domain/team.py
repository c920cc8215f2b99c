"""Define who follows up: the company and the owners of prospects, as scripts name them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from cadence.domain.channels import EMAIL, MAIL, VIDEO_EMAIL, Channel

__all__ = ["NO_TEAM", "Owner", "Team", "missing_facts", "owner_of"]


class Owner(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Someone who looks after prospects, under the id that events carry as ``owner``.

    Attributes:
        name: the full name, as prospects know it.
        phone: to call them back.
        email: to write to them.
        title: what they are in the company.
        signature: what ends an email and a letter, in lines; made of the rest where there is none.
        languages: those that they speak, by their codes; empty: any.
    """

    name: str | None = None
    phone: str | None = None
    email: str | None = None
    title: str | None = None
    signature: str | None = None
    languages: tuple[str, ...] = ()


class Team(msgspec.Struct, frozen=True):
    """Who follows up.

    Attributes:
        company: its name, as prospects know it.
        owners: by their ids.
        address: its postal address, in lines.
        callbacks: the numbers to call back, each with its country code. Scripts give an owner's own
            number, or else the one of the prospect's country, or else the first.
        opt_out: how a prospect says stop, as it is said to them, by language; ``""``: in any that
            has none of its own.
        language: the code of the language of who states none.
        languages: files of further languages, or in place of those that come with cadence, by code.
    """

    company: str | None = None
    owners: dict[str, Owner] = {}
    address: str | None = None
    callbacks: tuple[str, ...] = ()
    opt_out: dict[str, str] = {}
    language: str = "en"
    languages: dict[str, str] = {}


NO_TEAM: Final = Team()
"""A team of which nothing is known: texts do without it."""


def owner_of(team: Team, owner: str | None) -> tuple[str, Owner]:
    """Return who speaks to a prospect, with their id: the owner, or the only one the team has.

    Args:
        team: who follows up.
        owner: the prospect's owner; ``None``: they have none.

    Returns:
        An empty id and owner where none is known.
    """
    if owner is None and len(team.owners) == 1:
        (owner,) = team.owners
    return owner or "", team.owners.get(owner or "", Owner())


_WITH_ADDRESS: Final = frozenset({EMAIL, VIDEO_EMAIL, MAIL})
"""Each commercial email names a postal address (15 USC 7704(a)(5)), and a letter its sender's."""


def missing_facts(
    team: Team, owners: Iterable[str | None], channels: Iterable[Channel]
) -> list[str]:
    """Name the settings that messages lack, before anybody is contacted.

    Args:
        team: who follows up.
        owners: the owners of the prospects; ``None`` for prospects without one.
        channels: those on which they are contacted.
    """
    missing = [] if team.company else ["team.company"]
    found = sorted({owner_of(team, owner)[0] for owner in owners})
    missing += [
        f"team.owners.{one or 'OWNER'}.name"
        for one in found
        if not team.owners.get(one, Owner()).name
    ]
    phones = [team.owners.get(one, Owner()).phone for one in found]
    if not team.callbacks and not all(phones):
        missing.append("team.callbacks")
    if not team.address and not _WITH_ADDRESS.isdisjoint(channels):
        missing.append("team.address")
    return missing
