"""Reading a policy file, with errors that name the key path, the value and what is allowed.

``prover/trusted.py`` reads a policy and proves it; this module only reads.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import lru_cache
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgspec

from cadence.domain.events import AttemptStage
from cadence.errors import InputError, PolicyError
from cadence.policy.guard_runner import resolve
from cadence.policy.guards import (
    ContactWindow,
    CoolDown,
    Custom,
    FrequencyCap,
    Guard,
    HolidayBan,
    Lasting,
    Pause,
)
from cadence.policy.model import (
    MAX_TOUCHES,
    After,
    Calendar,
    Distance,
    HolidaysOf,
    Limits,
    Policy,
    Requires,
    Rotate,
    Step,
    StepPart,
    Within,
)
from cadence.policy.rules import Rule
from cadence.worktime.holidays import check_country
from cadence.worktime.hours import QUIET_FROM, QUIET_UNTIL, parse_hours

__all__ = [
    "DEFAULT_POLICY",
    "builtin",
    "builtin_names",
    "parse",
    "parse_text",
    "unknown_name",
]

DEFAULT_POLICY = "tip8"
"""The policy of a prospect that was given no other."""

MAX_BYTES: Final = 1_000_000
"""A policy file has a few thousand."""


def builtin_names() -> list[str]:
    """The policies that come with cadence."""
    folder = resources.files("cadence.policy").joinpath("builtin")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir())


@lru_cache(maxsize=64)
def builtin(name: str = DEFAULT_POLICY) -> Policy:
    """A policy of the catalogue.

    Raises:
        PolicyError: there is none of this name; names the nearest.
    """
    names = builtin_names()
    if name not in names:
        raise unknown_name(name, names)
    source = resources.files("cadence.policy").joinpath("builtin", f"{name}.toml")
    # Proved by the tests, not again at every start.
    return parse_text(source.read_text(encoding="utf-8"), f"{name}.toml")


def unknown_name(name: str, known: Sequence[str]) -> PolicyError:
    """The error for the name of an unknown policy, with the nearest of the ``known`` names."""
    near = difflib.get_close_matches(name, known)
    if near:
        return PolicyError(f"policy: unknown {name!r}", f"use {' or '.join(near)}")
    return PolicyError(
        f"policy: unknown {name!r}", f"use a .toml file or one of: {', '.join(known)}"
    )


def parse(path: Path | str) -> Policy:
    """Read the policy file ``path``, proved or not: for the prover and those who look at policies.

    Raises:
        PolicyError: it can't be read, or is no policy.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise PolicyError(
                f"{path}: larger than {MAX_BYTES:,} bytes", "name a policy file; they are short"
            )
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise PolicyError(f"{path}: not in UTF-8", "save the file as UTF-8") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PolicyError(f"{path}: {reason}", "name a file that can be read") from None
    return parse_text(text, path.name)


def parse_text(text: str, name: str, *, find_guards: bool = True) -> Policy:
    """Read a policy from TOML, proved or not.

    Args:
        text: the file's content.
        name: what to call the file in errors.
        find_guards: whether functions that it names as guards must be there. Where they are
            missing when they are asked, the touch is held.

    Raises:
        PolicyError: no TOML, a key unknown or missing, a value out of range.
    """
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # syntax; a number or nesting without end
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise PolicyError(f"{name}: no TOML: {reason}", "mend the syntax at that place") from None
    _check_keys(name, raw, Policy, "")
    try:
        policy = msgspec.convert(raw, type=Policy)
    except msgspec.ValidationError as error:
        raise _explain(name, raw, str(error)) from None
    _check(policy, name, find_guards=find_guards)
    return policy


def _fail(name: str, key: str, value: object, allowed: str) -> PolicyError:
    return PolicyError(f"{name}: {key} = {_show(value)}", f"allowed: {allowed}")


def _show(value: object) -> str:
    if isinstance(value, float):
        return str(value)  # inf and nan as TOML has them; JSON has none
    text = msgspec.json.encode(value, enc_hook=str).decode()
    return text if len(text) <= 60 else text[:57] + "…"


