"""A policy file of one's own: a few questions, or flags; written with comments, and proved."""

from __future__ import annotations

import re
import shlex
import sys
from itertools import pairwise
from pathlib import Path
from typing import Annotated, NamedTuple

import tomli_w
import typer

from cadence.cli.policy_files import summary
from cadence.cli.session import Session, command
from cadence.errors import InputError, StoreError
from cadence.policy.business_time import QUIET_FROM, QUIET_UNTIL, parse_hours
from cadence.policy.charter import Rule
from cadence.policy.load import builtin_names, read_text
from cadence.policy.model import Policy
from cadence.policy.prove import prove, require_proof

__all__ = ["register"]

_LONGEST_ID = 60


class _Wishes(NamedTuple):
    """What was asked for."""

    id: str
    title: str
    calls: int
    gap: int
    email: bool
    concern: bool
    nurture: int
    answer: int
    hours: str
    horizon: int | None


def register(app: typer.Typer) -> None:
    """Add this command to ``app``."""

    @command(app, "new", example="cadence policy new our-way.toml --calls 4 --gap 4 --email")
    def new(
        session: Session,
        file: Annotated[str, typer.Argument(metavar="FILE", help="The file to write.")],
        calls: Annotated[
            int, typer.Option(min=1, max=6, help="How many spaced calls.", prompt=_ask())
        ] = 6,
        gap: Annotated[
            int, typer.Option(min=1, max=60, help="Business days between them.", prompt=_ask())
        ] = 3,
        email: Annotated[
            bool, typer.Option("--email/--no-email", help="An email with each.", prompt=_ask())
        ] = False,
        concern: Annotated[
            bool,
            typer.Option(
                "--concern/--no-concern",
                help="Ask once, late, whether they are OK.",
                prompt=_ask(),
            ),
        ] = False,
        nurture: Annotated[
            int,
            typer.Option(
                min=0,
                max=24,
                help="How many messages after that, ever farther apart.",
                prompt=_ask(),
            ),
        ] = 0,
        answer: Annotated[
            int,
            typer.Option(min=1, max=60, help="Business days to answer the exit.", prompt=_ask()),
        ] = 2,
        hours: Annotated[
            str, typer.Option(help="Business hours, local to the prospect.", prompt=_ask())
        ] = "09:00-17:00",
        horizon: Annotated[
            int | None,
            typer.Option(
                min=1,
                max=1000,
                help="Business days of silence before only the exit is left; "
                "twice what the plan needs.",
            ),
        ] = None,
        title: Annotated[str | None, typer.Option(help="A title for people.")] = None,
    ) -> None:
        """Write a new policy file, commented and proved; asks what no flag says."""
        path = Path(file)
        name = _name(file, path)
        wishes = _Wishes(
            name,
            title or name,
            calls,
            gap,
            email,
            concern,
            nurture,
            answer,
            _hours(hours),
            horizon,
        )
        text = _text(wishes)
        made = read_text(text, path.name)
        _check(made, path.name)  # nothing is written that is not proved
        _write(file, path, text)
        if session.json:
            session.print_json(summary(made))
            return
        session.write(f"{made.id} written to {file}, and proved")
        session.write(f"look at it with: cadence policy show {shlex.quote(file)}")


def _name(file: str, path: Path) -> str:
    """The policy's id, from the name of its file.

    Raises:
        InputError: the file can't be one of a new policy.
    """
    if path.suffix != ".toml":
        raise InputError(f"{file!r} is no name of a policy file", "name one such as our-way.toml")
    if path.exists():
        raise InputError(f"{file}: exists already", "choose another name")
    name = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")
    if not re.match(r"[a-z]", name):
        name = f"policy-{name}"
    name = name[:_LONGEST_ID].rstrip("-")
    if name in builtin_names():
        raise InputError(
            f"{file}: {name} is a policy of the catalogue", f"choose another name: our-{name}.toml"
        )
    return name


def _hours(given: str) -> str:
    """Business hours as a list in the file.

    Raises:
        InputError: they are no hours, are quiet hours, or overlap.
    """
    try:
        spans = [one.strip() for one in given.split(",")]
        hours = sorted(parse_hours(one) for one in spans)
    except InputError as error:
        raise InputError(f"--hours: {error.what}", error.mend) from None
    if any(start < QUIET_UNTIL or end > QUIET_FROM for start, end in hours):
        raise InputError(
            f"--hours: {given} are quiet hours in part", "give hours from 08:00 to 21:00"
        )
    if any(later[0] < earlier[1] for earlier, later in pairwise(hours)):
        raise InputError(f"--hours: {given} overlap", 'give e.g. "09:00-12:00, 13:00-17:00"')
    return ", ".join(f'"{one}"' for one in spans)


def _check(policy: Policy, name: str) -> None:
    """Refuse what is not proved, and wishes of which one keeps another from ever coming true."""
    proof = prove(policy)
    if not proof.proved:
        require_proof(policy, name)
    for one in proof.unreachable:
        if one.step == "concern" and one.rule == Rule.PLAN:
            raise InputError(
                f"concern would never be made: {one.because}",
                "give more --calls: it is asked after five attempts, or not at all: --no-concern",
            )
        # Everybody can be called, so nothing else keeps what we write from being made.
        days = policy.horizon_business_days
        raise InputError(
            f"{one.step} would never be made: it falls behind the horizon of {days} business days",
            "give a larger --horizon, or wish for fewer or closer touches",
        )


