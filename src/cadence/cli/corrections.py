"""The commands that take back what did not happen, or happened otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
import typer

from cadence.cli.prospects import P
from cadence.cli.recording import By, CommandId, occurred_at, record
from cadence.cli.session import Session, command, new_app
from cadence.cli.show import fact
from cadence.domain.channels import Channel
from cadence.domain.events import (
    AttemptMade,
    Data,
    Disposition,
    Event,
    EventCorrected,
    Intent,
    Part,
    type_name,
)
from cadence.domain.standing import LASTING, standing
from cadence.engine.commands import Undo
from cadence.engine.corrections import last_command, undone_last
from cadence.errors import InputError, Refused, did_you_mean
from cadence.policy.rules import Rule

__all__ = ["app"]

app = new_app()

Why = Annotated[str | None, typer.Option("--why", help="How we know.")]
Version = Annotated[
    int | None, typer.Option("--version", help="Of which event; see: cadence replay P.")
]


@command(app, "undo", example='cadence undo jerry --why "it was another Jerry"')
def undo(
    session: Session,
    p: P,
    version: Version = None,
    why: Why = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Take the last command back; it stays on record.

    What another user recorded, an opt-out, a refusal or an end needs --why.
    """
    if version is None and session.is_terminal:
        version = _asked(session, p)
    record(session, p, Undo(why, version), by=by, command_id=command_id)


def _asked(session: Session, prospect: str) -> int | None:
    """Ask before a second command is taken back; ``None``: nothing has to be asked."""
    with session.reading() as store:
        history = store.history(prospect)
    before = last_command(history)
    if not before or not undone_last(history):
        return None
    event = before[-1]
    what = f"version {event.version}, {type_name(event.data)} {fact(event.data)}"
    session.note(f"{prospect}: the last command was an undo; before it stands {what}")
    if not typer.confirm("Take that back too?", err=True):
        raise Refused(f"{prospect}: nothing was taken back", "leave it", rule=Rule.PLAN)
    return event.version


@command(app, "correct", example="cadence correct jerry --disposition connected --intent yes")
def correct(
    session: Session,
    p: P,
    version: Version = None,
    disposition: Annotated[Disposition | None, typer.Option(help="How the attempt went.")] = None,
    intent: Annotated[
        Intent | None, typer.Option(help="What they want, where the attempt connected.")
    ] = None,
    channel: Annotated[
        str | None,
        typer.Option(metavar="CHANNEL", help="Of an attempt: which part; of one part, by what."),
    ] = None,
    address: Annotated[str | None, typer.Option(help="What the attempt used.")] = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Another field of the event; repeatable."),
    ] = None,
    occurred: Annotated[
        str | None, typer.Option("--occurred", metavar="INSTANT", help="When it happened.")
    ] = None,
    why: Why = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Say what is true instead; what was recorded stays on record.

    It is the last attempt, or with --set or --version any event. The correction of an opt-out, a
    refusal or an end needs --why.
    """
    with session.reading() as store:
        history = store.history(p)
        came = store.merges.came_since(p) if version is None else []
    of_attempt = [one for one in (disposition, intent, channel, address) if one is not None]
    event = _chosen(came, values or ()) or _found(history, version, values or ())
    happened_at = occurred_at(session, occurred)
    data = event.data
    if of_attempt:
        if not isinstance(data, AttemptMade):
            raise InputError(
                f"correct: version {event.version} is {type_name(data)}, not an attempt",
                "give --version of the attempt, or --set NAME=VALUE",
            )
        data = _with_part(data, disposition, intent, channel, address)
    if values:
        data = _with_values(session, data, values)
    if not of_attempt and not values and happened_at is None:
        raise InputError(
            "correct: missing what is true", "give e.g. --disposition, --occurred or --set"
        )
    what = EventCorrected(event.version, data, happened_at, why)
    # What came for a merged record is an event of the one that goes on.
    record(session, event.prospect, what, by=by, command_id=command_id)


def _found(history: Sequence[Event], version: int | None, values: Sequence[str]) -> Event:
    """Find the event to correct, as it stands now."""
    prospect = history[-1].prospect
    events = [one for one, _ in standing(history)]
    if version is not None:
        found = next((one for one in events if one.version == version), None)
        if found is None:
            raise InputError(
                f"--version: invalid {version}; {prospect} has no such event that stands",
                f"see: cadence replay {prospect}",
            )
        return found
    chosen = _chosen(events, values)
    if chosen is None:
        raise InputError(
            f"correct: {prospect} has no event that can be corrected so",
            f"give --version; see: cadence replay {prospect}",
        )
    return chosen


def _chosen(events: Sequence[Event], values: Sequence[str]) -> Event | None:
    """The last of some events that has the values; without values the last attempt."""
    for event in reversed(events):
        if values and not isinstance(event.data, LASTING):
            names = {value.partition("=")[0].strip() for value in values}
            if names <= set(event.data.__struct_fields__):
                return event
        elif isinstance(event.data, AttemptMade):
            return event
    return None


def _with_part(
    data: AttemptMade,
    disposition: Disposition | None,
    intent: Intent | None,
    channel: str | None,
    address: str | None,
) -> AttemptMade:
    """``data`` with one of its parts changed."""
    parts = list(data.parts)
    matching = [n for n, part in enumerate(parts) if channel in (None, part.channel)]
    if len(parts) > 1 and len(matching) != 1:
        raise InputError(
            f"--channel: {'unknown ' + repr(channel) if channel else 'missing'}; the attempt has "
            f"the parts {', '.join(part.channel for part in parts)}",
            "give the channel of the part to correct",
        )
    number = matching[0] if matching else 0
    was = parts[number]
    on = was.channel if channel is None else Channel(channel)
    how = was.disposition if disposition is None else disposition
    if intent is None and how is was.disposition:
        intent = was.intent
    if intent is not None and how is not Disposition.CONNECTED:
        raise InputError(
            f"--intent: invalid {intent} without a conversation",
            "give it with --disposition connected",
        )
    is_same = on == was.channel and address in (None, was.address)
    parts[number] = Part(
        on,
        how,
        was.address if is_same else address,
        was.key if is_same else None,
        was.spoken if on == was.channel else None,
        intent,
    )
    return msgspec.structs.replace(data, parts=tuple(parts))


def _with_values(session: Session, data: Data, values: Sequence[str]) -> Data:
    """``data`` with fields as they were typed."""
    plain: dict[str, Any] = msgspec.to_builtins(data, builtin_types=(datetime,))
    fields = {one.name: one for one in msgspec.structs.fields(data)}
    for given in values:
        name, sign, text = (part.strip() for part in given.partition("="))
        if not sign or name not in fields:
            raise InputError(
                f"--set: unknown field {name!r} of {type_name(data)}",
                did_you_mean(name, fields, otherwise=f"use one of: {', '.join(fields)}"),
            )
        is_instant = "datetime" in str(fields[name].type)
        plain[name] = session.instant(text, f"--set {name}") if is_instant else text
        if name == "address":
            plain.pop("key", None)
    try:
        return msgspec.convert(plain, type=type(data), strict=False)
    except msgspec.ValidationError as error:
        text = " ".join(str(error).replace("`", "'").split())
        raise InputError(f"--set: {text}", "use the table of events in the docs") from None
