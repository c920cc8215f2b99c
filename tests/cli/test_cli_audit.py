"""``cadence audit`` and ``cadence whatif`` as they are called."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import msgspec
import paths
import pytest
from audit_cases import attempt, later, plant
from clocks import AFTER, ahead
from engine_lives import HOUR, PLACES, live
from own_addresses import own_addresses

from cadence.cli.main import main
from cadence.domain.channels import EMAIL
from cadence.domain.events import AttemptStage, Event, PolicyRef, ReplyReceived
from cadence.policy.loader import parse
from cadence.prover import load
from cadence.prover.proof import prove
from cadence.store import Cadence

Run = Callable[..., tuple[int, str, str]]
BUILTIN = paths.ROOT / "src/cadence/policy/builtin"
BAD = paths.BAD_POLICIES
UNREADABLE = sorted(path.name for path in BAD.glob("error_*.toml"))
REFUTED = sorted(
    path.name
    for path in BAD.glob("*.toml")
    if not path.name.startswith(("error_", "unreachable_"))  # the latter are proved
)
EXAMPLES = sorted((paths.EXAMPLES / "histories").glob("*.jsonl"))


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def go(*arguments: str) -> tuple[int, str, str]:
        code = main(["--db", str(tmp_path / "a.db"), *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return go


def store(tmp_path: Path, *histories: Sequence[Event]) -> None:
    with Cadence.open(str(tmp_path / "a.db")) as app:
        named = [
            [
                own_addresses(number, msgspec.structs.replace(event, prospect=f"p{number}"))
                for event in history
            ]
            for number, history in enumerate(histories)
        ]
        app.histories.append([(history, 0) for history in named], at=ahead())


def breach() -> list[Event]:
    history = live(PLACES[0], attempts=9)
    return plant(history, attempt(), later(PLACES[0], history, 3))


def in_hindsight() -> list[Event]:
    history = live(PLACES[0], attempts=5)
    reply, made = ReplyReceived(EMAIL), history[-1]
    return plant(history, reply, made.occurred_at - HOUR, made.recorded_at + HOUR)


def test_nothing_broken_is_exit_code_0(run: Run, tmp_path: Path) -> None:
    store(tmp_path, live(PLACES[0], close=True))
    assert run("audit") == (0, "1 prospect, 13 events: nothing broken\n", "")
    code, out, _ = run("audit", "--json")
    assert code == 0
    assert json.loads(out) == {"prospects": 1, "events": 13, "findings": []}


def test_an_empty_store_holds_nothing_broken(run: Run) -> None:
    assert run("rebuild")[0] == 0
    assert run("audit") == (0, "0 prospects, 0 events: nothing broken\n", "")
    code, out, _ = run("whatif", "--policy", "tip8")
    assert code == 0
    assert "0 recorded histories" in out


def test_a_finding_is_exit_code_1_and_names_prospect_event_rule_and_why(
    run: Run, tmp_path: Path
) -> None:
    store(tmp_path, live(PLACES[0]), breach())
    code, out, err = run("audit")
    assert (code, err) == (1, "")
    (line,) = [line for line in out.splitlines() if line.startswith("p1")]
    assert line.split(maxsplit=3) == [
        *("p1", "12", "spaced_cap"),
        "spaced call number 7 of the silence; at most 6 (off policy, unnoticed)",
    ]
    assert "spaced_cap             1         0         0         1         0" in out
    assert out.splitlines()[-1] == "2 prospects, 24 events: 1 finding"
    code, out, _ = run("audit", "--json")
    assert code == 1
    told = json.loads(out)
    assert set(told) == {"prospects", "events", "findings"}
    assert [set(one) for one in told["findings"]] == [{"prospect", "version", "rule", "because"}]


def test_what_is_only_known_now_is_counted_and_listed_when_asked_for(
    run: Run, tmp_path: Path
) -> None:
    store(tmp_path, in_hindsight())
    code, out, _ = run("audit")
    assert code == 0
    assert "1 more was in order as known then; list them with --hindsight" in out
    code, out, _ = run("audit", "--hindsight")
    assert code == 1
    assert "(before we knew of it)" in out
    assert json.loads(run("audit", "--json")[1])["findings"] == []
    assert len(json.loads(run("audit", "--json", "--hindsight")[1])["findings"]) == 1


def test_a_policy_that_is_not_at_hand_is_named(run: Run, tmp_path: Path) -> None:
    theirs = PolicyRef("theirs", 3, "ab" * 32)
    history = live(PLACES[0], attempts=3)
    made = msgspec.structs.replace(attempt(AttemptStage.SPACED, "x#1"), policy=theirs)
    store(tmp_path, plant(history, made, later(PLACES[0], history, 3)))
    code, out, _ = run("audit")
    assert code == 0
    assert "1 attempt under theirs version 3 (digest abababababab…), which is not at hand" in out


def test_a_policy_file_makes_a_policy_known(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "ours.toml"
    assert main(["policy", "new", str(path), "--calls", "4"]) == 0
    ours = load(path)
    store(tmp_path, live(PLACES[0], policy=ours, close=True))
    assert "not at hand" in run("audit")[1]
    code, out, _ = run("audit", "--policy", str(path))
    assert (code, out) == (0, "1 prospect, 11 events: nothing broken\n")
    code, out, _ = run("whatif", "--policy", str(path), "--json")
    assert json.loads(out)["attempts"]["same"] == 8


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a database that is only read."""
    folder = tmp_path_factory.mktemp("recorded")
    store(folder, live(PLACES[0], attempts=4), breach())
    return folder


