"""Make what a notebook shows of a decision, a policy and a history.

A cell is a part of another page: it takes its font and colours, and its style names its own
elements alone.
"""

from __future__ import annotations

from datetime import datetime
from functools import singledispatch

from cadence.domain.events import type_name
from cadence.engine.decision import Close, Due, Stop, Task, Wait
from cadence.policy.model import Policy
from cadence.prover.timetable import timetable
from cadence.replay.formatting import clock, due_time, next_action, summary
from cadence.replay.steps import History
from cadence.reports.html import render_part

__all__ = ["cell"]

_LONGEST = 80  # characters of a value


@singledispatch
def cell(value: object) -> str:
    """Return the HTML of a decision, a policy or a history.

    Raises:
        TypeError: it is something else.
    """
    raise TypeError(f"{type(value).__name__} has no cell")


@cell.register
def _(decision: Due | Wait | Task | Close | Stop) -> str:
    return render_part(
        "cell_decision.html", decision=decision, action=next_action(decision), utc=_utc
    )


@cell.register
def _(policy: Policy) -> str:
    return render_part("cell_policy.html", policy=policy, entries=list(timetable(policy)))


@cell.register
def _(history: History) -> str:
    return render_part(
        "cell_history.html",
        history=history,
        clock=clock,
        due_time=due_time,
        next_action=next_action,
        type_name=type_name,
        summary=lambda event: summary(event, _LONGEST),
    )


def _utc(instant: datetime) -> str:
    """Return an instant: a decision knows no zone of the prospect."""
    return f"{instant:%a %Y-%m-%d %H:%M} UTC"
