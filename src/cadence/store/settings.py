"""Keep the team's settings with the store: default policy, default region, company and owners.

The table is only added to, so it also says who changed what and when. A value comes from the first
of these that has one: the code that opened the store, the team file, the table, what is built in
(ADR 0037).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from cadence.domain.events import PolicyRef
from cadence.domain.limits import check_texts
from cadence.errors import InputError, did_you_mean
from cadence.policy.model import Policy
from cadence.store.due_list import to_micros
from cadence.store.recorder import DueRecorder, SettingRow
from cadence.worktime.zones import country_codes

__all__ = [
    "DEFAULT_POLICY",
    "Origin",
    "Owner",
    "Setting",
    "SettingChange",
    "SettingValue",
    "Settings",
    "SettingsTable",
    "Team",
    "check_value",
]

DEFAULT_POLICY: Final = "default_policy"
_REGION: Final = "default_region"
_COMPANY: Final = "team.company"
_OWNERS: Final = "team.owners."
_OWNER_FIELDS: Final = ("name", "phone", "email")
_OWNER: Final = re.compile(rf"team\.owners\.(.+)\.({'|'.join(_OWNER_FIELDS)})")
# Shown in hints; an owner's id stands for NAME.
_NAMES: Final = (
    *(DEFAULT_POLICY, _REGION, _COMPANY),
    *(f"{_OWNERS}NAME.{field}" for field in _OWNER_FIELDS),
)

SettingValue = str | Policy | None
"""What a setting is changed to: a policy for ``default_policy``, a text for the others; ``None``
takes it away."""


class Owner(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Someone who looks after prospects, under the id that events carry as ``owner``.

    Attributes:
        name: as prospects know them.
        phone: to call them back.
        email: to write to them.
    """

    name: str | None = None
    phone: str | None = None
    email: str | None = None


class Team(msgspec.Struct, frozen=True):
    """Who follows up.

    Attributes:
        company: its name, as prospects know it.
        owners: by their ids.
    """

    company: str | None = None
    owners: dict[str, Owner] = {}


class Origin(StrEnum):
    """Where a value comes from; the first of these that has one counts."""

    CODE = "code"
    FILE = "file"
    STORE = "store"
    BUILTIN = "builtin"


class SettingChange(msgspec.Struct, frozen=True):
    """A change that was recorded in the table.

    Attributes:
        value: what it was changed to; ``None``: it was taken away.
        by: who changed it.
        at: when.
    """

    value: str | PolicyRef | None
    by: str
    at: datetime


class Setting(msgspec.Struct, frozen=True):
    """One value, where it comes from, and how the table's was changed.

    Attributes:
        name: such as ``default_region`` or ``team.owners.ann.phone``.
        value: ``None`` where there is none.
        source: where it comes from.
        changes: of the table, oldest first; also where another source counts.
    """

    name: str
    value: str | PolicyRef | None
    source: Origin
    changes: tuple[SettingChange, ...] = ()


class Settings(msgspec.Struct, frozen=True):
    """The values that count.

    Attributes:
        default_policy: the policy of a prospect that is given none.
        default_region: the ISO 3166 country by which a phone number without a country code is read
            where the prospect has no country.
        team: who follows up.
        entries: each value with where it comes from.
    """

    default_policy: PolicyRef
    default_region: str | None
    team: Team
    entries: tuple[Setting, ...]


