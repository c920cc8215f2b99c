"""Read policy files, with errors that name the key, its value and what is allowed.

``policy/toml_errors.py`` reads the TOML and checks keys and types; here is what only holds for
policies. ``prover/trusted.py`` reads a policy and proves it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import assert_never

import msgspec

from cadence.domain.channels import BUILT_IN, AddressKind, Channel
from cadence.domain.events import AttemptStage
from cadence.errors import InputError, PolicyError, did_you_mean
from cadence.policy.guard_runner import allow, is_allowed, resolve
from cadence.policy.guards import (
    ContactWindow,
    CoolDown,
    Custom,
    FrequencyCap,
    Guard,
    HolidayBan,
    Pause,
)
from cadence.policy.model import (
    MAX_TOUCHES,
    Calendar,
    ChannelTable,
    Policy,
    Requires,
    Rotate,
    Step,
)
from cadence.policy.rules import RESERVED
from cadence.policy.toml_errors import TomlFile, read_file, show_value
from cadence.worktime.holidays import check_country
from cadence.worktime.hours import QUIET_FROM, QUIET_UNTIL, WEEKDAYS, parse_hours

__all__ = [
    "DEFAULT_POLICY",
    "builtin",
    "builtin_names",
    "check_code",
    "own_functions",
    "parse",
    "parse_text",
    "unknown_name",
    "without_code",
]

DEFAULT_POLICY = "tip8"
"""The policy of a prospect that was given no other."""


def builtin_names() -> list[str]:
    """List the policies that come with cadence."""
    folder = resources.files("cadence.policy").joinpath("builtin")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir())


@lru_cache(maxsize=64)
def builtin(name: str = DEFAULT_POLICY) -> Policy:
    """Load a policy of the catalogue.

    Raises:
        PolicyError: the name is unknown; the hint names the nearest.
    """
    names = builtin_names()
    if name not in names:
        raise unknown_name(name, names)
    source = resources.files("cadence.policy").joinpath("builtin", f"{name}.toml")
    # The tests prove it; proving it again at every start would take too long.
    return parse_text(source.read_text(encoding="utf-8"), f"{name}.toml")


def unknown_name(name: str, known: Sequence[str]) -> PolicyError:
    """Make the error for the name of an unknown policy, with the nearest of the ``known`` names."""
    every = f"use a .toml file or one of: {', '.join(known)}"
    return PolicyError(f"policy: unknown {name!r}", did_you_mean(name, known, otherwise=every))


def parse(path: Path | str, *, allow_code: bool = False) -> Policy:
    """Read the policy file ``path``, proved or not.

    Args:
        path: the file.
        allow_code: whether the functions that it names as guards may be imported and called.

    Raises:
        PolicyError: the file can't be read, or is not a policy.
    """
    return parse_text(read_file(path), Path(path).name, allow_code=allow_code)


def parse_text(
    text: str, name: str, *, allow_code: bool = False, find_guards: bool = True
) -> Policy:
    """Read a policy from TOML, proved or not.

    Args:
        text: the file's content.
        name: what to call the file in errors.
        allow_code: whether the functions that it names as guards may be imported and called.
            Without it the policy is data: a touch that such a guard is asked about is held.
        find_guards: whether functions that may be called must be there. Where they are missing
            when they are asked, the touch is held.

    Raises:
        PolicyError: invalid TOML, a key unknown or missing, a value out of range.
    """
    file = TomlFile(name)
    policy = file.convert(file.parse(text), Policy)
    if allow_code:
        allow(own_functions(policy))
    _check(policy, file, find_guards=find_guards)
    return policy


def own_functions(policy: Policy) -> list[str]:
    """List the functions that a policy names as guards."""
    return [guard.function for guard in policy.guards if isinstance(guard, Custom)]


def without_code(policy: Policy) -> Policy:
    """Return the policy without the guards whose code is not allowed; itself if it has none."""
    guards = tuple(
        guard
        for guard in policy.guards
        if not isinstance(guard, Custom) or is_allowed(guard.function)
    )
    if len(guards) == len(policy.guards):
        return policy
    return msgspec.structs.replace(policy, guards=guards)


def check_code(policy: Policy, name: str | None = None) -> None:
    """Refuse a policy with a guard whose code is not allowed: nothing can be said of it.

    Args:
        policy: which.
        name: what to call it in the error; its id.

    Raises:
        PolicyError: it names a function that may not be imported.
    """
    for function in own_functions(policy):
        if not is_allowed(function):
            try:
                resolve(function)
            except PolicyError as error:
                raise PolicyError(f"{name or policy.id}: {error.what}", error.hint) from None


def _check(policy: Policy, file: TomlFile, *, find_guards: bool) -> None:
    """Check what the types alone can't say; whether it keeps the invariants is up to the prover."""
    _check_hours(file, "calendar", policy.calendar, waking=True)
    _check_calendar(policy.calendar, file)
    if not any(policy.week):
        raise PolicyError(
            f"{file.name}: calendar: missing open hours", 'give some, e.g. mon = ["09:00-17:00"]'
        )
    for index, place in enumerate(policy.calendar.holidays):
        _check_region(file, f"calendar.holidays[{index}]", place.country, place.subdivision)
    _check_channels(policy, file)
    _check_steps(policy, file)
    _check_guards(policy, file, find_functions=find_guards)


