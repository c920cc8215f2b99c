"""Make the page of a replay: its timeline, a panel to step through, and a table of every step.

The timeline and the table are drawn here; a short script in the page does the stepping.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from cadence.domain.events import AttemptMade, type_name
from cadence.domain.plurals import plural
from cadence.domain.team import NO_TEAM, Team
from cadence.errors import InputError
from cadence.policy.registry import PolicyRegistry
from cadence.replay.formatting import (
    breach_line,
    clock,
    due_time,
    measure_line,
    next_action,
    overdue_lines,
    punctuality_line,
    summary,
    taken_back_line,
    unrecorded_lines,
)
from cadence.replay.steps import AnnotatedStep, OverdueKind, to_builtins
from cadence.reports.html import page_file, render, script_data
from cadence.reports.timeline import MarkKind, RingKind, Timeline, timeline
from cadence.worktime.holidays import holidays_version
from cadence.worktime.zones import zones_version

__all__ = ["replay_page"]

_TOP: Final = 26  # pixels, for the dates above the lanes
_LANE: Final = 32  # pixels
_EVERY_REASON: Final = 1000  # steps up to which the table gives every reason
# Of the round signs, in pixels.
_RADIUS: Final = {
    f"m-{MarkKind.ATTEMPT}": 5.5,
    f"m-{MarkKind.BROKE}": 5.5,
    f"m-{MarkKind.FACT}": 3.5,
    f"m-{MarkKind.TAKEN_BACK}": 4.5,
    f"r-{RingKind.MADE}": 8.5,
    f"r-{RingKind.UNDONE}": 8.5,
    f"r-{RingKind.OVERTAKEN}": 6.5,
    f"r-{RingKind.NEXT}": 8.5,
}
_KINDS: Final = {
    "broke": "broke",
    "taken-back": "since then:",
    "undone": "not done:",
    "late": "when:",
    "gap": "gap:",
    "unknown": "not yet recorded:",
}
_ANOTHERS: Final = "anothers"
_LEGEND: Final = (
    ("stay", "stood at this stage"),
    (f"m-{MarkKind.ATTEMPT}", "attempt"),
    (f"m-{MarkKind.BROKE}", "attempt that broke a rule"),
    (f"m-{MarkKind.RESPONSE}", "they responded"),
    (f"m-{MarkKind.END}", "end or opt-out"),
    (f"m-{MarkKind.FACT}", "other fact"),
    (f"m-{MarkKind.TAKEN_BACK}", "retracted or corrected since"),
    (_ANOTHERS, "hollow: of another record or a list"),
    (f"r-{RingKind.MADE}", "touch due, and made"),
    (f"r-{RingKind.UNDONE}", "touch due, not done"),
    (f"r-{RingKind.OVERTAKEN}", "touch planned, overtaken by events"),
    (f"r-{RingKind.NEXT}", "touch due next"),
    ("late", "due until done"),
    ("early", "done before due"),
    ("learnt", "occurred until recorded"),
    ("shade hours", "closed hours"),
    ("shade holiday", "public holiday or closed day"),
    ("shade suspended", "suspended"),
)


def replay_page(
    steps: Sequence[AnnotatedStep], policies: PolicyRegistry, team: Team = NO_TEAM
) -> str:
    """Return the page.

    Args:
        steps: of one prospect's replay.
        policies: those that it was replayed with.
        team: who speaks in what was to be said.

    Raises:
        InputError: there are no steps.
    """
    if not steps:
        raise InputError("nothing had been recorded by then", "give a later version or instant")
    steps = list(steps)
    last = steps[-1]
    prospect = last.prospect
    drawn = timeline(steps, policies)
    depth = _LANE * (len(drawn.lanes) + 1)
    shown = [
        _shown(step, number, x, policies, team)
        for number, (step, x) in enumerate(zip(steps, drawn.cursors, strict=True))
    ]
    return render(
        "replay.html",
        css=f"#sheet {{ min-width: {drawn.pixels}px; }}\n",
        js=page_file("replay.js"),
        id=prospect.id,
        name=prospect.identity.name,
        zone=", ".join(prospect.identity.zones),
        facts=_facts(steps),
        description=_description(steps),
        lanes=[stage.value for stage in drawn.lanes],
        timeline=drawn,
        pixels=drawn.pixels,
        top=_TOP,
        depth=depth,
        shade_depth=depth - _LANE,
        height=_TOP + depth,
        gap_y=_TOP + depth - _LANE + 9,
        lane_y=lambda lane: _TOP + _LANE * lane + _LANE // 2,
        radius=_RADIUS,
        legend=_legend(drawn),
        moments=[_row(n, *both) for n, both in enumerate(zip(steps, shown, strict=True))],
        kind_words=_KINDS,
        reasons_in_table=len(steps) <= _EVERY_REASON,
        data=script_data(shown),
        footer=f"Made by cadence from {_events(steps)}, under {holidays_version()} and "
        f"{zones_version()}. The same events make the same page.",
    )


def _shown(
    step: AnnotatedStep, number: int, x: float, policies: PolicyRegistry, team: Team
) -> dict[str, Any]:
    """A step for the script: the JSON of ``replay --json``, and how to say it."""
    event, prospect, seen_at = step.event, step.prospect, step.seen_at
    at = step.decision.at
    return {
        "json": to_builtins(step, policies, team),
        "x": x,
        # Versions are those of this prospect; events of others have the same ones.
        "place": f"m{number + 1}" if step.is_anothers else str(event.version),
        "type": _type(step),
        "anothers": step.is_anothers,
        "before": step.stage_before,
        "changed": step.is_changed,
        "occurred": clock(prospect, event.occurred_at),
        "occurred_utc": _utc(event.occurred_at),
        "recorded": ""
        if event.recorded_at == event.occurred_at
        else clock(prospect, event.recorded_at),
        "seen": clock(prospect, seen_at),
        "summary": summary(event),
        "next": due_time(prospect, step.decision),
        "what": next_action(step.decision),
        "at_utc": "" if at is None else _utc(at),
        "late": punctuality_line(step),
        "undone": list(overdue_lines(step)),
        "gap": measure_line(step),
        "unknown": list(unrecorded_lines(step)),
        "taken_back": taken_back_line(step),
        "broke": breach_line(step),
    }


def _type(step: AnnotatedStep) -> str:
    """What happened, and whose event it is where that is another prospect's or a list's."""
    name = type_name(step.event.data)
    return f"{step.event.prospect}: {name}" if step.is_anothers else name


def _row(number: int, step: AnnotatedStep, shown: dict[str, Any]) -> dict[str, Any]:
    """A step for the table."""
    notes = [("broke", shown["broke"])] if shown["broke"] else []
    notes += [("taken-back", shown["taken_back"])] if shown["taken_back"] else []
    notes += [("undone", line) for line in shown["undone"]]
    notes += [(kind, shown[kind]) for kind in ("late", "gap") if shown[kind]]
    notes += [("unknown", line) for line in shown["unknown"]]
    plain = shown["json"]
    return {
        "number": number,
        "version": "" if step.is_anothers else step.event.version,
        "place": shown["place"],
        "type": shown["type"],
        "is_anothers": step.is_anothers,
        # An event that a later merge brings decides nothing before that.
        "is_silent": bool(step.merged_by) and not step.is_changed,
        "occurred_at": plain["event"]["occurred_at"],
        "stage": step.prospect.stage.value,
        "decision": step.decision.verdict.value,
        "notes": notes,
        "is_taken_back": step.taken_back_by is not None,
        "reasons": [
            {"rule": reason.rule, "because": reason.because}
            for reason in step.decision.reasons
            if reason.code != "data_versions"
        ],
        **{
            name: shown[name]
            for name in ("occurred", "occurred_utc", "recorded", "summary", "next", "what")
        },
    }


def _facts(steps: list[AnnotatedStep]) -> list[tuple[str, str, str]]:
    """What stands at the head of the page: its name, its value, and the class that colours it."""
    last = steps[-1]
    own = [step for step in steps if not step.is_anothers]
    others = len(steps) - len(own)
    prospect, policy = last.prospect, last.decision.policy
    where = ", ".join(prospect.identity.zones)
    country = "-".join(
        part for part in (prospect.identity.country, prospect.identity.subdivision) if part
    )
    # A merged record's are theirs too; what another holder of an address did is not.
    theirs = [step.event.data for step in steps if not step.is_anothers or step.merged_by]
    attempts = [data for data in theirs if isinstance(data, AttemptMade)]
    broke = sum(bool(one.broke) for one in attempts)
    overdue = [item for s in steps for item in s.overdue if item.kind is not OverdueKind.CLOSE]
    skipped = [item for item in overdue if item.kind is OverdueKind.SKIPPED]  # each comes once
    undone = len(skipped) + len({item.key for item in overdue} - {item.key for item in skipped})
    late = sum(m.event.recorded_at != m.event.occurred_at for m in own)
    since, until = (clock(m.prospect, m.event.recorded_at) for m in (own[0], own[-1]))
    plain = [
        ("stage", prospect.stage.value),
        (
            "as seen at",
            f"{clock(prospect, last.seen_at)} ({_utc(last.seen_at)})",
        ),
        ("their clock", f"{where} ({country})" if country else where),
        ("policy", f"{policy.name} version {policy.version}"),
        ("events", f"{len(own)}, {since} to {until}"),
        *([("events of other records and lists", str(others))] if others else []),
        ("attempts", str(len(attempts))),
    ]
    return [
        *((name, value, "") for name, value in plain),
        ("attempts that broke a rule", str(broke), "broke" if broke else ""),
        ("touches and tasks due and not done", str(undone), "undone" if undone else ""),
        ("events recorded later than they occurred", str(late), ""),
    ]


def _description(steps: list[AnnotatedStep]) -> str:
    stages = list(dict.fromkeys(step.prospect.stage.value for step in steps))
    return f"{_events(steps)}; stages {', '.join(stages)}."


def _events(steps: list[AnnotatedStep]) -> str:
    """How many events of theirs are steps, and how many of others."""
    others = sum(step.is_anothers for step in steps)
    more = f", and {others} of other records and lists" if others else ""
    return f"{plural(len(steps) - others, 'event')}{more}"


def _legend(drawn: Timeline) -> list[tuple[str, str]]:
    """What of the picture's signs is in it, and what each means."""
    kinds = {f"m-{mark.kind}" for mark in drawn.marks} | {f"r-{ring.kind}" for ring in drawn.rings}
    kinds |= {f"shade {shadow.kind}" for shadow in drawn.shadows} | {"stay"}
    kinds |= {"early" if line.end < line.x else "late" for line in drawn.late}
    kinds |= {"learnt"} if drawn.learnt else set()
    kinds |= {_ANOTHERS} if any(mark.is_anothers for mark in drawn.marks) else set()
    return [(key, text) for key, text in _LEGEND if key in kinds]


def _utc(instant: datetime) -> str:
    whole = instant.second == instant.microsecond == 0
    return f"{instant.astimezone(UTC):{'%Y-%m-%d %H:%M' if whole else '%Y-%m-%d %H:%M:%S'}} UTC"
