"""What ``import --preview`` shows: the first rows as events, and what an import leaves out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

import msgspec

from cadence.cli.session import Session
from cadence.cli.show import fact, may_be
from cadence.cli.terminal import paint
from cadence.domain.codec import data_fields
from cadence.domain.events import type_name
from cadence.domain.plurals import plural
from cadence.domain.words import AddressEntry
from cadence.errors import InputError
from cadence.store.clock import WriteClock
from cadence.transfer.importer import ImportResult
from cadence.transfer.likely_duplicates import LikelyDuplicates
from cadence.transfer.source import BadLine, FieldCounts, Source, SourceEntry, SourceEvent

__all__ = ["show_preview", "summary"]


def _skipped(reasons: dict[str, int], columns: Iterable[str]) -> Iterator[str]:
    for why, count in sorted(reasons.items(), key=lambda pair: -pair[1]):
        if count:
            yield f"skipped: {plural(count, 'row')} ({why})"
    if columns:
        yield f"unknown columns, not imported: {', '.join(columns)}"


def show_preview(session: Session, source: Source, count: int) -> None:
    """Show the first events, as the file gives them, and what is wrong up to there."""
    shown = [_checked(one, source.clock) for one in islice(source, count)]
    tally = source.tally
    if session.json:
        session.print_json(
            {
                "rows": [_plain(one) for one in shown],
                "read": tally.rows,
                "passed_over": dict(tally.skipped_rows),
                "unknown_columns": tally.unknown_columns,
            }
        )
    else:
        if shown:
            header = f"{'line':>7}  {'prospect':20} {'occurred (UTC)':20} event"
            session.write(paint(header, "bold"))
        for one in shown:
            session.write(_line(one))
        session.write(f"read so far: {plural(tally.rows, 'row')}; nothing was written")
        for line in _skipped(dict(tally.skipped_rows), tally.unknown_columns):
            session.write(line)
    bad = sum(isinstance(one, BadLine) for one in shown)
    if bad:
        raise InputError(
            f"{bad} of the first {len(shown)} can't be imported",
            "fix these lines, or the mapping; nothing was written",
        )


def _checked(
    one: SourceEvent | SourceEntry | BadLine, clock: WriteClock
) -> SourceEvent | SourceEntry | BadLine:
    if not isinstance(one, BadLine):
        try:
            one.check(clock)
        except InputError as error:
            return BadLine.of(one.number, error)
    return one


def _line(one: SourceEvent | SourceEntry | BadLine) -> str:
    if isinstance(one, BadLine):
        return f"{one.number:>7}  {paint(f'{one.what} ({one.hint})', 'red')}"
    if isinstance(one, SourceEntry):
        entry = one.entry
        name = paint(type(entry).__name__, "bold")
        return f"{one.number:>7}  {'-':20} {entry.at:%Y-%m-%d %H:%M:%S}  {name}  {_entry(entry)}"
    line = one.line
    when = f"{line.occurred_at:%Y-%m-%d %H:%M:%S}"
    by = f", by {line.by}" if line.by else ""
    unsure = paint(f" (order uncertain: {line.uncertain})", "yellow") if line.uncertain else ""
    name = paint(type_name(line.data), "bold")
    return f"{one.number:>7}  {line.prospect:20} {when:20} {name}  {fact(line.data)}{by}{unsure}"


def _entry(entry: AddressEntry) -> str:
    source = f" of {entry.source}" if entry.source else ""
    ended = f", taken back by {entry.ended_by}" if entry.ended_at is not None else ""
    return f"{entry.kind.value} {entry.key}{source}, by {entry.by}{ended}"


def _plain(one: SourceEvent | SourceEntry | BadLine) -> dict[str, Any]:
    if isinstance(one, BadLine):
        return one._asdict()
    if isinstance(one, SourceEntry):
        plain = {"number": one.number, "type": type(one.entry).__name__, "data": one.entry}
        shown: dict[str, Any] = msgspec.to_builtins(plain)
        return shown
    line = one.line
    found = {
        "number": one.number,
        "prospect": line.prospect,
        "type": type_name(line.data),
        "occurred_at": line.occurred_at,
        "data": data_fields(line.data),
    }
    for name in ("by", "command_id", "uncertain"):
        if getattr(line, name) is not None:
            found[name] = getattr(line, name)
    if one.added is not None:
        found["added"] = data_fields(one.added.data)
    plain_: dict[str, Any] = msgspec.to_builtins(found)
    return plain_


_LABELS: Final = {"timezone": "time zone", "contact_points": "contact point", "opt_out": "opt-out"}


def _people(counts: FieldCounts, one: str, several: str) -> str:
    who = f"1 person {one}" if counts.people == 1 else f"{counts.people:,} people {several}"
    fields = (
        f"{_LABELS.get(name, name.replace('_', ' '))} {count:,}"
        for name, count in sorted(counts.fields.items())
    )
    return f"{who}: {', '.join(fields)}"


def summary(done: ImportResult) -> Iterator[str]:
    """What an import did, line by line."""
    yield (
        f"{plural(done.prospects, 'prospect')}: {plural(done.events, 'event')} imported, "
        f"{done.skipped:,} were there already"
    )
    if done.corrected:
        yield f"corrected: {plural(done.corrected, 'event')} whose record has changed since"
    if done.updated.people:
        yield _people(done.updated, "updated", "updated")
    if done.differing.people:
        kept = "from what is kept"
        yield _people(done.differing, f"differs {kept}", f"differ {kept}")
    if done.policies:
        what = plural(done.policies, "policy", "policies")
        yield f"kept: {what} that these events name"
    if done.entries or done.entries_known:
        yield (
            f"lists and lines: {plural(done.entries, 'entry', 'entries')} taken in, "
            f"{done.entries_known:,} were there already"
        )
    if done.skipped_prospects:
        count = plural(done.skipped_prospects, "prospect")
        yield f"skipped: {count} (without an event that the mapping needs)"
    if done.unusable_addresses:
        number = done.unusable_addresses
        what = plural(number, "address", "addresses")
        yield f"unusable: {what} that can't be read (never used)"
    yield from _skipped(done.skipped_rows, done.unknown_columns)
    yield from _likely_duplicates(done.duplicates)


def _likely_duplicates(found: LikelyDuplicates) -> Iterator[str]:
    if not found.people:
        return
    who = "1 person" if found.people == 1 else f"{found.people:,} people"
    yield f"duplicates: {who} may have another record; list them with: cadence duplicates"
    for one in found.first:
        yield f"  {may_be(one)}"
    if found.people > len(found.first):
        yield f"  and {found.people - len(found.first):,} more"
