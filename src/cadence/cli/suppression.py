"""Read a suppression list, and show what became of it, and what is suppressed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import IO, Any, Final

import msgspec

from cadence.cli.policy_layout import table
from cadence.cli.session import Session
from cadence.cli.terminal import write_error
from cadence.domain.channels import Channel, check_known
from cadence.domain.plurals import plural
from cadence.domain.words import AddressEntry, EntryKind
from cadence.errors import InputError
from cadence.store.list_load import (
    FEW_HOLDERS,
    Holders,
    LeftOut,
    Suppressed,
    Suppression,
)
from cadence.transfer import open_input
from cadence.transfer.csv_reader import CsvTable
from cadence.transfer.source import BadLine

__all__ = ["checked_list", "print_suppressed", "show_entries"]

_MOST_SHOWN: Final = 20  # bad lines
_PAGE: Final = 500  # entries whose holders are looked up at once


# Reading a list -----------------------------------------------------------------------------------


@contextmanager
def checked_list(
    file: str, channel: Channel | None, channels: Callable[[], Collection[str]]
) -> Iterator[Callable[[], Iterator[Suppression]]]:
    """Read a list to its end, and give what reads its rows from a copy: memory stays small.

    Args:
        file: its path; ``-`` is standard input.
        channel: of rows that name none.
        channels: gives the known ones; it is asked if a row names one.

    Raises:
        InputError: lines are wrong; names each with its number.
    """
    with tempfile.TemporaryFile() as copy:
        bad, count = _copy_list(file, channel, channels, copy)
        if bad:
            lines = [f"{file}: line {one.number}: {one.what}" for one in bad]
            if count > len(bad):
                lines.append(f"and {count - len(bad):,} more lines")
            raise InputError("\n".join(lines), f"{bad[0].hint}; nothing was suppressed")

        def rows() -> Iterator[Suppression]:
            copy.seek(0)
            return (msgspec.json.decode(line, type=Suppression) for line in copy)

        yield rows


def _copy_list(
    file: str,
    channel: Channel | None,
    channels: Callable[[], Collection[str]],
    copy: IO[bytes],
) -> tuple[list[BadLine], int]:
    """Copy the rows; return the first of the lines that are wrong, and how many are."""
    bad: list[BadLine] = []
    count = 0
    checked: set[str] = set()
    known: Collection[str] = ()
    with open_input(file) as source:
        csv = CsvTable(source.lines(), file)
        of_address, of_channel = csv.find(["address"]), csv.find(["channel"])
        if of_address is None:
            found = ", ".join(csv.columns) or "none"
            raise InputError(
                f"{file}: line 1: missing column address (there are: {found})",
                "name the column of the addresses address",
            )
        if of_channel is not None:
            known = channels()
        for number, cells in csv.rows():
            wrong = cells if isinstance(cells, BadLine) else None
            if isinstance(cells, BadLine):
                cells = []
            given = cells[of_address].strip() if of_address < len(cells) else ""
            on = channel
            if of_channel is not None and of_channel < len(cells) and cells[of_channel].strip():
                on = Channel(cells[of_channel].strip().lower())
                if on not in checked:
                    try:
                        check_known(on, known)
                        checked.add(on)
                    except InputError as error:
                        wrong = BadLine.of(number, error)
            if wrong is not None:
                count += 1
                bad += [wrong][: _MOST_SHOWN - len(bad)]
            elif given:
                copy.write(msgspec.json.encode(Suppression(given, on, number)) + b"\n")
    return bad, count


# What became of it --------------------------------------------------------------------------------


def print_suppressed(session: Session, done: Suppressed, file: str | None) -> None:
    """Print what became of an address, or of the addresses of a list."""
    if session.json:
        session.print_json(_as_json(done))
        return
    known = f", {done.known:,} were before" if done.known else ""
    unusable = f"; {_addresses(done.unusable)} can't be read, left out" if done.unusable else ""
    session.write(f"{_addresses(done.new)} suppressed{known}{unusable}")
    if done.new or done.known:
        session.write(f"  {_who_has(done.holders)}")
    _write_left_out(done, file or "ADDRESS")
    _write_taken_back("suppressed again; was taken back", done.put_back, done.put_back_first)
    if done.put_back:
        write_error("take them back again with: cadence unsuppress ADDRESS --why WHY")
    _write_taken_back("stays off, since it was taken back", done.kept_off, done.kept_off_first)
    if done.kept_off:
        write_error("the list is older than that; to suppress one use: cadence suppress ADDRESS")


def _as_json(done: Suppressed) -> dict[str, Any]:
    return {
        "new": done.new,
        "known": done.known,
        "unusable": done.unusable,
        "left_out": [one._asdict() for one in done.left_out],
        "prospects": _holders_as_json(done.holders),
        "put_back": _back_as_json(done.put_back, done.put_back_first),
        "kept_off": _back_as_json(done.kept_off, done.kept_off_first),
    }


def _holders_as_json(holders: Holders) -> dict[str, Any]:
    return {"total": holders.total, "first": list(holders.first)}


def _back_as_json(count: int, first: Sequence[AddressEntry]) -> dict[str, Any]:
    return {"total": count, "first": first}


def _who_has(holders: Holders) -> str:
    if not holders.total:
        return "no prospect has such an address"
    who = "1 prospect has" if holders.total == 1 else f"{holders.total:,} prospects have"
    named = f": {', '.join(holders.first)}" if holders.total <= FEW_HOLDERS else ""
    return f"{who} such an address{named}"


def _write_left_out(done: Suppressed, file: str) -> None:
    for one in done.left_out:
        why = "it lacks its country" if one.lacks_country else "not a possible number or email"
        write_error(f"{file}: line {one.line}: {one.address!r} left out: {why}")
    _write_more(done.unusable, done.left_out)
    if done.lacking_country:
        write_error(
            "numbers without a country: give --region CODE, such as US; or set it for all: "
            "cadence settings default_region US --by NAME"
        )
    if done.unusable > done.lacking_country:
        write_error("give each address as a number with its country code, or as an email")


def _write_taken_back(what: str, count: int, first: Sequence[AddressEntry]) -> None:
    for one in first:
        day = "" if one.ended_at is None else f" on {one.ended_at:%Y-%m-%d}"
        write_error(f"{one.key}: {what}{day} by {one.ended_by}: {one.ended_why}")
    _write_more(count, first)


def _write_more(count: int, shown: Sequence[LeftOut] | Sequence[AddressEntry]) -> None:
    if count > len(shown):
        write_error(f"and {count - len(shown):,} more")


def _addresses(count: int) -> str:
    return plural(count, "address", "addresses")


# What is suppressed -------------------------------------------------------------------------------


def show_entries(
    session: Session, address: str | None, source: str | None, region: str | None
) -> None:
    """Show what lists and owners say of addresses, and which prospects have them.

    Args:
        session: the call.
        address: only of this one.
        source: only of this list.
        region: the country of a number without one.
    """
    with session.reading() as store:
        book = store.addresses
        if address is not None and region is not None:
            address = book.key(address, region=region)
        rows: list[tuple[str, ...]] = []
        is_first = True
        entries = book.entries(address=address, source=source)
        while page := list(islice(entries, _PAGE)):
            for entry, ids in zip(page, book.holders_of(page), strict=True):
                if not session.json:
                    rows.append(_cells(entry, ids))
                    continue
                shown = msgspec.to_builtins(entry)
                if entry.kind is not EntryKind.LIST:
                    shown["prospects"] = _holders_as_json(Holders(len(ids), ids[:FEW_HOLDERS]))
                text = msgspec.json.encode(shown).decode()
                session.write_json(("[" if is_first else ",") + text)
                is_first = False
    if session.json:
        session.write_json("[]" if is_first else "]")
        return
    if not rows:
        session.write("no address is suppressed")
        return
    titles = ("address", "what", "channel", "source", "by", "when (UTC)", "prospects")
    for line in table(titles, rows, lead=2):
        session.write(line)


def _cells(entry: AddressEntry, ids: Sequence[str]) -> tuple[str, ...]:
    what, address = entry.kind.value, entry.key
    if entry.kind is EntryKind.LIST:
        what, address = f"list of {entry.dated}, {entry.most_days} days at most", "-"
    elif entry.why:
        what = f"{what}: {entry.why}"
    when = f"{entry.at:%Y-%m-%d %H:%M}"
    more = [f"and {len(ids) - FEW_HOLDERS:,} more"] if len(ids) > FEW_HOLDERS else []
    holders = ", ".join([*ids[:FEW_HOLDERS], *more]) or "-"
    return address, what, entry.channel or "every", entry.source or "-", entry.by, when, holders
