"""Write a new policy file from a few questions or flags, with comments, and prove it."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Annotated, NamedTuple

import tomli_w
import typer

from cadence.cli.files import check_output, write_text
from cadence.cli.policy_files import summary
from cadence.cli.policy_layout import folded
from cadence.cli.session import Session, command, new_app
from cadence.errors import InputError
from cadence.policy.loader import builtin_names, parse_text
from cadence.policy.model import Policy
from cadence.policy.rules import Rule
from cadence.prover.proof import prove, require_proof
from cadence.worktime.hours import QUIET_FROM, QUIET_UNTIL, WEEKDAYS, parse_hours

__all__ = ["app"]

app = new_app()

_LONGEST_ID = 60
_MOST_DAYS = 1000  # of a horizon


class _Wishes(NamedTuple):
    """What was asked for."""

    calls: int = 6
    gap: int = 3
    email: bool = False
    concern: bool = False
    nurture: int = 0
    answer: int = 2
    hours: str = "09:00-17:00"


class _Flags(NamedTuple):
    """What the flags say; ``None``: nothing."""

    calls: int | None
    gap: int | None
    email: bool | None
    concern: bool | None
    nurture: int | None
    answer: int | None
    hours: str | None


_USUAL = _Wishes()

# What is asked; each flag's help says the same.
_CALLS = "Spaced calls, after the first three"
_GAP = "Business days between them"
_EMAIL = "An email with each of them"
_CONCERN = "Ask once, late, whether they are OK"
_NURTURE = "Messages after that, ever farther apart"
_ANSWER = "Business days to answer the polite exit"
_HOURS = "Business hours, local to the prospect"


@command(app, "new", example="cadence policy new our-way.toml --calls 4 --gap 4 --email")
def new(
    session: Session,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file to write.")],
    calls: Annotated[
        int | None, typer.Option(min=1, max=6, help=f"{_CALLS}. {_usually(_USUAL.calls)}")
    ] = None,
    gap: Annotated[
        int | None, typer.Option(min=1, max=60, help=f"{_GAP}. {_usually(_USUAL.gap)}")
    ] = None,
    email: Annotated[
        bool | None, typer.Option("--email/--no-email", help=f"{_EMAIL}. [default: no]")
    ] = None,
    concern: Annotated[
        bool | None, typer.Option("--concern/--no-concern", help=f"{_CONCERN}. [default: no]")
    ] = None,
    nurture: Annotated[
        int | None, typer.Option(min=0, max=24, help=f"{_NURTURE}. {_usually(_USUAL.nurture)}")
    ] = None,
    answer: Annotated[
        int | None, typer.Option(min=1, max=60, help=f"{_ANSWER}. {_usually(_USUAL.answer)}")
    ] = None,
    hours: Annotated[str | None, typer.Option(help=f"{_HOURS}. {_usually(_USUAL.hours)}")] = None,
    horizon: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=_MOST_DAYS,
            help="Business days of silence before only the exit is left. "
            "[default: twice what the plan needs]",
        ),
    ] = None,
    title: Annotated[str | None, typer.Option(help="A title for people.")] = None,
) -> None:
    """Write a new policy file, commented and proved.

    In a terminal it asks what no option gives.
    """
    path = Path(file)
    name = _name(file, path)
    check_output(file, db=session.db, new=True)
    if hours is not None:
        try:
            _hours(hours)
        except InputError as error:
            raise InputError(f"--hours: {error.what}", error.hint) from None
    flags = _Flags(calls, gap, email, concern, nurture, answer, hours)
    asking = session.is_terminal and sys.stdin is not None and sys.stdin.isatty() and None in flags
    wishes = _Wishes()
    while True:
        wishes = _wished(flags, wishes, asking=asking)
        try:
            text = _text(wishes, name, title or name, horizon)
            made = parse_text(text, path.name)
            _check(made, path.name)  # nothing is written that is not proved
            break
        except InputError as error:
            if not asking:
                raise
            for line in folded([error.what, error.hint, ""]):
                session.write(line)
    write_text(file, text, db=session.db, new=True)
    if session.json:
        session.print_json(summary(made))
        return
    session.write(f"{made.id} written to {file}, and proved")
    session.write(f"look at it with: cadence policy show {shlex.quote(file)}")


def _usually(value: object) -> str:
    return f"[default: {value}]"


def _wished(flags: _Flags, usual: _Wishes, *, asking: bool) -> _Wishes:
    """What the flags say, and beside that what is answered, or else what is usual."""
    f, u = flags, usual
    return _Wishes(
        calls=_whole(f.calls, _CALLS, u.calls, 1, 6, asking=asking),
        gap=_whole(f.gap, _GAP, u.gap, 1, 60, asking=asking),
        email=_yes(f.email, _EMAIL, u.email, asking=asking),
        concern=_yes(f.concern, _CONCERN, u.concern, asking=asking),
        nurture=_whole(f.nurture, _NURTURE, u.nurture, 0, 24, asking=asking),
        answer=_whole(f.answer, _ANSWER, u.answer, 1, 60, asking=asking),
        hours=_text_of(f.hours, _HOURS, u.hours, _hours, asking=asking),
    )


def _yes(flag: bool | None, what: str, usual: bool, *, asking: bool) -> bool:
    if flag is not None or not asking:
        return usual if flag is None else flag
    return typer.confirm(f"{what}?", default=usual)


def _whole(flag: int | None, what: str, usual: int, least: int, most: int, *, asking: bool) -> int:
    def read(text: str) -> str:
        with suppress(ValueError):
            if least <= int(text) <= most:
                return text
        raise InputError(f"invalid {text!r}", f"give a whole number from {least} to {most}")

    given = None if flag is None else str(flag)
    return int(_text_of(given, f"{what} ({least} to {most})", str(usual), read, asking=asking))


def _text_of(
    flag: str | None, what: str, usual: str, read: Callable[[str], str], *, asking: bool
) -> str:
    if flag is not None or not asking:
        return usual if flag is None else flag

    def told(text: str) -> str:
        """What was answered; or what is wrong with it, and the question is asked again."""
        try:
            return read(text)
        except InputError as error:
            raise typer.BadParameter(f"{error.what}; {error.hint}") from None

    answer: str = typer.prompt(what, usual, value_proc=told)
    return answer


def _name(file: str, path: Path) -> str:
    """The policy's id, from the name of its file.

    Raises:
        InputError: the file can't be one of a new policy.
    """
    if path.suffix != ".toml":
        raise InputError(f"{file!r}: invalid name of a policy file", "use one such as our-way.toml")
    name = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")
    if not re.match(r"[a-z]", name):
        name = f"policy-{name}"
    name = name[:_LONGEST_ID].rstrip("-")
    if name in builtin_names():
        raise InputError(
            f"{file}: {name} is a policy of the catalogue", f"use another name: our-{name}.toml"
        )
    return name


def _hours(given: str) -> str:
    """Business hours as they were given.

    Raises:
        InputError: they are no hours, are quiet hours, or overlap.
    """
    hours = sorted(parse_hours(one.strip()) for one in given.split(","))
    if any(start < QUIET_UNTIL or end > QUIET_FROM for start, end in hours):
        raise InputError(
            f"invalid {given!r}: they include quiet hours", "give hours from 08:00 to 21:00"
        )
    if any(later[0] < earlier[1] for earlier, later in pairwise(hours)):
        raise InputError(f"invalid {given!r}: they overlap", 'give e.g. "09:00-12:00, 13:00-17:00"')
    return given


def _check(policy: Policy, name: str) -> None:
    """Refuse what is not proved, and wishes of which one makes another unreachable."""
    proof = prove(policy)
    for refuted in proof.refuted:
        if refuted.rule == Rule.FREQUENCY:
            raise InputError(
                f"that is too often: {refuted.how}",
                "give a larger --gap, fewer --calls, or no --email",
            )
    if not proof.proved:
        require_proof(policy, name)
    for one in proof.unreachable:
        if one.step == "concern" and one.rule == Rule.PLAN:
            raise InputError(
                f"concern would never be made: {one.because}",
                "give more --calls: it is asked after five attempts, or not at all: --no-concern",
            )
        # Every prospect can be called here, so only the horizon can keep a touch from being made.
        days = policy.horizon_business_days
        larger = "give a larger --horizon, or " if days < _MOST_DAYS else ""
        raise InputError(
            f"{one.step} would never be made: it falls behind the horizon of {days} business days",
            f"{larger}give fewer or closer touches",
        )


def _text(wishes: _Wishes, name: str, title: str, horizon: int | None) -> str:
    spans = ", ".join(f'"{one.strip()}"' for one in wishes.hours.split(","))
    days = "\n".join(f"{day} = [{spans}]" for day in WEEKDAYS[:5])
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
        steps.append(_CONCERN_STEP.format(gap=least))
        total += max(least, 21)
    if wishes.nurture:
        steps.append(_NURTURE_STEP.format(gap=least, times=wishes.nurture))
        for _ in range(wishes.nurture - 1):
            last = min(60, -(-last * 3 // 2))
            total += last
        # The exit keeps the distance of the last of them.
        last = max(last, least)
    steps.append(_EXIT.format(gap=last, answer=wishes.answer))
    horizon = horizon or min(_MOST_DAYS, max(45, 2 * (total + last)))
    said = " ".join(title.split())
    comment = "".join(one if one.isprintable() else " " for one in said)
    titled = tomli_w.dumps({"title": title}).strip()
    head = _HEAD.format(id=name, comment=comment, title=titled, horizon=horizon, days=days)
    return head + "".join(steps)


_HEAD = """\
# {comment}: a policy of our own.
#
# Look at it with: cadence policy show FILE; prove it again after every change with: cadence policy
# check FILE; compare it with: cadence policy diff tip8 FILE. The docs list every key of a policy.

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

_CONCERN_STEP = """
# "Are you OK?", once, late: never before five attempts and 21 days.
[[steps]]
id = "concern"
stage = "concern"
after = {{ business_days = {gap} }}
requires = {{ attempts = 5, days = 21 }}
parts = [{{ channels = ["sms", "email", "call"], script = "concern" }}]
"""

_NURTURE_STEP = """
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
