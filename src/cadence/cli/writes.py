"""The commands that record what we do and what happened."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from cadence.cli.executors import DaskOption, JobsOption, chosen_executor
from cadence.cli.prospects import P
from cadence.cli.recording import By, CommandId, Occurred, occurred_at, record
from cadence.cli.session import Session, command, new_app
from cadence.domain.channels import BUILT_IN, CALL, EMAIL, MAIL, SMS, VIDEO_EMAIL, Channel
from cadence.domain.events import (
    AttemptMade,
    AutoReplyReceived,
    ContactPoint,
    ContactPointAdded,
    ContactPointFailed,
    ContactPointRemoved,
    ContactPointRestored,
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
)
from cadence.domain.keys import KeyReader
from cadence.domain.plurals import plural
from cadence.domain.prospect import Prospect
from cadence.engine.commands import (
    CancelAppointment,
    Command,
    EndFollowUp,
    MakeAttempt,
    NoteValue,
    ReopenFollowUp,
    SetAppointment,
)
from cadence.engine.decision import to_builtins
from cadence.engine.outcomes import OutcomeWord, parts_of
from cadence.errors import InputError, Refused
from cadence.policy.rules import Rule
from cadence.store import Cadence, Outcome

__all__ = ["app"]

app = new_app()

_OUTCOMES = "How it went: na (no answer), vm (voicemail left), busy, talked, wrong, sent."

Points = Annotated[list[str] | None, typer.Option(help="An address; may be repeated.")]
Reach = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CHANNEL=ADDRESS", help="An address on a channel of the policy's own; repeatable."
    ),
]
OnChannel = Annotated[str, typer.Option(metavar="CHANNEL", help="On which channel.")]
Why = Annotated[str, typer.Option("--why", help="How we know.")]


def _points(
    call: list[str] | None,
    email: list[str] | None,
    sms: list[str] | None,
    mail: list[str] | None,
    video_email: list[str] | None,
    reach: list[str] | None,
) -> tuple[ContactPoint, ...]:
    given: list[tuple[Channel, list[str] | None]] = [
        (CALL, call),
        (EMAIL, email),
        (SMS, sms),
        (MAIL, mail),
        (VIDEO_EMAIL, video_email),
    ]
    for pair in reach or ():
        channel, sign, address = pair.partition("=")
        if not sign:
            raise InputError(
                f"--reach: invalid {pair!r}", "give CHANNEL=ADDRESS, like whatsapp=+12125550100"
            )
        given.append((Channel(channel.strip()), [address]))
    found = []
    for channel, addresses in given:
        for address in addresses or ():
            if not address.strip():
                raise InputError(f"--{channel}: missing address", "give an address")
            found.append(ContactPoint(channel, address))
    return tuple(found)


@command(
    app,
    "add",
    example='cadence add jerry --name "Jerry Doe" --timezone America/New_York --country US '
    "--call +12125550100 --email jerry@example.com",
)
def add(
    session: Session,
    p: Annotated[str, typer.Argument(metavar="P", help="A new id for the prospect.")],
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
    reach: Reach = None,
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
        contact_points=_points(call, email, sms, mail, video_email, reach),
        source=source,
        owner=owner,
    )
    record(session, p, data, occurred=occurred, by=by, command_id=command_id)


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
    given_name: Annotated[str | None, typer.Option(help="As they are called.")] = None,
    family_name: Annotated[str | None, typer.Option(help="Their family name.")] = None,
    salutation: Annotated[
        str | None, typer.Option(help="What is said after Hello: Dr., or Dr. Doe.")
    ] = None,
    language: Annotated[str | None, typer.Option(help="Their language, such as es.")] = None,
    company: Annotated[str | None, typer.Option(help="Their company.")] = None,
    call: Points = None,
    email: Points = None,
    sms: Points = None,
    mail: Points = None,
    video_email: Points = None,
    reach: Reach = None,
    occurred: Occurred = None,
    by: By = None,
) -> None:
    """Correct a prospect's data; add contact points."""
    points = _points(call, email, sms, mail, video_email, reach)
    zones = None if timezone is None else tuple(timezone)
    data = ProspectUpdated(
        name=name,
        timezone=zones[0] if zones is not None and len(zones) == 1 else zones,
        country=country,
        subdivision=subdivision,
        owner=owner,
        given_name=given_name,
        family_name=family_name,
        salutation=salutation,
        language=language,
        company=company,
    )
    changed = data != ProspectUpdated()
    if not points and not changed:
        raise InputError("update: missing options", "give e.g. --name or --email")
    if points:
        _refuse_failed(session, p, points)
    if changed:
        record(session, p, data, occurred=occurred, by=by)
    for point in points:
        added = ContactPointAdded(point.channel, point.address)
        record(session, p, added, occurred=occurred, by=by)


