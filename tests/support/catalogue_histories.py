"""Makes the golden histories of the catalogue: silences under each policy, played by its own plan.

``python tests/support/catalogue_histories.py`` writes those that are not there yet, and no other.
``python tests/golden/test_golden.py`` then writes what is decided for them. The lines carry only
what somebody outside would know; each history adopts its policy first.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import paths

from cadence.domain import (
    AppointmentSet,
    AttemptMade,
    Channel,
    ContactPoint,
    Data,
    Disposition,
    EndReason,
    Event,
    FollowUpEnded,
    GuidelinesAgreed,
    Intent,
    InterestNoted,
    OptOutRequested,
    Part,
    PauseRequested,
    PolicyAdopted,
    PreferenceStated,
    ProspectAdded,
    ReplyReceived,
    ValueKind,
    ValueNoted,
    encode_line,
)
from cadence.domain.channels import CALL, EMAIL, MAIL, SMS, VIDEO_EMAIL
from cadence.engine import Verdict, advance, complete_attempt
from cadence.engine.loop import decision_for
from cadence.policy import PolicyRegistry, builtin

HISTORIES = paths.GOLDEN / "histories"
START = datetime(2026, 9, 1, 14, 0, tzinfo=UTC)  # a Tuesday, 10:00 in New York
ALL = tuple(
    ContactPoint(channel, address)
    for channel, address in {
        CALL: "+1 212 555 0161",
        SMS: "+1 212 555 0161",
        EMAIL: "robin@example.com",
        VIDEO_EMAIL: "robin@example.com",
        MAIL: "1 Main Street, New York",
    }.items()
)


class Story:
    """One history: touches made when they are due, or later, and whatever else happens."""

    def __init__(self, name: str, policy: str, *, channels: tuple[Channel, ...] = ()) -> None:
        self.lines: list[bytes] = []
        self.policies = PolicyRegistry()
        self.policy = builtin(policy)
        self.now = START
        self.name = name
        self.version = 0
        self.prospect = None
        points = tuple(point for point in ALL if not channels or point.channel in channels)
        self.happens(ProspectAdded("Robin Vale", "America/New_York", "US", None, points))
        ref = self.policy.ref
        self.happens(PolicyAdopted(ref.name, ref.version, ref.digest))
        self.happens(GuidelinesAgreed("we may follow up; a no is fine"))
        self.happens(InterestNoted("a second warehouse"))
        for number, text in enumerate(("a plan of the site", "what others paid"), 1):
            self.happens(ValueNoted(f"value-{number}", text, ValueKind.PROFESSIONAL))

    def happens(self, data: Data, after: timedelta = timedelta(0)) -> None:
        """Let ``data`` happen so long after what happened before."""
        self.now += after
        self.version += 1
        told = Event(self.name, self.version, self.now, self.now, data)
        line = msgspec.json.decode(encode_line(told))
        del line["version"], line["recorded_at"]
        self.lines.append(msgspec.json.encode(line))
        if isinstance(data, AttemptMade):
            data = complete_attempt(self.prospect, data, self.policy, self.now)
        event = Event(self.name, self.version, self.now, self.now, data)
        self.prospect, self.decision = advance(self.prospect, (event,), self.policies, self.now)

    def first(self, *channels: Channel) -> None:
        """The owner's own first attempt."""
        self.happens(AttemptMade(tuple(map(unanswered, channels))), timedelta(hours=1))

    def touches(self, count: int, late: Callable[[int], timedelta] | None = None) -> None:
        """Make the next ``count`` touches that are due; silence."""
        for number in range(count):
            if self.decision.verdict is Verdict.WAIT:
                self.now = self.decision.at
            if late is not None:
                self.now += late(number)
            self.decision = decision_for(self.prospect, self.policies, self.now)
            if self.decision.verdict is Verdict.WAIT:  # closed at that hour: when it opens
                self.now = self.decision.at
                self.decision = decision_for(self.prospect, self.policies, self.now)
            if self.decision.verdict is not Verdict.DUE:
                return
            parts = tuple(unanswered(part.channel) for part in self.decision.touch.parts)
            self.happens(AttemptMade(parts))

    def closes(self) -> None:
        """Go on to the end, and close the file."""
        self.touches(100)
        assert self.decision.verdict is Verdict.CLOSE
        self.happens(FollowUpEnded(self.decision.end))


