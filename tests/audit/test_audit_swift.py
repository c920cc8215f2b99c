"""The audit's swift path: it passes nothing that the rules, asked one by one, would not."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from audit_cases import CARING, SHORT
from engine_lives import DAY, HOUR, MONDAY, PLACES, live
from hypothesis import given, settings
from hypothesis import strategies as st
from test_audit_counts import log_like
from test_audit_language import ALONG, ANSWERS, CAP, LISTENED, MONDAYS, TURNS, WINDOW, policy

from cadence.audit import Auditor, Finding
from cadence.audit import auditor as walk
from cadence.domain.events import (
    AttemptMade,
    AttemptStage,
    AutoReplyReceived,
    Channel,
    Event,
    Gap,
    Part,
    PreferenceStated,
    ReplyReceived,
)
from cadence.policy import builtin
from cadence.store import Cadence
from cadence.transfer.jsonl import import_jsonl

POLICIES = {
    "tip8": builtin(),
    "caring": CARING,
    "short": SHORT,
    "guarded": policy(WINDOW + CAP),
    "limited": policy("[limits]\nattempts = 4\nspaced_calls = 3\n"),
    "turning": policy(steps=TURNS),
    "on mondays": policy(steps=MONDAYS),
    "answered": policy(steps=ANSWERS),
    "listened": policy(steps=LISTENED),
    "along": policy(steps=ALONG),
}
LIVES = {
    (place, name): live(PLACES[place], policy=policy, close=True)
    for place in (0, 1, 3)
    for name, policy in POLICIES.items()
}


def audited(history: list[Event], name: str, *, swiftly: bool) -> list[Finding]:
    with pytest.MonkeyPatch.context() as patch:
        if not swiftly:
            patch.setattr(walk, "surely_in_order", lambda *_: False)
        return Auditor(POLICIES[name]).audit(history)


moves = st.one_of(
    st.integers(-40, 40).map(lambda minutes: timedelta(minutes=minutes)),
    st.integers(-30, 30).map(lambda hours: timedelta(hours=hours)),
    st.integers(-3, 70).map(lambda days: timedelta(days=days)),
)


@given(data=st.data(), life=st.sampled_from(sorted(LIVES)))
@settings(max_examples=400)
def test_the_swift_path_finds_what_the_rules_find(
    data: st.DataObject, life: tuple[int, str]
) -> None:
    """An engine's life in which some events were moved, changed or put in between."""
    history = list(LIVES[life])
    moved = timedelta(0)
    for position, event in enumerate(history):
        made = event.data
        if data.draw(st.sampled_from([False] * 5 + [True])):
            moved = max(moved + data.draw(moves), timedelta(0))
            if isinstance(made, AttemptMade):
                made = msgspec.structs.replace(made, **data.draw(changes))
        at, recorded = event.occurred_at + moved, event.recorded_at + moved
        history[position] = msgspec.structs.replace(
            event, occurred_at=at, recorded_at=recorded, data=made
        )
    if data.draw(st.booleans()):
        position = data.draw(st.integers(1, len(history)))
        at = history[position - 1].occurred_at + HOUR
        fact = data.draw(facts)
        history.insert(position, Event("jo", 0, at, at + data.draw(lateness), fact))
    history = [
        msgspec.structs.replace(event, version=version) for version, event in enumerate(history, 1)
    ]
    _, name = life
    assert audited(history, name, swiftly=True) == audited(history, name, swiftly=False)


changes = st.fixed_dictionaries(
    {},
    optional={
        "gap": st.sampled_from([None, Gap(3, 0), Gap(2, 0), Gap(0, 10)]),
        "stage": st.sampled_from(list(AttemptStage)),
        "step": st.sampled_from([None, "spaced#3", "polite_exit", "half_day", "news#2"]),
        "parts": st.builds(
            lambda channel, went: (Part(channel, went, "+1"),),
            st.sampled_from(Channel),
            st.sampled_from(["no_answer", "sent", "bounced", "connected"]),
        ).map(lambda parts: msgspec.convert(msgspec.to_builtins(parts), tuple[Part, ...])),
        "broke": st.sampled_from([(), ("gap",)]),
    },
)
facts = st.sampled_from(
    [
        ReplyReceived(Channel.EMAIL),
        AutoReplyReceived(Channel.EMAIL),
        AutoReplyReceived(Channel.EMAIL, MONDAY + 17 * DAY),
        PreferenceStated(Channel.EMAIL),
        PreferenceStated(hours="10:00-12:00"),
    ]
)
lateness = st.sampled_from([timedelta(0), 5 * HOUR, 9 * DAY])


def test_the_swift_path_finds_what_the_rules_find_in_something_like_a_log() -> None:
    with Cadence.open(None) as store:
        import_jsonl(store, log_like(7, 300))
        for history in store.histories():
            swift = audited(history, "tip8", swiftly=True)
            assert swift == audited(history, "tip8", swiftly=False)


def test_most_of_what_the_engine_did_passes_on_the_swift_path() -> None:
    passed = []
    with pytest.MonkeyPatch.context() as patch:
        surely = walk.surely_in_order
        patch.setattr(walk, "surely_in_order", lambda *a: passed.append(surely(*a)) or passed[-1])
        assert Auditor(builtin()).audit(LIVES[0, "tip8"]) == []
    assert all(passed)
    assert len(passed) == 10
