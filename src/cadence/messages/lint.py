"""The wording linter: what a script of each stage may say, must say, and must never say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Final, NamedTuple

from jinja2 import meta
from jinja2.exceptions import TemplateSyntaxError

from cadence.domain.events import AttemptStage
from cadence.errors import PolicyError
from cadence.messages.scripts import ENVIRONMENT, script_text
from cadence.policy.model import Policy, Step, StepPart

__all__ = ["Finding", "check_scripts", "lint_policy", "lint_script"]

_WHO_AND_HOW: Final = frozenset({"name", "time", "owner", "channel", "channels"})
_WHO_AND_WHEN: Final = _WHO_AND_HOW | {"next_time", "appointment_time", "late"}
_ANYTHING: Final = _WHO_AND_WHEN | {"interest", "value", "deadline"}

# "The first two messages only say that one called as promised and when one will call again."
_MAY: Final = {
    AttemptStage.ON_TIME: _WHO_AND_WHEN,
    AttemptStage.TEN_MINUTES: _WHO_AND_WHEN,
    # It asks one thing, and sells nothing.
    AttemptStage.CONCERN: _WHO_AND_HOW,
}
_MUST: Final = {
    AttemptStage.ON_TIME: frozenset({"name", "next_time", "late"}),
    AttemptStage.TEN_MINUTES: frozenset({"name", "next_time"}),
    AttemptStage.HALF_DAY: frozenset({"name", "interest"}),
    AttemptStage.SPACED: frozenset({"name"}),
    AttemptStage.CONCERN: frozenset({"name"}),
    # A message without a reason is a reminder that we exist.
    AttemptStage.NURTURE: frozenset({"name", "value"}),
    AttemptStage.POLITE_EXIT: frozenset({"name", "deadline"}),
}
_SAYS: Final = {AttemptStage.CONCERN: "are you ok"}
"""What a script of a stage says in so many words."""
_BLAME: Final = (
    "you didn't",
    "you did not",
    "you never",
    "you forgot",
    "you missed",
    "you ignored",
    "you still haven't",
    "you have not answered",
    "you haven't answered",
    "you failed",
    "your fault",
    "you are ignoring",
    "you're ignoring",
    "you promised",
    "you said you would",
    "you should have",
    "you could have",
    "you keep",
    "why have you not",
    "why haven't you",
    "why don't you",
    "why did you not",
    "still waiting",
    "disappointed",
    "wasted",
    "again and again",
    "how many times",
)
_LONGEST: Final = 480
"""Characters; three text messages."""


class Finding(NamedTuple):
    """Something a script should not be."""

    script: str
    what: str


def lint_script(name: str, text: str, stage: AttemptStage) -> list[Finding]:
    """What is wrong with a script for a step of ``stage``; empty if nothing is."""
    found: list[Finding] = []
    try:
        used = _placeholders(text)
    except TemplateSyntaxError as error:
        return [Finding(name, f"line {error.lineno}: {error.message}")]
    for placeholder in sorted(used - _ANYTHING):
        found.append(Finding(name, f"there is no placeholder {placeholder!r}"))
    may = _MAY.get(stage, _ANYTHING)
    for placeholder in sorted((used & _ANYTHING) - may):
        found.append(Finding(name, f"stage {stage} says nothing about {placeholder!r}"))
    for placeholder in sorted(_MUST.get(stage, frozenset()) - used):
        found.append(Finding(name, f"stage {stage} must say {placeholder!r}"))
    folded = " ".join(text.casefold().replace("’", "'").replace("\\\n", " ").split())
    saying = _SAYS.get(stage, "")
    if saying not in folded:
        found.append(Finding(name, f"stage {stage} must say {saying!r}"))
    found += [Finding(name, f"blames: {words!r}") for words in _BLAME if words in folded]
    if len(text) > _LONGEST + 200:
        found.append(Finding(name, f"{len(text)} characters are more than anybody reads"))
    return found


def check_scripts(policy: Policy, file: str) -> None:
    """Check that every script that ``policy`` names can be said.

    Args:
        policy: proved or not.
        file: its name, for the error.

    Raises:
        PolicyError: there is no such script, it is no template, or has a placeholder that nothing
            fills; names the key path.
    """
    for _, place, part in _places(policy):
        path = f"{file}: {place}.script"
        try:
            text = script_text(part.script, policy.scripts)
        except PolicyError as error:
            raise PolicyError(f"{path}: {part.script!r} is no script", error.hint) from None
        try:
            used = _placeholders(text)
        except TemplateSyntaxError as error:
            what = f"{path}: {part.script!r}, line {error.lineno}: {error.message}"
            raise PolicyError(what, "mend it under [scripts]") from None
        for placeholder in sorted(used - _ANYTHING):
            near = get_close_matches(placeholder, _ANYTHING, n=1)
            raise PolicyError(
                f"{path}: {part.script!r} says {placeholder!r}, which nothing fills",
                f"did you mean {near[0]}?" if near else f"one of {', '.join(sorted(_ANYTHING))}",
            )


def lint_policy(policy: Policy) -> list[Finding]:
    """What is wrong with the scripts that ``policy`` uses: its own, and those of cadence."""

    def findings() -> Iterable[Finding]:
        used = set()
        for step, _, part in _places(policy):
            used.add(part.script)
            try:
                text = script_text(part.script, policy.scripts)
            except PolicyError as error:
                yield Finding(part.script, f"there is no such script: {error.hint}")
            else:
                yield from lint_script(part.script, text, step.stage)
        for name in policy.scripts:
            if name not in used:
                yield Finding(name, "no step says it")

    return list(dict.fromkeys(findings()))


def _places(policy: Policy) -> Iterator[tuple[Step, str, StepPart]]:
    """Every part of every step, with the key path at which it stands."""
    for number, step in enumerate(policy.steps):
        for n, part in enumerate(step.parts):
            yield step, f"steps[{number}].parts[{n}]", part
        for turn, parts in enumerate(step.rotation):
            for n, part in enumerate(parts):
                yield step, f"steps[{number}].rotation[{turn}][{n}]", part


def _placeholders(text: str) -> set[str]:
    """What a script asks for; raises what the template's own parser raises."""
    return meta.find_undeclared_variables(ENVIRONMENT.parse(text))
