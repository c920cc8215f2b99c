"""The commands that look: whom now, why, and what it was like."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Annotated

import msgspec
import typer

from cadence.cli.policy_files import find_policy
from cadence.cli.session import Session, command
from cadence.cli.show import due_header, due_line, explanation, replay_lines
from cadence.core.wire import parse_instant
from cadence.core.wire import to_builtins as event_to_builtins
from cadence.errors import InputError
from cadence.history.replay import Replayed, replay, until
from cadence.policy.catalogue import Policies
from cadence.policy.decision import to_builtins

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add these commands to ``app``."""

    @command(app, "due", example="cadence due --at 2026-12-04T18:10:00Z --json")
    def due(
        session: Session,
        everything: Annotated[
            bool, typer.Option("--all", help="Also those that wait or close.")
        ] = False,
        limit: Annotated[
            int | None, typer.Option(min=1, help="No more than so many lines.")
        ] = None,
    ) -> None:
        """List whom to contact now, soonest first."""
        now = session.now()
        shown = 0
        with session.reading() as store:
            for prospect, decision in store.listing(now, everything=everything):
                if session.json:
                    from cadence.messages import compose

                    decision = compose(decision, prospect, store.policies, now)
                    text = msgspec.json.encode(to_builtins(decision)).decode()
                    session.write(("[" if shown == 0 else ",") + text)
                else:
                    if shown == 0:
                        session.write(due_header())
                    session.write(due_line(prospect, decision))
                shown += 1
                if shown in (1, limit):
                    sys.stdout.flush()
                if shown == limit:
                    break
            stale = store.due_is_stale()
        if session.json:
            session.write("]" if shown else "[]")
        elif shown == 0:
            session.write("nobody is due")
        if stale:
            sys.stderr.write(
                "the due list was made with other holiday, zone or policy data, so every prospect "
                "was asked\nmake it anew with: cadence rebuild\n"
            )

    @command(app, "explain", example="cadence explain jerry --at 2026-12-04T18:10:00Z")
    def explain(
        session: Session, p: Annotated[str, typer.Argument(metavar="P", help="The prospect's id.")]
    ) -> None:
        """Say what comes next for one prospect, why, and why not earlier."""
        from cadence.messages import compose

        now = session.now()
        with session.reading() as store:
            prospect = store.load(p)
            decision = compose(store.decision(prospect, now), prospect, store.policies, now)
        if session.json:
            session.print_json(to_builtins(decision))
            return
        for line in explanation(prospect, decision):
            session.write(line)

    @command(app, "replay", example="cadence replay jerry --until 5")
    def replay_(
        session: Session,
        p: Annotated[str, typer.Argument(metavar="P", help="The prospect's id.")],
        until_: Annotated[
            str | None,
            typer.Option("--until", metavar="VERSION|INSTANT", help="Stop there."),
        ] = None,
        policy: Annotated[
            str | None,
            typer.Option(
                "--policy", help="As under this policy, as long as they have adopted no other."
            ),
        ] = None,
    ) -> None:
        """Show a history step by step, with stage and decision after each event."""
        limit = None if until_ is None else _limit(until_)
        default = None if policy is None else find_policy(policy)
        with session.reading() as store:
            policies = store.policies if default is None else store.policies.under(default)
            steps = list(replay(until(store.history(p), limit), policies))
        if session.json:
            session.print_json([_plain(step, policies) for step in steps])
            return
        for line in replay_lines(steps):
            session.write(line)


def _plain(step: Replayed, policies: Policies) -> dict[str, object]:
    from cadence.messages import compose

    seen_at = step.event.recorded_at
    return {
        "event": event_to_builtins(step.event),
        "stage": step.stage.value,
        "decision": to_builtins(compose(step.decision, step.prospect, policies, seen_at)),
    }


def _limit(text: str) -> int | datetime:
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        return parse_instant(text, "--until")
    except InputError as error:
        raise InputError(
            error.what, f"give a version such as 5, or an instant: {error.mend}"
        ) from None
