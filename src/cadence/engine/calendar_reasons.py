"""Say where the calendar of the prospect's country made a difference to a decision.

Four things are said, and only where they matter to it: the weekend of the country moved its time,
another region of the country would, the holiday data ends before it, and a zone skipped a day.
What the data lacks is said under the rule ``deterministic``, as the versions of the data are.
Whether they matter is not guessed: the decision is made again, without reasons, with the weekdays
as the policy has them and for each region. It is made again only where the hours between the last
attempt and the time decided are others, so most decisions cost a look-up.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from cadence.domain.prospect import Prospect
from cadence.engine.context import DecisionContext
from cadence.engine.decision import Decision
from cadence.engine.invariants import DESIGN, Facts
from cadence.engine.reasons import Reason
from cadence.policy.model import EXACT, Policy
from cadence.policy.rules import Rule

__all__ = ["calendar_reasons"]

Decide = Callable[[Prospect, Policy, datetime], Decision]

# Longer than any horizon: after such a silence no time depends on single days. To ask every region
# about a silence of a century, as a wrong year makes it, takes minutes.
_LONGEST: Final = timedelta(days=5 * 366)
_EXACT: Final = frozenset(stage.value for stage in EXACT)


def calendar_reasons(
    context: DecisionContext, decision: Decision, decide: Decide
) -> tuple[Reason, ...]:
    """Return what the calendar of their country or zone changed about ``decision``.

    Args:
        context: of the decision.
        decision: what was decided.
        decide: decides again, without reasons.
    """
    until = decision.at
    if until is None:
        return ()
    since = min(_since(context, until), until)
    if until - since > _LONGEST:
        if context.prospect.silence.attempts:
            return ()
        since = until - _LONGEST
    found = context.calendar.peculiarities(since, until)
    if found is None:
        return ()
    touch = decision.touch
    if touch is not None and touch.stage.value in _EXACT and not context.policy.guards:
        return ()  # agreed with them: no business day counts
    reasons = []
    if found.has_moved_days:
        reasons += _moved_weekend(context, decision, decide)
    if found.regions:
        reasons += _missing_region(context, decision, decide, found.regions, since)
    if found.skipped:
        facts: Facts = {"days": found.skipped, "zone": context.prospect.identity.zones[0]}
        reasons.append(_reason(Rule.BUSINESS_HOURS, "day_skipped", facts))
    if found.unknown_years:
        reasons.append(
            _reason(Rule.DETERMINISTIC, "holidays_missing", {"years": found.unknown_years})
        )
    return tuple(reasons)


def _since(context: DecisionContext, until: datetime) -> datetime:
    """Return from when on the days count that led to a decision about ``until``."""
    silence = context.prospect.silence
    attempts = silence.attempts
    if not attempts:
        return context.prospect.response.at
    horizon = context.policy.horizon_business_days  # that many need at least as many days
    if silence.unmeasured or (until - attempts[0].at).days >= horizon:
        return attempts[0].at  # every day since the first attempt counts
    return attempts[-1].at


def _moved_weekend(context: DecisionContext, decision: Decision, decide: Decide) -> list[Reason]:
    other = decide(context.prospect, context.policy.on_its_own_weekend, context.now)
    if other.at is None or decision.at is None or other.at == decision.at:
        return []
    facts = {
        "country": context.prospect.identity.country,
        "weekend": tuple(sorted(context.calendar.weekend(decision.at))),
        "otherwise": context.local(other.at),
    }
    return [_reason(Rule.BUSINESS_HOURS, "weekend", facts)]


def _missing_region(
    context: DecisionContext,
    decision: Decision,
    decide: Decide,
    differing: tuple[tuple[str, ...], ...],
    since: datetime,
) -> list[Reason]:
    prospect, until = context.prospect, decision.at
    known: dict[str, datetime | None] = {}

    def decided(region: str) -> datetime | None:
        if region not in known:
            there = msgspec.structs.replace(prospect.identity, subdivision=region)
            moved = msgspec.structs.replace(prospect, identity=there)
            known[region] = decide(moved, context.policy, context.now).at
        return known[region]

    groups = differing
    while True:
        # Regions with the same hours all that time decide alike.
        times = {region: decided(regions[0]) for regions in groups for region in regions}
        latest = max((at for at in times.values() if at is not None), default=until)
        if until is None or latest is None or latest <= until:
            break
        until = latest  # what is alike up to the decision may not be alike up to then
        wider = context.calendar.peculiarities(since, until)
        groups = groups if wider is None else wider.regions
    found: dict[datetime, tuple[str, ...]] = {}
    for regions in differing:
        for region in regions:
            # Over another stretch of time other regions differ.
            at = times[region] if region in times else decided(region)
            if at is not None and at != decision.at:
                found[at] = (*found.get(at, ()), region)
    if not found:
        return []
    otherwise = tuple((regions, context.local(at)) for at, regions in found.items())
    facts: Facts = {"country": prospect.identity.country, "otherwise": otherwise}
    return [_reason(Rule.DETERMINISTIC, "region_missing", facts)]


def _reason(rule: Rule, code: str, facts: Facts) -> Reason:
    return Reason(rule, code, source=DESIGN, facts=facts)
