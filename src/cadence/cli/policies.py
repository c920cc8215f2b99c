"""The catalogue of policies, and one of them as a timetable, a picture and a page."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from cadence.cli.files import write_text
from cadence.cli.policy_check import verdict
from cadence.cli.policy_files import PolicyArgument, find_policy, policy_inputs, summary
from cadence.cli.policy_layout import columns, folded, table, wide
from cadence.cli.policy_picture import picture
from cadence.cli.policy_use import policies_in_use
from cadence.cli.session import Session, command, new_app
from cadence.cli.show import spoken_lines
from cadence.cli.terminal import paint
from cadence.errors import InputError, did_you_mean
from cadence.policy.guard_runner import is_allowed
from cadence.policy.loader import builtin, builtin_names, own_functions, without_code
from cadence.policy.model import Policy
from cadence.policy.writer import json_schema
from cadence.prover.policy_text import guard_words
from cadence.prover.proof import Proof, prove
from cadence.prover.timetable import Entry, timetable

if TYPE_CHECKING:
    from cadence.messages.conversation import Said

__all__ = ["app"]

app = new_app()


@command(app, "list", example="cadence policy list")
def list_(session: Session) -> None:
    """List the catalogue and the policies in use."""
    policies = [builtin(name) for name in builtin_names()]
    in_use = policies_in_use(session)
    if session.json:
        counts = {one.ref.digest: one.prospects for one in in_use}
        plain = [{**summary(one), "prospects": counts.get(one.digest, 0)} for one in policies]
        session.print_json([*plain, *(one.to_dict() for one in in_use if not one.is_builtin)])
        return
    width = max(len(policy.id) for policy in policies)
    said = [f"version {policy.version}  {policy.title}" for policy in policies]
    beside = width + 2 + max(map(wide, said)) <= (columns() or sys.maxsize)
    for policy, more in zip(policies, said, strict=True):
        name = paint(f"{policy.id:{width if beside else 0}}", "bold")
        for line in [f"{name}  {more}"] if beside else folded([name, f"  {more}"]):
            session.write(line)
    if not in_use:
        return
    session.write("")
    session.write("prospects of this database are under:")
    for used in in_use:
        for line in folded([used.words()], 2):
            session.write(line)


@command(app, "show", example="cadence policy show tip8")
def show(
    session: Session,
    policy: PolicyArgument,
    html: Annotated[
        str | None,
        typer.Option("--html", metavar="FILE", help="Write a page instead, - for stdout."),
    ] = None,
    script: Annotated[
        bool,
        typer.Option("--script", help="Show what it says to one who never answers, day by day."),
    ] = False,
    language: Annotated[
        str,
        typer.Option(
            "--language", metavar="CODE", help="The language of the sample prospect, such as es."
        ),
    ] = "en",
) -> None:
    """Show a policy: its picture, timetable, bounds and verdict.

    With --script it shows all that a sample prospect who never answers hears or reads.
    """
    if script and html is not None:
        raise InputError("--script: invalid with --html", "give one of them; the page has both")
    if script:
        _show_script(session, policy, language)
        return
    found = find_policy(session, policy, as_data=html is None)
    # A guard whose code is not allowed says nothing here: the timetable is the one without it.
    shown = without_code(found)
    entries = list(timetable(shown))
    proof = prove(found) if shown is found else None
    if html is not None:
        from cadence.reports.policy_page import policy_page

        write_text(
            html,
            policy_page(
                found, entries, proof or prove(found), _conversation(session, found, language)
            ),
            db=session.db,
            inputs=policy_inputs(policy),
        )
        if html != "-":
            session.write(f"{found.id} written to {html}")
        return
    if session.json:
        plainly = {**summary(found), "timetable": msgspec.to_builtins(entries)}
        bounds = None if proof is None else msgspec.to_builtins(proof.bounds)
        session.print_json({**plainly, "bounds": bounds, "not_allowed": _not_allowed(found)})
        return
    for line in _lines(found, entries, proof):
        session.write(line)


@command(app, "schema", example="cadence policy schema > policy.schema.json")
def schema(session: Session) -> None:
    """Print the JSON Schema of a policy file, for editors."""
    session.print_json(json_schema())


def _conversation(session: Session, policy: Policy, language: str) -> list[Said]:
    from cadence.messages import languages_of
    from cadence.messages.conversation import conversation

    with session.reading_if_there() as store:
        team = store.settings().team
    known = languages_of(team)
    if language not in known:
        raise InputError(
            f"--language: unknown {language!r}",
            did_you_mean(language, known, otherwise=f"use one of: {', '.join(known)}"),
        )
    return list(conversation(policy, language, team))


def _show_script(session: Session, policy: str, language: str) -> None:
    found = without_code(find_policy(session, policy, as_data=True))
    said = _conversation(session, found, language)
    if session.json:
        session.print_json([msgspec.to_builtins(one) for one in said])
        return
    for one in said:
        when = f"day {one.business_day}, {one.at:%H:%M}"
        session.write(paint(f"{when}  {one.step}", "bold"))
        if not one.parts:
            session.write("  the owner's own first attempt, in words of their own")
        for part in one.parts:
            for line in spoken_lines(part):
                for row in folded([line], 4):
                    session.write(row)
        session.write("")


def _not_allowed(policy: Policy) -> list[str]:
    return [name for name in own_functions(policy) if not is_allowed(name)]


def _lines(policy: Policy, entries: list[Entry], proof: Proof | None) -> Iterator[str]:
    from cadence.messages import lint_policy

    title = paint(policy.title, "bold")
    yield from folded([f"{title}  ({policy.id} version {policy.version})"])
    yield from folded([f"source: {policy.source}"])
    yield from _digest(policy.digest)
    yield ""
    yield from _drawn(entries)
    yield ""
    yield from table(_TITLES, [_cells(entry) for entry in entries], lead=3)
    yield ""
    yield from folded(f"guard {guard_words(guard)}" for guard in policy.guards)
    if proof is None:
        names = ", ".join(_not_allowed(policy))
        yield from folded(
            [
                f"{paint('not proved', 'bold yellow')}: the code of {names} is not allowed, and "
                "the timetable is without it; add --allow-code if you trust it"
            ]
        )
    else:
        yield from verdict(policy, proof)
    yield from folded(str(finding) for finding in lint_policy(policy) if not finding.accepted)


def _digest(digest: str) -> Iterator[str]:
    """All of it; in pieces of one length where it is wider than the terminal."""
    name = "digest: "
    room = (columns() or len(name + digest)) - len(name)
    size = next((n for n in (64, 32, 16) if n <= room), 8)
    for start in range(0, len(digest), size):
        yield f"{name if not start else '':{len(name)}}{digest[start : start + size]}"


def _drawn(entries: list[Entry]) -> Iterator[str]:
    limit = columns()
    yield from folded(picture(entries) if limit is None else picture(entries, limit), 6)


_TITLES = ("day", "time", "touch", "channels", "after")


def _cells(entry: Entry) -> tuple[str, ...]:
    day = f"{entry.business_day:>3}"
    return day, entry.at, entry.step, ", ".join(entry.channels), entry.gap
