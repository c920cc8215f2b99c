"""The audit on policies of the full language: nothing on what the engine did under any of them."""

from __future__ import annotations

import paths
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nightly import NIGHTLY

from cadence.audit import Auditor, Finding, Noticed
from cadence.domain.events import AttemptMade, FollowUpEnded, PolicyAdopted
from cadence.policy import Policy, builtin, builtin_names
from cadence.policy.loader import parse
from cadence.testing.strategies import History, histories, policies

BAD = paths.BAD_POLICIES
REFUTED = sorted(
    path.name
    for path in BAD.glob("*.toml")
    if not path.name.startswith(("error_", "unreachable_"))  # the latter are proved
)

slow = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None
)
# Most policies drawn with faults are thrown away, each after its proof.
slower = settings(slow, max_examples=500 if NIGHTLY else 25)


def check(history: History, *known: Policy) -> None:
    """What the engine let pass broke nothing; what it recorded as a breach is found."""
    auditor = Auditor(history.policies.default, known)
    found: dict[int, list[Finding]] = {}
    for one in auditor.audit(history.events):
        if one.noticed is Noticed.HINDSIGHT:
            continue  # something else happened at the same instant
        found.setdefault(one.version, []).append(one)
    assert not auditor.unknown
    for event in history.events:
        mine = found.pop(event.version, [])
        if isinstance(event.data, AttemptMade) and event.data.broke:
            assert mine, f"a breach that was recorded is not found: {event}"
        else:
            assert not mine, f"{event.version} {event.data}\n" + "\n".join(map(str, mine))
        if not isinstance(event.data, AttemptMade | FollowUpEnded | PolicyAdopted):
            assert not mine
    assert not found


@given(st.data(), policies(faults=0, proved=True))
@slow
def test_under_a_policy_at_random_what_the_engine_did_breaks_nothing(
    data: st.DataObject, policy: Policy
) -> None:
    check(data.draw(histories(policy, following=True)))


@given(st.data(), policies(faults=2, guarded=True, proved=True))
@slower
def test_under_a_guarded_policy_what_the_engine_did_breaks_nothing(
    data: st.DataObject, policy: Policy
) -> None:
    check(data.draw(histories(policy)))


@given(st.data(), policies(faults=3))
@slow
def test_under_a_policy_proved_or_refuted_what_the_engine_did_breaks_nothing(
    data: st.DataObject, policy: Policy
) -> None:
    # A refuted policy is the one an auditor most needs to read: the engine stops what it must.
    check(data.draw(histories(policy)))


@pytest.mark.parametrize("name", REFUTED)
@given(st.data())
@settings(slow, max_examples=5)
def test_under_a_refuted_policy_what_the_engine_did_breaks_nothing(
    name: str, data: st.DataObject
) -> None:
    check(data.draw(histories(parse(BAD / name))))


@given(st.data(), st.lists(policies(faults=1, proved=True), min_size=2, max_size=2))
@slower
def test_under_policies_adopted_half_way_what_the_engine_did_breaks_nothing(
    data: st.DataObject, some: list[Policy]
) -> None:
    check(data.draw(histories(some[0], adoptable=some)), *some)


@pytest.mark.parametrize("name", builtin_names())
@given(st.data())
@slow
def test_under_the_catalogue_what_the_engine_did_breaks_nothing(
    name: str, data: st.DataObject
) -> None:
    check(data.draw(histories(builtin(name))))
