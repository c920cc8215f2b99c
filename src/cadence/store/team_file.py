"""Read the team file that stands beside a SQLite file: ``cadence.toml``.

It says the same as the settings of the store do, and takes precedence over them. So a team can
keep its own data in a file under version control.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from cadence.domain.team import Owner
from cadence.errors import InputError
from cadence.policy.toml_errors import TomlFile, read_file
from cadence.store.settings import LANGUAGES, check_value

__all__ = ["TEAM_FILE", "read_team_file"]

TEAM_FILE: Final = "cadence.toml"
"""Its name."""


class _TeamFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    company: str | None = None
    default_region: str | None = None
    address: str | None = None
    callbacks: tuple[str, ...] = ()
    opt_out: str | dict[str, str] | None = None
    language: str | None = None
    languages: dict[str, str] = {}
    owners: dict[str, Owner] = {}


def read_team_file(db: str) -> dict[str, str]:
    """Read the team file beside a SQLite file; nothing where there is none.

    Args:
        db: the path of the SQLite file.

    Returns:
        The values by the names of the settings; of a language, what its file holds.

    Raises:
        InputError: a file can't be read, is no TOML, or a key or value in it is invalid.
    """
    path = Path(db).parent / TEAM_FILE
    try:
        if not path.exists():
            return {}
    except OSError:  # the folder can't be read: opening the database says so
        return {}
    file = TomlFile(str(path), InputError)
    found = file.convert(file.parse(read_file(path, InputError)), _TeamFile)
    values: dict[str, str | None] = {
        "default_region": found.default_region,
        "team.company": found.company,
        "team.address": found.address,
        "team.callbacks": ", ".join(found.callbacks) or None,
        "team.language": found.language,
    }
    opt_out = {"": found.opt_out} if isinstance(found.opt_out, str) else found.opt_out or {}
    values.update({f"team.opt_out.{code}".strip("."): text for code, text in opt_out.items()})
    for code, name in found.languages.items():
        values[f"{LANGUAGES}{code}"] = read_file(path.parent / name, InputError)
    for owner, fields in found.owners.items():
        for field in msgspec.structs.fields(Owner):
            value = getattr(fields, field.name)
            text = ", ".join(value) if isinstance(value, tuple) else value
            values[f"team.owners.{owner}.{field.name}"] = text or None
    return {
        name: _checked(path, name, value) for name, value in values.items() if value is not None
    }


def _checked(path: Path, name: str, value: str) -> str:
    try:
        checked = check_value(name, value)
    except InputError as error:
        raise InputError(f"{path}: {error.what.removeprefix('team.')}", error.hint) from None
    return str(checked)