@command(app, "appoint", example="cadence appoint jerry tomorrow 9:00 --agreed-by call")
def appoint(
    session: Session,
    p: P,
    instant: Annotated[list[str], typer.Argument(metavar="INSTANT", help="When we will call.")],
    agreed_by: Annotated[
        str | None,
        typer.Option(
            metavar="CHANNEL", help="The channel on which they agreed just now; a response."
        ),
    ] = None,
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Set an appointment, or move it."""
    agreed = None if agreed_by is None else Channel(agreed_by)
    what = SetAppointment(session.instant(" ".join(instant), "INSTANT"), agreed)
    record(session, p, what, occurred=occurred, by=by, command_id=command_id)


@command(app, "cancel", example="cadence cancel jerry")
def cancel(
    session: Session,
    p: P,
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Cancel the appointment."""
    record(session, p, CancelAppointment(), occurred=occurred, by=by, command_id=command_id)


@command(app, "attempt", example="cadence attempt jerry --channel call --disposition no_answer")
def attempt(
    session: Session,
    p: P,
    channel: Annotated[
        list[str],
        typer.Option(metavar="CHANNEL", help="How; repeat both options for several at once."),
    ],
    disposition: Annotated[list[Disposition], typer.Option(help="How it went.")],
    address: Annotated[
        list[str] | None,
        typer.Option(help="What was used; one for each --channel, in the same order."),
    ] = None,
    intent: Annotated[
        Intent | None, typer.Option(help="What they want, where a part connected.")
    ] = None,
    note: Annotated[str | None, typer.Option(help="Private; no message uses it.")] = None,
    off_policy: Annotated[
        str | None,
        typer.Option(metavar="WHY", help="Why it was made although a rule forbids it."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse it where a rule forbids it.")
    ] = False,
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Log an attempt that was made, and say which rules it broke.

    To ask beforehand use "cadence may".
    """
    if len(channel) != len(disposition):
        raise InputError(
            f"attempt: {len(channel)} --channel but {len(disposition)} --disposition",
            "give one --disposition for each --channel, in the same order",
        )
    addresses: list[str] | list[None] = address or [None] * len(channel)
    if len(addresses) != len(channel):
        raise InputError(
            f"attempt: {len(channel)} --channel but {len(addresses)} --address",
            "give one --address for each --channel, in the same order, or none",
        )
    connected = Disposition.CONNECTED
    if intent is not None and connected not in disposition:
        raise InputError(
            f"--intent: invalid {intent} without a conversation",
            "give it with --disposition connected",
        )
    parts = tuple(
        Part(Channel(on), how, where, intent=intent if how is connected else None)
        for on, how, where in zip(channel, disposition, addresses, strict=True)
    )
    what = MakeAttempt(parts, off_policy, note, strict)
    record(session, p, what, occurred=occurred, by=by, command_id=command_id)


@command(app, "log", example="cadence log jerry vm")
def log(
    session: Session,
    p: P,
    outcome: Annotated[OutcomeWord, typer.Argument(metavar="OUTCOME", help=_OUTCOMES)],
    intent: Annotated[Intent | None, typer.Option(help="What they want, where you talked.")] = None,
    note: Annotated[str | None, typer.Option(help="Private; no message uses it.")] = None,
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Log how the touch that is due went.

    A touch with a call and an email is logged in two words: vm for the call, sent for the email.
    """
    if intent is not None and outcome is not OutcomeWord.TALKED:
        raise InputError(
            f"--intent: invalid {intent} without a conversation", "give it with talked"
        )
    at = occurred_at(session, occurred) or session.now()
    with session.reading() as store:
        prospect = store.load(p)
        policy = store.policies.of(prospect) or store.library.default()
        decision = store.explain(p, at)
        parts = parts_of(prospect, policy, decision, outcome, at, intent)
    what = MakeAttempt(parts, note=note)
    record(session, p, what, occurred=occurred, by=by, command_id=command_id)


@command(app, "reply", example="cadence reply jerry --channel email --intent yes")
def reply(
    session: Session,
    p: P,
    channel: OnChannel,
    intent: Annotated[Intent | None, typer.Option(help="What they want.")] = None,
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Record that they replied."""
    what = ReplyReceived(Channel(channel), intent)
    record(session, p, what, occurred=occurred, by=by, command_id=command_id)


@command(app, "pause", example="cadence pause jerry 2027-01-11 09:00")
def pause(
    session: Session,
    p: P,
    until: Annotated[list[str], typer.Argument(metavar="UNTIL", help="Until when.")],
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Record that they asked us to wait."""
    given = " ".join(until)
    end = session.instant(given, "UNTIL")
    if end <= (occurred_at(session, occurred) or session.now()):
        raise InputError(
            f"UNTIL: invalid {given}: it is over when they ask for it", "give a later time"
        )
    what = PauseRequested(end)
    record(session, p, what, occurred=occurred, by=by, command_id=command_id)


@command(
    app,
    "auto-reply",
    example="cadence auto-reply jerry --channel email --until +2w",
)
def auto_reply(
    session: Session,
    p: P,
    until: Annotated[
        str | None,
        typer.Option(metavar="INSTANT", help="Back when; else five business days."),
    ] = None,
    channel: OnChannel = EMAIL,
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Record an automatic reply; it suspends, and is not a response."""
    end = None if until is None else session.instant(until, "--until")
    what = AutoReplyReceived(Channel(channel), end)
    record(session, p, what, occurred=occurred, by=by, command_id=command_id)


@command(
    app,
    "failed",
    example="cadence failed jerry --channel call --address +12125550100 --reason wrong_number",
)
def failed(
    session: Session,
    p: P,
    channel: OnChannel,
    address: Annotated[str, typer.Option(help="Which address.")],
    reason: Annotated[FailureReason | None, typer.Option(help="Why.")] = None,
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Record that a contact point failed; it is never used again.

    A mailbox that is full, or another failure for now, takes nothing away.
    """
    if not address.strip():
        raise InputError("--address: missing address", "give the address that failed")
    what = ContactPointFailed(Channel(channel), address, reason)
    record(session, p, what, occurred=occurred, by=by, command_id=command_id)


@command(
    app,
    "restore",
    example='cadence restore jerry --address jerry@example.com --why "they wrote from it"',
)
def restore(
    session: Session,
    p: P,
    address: Annotated[str, typer.Option(help="Which address works again.")],
    why: Why,
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Record that a contact point that had failed works again."""
    channel = _channel_of(session, p, address)
    what = ContactPointRestored(channel, address, why)
    record(session, p, what, occurred=occurred, by=by, command_id=command_id)


@command(app, "remove", example='cadence remove jerry --address +12125550100 --why "never theirs"')
def remove(
    session: Session,
    p: P,
    address: Annotated[str, typer.Option(help="Which address is not theirs.")],
    why: Why,
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Take away a contact point that is not theirs."""
    channel = _channel_of(session, p, address)
    what = ContactPointRemoved(channel, address, why)
    record(session, p, what, occurred=occurred, by=by, command_id=command_id)


def _refuse_failed(session: Session, prospect: str, points: tuple[ContactPoint, ...]) -> None:
    """Refuse to add an address that has failed: it would stay unused."""
    with session.reading() as store:
        known = store.load(prospect)
        reader = _reader(store, known)
    for point in points:
        if known.reach.has_failed(reader.key(point.channel, point.address)):
            raise Refused(
                f"{prospect}: {point.channel} {point.address} has failed and is not used again",
                f"if it works again: cadence restore {shlex.quote(prospect)} --address "
                f"{shlex.quote(point.address)} --why WHY",
                rule=Rule.CONTACT_POINT,
            )


def _reader(store: Cadence, known: Prospect) -> KeyReader:
    policy = store.policies.of(known)
    traits = BUILT_IN if policy is None else policy.traits
    region = known.identity.country or store.settings().default_region
    return KeyReader(traits, lambda: region, known.reach.contact_points, is_strict=False)


def _channel_of(session: Session, prospect: str, address: str) -> Channel:
    """Find on which channel a prospect has an address, however it is spelled."""
    with session.reading() as store:
        known = store.load(prospect)
        reader = _reader(store, known)
    points = known.reach.contact_points
    for point in points:
        if address == point.address or point.same == reader.key(point.channel, address):
            return point.channel
    theirs = ", ".join(dict.fromkeys(point.address for point in points)) or "none are known"
    raise InputError(f"{prospect}: unknown address {address!r}", f"use one of theirs: {theirs}")


@command(app, "opt-out", example="cadence opt-out jerry --channel sms")
def opt_out(
    session: Session,
    p: P,
    channel: Annotated[
        str | None, typer.Option(metavar="CHANNEL", help="Only this channel.")
    ] = None,
    except_: Annotated[
        list[str] | None,
        typer.Option("--except", metavar="CHANNEL", help="Everything but this; repeatable."),
    ] = None,
    address: Annotated[str | None, typer.Option(help="The address that they said it from.")] = None,
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Record that they opted out of everything, or of channels."""
    if channel is not None and except_:
        raise InputError("opt-out: invalid, both --channel and --except", "give one of them")
    what = OptOutRequested(
        None if channel is None else Channel(channel),
        tuple(map(Channel, except_ or ())),
        address,
    )
    record(session, p, what, occurred=occurred, by=by, command_id=command_id)


@command(app, "opt-in", example="cadence opt-in jerry")
def opt_in(
    session: Session,
    p: P,
    channel: Annotated[
        str | None, typer.Option(metavar="CHANNEL", help="Only this channel.")
    ] = None,
    why: Annotated[str | None, typer.Option("--why", help="How we know.")] = None,
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Record that they took an opt-out back."""
    what = OptedBackIn(None if channel is None else Channel(channel), why=why)
    record(session, p, what, occurred=occurred, by=by, command_id=command_id)


@command(app, "note", example='cadence note jerry --interest "price, and which lots are free"')
def note(
    session: Session,
    p: P,
    interest: Annotated[str | None, typer.Option(help="What they care about.")] = None,
    value: Annotated[str | None, typer.Option(help="A reason worth a call.")] = None,
    value_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Several, one a line; a line that is indented goes on. - is standard input.",
        ),
    ] = None,
    kind: Annotated[
        ValueKind, typer.Option(help="With --value and --value-file: of which kind.")
    ] = ValueKind.PROFESSIONAL,
    prefers: Annotated[
        str | None, typer.Option(metavar="CHANNEL", help="The channel they prefer.")
    ] = None,
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
        found.append(NoteValue(value, kind))
    if value_file is not None:
        from cadence.cli.value_file import read_values  # loads the languages

        first, *more = read_values(value_file)
        found.append(NoteValue(first, kind, tuple(more)))
    if prefers is not None or hours is not None:
        found.append(PreferenceStated(None if prefers is None else Channel(prefers), hours))
    if guidelines:
        found.append(GuidelinesAgreed())
    if not found:
        raise InputError("note: missing options", "give --interest TEXT or --value TEXT")
    if len(found) > 1:
        # One event an option, but one command id is one command.
        raise InputError("note: invalid: more than one thing is given", "give them one by one")
    record(session, p, found[0], occurred=occurred, by=by, command_id=command_id)
    if not session.json and isinstance(found[0], InterestNoted | NoteValue):
        _say_completed(session, p, found[0])


def _say_completed(session: Session, prospect: str, noted: InterestNoted | NoteValue) -> None:
    """Show what is noted as it will be said to them, and why it can't be."""
    from cadence.messages import Form, completed, faults_of_note, language_for, languages_of

    with session.reading() as store:
        team = store.settings().team
        code = language_for(store.load(prospect), team, Form.EMAIL)
    language = languages_of(team)[code]
    kind = noted.kind if isinstance(noted, NoteValue) else None
    texts = (noted.text, *noted.more) if isinstance(noted, NoteValue) else (noted.text,)
    for text in texts:
        sentence = completed(text, language, kind)
        session.write(f'it completes: "{sentence}"')
        for fault in faults_of_note(text, language):
            session.note(f"{fault}; write it as the end of that sentence")


@command(app, "referral", example='cadence referral jerry --name "Ann Lee" --call +12125550101')
def referral(
    session: Session,
    p: P,
    name: Annotated[str, typer.Option(help="The person they named.")],
    call: Points = None,
    email: Points = None,
    sms: Points = None,
    mail: Points = None,
    video_email: Points = None,
    reach: Reach = None,
    occurred: Occurred = None,
    by: By = None,
    command_id: CommandId = None,
) -> None:
    """Record that they named another person to talk to."""
    points = _points(call, email, sms, mail, video_email, reach)
    record(
        *(session, p, ReferralGiven(name, points)),
        occurred=occurred,
        by=by,
        command_id=command_id,
    )
    if not session.json:
        given = [f"--{one.channel} {shlex.quote(one.address)}" for one in points]
        source = shlex.quote(f"referral by {p}")
        words = ["cadence add ID --name", shlex.quote(name), "--timezone ZONE", *given]
        session.write(f"  add them with: {' '.join(words)} --source {source}")


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
    record(session, p, EndFollowUp(reason), occurred=occurred, by=by, command_id=command_id)


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
    record(session, p, ReopenFollowUp(why), occurred=occurred, by=by, command_id=command_id)


@command(app, "tick", example="cadence tick")
def tick(session: Session) -> None:
    """Close the follow-ups whose time to answer has passed.

    It also closes those with no contact point left: no answer can be awaited there. Where the lease
    of a claim with --assume-made ran out, it records the attempt.
    """
    now = session.now()
    outcomes: list[Outcome] = []
    if session.exists():
        with session.writing() as store, session.progress("closing") as progress:
            outcomes = store.tick(now, force=session.force, progress=progress)
    if session.json:
        session.print_json([to_builtins(one.decision) for one in outcomes])
        return
    closed = 0
    for outcome in outcomes:
        event = outcome.events[-1]
        if isinstance(event.data, AttemptMade):
            what = f"assumed made by {event.by}, recorded as version {event.version}"
        else:
            what, closed = f"closed ({outcome.prospect.ending.reason})", closed + 1
        session.write(f"{outcome.prospect.id}: {what}")
    session.write(f"{plural(closed, 'follow-up')} closed")


@command(app, "rebuild", example="cadence rebuild")
def rebuild(session: Session, jobs: JobsOption = None, dask: DaskOption = None) -> None:
    """Rebuild the due list from the events."""
    with session.writing() as store, chosen_executor(store, jobs, dask) as executor:
        before = store.due_rows.stored()
        with session.progress("rebuilding the due list") as progress:
            count = store.due_rows.rebuild(executor=executor, progress=progress)
        same = before == store.due_rows.stored()
    if session.json:
        session.print_json({"prospects": count, "changed": not same})
        return
    session.write(f"due list of {plural(count, 'prospect')} rebuilt, {'un' if same else ''}changed")
