"""A small policy, and the same with guards."""

from __future__ import annotations

from cadence.policy import (
    Policy,
)
from cadence.policy.loader import parse_text

BASE = """
id = "guarded"
version = 1
title = "With a guard"
source = "a test"
horizon_business_days = 60
task_business_days = 2

[calendar]
mon = ["09:00-17:00"]
tue = ["09:00-17:00"]
wed = ["09:00-17:00"]
thu = ["09:00-17:00"]
fri = ["09:00-17:00"]

[[steps]]
id = "on_time"
stage = "on_time"
at = "appointment"
parts = [{ channels = ["call"], script = "on_time" }]

[[steps]]
id = "spaced"
stage = "spaced"
after = { business_days = 1 }
times = 3
parts = [{ channels = ["call", "email"], script = "spaced" }]

[[steps]]
id = "polite_exit"
stage = "polite_exit"
after = { business_days = 1 }
answer_within = { business_days = 2 }
parts = [{ channels = ["email"], script = "polite_exit" }]
"""


def guarded(*guards: str) -> Policy:
    text = BASE + "".join(f"\n[[guards]]\n{guard}\n" for guard in guards)
    return parse_text(text, "guarded.toml", allow_code=True)
