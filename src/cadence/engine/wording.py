"""Sentences of decisions: what a reason and a task say, in English.

Reasons and tasks are data; here they become text, for JSON, a terminal, a page or an error. An
invariant words its own skips, in its row of ``engine/invariants.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from cadence.domain.plurals import plural
from cadence.engine import invariants
from cadence.errors import InputError
from cadence.policy.rules import Rule
from cadence.worktime.hours import WEEKDAYS
from cadence.worktime.zone_calendar import SEARCH_DAYS
from cadence.worktime.zones import zone

__all__ = ["because", "duration", "parts_in", "refusal", "task"]

Facts = Mapping[str, Any]

_MINUTE: Final = timedelta(minutes=1)


# Values -------------------------------------------------------------------------------------------


def duration(delta: timedelta) -> str:
    """Return a duration for a reader, in whole minutes: ``2 d 3 h``, ``15 min``."""
    minutes = -(-delta // _MINUTE)
    days, minutes = divmod(minutes, 24 * 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{n} {unit}" for n, unit in ((days, "d"), (hours, "h"), (minutes, "min")) if n]
    return " ".join(parts) or "0 min"


def _clock(local: Any) -> str:
    """A ``LocalTime`` for a reader: ``Fri 2026-12-04 13:10``."""
    try:
        shown = local.instant.astimezone(zone(local.zone))
    except InputError:  # a history may name any zone
        shown = local.instant
    return f"{WEEKDAYS[shown.weekday()].capitalize()} {shown:%Y-%m-%d %H:%M}"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _not_counting(days_off: tuple[tuple[Any, str], ...]) -> str:
    names = ", ".join(f"{name} ({day})" for day, name in days_off)
    return f", not counting {names}" if names else ""


def _moved(facts: Facts) -> str:
    return f"+{duration(facts['added'])} to {_clock(facts['until'])}"


# Reasons ------------------------------------------------------------------------------------------

_ANCHORS: Final = {
    "attempt": "the attempt of",
    "appointment": "the appointment of",
    "response": "the last response,",
    "lapsed": "the time planned for the touch that lapsed,",
}


def _planned(facts: Facts) -> str:
    return (
        f"{facts['after']} after {_ANCHORS[facts['anchor']]} {_clock(facts['start'])}"
        f"{_not_counting(facts['days_off'])}: {_clock(facts['until'])}"
    )


def _gap(facts: Facts) -> str:
    gap = facts["gap"]
    days, minutes = gap.business_days, gap.minutes
    largest = plural(days, "business day") if days else plural(minutes, "minute")
    return f"gaps never shrink, and the largest so far is {largest}: {_moved(facts)}"


def parts_in(facts: Facts) -> str:
    """Return a limit of rule ``frequency``: ``5 parts in 7 days``."""
    hours = facts["span"] // timedelta(hours=1)
    span = plural(hours, "hour") if hours <= 24 else plural(hours // 24, "day")
    return f"{plural(facts['most'], 'part')} in {span}"


def _frequency(facts: Facts) -> str:
    if "business_days" in facts:
        days = plural(facts["business_days"], "business day")
        return f"at least {days} after the attempt before: {_moved(facts)}"
    others = facts.get("of_others")
    more = "" if others is None else f", {others} of them for other records of the address"
    return f"at most {parts_in(facts)}{more}: {_moved(facts)}"


def _outside_hours(facts: Facts) -> str:
    hours = facts["preferred"]
    what = "business hours" if hours is None else f"the hours they prefer, {hours}"
    names = ", ".join(name for _, name in facts["days_off"])
    closed = f" ({names})" if names else ""
    return f"outside {what}{closed}: {_moved(facts)}"


def _guard_delay(facts: Facts) -> str:
    until = facts["until"]
    said: str = facts["said"]
    return said if until is None else f"{said}: {_moved(facts)}"


def _lapsed(facts: Facts) -> str:
    between = f"{_clock(facts['from'])} and {_clock(facts['until'])[-5:]}"
    why = "it is too late to be exact" if facts["is_late"] else "it is kept from that"
    return f"{facts['step']} was to be made between {between}; {why}"


def _lateness_cost(facts: Facts) -> str:
    steps = facts["steps"]
    touches = plural(len(steps), "touch", "touches")
    return (
        f"lateness cost {touches} ({', '.join(steps)}): they would fall behind the horizon of "
        f"{facts['horizon_business_days']} business days of silence"
    )


def _no_open_time(facts: Facts) -> str:
    sentence = (
        f"{facts['step']} finds no open time within {SEARCH_DAYS} days of {_clock(facts['since'])}"
    )
    if facts["preferred"] is not None:
        sentence += f", within the hours they prefer ({facts['preferred']})"
    if len(facts["zones"]) > 1:
        sentence += f", in every zone they may be in ({', '.join(facts['zones'])})"
    return sentence


def _answer_awaited(facts: Facts) -> str:
    days = facts["business_days"]
    sentence = (
        f"{plural(days, 'business day')} to answer the polite exit of {_clock(facts['exit'])}"
    )
    if facts["given"] is not None:
        sentence += f" (the policy gives {facts['given']}; this is the least)"
    until = facts["until"]
    return f"{sentence} have passed" if until is None else f"{sentence}: until {_clock(until)}"


def _ended(facts: Facts) -> str:
    reason = facts["reason"]
    return f"the follow-up is {facts['stage']}" + ("" if reason is None else f" ({reason})")


def _unknown_channels(names: Sequence[str]) -> str:
    if not names:
        return ""
    are = "is not a channel" if len(names) == 1 else "are not channels"
    return f"; {' and '.join(names)} {are} of the policy"


def _only_unused(facts: Facts) -> str:
    channels = ", ".join(facts["channels"])
    return f"they can be reached by {channels} alone, which the team does not use"


def _weekend(facts: Facts) -> str:
    days = " and ".join(WEEKDAYS[day].capitalize() for day in facts["weekend"])
    return (
        f"the weekend in {facts['country']} is {days}; "
        f"with the weekdays of the policy it would be {_clock(facts['otherwise'])}"
    )


def _region_missing(facts: Facts) -> str:
    otherwise, most = facts["otherwise"], 2
    named = [f"in {_shortened(regions)} it would be {_clock(at)}" for regions, at in otherwise]
    more = ["elsewhere another time"] if len(named) > most else []
    return f"the region of {facts['country']} is not known: {'; '.join(named[:most] + more)}"


def _shortened(regions: tuple[str, ...]) -> str:
    """The codes of regions, or of the first of many and how many more."""
    most = 4
    more = f" and {len(regions) - most} more" if len(regions) > most else ""
    return ", ".join(regions[:most]) + more


def _day_skipped(facts: Facts) -> str:
    days = ", ".join(str(day) for day in facts["days"])
    return f"{facts['zone']} had no {days}, so it does not count as a business day"


def _holidays_missing(facts: Facts) -> str:
    years = ", ".join(f"{country} in {year}" for country, year in facts["years"])
    return f"no holiday data for {years}: only weekends are closed"


def _data(facts: Facts) -> str:
    return (
        "same events, policy and now give this decision under "
        f"{facts['holidays']} and {facts['zones']}"
    )


def _unknown_policy(facts: Facts) -> str:
    return (
        f"unknown policy {facts['name']} version {facts['version']} "
        f"(digest {facts['digest'][:12]}…)"
    )


_SETTLED: Final = {
    "declined": "declined",
    "said_no": "said no",
    "deceased": "died",
    "bought": "bought",
    "exit": "got the polite exit",
}


def _stopped_elsewhere(facts: Facts) -> str:
    key, other = facts["key"], facts.get("other")
    if other is None:
        source = facts["source"]
        return f"{key} is suppressed" + (f" ({source})" if source else "")
    settled = facts.get("settled")
    what = "opted out" if settled is None else _SETTLED[settled]
    event = f"event {facts['version']} of {other}"
    may_be = ", who may be the same person," if facts["is_question"] else ""
    return f"{other}{may_be} has {key} too and {what} ({event})"


_BECAUSE: Final[dict[str, Callable[[Facts], str]]] = {
    # When a touch is planned, and what moves it later.
    "at_appointment": lambda f: f"called at the time agreed, {_clock(f['at'])}",
    "after_pause": lambda f: f"they asked for a pause until {_clock(f['until'])}",
    "planned": _planned,
    "suspended_plan": lambda f: f"suspended time does not count: {_moved(f)}",
    "rotated": lambda f: f"another time than the last attempt's: {_clock(f['until'])}",
    "promised": lambda f: f"promised for {_clock(f['until'])} when the policy was adopted",
    "time_to_answer": lambda f: f"{f['given']} to answer {f['step']}: until {_clock(f['until'])}",
    "gap": _gap,
    "frequency": _frequency,
    "parts_left_out": lambda f: (
        f"{f['step']} without {', '.join(f['left_out'])}: "
        f"a touch has at most {plural(f['most'], 'part')}"
    ),
    "suspended_gap": lambda f: f"suspended time does not count towards the gap: {_moved(f)}",
    "suspended_answer": lambda f: (
        f"suspended time does not count towards the time to answer: {_moved(f)}"
    ),
    "required_days": lambda f: (
        f"{plural(f['days'], 'day')} after the first attempt of the silence: "
        f"+{duration(f['added'])}"
    ),
    "replaces": lambda f: f"not before {f['step']}, which it replaces: +{duration(f['added'])}",
    "suspended": lambda f: f"suspended until {_clock(f['until'])}: +{duration(f['added'])}",
    "quiet_hours": lambda f: f"quiet hours, 21:00 to 08:00 local: {_moved(f)}",
    "outside_hours": _outside_hours,
    "guard_delay": _guard_delay,
    "weekend": _weekend,
    "region_missing": _region_missing,
    "day_skipped": _day_skipped,
    "holidays_missing": _holidays_missing,
    "missed_appointment": lambda f: (
        f"the appointment was missed by {duration(f['late'])}; it stays due, and says so"
    ),
    "overdue": lambda f: f"overdue by {duration(f['late'])}; the gaps after it grow with it",
    # Why a touch is skipped.
    "requires_attempts": lambda f: (
        f"it requires {plural(f['required'], 'attempt')}; {f['attempts']} "
        f"{_were(f['attempts'])} made"
    ),
    "requires_guidelines": lambda f: (
        "it requires that they agreed to be followed up, and they have not"
    ),
    "limit_attempts": lambda f: (
        f"{plural(f['attempts'], 'attempt')} {_were(f['attempts'])} made; "
        f"the policy allows {f['limit']}"
    ),
    "limit_spaced_calls": lambda f: (
        f"{plural(f['spaced_calls'], 'spaced call')} {_were(f['spaced_calls'])} made; "
        f"the policy allows {f['limit']}"
    ),
    "opted_out_channels": lambda f: f"they opted out of {', '.join(f['channels'])}",
    "stopped_elsewhere": _stopped_elsewhere,
    "no_point_for_channels": lambda f: f"no contact point is left for {', '.join(f['channels'])}",
    "vetoed": lambda f: f["said"],
    "lapsed": _lapsed,
    "lateness_cost": _lateness_cost,
    # Why there is a task, a close or a stop.
    "unknown_place": lambda f: f["what"],
    "unknown_policy": _unknown_policy,
    "unreadable": lambda f: f["what"],
    "not_tried": lambda f: "no attempt was made yet",
    "no_response_yet": lambda f: "there was no response yet",
    "responded": lambda f: f"a response ended the silence ({f['response']})",
    "said_no": lambda f: "they said no",
    "reopened": lambda f: (
        "the follow-up was reopened; outreach waits for a response, which we can't make up"
    ),
    "responded_after_end": lambda f: f"they responded after the follow-up was {f['stage']}",
    "opted_out": lambda f: "they opted out of everything",
    "ended": _ended,
    "merged": lambda f: f"this record was merged into {f['into']}, which goes on",
    "no_on_time_step": lambda f: "the policy has no on-time step; the owner keeps the appointment",
    "no_value_left": lambda f: (
        f"{f['step']} brings something of value, and "
        + ("every value noted was used" if f["noted"] else "no value is noted")
    ),
    "no_open_time": _no_open_time,
    "guard_failed": lambda f: f"{f['step']} is held: guard {f['guard']} failed: {f['said']}",
    "no_channel_to_begin": lambda f: (
        "no attempt was made in this silence, and no step of the policy has a channel left"
        + _unknown_channels(f.get("unknown", ()))
    ),
    "requirements_to_begin": lambda f: (
        "no attempt was made in this silence, and the policy's requirements are not met"
    ),
    "guards_to_begin": lambda f: (
        "no attempt was made in this silence, and guards veto what could begin it"
    ),
    "only_unused_channels": _only_unused,
    "no_point_left": lambda f: (
        "no contact point is left"
        + (" (each failed, or they opted out of it)" if f["had_some"] else "")
    ),
    "no_exit": lambda f: "the policy has no polite exit, and no follow-up is closed without one",
    "exit_undelivered": lambda f: (
        "the polite exit was sent to every remaining contact point; none was delivered"
    ),
    "exit_unknown": lambda f: "the outcome of the polite exit is not known",
    "exit_vetoed": lambda f: f"it vetoes {f['step']}: {f['said']}",
    "vetoed_exit_left": lambda f: "a vetoed exit is left to the owner",
    "answer_awaited": _answer_awaited,
    "escalate": lambda f: "the deadline has passed: escalate it",
    "data_versions": _data,
}


# The sentences that say themselves which touches are skipped.
_NAMES_ITS_STEPS: Final = frozenset({"lapsed", "lateness_cost"})


def because(rule: str, code: str, steps: tuple[str, ...], facts: Facts) -> str:
    """Return the sentence of a reason.

    Args:
        rule: its rule; an invariant words its own skips, under its id as the code.
        code: which sentence.
        steps: the touches that are skipped, where it is a skip.
        facts: what the sentence is made from.
    """
    pattern = _BECAUSE.get(code)
    if pattern is None:
        row = invariants.find(rule)
        pattern = None if row is None else row.because
    sentence = rule if pattern is None else pattern(facts)
    if not steps or code in _NAMES_ITS_STEPS:
        return sentence
    return f"{', '.join(steps)} skipped: {sentence}"


# Tasks --------------------------------------------------------------------------------------------

_TASKS: Final[dict[str, Callable[[Facts], str]]] = {
    "begin": lambda f: "set an appointment or make the first attempt",
    "begin_again": lambda f: (
        "make an attempt, or record the response that agrees to an appointment"
    ),
    "agree_next_step": lambda f: "agree the next step",
    "follow_referral": lambda f: (
        f"they named {f['name']}: talk to them, and add them with source {f['source']!r}"
    ),
    "ask_whether_welcome": lambda f: "find out whether they want to hear from us",
    "end_or_agree": lambda f: "end it, or agree otherwise",
    "keep_appointment": lambda f: "keep the appointment",
    "answer": lambda f: "they wrote or called: answer, reopen the follow-up, or leave it ended",
    "record_opt_in": lambda f: (
        "they responded: record an opt-in if they gave one, or end the follow-up"
    ),
    "reach_otherwise": lambda f: (
        "reach them another way, add a contact point, or end the follow-up"
    ),
    "meet_requirements": lambda f: "meet the policy's requirements, or end the follow-up",
    "agree_guidelines": lambda f: "agree with them that you follow up and that they may say no",
    "decide_first_attempt": lambda f: "decide on the first attempt yourself, or end the follow-up",
    "find_value": lambda f: (
        f"find something of value for {f['step']} and note it, or end the follow-up"
    ),
    "find_time": lambda f: f"find a time for {f['step']}, or find out more about their hours",
    "find_time_despite_guards": lambda f: f"find a time for {f['step']}: guards never let it pass",
    "fix_guard": lambda f: f"fix the guard {f['guard']}, or decide on {f['step']} yourself",
    "fix_place": lambda f: f"fix {f['what']}",
    "use_newer_version": lambda f: f"needs a newer version of cadence to read event {f['version']}",
    "repair_history": lambda f: (
        f"its history is damaged at event {f['version']}: use a backup of the database"
    ),
    "make_policy_known": lambda f: f"make the policy {f['name']} known, or adopt another",
    "leave_exit": lambda f: "leave them a polite way out, or end the follow-up",
    "leave_exit_yourself": lambda f: "leave them a polite way out yourself, or end the follow-up",
    "leave_exit_otherwise": lambda f: (
        "leave them a polite way out another way, or end the follow-up"
    ),
    "same_person": lambda f: (
        f"say whether {f['other']}, who has {f['key']} too, is the same person (merge or not-same)"
    ),
    "find_address": lambda f: (
        "find an address that may be used, record an opt-in if they gave one, or end the follow-up"
    ),
    "find_out_exit": lambda f: "find out whether the polite exit went out, or end the follow-up",
    "deliver_exit": lambda f: (
        "deliver the polite exit another way, or end the follow-up as unreachable"
    ),
}


def task(kind: str, facts: Facts) -> str:
    """Return the sentence of a task of this kind."""
    return _TASKS[kind](facts)


# Refusals -----------------------------------------------------------------------------------------

_REFUSALS: Final[dict[str, str]] = {
    Rule.PLAN: "the policy proposes something else now",
    Rule.SUSPENDED: "they are away or asked for a pause",
    Rule.QUIET_HOURS: "quiet hours, 21:00 to 08:00 local",
    Rule.BUSINESS_HOURS: "outside business hours",
    Rule.APPOINTMENT: "an appointment stands",
}


def refusal(rule: str) -> str:
    """Return why an attempt is refused by ``rule``, in a few words."""
    row = invariants.find(rule)
    if row is not None and row.refusal:
        return row.refusal
    return _REFUSALS.get(rule, f"guard {rule} forbids it")
