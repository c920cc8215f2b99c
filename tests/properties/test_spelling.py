"""Property: one spelling of an address or another gives the same decisions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cadence.domain.channels import CALL, EMAIL, SMS, Channel
from cadence.domain.events import (
    ContactPoint,
    ContactPointAdded,
    ContactPointFailed,
    ContactPointRemoved,
    ContactPointRestored,
    Disposition,
    FailureReason,
    OptOutRequested,
    Part,
    ProspectAdded,
    ReplyReceived,
)
from cadence.engine.commands import Command, MakeAttempt
from cadence.policy.loader import builtin, builtin_names
from cadence.policy.model import Policy
from cadence.store import Cadence

MONDAY = datetime(2026, 11, 2, 15, tzinfo=UTC)
SPELLINGS = {
    "first": ("+12125550100", "+1 (212) 555-0100", "212.555.0100", "tel:+1-212-555-0100"),
    "second": ("+13125550101", "(312) 555 0101", "1 312 555 0101"),
    "box": ("jo@example.com", "Jo@Example.COM", "mailto:jo@example.com"),
}
ON = {"first": (CALL, SMS), "second": (CALL, SMS), "box": (EMAIL,)}

Fact = tuple[str, str, Channel, int, Any]
"""Kind, address, channel, hours since the fact before, detail."""


@st.composite
def facts(draw: st.DrawFn) -> list[Fact]:
    found: list[Fact] = []
    for _ in range(draw(st.integers(1, 8))):
        address = draw(st.sampled_from(sorted(SPELLINGS)))
        kind = draw(
            st.sampled_from(["attempt"] * 4 + ["failed", "restored", "removed", "added", "opt_out"])
        )
        detail: Any = draw(st.sampled_from(FailureReason))
        if kind == "attempt":
            spoken = [Disposition.NO_ANSWER, Disposition.NO_ANSWER, Disposition.WRONG_NUMBER]
            detail = draw(st.sampled_from(spoken))
        channel = draw(st.sampled_from(ON[address]))
        found.append((kind, address, channel, draw(st.integers(1, 90)), detail))
    return found


def command(fact: Fact, spelled: str) -> Command:
    kind, address, channel, _, detail = fact
    if kind == "attempt":
        how = detail
        if channel != CALL:
            how = Disposition.BOUNCED if detail is Disposition.WRONG_NUMBER else Disposition.SENT
        return MakeAttempt((Part(channel, how, spelled),), "it was made")
    if kind == "failed":
        return ContactPointFailed(channel, spelled, detail)
    if kind == "restored":
        return ContactPointRestored(channel, spelled, "it works again")
    if kind == "removed":
        return ContactPointRemoved(channel, spelled, "never theirs")
    if kind == "added":
        return ContactPointAdded(channel, spelled)
    if address == "box":
        return ReplyReceived(channel)
    return OptOutRequested(channel, address=spelled)


def plain(decision: Any) -> dict[str, Any]:
    """The decision without the addresses as they are spelled, and without sentences."""
    found: dict[str, Any] = decision.to_dict()
    for part in (found["touch"] or {}).get("parts", ()):
        del part["address"]
    for reason in found["reasons"]:
        del reason["because"]
    return found


@settings(deadline=None)
@given(facts(), st.sampled_from(builtin_names()), st.data())
def test_one_spelling_or_another_gives_the_same_decisions(
    happened: list[Fact], name: str, draw: st.DataObject
) -> None:
    policy: Policy = builtin(name)

    def spelled(address: str) -> str:
        return draw.draw(st.sampled_from(SPELLINGS[address]))

    with Cadence.open(default=policy) as one, Cadence.open(default=policy) as other:
        stores = (one, other)
        for store in stores:
            points = (
                *(ContactPoint(channel, spelled("first")) for channel in ON["first"]),
                ContactPoint(EMAIL, spelled("box")),
            )
            added = ProspectAdded("Jo", "America/New_York", "US", contact_points=points)
            store.execute("jo", added, at=MONDAY)
        at = MONDAY
        for fact in happened:
            at += timedelta(hours=fact[3])
            outcomes = [
                store.execute("jo", command(fact, spelled(fact[1])), at=at) for store in stores
            ]
            assert plain(outcomes[0].decision) == plain(outcomes[1].decision)
            now = at + timedelta(days=3)
            explained = [plain(store.explain("jo", now)) for store in stores]
            assert explained[0] == explained[1]
