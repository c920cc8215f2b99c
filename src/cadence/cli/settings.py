"""Show and change the settings: default policy, default region, company and owners."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import typer

from cadence.cli.policy_files import find_policy
from cadence.cli.policy_layout import table
from cadence.cli.session import Session, command, new_app
from cadence.domain.events import PolicyRef
from cadence.errors import InputError
from cadence.policy.model import Policy
from cadence.policy.toml_errors import read_file
from cadence.prover.proof import require_proof
from cadence.store import Origin, Setting, SettingChange, Settings
from cadence.store.settings import DEFAULT_POLICY, LANGUAGES, check_value
from cadence.store.team_file import TEAM_FILE

__all__ = ["app"]

app = new_app()

_ORIGINS: Final = {
    Origin.CODE: "code",
    Origin.FILE: TEAM_FILE,
    Origin.STORE: "database",
    Origin.BUILTIN: "built in",
}


@command(app, "settings", example="cadence settings default_region US --by kim")
def settings(
    session: Session,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The setting.")] = None,
    value: Annotated[
        str | None, typer.Argument(metavar="VALUE", help="What to change it to.")
    ] = None,
    unset: Annotated[bool, typer.Option("--unset", help="Take the value away.")] = False,
    by: Annotated[
        str | None, typer.Option("--by", help="Who changes it; also CADENCE_BY [default: login]")
    ] = None,
) -> None:
    """Show each setting with its source, or change one.

    The names are default_policy, default_region, team.company, team.address, team.callbacks,
    team.opt_out, team.language, team.languages.CODE (give a file), and team.owners.OWNER. followed
    by name, phone, email, title, signature or languages. With NAME alone it also shows who changed
    that setting, and when. A file cadence.toml beside a SQLite file takes precedence over the
    database.
    """
    if unset and name is None:
        raise InputError("--unset: missing NAME", "give the name of the setting")
    if unset and value is not None:
        raise InputError(f"--unset: invalid with a value {value!r}", "give a value or --unset")
    if name is not None:
        check_value(name, None)
    if name is not None and (value is not None or unset):
        _change(session, name, value, by)
        return
    with session.reading() as store:
        found = store.settings()
    _show(session, found, name)


def _change(session: Session, name: str, value: str | None, by: str | None) -> None:
    new: str | Policy | None = value
    if name.startswith(LANGUAGES) and value is not None:
        from cadence.messages import parse_language

        new = read_file(value, InputError)
        parse_language(new, value)
    if name == DEFAULT_POLICY and value is not None:
        from cadence.messages import check_scripts  # loads templates, which few commands need

        new = find_policy(session, value)
        require_proof(new, value)
        check_scripts(new, value)
    # What is refused must not leave an empty database behind.
    check_value(name, new)
    who = session.who(by)
    with session.writing() as store:
        before = store.settings()
        after = store.change_settings({name: new}, by=who, at=session.now())
    entry = _entry(after, name)
    if entry.source is Origin.FILE:
        session.note(f"{TEAM_FILE} beside the database takes precedence for {name}")
    if session.json:
        session.print_json([_to_builtins(entry)])
        return
    old, now = _stored(_entry(before, name)), _stored(entry)
    was = "unchanged" if old == now else f"was {_words(old)}"
    session.write(f"{name}: {_words(now)} ({was})")


def _entry(found: Settings, name: str) -> Setting:
    """The setting of this name; one of an owner may have no value and no change."""
    empty = Setting(name, None, Origin.BUILTIN)
    return next((one for one in found.entries if one.name == name), empty)


def _stored(entry: Setting) -> str | PolicyRef | None:
    """The value in the table, whatever takes precedence over it."""
    return entry.changes[-1].value if entry.changes else None


def _show(session: Session, found: Settings, name: str | None) -> None:
    entries = found.entries if name is None else (_entry(found, name),)
    if session.json:
        session.print_json([_to_builtins(entry) for entry in entries])
        return
    # An owner's value that was taken away is shown by its name only.
    shown = [one for one in entries if name is not None or one.value or "owners" not in one.name]
    rows = [_cells(entry) for entry in shown]
    for line in table(("setting", "value", "from", "by", "when (UTC)"), rows, lead=2):
        session.write(line)
    if name is not None and entries[0].changes:
        session.write("")
        changes = [(_when(one.at), one.by, _words(one.value)) for one in entries[0].changes]
        for line in table(("changed (UTC)", "by", "to"), changes, lead=3):
            session.write(line)


def _cells(entry: Setting) -> tuple[str, ...]:
    change = _change_that_counts(entry)
    by, when = ("", "") if change is None else (change.by, _when(change.at))
    return entry.name, _words(entry.value), _ORIGINS[entry.source], by, when


def _change_that_counts(entry: Setting) -> SettingChange | None:
    return entry.changes[-1] if entry.source is Origin.STORE and entry.changes else None


def _words(value: str | PolicyRef | None) -> str:
    match value:
        case None:
            return "not set"
        case PolicyRef(name, version, digest):
            return f"{name} version {version} ({digest[:12]})"
        case text:
            lines = text.splitlines()
            return text if len(lines) < 2 else f"{lines[0]} … ({len(lines)} lines)"


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _to_builtins(entry: Setting) -> dict[str, object]:
    """A setting for JSON: who set the value that counts, and every change of the table."""
    change = _change_that_counts(entry)
    return {
        "name": entry.name,
        "value": entry.value,
        "source": entry.source,
        "by": None if change is None else change.by,
        "at": None if change is None else change.at,
        "changes": entry.changes,
    }
