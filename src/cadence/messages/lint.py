"""Lint scripts: what a message of each stage and form must say, may not say, and how long it is.

A script is rendered with samples and read as the prospect would hear it. The words to avoid are in
the file of each language; what must be said is here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from cadence.domain.events import AttemptStage
from cadence.domain.limits import NAME
from cadence.errors import PolicyError, did_you_mean
from cadence.messages.compose import PLACEHOLDERS
from cadence.messages.languages import ENGLISH, Language, builtin_languages
from cadence.messages.scripts import FoundScript, find_script, render_message
from cadence.messages.sms import sms_parts
from cadence.messages.templates import placeholders
from cadence.messages.wording import contains, faults_of_wording
from cadence.policy.model import Policy, Step, StepPart
from cadence.policy.script_forms import Form, forms_of

__all__ = ["Finding", "check_scripts", "lint_policy", "lint_script"]

# A finding's rule, beside those of the words to avoid (languages/en.toml) -------------------------

_UNREADABLE: Final = "unreadable"
_LACKS: Final = "form"
_LANGUAGE: Final = "language"
_UNUSED: Final = "unused"
_CAPITALS: Final = "capitals"
_LENGTH: Final = "length"
_PROMISE: Final = "promise"

# What is said in each sample; none of these is a word of any script.
_SAMPLE: Final[dict[str, Any]] = {
    "name": "Jane",
    "given_name": "Jane",
    "family_name": "Smith",
    "salutation": "",
    "to_name": "Jane Smith",
    "to_address": "5 Elm Road, Newtown",
    "interest": "warm stables",
    "value": "a plan of your barn",
    "value_is_personal": False,
    "owner": "ann",
    "owner_name": "Ann Lee",
    "owner_title": "Adviser",
    "owner_email": "ann@acme.example",
    "company": "Acme",
    "callback": "(212) 555-0100",
    "signature": "",
    "address": "1 Main Street, Oldtown",
    "opt_out": "",
    "time": "⟨time⟩",
    "today": "⟨today⟩",
    "next_time": "⟨next⟩",
    "deadline": "⟨close⟩",
    "appointment_time": "⟨agreed⟩",
    "late": False,
    "called_today": True,
    "turn": 1,
    "channel": "call",
    "channels": ("call", "email"),
}
_TIMES: Final = ("time", "today", "next_time", "deadline", "appointment_time")
# As long as such words usually are, in a text message.
_AS_LONG: Final = {
    "appointment_time": "11:30 AM",
    "next_time": "today at 12:10 PM",
    "deadline": "on Wednesday, December 30",
}

# A script may say something else at each touch of its step; those of cadence have three wordings.
_TURNS: Final = (1, 2, 3)

_WHO: Final = ("name", "owner_name", "company")
_MUST: Final[dict[AttemptStage, tuple[str, ...]]] = {
    AttemptStage.ON_TIME: (*_WHO, "callback", "appointment_time", "next_time"),
    AttemptStage.TEN_MINUTES: (*_WHO, "callback", "next_time"),
    AttemptStage.HALF_DAY: (*_WHO, "callback", "reason", "next_time"),
    AttemptStage.SPACED: (*_WHO, "callback", "reason", "way_out"),
    AttemptStage.CONCERN: (*_WHO, "callback", "concern"),
    AttemptStage.NURTURE: (*_WHO, "callback", "value", "way_out"),
    AttemptStage.POLITE_EXIT: (*_WHO, "callback", "deadline", "way_out"),
}
# Sources: Follow Up Tip #8 (who, number, next time, way out); Be Politely Persistent (value).
_MUST_FORM: Final[dict[Form, tuple[str, ...]]] = {
    Form.VOICEMAIL: (),
    Form.LIVE: (),
    Form.SMS: (),
    Form.EMAIL: ("address", "way_out"),  # 15 USC 7704(a)(5)
    Form.LETTER: ("address", "way_out"),
}
# In writing they answer on the same channel; in a conversation they have answered already.
_NOT_NEEDED: Final[dict[Form, frozenset[str]]] = {
    Form.VOICEMAIL: frozenset(),
    Form.LIVE: frozenset({"callback", "way_out", "next_time"}),
    Form.SMS: frozenset({"callback"}),
    Form.EMAIL: frozenset({"callback"}),
    Form.LETTER: frozenset({"callback"}),
}
# The first two messages only say that we called as promised, and when we will call again. The
# message of concern asks one thing.
_MAY_NOT: Final[dict[AttemptStage, tuple[str, ...]]] = {
    AttemptStage.ON_TIME: ("interest", "value"),
    AttemptStage.TEN_MINUTES: ("interest", "value"),
    AttemptStage.CONCERN: ("interest", "value", "deadline", "next_time"),
}
_MOST_WORDS: Final = {
    Form.VOICEMAIL: 100,  # some 40 seconds
    Form.LIVE: 180,
    Form.EMAIL: 160,
    Form.LETTER: 200,
}
_WORDS_OF: Final = {
    "name": "the prospect's name: {{ name }}",
    "owner_name": "who speaks: {{ owner_name }}",
    "company": "from which company: {{ company }}",
    "callback": "a number to call back: {{ callback }}",
    "appointment_time": "the time that was agreed: {{ appointment_time }}",
    "next_time": "when they hear from you next: {{ next_time }}",
    "deadline": "when the follow-up ends: {{ deadline }}",
    "reason": "a reason to answer: {{ value }} or {{ interest }}",
    "value": "something of value to them: {{ value }}",
    "interest": "what they care about",
    "way_out": "that a no is fine, or how to say stop: {{ stop }}",
    "address": "the postal address: {{ address }}",
    "concern": "the question of the stage",
}
_CLOCK: Final = re.compile(r"\b\d{1,2}[:.]\d{2}\b|\b\d{1,2} ?[ap]\.?m\b", re.IGNORECASE)
_CAPITAL_WORD: Final = re.compile(r"\b[^\W\d_]{3,}\b")


class Finding(NamedTuple):
    """One fault of a script.

    Attributes:
        script: its name.
        what: the fault.
        rule: by which a policy can make it a warning.
        form: in which form; empty: in all.
        language: in which language; empty: in all.
        instead: what would be better; may be empty.
        accepted: why the policy takes it all the same; empty: it does not.
    """

    script: str
    what: str
    rule: str
    form: str = ""
    language: str = ""
    instead: str = ""
    accepted: str = ""

    @property
    def is_fault(self) -> bool:
        """Whether the script has to change."""
        return not self.accepted and self.rule not in (_LANGUAGE, _UNUSED)

    def __str__(self) -> str:
        """Return it as a line."""
        place = ", ".join(filter(None, (self.form, self.language)))
        line = f"script {self.script}{f' ({place})' if place else ''}: {self.what}"
        if self.accepted:
            return f"{line}; accepted: {self.accepted}"
        return f"{line}; {self.instead}" if self.instead else line


def lint_script(
    name: str,
    text: str,
    stage: AttemptStage,
    form: Form = Form.VOICEMAIL,
    language: str = ENGLISH,
    languages: Mapping[str, Language] | None = None,
) -> list[Finding]:
    """Find the faults of a script for a step of ``stage``.

    Args:
        name: of the script, for the findings.
        text: its template, whole.
        stage: of the step that uses it.
        form: how it is said.
        language: the code of the language that it is written in.
        languages: those that the team has, by code; those of cadence.
    """
    found = FoundScript(text, "", language, is_whole=True)
    faults = _faults(name, found, stage, form, languages or builtin_languages())
    return list(dict.fromkeys(faults))


def lint_policy(
    policy: Policy, languages: Mapping[str, Language] | None = None, *, default: str = ENGLISH
) -> list[Finding]:
    """Find the faults of the scripts that ``policy`` uses: its own, and those of cadence.

    Args:
        policy: proved or not.
        languages: those that the team has, by code; those of cadence.
        default: the code of the language in which the policy's own plain texts are.

    Returns:
        Every fault; those that the policy accepts (``[[wording]]``) say why.
    """
    every = languages or builtin_languages()
    found: dict[Finding, None] = {}
    used: set[str] = set()
    for step, _, part in _parts(policy):
        used.add(part.script)
        # A plain text is said to everybody as it is; it is linted in the language it is in.
        if isinstance(policy.scripts.get(part.script), str):
            codes = [default]
            others = [code for code in every if code != default]
            for code in others:
                found[Finding(part.script, f"lacks the language {code}", _LANGUAGE)] = None
        else:
            codes = list(every)
        for code in codes:
            for form in _forms(policy, part):
                found.update(
                    dict.fromkeys(_lint(policy, part.script, step.stage, form, code, every))
                )
    for name in policy.scripts:
        if name not in used:
            found[Finding(name, "no step uses it", _UNUSED)] = None
    return [_accepted(policy, one) for one in found]


def _accepted(policy: Policy, finding: Finding) -> Finding:
    for one in policy.wording:
        if one.rule == finding.rule and one.script in (None, finding.script):
            return finding._replace(accepted=one.why)
    return finding


def _lint(
    policy: Policy,
    name: str,
    stage: AttemptStage,
    form: Form,
    code: str,
    languages: Mapping[str, Language],
) -> Iterator[Finding]:
    try:
        script = find_script(name, form, code, languages, policy.scripts)
    except PolicyError as error:
        yield Finding(name, f"unknown script; {error.hint}", _UNREADABLE)
        return
    if script.lacks.startswith("language"):
        yield Finding(name, f"lacks the {script.lacks}", _LANGUAGE)
        return
    if script.lacks:
        what = f"lacks the {script.lacks}"
        yield Finding(name, what, _LACKS, form.value, code, "add it to the script")
    yield from _faults(name, script, stage, form, languages)


def _faults(
    name: str,
    script: FoundScript,
    stage: AttemptStage,
    form: Form,
    languages: Mapping[str, Language],
) -> Iterator[Finding]:
    language = languages.get(script.language, languages[ENGLISH])
    code = script.language

    def finding(what: str, rule: str, instead: str = "") -> Finding:
        return Finding(name, what, rule, form.value, code, instead)

    try:
        _check_placeholders(script, language)
        samples = [
            render_message(script, form, languages, {**words, "form": form.value})
            for words in _samples()
        ]
    except PolicyError as error:
        yield finding(error.what, _UNREADABLE, error.hint)
        return
    for first in range(0, 3 * len(_TURNS), 3):
        plain, with_value, as_long = samples[first : first + 3]
        said = " \n".join(filter(None, (plain.subject, plain.text)))
        yield from _must(said, with_value.text, stage, form, language, finding)
        for fact in _MAY_NOT.get(stage, ()):
            if str(_SAMPLE[fact]) in said + with_value.text:
                yield finding(f"stage {stage} may not say {_WORDS_OF[fact]}", f"no_{fact}")
        for avoid, words in faults_of_wording(said, language):
            yield finding(f"{words!r}: {avoid.why}", avoid.rule, avoid.instead)
        yield from _by_shape(said, as_long.text, form, language, finding)


def _must(
    said: str, with_value: str, stage: AttemptStage, form: Form, language: Language, finding: Any
) -> Iterator[Finding]:
    needed = [*_MUST.get(stage, ()), *_MUST_FORM[form]]
    for fact in dict.fromkeys(needed):
        if fact in _NOT_NEEDED[form] and fact not in _MUST_FORM[form]:
            continue
        match fact:
            case "reason":
                there = _SAMPLE["value"] in with_value or _SAMPLE["interest"] in said
            case "value":
                there = _SAMPLE["value"] in with_value
            case "way_out":
                there = any(contains(said, words) for words in language.way_out)
            case "concern":
                there = any(contains(said, words) for words in language.concern)
            case _:
                there = str(_SAMPLE[fact]) in said
        if not there:
            yield finding(f"stage {stage} must say {_WORDS_OF[fact]}", fact)


def _by_shape(
    said: str, as_long: str, form: Form, language: Language, finding: Any
) -> Iterator[Finding]:
    """Find what needs no list of words: capitals, times of day, length."""
    own = said
    for value in _SAMPLE.values():
        if isinstance(value, str) and value:
            own = own.replace(value, " ")
    for word in dict.fromkeys(_CAPITAL_WORD.findall(own)):
        if word.isupper() and word not in language.capitals:
            yield finding(f"{word!r} is all capitals", _CAPITALS, "write it in small letters")
    clock = _CLOCK.search(own)
    if clock is not None:
        hint = "use {{ next_time }}, {{ deadline }} or {{ appointment_time }}"
        yield finding(f"{clock[0]!r} is a time that the plan does not know", _PROMISE, hint)
    if form is Form.SMS:
        parts = sms_parts(as_long)
        if parts > 1:
            yield finding(f"takes {parts} parts of a text message", _LENGTH, "make it one part")
    elif len(said.split()) > _MOST_WORDS[form]:
        words = f"{len(said.split())} words, more than {_MOST_WORDS[form]}"
        yield finding(words, _LENGTH, "make it shorter")


def _samples() -> Iterator[dict[str, object]]:
    """Yield the samples: for each turn without a value, with one, and as long as usual; then two
    more, with nothing known, and with all that is known very long.
    """
    texts = [name for name, value in _SAMPLE.items() if isinstance(value, str)]
    for turn in _TURNS:
        yield {**_SAMPLE, "turn": turn, "value": ""}
        yield {**_SAMPLE, "turn": turn}
        yield {**_SAMPLE, "turn": turn, "value": "", **_AS_LONG}
    yield {**_SAMPLE, "late": True, **dict.fromkeys(texts, "")}
    yield {**_SAMPLE, **dict.fromkeys(texts, "x" * NAME)}


def _check_placeholders(script: FoundScript, language: Language) -> None:
    known = PLACEHOLDERS | language.phrases.keys()
    for placeholder in sorted((placeholders(script.text) | placeholders(script.subject)) - known):
        hint = did_you_mean(placeholder, sorted(known))
        raise PolicyError(f"unknown placeholder {placeholder!r}", hint)


def check_scripts(
    policy: Policy, file: str, languages: Mapping[str, Language] | None = None
) -> None:
    """Check that every script that ``policy`` names can be said.

    Each is rendered with samples of all placeholders, in every form and language.

    Args:
        policy: proved or not.
        file: the name of its file, for the error.
        languages: those that the team has, by code; those of cadence.

    Raises:
        PolicyError: a script or one of its placeholders is unknown, or it can't be rendered; names
            the key path.
    """
    every = languages or builtin_languages()
    checked: set[tuple[str, Form, str]] = set()
    for _, key, part in _parts(policy):
        for code in every:
            for form in _forms(policy, part):
                if (part.script, form, code) in checked:
                    continue
                checked.add((part.script, form, code))
                _check_script(policy, part.script, f"{file}: {key}.script", form, code, every)


def _check_script(
    policy: Policy,
    name: str,
    path: str,
    form: Form,
    code: str,
    languages: Mapping[str, Language],
) -> None:
    try:
        script = find_script(name, form, code, languages, policy.scripts)
    except PolicyError as error:
        raise PolicyError(f"{path}: unknown {name!r}", error.hint) from None
    try:
        _check_placeholders(script, languages.get(script.language, languages[ENGLISH]))
        for words in _samples():
            render_message(script, form, languages, {**words, "form": form.value})
    except PolicyError as error:
        raise PolicyError(f"{path}: script {name!r}: {error.what}", error.hint) from None


def _forms(policy: Policy, part: StepPart) -> list[Form]:
    """The forms in which a part may be said."""
    channels = [one for one in part.channels if one in policy.usable]
    return list(dict.fromkeys(form for one in channels for form in forms_of(policy.traits[one])))


def _parts(policy: Policy) -> Iterable[tuple[Step, str, StepPart]]:
    """Iterate over the parts of every step, each with its key path."""
    for number, step in enumerate(policy.steps):
        for key, part in step.all_parts(f"steps[{number}]"):
            yield step, key, part
