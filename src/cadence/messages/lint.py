"""Lint the wording of scripts: what one of each stage may say, must say and must never say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from cadence.domain.events import AttemptStage
from cadence.domain.limits import NAME
from cadence.errors import PolicyError, did_you_mean
from cadence.messages.scripts import script_text
from cadence.messages.templates import placeholders, render_template
from cadence.policy.model import Policy, Step, StepPart

__all__ = ["Finding", "check_scripts", "lint_policy", "lint_script"]

_WHO_AND_HOW: Final = frozenset({"name", "time", "owner", "channel", "channels"})
_WHO_AND_WHEN: Final = _WHO_AND_HOW | {"next_time", "appointment_time", "late"}
_ANYTHING: Final = _WHO_AND_WHEN | {"interest", "value", "deadline"}

# The first two messages only say that we called as promised and when we will call again.
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
"""The words that a script of a stage must contain."""
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
_MAX_LENGTH: Final = 680
"""Characters of a template; rendered, it should fit three text messages."""


class Finding(NamedTuple):
    """One fault of a script."""

    script: str
    what: str


def lint_script(name: str, text: str, stage: AttemptStage) -> list[Finding]:
    """Find the faults of a script for a step of ``stage``.

    Args:
        name: of the script, for the findings.
        text: its template.
        stage: of the step that uses it.
    """
    found: list[Finding] = []
    try:
        used = placeholders(text)
    except PolicyError as error:
        return [Finding(name, error.what)]
    for placeholder in sorted(used - _ANYTHING):
        found.append(Finding(name, f"unknown placeholder {placeholder!r}"))
    may = _MAY.get(stage, _ANYTHING)
    for placeholder in sorted((used & _ANYTHING) - may):
        found.append(Finding(name, f"stage {stage} may not say {placeholder!r}"))
    for placeholder in sorted(_MUST.get(stage, frozenset()) - used):
        found.append(Finding(name, f"stage {stage} must say {placeholder!r}"))
    folded = " ".join(text.casefold().replace("’", "'").replace("\\\n", " ").split())
    saying = _SAYS.get(stage, "")
    if saying not in folded:
        found.append(Finding(name, f"stage {stage} must say {saying!r}"))
    found += [Finding(name, f"blames: {words!r}") for words in _BLAME if words in folded]
    if len(text) > _MAX_LENGTH:
        found.append(Finding(name, f"{len(text)} characters, more than {_MAX_LENGTH}"))
    return found


def check_scripts(policy: Policy, file: str) -> None:
    """Check that every script that ``policy`` names can be rendered.

    Args:
        policy: proved or not.
        file: the name of its file, for the error.

    Raises:
        PolicyError: a script or one of its placeholders is unknown, or it is not a template; names
            the key path.
    """
    for _, key, part in _parts(policy):
        path = f"{file}: {key}.script"
        try:
            text = script_text(part.script, policy.scripts)
        except PolicyError as error:
            raise PolicyError(f"{path}: unknown {part.script!r}", error.hint) from None
        try:
            used = placeholders(text)
            for placeholder in sorted(used - _ANYTHING):
                raise PolicyError(
                    f"unknown placeholder {placeholder!r}",
                    did_you_mean(placeholder, sorted(_ANYTHING)),
                )
            for words in _samples(part.channels):
                render_template(text, words)
        except PolicyError as error:
            what = f"{path}: script {part.script!r}: {error.what}"
            raise PolicyError(what, error.hint) from None


def lint_policy(policy: Policy) -> list[Finding]:
    """Find the faults of the scripts that ``policy`` uses: its own, and those of cadence."""

    def findings() -> Iterable[Finding]:
        used = set()
        for step, _, part in _parts(policy):
            used.add(part.script)
            try:
                text = script_text(part.script, policy.scripts)
            except PolicyError as error:
                yield Finding(part.script, f"unknown script; {error.hint}")
            else:
                yield from lint_script(part.script, text, step.stage)
        for name in policy.scripts:
            if name not in used:
                yield Finding(name, "no step uses it")

    return list(dict.fromkeys(findings()))


def _parts(policy: Policy) -> Iterator[tuple[Step, str, StepPart]]:
    """Iterate over the parts of every step, each with its key path."""
    for number, step in enumerate(policy.steps):
        for n, part in enumerate(step.parts):
            yield step, f"steps[{number}].parts[{n}]", part
        for turn, parts in enumerate(step.rotation):
            for n, part in enumerate(parts):
                yield step, f"steps[{number}].rotation[{turn}][{n}]", part


def _samples(channels: Sequence[str]) -> Iterator[dict[str, object]]:
    """Yield values for every placeholder: all known, nothing known, and long ones."""
    flags = {"late": True, "channel": channels[0], "channels": tuple(channels)}
    texts = sorted(_ANYTHING - flags.keys())
    yield {**flags, **{name: f"their {name}" for name in texts}}
    yield {**flags, "late": False, **dict.fromkeys(texts, "")}
    yield {**flags, **dict.fromkeys(texts, "x" * NAME)}
