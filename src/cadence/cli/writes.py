"""The commands that record what we do and what happened."""

from __future__ import annotations

from typing import Annotated

import typer

from cadence.cli.session import Session, command, new_app
from cadence.cli.show import next_line, plain
from cadence.domain.codec import check_id, parse_instant
from cadence.domain.events import (
    AutoReplyReceived,
    Channel,
    ContactPoint,
    ContactPointAdded,
    ContactPointFailed,
    Disposition,
    EndReason,
    FailureReason,
    GuidelinesAgreed,
    Intent,
    InterestNoted,
    OptedBackIn,
    OptOutRequested,
    Part,
    PauseRequested,
    PreferenceStated,
    ProspectAdded,
    ProspectUpdated,
    ReferralGiven,
    ReplyReceived,
    ValueKind,
    ValueNoted,
    type_name,
)
from cadence.engine.commands import (
    CancelAppointment,
    Command,
    EndFollowUp,
    MakeAttempt,
    ReopenFollowUp,
    SetAppointment,
    check_fact,
)
from cadence.engine.decision import to_builtins
from cadence.errors import InputError, UnknownProspect
from cadence.replay.formatting import plural
from cadence.store import Outcome

__all__ = ["app"]

app = new_app()

P = Annotated[str, typer.Argument(metavar="P", help="The prospect's id.")]
Occurred = Annotated[
    str | None,
    typer.Option("--occurred", metavar="INSTANT", help="When it happened, if not at --at."),
]
By = Annotated[str | None, typer.Option("--by", help="Who did it.")]
CommandId = Annotated[
    str | None,
    typer.Option("--command-id", help="An id of yours; the same again has no second effect."),
]
Points = Annotated[list[str] | None, typer.Option(help="An address; may be repeated.")]


def _points(
    call: list[str] | None,
    email: list[str] | None,
    sms: list[str] | None,
    mail: list[str] | None,
    video_email: list[str] | None,
) -> tuple[ContactPoint, ...]:
    given = (
        (Channel.CALL, call),
        (Channel.EMAIL, email),
        (Channel.SMS, sms),
        (Channel.MAIL, mail),
        (Channel.VIDEO_EMAIL, video_email),
    )
    found = []
    for channel, addresses in given:
        for address in addresses or ():
            if not address.strip():
                raise InputError(f"--{channel}: missing address", "give an address")
            found.append(ContactPoint(channel, address))
    return tuple(found)


def _write(
    session: Session,
    prospect: str,
    what: Command,
    *,
    occurred: str | None = None,
    by: str | None = None,
    command_id: str | None = None,
) -> None:
    at = session.now()
    occurred_at = at if occurred is None else parse_instant(occurred, "--occurred")
    if not session.exists():
        # What is refused must not leave an empty database behind.
        if not isinstance(what, ProspectAdded):
            raise UnknownProspect(prospect)
        check_fact(what)
        check_id(prospect)
    with session.writing() as store:
        outcome = store.execute(
            prospect, what, at=at, occurred_at=occurred_at, by=by, command_id=command_id
        )
        if session.json:
            from cadence.messages import compose  # loads the templates; not for plain output

            decision = compose(outcome.decision, outcome.prospect, store.policies, at)
            session.print_json(to_builtins(decision))
            return
    for event in outcome.events:
        done = "was recorded before" if outcome.repeated else "recorded"
        what_was = f"{type_name(event.data)} {done} as version {event.version}"
        session.write(f"{plain(prospect)}: {what_was}")
    session.write(f"  {next_line(outcome.prospect, outcome.decision)}")


