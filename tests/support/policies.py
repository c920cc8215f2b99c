"""Policies for tests: one with every key of the language, single changes of it, and random ones."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import date
from typing import Any

import tomli_w
from hypothesis import assume
from hypothesis import strategies as st

from cadence.domain.channels import CHANNELS
from cadence.policy import builtin
from cadence.policy.loader import parse_text
from cadence.policy.model import Policy
from cadence.policy.writer import to_toml
from cadence.prover import prove
from cadence.worktime.hours import WEEKDAYS

Raw = dict[str, Any]

RICH = """
id = "rich"
version = 3
title = "Every key of the language"
source = "the tests"
horizon_business_days = 90
task_business_days = 3
channels = ["call", "email", "sms", "mail"]

[calendar]
mon = ["09:00-12:00", "13:00-17:00"]
tue = ["09:00-12:00", "13:00-17:00"]
wed = ["09:00-17:00"]
thu = ["09:00-17:00"]
fri = ["09:00-15:00"]
closed = [2026-12-24]
on = { 2026-12-21 = ["09:00-12:00", "13:00-17:00"] }
half_days_until = "13:00"
weekend = "prospect"
holidays = [{ country = "US", subdivision = "CA" }]

[limits]
attempts = 15
spaced_calls = 5

[[steps]]
id = "on_time"
stage = "on_time"
at = "appointment"
parts = [{ channels = ["call"], script = "on_time" }]

[[steps]]
id = "ten_minutes"
stage = "ten_minutes"
after = { minutes = 10 }
within = { minutes = 15 }
parts = [{ channels = ["call"], script = "ten_minutes" }]

[[steps]]
id = "half_day"
stage = "half_day"
after = { hours = 4 }
parts = [{ channels = ["call", "sms"], script = "half_day" }]

[[steps]]
id = "spaced"
stage = "spaced"
after = { business_days = [2, 2, 3, 4] }
rotation = [
    [{ channels = ["call"], script = "spaced" }],
    [{ channels = ["call"], script = "spaced" }, { channels = ["email"], script = "ours" }],
]
rotate = { times = ["09:30", "14:00"] }

[[steps]]
id = "concern"
stage = "concern"
after = { business_days = 5 }
requires = { attempts = 5, days = 21 }
parts = [
    { channels = ["sms", "email"], script = "concern" },
    { channels = ["email"], script = "concern", along_with = "sms" },
]

[[steps]]
id = "nurture"
stage = "nurture"
after = { business_days = 6, growth = 1.5, at_most_business_days = 20 }
times = 3
rotate = { days = ["tue", "thu"] }
requires = { guidelines = true }
answer_within = { business_days = 2 }
parts = [{ channels = ["email", "mail"], script = "nurture" }]

[[steps]]
id = "bye"
stage = "polite_exit"
after = { business_days = 20 }
answer_within = { business_days = 3 }
parts = [{ channels = ["email", "sms", "call", "mail"], script = "polite_exit" }]

[[guards]]
kind = "contact_window"
id = "lunch"
channels = ["call"]
mon = ["09:00-12:00", "13:30-17:00"]
tue = ["09:00-17:00"]
wed = ["09:00-17:00"]
thu = ["09:00-17:00"]
fri = ["09:00-15:00"]

[[guards]]
kind = "frequency_cap"
attempts = 3
days = 2

[[guards]]
kind = "frequency_cap"
id = "texts"
attempts = 1
hours = 48
per = "address"
channels = ["sms"]

[[guards]]
kind = "cool_down"
id = "talked"
after = "conversation"
lasts = { hours = 24 }

[[guards]]
kind = "cool_down"
after = "refusal"
lasts = { business_days = 2 }

[[guards]]
kind = "holiday_ban"
country = "DE"
subdivision = "BY"

[[guards]]
kind = "pause"
first_day = 2026-08-03
last_day = 2026-08-07

[scripts]
ours = "Hello {{ name }}, one more thought."

[scripts.formed]
voicemail = "{{ bring }} {{ number }}"
live = "{{ bring }}"
sms = "{{ bring }}"
letter = "{{ bring }}"

[scripts.formed.email]
subject = "{{ subject }}"
text = "{{ bring }}"

[scripts.formed.languages.es]
voicemail = "{{ bring }} {{ number }} Un no también está bien."