def _check_channels(policy: Policy, file: TomlFile) -> None:
    """Check the channels that it declares, and that it names no other."""
    if isinstance(policy.channels, dict):
        for name, table in policy.channels.items():
            key = f"channels.{name}"
            if name in BUILT_IN:
                if table != ChannelTable(used=table.used):
                    plain = msgspec.to_builtins(table)
                    raise file.invalid(key, plain, "only used = false; the rest is built in")
            elif table.address is None:
                raise file.missing(f"{key}.address", f"one of {', '.join(AddressKind)}")
    else:
        _check_known(policy, file, "channels", policy.channels)
    for index, step in enumerate(policy.steps):
        for key, part in step.all_parts(f"steps[{index}]"):
            _check_known(policy, file, f"{key}.channels", part.channels)
            if part.along_with is not None and part.along_with not in policy.traits:
                raise _unknown_channel(policy, file, f"{key}.along_with", part.along_with)
    for index, guard in enumerate(policy.guards):
        _check_known(policy, file, f"guards[{index}].channels", guard.channels)


def _check_known(policy: Policy, file: TomlFile, key: str, channels: Sequence[Channel]) -> None:
    for number, channel in enumerate(channels):
        if channel not in policy.traits:
            raise _unknown_channel(policy, file, f"{key}[{number}]", channel)


def _unknown_channel(policy: Policy, file: TomlFile, key: str, channel: Channel) -> InputError:
    known = list(policy.traits)
    allowed = f"{', '.join(known)}, or declare it: [channels.{channel}]"
    return file.invalid(key, channel, allowed, known)


def _check_steps(policy: Policy, file: TomlFile) -> None:
    seen: dict[str, int] = {}
    for index, step in enumerate(policy.steps):
        key = f"steps[{index}]"
        if step.id in seen:
            raise file.invalid(f"{key}.id", step.id, f"another id; steps[{seen[step.id]}] has it")
        seen[step.id] = index
        _check_step(step, key, file)
        if step.rotate is not None:
            _check_rotate(step.rotate, f"{key}.rotate", file)
    own = [index for index, step in enumerate(policy.steps) if step.at is not None]
    if len(own) > 1:
        allowed = f"it on one step only; steps[{own[0]}] has it"
        raise file.invalid(f"steps[{own[1]}].at", "appointment", allowed)
    touches = sum(step.touches for step in policy.steps)
    if touches > MAX_TOUCHES:
        raise PolicyError(
            f"{file.name}: steps: invalid, {touches} touches",
            f"use at most {MAX_TOUCHES} in all",
        )


