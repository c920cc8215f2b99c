"""The picture of the stage machine says what the table says."""

import sys

import paths

from cadence.domain import stages
from cadence.domain.stages import Stage

sys.path.insert(0, str(paths.DOCS))

import drawings


def drawn() -> list[tuple[Stage, str, Stage]]:
    """Return the cells of the picture; an arrow from a box is one from every stage in it."""
    cells = []
    for (source, goal), signals in drawings.arrows().items():
        if goal == "outreach":
            cells += [(Stage(source), f"attempt_{stage}", Stage(stage)) for stage in signals]
            continue
        sources = drawings.FOLLOWED if source == "followed" else [Stage(source)]
        cells += [
            (one, signal, Stage(goal)) for one in sources for signal in signals if one != goal
        ]
    return cells


def test_the_picture_draws_go_cells_and_nothing_else_and_none_twice() -> None:
    cells = drawn()
    assert len(cells) == len(set(cells))
    for stage, signal, goal in cells:
        assert stages.look_up(stage, stages.Signal(signal)) == stages.Cell(stages.Move.GO, goal)


def test_every_go_cell_outside_outreach_is_drawn() -> None:
    cells = set(drawn())
    for (stage, signal), cell in stages.TABLE.items():
        if cell.move is stages.Move.GO and stage not in stages.OUTREACH:
            assert (stage, signal, cell.stage) in cells


def test_every_stage_is_drawn() -> None:
    picture = drawings.stage_machine()
    for stage in Stage:
        assert f">{stage}</text>" in picture.replace("\n", "")


def test_outreach_is_drawn_in_the_order_of_its_stages() -> None:
    picture = drawings.stage_machine()
    places = [picture.index(f">{stage}</text>") for stage in stages.OUTREACH]
    assert places == sorted(places)


def test_no_package_imports_one_below_it() -> None:
    names = drawings.layers()
    for place, name in enumerate(names):
        below = set(names[place + 1 :]) & drawings.imports(name)
        assert not below, f"{name} imports {below}"
