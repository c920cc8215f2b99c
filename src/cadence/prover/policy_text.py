"""Show where the files of two policies differ, place by place, in words."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from cadence.policy.guards import Guard
from cadence.policy.model import After, Distance, Policy, Step, StepPart, canonical_step
from cadence.policy.script_forms import EmailText, Form, Script
from cadence.worktime.hours import WEEKDAYS, Region

__all__ = ["StepDifference", "guard_words", "step_differences"]


class StepDifference(msgspec.Struct, frozen=True):
    """One place at which two policies differ; empty where one has nothing there."""

    place: str
    first: str
    second: str


def step_differences(first: Policy, second: Policy) -> list[StepDifference]:
    """Return where two policies differ; what means the same in other words does not count."""
    found: list[StepDifference] = []

    def note(place: str, one: object, other: object) -> None:
        if one != other:
            found.append(StepDifference(place, _words(one), _words(other)))

    for name in ("horizon_business_days", "task_business_days"):
        note(name, getattr(first, name), getattr(second, name))
    note("channels", sorted(first.usable), sorted(second.usable))
    for place, one, other in _calendars(first, second):
        note(place, one, other)
    limits = [msgspec.to_builtins(policy.limits) for policy in (first, second)]
    for key in dict.fromkeys((*limits[0], *limits[1])):
        note(f"limits.{key}", limits[0].get(key, ""), limits[1].get(key, ""))
    guards = [{guard.name: guard for guard in policy.guards} for policy in (first, second)]
    for name in dict.fromkeys((*guards[0], *guards[1])):
        one, other = guards[0].get(name), guards[1].get(name)
        if one is None or other is None or one.canonical() != other.canonical():
            plain = [{} if g is None else msgspec.to_builtins(g) for g in (one, other)]
            for key in dict.fromkeys((*plain[0], *plain[1])):
                note(f"guard {name}.{key}", plain[0].get(key, ""), plain[1].get(key, ""))
    steps = [{step.id: step for step in policy.steps} for policy in (first, second)]
    common = [[name for name in table if name in steps[1 - n]] for n, table in enumerate(steps)]
    note("order of steps", *common)
    for name in dict.fromkeys((*steps[0], *steps[1])):
        for key, values in _step_keys(steps[0].get(name), steps[1].get(name)).items():
            note(f"{name}.{key}" if key else name, *values)
    for name in sorted({*first.scripts, *second.scripts}):
        texts = [_texts(f"scripts.{name}", policy.scripts.get(name)) for policy in (first, second)]
        for place in dict.fromkeys((*texts[0], *texts[1])):
            note(place, texts[0].get(place, ""), texts[1].get(place, ""))
    return found


def _texts(place: str, script: Script | None) -> dict[str, str]:
    """Return the texts of a script by their places: one, or one a form and language."""
    if script is None or isinstance(script, str):
        return {} if script is None else {place: script}
    found: dict[str, str] = {}
    for form in Form:
        said = getattr(script, form.value)
        if isinstance(said, EmailText):
            found |= {f"{place}.email.subject": said.subject, f"{place}.email.text": said.text}
        elif said is not None:
            found[f"{place}.{form.value}"] = said
    for code, translated in script.languages.items():
        found |= _texts(f"{place}.languages.{code}", translated)
    return found


def _calendars(first: Policy, second: Policy) -> Iterator[tuple[str, object, object]]:
    """Yield what two calendars say, key by key; the hours of weekdays where they differ."""
    one, other = first.calendar, second.calendar
    for number, day in enumerate(WEEKDAYS):
        if first.week[number] != second.week[number]:
            yield f"calendar.{day}", getattr(one, day), getattr(other, day)
    yield "calendar.closed", sorted(one.closed), sorted(other.closed)
    yield "calendar.on", _hours_on(first), _hours_on(second)
    yield "calendar.half_days_until", one.half_days_until, other.half_days_until
    yield "calendar.weekend", one.weekend, other.weekend
    yield "calendar.holidays", _places(first), _places(second)


def _places(policy: Policy) -> list[Region]:
    return sorted(policy.holidays_of, key=str)


def _hours_on(policy: Policy) -> list[str]:
    dates = policy.calendar.on
    return [f"{day}: {', '.join(dates[day])}" for day in sorted(policy.hours_on)]


def _step_keys(first: Step | None, second: Step | None) -> dict[str, tuple[object, object]]:
    """Return the keys at which two steps differ in meaning, with what each file says there."""
    if first is None or second is None:
        one, other = ("" if step is None else _whole(step) for step in (first, second))
        return {"": (one, other)}
    said = [_plain(step) for step in (first, second)]
    means = [canonical_step(step) for step in (first, second)]
    found: dict[str, tuple[object, object]] = {}
    for key in dict.fromkeys((*said[0], *said[1])):
        if means[0].get(key) != means[1].get(key):
            found[key] = said[0].get(key, ""), said[1].get(key, "")
    return found


def _whole(step: Step) -> str:
    """Word a step in a line."""
    when = "at the appointment" if step.after is None else _after(step.after)
    times = f", {step.touches} times" if step.touches > 1 else ""
    return f"{step.stage}, {when}{times}: {_turns(step)}"


def _plain(step: Step) -> dict[str, str]:
    """Word what a step says, key by key."""
    found = {"stage": step.stage.value, "rotation" if step.rotation else "parts": _turns(step)}
    if step.at is not None:
        found["at"] = step.at
    if step.after is not None:
        found["after"] = _after(step.after)
    if step.touches > 1:
        found["times"] = str(step.touches)
    if step.within is not None:
        found["within"] = str(Distance(minutes=step.within.minutes))
    for key in ("requires", "rotate"):
        plain = msgspec.to_builtins(getattr(step, key) or {})
        if plain:
            found[key] = _words(plain)
    if step.answer_within is not None:
        found["answer_within"] = str(step.answer_within)
    return found


def guard_words(guard: Guard) -> str:
    """Word a guard in a line: its name, its kind, and what it says."""
    plain = msgspec.to_builtins(guard)
    kind = plain.pop("kind")
    plain.pop("id", None)
    name = kind if guard.name == kind else f"{guard.name} ({kind})"
    return f"{name}{': ' if plain else ''}{_words(plain)}"


def _after(after: After) -> str:
    if after.growth is None:
        return str(after)
    most = after.at_most_business_days
    limit = "" if most is None else f" up to {most}"
    return f"{after}, then ×{after.growth:g} each{limit}"


def _turns(step: Step) -> str:
    turns = step.rotation or (step.parts,)
    return "; ".join(" and ".join(_part(part) for part in turn) for turn in turns)


def _part(part: StepPart) -> str:
    along = "" if part.along_with is None else f", along with a {part.along_with}"
    return f"{' or '.join(part.channels)} ({part.script}){along}"


def _words(value: object) -> str:
    """Word a value as a reader of the file knows it."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_words(one) for one in value if one is not None) or "none"
    return str(value)
