"""Reading a policy file, with errors that name the key path, the value and what is allowed."""

from __future__ import annotations

import difflib
import re
import tomllib
from functools import lru_cache
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgspec

from cadence.core.events import AttemptStage, Channel
from cadence.core.stages import Stage, rank
from cadence.errors import InputError, PolicyError
from cadence.policy.business_time import QUIET_FROM, QUIET_UNTIL, parse_hours
from cadence.policy.charter import SPACED_CAP
from cadence.policy.model import After, Calendar, Policy, Requires, Step, StepPart, Within

__all__ = ["DEFAULT_POLICY", "builtin", "builtin_names", "load", "loads"]

DEFAULT_POLICY = "tip8"
"""The policy of a prospect that was given no other."""


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
        near = difflib.get_close_matches(name, names, n=1)
        raise PolicyError(
            f"no policy {name!r} is known",
            f"did you mean {near[0]}?" if near else f"one of {', '.join(names)}",
        )
    source = resources.files("cadence.policy").joinpath("builtin", f"{name}.toml")
    return loads(source.read_text(encoding="utf-8"), f"{name}.toml")


def load(path: Path | str) -> Policy:
    """Read the policy file ``path``.

    Raises:
        PolicyError: it can't be read, or is no policy.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise PolicyError(f"{path}: not in UTF-8", "save the file as UTF-8") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PolicyError(f"{path}: {reason}", "name a file that can be read") from None
    return loads(text, path.name)


def loads(text: str, name: str) -> Policy:
    """Read a policy from TOML.

    Args:
        text: the file's content.
        name: what to call the file in errors.

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
    _check(policy, name)
    return policy


def _fail(name: str, key: str, value: object, allowed: str) -> PolicyError:
    return PolicyError(f"{name}: {key} = {_show(value)}", f"allowed: {allowed}")


def _show(value: object) -> str:
    text = msgspec.json.encode(value, enc_hook=str).decode()
    return text if len(text) <= 60 else text[:57] + "…"


_TABLES: Final[dict[tuple[type[msgspec.Struct], str], type[msgspec.Struct]]] = {
    (Policy, "calendar"): Calendar,
    (Policy, "steps"): Step,
    (Step, "after"): After,
    (Step, "answer_within"): After,
    (Step, "within"): Within,
    (Step, "requires"): Requires,
    (Step, "parts"): StepPart,
}
"""Which keys hold tables, or lists of them, of which kind."""


def _check_keys(name: str, table: object, kind: type[msgspec.Struct], path: str) -> None:
    """Look for keys that nobody knows, with the nearest that somebody does."""
    if not isinstance(table, dict):
        return  # the types say so better
    known = [field.name for field in msgspec.structs.fields(kind)]
    for key, value in table.items():
        where = f"{path}.{key}" if path else key
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            shown = where if where.isprintable() else _show(where)
            raise PolicyError(
                f"{name}: {shown} is no key of a policy", f"{hint}allowed: {', '.join(known)}"
            )
        inner = _TABLES.get((kind, key))
        if inner is not None and isinstance(value, list):
            for index, one in enumerate(value):
                _check_keys(name, one, inner, f"{where}[{index}]")
        elif inner is not None:
            _check_keys(name, value, inner, where)