_TABLES: Final[dict[tuple[type[msgspec.Struct], str], type[msgspec.Struct]]] = {
    (Policy, "calendar"): Calendar,
    (Policy, "steps"): Step,
    (Policy, "limits"): Limits,
    (Calendar, "holidays"): HolidaysOf,
    (CoolDown, "lasts"): Lasting,
    (Step, "after"): After,
    (Step, "answer_within"): Distance,
    (Step, "within"): Within,
    (Step, "requires"): Requires,
    (Step, "rotate"): Rotate,
    (Step, "parts"): StepPart,
    (Step, "rotation"): StepPart,
}
"""Which keys hold tables, or lists of them, of which kind."""

_GUARDS: Final[dict[str, type[msgspec.Struct]]] = {
    str(kind.__struct_config__.tag): kind
    for kind in (ContactWindow, FrequencyCap, CoolDown, HolidayBan, Pause, Custom)
}
"""The kinds of guard by the name that the file calls them."""


def _check_keys(name: str, table: object, kind: type[msgspec.Struct], path: str) -> None:
    """Look for keys that nobody knows, with the nearest that somebody does."""
    if not isinstance(table, dict):
        return  # the types say so better
    known = [field.name for field in msgspec.structs.fields(kind)]
    if kind in _GUARDS.values():
        known.insert(0, "kind")
    for key, value in table.items():
        where = f"{path}.{key}" if path else key
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            shown = where if where.isprintable() else _show(where)
            raise PolicyError(
                f"{name}: {shown} is no key of a policy", f"{hint}allowed: {', '.join(known)}"
            )
        for path_to, one in _tables(where, value):
            inner = _TABLES.get((kind, key))
            if (kind, key) == (Policy, "guards") and isinstance(one, dict):
                inner = _guard_kind(name, one, path_to)
            if inner is not None:
                _check_keys(name, one, inner, path_to)


def _tables(path: str, value: object) -> Iterator[tuple[str, object]]:
    """``value`` and where it is; of a list, each of its members, however deep."""
    if isinstance(value, list):
        for index, one in enumerate(value):
            yield from _tables(f"{path}[{index}]", one)
    else:
        yield path, value


