"""The picture of the stage machine says what the table says."""

import sys

import paths

from cadence.domain import stages

sys.path.insert(0, str(paths.DOCS))

import drawings


def test_every_stage_and_every_signal_that_moves_is_drawn() -> None:
    picture = drawings.stage_machine().replace("\n", "")
    for stage in stages.Stage:
        assert f">{stage}</text>" in picture
    words = picture.replace("</text>", " ").replace(">", " ").replace(",", " ").split()
    for signal in stages.Signal:
        moves = any(stages.look_up(stage, signal).move is stages.Move.GO for stage in stages.Stage)
        if moves and not signal.startswith("attempt_"):
            assert signal in words or signal.partition("_before_")[0] + "_before" in words, signal


def test_outreach_is_drawn_in_the_order_of_its_stages() -> None:
    picture = drawings.stage_machine()
    places = [picture.index(f">{stage}</text>") for stage in stages.OUTREACH]
    assert places == sorted(places)


def test_no_package_imports_one_below_it() -> None:
    names = drawings.layers()
    for place, name in enumerate(names):
        below = set(names[place + 1 :]) & drawings.imports(name)
        assert not below, f"{name} imports {below}"
