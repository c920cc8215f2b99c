"""``policy new``: whatever is wished for, the file is proved, or nothing is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Cli, two_lines
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from terminals import Terminal, bare, talk

from cadence.cli.main import main
from cadence.policy.loader import parse, parse_text
from cadence.policy.writer import to_toml
from cadence.prover.proof import prove

_FLAGS = st.fixed_dictionaries(
    {},
    optional={
        "--calls": st.integers(1, 6),
        "--gap": st.sampled_from([1, 2, 3, 10, 60]),
        "--nurture": st.sampled_from([0, 1, 6, 24]),
        "--answer": st.sampled_from([1, 10, 60]),
        "--horizon": st.sampled_from([1, 20, 45, 200, 1000]),
        "--hours": st.sampled_from(["08:00-21:00", "09:00-12:00, 13:00-17:00", "12:00-12:15"]),
        "--title": st.sampled_from(['say "hi"', "a\nb", "{x} {{ y }}", "\\", "# not a comment"])
        | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9),
    },
)


@given(_FLAGS, st.sampled_from([None, "--email"]), st.sampled_from([None, "--concern"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_every_combination_of_flags_is_proved_and_planned_or_nothing_is_written(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: dict[str, object],
    email: str | None,
    concern: str | None,
) -> None:
    file = tmp_path / "our-way.toml"
    file.unlink(missing_ok=True)
    given_ = [f"{name}={value}" for name, value in flags.items()]
    more = [flag for flag in (email, concern) if flag is not None]
    code = main(["policy", "new", str(file), *given_, *more])
    said = capsys.readouterr()
    if code:
        assert code == 2
        assert said.err.count("\n") == 2
        assert "would never be made" in said.err or "that is too often" in said.err
        assert not file.exists()
        return
    policy = parse(file)
    proof = prove(policy)
    assert proof.proved
    assert proof.unreachable == ()
    again = parse_text(to_toml(policy), "again.toml")
    assert again == policy
    assert again.digest == policy.digest
    assert policy.title == flags.get("--title", "our-way")
    spaced = next(step for step in policy.steps if step.id == "spaced")
    assert spaced.touches == flags.get("--calls", 6)
    assert len(spaced.parts) == (2 if email else 1)
    assert any(step.id == "concern" for step in policy.steps) == bool(concern)


def test_what_flags_leave_out_is_not_asked_where_nobody_answers(raw: Cli, folder: Path) -> None:
    made = raw("policy", "new", "our-way.toml", "--json")
    assert made.json["name"] == "our-way"
    assert parse(folder / "our-way.toml").id == "our-way"


@pytest.mark.parametrize(
    ("file", "id_"),
    [
        ("Our Way!.toml", "our-way"),
        ("2027.toml", "policy-2027"),
        ("日本.toml", "policy"),
        ("a" * 200 + ".toml", "a" * 60),
        ("-.toml", "policy"),
        ("...toml", "policy"),
    ],
)
def test_a_policy_is_named_for_its_file(raw: Cli, folder: Path, file: str, id_: str) -> None:
    done = raw("policy", "new", "--", file)
    assert done.code == 0, done
    assert parse(folder / file).id == id_


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["our-way"], 2, "our-way"),
        ([""], 2, "''"),
        (["."], 2, "'.'"),
        (["tip8.toml"], 2, "tip8 is a policy of the catalogue"),
        (["there.toml"], 2, "there.toml: exists already"),
        (["folder.toml"], 2, "folder.toml: exists already"),
        (["no/such/folder.toml"], 1, "No such file or directory"),
        (["a\0.toml"], 1, "null"),
        (["x" * 300 + ".toml"], 1, "too long"),
        (["x.toml", "--hours", "nine to five"], 2, "--hours"),
        (["x.toml", "--hours", "07:00-15:00"], 2, "quiet hours"),
        (["x.toml", "--hours", "09:00-12:00,11:00-15:00"], 2, "overlap"),
        (["x.toml", "--hours", ""], 2, "--hours"),
        (["x.toml", "--calls", "7"], 2, "--calls"),
        (["x.toml", "--calls", "1", "--concern"], 2, "concern would never be made"),
        (["x.toml", "--horizon", "5"], 2, "the horizon of 5 business days"),
        (["x.toml", "--nurture", "24", "--gap", "60"], 2, "the horizon of 1000 business days"),
    ],
)
def test_what_can_not_be_made_is_refused_and_nothing_is_written(
    raw: Cli,
    folder: Path,
    arguments: list[str],
    code: int,
    named: str,
) -> None:
    (folder / "there.toml").write_text("x", encoding="utf-8")
    (folder / "folder.toml").mkdir()
    two_lines(raw("policy", "new", *arguments), code, named)
    assert {path.name for path in folder.iterdir()} == {"there.toml", "folder.toml"}
    assert (folder / "there.toml").read_text(encoding="utf-8") == "x"


def test_questions_are_asked_and_answered(folder: Path) -> None:
    # Calls (7 is none), gap, email, concern, nurture, answer, hours.
    code, text = talk(
        folder, ["policy", "new", "our-way.toml"], "7\n5\n6\ny\ny\n3\n5\n08:30-16:30\n"
    )
    assert code == 0, text
    policy = parse(folder / "our-way.toml")
    steps = {step.id: step for step in policy.steps}
    assert steps["spaced"].touches == 5
    assert steps["spaced"].after is not None
    assert steps["spaced"].after.business_days == 6
    assert len(steps["spaced"].parts) == 2
    assert steps["nurture"].touches == 3
    assert steps["polite_exit"].answer_within is not None
    assert steps["polite_exit"].answer_within.business_days == 5
    assert policy.calendar.mon == ("08:30-16:30",)
    assert prove(policy).proved


def test_what_a_flag_says_is_not_asked_and_enter_takes_what_is_offered(folder: Path) -> None:
    flags = ["--calls", "4", "--gap", "5", "--no-email", "--answer", "3", "--nurture", "0"]
    code, text = talk(folder, ["policy", "new", "our-way.toml", *flags], "\n\n")
    assert code == 0, text
    assert "Spaced calls" not in text
    assert parse(folder / "our-way.toml").calendar.mon == ("09:00-17:00",)


def test_questions_can_be_left(folder: Path) -> None:
    terminal = Terminal(folder, "policy", "new", "our-way.toml")
    terminal.wait_for("Spaced calls")
    terminal.type("4\n")
    terminal.wait_for("Business days between them")
    terminal.interrupt()
    assert terminal.end() == 130
    assert "interrupted" in terminal.text
    assert "Traceback" not in terminal.text
    assert list(folder.iterdir()) == []


_NONSENSE = st.sampled_from(
    ["", " ", "0", "-1", "7", "61", "1e3", "2.5", "nine", "٣", "9" * 30, "09:00", "\0", "-"]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
_ANY_FLAGS = st.dictionaries(
    st.sampled_from(
        ["--calls", "--gap", "--nurture", "--answer", "--horizon", "--hours", "--title", "--emails"]
    ),
    _NONSENSE | st.integers(-2, 70).map(str),
    max_size=4,
)


@given(_ANY_FLAGS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_whatever_the_flags_say_the_file_is_proved_or_the_refusal_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: dict[str, str]
) -> None:
    file = tmp_path / "our-way.toml"
    file.unlink(missing_ok=True)
    code = main(["policy", "new", str(file), *(f"{name}={value}" for name, value in flags.items())])
    said = capsys.readouterr()
    assert code in (0, 2)
    if code:
        assert said.out == ""
        assert said.err.count("\n") == 2, said.err
        assert list(tmp_path.iterdir()) == []
    else:
        assert prove(parse(file)).proved
        assert [one.name for one in tmp_path.iterdir()] == ["our-way.toml"]


def test_every_step_of_the_file_is_explained_by_a_comment(raw: Cli, folder: Path) -> None:
    raw("policy", "new", "our-way.toml", "--concern", "--nurture", "3", "--gap", "6", "--email")
    lines = (folder / "our-way.toml").read_text(encoding="utf-8").splitlines()
    steps = [number for number, line in enumerate(lines) if line == "[[steps]]"]
    assert len(steps) == len(parse(folder / "our-way.toml").steps)
    assert all(lines[number - 1].startswith("# ") for number in steps)


# Asked --------------------------------------------------------------------------------------------


def test_nonsense_is_told_and_asked_again(folder: Path) -> None:
    answers = ["six", "0", "4", "", "maybe", "n", "", "-1", "0", "x", "3", "nine to five"]
    code, text = talk(folder, ["policy", "new", "our-way.toml"], "\n".join([*answers, "", ""]))
    assert code == 0, text
    said = bare(text)
    for wrong in ("invalid 'six'; give a whole number from 1 to 6", "invalid '0'", "invalid '-1'"):
        assert wrong in said
    assert "invalid hours 'nine to five'" in said
    assert "Traceback" not in said
    policy = parse(folder / "our-way.toml")
    assert [step.touches for step in policy.steps if step.id == "spaced"] == [4]
    assert policy.calendar.mon == ("09:00-17:00",)


def test_where_a_wish_is_refused_the_questions_come_again_with_the_answers_offered(
    folder: Path,
) -> None:
    flags = [
        "--gap",
        "2",
        "--no-email",
        "--nurture",
        "0",
        "--answer",
        "2",
        "--hours",
        "10:00-16:00",
    ]
    # One call and a concern message, which is never made; then the same, without it.
    code, text = talk(folder, ["policy", "new", "our-way.toml", *flags], "1\ny\n\nn\n")
    assert code == 0, text
    said = bare(text)
    assert "concern would never be made: it requires 5 attempts" in said
    assert "(1 to 6) [1]" in said
    policy = parse(folder / "our-way.toml")
    assert [step.touches for step in policy.steps if step.id == "spaced"] == [1]
    assert "concern" not in {step.id for step in policy.steps}


@pytest.mark.parametrize("file", ["there.toml", "tip8.toml", "our-way"])
def test_a_name_that_can_not_be_is_told_before_anything_is_asked(folder: Path, file: str) -> None:
    (folder / "there.toml").write_text("x", encoding="utf-8")
    code, text = talk(folder, ["policy", "new", file], "")
    assert code == 2
    assert bare(text).count("\n") == 2
    assert (folder / "there.toml").read_text(encoding="utf-8") == "x"
    assert [one.name for one in folder.iterdir()] == ["there.toml"]


def test_a_file_that_comes_while_questions_are_asked_is_not_replaced(folder: Path) -> None:
    terminal = Terminal(folder, "policy", "new", "our-way.toml")
    terminal.wait_for("Spaced calls")
    (folder / "our-way.toml").write_text("theirs", encoding="utf-8")
    terminal.type("\n" * 7)
    assert terminal.end() == 2
    assert "our-way.toml: exists already" in terminal.text
    assert (folder / "our-way.toml").read_text(encoding="utf-8") == "theirs"
    assert [one.name for one in folder.iterdir()] == ["our-way.toml"]


@pytest.mark.parametrize("answers", ["\x04", "4\n3\n\x04", "what\n\x04"])
def test_the_end_of_input_leaves_the_questions_and_writes_nothing(
    folder: Path, answers: str
) -> None:
    code, text = talk(folder, ["policy", "new", "our-way.toml"], answers)
    assert code == 130, text
    assert "interrupted" in text
    assert "Traceback" not in text
    assert list(folder.iterdir()) == []


def test_a_terminal_that_hangs_up_leaves_no_file(folder: Path) -> None:
    terminal = Terminal(folder, "policy", "new", "our-way.toml")
    terminal.wait_for("Spaced calls")
    assert terminal.hang_up() != 0
    assert list(folder.iterdir()) == []


def test_json_is_never_mixed_with_questions(folder: Path) -> None:
    code, text = talk(folder, ["policy", "new", "our-way.toml", "--json"], "")
    assert code == 0, text
    assert json.loads(bare(text))["name"] == "our-way"