[[wording]]
rule = "way_out"
script = "formed"
why = "it is said in the email beside it"
"""


def raw_of(policy: Policy) -> Raw:
    """A policy as the plain data of its file."""
    import tomllib

    return tomllib.loads(to_toml(policy))


def made(raw: Raw) -> Policy:
    """The policy of plain data."""
    return parse_text(tomli_w.dumps(raw), "made.toml")


def rich() -> Policy:
    """The policy that uses every key."""
    return parse_text(RICH, "rich.toml")


Change = Callable[[Raw], None]


def changed(policy: Policy, change: Change) -> Policy:
    """``policy`` with one change."""
    raw = copy.deepcopy(raw_of(policy))
    change(raw)
    return made(raw)


def place(entries: list[Raw], name: str) -> int:
    """The place in a list: of the step or guard with that name, or as the number says."""
    if name.isdigit():
        return int(name)
    names = [entry.get("id", entry.get("kind")) for entry in entries]
    return names.index(name)


def _set(path: str, value: Any) -> Change:
    """Set one key; ``None`` removes it. In a list, the path names a step or guard, or a place."""

    def change(raw: Raw) -> None:
        here: Any = raw
        *way, last = path.split(".")
        for key in way:
            here = here[place(here, key)] if isinstance(here, list) else here.setdefault(key, {})
        key: Any = place(here, last) if isinstance(here, list) else last
        if value is None:
            del here[key]
        else:
            here[key] = value

    return change


def _each(*changes: Change) -> Change:
    def change(raw: Raw) -> None:
        for one in changes:
            one(raw)

    return change


def _swap_steps(raw: Raw) -> None:
    steps = raw["steps"]
    one, other = place(steps, "concern"), place(steps, "nurture")
    steps[one], steps[other] = steps[other], steps[one]


# What says the same in other words: neither the digest nor a decision may change.
SAME: dict[str, Change] = {
    "guards in another order": lambda raw: raw["guards"].reverse(),
    "hours as minutes": _set("steps.half_day.after", {"minutes": 240}),
    "channels in another order": lambda raw: raw["channels"].reverse(),
    "hours of a day in another order": lambda raw: raw["calendar"]["mon"].reverse(),
    "no hours of a date beside those of its weekday": lambda raw: raw["calendar"].pop("on"),
    "times said beside a list": _set("steps.spaced.times", 4),
    "growth as a list": _each(
        _set("steps.nurture.after", {"business_days": [6, 9, 14]}),
        _set("steps.nurture.times", None),
    ),
    "a rotation written out": lambda raw: raw["steps"][place(raw["steps"], "spaced")].update(
        rotation=2 * raw["steps"][place(raw["steps"], "spaced")]["rotation"]
    ),
    "a guard's kind said as its id": _set("guards.pause.id", "pause"),
    "a cap's days as hours": _each(
        _set("guards.frequency_cap.hours", 48), _set("guards.frequency_cap.days", None)
    ),
}

# Names only: the digest changes, since attempts carry them; no decision does.
RENAMED: dict[str, Change] = {
    # No step says it: another digest, and the same decisions.
    "scripts.voicemail": _set("scripts.formed.voicemail", "{{ number }}"),
    "scripts.live": _set("scripts.formed.live", "{{ number }}"),
    "scripts.sms": _set("scripts.formed.sms", "{{ number }}"),
    "scripts.letter": _set("scripts.formed.letter", "{{ number }}"),
    "scripts.email.subject": _set("scripts.formed.email.subject", "{{ company }}"),
    "scripts.email.text": _set("scripts.formed.email.text", "{{ number }}"),
    "scripts.languages": _set("scripts.formed.languages.es.voicemail", "{{ number }}"),
    "wording.rule": _set("wording.0.rule", "reason"),
    "wording.script": _set("wording.0.script", "ours"),
    "wording.why": _set("wording.0.why", "another reason"),
    "id": _set("id", "other"),
    "version": _set("version", 4),
    "title": _set("title", "Another title"),
    "source": _set("source", "another source"),
    "a step's id": _set("steps.spaced.id", "calls"),
    "a guard's id": _set("guards.lunch.id", "noon"),
}

# Every key of the language changed once, so that it matters.
CHANGES: dict[str, Change] = {
    "horizon_business_days": _set("horizon_business_days", 60),
    "horizon_business_days by one": _set("horizon_business_days", 91),
    "task_business_days": _set("task_business_days", 4),
    "channels": _set("channels", ["call", "email", "sms"]),
    "channels.address": _set("channels", {"fax": {"address": "phone"}}),
    "channels.spoken": _set("channels", {"fax": {"address": "phone", "spoken": True}}),
    "channels.answer_business_days": _set(
        "channels", {"fax": {"address": "phone", "answer_business_days": 3}}
    ),
    "channels.used": _set("channels", {"mail": {"used": False}}),
    "calendar.mon": _set("calendar.mon", ["10:00-12:00", "13:00-17:00"]),
    "calendar.tue": _set("calendar.tue", None),
    "calendar.wed": _set("calendar.wed", ["09:00-13:00"]),
    "calendar.thu": _set("calendar.thu", ["09:00-13:00"]),
    "calendar.fri": _set("calendar.fri", ["09:00-12:00"]),
    "calendar.sat": _set("calendar.sat", ["09:00-12:00"]),
    "calendar.sun": _set("calendar.sun", ["09:00-12:00"]),
    "calendar.closed": _set("calendar.closed", [date(2026, 12, 23)]),
    "calendar.on": _set("calendar.on", {"2026-12-21": ["09:00-12:00"]}),
    "calendar.half_days_until": _set("calendar.half_days_until", "15:00"),
    "calendar.weekend": _set("calendar.weekend", "policy"),
    "calendar.holidays.country": _set("calendar.holidays.0", {"country": "DE"}),
    "calendar.holidays.subdivision": _set(
        "calendar.holidays.0", {"country": "US", "subdivision": "NY"}
    ),
    "limits.attempts": _set("limits.attempts", 6),
    "limits.spaced_calls": _set("limits.spaced_calls", 3),
    "no limits": _each(_set("limits", None)),
    "steps: one fewer": _set("steps.half_day", None),
    "steps: another order": _swap_steps,
    "stage": _set("steps.spaced.stage", "nurture"),
    "along_with": _set("steps.concern.parts.1.along_with", "call"),
    "after.minutes": _set("steps.ten_minutes.after", {"minutes": 12}),
    "after.hours": _set("steps.half_day.after", {"hours": 5}),
    "after.business_days": _set("steps.concern.after", {"business_days": 6}),
    "after: one of a list": _set("steps.spaced.after", {"business_days": [2, 2, 4, 4]}),
    "after: a longer list": _set("steps.spaced.after", {"business_days": [2, 2, 3, 4, 4]}),
    "after.growth": _set("steps.nurture.after.growth", 2),
    "after.at_most_business_days": _set("steps.nurture.after.at_most_business_days", 10),
    "times": _set("steps.nurture.times", 4),
    "within": _set("steps.ten_minutes.within", {"minutes": 20}),
    "no within": _set("steps.ten_minutes.within", None),
    "requires.attempts": _set("steps.concern.requires.attempts", 6),
    "requires.days": _set("steps.concern.requires.days", 40),
    "requires.guidelines": _set("steps.nurture.requires", None),
    "answer_within of a step": _set("steps.nurture.answer_within", {"business_days": 12}),
    "answer_within of the exit": _set("steps.bye.answer_within", {"business_days": 4}),
    "parts.channels": _set("steps.half_day.parts.0.channels", ["call"]),
    "parts.channels in another order": _set("steps.concern.parts.0.channels", ["email", "sms"]),
    "parts.script": _set("steps.half_day.parts.0.script", "spaced"),
    "parts: one more": lambda raw: raw["steps"][place(raw["steps"], "half_day")]["parts"].append(
        {"channels": ["email"], "script": "spaced"}
    ),
    "rotation": lambda raw: raw["steps"][place(raw["steps"], "spaced")]["rotation"].reverse(),
    "rotate.times": _set("steps.spaced.rotate.times", ["09:30", "15:00"]),
    "rotate.days": _set("steps.nurture.rotate.days", ["mon", "thu"]),
    "no rotate": _set("steps.spaced.rotate", None),
    "guards.contact_window": _set("guards.lunch.mon", ["09:00-11:00"]),
    "guards.channels": _set("guards.lunch.channels", ["email"]),
    "guards.frequency_cap.attempts": _set("guards.frequency_cap.attempts", 2),
    "guards.frequency_cap.days": _set("guards.frequency_cap.days", 10),
    "guards.frequency_cap.hours": _set("guards.texts.hours", 72),
    "guards.frequency_cap.per": _set("guards.texts.per", "prospect"),
    "guards.cool_down.after": _set("guards.talked.after", "contact"),
    "guards.cool_down.lasts.hours": _set("guards.talked.lasts.hours", 48),
    "guards.cool_down.lasts.business_days": _set("guards.cool_down.lasts.business_days", 3),
    "guards.holiday_ban.country": _set(
        "guards.holiday_ban", {"kind": "holiday_ban", "country": "US"}
    ),
    "guards.holiday_ban.subdivision": _set("guards.holiday_ban.subdivision", "BE"),
    "guards.holiday_ban of their own": _set("guards.holiday_ban", {"kind": "holiday_ban"}),
    "guards.pause.first_day": _set("guards.pause.first_day", date(2026, 8, 4)),
    "guards.pause.last_day": _set("guards.pause.last_day", date(2026, 8, 14)),
    "guards: one fewer": _set("guards.lunch", None),
    "scripts": _set("scripts.ours", "Hello {{ name }}, a last thought."),
}

# Random ones --------------------------------------------------------------------------------------

_CHANNELS = list(CHANNELS)
_DAYS = list(WEEKDAYS)
_SCRIPTS = ["on_time", "spaced", "nurture", "ours"]


def _maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def _some(values: list[str], least: int = 1) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=least, max_size=3, unique=True)


@st.composite
def _hours(draw: st.DrawFn, least: int = 8 * 4, most: int = 21 * 4) -> list[str]:
    """Hours of a day, in quarters, that do not overlap."""
    quarters = draw(
        st.lists(st.integers(least, most), min_size=2, max_size=4, unique=True).filter(
            lambda found: len(found) % 2 == 0
        )
    )
    ordered = sorted(quarters)
    clock = [f"{q // 4:02}:{15 * (q % 4):02}" for q in ordered]
    found = [f"{a}-{b}" for a, b in zip(clock[::2], clock[1::2], strict=True)]
    return draw(st.permutations(found))


def _parts() -> st.SearchStrategy[list[Raw]]:
    part = st.fixed_dictionaries(
        {"channels": _some(_CHANNELS), "script": st.sampled_from(_SCRIPTS)}
    )
    return st.lists(part, min_size=1, max_size=2)


def _distance(days: int = 20) -> st.SearchStrategy[Raw]:
    return st.one_of(
        st.builds(lambda n: {"business_days": n}, st.integers(1, days)),
        st.builds(lambda n: {"hours": n}, st.integers(1, 72)),
        st.builds(lambda n: {"minutes": n}, st.integers(1, 1440)),
    )


def _after(many: bool) -> st.SearchStrategy[Raw]:
    if not many:
        return _distance()
    growing = st.fixed_dictionaries(
        {
            "business_days": st.integers(1, 9),
            "growth": st.sampled_from([1, 1.1, 1.5, 2, 0.5]),
        },
        optional={"at_most_business_days": st.integers(1, 30)},
    )
    listed = st.lists(st.integers(1, 9), min_size=1, max_size=4).map(
        lambda found: {"business_days": found}
    )
    return st.one_of(_distance(), growing, listed)


@st.composite
def _step(draw: st.DrawFn, id_: str, stage: str) -> Raw:
    many = stage in ("spaced", "nurture")
    step: Raw = {"id": id_, "stage": stage}
    if stage == "on_time":
        step["at"] = "appointment"
    else:
        step["after"] = draw(_after(many))
        listed = isinstance(step["after"].get("business_days"), list)
        if many and not listed and draw(st.booleans()):
            step["times"] = draw(st.integers(1, 6))
        if "business_days" not in step["after"] and draw(st.booleans()):
            step["within"] = {"minutes": draw(st.integers(1, 300))}
        if "business_days" in step["after"] and draw(st.booleans()):
            turns = st.lists(st.sampled_from(["08:30", "09:00", "13:15", "20:00"]), unique=True)
            days = st.lists(st.sampled_from(_DAYS), unique=True, max_size=3)
            step["rotate"] = {"times": draw(turns), "days": draw(days)}
        if stage == "polite_exit" or draw(st.integers(0, 4)) == 0:
            step["answer_within"] = draw(_distance(5))
    if stage != "polite_exit" and draw(st.integers(0, 2)) == 0:
        keys = {
            "attempts": st.integers(0, 6),
            "days": st.integers(0, 30),
            "guidelines": st.booleans(),
        }
        step["requires"] = draw(st.fixed_dictionaries({}, optional=keys))
    if many and draw(st.booleans()):
        step["rotation"] = draw(st.lists(_parts(), min_size=1, max_size=3))
    else:
        step["parts"] = draw(_parts())
    return step


def _guards() -> st.SearchStrategy[Raw]:
    common = {"channels": _some(_CHANNELS)}
    kinds = [
        st.fixed_dictionaries(
            {"kind": st.just("contact_window"), "wed": _hours(0, 96)},
            optional={**common, "mon": _hours(0, 96), "fri": _hours(0, 96)},
        ),
        st.fixed_dictionaries(
            {
                "kind": st.just("frequency_cap"),
                "attempts": st.integers(1, 5),
                "days": st.integers(1, 10),
            },
            optional={**common, "per": st.sampled_from(["prospect", "address"])},
        ),
        st.fixed_dictionaries(
            {
                "kind": st.just("cool_down"),
                "after": st.sampled_from(["conversation", "refusal", "contact"]),
                "lasts": st.builds(lambda n: {"business_days": n}, st.integers(1, 9)),
            },
            optional=common,
        ),
        st.fixed_dictionaries(
            {"kind": st.just("holiday_ban")}, optional={**common, "country": st.just("US")}
        ),
        st.dates(date(2026, 1, 1), date(2027, 1, 1)).map(
            lambda day: {
                "kind": "pause",
                "first_day": day,
                "last_day": date.fromordinal(day.toordinal() + 9),
            }
        ),
    ]
    return st.one_of(kinds)


@st.composite
def raw_policies(draw: st.DrawFn) -> Raw:
    """The plain data of any policy that can be read; most are refuted."""
    stages = draw(
        st.lists(
            st.sampled_from(
                [*("on_time", "ten_minutes", "half_day", "concern"), *["spaced", "nurture"] * 2]
            ),
            max_size=5,
        )
    )
    order = ["on_time", "ten_minutes", "half_day", "spaced", "concern", "nurture"]
    if draw(st.integers(0, 4)):
        stages.sort(key=order.index)
    # The call at the appointment is made once; the reader refuses a second.
    if "on_time" in stages:
        first = stages.index("on_time")
        stages = [one for n, one in enumerate(stages) if n == first or one != "on_time"]
    steps = [draw(_step(f"s{number}", stage)) for number, stage in enumerate(stages)]
    steps.append(draw(_step("bye", "polite_exit")))
    raw: Raw = {
        "id": draw(st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)),
        "version": draw(st.integers(1, 99)),
        "title": draw(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)),
        "source": "random",
        "horizon_business_days": draw(st.integers(1, 200)),
        "task_business_days": draw(st.integers(1, 9)),
        "calendar": {"tue": draw(_hours())},
        "steps": steps,
        "scripts": {"ours": draw(st.sampled_from(["Hello {{ name }}", 'What\'s "new"?\n\ttab']))},
    }
    for day in draw(st.lists(st.sampled_from(_DAYS), unique=True)):
        raw["calendar"][day] = draw(_hours())
    if draw(st.booleans()):
        raw["calendar"]["closed"] = draw(
            st.lists(st.dates(date(2026, 1, 1), date(2027, 1, 1)), max_size=3)
        )
    if draw(st.booleans()):
        raw["calendar"]["holidays"] = [{"country": "US", "subdivision": "CA"}, {"country": "DE"}]
    if draw(st.booleans()):
        raw["channels"] = draw(_some(_CHANNELS))
    if draw(st.booleans()):
        limits = {"attempts": st.integers(1, 20), "spaced_calls": st.integers(0, 6)}
        raw["limits"] = draw(st.fixed_dictionaries({}, optional=limits))
    guards = draw(st.lists(_guards(), max_size=3))
    raw["guards"] = [{**guard, "id": f"g{number}"} for number, guard in enumerate(guards)]
    return raw


def policies() -> st.SearchStrategy[Policy]:
    """Any policy that can be read; most are refuted."""
    return raw_policies().map(made)


@st.composite
def variants(draw: st.DrawFn) -> Policy:
    """A policy like ``tip8`` with other numbers, which the prover accepts."""
    raw = raw_of(builtin())
    gap = draw(st.integers(1, 8))
    steps = raw["steps"]
    steps[3]["times"] = draw(st.integers(1, 6))
    steps[3]["after"] = {"business_days": gap}
    if draw(st.booleans()):
        steps[3]["parts"] = [{"channels": ["email", "call"], "script": "spaced"}]
    steps[4]["after"] = {"business_days": gap + draw(st.integers(0, 5))}
    steps[4]["answer_within"] = {"business_days": draw(st.integers(1, 12))}
    if draw(st.booleans()):
        del steps[2]
    if draw(st.booleans()):
        del steps[1]
    if draw(st.booleans()):
        del steps[0]
    for step in steps:
        if draw(st.integers(0, 3)) == 0:
            step["id"] = f"our_{step['id']}"
    raw["id"] = draw(st.sampled_from(["a", "b"]))
    raw["horizon_business_days"] = draw(st.integers(60, 200))
    opens = draw(st.sampled_from(["08:00", "10:30"]))
    raw["calendar"] = {day: [f"{opens}-18:00"] for day in _DAYS[: draw(st.integers(2, 6))]}
    policy = made(raw)
    assume(prove(policy).proved)  # some have too many touches in a week
    return policy
