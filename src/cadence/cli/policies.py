"""The catalogue of policies, one as a timetable, and a new one to start from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from cadence.cli.session import Session, command
from cadence.cli.show import paint
from cadence.errors import InputError, StoreError
from cadence.policy.load import builtin, builtin_names, load, loads
from cadence.policy.model import Policy
from cadence.policy.timetable import timetable

__all__ = ["register"]


def _policy(name: str) -> Policy:
    return load(Path(name)) if name.endswith(".toml") or "/" in name else builtin(name)


def register(app: typer.Typer) -> None:
    """Add these commands to ``app``."""

    @command(app, "list", example="cadence policy list")
    def list_(session: Session) -> None:
        """List the catalogue."""
        policies = [builtin(name) for name in builtin_names()]
        if session.json:
            session.print_json([_plain(policy) for policy in policies])
            return
        for policy in policies:
            session.write(f"{paint(policy.id, 'bold')} version {policy.version}  {policy.title}")

    @command(app, "show", example="cadence policy show tip8")
    def show(
        session: Session,
        policy: Annotated[
            str, typer.Argument(metavar="POLICY", help="A name of the catalogue, or a .toml file.")
        ],
    ) -> None:
        """Show a policy as a timetable: what happens on which business day if nobody answers."""
        found = _policy(policy)
        entries = list(timetable(found))
        if session.json:
            plain = {**_plain(found), "timetable": msgspec.to_builtins(entries)}
            session.print_json(plain)
            return
        session.write(f"{paint(found.title, 'bold')}  ({found.id} version {found.version})")
        session.write(f"source: {found.source}; digest {found.digest}")
        session.write(paint("day  time   step         channels    after", "bold"))
        for entry in entries:
            channels = ", ".join(entry.channels)
            line = f"{entry.business_day:>3}  {entry.at}  {entry.step:12} {channels:11} {entry.gap}"
            session.write(line.rstrip())
        from cadence.messages import lint_policy

        for finding in lint_policy(found):
            session.write(f"script {finding.script}: {finding.what}")

    @command(app, "new", example="cadence policy new our-way.toml --calls 4 --gap 4")
    def new(
        session: Session,
        file: Annotated[str, typer.Argument(metavar="FILE", help="The file to write.")],
        calls: Annotated[
            int, typer.Option(min=1, max=6, help="How many spaced calls.", prompt=_ask())
        ] = 6,
        gap: Annotated[
            int, typer.Option(min=1, max=60, help="Business days between them.", prompt=_ask())
        ] = 3,
        answer: Annotated[
            int,
            typer.Option(min=1, max=60, help="Business days to answer the exit.", prompt=_ask()),
        ] = 2,
        horizon: Annotated[
            int,
            typer.Option(min=1, max=1000, help="Business days before the exit.", prompt=_ask()),
        ] = 45,
    ) -> None:
        """Write a new policy file to start from, commented, and checked by the loader."""
        path = Path(file)
        text = _NEW.format(
            id=path.stem.lower().replace("_", "-").replace(" ", "-"),
            calls=calls,
            gap=gap,
            answer=answer,
            horizon=horizon,
        )
        made = loads(text, path.name)
        try:
            with path.open("x", encoding="utf-8") as out:
                out.write(text)
        except FileExistsError:
            raise InputError(f"{file}: exists already", "choose another name") from None
        except OSError as error:
            raise StoreError(
                f"{file}: {error.strerror or error}", "name a file that can be written"
            ) from None
        if session.json:
            session.print_json(_plain(made))
            return
        session.write(f"{made.id} written to {file}; look at it with: cadence policy show {file}")


def _ask() -> bool:
    """Ask for what is not given, where somebody is there to answer."""
    return all(one is not None and one.isatty() for one in (sys.stdin, sys.stdout))


def _plain(policy: Policy) -> dict[str, object]:
    return {
        "name": policy.id,
        "version": policy.version,
        "digest": policy.digest,
        "title": policy.title,
        "source": policy.source,
    }


_NEW = """\
# A policy of our own. See docs/policy.md for every key; look at it with: cadence policy show

id = "{id}"
version = 1                     # raise it with every change of meaning
title = "{id}"
source = "our own way"

horizon_business_days = {horizon}      # behind this only the polite exit is left
task_business_days = 2          # how long an owner has for a task

[calendar]                      # local business hours at the prospect's
mon = ["09:00-17:00"]
tue = ["09:00-17:00"]
wed = ["09:00-17:00"]
thu = ["09:00-17:00"]
fri = ["09:00-17:00"]

[[steps]]                       # exactly when we said we would
id = "on_time"
stage = "on_time"
at = "appointment"
parts = [{{ channels = ["call"], script = "on_time" }}]

[[steps]]                       # and once more, exactly ten minutes later
id = "ten_minutes"
stage = "ten_minutes"
after = {{ minutes = 10 }}
within = {{ minutes = 15 }}       # later than this it is left out
parts = [{{ channels = ["call"], script = "ten_minutes" }}]

[[steps]]                       # give it half a day
id = "half_day"
stage = "half_day"
after = {{ hours = 4 }}
parts = [{{ channels = ["call"], script = "half_day" }}]

[[steps]]                       # a few calls, days apart; six at most
id = "spaced"
stage = "spaced"
after = {{ business_days = {gap} }}
times = {calls}
parts = [{{ channels = ["call"], script = "spaced" }}]

[[steps]]                       # a polite way out, last of all
id = "polite_exit"
stage = "polite_exit"
after = {{ business_days = {gap} }}
answer_within = {{ business_days = {answer} }}
parts = [{{ channels = ["email", "sms", "call"], script = "polite_exit" }}]
"""
