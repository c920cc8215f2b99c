"""Show a policy as a conversation: all that a sample prospect who never answers would receive."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import msgspec

from cadence.domain.channels import Channel
from cadence.domain.events import (
    AttemptMade,
    Data,
    InterestNoted,
    ProspectUpdated,
    ValueKind,
    ValueNoted,
)
from cadence.domain.team import Owner, Team
from cadence.engine.decision import Due
from cadence.messages.compose import compose
from cadence.messages.languages import ENGLISH
from cadence.policy.model import Policy
from cadence.policy.touch import TouchPart
from cadence.prover.simulation import Simulation
from cadence.prover.timetable import unanswered

__all__ = ["SAMPLE_TEAM", "Said", "conversation"]

SAMPLE_TEAM: Final = Team(
    company="Acme",
    owners={"ann": Owner(name="Ann Lee", title="Adviser", phone="+1 212 555 0190")},
    address="1 Main Street, Oldtown, NY 10001",
)
"""Who speaks where a team has said nothing of itself."""

_WHO: Final[dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]]] = {
    "en": (
        "keeping the barn dry in winter",
        (
            "a drawing of a barn like yours",
            "a list of what dry hay saves in a winter",
            "a plan for airing a barn without a fan",
            "a calculation of what a new roof costs and saves",
            "photos of a barn before and after",
            "a checklist for the first frost",
            "a table of how much water timber takes up",
            "the name of a good carpenter",
        ),
        (
            "an article about sailing on the Hudson",
            "a tide table for the summer",
            "a map of the moorings near you",
            "a book about old boats",
            "a recipe for a fish soup",
            "the dates of the boat show",
            "a film about the lighthouses upriver",
            "a photo of the regatta",
        ),
    ),
    "es": (
        "cómo mantener seco el granero en invierno",
        (
            "un plano de un granero como el suyo",
            "una lista de lo que ahorra el heno seco",
            "un plan para ventilar un granero sin ventilador",
            "un cálculo de lo que ahorra un techo nuevo",
            "fotos de un granero antes y después",
            "una lista para la primera helada",
            "una tabla de cuánta agua absorbe la madera",
            "el nombre de un buen carpintero",
        ),
        (
            "un artículo sobre vela en el Hudson",
            "una tabla de mareas para el verano",
            "un mapa de amarres cercanos",
            "un libro sobre barcos antiguos",
            "una receta de sopa de pescado",
            "las fechas del salón náutico",
            "una película sobre los faros del río",
            "una foto de la regata",
        ),
    ),
}
"""What the sample person cares about; what is kept back for them, professional and personal.

A long policy brings sixteen things of value, each once.
"""


class Said(msgspec.Struct, frozen=True):
    """One touch of the conversation.

    Attributes:
        business_day: counted from the first day, which is 0.
        at: when, on the clock of the prospect.
        step: the step's name.
        parts: what is said, one a channel; none of the owner's own first attempt.
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
    interest, professional, personal = _WHO.get(language, _WHO[ENGLISH])
    values = [
        *((text, ValueKind.PROFESSIONAL) for text in professional),
        *((text, ValueKind.PERSONAL) for text in personal),
    ]
    facts: list[Data] = [
        ProspectUpdated(
            name="Jane Smith", language=language, owner=next(iter(speaking.owners), None)
        ),
        InterestNoted(interest),
        *(ValueNoted(f"value-{n}", text, kind) for n, (text, kind) in enumerate(values, 1)),
    ]
    is_begun = False
    for simulation in unanswered(policy, channels, facts=facts):
        if not is_begun:
            yield from _own_attempts(simulation)
            is_begun = True
        decision = simulation.decision
        if not isinstance(decision, Due):
            return
        composed = compose(
            decision, simulation.prospect, simulation.policies, simulation.now, speaking
        )
        assert composed.touch is not None, "a due decision has a touch"
        parts = composed.touch.parts
        yield Said(simulation.business_day(), simulation.now, composed.touch.step, parts)


def _own_attempts(simulation: Simulation) -> Iterator[Said]:
    """Yield the owner's own first attempt, where a policy begins after it: no script is for it."""
    for event in simulation.events:
        if isinstance(event.data, AttemptMade):
            day = simulation.business_day(event.occurred_at)
            yield Said(day, event.occurred_at, event.data.step or "", ())