@pytest.fixture(scope="module")
def under_tip8(recorded: Path) -> dict[tuple[str, ...], str]:
    """What each command prints of it under a proved policy."""
    found = {}
    for call in (("audit",), ("audit", "--json"), ("whatif",), ("whatif", "--json")):
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
            main(["--db", str(recorded / "a.db"), *call, "--policy", str(BUILTIN / "tip8.toml")])
        assert err.getvalue() == ""
        found[call] = out.getvalue()
    return found


@pytest.mark.parametrize("command", ["audit", "whatif"])
@pytest.mark.parametrize("name", REFUTED)
def test_a_refuted_policy_is_read_and_a_note_says_so(
    recorded: Path,
    under_tip8: dict[tuple[str, ...], str],
    capsys: pytest.CaptureFixture[str],
    command: str,
    name: str,
) -> None:
    refuted = parse(BAD / name)
    rules = ", ".join(one.rule for one in prove(refuted).refuted)
    for more in ([], ["--json"]):
        proved = under_tip8[command, *more]
        done = main(["--db", str(recorded / "a.db"), command, *more, "--policy", str(BAD / name)])
        out, err = capsys.readouterr()
        assert done == (1 if command == "audit" else 0)
        assert err.startswith(f"note: policy {refuted.id} is refuted ({rules}); ")
        assert err.count("\n") == 1
        if more:
            assert set(json.loads(out)) == set(json.loads(proved))
        elif command == "audit":
            assert out == proved  # nothing in this record is under it


@pytest.mark.parametrize("command", ["audit", "whatif"])
@pytest.mark.parametrize("name", UNREADABLE)
def test_a_policy_that_can_not_be_read_is_an_error(run: Run, command: str, name: str) -> None:
    code, out, err = run(command, "--policy", str(BAD / name))
    assert (code, out, err.count("\n")) == (2, "", 2)


def test_findings_under_a_refuted_policy_are_its_own(run: Run, tmp_path: Path) -> None:
    path = BAD / "cap_by_times.toml"
    refuted = parse(path)
    history = live(PLACES[0], policy=refuted, attempts=4)
    written = attempt(step="spaced#2", channel=EMAIL, policy=refuted)
    store(tmp_path, plant(history, written, later(PLACES[0], history, 5)))
    assert "not at hand" in run("audit")[1]
    code, out, _ = run("audit", "--policy", str(path))
    assert (code, "not at hand" in out) == (1, False)
    assert out.splitlines()[1].split()[:3] == ["p0", "7", "plan"]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_policy_that_was_adopted_is_known_by_itself_in_every_process(
    run: Run, tmp_path: Path, jobs: str
) -> None:
    path = tmp_path / "ours.toml"
    assert main(["policy", "new", str(path), "--calls", "4"]) == 0
    ours = load(path)
    history = live(PLACES[0], policy=ours, attempts=4)
    written = attempt(step="spaced#2", channel=EMAIL, policy=ours)
    store(tmp_path, plant(history, written, later(PLACES[0], history, 5)))
    with Cadence.open(str(tmp_path / "a.db")) as app:
        assert run("audit", "--jobs", jobs)[1].count("which is not at hand") == 1
        app.library.keep(ours)
    code, out, _ = run("audit", "--jobs", jobs)
    assert (code, "not at hand" in out) == (1, False)
    assert out.splitlines()[1].split()[:3] == ["p0", "7", "plan"]


