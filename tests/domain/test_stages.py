"""The stage machine: total, forward only, and the same through the table and the library."""

import ast
from collections import deque
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transitions import MachineError

import cadence.domain.stages as stages
from cadence.domain.events import AttemptStage
from cadence.domain.stages import (
    DEFINITION,
    ENDED,
    OUTREACH,
    OVER,
    TABLE,
    Move,
    Signal,
    Stage,
    follow,
    look_up,
    machine,
    rank,
)

SRC = Path(stages.__file__).parents[1]
CELLS = [(stage, signal) for stage in Stage for signal in Signal]
ATTEMPTS = [Signal(f"attempt_{stage}") for stage in OUTREACH]
RESPONSES = (Signal.RESPONSE, Signal.RESPONSE_BEFORE_APPOINTMENT)
ENDS = (Signal.END_WON, Signal.END_LOST, Signal.END_CLOSED)
OPT_INS = (Signal.OPT_IN, Signal.OPT_IN_WON, Signal.OPT_IN_LOST)
BEYOND_RESPONSE = (Stage.OPTED_OUT, Stage.WON, Stage.LOST, Stage.MERGED)
LINE = (
    "new",
    "scheduled",
    "on_time",
    "ten_minutes",
    "half_day",
    "spaced",
    "concern",
    "nurture",
    "polite_exit",
    "closed",
)


class Model:
    """What transitions moves about."""

    state = "new"


MODEL = Model()
MACHINE = machine(MODEL)


def test_the_stages_are_those_of_the_design_in_their_order():
    assert tuple(stage.value for stage in Stage)[: len(LINE)] == LINE
    beside = {"engaged", "won", "lost", "opted_out", "merged"}
    assert {stage.value for stage in Stage} - set(LINE) == beside
    assert tuple(stage.value for stage in OUTREACH) == LINE[2:-1]
    assert [rank(stage) for stage in OUTREACH] == sorted(rank(stage) for stage in OUTREACH)


def test_every_attempt_stage_has_a_signal_and_every_outreach_stage_is_one():
    assert {stage.value for stage in AttemptStage} == {s.value for s in OUTREACH} | {"extra"}
    for stage in AttemptStage:
        assert Signal(f"attempt_{stage}")


def test_the_table_is_total():
    assert set(TABLE) == set(CELLS)


@pytest.mark.parametrize(("stage", "signal"), CELLS)
def test_every_cell_says_the_same_in_the_table_and_in_transitions(stage, signal):
    cell = look_up(stage, signal)
    MACHINE.set_state(stage.value)
    if cell.move is Move.REFUSE:
        with pytest.raises(MachineError):
            MODEL.trigger(signal.value)
        assert MODEL.state == stage.value
    else:
        assert MODEL.trigger(signal.value)
        assert MODEL.state == cell.stage.value
    assert (cell.stage is stage) == (cell.move is not Move.GO)
    assert follow(stage, signal) is cell.stage


def test_no_cell_is_defined_twice():
    defined = [(source, row["trigger"]) for row in DEFINITION for source in row["source"]]
    assert len(defined) == len(set(defined))


def test_the_machine_knows_the_stages_and_signals_and_no_others():
    assert set(MACHINE.states) == {stage.value for stage in Stage}
    assert set(MACHINE.events) == {signal.value for signal in Signal}


@pytest.mark.parametrize("stage", OUTREACH)
@pytest.mark.parametrize("signal", ATTEMPTS)
def test_outreach_never_moves_backwards(stage, signal):
    goal = Stage(signal.value.removeprefix("attempt_"))
    cell = look_up(stage, signal)
    assert rank(cell.stage) >= rank(stage)
    if rank(goal) > rank(stage):
        assert cell.move is Move.GO
        assert cell.stage is goal
    elif rank(goal) < rank(stage):
        assert cell.move is Move.REFUSE


@given(st.lists(st.sampled_from([*ATTEMPTS, Signal.ATTEMPT_EXTRA, Signal.NOTED])))
def test_no_row_of_attempts_moves_backwards(signals):
    stage = Stage.SCHEDULED
    for signal in signals:
        after = follow(stage, signal)
        assert rank(after) >= rank(stage)
        stage = after


@pytest.mark.parametrize("stage", OUTREACH)
@pytest.mark.parametrize("signal", [s for s in Signal if s not in RESPONSES + OPT_INS])
def test_within_a_silence_outreach_is_left_forward_or_for_an_end(stage, signal):
    after = follow(stage, signal)
    assert after in OVER or rank(after) >= rank(stage)