def _guard_kind(name: str, table: dict[str, Any], path: str) -> type[msgspec.Struct]:
    kind = table.get("kind")
    if kind is None:
        raise PolicyError(f"{name}: {path}.kind is missing", f"allowed: {', '.join(_GUARDS)}")
    if not isinstance(kind, str) or kind not in _GUARDS:
        near = difflib.get_close_matches(str(kind), _GUARDS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise _fail(name, f"{path}.kind", kind, f"{hint}{', '.join(_GUARDS)}")
    return _GUARDS[kind]


def _explain(name: str, raw: dict[str, Any], text: str) -> PolicyError:
    """Turn msgspec's words into key path, value, what is allowed."""
    from cadence.policy.allowed import allowed_at, words_at  # reads types; only mistakes need it

    message, _, place = text.partition(" - at `$")
    path: list[str | int] = []
    value: Any = raw
    for key, index in re.findall(r"([^.\[\]]+)|\[(\d+|\.\.\.)\]", place.rstrip("`")):
        # msgspec does not say by which key of a table of texts it stands.
        path.append(key or (_no_text(value) if index == "..." else int(index)))
        value = value[path[-1]]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)[1:]
    if message.startswith("Object missing required field"):
        missing = message.split("`")[1]
        key = f"{where}.{missing}" if where else missing
        allowed = allowed_at(raw, [*path, missing])
        return PolicyError(f"{name}: {key} is missing", f"add {missing}: {allowed}")
    near = difflib.get_close_matches(str(value), words_at(raw, path), n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return PolicyError(
        f"{name}: {where} = {_show(value)}", f"{hint}allowed: {allowed_at(raw, path)}"
    )


def _no_text(table: dict[str, Any]) -> str:
    return next(key for key, text in table.items() if not (isinstance(text, str) and text))


def _check(policy: Policy, name: str, *, find_guards: bool) -> None:
    """What the types alone can't say. Whether it keeps to the charter is the prover's to say."""
    _check_hours(name, "calendar", policy.calendar, waking=True)
    if not any(policy.week):
        raise PolicyError(f"{name}: calendar opens on no day", 'add e.g. mon = ["09:00-17:00"]')
    for index, place in enumerate(policy.calendar.holidays):
        _check_place(name, f"calendar.holidays[{index}]", place.country, place.subdivision)
    seen: dict[str, int] = {}
    for index, step in enumerate(policy.steps):
        key = f"steps[{index}]"
        if step.id in seen:
            raise _fail(name, f"{key}.id", step.id, f"an id of its own (steps[{seen[step.id]}])")
        seen[step.id] = index
        _check_step(step, key, name)
        if step.rotate is not None:
            _check_rotate(step.rotate, f"{key}.rotate", name)
    own = [index for index, step in enumerate(policy.steps) if step.at is not None]
    if len(own) > 1:
        key = f"steps[{own[1]}].at"
        raise _fail(name, key, "appointment", f"on one step (steps[{own[0]}] has it)")
    touches = sum(step.touches for step in policy.steps)
    if touches > MAX_TOUCHES:
        raise PolicyError(
            f"{name}: steps make {touches} touches", f"allowed: at most {MAX_TOUCHES} in all"
        )
    taken: dict[str, int] = {}
    for index, guard in enumerate(policy.guards):
        key = f"guards[{index}]"
        if guard.name in taken:
            allowed = f"an id of its own (guards[{taken[guard.name]}] has this)"
            raise _fail(name, f"{key}.id", guard.name, allowed)
        if guard.name in set(Rule):
            raise _fail(name, f"{key}.id", guard.name, "an id that is no rule id of the charter")
        taken[guard.name] = index
        _check_guard(guard, key, name)
        if find_guards and isinstance(guard, Custom):
            _check_function(guard, key, name)


def _check_hours(name: str, key: str, table: Calendar | ContactWindow, *, waking: bool) -> None:
    for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun"):
        given = getattr(table, day)
        for index, text in enumerate(given):
            try:
                start, end = parse_hours(text)
            except InputError as error:
                raise _fail(name, f"{key}.{day}[{index}]", text, error.hint) from None
            if waking and (start < QUIET_UNTIL or end > QUIET_FROM):
                allowed = "hours from 08:00 to 21:00; the rest are quiet hours in every policy"
                raise _fail(name, f"{key}.{day}[{index}]", text, allowed)
        hours = sorted(map(parse_hours, given))
        if any(later[0] < earlier[1] for earlier, later in pairwise(hours)):
            raise _fail(name, f"{key}.{day}", given, "no overlaps")


def _check_place(name: str, key: str, country: str, subdivision: str | None) -> None:
    try:
        check_country(country, subdivision)
    except InputError as error:
        which, value = ("country", country)
        if error.what.startswith("subdivision"):
            which, value = ("subdivision", subdivision or "")
        raise PolicyError(f"{name}: {key}.{which} = {_show(value)}", error.hint) from None


def _one_unit(name: str, key: str, value: msgspec.Struct, units: tuple[str, ...]) -> None:
    if sum(getattr(value, unit) is not None for unit in units) != 1:
        raise _fail(name, key, msgspec.to_builtins(value), f"exactly one of {', '.join(units)}")


def _check_guard(guard: Guard, key: str, name: str) -> None:
    if isinstance(guard, ContactWindow):
        _check_hours(name, key, guard, waking=False)
    elif isinstance(guard, FrequencyCap):
        _one_unit(name, key, guard, ("hours", "days"))
    elif isinstance(guard, CoolDown):
        _one_unit(name, f"{key}.lasts", guard.lasts, ("hours", "business_days"))
    elif isinstance(guard, HolidayBan):
        if guard.country is not None:
            _check_place(name, key, guard.country, guard.subdivision)
        elif guard.subdivision is not None:
            raise _fail(name, f"{key}.subdivision", guard.subdivision, "only with a country")
    elif isinstance(guard, Pause):
        if not guard.first_day <= guard.last_day <= guard.first_day + timedelta(days=366):
            allowed = f"{guard.first_day} or later, and at most a year later"
            raise _fail(name, f"{key}.last_day", guard.last_day, allowed)


def _check_function(guard: Custom, key: str, name: str) -> None:
    try:
        resolve(guard.function)
    except PolicyError as error:
        raise PolicyError(f"{name}: {key}.function: {error.what}", error.hint) from None


def _check_step(step: Step, key: str, name: str) -> None:
    if step.stage is AttemptStage.EXTRA:
        raise _fail(name, f"{key}.stage", step.stage, "an outreach stage; extra is no step")
    if (step.after is None) == (step.at is None):
        raise PolicyError(
            f"{name}: {key} ({step.id}) has {'both' if step.at else 'neither'} after and at",
            'give it one of them: after = { business_days = 3 } or at = "appointment"',
        )
    if (step.at is not None) != (step.stage is AttemptStage.ON_TIME):
        raise _fail(name, f"{key}.at", step.at, "appointment for stage on_time, and only there")
    if bool(step.parts) == bool(step.rotation):
        raise PolicyError(
            f"{name}: {key} ({step.id}) has {'both' if step.parts else 'neither'} parts and "
            "rotation",
            'give it one of them, e.g. parts = [{ channels = ["call"], script = "spaced" }]',
        )
    if not all(step.rotation):
        raise _fail(name, f"{key}.rotation", [], "at least one part in each turn")
    _check_distances(step, key, name)
    if step.within is not None and (step.after is None or "business_days" in step.after.units):
        raise PolicyError(
            f"{name}: {key}.within needs a step with an exact time",
            "use it with after = { minutes = … } or { hours = … }",
        )
    repeats = step.stage in (AttemptStage.SPACED, AttemptStage.NURTURE)
    if step.touches > 1 and not repeats:
        raise _fail(name, f"{key}.times", step.touches, f"1 for stage {step.stage}")
    if step.rotation and not repeats:
        raise _fail(name, f"{key}.rotation", [], "only for stages spaced and nurture")
    is_exit = step.stage is AttemptStage.POLITE_EXIT
    if is_exit and step.requires != Requires():
        plain = msgspec.to_builtins(step.requires)
        raise _fail(name, f"{key}.requires", plain, "nothing: the way out is always open to them")
    if step.stage is AttemptStage.ON_TIME and step.answer_within is not None:
        plain = msgspec.to_builtins(step.answer_within)
        raise _fail(name, f"{key}.answer_within", plain, "any step but the appointment's own")


def _check_distances(step: Step, key: str, name: str) -> None:
    units = ("minutes", "hours", "business_days")
    if step.answer_within is not None:
        _one_unit(name, f"{key}.answer_within", step.answer_within, units)
    after = step.after
    if after is not None:
        _one_unit(name, f"{key}.after", after, units)
        if after.listed is not None and step.times not in (None, after.listed):
            allowed = f"{after.listed}, as many as after lists, or leave it out"
            raise _fail(name, f"{key}.times", step.times, allowed)
        grows = after.growth is not None
        if grows and (after.listed is not None or after.business_days is None):
            allowed = "with one value of business_days"
            raise _fail(name, f"{key}.after.growth", after.growth, allowed)
        if after.at_most_business_days is not None and not grows:
            allowed = "only with growth"
            raise _fail(
                name, f"{key}.after.at_most_business_days", after.at_most_business_days, allowed
            )
    if step.rotate is not None and (after is None or after.business_days is None):
        plain = msgspec.to_builtins(step.rotate)
        raise _fail(name, f"{key}.rotate", plain, "only with after in business_days")


def _check_rotate(rotate: Rotate, key: str, name: str) -> None:
    for field in ("times", "days"):
        given = getattr(rotate, field)
        if len(set(given)) < len(given):
            raise _fail(name, f"{key}.{field}", given, "each once")
    for index, text in enumerate(rotate.times):
        try:
            parse_hours(f"{text}-24:00")
        except InputError:
            allowed = 'a local time like "09:30"'
            raise _fail(name, f"{key}.times[{index}]", text, allowed) from None