def _explain(name: str, raw: dict[str, Any], text: str) -> PolicyError:
    """Turn msgspec's words into key path, value, what is allowed."""
    message, _, path = text.partition(" - at `$")
    path = path.rstrip("`").lstrip(".")
    value: Any = raw
    for key, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
        value = value[int(index)] if index else value[key]
    quoted = re.findall(r"`([^`]*)`", message)
    if message.startswith("Object missing required field"):
        key = f"{path}.{quoted[0]}" if path else quoted[0]
        return PolicyError(f"{name}: {key} is missing", f"add {quoted[0]}")
    if message.startswith("Invalid enum value"):
        allowed = _enum_values(path)
        near = difflib.get_close_matches(quoted[0] if quoted else str(value), allowed, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        return PolicyError(
            f"{name}: {path} = {_show(value)}", f"{hint}allowed: {', '.join(allowed)}"
        )
    allowed_text = message.replace("`", "").replace("Expected ", "")
    return _fail(name, path, value, allowed_text)


def _enum_values(path: str) -> list[str]:
    if path.endswith(".stage"):
        return [stage.value for stage in AttemptStage if stage is not AttemptStage.EXTRA]
    if path.endswith(".at"):
        return ["appointment"]
    return [channel.value for channel in Channel]


def _check(policy: Policy, name: str) -> None:
    """What the types alone can't say. The prover says the rest."""
    for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun"):
        for index, text in enumerate(getattr(policy.calendar, day)):
            try:
                start, end = parse_hours(text)
            except InputError as error:
                raise _fail(name, f"calendar.{day}[{index}]", text, error.mend) from None
            if start < QUIET_UNTIL or end > QUIET_FROM:
                allowed = "hours from 08:00 to 21:00; the rest are quiet hours in every policy"
                raise _fail(name, f"calendar.{day}[{index}]", text, allowed)
        hours = sorted(map(parse_hours, getattr(policy.calendar, day)))
        if any(later[0] < earlier[1] for earlier, later in pairwise(hours)):
            raise _fail(name, f"calendar.{day}", getattr(policy.calendar, day), "no overlaps")
    if not any(policy.week):
        raise PolicyError(f"{name}: calendar opens on no day", 'add e.g. mon = ["09:00-17:00"]')
    seen: dict[str, int] = {}
    before = -1
    for index, step in enumerate(policy.steps):
        key = f"steps[{index}]"
        if step.id in seen:
            raise _fail(name, f"{key}.id", step.id, f"an id of its own (steps[{seen[step.id]}])")
        seen[step.id] = index
        _check_step(step, key, name)
        now = rank(Stage(step.stage.value))
        if now < before:
            raise _fail(
                name, f"{key}.stage", step.stage, "a stage not before that of the step before"
            )
        before = now
    exits = [step for step in policy.steps if step.stage is AttemptStage.POLITE_EXIT]
    if len(exits) != 1:
        raise PolicyError(
            f"{name}: steps has {len(exits)} steps of stage polite_exit",
            "exactly one is allowed, as the last step",
        )


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
    for field in ("after", "answer_within"):
        distance: After | None = getattr(step, field)
        if distance is not None:
            units = [u for u in distance.__struct_fields__ if getattr(distance, u) is not None]
            if len(units) != 1:
                raise _fail(
                    name,
                    f"{key}.{field}",
                    msgspec.to_builtins(distance),
                    "exactly one of minutes, hours, business_days",
                )
    if step.within is not None and (step.after is None or step.after.elapsed is None):
        raise PolicyError(
            f"{name}: {key}.within needs a step with an exact time",
            "use it with after = { minutes = … } or { hours = … }",
        )
    repeats = step.stage in (AttemptStage.SPACED, AttemptStage.NURTURE)
    if step.times > 1 and not repeats:
        raise _fail(name, f"{key}.times", step.times, f"1 for stage {step.stage}")
    if step.stage is AttemptStage.SPACED and step.times > SPACED_CAP:
        raise _fail(name, f"{key}.times", step.times, f"1 to {SPACED_CAP} (rule spaced_cap)")
    is_exit = step.stage is AttemptStage.POLITE_EXIT
    answer = step.answer_within
    if is_exit and (answer is None or answer.business_days is None):
        raise PolicyError(
            f"{name}: {key}.answer_within must say how long they have to answer",
            "add answer_within = { business_days = 2 }",
        )
    if not is_exit and answer is not None:
        raise PolicyError(
            f"{name}: {key}.answer_within belongs to the polite exit only", "remove it"
        )