@pytest.mark.parametrize("stage", [Stage.NEW, Stage.ENGAGED])
def test_an_unanswered_attempt_of_the_owners_own_is_the_first_spaced(stage):
    assert look_up(stage, Signal.ATTEMPT_SPACED).stage is Stage.SPACED
    for signal in (
        Signal.ATTEMPT_ON_TIME,
        Signal.ATTEMPT_TEN_MINUTES,
        Signal.ATTEMPT_HALF_DAY,
    ):
        assert look_up(stage, signal).move is Move.REFUSE


@pytest.mark.parametrize("stage", OUTREACH)
def test_a_policy_may_skip_any_stage_after_the_appointment(stage):
    assert look_up(Stage.SCHEDULED, Signal(f"attempt_{stage}")).stage is stage


@pytest.mark.parametrize("stage", sorted(OVER))
@pytest.mark.parametrize("signal", ATTEMPTS)
def test_after_the_end_no_attempt_takes_a_place(stage, signal):
    assert look_up(stage, signal).move is Move.REFUSE


@pytest.mark.parametrize("stage", [Stage.NEW, Stage.ENGAGED])
@pytest.mark.parametrize("goal", [Stage.SPACED, Stage.CONCERN, Stage.NURTURE, Stage.POLITE_EXIT])
def test_outreach_without_an_appointment_may_begin_at_any_stage_that_needs_none(stage, goal):
    assert look_up(stage, Signal(f"attempt_{goal}")) == stages.Cell(Move.GO, goal)


@pytest.mark.parametrize("stage", Stage)
def test_an_extra_is_in_order_until_an_opt_out_and_moves_no_stage(stage):
    move = Move.REFUSE if stage is Stage.OPTED_OUT else Move.STAY
    assert look_up(stage, Signal.ATTEMPT_EXTRA) == stages.Cell(move, stage)


@pytest.mark.parametrize("stage", Stage)
def test_a_note_is_in_order_everywhere_and_moves_nothing(stage):
    assert look_up(stage, Signal.NOTED) == stages.Cell(Move.STAY, stage)


@pytest.mark.parametrize("stage", Stage)
def test_a_response_leads_to_engaged_from_anywhere_but_opted_out_won_and_lost(stage):
    expected = stage if stage in BEYOND_RESPONSE else Stage.ENGAGED
    cell = look_up(stage, Signal.RESPONSE)
    assert cell.move is not Move.REFUSE
    assert cell.stage is expected


@pytest.mark.parametrize("stage", Stage)
def test_a_response_before_the_appointment_keeps_or_brings_back_scheduled(stage):
    cell = look_up(stage, Signal.RESPONSE_BEFORE_APPOINTMENT)
    assert cell.move is not Move.REFUSE
    assert cell.stage is (stage if stage in BEYOND_RESPONSE else Stage.SCHEDULED)


@pytest.mark.parametrize("stage", Stage)
def test_an_opt_out_holds_from_anywhere(stage):
    cell = look_up(stage, Signal.OPT_OUT)
    assert cell.move is not Move.REFUSE
    assert cell.stage is (stage if stage is Stage.MERGED else Stage.OPTED_OUT)


@pytest.mark.parametrize("signal", Signal)
def test_merged_is_left_by_nothing_and_a_merge_comes_from_anywhere(signal):
    assert follow(Stage.MERGED, signal) is Stage.MERGED
    for stage in Stage:
        assert follow(stage, Signal.END_MERGED) is Stage.MERGED


@pytest.mark.parametrize("signal", [s for s in Signal if s not in (*OPT_INS, Signal.END_MERGED)])
def test_opted_out_is_left_by_nothing_but_an_opt_in(signal):
    assert follow(Stage.OPTED_OUT, signal) is Stage.OPTED_OUT


def test_an_opt_in_leads_back_to_engaged_or_to_the_end_the_file_had():
    assert follow(Stage.OPTED_OUT, Signal.OPT_IN) is Stage.ENGAGED
    assert follow(Stage.OPTED_OUT, Signal.OPT_IN_WON) is Stage.WON
    assert follow(Stage.OPTED_OUT, Signal.OPT_IN_LOST) is Stage.LOST


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("signal", [*RESPONSES, Signal.OPT_OUT, *OPT_INS, *ENDS])
def test_what_they_say_and_an_end_are_in_order_at_every_stage(stage, signal):
    assert look_up(stage, signal).move is not Move.REFUSE


