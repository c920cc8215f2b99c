"""The commands about addresses: suppression lists, lines, and records of one person."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import IO, Annotated, Final

import msgspec
import typer

from cadence.cli.policy_layout import table
from cadence.cli.prospects import P
from cadence.cli.recording import By, CommandId, Occurred, record
from cadence.cli.session import Session, command, new_app
from cadence.domain.channels import Channel, check_channel
from cadence.domain.events import SamePersonDenied
from cadence.domain.words import AddressEntry, EntryKind
from cadence.errors import InputError, UnknownProspect
from cadence.store.address_book import Suppressed, Suppression
from cadence.store.duplicates import duplicates
from cadence.transfer import open_input
from cadence.transfer.csv_reader import CsvTable
from cadence.transfer.source import BadLine

__all__ = ["app"]

app = new_app()

_MOST_SHOWN: Final = 20  # bad lines

Why = Annotated[str, typer.Option("--why", help="How you know.")]
Address = Annotated[
    str, typer.Argument(metavar="ADDRESS", help="A number with its country code, or an email.")
]


@command(app, "suppress", example="cadence suppress jerry@example.com --reason unsubscribed")
def suppress(
    session: Session,
    address: Annotated[
        str | None, typer.Argument(metavar="ADDRESS", help="A number, or an email address.")
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(
            metavar="CSV", help="A list: a column address, and channel if some are for one only."
        ),
    ] = None,
    channel: Annotated[
        str | None, typer.Option(metavar="CHANNEL", help="On this channel only.")
    ] = None,
    source: Annotated[str, typer.Option(help="The list, or where it comes from.")] = "",
    reason: Annotated[str, typer.Option(help="Why, such as unsubscribed.")] = "",
    dated: Annotated[
        str | None,
        typer.Option("--date", metavar="DATE", help="Of which day the list is: 2026-12-01."),
    ] = None,
    max_age_days: Annotated[
        int, typer.Option(min=1, help="With --date: how many days old the list may become.")
    ] = 31,
    show: Annotated[bool, typer.Option("--list", help="Show what is suppressed.")] = False,
    by: By = None,
) -> None:
    """Stop outreach to an address, or to a whole list.

    It holds for every prospect that has the address now or later.
    A list is read to its end first. Nothing of it is written if a line is wrong; an address that
    can't be one is counted and left out.
    """
    if show:
        _show_entries(session, address, source or None)
        return
    if (address is None) is (file is None):
        raise InputError("ADDRESS, --file: missing", "give an address, or a list with --file")
    if channel is not None:
        check_channel(channel, "--channel")
    on = None if channel is None else Channel(channel)
    day = None if dated is None else _day(dated)
    if day is not None and not source:
        raise InputError("--source: missing", "name the list that has this date")
    who = session.who(by)
    at = session.now()
    if address is not None:
        with session.writing() as store:
            store.addresses.key(address, on)  # an error here, where a list would count it
            done = store.addresses.suppress(
                [Suppression(address, on)], by=who, source=source, why=reason, at=at
            )
    else:
        assert file is not None
        with _checked_list(file, on) as rows, session.writing() as store:
            with session.progress("suppressing") as progress:
                done = store.addresses.suppress(
                    rows, by=who, source=source, why=reason, at=at, progress=progress
                )
            if day is not None:
                store.addresses.date_list(source, day, by=who, most_days=max_age_days, at=at)
    _print_done(session, done)


def _print_done(session: Session, done: Suppressed) -> None:
    if session.json:
        session.print_json(done._asdict())
        return
    known = f", {done.known:,} were before" if done.known else ""
    unusable = f"; {_addresses(done.unusable)} can't be read, left out" if done.unusable else ""
    session.write(f"{_addresses(done.new)} suppressed{known}{unusable}")


def _addresses(count: int) -> str:
    return f"{count:,} address{'' if count == 1 else 'es'}"


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"--date: invalid {text!r}", "give a day, like 2026-12-01") from None


@contextmanager
def _checked_list(file: str, channel: Channel | None) -> Iterator[Iterator[Suppression]]:
    """Read a list to its end, and give its rows from a copy, so that memory stays small."""
    with tempfile.TemporaryFile() as copy:
        bad = _copy_list(file, channel, copy)
        if bad:
            lines = [f"{file}: line {one.number}: {one.what}" for one in bad[:_MOST_SHOWN]]
            if len(bad) > _MOST_SHOWN:
                lines.append(f"and {len(bad) - _MOST_SHOWN:,} more lines")
            raise InputError("\n".join(lines), f"{bad[0].hint}; nothing was suppressed")
        copy.seek(0)
        yield (msgspec.json.decode(line, type=Suppression) for line in copy)


def _copy_list(file: str, channel: Channel | None, copy: IO[bytes]) -> list[BadLine]:
    bad: list[BadLine] = []
    with open_input(file) as source:
        csv = CsvTable(source.lines(), file)
        of_address, of_channel = csv.find(["address"]), csv.find(["channel"])
        if of_address is None:
            found = ", ".join(csv.columns) or "none"
            raise InputError(
                f"{file}: line 1: missing column address (there are: {found})",
                "name the column of the addresses address",
            )
        for number, cells in csv.rows():
            if isinstance(cells, BadLine):
                bad.append(cells)
                continue
            given = cells[of_address].strip() if of_address < len(cells) else ""
            on = channel
            if of_channel is not None and of_channel < len(cells) and cells[of_channel].strip():
                on = Channel(cells[of_channel].strip().lower())
                try:
                    check_channel(on)
                except InputError as error:
                    bad.append(BadLine(number, error.what, error.hint))
            if given:
                copy.write(msgspec.json.encode(Suppression(given, on)) + b"\n")
    return bad


def _show_entries(session: Session, address: str | None, source: str | None) -> None:
    with session.reading() as store:
        found = store.addresses.entries(address=address, source=source)
        if session.json:
            is_first = True
            for entry in found:
                text = msgspec.json.encode(entry).decode()
                session.write_json(("[" if is_first else ",") + text)
                is_first = False
            session.write_json("[]" if is_first else "]")
            return
        rows = [_cells(entry) for entry in found]
    if not rows:
        session.write("no address is suppressed")
        return
    for line in table(("address", "what", "channel", "source", "by", "when (UTC)"), rows, lead=2):
        session.write(line)


def _cells(entry: AddressEntry) -> tuple[str, ...]:
    what, address = entry.kind.value, entry.key
    if entry.kind is EntryKind.LIST:
        what, address = f"list of {entry.dated}, {entry.most_days} days at most", "-"
    elif entry.why:
        what = f"{what}: {entry.why}"
    when = f"{entry.at:%Y-%m-%d %H:%M}"
    return address, what, entry.channel or "every", entry.source or "-", entry.by, when


@command(app, "unsuppress", example='cadence unsuppress jerry@example.com --why "a typo"')
def unsuppress(
    session: Session,
    address: Address,
    why: Why,
    source: Annotated[str | None, typer.Option(help="Only of this list.")] = None,
    by: By = None,
) -> None:
    """Take an address off the suppression lists.

    The audit lists who did and why.
    """
    who = session.who(by)
    with session.writing() as store:
        ended = store.addresses.unsuppress(
            address, by=who, why=why, source=source, at=session.now()
        )
    if session.json:
        session.print_json({"ended": ended})
    elif ended:
        session.write(f"{address}: {ended} {'entry' if ended == 1 else 'entries'} taken back")
    else:
        session.write(f"{address}: on no suppression list")


@command(app, "line", example='cadence line "+1 212 555 0100" --why "a switchboard"')
def line(
    session: Session,
    address: Address,
    why: Why,
    end: Annotated[bool, typer.Option("--end", help="It is none after all.")] = False,
    by: By = None,
) -> None:
    """Say that a number is a house's line.

    From now on one person's word there is theirs alone. What they said before stays with the
    number, and so does an opt-out that was said from it.
    """
    who, at = session.who(by), session.now()
    with session.writing() as store:
        book = store.addresses
        change = book.withdraw_line if end else book.declare_line
        changed = change(address, by=who, why=why, at=at)
    if session.json:
        session.print_json({"changed": changed})
        return
    what = "no line any more" if end else "a line"
    session.write(f"{address}: {what}" + ("" if changed else ", as before"))


@command(app, "not-same", example='cadence not-same jerry george --why "two brothers"')
def not_same(
    session: Session,
    p: P,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="The other prospect's id.")],
    why: Why,
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Say that two records are two people.

    It holds for both, also for what either says later.
    """
    if other == p:
        raise InputError(f"OTHER: {other} is the same prospect", "give the other one's id")
    with session.reading_if_there() as store:
        if not store.histories.of([other])[other]:
            raise UnknownProspect(other)
    record(
        session,
        p,
        SamePersonDenied(other, why),
        occurred=occurred,
        by=by,
        command_id=command_id,
    )


@command(app, "duplicates", example="cadence duplicates --json")
def duplicates_(session: Session) -> None:
    """List the records that may be one person.

    Those with one address come first, then those of one name and company.
    Merge them, or say with not-same that they are two people. What one says holds for the other in
    any case, at the addresses that both have.
    """
    with session.reading() as store, session.progress("looking") as progress:
        found = list(duplicates(store, progress))
        names = {
            one.id: one.identity.name
            for one in store.histories.load(sorted({name for pair in found for name in pair[:2]}))
        }
    if session.json:
        session.print_json([{**one._asdict(), "keys": list(one.keys)} for one in found])
        return
    if not found:
        session.write("no two records look like one person")
        return
    rows = [
        (
            *(one.prospect, names[one.prospect], one.other, names[one.other]),
            ", ".join(one.keys) or "name and company",
        )
        for one in found
    ]
    for line in table(("prospect", "name", "other", "name", "the same"), rows, lead=4):
        session.write(line)
