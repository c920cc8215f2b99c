"""Keep the team's settings with the store: default policy, default region, and who follows up.

The table is only added to, so it also says who changed what and when. A value comes from the first
of these that has one: the code that opened the store, the team file, the table, what is built in
(ADR 0037).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import msgspec

from cadence.domain.addresses import address_key
from cadence.domain.channels import CALL, AddressKind
from cadence.domain.events import PolicyRef
from cadence.domain.limits import check_texts
from cadence.domain.team import Owner, Team
from cadence.errors import InputError, did_you_mean
from cadence.policy.model import Policy
from cadence.store.due_list import to_micros
from cadence.store.recorder import Recorder, SettingRow
from cadence.worktime.zones import country_codes

__all__ = [
    "DEFAULT_POLICY",
    "LANGUAGES",
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
_TEAM: Final = "team."
_COMPANY: Final = "team.company"
_ADDRESS: Final = "team.address"
_CALLBACKS: Final = "team.callbacks"
_OPT_OUT: Final = "team.opt_out"
_LANGUAGE: Final = "team.language"
LANGUAGES: Final = "team.languages."
_OWNERS: Final = "team.owners."
_OWNER_FIELDS: Final = ("name", "phone", "email", "title", "signature", "languages")
_OWNER: Final = re.compile(rf"team\.owners\.(.+)\.({'|'.join(_OWNER_FIELDS)})")
_CODE: Final = re.compile("[a-z]{2,3}")
_BY_CODE: Final = re.compile(r"team\.(?:opt_out|languages)\.([a-z]{2,3})")
_OF_THE_TEAM: Final = (_COMPANY, _ADDRESS, _CALLBACKS, _OPT_OUT, _LANGUAGE)
# Shown in hints; an owner's id stands for NAME, a language such as es for CODE.
_NAMES: Final = (
    *(DEFAULT_POLICY, _REGION, *_OF_THE_TEAM, f"{_OPT_OUT}.CODE", f"{LANGUAGES}CODE"),
    *(f"{_OWNERS}NAME.{field}" for field in _OWNER_FIELDS),
)
# A dial code in front of a number withholds it: *67 in the US, #31# elsewhere.
_WITHHELD: Final = re.compile(r"\s*(?:[*#]\s*(?:67|31)|1831|141(?=\D))")

SettingValue = str | Policy | None
"""What a setting is changed to: a policy for ``default_policy``, a text for the others; ``None``
takes it away."""


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
        self, recorder: Recorder, *, default: Policy | None, file: Mapping[str, str]
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
        given_names = {name for name in (*self._file, *stored) if name.startswith(_TEAM)}
        others = given_names - {_COMPANY}
        for name in (_REGION, _COMPANY, *sorted(others)):
            sources = ((self._file, Origin.FILE), (stored, Origin.STORE))
            given = [(values[name], origin) for values, origin in sources if values.get(name)]
            value, source = given[0] if given else (None, Origin.BUILTIN)
            entries.append(Setting(name, value, source, tuple(changes.get(name, ()))))
        texts = {one.name: one.value for one in entries if isinstance(one.value, str)}
        return Settings(policy, texts.get(_REGION), _team(texts), tuple(entries))

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


def _team(texts: Mapping[str, str]) -> Team:
    owners: dict[str, dict[str, Any]] = {}
    for name, text in texts.items():
        found = _OWNER.fullmatch(name)
        if found is not None:
            is_list = found[2] == "languages"
            owners.setdefault(found[1], {})[found[2]] = _listed(text) if is_list else text
    return Team(
        company=texts.get(_COMPANY),
        owners={owner: Owner(**given) for owner, given in owners.items()},
        address=texts.get(_ADDRESS),
        callbacks=_listed(texts.get(_CALLBACKS, "")),
        opt_out=_by_code(texts, _OPT_OUT),
        language=texts.get(_LANGUAGE, "en"),
        languages=_by_code(texts, LANGUAGES.removesuffix(".")),
    )


def _by_code(texts: Mapping[str, str], name: str) -> dict[str, str]:
    """The texts of one setting by the code of their language; the plain one under ``""``."""
    found = {one: text for one, text in texts.items() if one == name or one.startswith(f"{name}.")}
    return {one.removeprefix(name).removeprefix("."): text for one, text in found.items()}


def _listed(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip())


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
    is_known = name in (DEFAULT_POLICY, _REGION, *_OF_THE_TEAM) or _BY_CODE.fullmatch(name)
    is_owner = _OWNER.fullmatch(name) is not None and name.isprintable()
    if not is_owner and not is_known:
        every = f"use one of: {', '.join(_NAMES)}"
        raise InputError(f"setting: unknown {name!r}", did_you_mean(name, _NAMES, otherwise=every))
    if value is None:
        return None
    if name == DEFAULT_POLICY:
        if not isinstance(value, Policy):
            raise InputError(f"{name}: invalid {value!r}", "give a policy, such as builtin('tip8')")
        return value
    return _checked_text(name, value)


def _checked_text(name: str, value: SettingValue) -> str:
    has_lines = name == _ADDRESS or name.endswith(".signature") or name.startswith(LANGUAGES)
    plain = (
        value.replace("\n", "").replace("\t", "") if has_lines and isinstance(value, str) else value
    )
    if not isinstance(plain, str) or not plain.strip() or not plain.isprintable():
        shown = repr(value) if len(str(value)) < 200 else "a text that can't be printed"
        hint = "give a text" if has_lines else "give a text of one line"
        raise InputError(f"{name}: invalid {shown}", hint)
    text = str(value).strip()
    if name.startswith(LANGUAGES):
        return text  # its shape is checked where messages are; TOML_BYTES bounds it
    check_texts(text, "note" if has_lines else name)
    if name == _REGION:
        text = text.upper()
        if text not in country_codes():
            hint = "use a country's code in ISO 3166, such as US or DE"
            raise InputError(f"{name}: unknown {text!r}", hint)
    elif name in (_LANGUAGE, _CALLBACKS) or name.endswith((".languages", ".phone")):
        _check_each(name, text)
    return text


def _check_each(name: str, text: str) -> None:
    """Check a list of language codes or telephone numbers."""
    for one in _listed(text):
        if name == _LANGUAGE or name.endswith(".languages"):
            if _CODE.fullmatch(one) is None:
                raise InputError(f"{name}: invalid {one!r}", "use a code such as en or es")
        elif _WITHHELD.match(one):
            hint = "give the number that is called back: hiding it is unlawful, 47 CFR 64.1601(e)"
            raise InputError(f"{name}: invalid {one!r}: it withholds the number", hint)
        elif name == _CALLBACKS:
            try:
                address_key(AddressKind.PHONE, CALL, one, None)
            except InputError:
                hint = "give it with its country code, such as +1 212 555 0100"
                raise InputError(f"{name}: invalid {one!r}", hint) from None
