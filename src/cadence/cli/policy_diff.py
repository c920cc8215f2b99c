"""Two policies compared: the shortest history on which they part, and where their files differ."""

from __future__ import annotations

from typing import Any

import msgspec

from cadence.cli.policy_files import PolicyArgument, find_policy
from cadence.cli.policy_layout import columns, folded, wide
from cadence.cli.session import Session, command, new_app
from cadence.cli.show import happened, next_line, spoken_lines
from cadence.cli.terminal import paint
from cadence.domain.codec import to_builtins as event_to_builtins
from cadence.domain.prospect import Prospect
from cadence.engine.decision import to_builtins
from cadence.policy.model import Policy
from cadence.policy.registry import PolicyRegistry
from cadence.policy.touch import TouchPart
from cadence.prover.diff import Difference, compare, same_plan
from cadence.prover.policy_text import StepDifference, step_differences
from cadence.replay.steps import annotate

__all__ = ["app"]

app = new_app()


@command(app, "diff", example="cadence policy diff tip8 our-way.toml")
def diff(session: Session, a: PolicyArgument, b: PolicyArgument) -> None:
    """Show how two policies differ: a history, and their steps.

    The history is the shortest on which they decide differently.
    """
    first, second = find_policy(session, a), find_policy(session, b)
    same = same_plan(first, second)
    found = compare(first, second)
    steps = [] if same else step_differences(first, second)
    if session.json:
        history = None if found is None else _plain(found)
        places = [msgspec.to_builtins(step) for step in steps]
        session.print_json({"same": same, "history": history, "steps": places})
        return
    names = [_name(policy, argument) for policy, argument in ((first, a), (second, b))]
    for line in folded(_lines((first, second), names, same, found)):
        session.write(line)
    if steps:
        session.write("")
    for line in _places(steps):
        session.write(line)


def _name(policy: Policy, argument: str) -> str:
    """What to call a policy; two of one name are told apart by their files."""
    return policy.id if argument == policy.id else f"{policy.id} ({argument})"


def _plain(found: Difference) -> dict[str, Any]:
    return {
        "events": [event_to_builtins(event) for event in found.events],
        "at": msgspec.to_builtins(found.now),
        "decisions": [to_builtins(found.first), to_builtins(found.second)],
    }


def _lines(
    policies: tuple[Policy, Policy], names: list[str], same: bool, found: Difference | None
) -> list[str]:
    both = " and ".join(paint(name, "bold") for name in names)
    if same:
        return [f"{both} are the same: their plans are equal, so they decide alike always"]
    if found is None:
        return [
            f"{both} differ in what follows, but no history was found on which they decide "
            "differently; that does not prove that there is none"
        ]
    count = len(found.events)
    lines = [f"{both} decide differently after {count} event{'s' * (count != 1)}:"]
    steps = list(annotate(found.events, PolicyRegistry(policies[0])))
    lines += folded([f"  {happened(step)}" for step in steps], 8)
    prospect = steps[-1].prospect
    lines.append(f"seen at {found.now:%a %Y-%m-%d %H:%M} UTC:")
    width = max(len(name) for name in names)
    decisions = (found.first, found.second)
    comes = [next_line(prospect, decision) for decision in decisions]
    said: tuple[list[str], ...] = ([], [])
    if comes[0] == comes[1]:  # so they differ in what is said
        said = _said(prospect, policies, found)
    for name, line, more in zip(names, comes, said, strict=True):
        lines.append(f"  {paint(f'{name:{width}}', 'bold')}  {line}")
        lines += folded([f"  {'':{width}}{one}" for one in more], width + 6)
    return lines


def _said(
    prospect: Prospect, policies: tuple[Policy, Policy], found: Difference
) -> tuple[list[str], ...]:
    """Return what each of two policies says in the forms in which they differ."""
    from cadence.messages import compose  # loads templates, which few commands need

    parts: list[tuple[TouchPart, ...]] = []
    for policy, decision in zip(policies, (found.first, found.second), strict=True):
        touch = compose(decision, prospect, PolicyRegistry(policy), found.now).touch
        parts.append(() if touch is None else touch.parts)
    lines: tuple[list[str], ...] = ([], [])
    for one, other in zip(*parts, strict=True):
        for mine, theirs, into in ((one, other, lines[0]), (other, one, lines[1])):
            is_same = (mine.subject, mine.text) == (theirs.subject, theirs.text)
            changed = msgspec.structs.replace(
                mine,
                subject="" if is_same else mine.subject,
                text="" if is_same else mine.text,
                live="" if mine.live == theirs.live else mine.live,
            )
            into += spoken_lines(changed)
    return lines


def _places(steps: list[StepDifference]) -> list[str]:
    """Each place with what both say there: side by side where that is short."""
    limit = columns() or _WIDE
    width = max([0, *(len(step.place) for step in steps)])
    lines: list[str] = []
    for step in steps:
        place = paint(f"{step.place:{width}}", "bold")
        one, other = (text if text else "-" for text in (step.first, step.second))
        line = f"  {place}  {one}  →  {other}"
        if wide(line) <= min(limit, _WIDE):
            lines.append(line)
        elif 3 * width > limit:
            name = paint(step.place, "bold")
            lines += folded([f"  {name}", f"    {one}", f"    → {other}"])
        else:
            lines += folded([f"  {place}  {one}", f"  {'':{width}}  → {other}"], width + 6)
    return lines


_WIDE = 79  # what can still be read side by side
