"""Hypothesis strategies for events: anything the types allow, whether or not it makes sense."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import strategies as st

from cadence.domain.channels import CHANNELS, Channel
from cadence.domain.events import (
    DATA_TYPES,
    AddressesRead,
    AppointmentCancelled,
    AppointmentSet,
    AttemptMade,
    AttemptStage,
    AutoReplyReceived,
    ContactPoint,
    ContactPointAdded,
    ContactPointFailed,
    ContactPointRemoved,
    ContactPointRestored,
    Data,
    Disposition,
    EndReason,
    Event,
    EventCorrected,
    EventRetracted,
    FailureReason,
    FollowUpEnded,
    FollowUpReopened,
    Gap,
    GuidelinesAgreed,
    Intent,
    InterestNoted,
    Noted,
    OptedBackIn,
    OptOutRequested,
    Part,
    PauseRequested,
    PolicyAdopted,
    PolicyRef,
    PreferenceStated,
    ProspectAdded,
    ProspectsMerged,
    ProspectUpdated,
    ReferralGiven,
    ReplyReceived,
    SamePersonDenied,
    ValueKind,
    ValueNoted,
)

FIRST = datetime(1970, 1, 1, tzinfo=UTC)
LAST = datetime(2199, 12, 31, 23, 59, 59, 999999, UTC)

_AWKWARD = (
    '"',
    "\\",
    "'; DROP TABLE events; --",
    "{{ name }}",
    "🙂👩‍👩‍👧",
    "שלום, עולם",
    "مرحبا",
    "\u202e",
    "one\ntwo",
    "one\r\ntwo\u2028three",
    "Ā\u0301",
    "null",
)


def texts(min_size: int = 0) -> st.SearchStrategy[str]:
    """Any text that every store can hold, and often an awkward one."""
    storable = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
    free = st.text(storable, min_size=min_size, max_size=12)
    return st.one_of(free, st.sampled_from(_AWKWARD))


def instants(first: datetime = FIRST, last: datetime = LAST) -> st.SearchStrategy[datetime]:
    """UTC instants of the years 1970 to 2199, to the microsecond."""
    bounds = (first.replace(tzinfo=None), last.replace(tzinfo=None))
    return st.datetimes(*bounds, timezones=st.just(UTC))


def moments(days: int = 40) -> st.SearchStrategy[datetime]:
    """Hours of a few weeks of 2026, so that instants of one history meet and cross."""
    start = datetime(2026, 11, 2, 8, tzinfo=UTC)
    return st.integers(0, days * 24).map(lambda hours: start + timedelta(hours=hours))


def addresses(few: bool = False) -> st.SearchStrategy[str]:
    """Addresses; few of them, so that failures hit contact points."""
    return st.sampled_from(["a", "b"]) if few else texts(min_size=1)


def keys(few: bool = False) -> st.SearchStrategy[str | None]:
    """Keys, often none: histories from before have none, and ``""`` stands for no address."""
    return st.sampled_from([None, None, "", "a", "b"]) if few else st.none() | texts()


def channels(few: bool = False) -> st.SearchStrategy[Channel]:
    """Channels; now and then one that a team declared."""
    return st.sampled_from(CHANNELS if few else (*CHANNELS, Channel("whatsapp")))


def contact_points(few: bool = False) -> st.SearchStrategy[tuple[ContactPoint, ...]]:
    point = st.builds(ContactPoint, channels(few), addresses(few), keys(few))
    return st.lists(point, max_size=4).map(tuple)


def parts(few: bool = False) -> st.SearchStrategy[tuple[Part, ...]]:
    part = st.builds(
        Part,
        channels(few),
        st.sampled_from([*Disposition, *([Disposition.NO_ANSWER] * 16 if few else [])]),
        st.none() | addresses(few),
        keys(few),
        st.sampled_from([None, None, True, False]),
        st.none() | st.sampled_from(Intent),
    )
    return st.lists(part, min_size=1, max_size=3).map(tuple)


def gaps() -> st.SearchStrategy[Gap]:
    return st.one_of(
        st.builds(Gap, st.integers(1, 400), st.just(0)),
        st.builds(Gap, st.just(0), st.integers(0, 10**6)),
    )


_DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)


def _zones() -> st.SearchStrategy[str | tuple[str, ...]]:
    name = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"])
    return st.one_of(name, st.lists(name, min_size=1, max_size=3).map(tuple), texts(min_size=1))


def _numbered(given: list[tuple[datetime, Data]]) -> tuple[Event, ...]:
    return tuple(Event("q", number, at, at, data) for number, (at, data) in enumerate(given, 1))


def data_strategies(
    when: st.SearchStrategy[datetime] | None = None, *, few: bool = False
) -> dict[type[Data], st.SearchStrategy[Data]]:
    """A strategy for each of the data types.

    Args:
        when: the instants inside the data.
        few: few texts and addresses, and values that a history can refer to again.
    """
    at = instants() if when is None else when
    text = st.sampled_from(["a", "b"]) if few else texts()
    channel = channels(few)
    some = st.lists(channel, max_size=2).map(tuple)
    maybe = st.none() | text
    country = st.none() | st.sampled_from(["US", "DE", "JP"])
    # Half a merge is no end of its own.
    reasons = [one for one in EndReason if not few or one is not EndReason.MERGED]
    policies = st.builds(PolicyRef, text, st.integers(1, 10**6), _DIGESTS)
    rules = st.lists(st.sampled_from(["gap", "quiet_hours"]) | text, max_size=3).map(tuple)
    found: dict[type[Data], st.SearchStrategy[Data]] = {
        ProspectAdded: st.builds(
            ProspectAdded,
            text,
            _zones(),
            country,
            maybe,
            contact_points(few),
            *([maybe] * 7),
            st.none() | policies,
        ),
        ProspectUpdated: st.builds(
            ProspectUpdated, maybe, st.none() | _zones(), country, *([maybe] * 7)
        ),
        ContactPointAdded: st.builds(ContactPointAdded, channel, addresses(few), maybe, keys(few)),
        ContactPointFailed: st.builds(
            ContactPointFailed,
            channel,
            addresses(few),
            st.none() | st.sampled_from(FailureReason),
            keys(few),
            maybe,
        ),
        ContactPointRestored: st.builds(
            ContactPointRestored, channel, addresses(few), texts(1), keys(few)
        ),
        ContactPointRemoved: st.builds(
            ContactPointRemoved, channel, addresses(few), texts(1), keys(few)
        ),
        AddressesRead: st.builds(AddressesRead, contact_points(few)),
        Noted: st.builds(
            Noted, texts(1), st.none() | st.dictionaries(texts(), texts(), max_size=2)
        ),
        GuidelinesAgreed: st.builds(GuidelinesAgreed, maybe),
        PreferenceStated: st.builds(
            PreferenceStated,
            st.none() | channel,
            st.none() | st.just("18:00-20:00") | text,
        ),
        InterestNoted: st.builds(InterestNoted, text),
        ValueNoted: st.builds(ValueNoted, text, text, st.sampled_from(ValueKind)),
        AppointmentSet: st.builds(AppointmentSet, at),
        AppointmentCancelled: st.just(AppointmentCancelled()),
        AttemptMade: st.builds(
            AttemptMade,
            parts(few),
            st.none() | st.sampled_from(AttemptStage),
            maybe,
            maybe,
            st.none() | gaps(),
            maybe,
            st.none() | policies,
            rules,
            maybe,
            st.none() | st.integers(1, 30),
            maybe,
        ),
        ReplyReceived: st.builds(ReplyReceived, channel, st.none() | st.sampled_from(Intent)),
        AutoReplyReceived: st.builds(AutoReplyReceived, channel, st.none() | at),
        PauseRequested: st.builds(PauseRequested, at),
        SamePersonDenied: st.builds(SamePersonDenied, texts(1), texts(1)),
        ReferralGiven: st.builds(ReferralGiven, text, contact_points(few)),
        OptOutRequested: st.builds(
            OptOutRequested, st.none() | channel, some, st.none() | addresses(few), keys(few)
        ),
        OptedBackIn: st.builds(
            OptedBackIn, st.none() | channel, st.none() | addresses(few), keys(few), maybe
        ),
        PolicyAdopted: st.builds(
            PolicyAdopted, text, st.integers(1, 10**6), _DIGESTS, st.none() | at
        ),
        FollowUpEnded: st.builds(FollowUpEnded, st.sampled_from(reasons), st.none() | texts(1)),
        FollowUpReopened: st.builds(FollowUpReopened, text),
    }
    version = st.integers(1, 30)
    inner = st.one_of(list(found.values()))
    found[ProspectsMerged] = st.builds(
        ProspectsMerged,
        st.just("q"),
        st.lists(st.tuples(at, inner), min_size=1, max_size=4).map(_numbered),
        texts(1),
        st.none() | st.just("q") | texts(),
        st.none() | gaps(),
    )
    inner = st.one_of(list(found.values()))
    return {
        **found,
        EventRetracted: st.builds(EventRetracted, version, maybe),
        EventCorrected: st.builds(EventCorrected, version, inner, st.none() | at, maybe),
    }


def events_data(
    when: st.SearchStrategy[datetime] | None = None, *, few: bool = False
) -> st.SearchStrategy[Data]:
    """Any data of any type, each type as likely as the others."""
    return st.one_of(list(data_strategies(when, few=few).values()))


def prospect_ids() -> st.SearchStrategy[str]:
    """Ids: printable, and not only spaces."""
    printable = st.characters(exclude_categories=["C", "Z"], include_characters=" ")
    return st.text(printable, min_size=1, max_size=12).filter(
        lambda text: bool(text.strip()) and text.isprintable()
    )


_ANY = events_data()


def event(prospect: str, version: int) -> st.SearchStrategy[Event]:
    """Any event of ``prospect`` at ``version``."""
    maybe = st.none() | texts()
    return st.builds(
        Event,
        st.just(prospect),
        st.just(version),
        instants(),
        instants(),
        _ANY,
        maybe,
        maybe,
        maybe,
        maybe,
        st.none() | st.dictionaries(texts(), texts(), max_size=2),
    )


_FEW = data_strategies(moments(), few=True)
_KINDS = st.sampled_from(
    [
        *[AttemptMade] * 30,
        *[ReplyReceived, AppointmentSet] * 2,
        *(set(DATA_TYPES.values()) - {EventRetracted, EventCorrected, ProspectsMerged}),
    ]
)
_HOURS = st.integers(0, 30)
_LATE = st.sampled_from([False, False, False, True])


@st.composite
def histories(draw: st.DrawFn, max_size: int = 20) -> list[Event]:
    """Any events of one prospect, numbered 1, 2, …; they need not make sense.

    Most are contacts, attempts, ends and opt-outs within a few weeks; some are learnt of late.
    """
    clock = datetime(2026, 11, 2, 8, tzinfo=UTC)
    found: list[Event] = []
    for version in range(1, draw(st.integers(0, max_size)) + 1):
        kind = ProspectAdded if version == 1 and not draw(_LATE) else draw(_KINDS)
        step = timedelta(hours=draw(_HOURS))
        occurred = clock - 5 * step if draw(_LATE) else clock + step
        clock = max(clock, occurred)
        recorded = clock + timedelta(minutes=1)
        found.append(Event("p", version, occurred, recorded, draw(_FEW[kind])))
    return found


@st.composite
def histories_with_taking_back(draw: st.DrawFn, max_size: int = 20) -> list[Event]:
    """Such histories, in which some events take an earlier one back, or each other."""
    found = draw(histories(max_size).filter(lambda events: len(events) > 1))
    for number in range(1, len(found)):
        if not draw(st.integers(0, 3)):
            version = draw(st.integers(1, number))
            target = found[version - 1].data
            data: Data = EventRetracted(version)
            if draw(st.booleans()) and not isinstance(target, EventRetracted | EventCorrected):
                data = EventCorrected(
                    version, draw(_FEW[type(target)]), draw(st.none() | moments())
                )
            found[number] = msgspec.structs.replace(found[number], data=data)
    return found


def filled(data: Data) -> set[str]:
    """The names of the fields of ``data`` that differ from their defaults."""
    return {
        field.name
        for field in msgspec.structs.fields(type(data))
        if field.required or getattr(data, field.name) != field.default
    }
