"""The commands about addresses: suppression lists, lines, and records of one person."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Annotated

import typer

from cadence.cli.policy_layout import table
from cadence.cli.prospects import P
from cadence.cli.recording import By, CommandId, Occurred, record
from cadence.cli.session import Session, command, new_app
from cadence.cli.show import how_to_settle
from cadence.cli.suppression import checked_list, print_suppressed, show_entries
from cadence.domain.channels import Channel, check_known
from cadence.domain.events import SamePersonDenied
from cadence.domain.plurals import plural
from cadence.domain.words import AddressEntry
from cadence.errors import InputError, UnknownProspect
from cadence.store import Cadence
from cadence.store.duplicates import duplicates
from cadence.store.list_load import Suppression
from cadence.worktime.holidays import check_country

__all__ = ["app"]

app = new_app()

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
    region: Annotated[
        str | None,
        typer.Option(metavar="CODE", help="The country of numbers without one, such as US."),
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
    show: Annotated[
        bool, typer.Option("--list", help="Show what is suppressed, and who has it.")
    ] = False,
    by: By = None,
) -> None:
    """Stop outreach to an address, or to a whole list.

    It holds for every prospect that has the address now or later.
    A list is read to its end first. Nothing of it is written if a line is wrong; an address that
    can't be read is left out and named. It exits with 1 where every address was left out, and where
    a list of a later --date is there, unless --force is given. What was taken back after the day of
    the list stays so; else the list counts, and what it puts back is named.
    """
    if region is not None:
        check_country(region, None)
    if show:
        show_entries(session, address, source or None, region)
        return
    if (address is None) is (file is None):
        raise InputError("ADDRESS, --file: missing", "give an address, or a list with --file")
    if channel is not None:
        check_known(channel, _channels(session), "--channel")
    on = None if channel is None else Channel(channel)
    day = None if dated is None else _day(dated)
    if day is not None and not source:
        raise InputError("--source: missing", "name the list that has this date")
    who = session.who(by)
    at = session.now()
    if address is not None:
        with session.reading_if_there() as store:
            store.addresses.key(address, on, region=region)  # an error here, not a count
        with session.writing() as store:
            done = store.addresses.suppress(
                [Suppression(address, on)],
                by=who,
                source=source,
                why=reason,
                region=region,
                at=at,
            )
    else:
        assert file is not None
        with (
            checked_list(file, on, lambda: _channels(session)) as rows,
            _to_write(session, rows, region) as store,
        ):
            if day is not None and not session.force:
                store.addresses.check_not_older(source, day)
            with session.progress("suppressing") as progress:
                done = store.addresses.suppress(
                    rows(),
                    by=who,
                    source=source,
                    why=reason,
                    region=region,
                    dated=day,
                    at=at,
                    progress=progress,
                )
            if day is not None and not done.is_nothing:
                store.addresses.date_list(
                    source, day, by=who, most_days=max_age_days, at=at, force=session.force
                )
    print_suppressed(session, done, file)
    if done.is_nothing:
        raise typer.Exit(1)


@contextmanager
def _to_write(
    session: Session, rows: Callable[[], Iterator[Suppression]], region: str | None
) -> Iterator[Cadence]:
    """Open the store to write; a list that leaves nothing to write leaves no empty database."""
    if not session.exists():
        with session.reading_if_there() as empty:
            has_any = any(_can_be_read(empty, row, region) for row in rows())
        if not has_any:
            with Cadence.open() as nowhere:
                yield nowhere
            return
    with session.writing() as store:
        yield store


def _can_be_read(store: Cadence, row: Suppression, region: str | None) -> bool:
    try:
        return bool(store.addresses.key(row.address, row.channel, region=region))
    except InputError:
        return False


def _channels(session: Session) -> Collection[Channel]:
    """The channels that a store knows; what is suppressed on another stops nothing."""
    with session.reading_if_there() as store:
        return store.library.channels()


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"--date: invalid {text!r}", "give a day, like 2026-12-01") from None


@command(app, "unsuppress", example='cadence unsuppress jerry@example.com --why "a typo"')
def unsuppress(
    session: Session,
    address: Address,
    why: Why,
    source: Annotated[str | None, typer.Option(help="Only of this list.")] = None,
    by: By = None,
) -> None:
    """Take an address off the suppression lists.

    The audit lists who did and why. Where lists are left that it is on, they are named.
    """
    who = session.who(by)
    with session.writing() as store:
        ended = store.addresses.unsuppress(
            address, by=who, why=why, source=source, at=session.now()
        )
        left = store.addresses.lists_of(address)
    if session.json:
        lists = [{"key": one.key, "source": one.source, "channel": one.channel} for one in left]
        session.print_json({"ended": ended, "left": lists})
        return
    where = "on no suppression list"
    if left:
        where = "no entry of its own" if source is None else f"not on the list {source}"
    done = f"{plural(ended, 'entry', 'entries')} taken back" if ended else where
    session.write(f"{address}: {done}")
    if left:
        shown = ", ".join(dict.fromkeys(map(_list_named, left)))
        key = left[0].key
        session.write(f"  still suppressed by: {shown}")
        session.write(f"  to take it off these: cadence unsuppress {shlex.quote(key)} --why WHY")


def _list_named(entry: AddressEntry) -> str:
    on = f" ({entry.channel})" if entry.channel else ""
    return f"{entry.source or 'an entry without a list'}{on}"


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
    Merge them, or say with not-same that they are two people. Say with line that a number is a
    house's. Else what one says holds for the other, at the addresses that both have.
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
    keys = [key for one in found for key in one.keys]
    session.write(f"for each pair {how_to_settle(keys, of_many=True)}")
