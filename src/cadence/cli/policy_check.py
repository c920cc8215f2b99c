"""A policy proved, or refuted with the shortest history on which it fails; its wording linted."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from cadence.cli.files import writing
from cadence.cli.policy_files import PolicyArgument, find_policy, policy_inputs
from cadence.cli.policy_layout import columns, folded, table, to_copy
from cadence.cli.session import Session, command, new_app
from cadence.cli.show import replay_lines
from cadence.cli.terminal import paint
from cadence.domain.codec import to_builtins as event_to_builtins
from cadence.domain.events import AttemptMade, Event
from cadence.domain.plurals import plural
from cadence.domain.team import missing_facts
from cadence.engine import invariants
from cadence.engine.reasons import Reason, ReasonKind
from cadence.errors import InputError
from cadence.policy.model import Policy
from cadence.policy.registry import PolicyRegistry
from cadence.prover.bounds import Bounds
from cadence.prover.proof import Proof, RuleProof, prove
from cadence.replay.steps import AnnotatedStep, annotate

if TYPE_CHECKING:
    from cadence.messages import Finding

__all__ = ["app", "verdict", "wording_lines"]

app = new_app()

_EXAMPLE: Final = "counterexample.jsonl"
_FEW: Final = 3  # skipped touches that are named
_INDENT: Final = 26
_NARROW: Final = 4
_BESIDE: Final = 76  # columns from which a promise stands beside its rule


@command(app, "check", example="cadence policy check our-way.toml")
def check(
    session: Session,
    policy: PolicyArgument,
    save: Annotated[
        str | None,
        typer.Option("--save", metavar="FILE", help="Write the counterexample as JSONL."),
    ] = None,
) -> None:
    """Prove that a policy keeps the invariants, or show how it fails.

    It also lints the wording of its scripts in every form and language, and names the facts of the
    team that they lack. It exits with 1 where the proof fails or a script is at fault.
    """
    if save == "-":
        raise InputError(
            "--save: invalid -: standard output is for the proof", "give a file or use --json"
        )
    # Loads templates, which few commands need.
    from cadence.messages import check_scripts, languages_of, lint_policy

    found = find_policy(session, policy)
    with session.reading_if_there() as store:
        team = store.settings().team
    languages = languages_of(team)
    check_scripts(found, policy, languages)
    proof = prove(found)
    findings = lint_policy(found, languages, default=team.language)
    missing = missing_facts(team, team.owners or [None], found.usable)
    shown = next((one for one in proof.refuted if one.counterexample), None)
    if save is not None and shown is not None:
        with writing(save, db=session.db, inputs=policy_inputs(policy)) as out:
            out.writelines(_line(event) + b"\n" for event in shown.counterexample)
    if session.json:
        wording = [
            msgspec.to_builtins({**one._asdict(), "fault": one.is_fault}) for one in findings
        ]
        # The keys of the contract are all there are where there is nothing to say about the words.
        session.print_json({**_plain(proof), **({"wording": wording} if wording else {})})
    else:
        words = wording_lines(findings, missing)
        for line in (*_lines(found, proof), *words, *_saved(proof, policy, shown, save)):
            session.write(line)
    if not proof.proved or any(one.is_fault for one in findings):
        raise typer.Exit(1)


def _line(event: Event) -> bytes:
    """The event as a line to import; an attempt says also where it broke nothing.

    An import would fill that in under the policy of the prospect there.
    """
    plain = event_to_builtins(event)
    if isinstance(event.data, AttemptMade):
        plain["data"] = {"broke": [], **plain["data"]}
    return msgspec.json.encode(plain)


def wording_lines(findings: Sequence[Finding], missing: Sequence[str]) -> list[str]:
    """What the linter minds in the scripts, faults first, and which facts of the team they lack."""
    lines = [
        f"{paint('wording', 'bold red' if one.is_fault else 'yellow')}: {one}"
        for one in sorted(findings, key=lambda one: not one.is_fault)
    ]
    if missing:
        lines.append(f"messages lack {', '.join(missing)}; set them with: cadence settings")
    return list(folded(lines))


def verdict(policy: Policy, proof: Proof) -> list[str]:
    """Whether a policy is proved, with its bounds and what of it is never made."""
    if proof.bounds is None:
        rules = ", ".join(one.rule for one in proof.refuted)
        lines = [paint("refuted", "bold red") + f": it breaks {rules}"]
    else:
        lines = [paint("proved", "bold green") + f": {_bounds(proof.bounds, policy)}"]
    for one in proof.unreachable:
        lines.append(paint(f"never made: {one.step} ({one.rule}: {one.because})", "yellow"))
    for turn in proof.closed_turns:
        because = f"{turn.step} rotates to it, and the calendar has no hours on that day"
        lines.append(paint(f"never on {turn.day}: {because}", "yellow"))
    most = [] if proof.bounds is None else [*_most_parts(proof.bounds), ""]
    return [*most, *folded(lines)]


def _most_parts(bounds: Bounds) -> Iterator[str]:
    """The most parts in each span, in all and by channel."""
    titles = ("at most in", "a silence", "24 hours", "7 days", "30 days")
    widths = list(map(len, titles[1:]))
    rows = [
        (name, *(f"{most:{width}}" for most, width in zip(found, widths, strict=True)))
        for name, found in bounds.rows[1:]  # attempts stand in the sentence below
    ]
    return table(titles, rows, lead=1)


def _plain(proof: Proof) -> dict[str, Any]:
    return {
        "policy": msgspec.to_builtins(proof.policy),
        "proved": proof.proved,
        "rules": [
            {
                "rule": one.rule,
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


def _lines(policy: Policy, proof: Proof) -> list[str]:
    ref = proof.policy
    head = f"{paint(ref.name, 'bold')} version {ref.version}, digest {ref.digest[:12]}…"
    lines = [*folded([head]), ""]
    limit = columns()
    indent = _INDENT if limit is None or limit >= _BESIDE else _NARROW
    promises = {row.id: row.promise for row in invariants.INVARIANTS}
    # What fails stands first: that is what the author has to fix.
    for one in sorted(proof.rules, key=lambda one: one.proved):
        sign = paint("proved ", "green") if one.proved else paint("refuted", "bold red")
        head, promise = f"  {sign}  {paint(f'{one.rule:13}', 'bold')}", promises[one.rule]
        if indent == _INDENT:
            lines += folded([f"{head}  {promise}"], indent)
        else:
            lines += [head.rstrip(), *folded([f"{' ' * indent}{promise}"], indent)]
        how = one.how if one.proved else f"but {one.how}"
        style = "dim" if one.proved else "red"
        lines += [paint(line, style) for line in folded([f"{' ' * indent}{how}"], indent)]
    explored = f"{plural(proof.states, 'state')} and {plural(proof.transitions, 'move')}"
    lines += ["", f"{explored} explored", ""]
    for one in proof.refuted:
        lines += [*folded(_counterexample(policy, one), 8), ""]
    return [*lines, *verdict(policy, proof)]


def _counterexample(policy: Policy, one: RuleProof) -> list[str]:
    steps = list(annotate(one.counterexample, PolicyRegistry(policy)))
    if not steps:
        return [paint(f"{one.rule} fails", "bold") + " wherever a history gets as far"]
    named = [reason for reason in steps[-1].decision.reasons if reason.rule == one.rule]
    how = _how_it_fails(one.rule, steps, named)
    head = f"{one.rule} fails on this history, the shortest found{how}:"
    lines = [paint(line, "bold") for line in folded([head])]
    lines += [f"  {line}" for line in replay_lines(steps, brief=True)]
    lines += [f"        {reason.rule}: {reason.because}" for reason in named]
    return lines


def _how_it_fails(rule: str, steps: Sequence[AnnotatedStep], named: Sequence[Reason]) -> str:
    """Whether the engine skips or delays what is planned, or an attempt made then breaks it."""
    skipped = [name for reason in named if reason.kind is ReasonKind.SKIP for name in reason.steps]
    if skipped:
        more = f" and {len(skipped) - _FEW} more" if len(skipped) > _FEW else ""
        what = ", ".join(skipped[:_FEW]) + more
        return f": the engine skips what the policy plans ({what})"
    event = steps[-1].event
    if isinstance(event.data, AttemptMade) and rule in event.data.broke:
        return f": the attempt of event {event.version}, made when it is planned, breaks the rule"
    if any(reason.kind is ReasonKind.DELAY for reason in named):
        return ": the engine delays what the policy plans"
    return ""


def _saved(proof: Proof, policy: str, shown: RuleProof | None, save: str | None) -> list[str]:
    """Where the counterexample is, or how to keep it and play it."""
    if shown is None:
        return [] if save is None else [f"{save} was not written: there is no counterexample"]
    name = shlex.quote(policy)
    file = shlex.quote(save or _EXAMPLE)
    lines = [""]
    if save is None:
        lines += to_copy("keep the first history:", f"cadence policy check {name} --save {file}")
    else:
        lines += folded([f"the history of {shown.rule} was written to {save}"])
    trial = "cadence --db trial.db"
    lines += to_copy(
        "play it:", f"{trial} import {file} && {trial} replay somebody --policy {name}"
    )
    return lines


def _bounds(bounds: Bounds, policy: Policy) -> str:
    days = bounds.business_days_to_end
    return (
        f"at most {plural(bounds.attempts_in_silence, 'attempt')} in a silence, "
        f"{bounds.attempts_in_24_hours} in any 24 hours, {bounds.attempts_in_7_days} in 7 days, "
        f"{bounds.attempts_in_30_days} in 30 days; "
        f"{days.shortest} to {days.longest} business days to its end"
        + (f", {days.longest_by_mail} by mail" if days.longest_by_mail > days.longest else "")
        # The timetable beside it is played with them.
        + (", not counting what its guards delay" if policy.guards else "")
    )
