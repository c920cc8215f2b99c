"""Every example runs, and says what its file promises."""

import json
import runpy
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import paths
import pytest
import unmeasured
from clocks import ahead

from cadence.cli.main import main
from cadence.domain import Stage
from cadence.domain.channels import CALL, SMS
from cadence.store import Cadence
from cadence.transfer import import_jsonl

EXAMPLES = paths.EXAMPLES


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLES / script), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def imported(name: str) -> Cadence:
    app = Cadence.open()
    with (EXAMPLES / "histories" / name).open("rb") as lines:
        import_jsonl(app, lines, at=ahead())
    return app


def test_the_pure_core_runs_with_a_list_as_its_store() -> None:
    done = run("pure_core.py")
    assert done.returncode == 0, done.stderr
    assert "refused by plan until 14:10" in done.stdout
    assert "on_time: due ten_minutes" in done.stdout


def test_the_pure_core_example_loads_no_store() -> None:
    code = (
        "import runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__'); "
        "bad = {'eventsourcing', 'sqlite3', 'psycopg', 'typer', 'rich'} & set(sys.modules); "
        "sys.exit(f'loaded {bad}' if bad else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(EXAMPLES / "pure_core.py")],
        capture_output=True,
        text=True,
        check=False,
        env=unmeasured.environment(),
    )
    assert done.returncode == 0, done.stderr


def test_the_application_runs_on_sqlite() -> None:
    done = run("on_sqlite.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "ann is due: on_time",
        "next: wait until 08:10 UTC",
        "engaged: agree the next step",
    ]


def test_a_diallers_calls_are_recorded_once_with_the_rules_they_broke(tmp_path: Path) -> None:
    db = str(tmp_path / "followups.db")
    with Cadence.open(db) as app, (EXAMPLES / "histories/jerry-rings-back.jsonl").open("rb") as f:
        lines = [line.replace(b"jerry-rings-back", b"jerry") for line in f]
        import_jsonl(app, lines[:4], at=ahead())
        import_jsonl(app, [line.replace(b"jerry", b"ada") for line in lines[:1]], at=ahead())
    calls = shutil.copy(EXAMPLES / "dialler_calls.csv", tmp_path)
    first = run("from_dialler.py", calls, db)
    assert first.returncode == 0, first.stderr
    assert "jerry: spaced#1 broke plan" in first.stdout
    assert "jerry: spaced#1 broke plan (known already)" in first.stdout
    with Cadence.open(db) as app:
        before = [app.history(name) for name in ("jerry", "ada")]
    again = run("from_dialler.py", calls, db)
    assert again.stdout.count("(known already)") == 7
    with Cadence.open(db) as app:
        assert [app.history(name) for name in ("jerry", "ada")] == before


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("jerry-rings-back", Stage.ENGAGED),
        ("jerry-answers", Stage.SCHEDULED),
        ("jerry-never-answers", Stage.CLOSED),
        ("jerry-opts-out", Stage.OPTED_OUT),
        ("jamie", Stage.SPACED),
        ("jamie-are-you-ok", Stage.ENGAGED),
    ],
)
def test_each_history_ends_where_its_story_does(name: str, stage: Stage) -> None:
    assert imported(f"{name}.jsonl").load(name).stage is stage


def test_jerrys_calls_come_at_nine_ten_past_nine_and_ten_past_one() -> None:
    history = imported("jerry-never-answers.jsonl").history("jerry-never-answers")
    made = [event for event in history if type(event.data).__name__ == "AttemptMade"]
    steps = [event.data.step for event in made]
    assert steps == [
        "on_time",
        "ten_minutes",
        "half_day",
        *(f"spaced#{number}" for number in range(1, 7)),
        "polite_exit",
    ]
    assert not any(event.data.broke for event in made)


def test_jerry_answers_the_fourth_spaced_call() -> None:
    history = imported("jerry-answers.jsonl").history("jerry-answers")
    connected = [event for event in history if getattr(event.data, "connected", False)]
    assert [event.data.step for event in connected] == ["spaced#4"]


def test_the_trade_show_has_ten_people_a_referral_and_a_buyer() -> None:
    app = imported("trade-show.jsonl")
    prospects = [app.load(name) for name in app.prospects()]
    assert sum(one.id.startswith("show-") for one in prospects) == 10
    assert [one.id for one in prospects if one.stage is Stage.WON] == ["show-07"]
    assert sum(one.stage is Stage.LOST or bool(one.reach.failed) for one in prospects) == 6
    assert app.load("gus").identity.source == "referred by Finn Gray"


def test_jamies_touches_under_tip8_broke_the_plan_and_the_history_says_so() -> None:
    history = imported("jamie.jsonl").history("jamie")
    broke = [event.data.broke for event in history if hasattr(event.data, "broke")]
    assert sum("plan" in one for one in broke) >= 7


def test_jamie_is_asked_whether_she_is_ok_by_voicemail_and_text_after_three_weeks() -> None:
    history = imported("jamie-are-you-ok.jsonl").history("jamie-are-you-ok")
    made = [event for event in history if hasattr(event.data, "broke")]
    assert not any(event.data.broke for event in made)
    first, *_, asked = made
    assert asked.data.step == "are_you_ok"
    assert {part.channel for part in asked.data.parts} == {CALL, SMS}
    assert asked.occurred_at - first.occurred_at == timedelta(days=21)


def test_the_demo_uses_a_database_of_its_own(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path_factory.mktemp("demo")))
    assert main(["demo"]) == 0
    assert list(tmp_path.iterdir()) == []
    shown = capsys.readouterr().out
    for part in ("1. Import", "2. Who to contact now", "3. Why", "4. What happened", "5. Try next"):
        assert part in shown
    assert main(["demo", "--json"]) == 0
    assert {one["decision"] for one in json.loads(capsys.readouterr().out)} <= {"due", "task"}


def test_examples_can_be_imported_without_running() -> None:
    for script in EXAMPLES.glob("*.py"):
        runpy.run_path(str(script), run_name="not_main")