def unanswered(channel: Channel) -> Part:
    left = Disposition.VOICEMAIL_LEFT if channel == CALL else Disposition.SENT
    return Part(channel, left)


FIRST = {
    "are-you-ok": (CALL,),
    "polite-persistence": (CALL,),
    "until-they-buy-or-say-stop": (CALL,),
    "voicemail-and-email": (CALL, EMAIL),
}

LATE: dict[str, Callable[[int], timedelta]] = {
    "are-you-ok": lambda number: timedelta(days=11 if number in (1, 3) else 0, hours=2),
    "polite-persistence": lambda number: timedelta(days=60 if number == 7 else number % 3, hours=2),
    "until-they-buy-or-say-stop": lambda number: timedelta(days=4 if number % 2 else 0, hours=2),
    "voicemail-and-email": lambda number: timedelta(days=15 if number == 2 else 0, hours=2),
}


def stories() -> Iterator[Story]:
    """Every history of the catalogue."""
    for policy, first in FIRST.items():
        silence = Story(f"{policy}-silence", policy)
        silence.first(*first)
        silence.closes()
        yield silence

        opts_out = Story(f"{policy}-opts-out", policy)
        opts_out.first(*first)
        opts_out.touches(2)
        opts_out.happens(OptOutRequested(CALL), timedelta(hours=2))
        opts_out.touches(1)
        opts_out.happens(OptOutRequested(), timedelta(minutes=30))
        yield opts_out

        late = Story(f"{policy}-late", policy, channels=(CALL, EMAIL))
        late.first(*first)
        late.touches(100, LATE[policy])
        late.closes()
        yield late
    yield from replies()


def replies() -> Iterator[Story]:
    """They answer, each in the way that the policy is after."""
    yes_or_no = Story("polite-persistence-says-no", "polite-persistence")
    yes_or_no.first(CALL)
    yes_or_no.touches(8)
    yes_or_no.happens(ReplyReceived(EMAIL, Intent.NO), timedelta(days=3))
    yes_or_no.happens(FollowUpEnded(EndReason.DECLINED), timedelta(hours=1))
    yield yes_or_no

    buys = Story("until-they-buy-or-say-stop-buys", "until-they-buy-or-say-stop")
    buys.first(CALL)
    buys.touches(10)
    buys.happens(ReplyReceived(SMS, Intent.YES), timedelta(hours=3))
    buys.happens(AppointmentSet(buys.now + timedelta(days=5)))
    kept = AttemptMade((Part(CALL, Disposition.CONNECTED),))
    buys.happens(kept, timedelta(days=5))
    buys.happens(FollowUpEnded(EndReason.BOUGHT), timedelta(hours=1))
    yield buys

    prefers = Story("voicemail-and-email-prefers-video", "voicemail-and-email")
    prefers.first(CALL, EMAIL)
    prefers.touches(1)
    prefers.happens(ReplyReceived(EMAIL, Intent.QUESTION), timedelta(hours=5))
    prefers.happens(PreferenceStated(VIDEO_EMAIL), timedelta(minutes=1))
    prefers.happens(AttemptMade((unanswered(VIDEO_EMAIL),)), timedelta(days=4))
    prefers.closes()
    yield prefers

    well = Story("are-you-ok-was-ill", "are-you-ok")
    well.first(CALL)
    well.touches(5)
    well.happens(ReplyReceived(SMS, Intent.LATER), timedelta(hours=26))
    well.happens(PauseRequested(well.now + timedelta(days=14)), timedelta(minutes=1))
    well.touches(2)
    yield well


if __name__ == "__main__":
    HISTORIES.mkdir(parents=True, exist_ok=True)
    for story in stories():
        path = HISTORIES / f"{story.name}.jsonl"
        if not path.exists():
            path.write_bytes(b"\n".join(story.lines) + b"\n")