@command(
    app,
    "add",
    example='cadence add jerry --name "Jerry Doe" --timezone America/New_York --country US '
    "--call +15550100 --email jerry@example.com",
)
def add(
    session: Session,
    p: P,
    name: Annotated[str, typer.Option(help="Their name.")],
    timezone: Annotated[
        list[str], typer.Option(help="IANA zone; repeat it for several candidates.")
    ],
    country: Annotated[str | None, typer.Option(help="ISO 3166 code, for holidays.")] = None,
    subdivision: Annotated[str | None, typer.Option(help="State, region or canton.")] = None,
    call: Points = None,
    email: Points = None,
    sms: Points = None,
    mail: Points = None,
    video_email: Points = None,
    source: Annotated[str | None, typer.Option(help="Where we met them.")] = None,
    owner: Annotated[str | None, typer.Option(help="Who looks after them.")] = None,
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Add a prospect."""
    if not name.strip():
        raise InputError("--name: missing name", "give their name")
    data = ProspectAdded(
        name=name,
        timezone=timezone[0] if len(timezone) == 1 else tuple(timezone),
        country=country,
        subdivision=subdivision,
        contact_points=_points(call, email, sms, mail, video_email),
        source=source,
        owner=owner,
    )
    _write(session, p, data, occurred=occurred, by=by, command_id=command_id)


@command(app, "update", example="cadence update jerry --timezone America/Chicago")
def update(
    session: Session,
    p: P,
    name: Annotated[str | None, typer.Option(help="Their name.")] = None,
    timezone: Annotated[
        list[str] | None, typer.Option(help="IANA zone; repeat it for several candidates.")
    ] = None,
    country: Annotated[str | None, typer.Option(help="ISO 3166 code.")] = None,
    subdivision: Annotated[str | None, typer.Option(help="State, region or canton.")] = None,
    owner: Annotated[str | None, typer.Option(help="Who looks after them.")] = None,
    call: Points = None,
    email: Points = None,
    sms: Points = None,
    mail: Points = None,
    video_email: Points = None,
    occurred: Occurred = None,
    by: By = None,
) -> None:
    """Correct a prospect's data; add contact points."""
    points = _points(call, email, sms, mail, video_email)
    changed = any(one is not None for one in (name, timezone, country, subdivision, owner))
    if not points and not changed:
        raise InputError("update: missing options", "give e.g. --name or --email")
    if changed:
        zones = None if timezone is None else tuple(timezone)
        data = ProspectUpdated(
            name=name,
            timezone=zones[0] if zones is not None and len(zones) == 1 else zones,
            country=country,
            subdivision=subdivision,
            owner=owner,
        )
        _write(session, p, data, occurred=occurred, by=by)
    for point in points:
        added = ContactPointAdded(point.channel, point.address)
        _write(session, p, added, occurred=occurred, by=by)


@command(app, "appoint", example="cadence appoint jerry 2026-12-01T14:00:00Z --agreed-by call")
def appoint(
    session: Session,
    p: P,
    instant: Annotated[str, typer.Argument(metavar="INSTANT", help="When we will call.")],
    agreed_by: Annotated[
        Channel | None,
        typer.Option(help="The channel on which they agreed just now; a response."),
    ] = None,
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Set an appointment, or move it."""
    what = SetAppointment(parse_instant(instant, "INSTANT"), agreed_by)
    _write(session, p, what, occurred=occurred, by=by, command_id=command_id)


@command(app, "cancel", example="cadence cancel jerry")
def cancel(
    session: Session,
    p: P,
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Cancel the appointment."""
    _write(session, p, CancelAppointment(), occurred=occurred, by=by, command_id=command_id)


@command(app, "attempt", example="cadence attempt jerry --channel call --disposition no_answer")
def attempt(
    session: Session,
    p: P,
    channel: Annotated[
        list[Channel], typer.Option(help="How; repeat both options for several at once.")
    ],
    disposition: Annotated[list[Disposition], typer.Option(help="How it went.")],
    off_policy: Annotated[
        str | None,
        typer.Option(metavar="WHY", help="It was made although a rule forbids it."),
    ] = None,
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Record an attempt; refused if a rule forbids it now."""
    if len(channel) != len(disposition):
        raise InputError(
            f"attempt: {len(channel)} --channel but {len(disposition)} --disposition",
            "give one --disposition for each --channel, in the same order",
        )
    parts = tuple(Part(c, d) for c, d in zip(channel, disposition, strict=True))
    what = MakeAttempt(parts, off_policy)
    _write(session, p, what, occurred=occurred, by=by, command_id=command_id)


@command(app, "reply", example="cadence reply jerry --channel email --intent yes")
def reply(
    session: Session,
    p: P,
    channel: Annotated[Channel, typer.Option(help="On which channel.")],
    intent: Annotated[Intent | None, typer.Option(help="What they want.")] = None,
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Record that they replied."""
    what = ReplyReceived(channel, intent)
    _write(session, p, what, occurred=occurred, by=by, command_id=command_id)


@command(app, "pause", example="cadence pause jerry 2027-01-11T14:00:00Z")
def pause(
    session: Session,
    p: P,
    until: Annotated[str, typer.Argument(metavar="UNTIL", help="Until when.")],
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Record that they asked us to wait."""
    end = parse_instant(until, "UNTIL")
    if end <= (session.now() if occurred is None else parse_instant(occurred, "--occurred")):
        raise InputError(
            f"UNTIL: invalid {until}: it is over when they ask for it", "give a later time"
        )
    what = PauseRequested(end)
    _write(session, p, what, occurred=occurred, by=by, command_id=command_id)


@command(
    app,
    "auto-reply",
    example="cadence auto-reply jerry --channel email --until 2026-12-14T14:00:00Z",
)
def auto_reply(
    session: Session,
    p: P,
    until: Annotated[
        str | None,
        typer.Option(metavar="INSTANT", help="Back when; else five business days."),
    ] = None,
    channel: Annotated[Channel, typer.Option(help="On which channel.")] = Channel.EMAIL,
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Record an automatic reply; it suspends, and is not a response."""
    end = None if until is None else parse_instant(until, "--until")
    what = AutoReplyReceived(channel, end)
    _write(session, p, what, occurred=occurred, by=by, command_id=command_id)


@command(
    app,
    "failed",
    example="cadence failed jerry --channel call --address +15550100 --reason wrong_number",
)
def failed(
    session: Session,
    p: P,
    channel: Annotated[Channel, typer.Option(help="Which channel.")],
    address: Annotated[str, typer.Option(help="Which address.")],
    reason: Annotated[FailureReason | None, typer.Option(help="Why.")] = None,
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Record that a contact point failed; it is never used again."""
    if not address.strip():
        raise InputError("--address: missing address", "give the address that failed")
    what = ContactPointFailed(channel, address, reason)
    _write(session, p, what, occurred=occurred, by=by, command_id=command_id)


@command(app, "opt-out", example="cadence opt-out jerry --channel sms")
def opt_out(
    session: Session,
    p: P,
    channel: Annotated[Channel | None, typer.Option(help="Only this channel.")] = None,
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Record that they opted out, of a channel or of everything."""
    what = OptOutRequested(channel)
    _write(session, p, what, occurred=occurred, by=by, command_id=command_id)


@command(app, "opt-in", example="cadence opt-in jerry")
def opt_in(
    session: Session,
    p: P,
    channel: Annotated[Channel | None, typer.Option(help="Only this channel.")] = None,
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Record that they took an opt-out back."""
    what = OptedBackIn(channel)
    _write(session, p, what, occurred=occurred, by=by, command_id=command_id)


@command(app, "note", example='cadence note jerry --interest "price, and which lots are free"')
def note(
    session: Session,
    p: P,
    interest: Annotated[str | None, typer.Option(help="What they care about.")] = None,
    value: Annotated[str | None, typer.Option(help="A reason worth a call.")] = None,
    kind: Annotated[
        ValueKind, typer.Option(help="With --value: of which kind.")
    ] = ValueKind.PROFESSIONAL,
    prefers: Annotated[Channel | None, typer.Option(help="The channel they prefer.")] = None,
    hours: Annotated[str | None, typer.Option(help="The local hours they prefer.")] = None,
    guidelines: Annotated[
        bool, typer.Option("--guidelines", help="They know that we will follow up.")
    ] = False,
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Note an interest, a reason worth a call, or a preference."""
    found: list[Command] = []
    if interest is not None:
        found.append(InterestNoted(interest))
    if value is not None:
        with session.reading() as store:
            known = {one.id for one in store.load(p).values}
        free = next(f"value-{n}" for n in range(1, len(known) + 2) if f"value-{n}" not in known)
        found.append(ValueNoted(free, value, kind))
    if prefers is not None or hours is not None:
        found.append(PreferenceStated(prefers, hours))
    if guidelines:
        found.append(GuidelinesAgreed())
    if not found:
        raise InputError("note: missing options", "give --interest TEXT or --value TEXT")
    if len(found) > 1:
        # One event an option, but one command id is one command.
        raise InputError("note: invalid: more than one thing is given", "give them one by one")
    _write(session, p, found[0], occurred=occurred, by=by, command_id=command_id)


@command(app, "referral", example='cadence referral jerry --name "Ann Lee" --call +15550101')
def referral(
    session: Session,
    p: P,
    name: Annotated[str, typer.Option(help="The person they named.")],
    call: Points = None,
    email: Points = None,
    sms: Points = None,
    mail: Points = None,
    video_email: Points = None,
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Record that they named another person to talk to."""
    what = ReferralGiven(name, _points(call, email, sms, mail, video_email))
    _write(session, p, what, occurred=occurred, by=by, command_id=command_id)


@command(app, "end", example="cadence end jerry bought")
def end(
    session: Session,
    p: P,
    reason: Annotated[EndReason, typer.Argument(metavar="REASON", help="Why.")],
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """End the follow-up.

    REASON is bought, declined, disqualified, deceased, no_response or unreachable.
    """
    _write(session, p, EndFollowUp(reason), occurred=occurred, by=by, command_id=command_id)


@command(app, "reopen", example='cadence reopen jerry "met again at the fair"')
def reopen(
    session: Session,
    p: P,
    why: Annotated[str, typer.Argument(metavar="WHY", help="Why.")],
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Reopen an ended follow-up; outreach waits for a response."""
    _write(session, p, ReopenFollowUp(why), occurred=occurred, by=by, command_id=command_id)


@command(app, "tick", example="cadence tick")
def tick(session: Session) -> None:
    """Close the follow-ups whose time to answer has passed.

    It also closes those with no contact point left: no answer can be awaited there.
    """
    now = session.now()
    outcomes: list[Outcome] = []
    if session.exists():
        with session.writing() as store, session.progress("closing") as progress:
            outcomes = store.tick(now, progress=progress)
    if session.json:
        session.print_json([to_builtins(one.decision) for one in outcomes])
        return
    for outcome in outcomes:
        session.write(f"{outcome.prospect.id}: closed ({outcome.prospect.ending.reason})")
    session.write(f"{plural(len(outcomes), 'follow-up')} closed")


@command(app, "rebuild", example="cadence rebuild")
def rebuild(session: Session) -> None:
    """Rebuild the due list from the events."""
    with session.writing() as store:
        before = store.due_rows()
        with session.progress("rebuilding the due list") as progress:
            count = store.rebuild_due(progress=progress)
        same = before == store.due_rows()
    if session.json:
        session.print_json({"prospects": count, "changed": not same})
        return
    session.write(f"due list of {count} prospects rebuilt, {'un' if same else ''}changed")