def _check_guards(policy: Policy, file: TomlFile, *, find_functions: bool) -> None:
    seen: dict[str, int] = {}
    for index, guard in enumerate(policy.guards):
        key = f"guards[{index}]"
        if guard.name in seen:
            allowed = f"another id; guards[{seen[guard.name]}] has it"
            raise file.invalid(f"{key}.id", guard.name, allowed)
        if guard.name in RESERVED:
            allowed = "another id; a rule of cadence has it"
            raise file.invalid(f"{key}.id", guard.name, allowed)
        seen[guard.name] = index
        _check_guard(guard, key, file)
        if find_functions and isinstance(guard, Custom) and is_allowed(guard.function):
            try:
                resolve(guard.function)
            except PolicyError as error:
                what = f"{file.name}: {key}.function: {error.what}"
                raise PolicyError(what, error.hint) from None


def _check_hours(
    file: TomlFile, key: str, table: Calendar | ContactWindow, *, waking: bool
) -> None:
    for day in WEEKDAYS:
        _check_hours_of_day(file, f"{key}.{day}", getattr(table, day), waking=waking)


def _check_hours_of_day(file: TomlFile, key: str, given: tuple[str, ...], *, waking: bool) -> None:
    for index, text in enumerate(given):
        try:
            start, end = parse_hours(text)
        except InputError as error:
            what = f"{file.name}: {key}[{index}]: invalid {show_value(text)}"
            raise PolicyError(what, error.hint) from None
        if waking and (start < QUIET_UNTIL or end > QUIET_FROM):
            allowed = "hours from 08:00 to 21:00; the rest are quiet hours in every policy"
            raise file.invalid(f"{key}[{index}]", text, allowed)
    hours = sorted(map(parse_hours, given))
    if any(later[0] < earlier[1] for earlier, later in pairwise(hours)):
        raise file.invalid(key, given, "hours that do not overlap")


def _check_calendar(calendar: Calendar, file: TomlFile) -> None:
    """Check the hours of single dates, and when half days close."""
    for day, hours in calendar.on.items():
        key = f"calendar.on.{day}"
        _check_hours_of_day(file, key, hours, waking=True)
        name = WEEKDAYS[day.weekday()]
        if not getattr(calendar, name):
            # Else a policy could have more open days in a week than its weekdays say, and every
            # bound that the prover gives would depend on dates.
            allowed = f"a date whose weekday has hours; {name} has none, and on can't open a day"
            raise file.invalid(key, hours, allowed)
    _check_time(file, "calendar.half_days_until", calendar.half_days_until)


def _check_time(file: TomlFile, key: str, text: str) -> None:
    try:
        parse_hours(f"{text}-24:00")
    except InputError:
        raise file.invalid(key, text, 'a local time such as "09:30"') from None


def _check_region(file: TomlFile, key: str, country: str, subdivision: str | None) -> None:
    which, value = "country", country
    try:
        check_country(country, None)
        which, value = "subdivision", subdivision or ""
        check_country(country, subdivision)
    except InputError as error:
        what = f"{file.name}: {key}.{which}: invalid {show_value(value)}"
        raise PolicyError(what, error.hint) from None


def _check_unit(file: TomlFile, key: str, value: msgspec.Struct, units: tuple[str, ...]) -> None:
    """Check that exactly one of ``units`` is given."""
    if sum(getattr(value, unit) is not None for unit in units) != 1:
        raise file.invalid(key, msgspec.to_builtins(value), f"exactly one of {', '.join(units)}")


def _check_guard(guard: Guard, key: str, file: TomlFile) -> None:
    if isinstance(guard, ContactWindow):
        _check_hours(file, key, guard, waking=False)
    elif isinstance(guard, FrequencyCap):
        _check_unit(file, key, guard, ("hours", "days"))
    elif isinstance(guard, CoolDown):
        _check_unit(file, f"{key}.lasts", guard.lasts, ("hours", "business_days"))
    elif isinstance(guard, HolidayBan):
        if guard.country is not None:
            _check_region(file, key, guard.country, guard.subdivision)
        elif guard.subdivision is not None:
            raise file.invalid(f"{key}.subdivision", guard.subdivision, "it only with a country")
    elif isinstance(guard, Pause):
        if not guard.first_day <= guard.last_day <= guard.first_day + timedelta(days=366):
            allowed = f"{guard.first_day} or later, at most a year later"
            raise file.invalid(f"{key}.last_day", guard.last_day, allowed)
    elif isinstance(guard, Custom):
        pass  # its function is looked for where policies are used
    else:
        assert_never(guard)


