"""``replay --all``: a whole database in a terminal, as JSON or as a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime

from cadence.analysis.funnel import (
    Overview,
    claim_words,
    interval_words,
    overview,
    percent,
    stay_words,
    to_builtins,
)
from cadence.cli.files import write_text
from cadence.cli.session import Session
from cadence.cli.terminal import paint
from cadence.domain.events import Event
from cadence.domain.plurals import plural
from cadence.replay.steps import end_of_day, until

__all__ = ["show_overview"]


def show_overview(session: Session, html: str | None, limit: date | None) -> None:
    """Count every history and show what was found.

    Args:
        session: of this call.
        html: write a page there.
        limit: as far as was recorded by then: an instant, or the end of a day on their own clock.
    """
    found = overview(_histories(session, limit))
    if html is not None:
        from cadence.reports.funnel_page import funnel_page

        seen = "" if limit is None else _limit_words(limit)
        write_text(html, funnel_page(found, seen=seen), db=session.db)
        if html != "-":
            session.write(f"overview of {plural(found.prospects, 'prospect')} written to {html}")
    elif session.json:
        session.print_json(to_builtins(found))
    else:
        for line in _lines(found):
            session.write(line)


def _histories(session: Session, limit: date | None) -> Iterator[Sequence[Event]]:
    with session.reading() as store, session.progress("counting") as progress:
        for number, prospect in enumerate(store.prospects(), 1):
            events = store.history(prospect)
            yield until(events, _instant(limit, events))
            progress(number, None)


def _instant(limit: date | None, events: Sequence[Event]) -> datetime | None:
    """Return the instant that ``limit`` means for the prospect of ``events``."""
    if limit is None or isinstance(limit, datetime):
        return limit
    return end_of_day(events, limit)[0]


def _limit_words(limit: date) -> str:
    if isinstance(limit, datetime):
        return f"{limit:%Y-%m-%d %H:%M:%S} UTC"
    return f"the end of {limit} on each prospect's clock"


def _lines(found: Overview) -> Iterable[str]:
    """A whole database: the funnel with waiting times, and who is reached by attempt number."""
    yield f"{plural(found.prospects, 'prospect')}, {plural(found.events, 'event')}"
    yield ""
    head = f"{'stage':12} {'reached':>9} {'share':>6} {'now':>8} {'stays':>8}"
    yield paint(f"{head} {'median stay':>12} {'nine in ten within':>19}", "bold")
    for line in found.stages:
        if line.reached:
            counts = f"{line.reached:>9,} {percent(line.reached / found.prospects):>6}"
            counts += f" {line.now:>8,} {line.stays:>8,}"
            median, most = stay_words(line.median), stay_words(line.nine_in_ten)
            yield f"{line.stage:12} {counts} {median:>12} {most:>19}"
    if found.attempts:
        yield ""
        yield paint(
            f"{'attempt':>7} {'made':>9} {'connected':>10} {'unknown':>9} {'share':>6} "
            f"{'95 % interval':>14}",
            "bold",
        )
    for one in found.attempts:
        rate = one.rate
        counts = f"{rate.of:>9,} {rate.reached:>10,} {rate.unknown:>9,} {percent(rate.share):>6}"
        yield f"{one.number:>7} {counts} {interval_words(rate):>14}"
    if found.late:
        late = plural(found.late, "attempt")
        were = "was" if found.late == 1 else "were"
        yield f"{late} {were} recorded after their silence had ended; not counted"
    yield ""
    yield claim_words(found.appointment)
