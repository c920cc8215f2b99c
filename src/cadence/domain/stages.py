"""Define the stages of a prospect, and how one leads to another.

    new → scheduled → on_time → ten_minutes → half_day → spaced (≤ 6) → concern → nurture
        → polite_exit → closed

and beside that line ``engaged`` (a response ended the silence), ``won``, ``lost``, ``opted_out``
and ``merged`` (another record of the person goes on).

The art of following up is old, and the stages are its steps in order. You call exactly when you
said you would (``on_time``). You call again exactly ten minutes later, because they may be on
their way to the phone (``ten_minutes``), and after half a day, because something came up
(``half_day``). Then you call a few times with business days between (``spaced``). You ask once,
late, whether they are all right (``concern``). You stay in touch with growing gaps (``nurture``).
You leave them a polite way out (``polite_exit``) before the follow-up is ``closed``.

Outreach only ever moves forward: a prospect who was asked whether they are all right must not be
called ten minutes later. A policy may skip stages; none may go back. Only the prospect can turn
the line around, by a response.

How an event becomes a *signal*: the machine does not look at data. ``domain/fold.py`` turns each
event into one signal. An attempt at stage ``spaced`` is ``attempt_spaced``, and a conversation is
``response``. A note is ``noted``, which moves no stage, so the fold skips it. This module says
what each signal does.

What a cell of the table says:

* **go**: the stage changes.
* **stay**: the signal is in order and leaves the stage as it is.
* **refuse**: we may not do that here. ``engine/commands.py`` refuses the command before any event
  exists. A *fact* that says it happened all the same is recorded, and folding it leaves the stage
  as it is: folding never fails.

``transitions`` holds the one definition (:data:`DEFINITION`, given to one shared ``Machine`` in
:func:`machine`). One of its triggers takes some 35 times as long as a look-up. So the fold uses
:data:`TABLE`, compiled from that machine at import; a test drives every cell through both.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, TypedDict

import msgspec
from transitions import Machine

__all__ = [
    "DEFINITION",
    "ENDED",
    "OUTREACH",
    "OVER",
    "TABLE",
    "Cell",
    "Move",
    "Row",
    "Signal",
    "Stage",
    "follow",
    "look_up",
    "machine",
    "rank",
]


class Stage(StrEnum):
    """Where the prospect stands. The order here is the order in which outreach moves forward."""

    NEW = "new"
    SCHEDULED = "scheduled"
    ON_TIME = "on_time"
    TEN_MINUTES = "ten_minutes"
    HALF_DAY = "half_day"
    SPACED = "spaced"
    CONCERN = "concern"
    NURTURE = "nurture"
    POLITE_EXIT = "polite_exit"
    CLOSED = "closed"
    ENGAGED = "engaged"
    WON = "won"
    LOST = "lost"
    OPTED_OUT = "opted_out"
    MERGED = "merged"


class Signal(StrEnum):
    """What an event means to the stage machine."""

    ATTEMPT_ON_TIME = "attempt_on_time"
    ATTEMPT_TEN_MINUTES = "attempt_ten_minutes"
    ATTEMPT_HALF_DAY = "attempt_half_day"
    ATTEMPT_SPACED = "attempt_spaced"
    ATTEMPT_CONCERN = "attempt_concern"
    ATTEMPT_NURTURE = "attempt_nurture"
    ATTEMPT_POLITE_EXIT = "attempt_polite_exit"
    ATTEMPT_EXTRA = "attempt_extra"
    RESPONSE = "response"
    RESPONSE_BEFORE_APPOINTMENT = "response_before_appointment"
    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"
    OPT_IN_WON = "opt_in_won"
    OPT_IN_LOST = "opt_in_lost"
    APPOINTED = "appointed"
    CANCELLED = "cancelled"
    CANCELLED_BEFORE_RESPONSE = "cancelled_before_response"
    END_WON = "end_won"
    END_LOST = "end_lost"
    END_CLOSED = "end_closed"
    END_MERGED = "end_merged"
    REOPENED = "reopened"
    NOTED = "noted"


class Move(StrEnum):
    """Whether a signal changes the stage, leaves it, or is refused."""

    GO = "go"
    STAY = "stay"
    REFUSE = "refuse"


class Cell(msgspec.Struct, frozen=True):
    """What one signal does at one stage: the move, and the stage after it."""

    move: Move
    stage: Stage


OUTREACH: Final = (
    Stage.ON_TIME,
    Stage.TEN_MINUTES,
    Stage.HALF_DAY,
    Stage.SPACED,
    Stage.CONCERN,
    Stage.NURTURE,
    Stage.POLITE_EXIT,
)
"""The stages of our own attempts, in their order."""

ENDED: Final = (Stage.CLOSED, Stage.WON, Stage.LOST)
"""The stages of a follow-up that has ended, and can be reopened."""

OVER: Final = frozenset({*ENDED, Stage.OPTED_OUT, Stage.MERGED})
"""The stages at which nothing is next."""

_ALL: Final = tuple(Stage)
_RANK: Final = {stage: position for position, stage in enumerate(Stage)}

# Stages of several touches: another attempt there is in order. Every other outreach stage is one
# touch. The polite exit repeats because an undelivered one goes to the next channel; the
# invariants, not the machine, know whether it was delivered.
_REPEATED: Final = (Stage.SPACED, Stage.NURTURE, Stage.POLITE_EXIT)

# An appointment's own steps need an appointment, so they can't be where outreach starts.
_NEEDS_APPOINTMENT: Final = (Stage.ON_TIME, Stage.TEN_MINUTES, Stage.HALF_DAY)


def rank(stage: Stage) -> int:
    """Return the position of ``stage`` in the forward order; compare outreach stages only."""
    return _RANK[stage]


class Row(TypedDict):
    """A row of :data:`DEFINITION`, in the words of ``transitions``; ``dest=None`` stays."""

    trigger: str
    source: Sequence[Stage]
    dest: Stage | None


def _outreach() -> list[Row]:
    """Make the rows of our own attempts: forward from each stage, never back."""
    rows: list[Row] = []
    for goal in OUTREACH:
        trigger = f"attempt_{goal}"
        # From an appointment on, every stage lies ahead: a step without a channel is skipped.
        sources = [Stage.SCHEDULED, *(s for s in OUTREACH if _RANK[s] < _RANK[goal])]
        # Without one, an owner's own unanswered attempt is the first spaced call.
        if goal not in _NEEDS_APPOINTMENT:
            sources += [Stage.NEW, Stage.ENGAGED]
        rows.append({"trigger": trigger, "source": sources, "dest": goal})
        if goal in _REPEATED:
            rows.append({"trigger": trigger, "source": [goal], "dest": None})
    return rows


def _others(*excluded: Stage) -> list[Stage]:
    return [stage for stage in _ALL if stage not in excluded]


_BEYOND_RESPONSE: Final = (Stage.OPTED_OUT, Stage.WON, Stage.LOST, Stage.MERGED)


def _opt_ins() -> list[Row]:
    """Make the rows of opt-ins: back to where the follow-up stood before the opt-out.

    The three triggers say where it had ended, which the fold knows and the machine does not.
    """
    rows: list[Row] = []
    for trigger, end in (
        ("opt_in", Stage.ENGAGED),
        ("opt_in_won", Stage.WON),
        ("opt_in_lost", Stage.LOST),
    ):
        fresh = _others(Stage.ENGAGED, *_BEYOND_RESPONSE)
        rows += [
            {"trigger": trigger, "source": [Stage.OPTED_OUT], "dest": end},
            {"trigger": trigger, "source": fresh, "dest": Stage.ENGAGED},
            {
                "trigger": trigger,
                "source": [Stage.ENGAGED, Stage.WON, Stage.LOST, Stage.MERGED],
                "dest": None,
            },
        ]
    return rows


def _ends() -> list[Row]:
    """Make the rows of ends: the first of won and lost counts; later ones change nothing."""
    rows: list[Row] = []
    for trigger, end in (
        ("end_won", Stage.WON),
        ("end_lost", Stage.LOST),
        ("end_closed", Stage.CLOSED),
    ):
        done = [*_BEYOND_RESPONSE, *([Stage.CLOSED] if end is Stage.CLOSED else [])]
        rows += [
            {"trigger": trigger, "source": _others(*done), "dest": end},
            {"trigger": trigger, "source": done, "dest": None},
        ]
    return rows


DEFINITION: Final[list[Row]] = [
    # Our own outreach.
    *_outreach(),
    # An extra counts in attempts, caps and gaps, but moves no stage. After an opt-out there is
    # nothing that we may do.
    {"trigger": "attempt_extra", "source": _others(Stage.OPTED_OUT), "dest": None},
    # A response ends the silence, from anywhere, also where the follow-up was closed: they came
    # back. After won, lost or an opt-out the response is kept and gives the owner a task instead.
    {
        "trigger": "response",
        "source": _others(Stage.ENGAGED, *_BEYOND_RESPONSE),
        "dest": Stage.ENGAGED,
    },
    {"trigger": "response", "source": [Stage.ENGAGED, *_BEYOND_RESPONSE], "dest": None},
    # "See you on Tuesday, then" does not call Tuesday off.
    {
        "trigger": "response_before_appointment",
        "source": _others(Stage.SCHEDULED, *_BEYOND_RESPONSE),
        "dest": Stage.SCHEDULED,
    },
    {
        "trigger": "response_before_appointment",
        "source": [Stage.SCHEDULED, *_BEYOND_RESPONSE],
        "dest": None,
    },
    # An opt-out holds from anywhere, at once. Only the prospect can take it back.
    {
        "trigger": "opt_out",
        "source": _others(Stage.OPTED_OUT, Stage.MERGED),
        "dest": Stage.OPTED_OUT,
    },
    {"trigger": "opt_out", "source": [Stage.OPTED_OUT, Stage.MERGED], "dest": None},
    *_opt_ins(),
    # An appointment needs a prospect who agreed to it, so none can be made during a silence.
    {"trigger": "appointed", "source": [Stage.NEW, Stage.ENGAGED], "dest": Stage.SCHEDULED},
    {"trigger": "appointed", "source": [Stage.SCHEDULED], "dest": None},
    {"trigger": "cancelled", "source": [Stage.SCHEDULED], "dest": Stage.ENGAGED},
    {"trigger": "cancelled_before_response", "source": [Stage.SCHEDULED], "dest": Stage.NEW},
    # That a follow-up may be closed for silence only after a polite exit is an invariant, and no
    # business of the machine: an owner who closed it anyway has closed it, and outreach ends.
    *_ends(),
    # From a merge on, what is recorded for it counts in the record that goes on; only to take the
    # merge back leads out of here.
    {"trigger": "end_merged", "source": _others(Stage.MERGED), "dest": Stage.MERGED},
    {"trigger": "end_merged", "source": [Stage.MERGED], "dest": None},
    # A reopened follow-up gives its owner a task; the policy proposes nothing at `engaged`.
    {"trigger": "reopened", "source": list(ENDED), "dest": Stage.ENGAGED},
    # Everything that changes no stage anywhere.
    {"trigger": "noted", "source": list(_ALL), "dest": None},
]
"""The stage machine, in the words of ``transitions``: ``dest=None`` stays, no row refuses."""


def machine(model: object | None = None) -> Machine:
    """Build the ``transitions.Machine`` of :data:`DEFINITION`; one is shared by all prospects.

    Args:
        model: an object to bind to it, for tests and drawings; the fold binds none.
    """
    return Machine(
        model=model,
        states=[stage.value for stage in Stage],
        transitions=[
            {
                "trigger": row["trigger"],
                # transitions would take an enum's member name; the value is the stage's name.
                "source": [stage.value for stage in row["source"]],
                "dest": None if row["dest"] is None else row["dest"].value,
            }
            for row in DEFINITION
        ],
        initial=Stage.NEW.value,
        auto_transitions=False,
    )


def _compile(source: Machine) -> dict[tuple[Stage, Signal], Cell]:
    table: dict[tuple[Stage, Signal], Cell] = {}
    for stage in Stage:
        for signal in Signal:
            rows = source.events[signal.value].transitions.get(stage.value, [])
            if not rows:
                table[stage, signal] = Cell(Move.REFUSE, stage)
                continue
            (row,) = rows  # a second row for the same cell is a mistake in DEFINITION
            if row.dest is None:
                table[stage, signal] = Cell(Move.STAY, stage)
            else:
                table[stage, signal] = Cell(Move.GO, Stage(row.dest))
    return table


TABLE: Final = _compile(machine())
"""The cell of every pair of stage and signal."""

_NEXT: Final = {key: cell.stage for key, cell in TABLE.items()}


def look_up(stage: Stage, signal: Signal) -> Cell:
    """Return what ``signal`` does at ``stage``: go, stay or refuse, and the stage after it."""
    return TABLE[stage, signal]


def follow(stage: Stage, signal: Signal) -> Stage:
    """Return the stage after ``signal``; a refused signal leaves the stage as it is."""
    return _NEXT[stage, signal]
