"""Show a policy as a conversation: all that a sample prospect who never answers would receive."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import msgspec

from cadence.domain.channels import Channel
from cadence.domain.events import Data, InterestNoted, ProspectUpdated, ValueKind, ValueNoted
from cadence.domain.team import Owner, Team
from cadence.engine.decision import Due
from cadence.messages.compose import compose
from cadence.messages.languages import ENGLISH
from cadence.policy.model import Policy
from cadence.policy.touch import TouchPart
from cadence.prover.timetable import unanswered

__all__ = ["SAMPLE_TEAM", "Said", "conversation"]

SAMPLE_TEAM: Final = Team(
    company="Acme",
    owners={"ann": Owner(name="Ann Lee", title="Adviser", phone="+1 212 555 0190")},
    address="1 Main Street, Oldtown, NY 10001",
)
"""Who speaks where a team has said nothing of itself."""

_WHO: Final[dict[str, tuple[str, tuple[tuple[str, ValueKind], ...]]]] = {
    "en": (
        "keeping the barn dry in winter",
        (
            ("a drawing of a barn like yours", ValueKind.PROFESSIONAL),
            ("an article about sailing on the Hudson", ValueKind.PERSONAL),
        ),
    ),
    "es": (
        "cómo mantener seco el granero en invierno",
        (
            ("un plano de un granero como el suyo", ValueKind.PROFESSIONAL),
            ("un artículo sobre vela en el Hudson", ValueKind.PERSONAL),
        ),
    ),
}
"""What the sample person cares about, and what is kept back for them."""


class Said(msgspec.Struct, frozen=True):
    """One touch of the conversation.

    Attributes:
        business_day: counted from the first day, which is 0.
        at: when, on the clock of the prospect.
        step: the step's name.
        parts: what is said, one a channel.
    """

    business_day: int
    at: datetime
    step: str
    parts: tuple[TouchPart, ...]


def conversation(
    policy: Policy,
    language: str = ENGLISH,
    team: Team | None = None,
    channels: tuple[Channel, ...] | None = None,
) -> Iterator[Said]:
    """Yield what a sample person who never answers would receive under ``policy``, day by day.

    Args:
        policy: under which.
        language: the code of their language.
        team: who speaks; :data:`SAMPLE_TEAM`.
        channels: on which they can be reached; all that the team uses.
    """
    speaking = team if team is not None and team.company else SAMPLE_TEAM
    if team is not None and speaking is SAMPLE_TEAM:
        speaking = msgspec.structs.replace(speaking, languages=team.languages)
    interest, values = _WHO.get(language, _WHO[ENGLISH])
    facts: list[Data] = [
        ProspectUpdated(
            name="Jane Smith", language=language, owner=next(iter(speaking.owners), None)
        ),
        InterestNoted(interest),
        *(ValueNoted(f"value-{n}", text, kind) for n, (text, kind) in enumerate(values, 1)),
    ]
    for simulation in unanswered(policy, channels, facts=facts):
        decision = simulation.decision
        if not isinstance(decision, Due):
            return
        composed = compose(
            decision, simulation.prospect, simulation.policies, simulation.now, speaking
        )
        assert composed.touch is not None, "a due decision has a touch"
        parts = composed.touch.parts
        yield Said(simulation.business_day(), simulation.now, composed.touch.step, parts)
