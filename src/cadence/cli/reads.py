"""The commands that read: who to contact now, why, and what happened."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Annotated, Any

import msgspec
import typer

from cadence.cli.files import write_text
from cadence.cli.old_lists import note_old_lists
from cadence.cli.policy_files import POLICY_HELP, find_policy, policy_inputs
from cadence.cli.policy_layout import folded
from cadence.cli.prospects import P, complete
from cadence.cli.session import Session, command, new_app
from cadence.cli.show import (
    due_entry,
    due_header,
    due_line,
    explanation,
    precheck_lines,
    replay_lines,
)
from cadence.cli.terminal import write_error
from cadence.domain.channels import CALL, Channel
from cadence.domain.events import Event, ProspectsMerged
from cadence.domain.prospect import Prospect
from cadence.domain.team import Team, missing_facts
from cadence.engine.decision import Decision, to_builtins
from cadence.errors import InputError
from cadence.policy.registry import PolicyRegistry
from cadence.replay.steps import AnnotatedStep, annotate, composed, end_of_day, replay, until
from cadence.replay.steps import to_builtins as replay_to_builtins
from cadence.store import Cadence
from cadence.store.due_page import EVERY, NOW, DueFilter, page_end, parse_page_end

__all__ = ["app"]

app = new_app()


@command(app, "due", example="cadence due --owner ann --limit 20")
def due(
    session: Session,
    everything: Annotated[
        bool, typer.Option("--all", help="Also those that wait or close.")
    ] = False,
    owner: Annotated[
        str | None, typer.Option(metavar="OWNER", help="Only prospects of this owner.")
    ] = None,
    channel: Annotated[
        str | None, typer.Option(metavar="CHANNEL", help="Only touches on this channel.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="No more than so many.")] = None,
    after: Annotated[
        str | None,
        typer.Option(metavar="PLACE", help="Those behind; a list with --limit names the place."),
    ] = None,
) -> None:
    """List who to contact now, soonest first.

    A task stands with its deadline, a touch with the time since when it is due. PLACE is time and
    id of the last one before, like 2026-12-04T18:10:00Z/jerry.
    """
    now = session.now()
    beyond = None if after is None else parse_page_end(after)
    which = DueFilter(owner, channel, beyond, EVERY if everything else NOW)
    shown = 0
    last: Decision | None = None
    has_more = False
    asked: set[str | None] = set()
    channels: set[Channel] = set()
    with session.reading() as store:
        team = store.settings().team
        for prospect, decision in store.listing(now, which):
            if shown == limit:
                has_more = True
                break
            _show_due(session, store, team, prospect, decision, is_first=shown == 0)
            if decision.touch is not None:
                asked.add(prospect.identity.owner)
                channels.update(part.channel for part in decision.touch.parts)
            last = decision
            shown += 1
            if shown == 1:
                sys.stdout.flush()
        stale = store.due_rows.are_stale()
        if not session.json:
            note_old_lists(session, store)
    if session.json:
        session.write_json("]" if shown else "[]")
    elif shown == 0:
        session.write("no prospect is due")
    elif has_more and last is not None:
        session.note(f"there are more: --after {shlex.quote(page_end(last))}")
    missing = [] if session.json or not asked else missing_facts(team, asked, channels)
    if missing:
        session.note(f"messages lack {', '.join(missing)}; set them with: cadence settings")
    if stale:
        write_error(
            "rows of the due list are missing or of another version of cadence, so all of these "
            "prospects were checked",
            "update it with: cadence rebuild",
        )


def _with_person(decision: Decision, prospect: Prospect) -> dict[str, Any]:
    """Return the JSON of a decision, with who it is about and who follows up."""
    identity = prospect.identity
    return {**to_builtins(decision), "name": identity.name, "owner": identity.owner}


def _show_due(
    session: Session,
    store: Cadence,
    team: Team,
    prospect: Prospect,
    decision: Decision,
    *,
    is_first: bool,
) -> None:
    now = session.now()
    if session.json:
        from cadence.messages import compose

        shown = _with_person(compose(decision, prospect, store.policies, now, team), prospect)
        session.write_json(("[" if is_first else ",") + msgspec.json.encode(shown).decode())
    elif session.is_terminal:
        for line in folded(due_entry(prospect, decision, now)):
            session.write(line)
    else:
        if is_first:
            session.write(due_header())
        session.write(due_line(prospect, decision, now))


@command(app, "explain", example="cadence explain jerry --at 2026-12-04T18:10:00Z")
def explain(
    session: Session,
    p: P,
) -> None:
    """Explain what comes next for a prospect, and why not earlier.

    It also says which rules an attempt made now would break. Everything recorded counts, also
    what was recorded after --at. To see what was known on a day in the past, replay the prospect
    up to it.
    """
    from cadence.messages import compose

    now = session.now()
    with session.reading() as store:
        prospect = store.load(p)
        if prospect.recorded_at > now:
            # What was known then is the replay's to show; a decision counts everything recorded.
            _note_later_events(session, p, now)
        decision = store.explain(p, now)
        answer = store.may(p, CALL, now)
        decision = compose(decision, prospect, store.policies, now, store.settings().team)
    if session.json:
        session.print_json(_with_person(decision, prospect))
        return
    for line in folded((*explanation(prospect, decision), *precheck_lines(prospect, answer))):
        session.write(line)


@command(app, "may", example="cadence may jerry --channel call")
def may(
    session: Session,
    p: P,
    channel: Annotated[str, typer.Option(metavar="CHANNEL", help="By what.")] = CALL,
    by: Annotated[str | None, typer.Option("--by", help="Who would make it.")] = None,
) -> None:
    """Ask whether an attempt may be made now.

    It exits with 1 where a rule forbids it, or another holds the claim. Nothing is recorded.
    Everything recorded counts, also what was recorded after --at.
    """
    now = session.now()
    with session.reading() as store:
        prospect = store.load(p)
        answer = store.may(p, Channel(channel), now, by=session.who_if_known(by))
    if session.json:
        session.print_json(answer.to_dict())
    else:
        for line in folded(precheck_lines(prospect, answer)):
            session.write(line)
    if answer.breaks:
        raise typer.Exit(1)


def _note_later_events(session: Session, p: str, now: datetime) -> None:
    """Say that events recorded after ``now`` count all the same."""
    session.note(
        f"events recorded after {now:%Y-%m-%dT%H:%M:%SZ} count here; for what was known "
        f"then use: cadence replay {shlex.quote(p)} --until {now:%Y-%m-%dT%H:%M:%SZ}"
    )


@command(app, "replay", example="cadence replay jerry --until 5")
def replay_(
    session: Session,
    p: Annotated[
        str | None,
        typer.Argument(
            metavar="P", help="The prospect's id.", show_default=False, autocompletion=complete
        ),
    ] = None,
    everyone: Annotated[
        bool,
        typer.Option("--all", help="The whole database: how far, how long, who is reached."),
    ] = False,
    until_: Annotated[
        str | None,
        typer.Option(
            "--until",
            metavar="VERSION|INSTANT|DAY",
            help="Stop there; at the end of a day such as 2026-12-25, on their clock.",
        ),
    ] = None,
    html: Annotated[
        str | None,
        typer.Option("--html", metavar="FILE", help="Write it as a page, - for stdout."),
    ] = None,
    interactive: Annotated[
        bool, typer.Option("--interactive", "-i", help="Step through it with the arrow keys.")
    ] = False,
    policy: Annotated[
        str | None,
        typer.Option(
            "--policy",
            metavar="POLICY",
            help=f"As under this policy, if they adopted no other. {POLICY_HELP}",
        ),
    ] = None,
    script: Annotated[
        bool, typer.Option("--script", help="Also what was to be said, step by step.")
    ] = False,
) -> None:
    """Show a history step by step: events, decisions and reasons."""
    limit = None if until_ is None else _limit(session, until_)
    if (html is not None) + interactive + session.json > 1:
        raise InputError("--html, --interactive and --json exclude each other", "give one of them")
    if (p is None) != everyone:
        raise InputError("prospect: missing", "give one id, or --all for the whole database")
    if p is None:
        if interactive or isinstance(limit, int):
            raise InputError(
                "--all: invalid with --interactive or a version",
                "give --until an instant, or give one prospect",
            )
        from cadence.cli.overview import show_overview

        show_overview(session, html, limit)
        return
    with session.reading() as store:
        events, policies, team = store.history(p), store.policies, store.settings().team
        others = store.histories.others_of([events]).get(p)
        if policy is not None:
            policies = policies.under(find_policy(session, policy, as_data=True))
        # A policy that a history names is looked up in the store when a step needs it.
        up_to = _up_to(session, p, events, limit)
        if session.json:
            steps = replay(events, policies, up_to, others)
            session.print_json([replay_to_builtins(step, policies, team) for step in steps])
            return
        found = annotate(events, policies, up_to, others)
        if script:
            found = _with_words(found, policies, team)
        if interactive:
            from cadence.cli.viewer import view

            kept = until(events, up_to)
            if others is not None or any(isinstance(e.data, ProspectsMerged) for e in kept):
                steps_shown = list(found)  # how many there are is not known before
                kept, found = [step.event for step in steps_shown], iter(steps_shown)
            view(kept, found, policies)
            return
        if html is not None:
            from cadence.reports.replay_page import replay_page

            page = replay_page(list(found), policies, team)
            write_text(html, page, db=session.db, inputs=policy_inputs(policy))
            if html != "-":
                session.write(f"{p}: replay written to {html}")
            return
        _write_replay(session, folded(replay_lines(found)))


def _with_words(
    steps: Iterable[AnnotatedStep], policies: PolicyRegistry, team: Team
) -> Iterator[AnnotatedStep]:
    """Yield the steps, each decision with what was to be said then."""
    for step in steps:
        yield msgspec.structs.replace(step, decision=composed(step, policies, team))


def _up_to(
    session: Session, p: str, events: Sequence[Event], limit: int | date | None
) -> int | datetime | None:
    """Return how far the history of ``p`` is replayed, and say what a reader may not expect."""
    now = session.now()
    if limit is None and session.has_at and any(event.recorded_at > now for event in events):
        _note_later_events(session, p, now)
    if limit is None or isinstance(limit, int | datetime):
        return limit
    instant, zone = end_of_day(events, limit)
    session.note(f"--until {limit} is the end of that day in {zone}, {instant:%Y-%m-%dT%H:%M:%SZ}")
    return instant


def _write_replay(session: Session, lines: Iterable[str]) -> None:
    number = 0
    for number, line in enumerate(lines, 1):
        session.write(line)
        if number == _SCREEN:
            sys.stdout.flush()
    if not number:
        session.write("nothing had been recorded by then")


_LIMITS = "give a version such as 5, a day like 2026-12-01, or an instant like '2026-12-01 09:00'"
_VERSION = re.compile("[0-9]{1,10}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SCREEN = 50  # lines after which a reader behind a pipe sees the first


def _limit(session: Session, text: str) -> int | date:
    """Read a version, a day or an instant."""
    if _VERSION.fullmatch(text):
        return int(text)
    if not _DAY.fullmatch(text):
        return session.instant(text, "--until", is_past=True)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"--until: invalid day {text!r}", _LIMITS) from None
