"""How long a proof takes: each policy of the catalogue, and the curve from 10 to 200 steps.

The curve is of a plan of nurture touches that take turns on three channels, or on eight of which
five are declared, so that any of them may be skipped. A linear prover takes the same time a step at
200 steps as at 50.
"""

from __future__ import annotations

from time import perf_counter
from typing import Final

from measure import Figure, Plan, figure

from cadence.policy import Policy, builtin, builtin_names
from cadence.policy.loader import parse_text
from cadence.prover import prove

__all__ = ["NAME", "run"]

NAME = "proving"

_STEPS: Final = (10, 25, 50, 100, 200)
_HEAD: Final = """
id = "long"
version = 1
title = "A long plan"
source = "bench/proving.py"
horizon_business_days = 1000
task_business_days = 2
calendar = { mon = ["09:00-17:00"], tue = ["09:00-17:00"], wed = ["09:00-17:00"] }
"""
_STEP: Final = """
[[steps]]
id = "{id}"
stage = "{stage}"
after = {{ business_days = 3 }}
parts = [{{ channels = ["{channel}"], script = "nurture" }}]
"""


_THREE: Final = ("call", "email", "sms")
_DECLARED: Final = tuple(f"messenger_{n}" for n in range(1, 6))


def long_plan(steps: int, channels: tuple[str, ...] = _THREE) -> Policy:
    """A policy of so many steps before its exit."""
    declared = [one for one in channels if one in _DECLARED]
    text = _HEAD + "".join(f'[channels.{one}]\naddress = "handle"\n' for one in declared)
    text += "".join(
        _STEP.format(id=f"n{n}", stage="nurture", channel=channels[n % len(channels)])
        for n in range(steps)
    )
    leave = _STEP.format(id="polite_exit", stage="polite_exit", channel="email")
    return parse_text(f"{text}{leave}answer_within = {{ business_days = 2 }}\n", "long.toml")


def _seconds(policy: Policy) -> float:
    start = perf_counter()
    assert prove(policy).proved
    return perf_counter() - start


def run(plan: Plan) -> list[Figure]:
    repetitions = max(5, min(plan.repetitions, 9))
    policies = {name: builtin(name) for name in builtin_names()}
    plans = {steps: long_plan(steps) for steps in _STEPS}
    catalogue: dict[str, list[float]] = {name: [] for name in policies}
    curve: dict[int, list[float]] = {steps: [] for steps in plans}
    eight = {steps: long_plan(steps, (*_THREE, *_DECLARED)) for steps in _STEPS}
    wide: dict[int, list[float]] = {steps: [] for steps in eight}
    for policy in policies.values():
        _seconds(policy)  # calendars and zones warm
    for _ in range(repetitions):
        for name, policy in policies.items():
            catalogue[name].append(_seconds(policy))
        for steps, long in plans.items():
            curve[steps].append(_seconds(long))
            wide[steps].append(_seconds(eight[steps]))
    figures = [
        figure(NAME, f"prove {name}", "s", seen, target=1, better="less")
        for name, seen in catalogue.items()
    ]
    figures += [
        figure(NAME, f"prove {steps} steps", "s", seen, better="less")
        for steps, seen in curve.items()
    ]
    figures += [
        figure(NAME, f"prove {steps} steps on eight channels", "s", seen, better="less")
        for steps, seen in wide.items()
    ]
    for title, found in (("", curve), (", eight channels", wide)):
        a_step = [
            (long / 200) / (short / 50) for long, short in zip(found[200], found[50], strict=True)
        ]
        name = f"a step of 200 : a step of 50{title}"
        figures.append(figure(NAME, name, "x", a_step, better="less"))
    return figures
