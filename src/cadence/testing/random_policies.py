"""Policies at random: sound ones, and sound ones with a fault or three.

A policy is drawn as the file that it would be, so that a failing example can be read, saved and
given to ``cadence policy check``. It shrinks towards one short step and the polite exit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from hypothesis import assume, note
from hypothesis import strategies as st

from cadence.domain.channels import CHANNELS
from cadence.errors import PolicyError
from cadence.policy.loader import parse_text
from cadence.policy.model import Policy
from cadence.prover.proof import prove
from cadence.worktime.hours import WEEKDAYS

__all__ = ["policies", "policy_texts", "to_toml"]

Raw = dict[str, Any]

_CHANNELS: Final = list(CHANNELS)
_PLAIN: Final[Raw] = {day: ["09:00-17:00"] for day in WEEKDAYS[:5]}
_CALENDARS: Final[list[Raw]] = [
    _PLAIN,
    {day: ["08:00-20:00"] for day in WEEKDAYS[:6]},
    {day: ["09:00-12:00", "13:30-18:00"] for day in WEEKDAYS[:5]},
    {day: ["10:00-16:00"] for day in ("sun", "mon", "tue", "wed", "thu")},
    {"tue": ["09:00-11:00"], "thu": ["14:00-21:00"]},
    {**_PLAIN, "closed": ["2026-11-27", "2026-12-24", "2026-12-31"]},
    {**_PLAIN, "holidays": [{"country": "GB", "subdivision": "SCT"}]},
    {**_PLAIN, "on": {"2026-11-03": ["09:00-11:00"], "2026-12-24": ["12:00-16:00"]}},
    {**_PLAIN, "half_days_until": "15:00", "weekend": "policy"},
    {"mon": ["09:00-17:00"], "fri": ["09:00-12:00"], "sat": ["09:00-12:00"]},
]
_GUARDS: Final[list[Raw]] = [
    {"kind": "contact_window", **{d: ["10:00-16:00"] for d in WEEKDAYS[:4]}},
    {"kind": "frequency_cap", "attempts": 2, "days": 7},
    {"kind": "frequency_cap", "attempts": 1, "hours": 24, "per": "address"},
    {"kind": "cool_down", "after": "conversation", "lasts": {"business_days": 5}},
    {"kind": "cool_down", "after": "contact", "lasts": {"hours": 48}},
    {"kind": "holiday_ban"},
    {"kind": "holiday_ban", "id": "german", "country": "DE", "subdivision": "BY"},
    {"kind": "pause", "first_day": "2026-12-21", "last_day": "2027-01-03"},
]
# What a team may declare: a text and a call by another way, and a place that is read now and then.
_DECLARED: Final[Raw] = {
    "whatsapp": {"address": "phone"},
    "voice_note": {"address": "phone", "spoken": True},
    "portal": {"address": "handle", "answer_business_days": 5},
}
_BAD_GUARDS: Final[list[Raw]] = [
    {"kind": "contact_window", "id": "never"},
    {"kind": "contact_window", "id": "sundays", "sun": ["10:00-12:00"]},
    {"kind": "contact_window", "id": "early", "mon": ["05:00-08:30"], "channels": ["email"]},
    {"kind": "frequency_cap", "id": "too_long", "attempts": 1, "days": 60},
    {"kind": "pause", "id": "summer", "first_day": "2026-12-01", "last_day": "2027-01-31"},
    {"kind": "cool_down", "id": "quarter", "after": "contact", "lasts": {"business_days": 60}},
]


def to_toml(value: Any, *, top: bool = True) -> str:
    """A policy as the file that it would be.

    Args:
        value: tables, lists, texts, numbers and truth values.
        top: write a table's keys one a line.
    """
    if isinstance(value, Mapping):
        rows = [f"{key} = {to_toml(inner, top=False)}" for key, inner in value.items()]
        return "\n".join(rows) + "\n" if top else "{ " + ", ".join(rows) + " }"
    if isinstance(value, list | tuple):
        if value and all(isinstance(inner, Mapping) for inner in value):
            return "[\n" + "".join(f"  {to_toml(inner, top=False)},\n" for inner in value) + "]"
        return "[" + ", ".join(to_toml(inner, top=False) for inner in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _some(draw: st.DrawFn, odds: int) -> bool:
    """True about once in ``odds``; false when it shrinks."""
    return draw(st.integers(0, odds - 1)) == odds - 1


def _parts(draw: st.DrawFn, script: str) -> list[Raw]:
    channels = draw(
        st.sampled_from(
            [["call"], ["email"], ["call", "email"], ["email", "call"], ["sms", "mail"], _CHANNELS]
        )
    )
    parts: list[Raw] = [{"channels": channels, "script": script}]
    if _some(draw, 6):
        parts.append({"channels": ["email", "sms"], "script": script})
    return parts


class _Draft:
    """A sound plan in the making: gaps only grow, and six spaced touches are the most."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.steps: list[Raw] = []
        self.days = draw(st.integers(1, 4))
        self.left = 6

    def add(self, id: str, stage: str, script: str, **keys: Any) -> None:  # noqa: A002
        self.steps.append({"id": id, "stage": stage, **keys, "parts": _parts(self.draw, script)})

    def opening(self) -> None:
        """The appointment's own steps, or some of them."""
        draw = self.draw
        if draw(st.booleans()):
            self.add("on_time", "on_time", "on_time", at="appointment")
            if draw(st.booleans()):
                within = {"minutes": draw(st.sampled_from([1, 15, 120]))}
                exact = {"after": {"minutes": 10}, "within": within}
                self.add("ten_minutes", "ten_minutes", "ten_minutes", **exact)
            if draw(st.booleans()):
                hours = draw(st.integers(1, 8))
                self.add("half_day", "half_day", "half_day", after={"hours": hours})

    def spaced(self, number: int) -> None:
        """A step of spaced touches, in one of the forms that a file may give them."""
        draw = self.draw
        times = draw(st.integers(1, self.left))
        self.left -= times
        self.days += draw(st.sampled_from([0, 0, 1, 3]))
        first = self.days
        after: Raw = {"business_days": first}
        form = draw(st.sampled_from(["one", "one", "list", "growth"]))
        keys: Raw = {"times": times}
        if form == "list":
            more = draw(st.lists(st.integers(0, 3), min_size=times - 1, max_size=times - 1))
            values = [first]
            for days in more:
                values.append(values[-1] + days)
            after, keys = {"business_days": values}, {}
            self.days = values[-1]
        elif form == "growth":
            most = first + draw(st.integers(0, 6))
            after = {"business_days": first, "growth": draw(st.sampled_from([1.0, 1.5, 2.0]))}
            after["at_most_business_days"] = self.days = most
        if _some(draw, 6):
            keys["rotate"] = {"times": ["09:30", "15:00"], "days": []}
        if _some(draw, 8):
            self.days += 2
            keys["answer_within"] = {"business_days": self.days}
            after = {"business_days": self.days}
            keys["times"] = times
        self.add(f"spaced_{number}", "spaced", "spaced", after=after, **keys)
        if _some(draw, 6):
            added = self.steps[-1]
            added["rotation"] = [added.pop("parts"), _parts(draw, "spaced")]

    def concern(self) -> None:
        """The concern message, with what it requires."""
        self.days += self.draw(st.integers(0, 2))
        requires = {"attempts": 5, "days": 21}
        after = {"business_days": self.days}
        self.add("concern", "concern", "concern", after=after, requires=requires)

    def nurture(self) -> None:
        """Letters, further apart than anything before."""
        draw = self.draw
        self.days += draw(st.sampled_from([0, 2, 5]))
        keys: Raw = {"times": draw(st.integers(1, 3))}
        if _some(draw, 4):
            keys["requires"] = {"guidelines": True}
        self.add("nurture", "nurture", "nurture", after={"business_days": self.days}, **keys)

    def polite_exit(self) -> None:
        """The last step."""
        answer = {"business_days": self.draw(st.integers(1, 5))}
        after = {"business_days": self.days + self.draw(st.sampled_from([0, 0, 1, 5]))}
        self.add("polite_exit", "polite_exit", "polite_exit", after=after, answer_within=answer)