class SettingsTable:
    """The settings of a recorder, under what the code and the team file say."""

    def __init__(
        self, recorder: DueRecorder, *, default: Policy | None, file: Mapping[str, str]
    ) -> None:
        """Args:
        recorder: keeps the table.
        default: the default policy that the code gave.
        file: what the team file gives, by the names of the settings.
        """
        self._recorder = recorder
        self._default = default
        self._file = file

    def current(self, builtin: PolicyRef) -> Settings:
        """Read the values that count.

        Args:
            builtin: the default policy where no source has one.

        Raises:
            StoreError: the database can't be read.
        """
        changes: dict[str, list[SettingChange]] = {}
        for row in self._recorder.select_settings():
            changes.setdefault(row.name, []).append(_read(row))
        stored = {name: found[-1].value for name, found in changes.items()}
        policy, source = self._policy(stored.get(DEFAULT_POLICY), builtin)
        entries = [Setting(DEFAULT_POLICY, policy, source, tuple(changes.get(DEFAULT_POLICY, ())))]
        owners = {name for name in (*self._file, *stored) if name.startswith(_OWNERS)}
        for name in (_REGION, _COMPANY, *sorted(owners)):
            sources = ((self._file, Origin.FILE), (stored, Origin.STORE))
            given = [(values[name], origin) for values, origin in sources if values.get(name)]
            value, source = given[0] if given else (None, Origin.BUILTIN)
            entries.append(Setting(name, value, source, tuple(changes.get(name, ()))))
        texts = {one.name: one.value for one in entries if isinstance(one.value, str)}
        team = Team(texts.get(_COMPANY), _owners(texts))
        return Settings(policy, texts.get(_REGION), team, tuple(entries))

    def _policy(
        self, stored: str | PolicyRef | None, builtin: PolicyRef
    ) -> tuple[PolicyRef, Origin]:
        if self._default is not None:
            return self._default.ref, Origin.CODE
        if isinstance(stored, PolicyRef):
            return stored, Origin.STORE
        return builtin, Origin.BUILTIN

    def default_policy(self) -> PolicyRef | None:
        """Read the table's default policy; ``None`` if it has none."""
        rows = self._recorder.select_settings(DEFAULT_POLICY)
        value = _read(rows[-1]).value if rows else None
        return value if isinstance(value, PolicyRef) else None

    def change(self, changes: Mapping[str, SettingValue], by: str, at: datetime) -> None:
        """Add changes to the table, all of them in one transaction; what is so already is left out.

        Args:
            changes: by the names of the settings; checked already (:func:`check_value`).
            by: who changed them.
            at: when.

        Raises:
            StoreError: the database can't be written.
        """
        last = {row.name: row.value for row in self._recorder.select_settings()}
        rows = [
            SettingRow(name, _to_stored(value), by, to_micros(at))
            for name, value in changes.items()
        ]
        new = [row for row in rows if row.value != last.get(row.name)]
        if new:
            self._recorder.insert_settings(new)


def _owners(texts: Mapping[str, str]) -> dict[str, Owner]:
    fields: dict[str, dict[str, str]] = {}
    for name, text in texts.items():
        found = _OWNER.fullmatch(name)
        if found is not None:
            fields.setdefault(found[1], {})[found[2]] = text
    return {owner: Owner(**given) for owner, given in fields.items()}


# Rows ---------------------------------------------------------------------------------------------

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _to_stored(value: SettingValue) -> str | None:
    return msgspec.json.encode(value.ref).decode() if isinstance(value, Policy) else value


def _read(row: SettingRow) -> SettingChange:
    value: str | PolicyRef | None = row.value
    if row.name == DEFAULT_POLICY and row.value is not None:
        value = msgspec.json.decode(row.value, type=PolicyRef)
    return SettingChange(value, row.by, _EPOCH + timedelta(microseconds=row.at))


# What may be given --------------------------------------------------------------------------------


def check_value(name: str, value: SettingValue) -> SettingValue:
    """Check a setting, and return its value as it is kept.

    Raises:
        InputError: the name is unknown, or the value is not one of this setting's.
    """
    is_owner = _OWNER.fullmatch(name) is not None and name.isprintable()
    if not is_owner and name not in (DEFAULT_POLICY, _REGION, _COMPANY):
        every = f"use one of: {', '.join(_NAMES)}"
        raise InputError(f"setting: unknown {name!r}", did_you_mean(name, _NAMES, otherwise=every))
    if value is None:
        return None
    if name == DEFAULT_POLICY:
        if not isinstance(value, Policy):
            raise InputError(f"{name}: invalid {value!r}", "give a policy, such as builtin('tip8')")
        return value
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise InputError(f"{name}: invalid {value!r}", "give a text of one line")
    value = value.strip()
    check_texts(value, name)
    if name == _REGION:
        value = value.upper()
        if value not in country_codes():
            hint = "use a country's code in ISO 3166, such as US or DE"
            raise InputError(f"{name}: unknown {value!r}", hint)
    return value
