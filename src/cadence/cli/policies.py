"""The catalogue of policies, and one of them as a timetable, a picture and a page."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from cadence.cli.policy_check import verdict
from cadence.cli.policy_files import PolicyArgument, find_policy, summary, write_file
from cadence.cli.policy_picture import picture
from cadence.cli.session import Session, command
from cadence.cli.show import paint, plain
from cadence.policy.differences import guard_words
from cadence.policy.load import builtin, builtin_names
from cadence.policy.prove import prove
from cadence.policy.timetable import Entry, timetable
from cadence.policy.write import json_schema

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add these commands to ``app``."""

    @command(app, "list", example="cadence policy list")
    def list_(session: Session) -> None:
        """List the catalogue."""
        policies = [builtin(name) for name in builtin_names()]
        if session.json:
            session.print_json([summary(policy) for policy in policies])
            return
        width = max(len(policy.id) for policy in policies)
        for policy in policies:
            name = paint(f"{policy.id:{width}}", "bold")
            session.write(f"{name}  version {policy.version}  {policy.title}")

    @command(app, "show", example="cadence policy show tip8")
    def show(
        session: Session,
        policy: PolicyArgument,
        html: Annotated[
            str | None, typer.Option("--html", metavar="FILE", help="Write a page instead.")
        ] = None,
    ) -> None:
        """Show a policy: what happens on which business day if nobody answers, and its bounds."""
        found = find_policy(policy)
        entries = list(timetable(found))
        proof = prove(found)
        if html is not None:
            from cadence.cli.policy_page import policy_page

            write_file(html, policy_page(found, entries, proof), unless=policy)
            session.write(f"{found.id} written to {html}")
            return
        if session.json:
            plainly = {**summary(found), "timetable": msgspec.to_builtins(entries)}
            session.print_json({**plainly, "bounds": msgspec.to_builtins(proof.bounds)})
            return
        title = paint(plain(found.title), "bold")
        session.write(f"{title}  ({found.id} version {found.version})")
        session.write(f"source: {plain(found.source)}")
        session.write(f"digest: {found.digest}")
        session.write("")
        for line in (*picture(entries), "", *_table(entries), ""):
            session.write(line)
        for guard in found.guards:
            session.write(f"guard {guard_words(guard)}")
        for line in verdict(proof):
            session.write(line)
        from cadence.messages import lint_policy

        for finding in lint_policy(found):
            session.write(f"script {plain(finding.script)}: {plain(finding.what)}")

    @command(app, "schema", example="cadence policy schema > policy.schema.json")
    def schema(session: Session) -> None:
        """Print the JSON Schema of a policy file, for editors."""
        session.print_json(json_schema())


def _table(entries: list[Entry]) -> list[str]:
    width = max([5, *(len(entry.step) for entry in entries)])
    wide = max([8, *(len(", ".join(entry.channels)) for entry in entries)])
    lines = [paint(f"{'day':>3}  time   {'touch':{width}}  {'channels':{wide}}  after", "bold")]
    for entry in entries:
        channels = ", ".join(entry.channels)
        line = f"{entry.business_day:>3}  {entry.at}  {entry.step:{width}}  {channels:{wide}}"
        lines.append(f"{line}  {entry.gap}".rstrip())
    return lines