def _sound(draw: st.DrawFn, guarded: bool) -> Raw:
    draft = _Draft(draw)
    draft.opening()
    for number in range(draw(st.sampled_from([1, 1, 2, 3]))):
        if draft.left:
            draft.spaced(number)
    if _some(draw, 3):
        draft.concern()
    if _some(draw, 3):
        draft.nurture()
    draft.polite_exit()
    raw: Raw = {
        "id": "random",
        "version": 1,
        "title": "Made at random",
        "source": "cadence.testing",
        "horizon_business_days": draw(st.sampled_from([90, 60, 45, 20, 10])),
        "task_business_days": 2,
        "calendar": draw(st.sampled_from(_CALENDARS)),
        "steps": draft.steps,
    }
    if _some(draw, 5):
        _declare(draw, raw)
    if _some(draw, 5):
        raw["limits"] = {"attempts": draw(st.integers(2, 9))}
    if _some(draw, 6):
        raw["limits"] = {"spaced_calls": draw(st.integers(0, 5))}
    if guarded or _some(draw, 4):
        least = int(guarded)
        some = st.lists(st.sampled_from(range(len(_GUARDS))), min_size=least, max_size=3)
        chosen = draw(some)
        guards = {_GUARDS[at].get("id", _GUARDS[at]["kind"]): _GUARDS[at] for at in chosen}
        raw["guards"] = list(guards.values())
    return raw


