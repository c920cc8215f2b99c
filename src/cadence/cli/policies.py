"""The catalogue of policies: one as a timetable and a picture, its proof, and two compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from cadence.cli.policy_picture import picture
from cadence.cli.session import Session, command
from cadence.cli.show import happened, next_line, paint, plain, replay_lines
from cadence.core.wire import encode_line
from cadence.core.wire import to_builtins as event_to_builtins
from cadence.errors import StoreError
from cadence.history.moments import moments
from cadence.policy.bounds import Bounds
from cadence.policy.catalogue import Policies
from cadence.policy.compare import Difference, compare, same_plan
from cadence.policy.decision import to_builtins
from cadence.policy.differences import step_differences
from cadence.policy.load import builtin, builtin_names, read
from cadence.policy.model import Policy
from cadence.policy.prove import Proof, RuleProof, prove
from cadence.policy.timetable import timetable
from cadence.policy.write import json_schema

__all__ = ["PolicyArgument", "find_policy", "register", "summary"]

PolicyArgument = Annotated[
    str, typer.Argument(metavar="POLICY", help="A name of the catalogue, or a .toml file.")
]


def find_policy(name: str) -> Policy:
    """A policy of the catalogue, or of a file; proved or not."""
    return read(Path(name)) if name.endswith(".toml") or "/" in name else builtin(name)


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

            write_file(html, policy_page(found, entries, proof))
            session.write(f"{found.id} written to {html}")
            return
        if session.json:
            plain = {**summary(found), "timetable": msgspec.to_builtins(entries)}
            session.print_json({**plain, "bounds": msgspec.to_builtins(proof.bounds)})
            return
        session.write(f"{paint(found.title, 'bold')}  ({found.id} version {found.version})")
        session.write(f"source: {found.source}; digest {found.digest}")
        session.write("")
        for line in picture(entries):
            session.write(line)
        session.write("")
        width = max([12, *(len(entry.step) for entry in entries)])
        wide = max([11, *(len(", ".join(entry.channels)) for entry in entries)])
        session.write(paint(f"day  time   {'step':{width}} {'channels':{wide}} after", "bold"))
        for entry in entries:
            channels = ", ".join(entry.channels)
            line = f"{entry.business_day:>3}  {entry.at}  {entry.step:{width}} {channels:{wide}}"
            session.write(f"{line} {entry.gap}".rstrip())
        session.write("")
        for guard in found.guards:
            session.write(f"guard {guard.name} ({guard.__struct_config__.tag})")
        for line in _verdict(proof):
            session.write(line)
        from cadence.messages import lint_policy

        for finding in lint_policy(found):
            session.write(f"script {finding.script}: {finding.what}")

    @command(app, "check", example="cadence policy check our-way.toml")
    def check(
        session: Session,
        policy: PolicyArgument,
        save: Annotated[
            str | None,
            typer.Option("--save", metavar="FILE", help="Write the counterexample as JSONL."),
        ] = None,
    ) -> None:
        """Prove that a policy keeps the charter on every history, or show one on which it fails."""
        found = find_policy(policy)
        proof = prove(found)
        if save is not None and proof.refuted:
            lines = b"".join(encode_line(e) + b"\n" for e in proof.refuted[0].counterexample)
            write_file(save, lines.decode())
        if session.json:
            session.print_json(_plain_proof(proof))
        else:
            for line in _proof_lines(found, proof, policy):
                session.write(line)
        if not proof.proved:
            raise typer.Exit(1)

    @command(app, "diff", example="cadence policy diff tip8 our-way.toml")
    def diff(session: Session, a: PolicyArgument, b: PolicyArgument) -> None:
        """Show the shortest history on which two policies decide differently, and where they do."""
        first, second = find_policy(a), find_policy(b)
        same = same_plan(first, second)
        found = None if same else compare(first, second)
        steps = [] if same else step_differences(first, second)
        if session.json:
            session.print_json(
                {
                    "same": same,
                    "history": None
                    if found is None
                    else {
                        "events": [event_to_builtins(event) for event in found.events],
                        "at": msgspec.to_builtins(found.now),
                        "decisions": [to_builtins(found.first), to_builtins(found.second)],
                    },
                    "steps": [msgspec.to_builtins(step) for step in steps],
                }
            )
            return
        for line in _difference_lines(first, second, same, found):
            session.write(line)
        width = max([0, *(len(step.place) for step in steps)])
        for step in steps:
            place = paint(f"{step.place:{width}}", "bold")
            session.write(f"  {place}  {step.first or '-'}  →  {step.second or '-'}")

    @command(app, "schema", example="cadence policy schema > policy.schema.json")
    def schema(session: Session) -> None:
        """Print the JSON Schema of a policy file, for editors."""
        session.print_json(json_schema())


def summary(policy: Policy) -> dict[str, object]:
    """Who a policy is, for JSON."""
    return {
        "name": policy.id,
        "version": policy.version,
        "digest": policy.digest,
        "title": policy.title,
        "source": policy.source,
    }


def write_file(name: str, text: str) -> None:
    """Write a file, or say in two lines why not."""
    try:
        Path(name).write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StoreError(f"{name}: {reason}", "name a file that can be written") from None


# The proof ----------------------------------------------------------------------------------------


def _plain_proof(proof: Proof) -> dict[str, Any]:
    return {
        "policy": msgspec.to_builtins(proof.policy),
        "proved": proof.proved,
        "rules": [
            {
                "rule": one.rule.value,
                "proved": one.proved,
                "how": one.how,
                "counterexample": [event_to_builtins(event) for event in one.counterexample],
            }
            for one in proof.rules
        ],
        "bounds": msgspec.to_builtins(proof.bounds),
        "unreachable": [msgspec.to_builtins(one) for one in proof.unreachable],
        "states": proof.states,
        "transitions": proof.transitions,
    }


def _proof_lines(policy: Policy, proof: Proof, name: str) -> list[str]:
    ref = proof.policy
    lines = [f"{paint(ref.name, 'bold')} version {ref.version}, digest {ref.digest[:12]}…", ""]
    for one in proof.rules:
        sign = paint("proved ", "green") if one.proved else paint("refuted", "bold red")
        lines.append(f"  {sign}  {one.rule:13}  {one.how}")
    lines += ["", f"  {proof.states} states, {proof.transitions} transitions explored", ""]
    lines += _verdict(proof)
    for one in proof.refuted:
        lines += ["", *_counterexample(policy, one)]
    if proof.refuted:
        example = "counterexample.jsonl"
        lines += [
            "",
            f"keep it with: cadence policy check {name} --save {example}",
            f"and play it:  cadence --db trial.db import {example} && "
            f"cadence --db trial.db replay somebody --policy {name}",
        ]
    return lines


def _verdict(proof: Proof) -> list[str]:
    lines = []
    if proof.bounds is None:
        rules = ", ".join(one.rule for one in proof.refuted)
        lines.append(paint(f"refuted: {rules}", "bold red"))
    else:
        lines.append(paint("proved", "bold green") + f": {_bounds(proof.bounds)}")
    for one in proof.unreachable:
        lines.append(paint(f"never made: {one.step} ({one.rule}: {one.because})", "yellow"))
    return lines


def _bounds(bounds: Bounds) -> str:
    days = bounds.business_days_to_end
    return (
        f"at most {bounds.attempts_in_silence} attempts in a silence, "
        f"{bounds.attempts_in_24_hours} in any 24 hours, {bounds.attempts_in_7_days} in 7 days, "
        f"{bounds.attempts_in_30_days} in 30 days; "
        f"{days.shortest} to {days.longest} business days to its end"
    )


def _counterexample(policy: Policy, one: RuleProof) -> list[str]:
    title = paint(f"{one.rule} fails on this history: {one.how}", "bold")
    lines = [title]
    steps = list(moments(one.counterexample, Policies(policy)))
    lines += [f"  {line}" for line in replay_lines(steps, brief=True)]
    if steps:
        named = [r for r in steps[-1].decision.reasons if r.rule == one.rule]
        lines += [f"        {r.rule}: {plain(r.because)}" for r in named]
    return lines


# Two compared -------------------------------------------------------------------------------------


def _difference_lines(
    first: Policy, second: Policy, same: bool, found: Difference | None
) -> list[str]:
    names = f"{first.id} (version {first.version}) and {second.id} (version {second.version})"
    if same:
        return [f"{names} are the same: their plans are equal, so they decide alike always"]
    if found is None:
        return [
            f"{names}: no history was found on which they decide differently; "
            "this is no proof that they are the same"
        ]
    policies = Policies(first)
    lines = [f"{names} decide differently after {len(found.events)} events:"]
    steps = list(moments(found.events, policies))
    lines += [f"  {happened(step)}" for step in steps]
    prospect = steps[-1].prospect
    lines.append(f"  seen at {found.now:%Y-%m-%dT%H:%M:%SZ}")
    width = max(len(policy.id) for policy in (first, second))
    for policy, decision in ((first, found.first), (second, found.second)):
        lines.append(
            f"    {paint(f'{policy.id:{width}}', 'bold')}  {next_line(prospect, decision)}"
        )
    lines.append("")
    return lines