def _write(file: str, path: Path, text: str) -> None:
    """Write a new file, whole or not at all."""
    made = False
    try:
        with path.open("x", encoding="utf-8") as out:
            made = True
            out.write(text)
    except FileExistsError:
        raise InputError(f"{file}: exists already", "choose another name") from None
    except (OSError, ValueError) as error:
        if made:
            path.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or str(error)
        raise StoreError(f"{file}: {reason}", "name a file that can be written") from None


def _ask() -> bool:
    """Ask for what is not given, where somebody is there to answer."""
    return all(one is not None and one.isatty() for one in (sys.stdin, sys.stdout))


def _text(wishes: _Wishes) -> str:
    days = "\n".join(f"{day} = [{wishes.hours}]" for day in ("mon", "tue", "wed", "thu", "fri"))
    parts = '[{ channels = ["call"], script = "spaced" }]'
    with_email = ""
    if wishes.email:
        parts = (
            '[{ channels = ["call"], script = "spaced" }, '
            '{ channels = ["email"], script = "spaced" }]'
        )
        with_email = ", each with an email"
    steps = [_STEPS.format(calls=wishes.calls, gap=wishes.gap, parts=parts, with_email=with_email)]
    # Gaps never shrink: whatever follows waits at least as long as the calls.
    least, last = wishes.gap, wishes.gap
    total = wishes.gap * (wishes.calls + 1)
    if wishes.concern:
        steps.append(_CONCERN.format(gap=least))
        total += max(least, 21)
    if wishes.nurture:
        steps.append(_NURTURE.format(gap=least, times=wishes.nurture))
        for _ in range(wishes.nurture - 1):
            last = min(60, -(-last * 3 // 2))
            total += last
        # The exit keeps the distance of the last of them.
        last = max(last, least)
    steps.append(_EXIT.format(gap=last, answer=wishes.answer))
    horizon = wishes.horizon or min(1000, max(45, 2 * (total + last)))
    said = " ".join(wishes.title.split())
    comment = "".join(one if one.isprintable() else " " for one in said)
    title = tomli_w.dumps({"title": wishes.title}).strip()
    head = _HEAD.format(id=wishes.id, comment=comment, title=title, horizon=horizon, days=days)
    return head + "".join(steps)


_HEAD = """\
# {comment}: a policy of our own.
#
# Look at it with: cadence policy show FILE; prove it again after every change with: cadence policy
# check FILE; compare it with: cadence policy diff tip8 FILE. docs/policy.md explains every key.

id = "{id}"
version = 1                     # raise it with every change of meaning
{title}
source = "our own way"

# In a silence longer than this only the polite exit is left: lateness costs calls, not patience.
horizon_business_days = {horizon}

# How long an owner has for a task, such as agreeing on the next step after a reply.
task_business_days = 2

[calendar]
# Local business hours at the prospect's. Their public holidays are closed by themselves; add days
# with closed = [2026-12-24].
{days}

# Exactly when we said we would.
[[steps]]
id = "on_time"
stage = "on_time"
at = "appointment"
parts = [{{ channels = ["call"], script = "on_time" }}]

# Once more, exactly ten minutes later; more than fifteen minutes late it is left out.
[[steps]]
id = "ten_minutes"
stage = "ten_minutes"
after = {{ minutes = 10 }}
within = {{ minutes = 15 }}
parts = [{{ channels = ["call"], script = "ten_minutes" }}]

# Give it half a day.
[[steps]]
id = "half_day"
stage = "half_day"
after = {{ hours = 4 }}
parts = [{{ channels = ["call"], script = "half_day" }}]
"""

_STEPS = """
# {calls} more calls, {gap} business days apart{with_email}.
# More than six in a silence are refuted.
[[steps]]
id = "spaced"
stage = "spaced"
after = {{ business_days = {gap} }}
times = {calls}
parts = {parts}
"""

_CONCERN = """
# "Are you OK?", once, late: never before five attempts and 21 days.
[[steps]]
id = "concern"
stage = "concern"
after = {{ business_days = {gap} }}
requires = {{ attempts = 5, days = 21 }}
parts = [{{ channels = ["sms", "email", "call"], script = "concern" }}]
"""

_NURTURE = """
# Something of value now and then, each gap half again as long as the one before.
[[steps]]
id = "nurture"
stage = "nurture"
after = {{ business_days = {gap}, growth = 1.5, at_most_business_days = 60 }}
times = {times}
parts = [{{ channels = ["email", "sms", "mail", "call"], script = "nurture" }}]
"""

_EXIT = """
# A polite way out, last of all, in writing where that is possible.
[[steps]]
id = "polite_exit"
stage = "polite_exit"
after = {{ business_days = {gap} }}
answer_within = {{ business_days = {answer} }}
parts = [{{ channels = ["email", "sms", "call", "video_email", "mail"], script = "polite_exit" }}]
"""