def _declare(draw: st.DrawFn, raw: Raw) -> None:
    """Declare some channels, and use them before others or in their place."""
    some = st.lists(st.sampled_from(sorted(_DECLARED)), min_size=1, unique=True)
    names = draw(some)
    raw["channels"] = {name: _DECLARED[name] for name in names}
    for step in raw["steps"]:
        for part in step.get("parts", ()):  # one that rotates has none
            if _some(draw, 2):
                left = part["channels"] if draw(st.booleans()) else []
                part["channels"] = [draw(st.sampled_from(names)), *left]


# Faults -------------------------------------------------------------------------------------------


def _one_of(draw: st.DrawFn, raw: Raw, *stages: str) -> Raw:
    """One of the steps of some stages; where there is none, an invalid step."""
    found = [step for step in raw["steps"] if not stages or step["stage"] in stages]
    return draw(st.sampled_from(found)) if found else {"stage": "spaced", "after": {}}


def _wrong_gap(draw: st.DrawFn, raw: Raw) -> None:
    step = _one_of(draw, raw, "half_day", "spaced", "concern", "nurture", "polite_exit")
    unit, most = draw(st.sampled_from([("business_days", 12), ("hours", 72), ("minutes", 90)]))
    step["after"] = {unit: draw(st.integers(1, most))}
    if unit == "business_days":
        step.pop("within", None)
    else:
        step.pop("rotate", None)


def _wrong_times(draw: st.DrawFn, raw: Raw) -> None:
    step = _one_of(draw, raw, "spaced", "nurture")
    step["times"] = draw(st.integers(5, 13))
    if isinstance(step["after"].get("business_days"), list):
        step["after"] = {"business_days": step["after"]["business_days"][0]}


def _wrong_order(draw: st.DrawFn, raw: Raw) -> None:
    steps = raw["steps"]
    first, second = (draw(st.integers(0, len(steps) - 1)) for _ in range(2))
    steps[first], steps[second] = steps[second], steps[first]