@pytest.mark.parametrize("signal", OPT_INS)
@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.OPTED_OUT])
def test_an_opt_in_without_an_opt_out_is_a_response(stage, signal):
    assert follow(stage, signal) is follow(stage, Signal.RESPONSE)


@pytest.mark.parametrize("stage", [Stage.WON, Stage.LOST])
@pytest.mark.parametrize("signal", ENDS)
def test_the_first_of_won_and_lost_counts(stage, signal):
    assert look_up(stage, signal) == stages.Cell(Move.STAY, stage)


@pytest.mark.parametrize(
    ("signal", "end"),
    [
        (Signal.END_WON, Stage.WON),
        (Signal.END_LOST, Stage.LOST),
        (Signal.END_CLOSED, Stage.CLOSED),
    ],
)
@pytest.mark.parametrize("stage", [s for s in Stage if s not in BEYOND_RESPONSE])
def test_an_end_ends_every_open_file_and_won_or_lost_also_a_closed_one(stage, signal, end):
    assert follow(stage, signal) is end


@pytest.mark.parametrize("stage", [*OUTREACH, Stage.CLOSED, *BEYOND_RESPONSE])
def test_outside_new_engaged_and_scheduled_an_appointment_changes_nothing(stage):
    assert look_up(stage, Signal.APPOINTED) == stages.Cell(Move.REFUSE, stage)


@pytest.mark.parametrize("stage", [Stage.NEW, Stage.ENGAGED, Stage.SCHEDULED])
def test_an_appointment_leads_to_scheduled(stage):
    move = Move.STAY if stage is Stage.SCHEDULED else Move.GO
    assert look_up(stage, Signal.APPOINTED) == stages.Cell(move, Stage.SCHEDULED)


@pytest.mark.parametrize(
    ("signal", "back"),
    [(Signal.CANCELLED, Stage.ENGAGED), (Signal.CANCELLED_BEFORE_RESPONSE, Stage.NEW)],
)
def test_a_cancelled_appointment_leads_back_to_where_it_was_agreed(signal, back):
    assert look_up(Stage.SCHEDULED, signal) == stages.Cell(Move.GO, back)


@pytest.mark.parametrize("stage", Stage)
def test_only_an_ended_file_is_reopened(stage):
    reopened, refused = stages.Cell(Move.GO, Stage.ENGAGED), stages.Cell(Move.REFUSE, stage)
    assert look_up(stage, Signal.REOPENED) == (reopened if stage in ENDED else refused)


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.SCHEDULED])
@pytest.mark.parametrize("signal", [Signal.CANCELLED, Signal.CANCELLED_BEFORE_RESPONSE])
def test_there_is_nothing_to_cancel_outside_scheduled(stage, signal):
    assert look_up(stage, signal).move is Move.REFUSE


def test_every_stage_can_be_reached_from_new():
    seen = {Stage.NEW}
    queue = deque(seen)
    while queue:
        stage = queue.popleft()
        for signal in Signal:
            after = follow(stage, signal)
            if after not in seen:
                seen.add(after)
                queue.append(after)
    assert seen == set(Stage)


def test_an_outreach_stage_is_entered_by_its_own_attempt_and_by_nothing_else():
    for (stage, signal), cell in TABLE.items():
        if cell.move is Move.GO and cell.stage in OUTREACH:
            assert signal.value == f"attempt_{cell.stage}", (stage, signal)


def test_there_is_one_machine_construction_in_the_whole_program():
    made = [
        path.relative_to(SRC).as_posix()
        for path in SRC.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", getattr(node.func, "attr", "")).endswith("Machine")
    ]
    assert made == ["domain/stages.py"]


def test_transitions_is_imported_by_one_file():
    users = [
        path.relative_to(SRC).as_posix()
        for path in SRC.rglob("*.py")
        if "transitions import" in path.read_text(encoding="utf-8")
        or "import transitions" in path.read_text(encoding="utf-8")
    ]
    assert users == ["domain/stages.py"]


@pytest.mark.parametrize("stage", OUTREACH)
def test_only_stages_of_several_touches_are_repeated(stage):
    again = look_up(stage, Signal(f"attempt_{stage}"))
    repeated = stage in (Stage.SPACED, Stage.NURTURE, Stage.POLITE_EXIT)
    assert again.move is (Move.STAY if repeated else Move.REFUSE)
