"""The commands that look people up: everybody, one at a glance, by words or by an address."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated, Any, Final

import msgspec
import typer

from cadence.cli.policy_layout import folded
from cadence.cli.prospects import P
from cadence.cli.session import Session, command, new_app
from cadence.cli.show import glance, list_header, list_line
from cadence.domain.codec import to_builtins as event_to_builtins
from cadence.domain.fold import fold
from cadence.domain.prospect import Prospect
from cadence.engine.decision import Decision, to_builtins
from cadence.engine.loop import decision_for
from cadence.errors import InputError
from cadence.store import Cadence
from cadence.store.directory import directory, find

__all__ = ["app"]

app = new_app()

_PAGE: Final = 256
_LAST_EVENTS: Final = 5


@command(app, "list", example="cadence list --owner ann")
def list_(
    session: Session,
    owner: Annotated[
        str | None, typer.Option(metavar="OWNER", help="Only prospects of this owner.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="No more than so many.")] = None,
    after: Annotated[str | None, typer.Option(metavar="P", help="Those behind this id.")] = None,
) -> None:
    """List every prospect by id, also those that ended."""
    with session.reading() as store:
        ids = store.prospects(after)
        if owner is not None:
            ids = (
                one.prospect
                for one in directory(store)
                if one.owner == owner and (after is None or one.prospect > after)
            )
        last = _write_list(session, store, islice(ids, limit), none="no prospect is listed")
        if not session.json and last is not None and next(ids, None) is not None:
            session.note(f"there are more: --after {shlex.quote(last)}")


@command(app, "find", example="cadence find doe")
def find_(
    session: Session,
    words: Annotated[
        list[str], typer.Argument(metavar="WORDS", help="Of a name or id, or an address.")
    ],
) -> None:
    """Find prospects by words of a name or id, or by an address.

    An address may be a part of one, such as the last digits of a number.
    """
    text = " ".join(words)
    if not text.strip():
        raise InputError("WORDS: missing", "give a part of a name, an id or an address")
    with session.reading() as store:
        _write_list(session, store, find(store, text), none=f"no prospect is found by {text!r}")


def _write_list(session: Session, store: Cadence, ids: Iterable[str], *, none: str) -> str | None:
    """Write prospects as a list; return the id of the last one."""
    last = None
    for prospect, decision in _decided(session, store, ids):
        is_first, last = last is None, prospect.id
        if session.json:
            session.write_json(("[" if is_first else ",") + _entry(prospect, decision))
            continue
        if is_first:
            session.write(list_header())
        session.write(list_line(prospect, decision))
    if session.json:
        session.write_json("[]" if last is None else "]")
    elif last is None:
        session.write(none)
    return last


def _decided(
    session: Session, store: Cadence, ids: Iterable[str]
) -> Iterator[tuple[Prospect, Decision]]:
    waiting = iter(ids)
    while page := list(islice(waiting, _PAGE)):
        for prospect in store.histories.load(page):
            yield prospect, decision_for(prospect, store.policies, session.now())


def _entry(prospect: Prospect, decision: Decision) -> str:
    shown = to_builtins(decision)
    entry = {
        "prospect": prospect.id,
        "name": prospect.identity.name,
        "owner": prospect.identity.owner,
        "stage": shown["stage"],
        "decision": shown["decision"],
        "at": shown["at"],
    }
    return msgspec.json.encode(entry).decode()


@command(app, "show", example="cadence show jerry")
def show(session: Session, p: P) -> None:
    """Show one prospect at a glance.

    Who they are, how to reach them, what comes next and why, and the last events. For the whole
    history use replay.
    """
    from cadence.messages import compose

    now = session.now()
    with session.reading() as store:
        history = store.history(p)
        prospect = fold(None, history)
        assert prospect is not None, "a history has events"
        team = store.settings().team
        decision = compose(store.explain(p, now), prospect, store.policies, now, team)
    events = history[-_LAST_EVENTS:]
    if session.json:
        session.print_json(
            {
                **_person(prospect),
                "decision": to_builtins(decision),
                "events": [event_to_builtins(event) for event in events],
            }
        )
        return
    for line in folded(glance(prospect, decision, events, now), indent=14):
        session.write(line)


def _person(prospect: Prospect) -> dict[str, Any]:
    identity, reach = prospect.identity, prospect.reach
    return {
        "prospect": prospect.id,
        "name": identity.name,
        "owner": identity.owner,
        "company": identity.company,
        "source": identity.source,
        "timezone": list(identity.zones),
        "country": identity.country,
        "stage": prospect.stage.value,
        "contact_points": [
            {
                "channel": point.channel,
                "address": point.address,
                "failed": reach.has_failed(point.same),
                "opted_out": point.channel in reach.opted_out,
            }
            for point in reach.contact_points
        ],
        "interests": list(prospect.interests),
        "values": [{"id": one.id, "text": one.text} for one in prospect.values],
    }