def _twice(draw: st.DrawFn, raw: Raw) -> None:
    steps = raw["steps"]
    step = draw(st.sampled_from(steps))
    if not any(other["id"] == f"{step['id']}_again" for other in steps):
        steps.insert(draw(st.integers(0, len(steps))), {**step, "id": f"{step['id']}_again"})


def _dropped(draw: st.DrawFn, raw: Raw) -> None:
    if len(raw["steps"]) > 1:
        raw["steps"].pop(draw(st.integers(0, len(raw["steps"]) - 1)))


def _another_stage(draw: st.DrawFn, raw: Raw) -> None:
    step = _one_of(draw, raw, "spaced", "nurture")
    step["stage"] = draw(st.sampled_from(["nurture", "spaced"]))


def _too_eager(draw: st.DrawFn, raw: Raw) -> None:
    step = _one_of(draw, raw)
    for key in ("requires", "answer_within"):
        step.pop(key, None)


def _wrong_answer(draw: st.DrawFn, raw: Raw) -> None:
    step = _one_of(draw, raw, "half_day", "spaced", "concern", "nurture", "polite_exit")
    unit, most = draw(st.sampled_from([("hours", 72), ("business_days", 15)]))
    step["answer_within"] = {unit: draw(st.integers(1, most))}


def _wrong_guard(draw: st.DrawFn, raw: Raw) -> None:
    guards = [*raw.get("guards", []), draw(st.sampled_from(_BAD_GUARDS))]
    raw["guards"] = list({one.get("id", one["kind"]): one for one in guards}.values())


def _few_channels(draw: st.DrawFn, raw: Raw) -> None:
    few = draw(st.lists(st.sampled_from(_CHANNELS), min_size=1, max_size=2, unique=True))
    if isinstance(raw.get("channels"), dict):  # beside those that it declares
        raw["channels"] |= {one: {"used": False} for one in _CHANNELS if one not in few}
    else:
        raw["channels"] = few


def _concern_out_of_place(draw: st.DrawFn, raw: Raw) -> None:
    days = draw(st.integers(1, 10))
    step: Raw = {"id": "worry", "stage": "concern", "after": {"business_days": days}}
    if _some(draw, 2):
        step["requires"] = {"attempts": draw(st.integers(0, 5)), "days": draw(st.integers(0, 21))}
    step["parts"] = _parts(draw, "concern")
    raw["steps"].insert(draw(st.integers(0, len(raw["steps"]))), step)


_FAULTS: Final[list[Callable[[st.DrawFn, Raw], None]]] = [
    _wrong_gap,
    _wrong_gap,
    _wrong_times,
    _wrong_times,
    _wrong_order,
    _twice,
    _dropped,
    _another_stage,
    _too_eager,
    _wrong_answer,
    _wrong_guard,
    _few_channels,
    _concern_out_of_place,
]


@st.composite
def policy_texts(draw: st.DrawFn, *, faults: int = 3, guarded: bool = False) -> str:
    """Policy files at random.

    Args:
        draw: given by Hypothesis.
        faults: how many faults there may be; with 0 most are proved. A few are refused when they
            are read; :func:`policies` leaves those out.
        guarded: each has a guard at least.
    """
    raw = _sound(draw, guarded)
    for _ in range(draw(st.integers(0, faults))):
        draw(st.sampled_from(_FAULTS))(draw, raw)
    return to_toml(raw)


@st.composite
def policies(
    draw: st.DrawFn, *, faults: int = 3, guarded: bool = False, proved: bool = False
) -> Policy:
    """Policies at random, sound and unsound.

    Args:
        draw: given by Hypothesis.
        faults: how many faults there may be.
        guarded: each has a guard at least.
        proved: only those that the prover proves.
    """
    text = draw(policy_texts(faults=faults, guarded=guarded))
    note(text)  # a failing example is told as the file that it is
    try:
        policy = parse_text(text, "random.toml")
    except PolicyError:
        assume(False)
        raise
    if proved:
        assume(prove(policy).proved)
    return policy
