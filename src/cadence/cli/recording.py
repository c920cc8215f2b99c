"""Record what a command of the command line says, and print what came of it."""

from __future__ import annotations

import shlex
from datetime import datetime
from typing import Annotated

import typer

from cadence.cli.session import Session
from cadence.cli.show import how_to_settle, may_be, next_line
from cadence.cli.terminal import write_error
from cadence.domain.channels import BUILT_IN, check_known
from cadence.domain.codec import channels_in, check_id
from cadence.domain.events import (
    AttemptMade,
    ContactPointAdded,
    Event,
    ProspectAdded,
    type_name,
)
from cadence.domain.limits import check_texts
from cadence.engine.commands import Command, check_fact
from cadence.engine.decision import to_builtins
from cadence.errors import UnknownProspect
from cadence.store import Cadence
from cadence.store.duplicates import first_duplicate

__all__ = ["By", "CommandId", "Occurred", "occurred_at", "record"]

Occurred = Annotated[
    str | None,
    typer.Option("--occurred", metavar="INSTANT", help="When it happened, like -2h; else --at."),
]
By = Annotated[
    str | None, typer.Option("--by", help="Who did it; also CADENCE_BY [default: login]")
]
CommandId = Annotated[
    str | None,
    typer.Option("--command-id", help="An id of yours; the same again has no second effect."),
]


def record(
    session: Session,
    prospect: str,
    what: Command,
    *,
    occurred: str | None = None,
    by: str | None = None,
    command_id: str | None = None,
) -> None:
    """Carry out a command or record a fact, and say what was recorded and what comes next.

    Args:
        session: the call.
        prospect: its id.
        what: the command or fact.
        occurred: ``--occurred``.
        by: ``--by``.
        command_id: ``--command-id``.
    """
    at = session.now()
    happened_at = occurred_at(session, occurred)
    if not session.exists():
        # What is refused must not leave an empty database behind.
        if not isinstance(what, ProspectAdded):
            raise UnknownProspect(prospect)
        check_fact(what)
        check_id(prospect)
        check_texts(what, "data")
    with session.writing() as store:
        _check_channels(store, prospect, what)
        outcome = store.execute(
            prospect,
            what,
            at=session.given_at(),  # the machine's clock has five minutes of grace
            occurred_at=happened_at,
            by=session.who_if_known(by),
            command_id=command_id,
            force=session.force,
        )
        if session.json:
            from cadence.messages import compose  # loads the templates; not for plain output

            team = store.settings().team
            decision = compose(outcome.decision, outcome.prospect, store.policies, at, team)
            session.print_json(to_builtins(decision))
            for event in outcome.events:
                _warn(event)
            return
        has_new_address = any(
            isinstance(event.data, ProspectAdded | ContactPointAdded) for event in outcome.events
        )
        duplicate = first_duplicate(store, outcome.prospect) if has_new_address else None
    for event in outcome.events:
        done = "was recorded before" if outcome.repeated else "recorded"
        whose = f" of {event.prospect}, into which it was merged"
        of_survivor = "" if event.prospect == prospect else whose
        what_was = f"{type_name(event.data)} {done} as version {event.version}{of_survivor}"
        session.write(f"{prospect}: {what_was}")
        _warn(event)
    session.write(f"  {next_line(outcome.prospect, outcome.decision)}")
    into = outcome.prospect.ending.into
    if into is not None:
        session.write(f"  {into}, into which it was merged, counts this too")
    if duplicate is not None:
        session.write(f"  {may_be(duplicate)}: {how_to_settle(duplicate.keys)}")


def occurred_at(session: Session, occurred: str | None) -> datetime | None:
    """Read ``--occurred``; without it, it occurred when it is recorded."""
    if occurred is None:
        return None
    return session.instant(occurred, "--occurred", is_past=True)


def _warn(event: Event) -> None:
    """Name the rules that an attempt broke: it is recorded all the same."""
    if isinstance(event.data, AttemptMade) and event.data.broke:
        rules = ", ".join(event.data.broke)
        write_error(
            f"{event.prospect}: the attempt of version {event.version} broke {rules}",
            f"ask before you act: cadence may {shlex.quote(event.prospect)} --channel "
            f"{event.data.parts[0].channel}",
        )


def _check_channels(store: Cadence, prospect: str, what: Command) -> None:
    """Refuse a channel that neither the prospect's policy nor its history knows: a slip."""
    named = channels_in(what)
    if named <= BUILT_IN.keys():
        return
    known = store.library.channels_of(
        None if isinstance(what, ProspectAdded) else store.load(prospect)
    )
    for channel in sorted(named):
        check_known(channel, known)