def _check_step(step: Step, key: str, file: TomlFile) -> None:
    if step.stage is AttemptStage.EXTRA:
        raise file.invalid(f"{key}.stage", step.stage, "an outreach stage; extra has no step")
    _check_alternatives(step, key, file)
    if (step.at is not None) != (step.stage is AttemptStage.ON_TIME):
        raise file.invalid(f"{key}.at", step.at, "appointment for stage on_time, and only there")
    if not all(step.rotation):
        raise file.invalid(f"{key}.rotation", [], "at least one part in each turn")
    _check_distances(step, key, file)
    if step.within is not None and (step.after is None or "business_days" in step.after.units):
        plain = msgspec.to_builtins(step.within)
        allowed = "it only with after = { minutes = … } or { hours = … }"
        raise file.invalid(f"{key}.within", plain, allowed)
    repeats = step.stage in (AttemptStage.SPACED, AttemptStage.NURTURE)
    if step.touches > 1 and not repeats:
        raise file.invalid(f"{key}.times", step.touches, f"1 for stage {step.stage}")
    if step.rotation and not repeats:
        raise file.invalid(f"{key}.rotation", [], "it only for stages spaced and nurture")
    is_exit = step.stage is AttemptStage.POLITE_EXIT
    if is_exit and step.requires != Requires():
        plain = msgspec.to_builtins(step.requires)
        allowed = "no requirement; the polite exit must always be possible"
        raise file.invalid(f"{key}.requires", plain, allowed)
    if step.stage is AttemptStage.ON_TIME and step.answer_within is not None:
        plain = msgspec.to_builtins(step.answer_within)
        allowed = "it on any step but the appointment's own"
        raise file.invalid(f"{key}.answer_within", plain, allowed)


def _check_alternatives(step: Step, key: str, file: TomlFile) -> None:
    """Check that a step has exactly one of ``after`` and ``at``, and of ``parts``, ``rotation``."""
    if (step.after is None) == (step.at is None):
        raise PolicyError(
            f"{file.name}: {key} ({step.id}): {'invalid, both' if step.at else 'missing'} "
            f"after {'and' if step.at else 'or'} at",
            'give one of them: after = { business_days = 3 } or at = "appointment"',
        )
    if bool(step.parts) == bool(step.rotation):
        raise PolicyError(
            f"{file.name}: {key} ({step.id}): {'invalid, both' if step.parts else 'missing'} "
            f"parts {'and' if step.parts else 'or'} rotation",
            'give one of them, e.g. parts = [{ channels = ["call"], script = "spaced" }]',
        )


def _check_distances(step: Step, key: str, file: TomlFile) -> None:
    units = ("minutes", "hours", "business_days")
    if step.answer_within is not None:
        _check_unit(file, f"{key}.answer_within", step.answer_within, units)
    after = step.after
    if after is not None:
        _check_unit(file, f"{key}.after", after, units)
        if after.listed is not None and step.times not in (None, after.listed):
            allowed = f"{after.listed}, as many as after lists, or leave it out"
            raise file.invalid(f"{key}.times", step.times, allowed)
        grows = after.growth is not None
        if grows and (after.listed is not None or after.business_days is None):
            allowed = "it with one value of business_days"
            raise file.invalid(f"{key}.after.growth", after.growth, allowed)
        if after.at_most_business_days is not None and not grows:
            most = after.at_most_business_days
            raise file.invalid(f"{key}.after.at_most_business_days", most, "it only with growth")
    if step.rotate is not None and (after is None or after.business_days is None):
        plain = msgspec.to_builtins(step.rotate)
        raise file.invalid(f"{key}.rotate", plain, "it only with after in business_days")


def _check_rotate(rotate: Rotate, key: str, file: TomlFile) -> None:
    for field in ("times", "days"):
        given = getattr(rotate, field)
        if len(set(given)) < len(given):
            raise file.invalid(f"{key}.{field}", given, "each only once")
    for index, text in enumerate(rotate.times):
        _check_time(file, f"{key}.times[{index}]", text)