def test_guards_of_the_teams_own_that_can_not_be_asked_are_named(run: Run, tmp_path: Path) -> None:
    text = (BUILTIN / "tip8.toml").read_text(encoding="utf-8").replace('id = "tip8"', 'id = "ours"')
    keys = ('id = "no_fridays"', 'function = "bad_guards:silent"', "version = 1")
    text += "\n".join(["", "[[guards]]", 'kind = "custom"', *keys, ""])
    path = tmp_path / "ours.toml"
    path.write_text(text, encoding="utf-8")
    store(tmp_path, live(PLACES[0], policy=load(path), attempts=3))
    code, out, _ = run("audit", "--policy", str(path))
    assert (code, out.splitlines()[-1]) == (
        0,
        "3 attempts under ours version 1: its guard no_fridays is a function of the team's own, "
        "which can't be asked about the past",
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["audit", "--policy", "nowhere.toml"], "nowhere.toml"),
        (["audit", "--jobs", "0"], "jobs"),
        (["whatif"], "--policy"),
        (["whatif", "--policy", "tip9"], "use tip8"),
        (["whatif", "--policy", "./none.toml"], "none.toml"),
    ],
)
def test_bad_usage_is_exit_code_2(run: Run, arguments: list[str], words: str) -> None:
    code, _, err = run(*arguments)
    assert code == 2
    assert words in err
    assert len(err.splitlines()) == 2


def test_whatif_tells_totals_days_and_who_answered(run: Run, tmp_path: Path) -> None:
    history = live(PLACES[0], attempts=7)
    answered = plant(history, ReplyReceived(EMAIL), history[-1].occurred_at + HOUR)
    store(tmp_path, answered, live(PLACES[1], close=True))
    slow = tmp_path / "slow.toml"
    assert main(["policy", "new", str(slow), "--calls", "4", "--gap", "5"]) == 0
    page = tmp_path / "page.html"
    code, out, _ = run("whatif", "--policy", str(slow), "--html", str(page))
    assert code == 0
    assert "2 recorded histories" in out
    assert "1 answer came after an attempt that slow had not made by then:" in out
    assert "p0" in out
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    told: dict[str, Any] = json.loads(run("whatif", "--policy", str(slow), "--json")[1])
    assert set(told) == {
        *("policy", "prospects", "events", "left_out", "changed", "attempts", "days", "answered"),
    }
    assert told["answered"] == [
        {"prospect": "p0", "version": 10, "attempt": 9, "number": 7, "made": 5}
    ]
    assert told["attempts"]["recorded"] == 17
    assert sum(day["recorded"] for day in told["days"]) == 17
    assert sum(day["under"] for day in told["days"]) == told["attempts"]["under"]


def test_a_page_that_can_not_be_written_is_said(run: Run, tmp_path: Path) -> None:
    store(tmp_path, live(PLACES[0]))
    code, _, err = run("whatif", "--policy", "tip8", "--html", str(tmp_path / "no" / "x.html"))
    assert code == 1
    assert err.splitlines()[1] == "give a file that can be written"


def test_the_examples_break_only_what_they_say_they_break(run: Run) -> None:
    for path in EXAMPLES:
        assert run("import", "--at", AFTER, str(path))[0] == 0
    code, out, _ = run("audit", "--json")
    assert code == 1  # jamie was written to on channels that the policy did not propose
    assert {one["prospect"] for one in json.loads(out)["findings"]} == {"jamie"}
    assert "unnoticed" not in out


def test_a_prospect_that_cannot_be_read_is_named_and_all_others_are_worked_on(
    run: Run, tmp_path: Path
) -> None:
    store(tmp_path, live(PLACES[0]), live(PLACES[0], close=True))
    with sqlite3.connect(tmp_path / "a.db") as rows:
        rows.execute(
            "UPDATE stored_events SET state = replace(state, 'ProspectAdded', 'ProspectAdded.9') "
            "WHERE originator_id = 'p0'"
        )
    assert run("rebuild")[0] == 0  # the row was written when all could be read
    code, out, _ = run("audit", "--json")
    [found] = json.loads(out)["findings"]
    assert (code, found["prospect"], found["version"], found["rule"]) == (1, "p0", 1, "forgotten")
    assert "unknown event type 'ProspectAdded.9'" in found["because"]
    code, out, err = run("export", str(tmp_path / "out.jsonl"))
    assert (code, out.split()[0]) == (1, "13")
    assert "p0 left out: event 1 can't be read" in err
    assert b"p0" not in (tmp_path / "out.jsonl").read_bytes()
    code, out, _ = run("whatif", "--policy", "are-you-ok")
    assert code == 0
    assert "1 prospect left out" in out
    code, out, _ = run("explain", "p0", "--json")
    assert (code, json.loads(out)["decision"]) == (0, "task")
    for command in (["replay", "p0"], ["replay", "--all"], ["due"], ["tick"]):
        code, out, err = run(*command)
        assert (code, err) == (0, "")
    assert "needs a newer version of cadence to read event 1" in run("due")[1]
