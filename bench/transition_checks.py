"""Transition checks: our compiled table against the trigger of ``transitions`` itself.

Both go over the same cells, every one that the machine allows, each from its own stage. The stock
side has one shared machine with one model; its stage is set before each trigger by a plain
attribute assignment, and our side assigns a variable in its place. The stock side gets the trigger
methods bound beforehand, its fastest form; nothing is subtracted on either side.
"""

from __future__ import annotations

from collections.abc import Callable

from measure import Figure, Plan, interleave, ratio, repeated

from cadence.domain.stages import TABLE, Move, Stage, follow, look_up, machine

__all__ = ["NAME", "run"]

NAME = "transitions"


class _Model:
    """What the stock machine moves; it sets ``state``."""

    state: str


def run(plan: Plan) -> list[Figure]:
    model = _Model()
    machine(model)
    cells = [key for key, cell in TABLE.items() if cell.move is not Move.REFUSE]
    triggers: list[tuple[str, Callable[[], bool]]] = [
        (stage.value, getattr(model, signal.value)) for stage, signal in cells
    ]
    for (stage, signal), (state, trigger) in zip(cells, triggers, strict=True):
        model.state = state
        trigger()
        assert model.state == follow(stage, signal)  # both sides do the same work

    def stock() -> int:
        for state, trigger in triggers:
            model.state = state
            trigger()
        return len(triggers)

    def ours_follow() -> int:
        at: Stage
        for stage, signal in cells:
            at = stage
            at = follow(at, signal)
        return len(cells)

    def ours_look_up() -> int:
        at: Stage
        for stage, signal in cells:
            at = stage
            look_up(at, signal)
        return len(cells)

    sides = {"follow": ours_follow, "look_up": ours_look_up, "transitions trigger": stock}
    rates = interleave(
        {name: repeated(side, plan.slice_seconds) for name, side in sides.items()},
        plan.repetitions,
    )
    return [
        ratio(NAME, rates, "follow", "transitions trigger", target=30),
        ratio(NAME, rates, "look_up", "transitions trigger", target=30),
    ]
