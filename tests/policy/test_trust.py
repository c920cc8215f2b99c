"""Policy files and databases are data: their code runs only where somebody says so."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from clocks import ahead
from command_line import Cli, Done
from guarded_policy import BASE

from cadence.cli.main import main
from cadence.domain.events import (
    AttemptMade,
    AttemptStage,
    ContactPoint,
    Disposition,
    Event,
    Part,
    ProspectAdded,
)
from cadence.domain.prospect import Prospect
from cadence.engine import Task
from cadence.errors import PolicyError
from cadence.policy import GuardDelay, Policy, Touch, Veto, guard_runner
from cadence.policy.guard_runner import GuardFailed
from cadence.policy.loader import parse_text
from cadence.prover import load, loads
from cadence.store import Cadence

NOW = datetime(2026, 12, 1, 15, tzinfo=UTC)
LATER = NOW + timedelta(days=9)
ADDED = ProspectAdded("Jo", "UTC", contact_points=(ContactPoint("call", "+12125550100"),))  # type: ignore[arg-type]
TRIED = AttemptMade(
    (Part("call", Disposition.NO_ANSWER),),  # type: ignore[arg-type]
    AttemptStage.SPACED,
    "spaced#1",
)


def text(function: str = "evil:guard") -> str:
    return (
        BASE + f'\n[[guards]]\nkind = "custom"\nid = "ours"\nfunction = "{function}"\nversion = 1\n'
    )


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A policy file with a guard whose module leaves ``evil.ok`` behind when it is imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(guard_runner, "_allowed", set())
    guard_runner.loaded.cache_clear()
    (tmp_path / "evil.py").write_text(
        'open("evil.ok", "w").close()\ndef guard(prospect, touch, at): return None\n'
    )
    (tmp_path / "evil.toml").write_text(text())
    yield tmp_path
    guard_runner.loaded.cache_clear()
    sys.modules.pop("evil", None)


@pytest.fixture
def cli(capfdbinary: pytest.CaptureFixture[bytes]) -> Cli:
    def run(*arguments: object) -> Done:
        capfdbinary.readouterr()
        code = main([*map(str, arguments), "--db", "x.db", "--at", f"{LATER:%Y-%m-%dT%H:%M:%SZ}"])
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return Done(code, out.decode(), err.decode())

    return run


def begin(app: Cadence) -> None:
    """A prospect whose first call was not answered, as a machine that allows the code has it."""
    (added,) = app.execute("jo", ADDED, at=NOW).events
    app.histories.append([([added, Event("jo", 2, NOW, NOW, TRIED)], 1)], at=ahead())


def fill(path: Path) -> None:
    """A database that keeps the policy, and a prospect who is under it."""
    policy = parse_text(text(), "evil.toml")
    with Cadence.open(str(path / "x.db"), default=policy, use_unproved_policies=True) as app:
        begin(app)
    assert not (path / "evil.ok").exists()


REFUSED = [
    ("policy", "check", "evil.toml"),
    ("policy", "diff", "evil.toml", "tip8"),
    ("policy", "adopt", "evil.toml", "jo"),
    ("policy", "adopt", "evil.toml", "jo", "--apply"),
    ("policy", "show", "evil.toml", "--html", "-"),
    ("whatif", "--policy", "evil.toml"),
    ("settings", "default_policy", "evil.toml", "--by", "kim"),
]
LOOKS = [
    ("policy", "show", "evil.toml"),
    ("policy", "show", "guarded"),
    ("policy", "list"),
    ("due", "--all"),
    ("explain", "jo"),
    ("replay", "jo"),
    ("replay", "jo", "--policy", "evil.toml"),
    ("replay", "--all"),
    ("whatif", "--policy", "tip8"),
    ("audit", "--policy", "evil.toml", "--jobs", "1"),
    ("tick",),
    ("rebuild",),
    ("export", "-"),
    ("note", "jo", "--interest", "x", "--by", "kim"),
]


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_what_needs_the_answers_of_a_guard_is_refused_until_its_code_is_allowed(
    arguments: tuple[str, ...], evil: Path, cli: Cli
) -> None:
    fill(evil)
    done = cli(*arguments)
    assert done.code == 2, done
    assert "guard function 'evil:guard': invalid, its code is not allowed" in done.err
    assert "(--allow-code)" in done.err
    assert not (evil / "evil.ok").exists()
    assert cli(*arguments, "--allow-code").code == 0
    assert (evil / "evil.ok").exists()


@pytest.mark.parametrize("arguments", LOOKS, ids=" ".join)
def test_no_command_imports_what_a_file_or_a_database_names(
    arguments: tuple[str, ...], evil: Path, cli: Cli
) -> None:
    fill(evil)
    assert cli(*arguments).code == 0
    assert not (evil / "evil.ok").exists()
    assert "evil" not in sys.modules


def test_the_commands_say_that_the_code_is_not_allowed(evil: Path, cli: Cli) -> None:
    fill(evil)
    assert (
        "not proved: the code of evil:guard is not allowed"
        in cli("policy", "show", "evil.toml").out
    )
    assert cli("policy", "show", "evil.toml", "--json").json["not_allowed"] == ["evil:guard"]
    for look in (("explain", "jo"), ("replay", "jo")):
        said = cli(*look).out
        assert "fix the guard ours" in said
        assert "guard ours failed: guard function 'evil:guard': invalid, its code is not" in said
        assert "allow it where the policy can be trusted (allow_code)" in said
    assert "not proved" in cli("audit", "--policy", "evil.toml", "--jobs", "1").err
    assert "spaced#2" in cli("due", "--all", "--allow-code").out


def test_in_python_a_database_runs_no_code_until_it_is_opened_so(evil: Path) -> None:
    fill(evil)
    with Cadence.open("x.db") as app:
        decision = app.explain("jo", LATER)
        assert isinstance(decision, Task)
        assert "is not allowed" in decision.reasons[0].because
        assert "allow_code" in decision.reasons[0].because
    assert not (evil / "evil.ok").exists()
    with Cadence.open("x.db", allow_code=True) as app:
        assert not isinstance(app.explain("jo", LATER), Task)
    assert (evil / "evil.ok").exists()


def test_in_python_a_policy_is_not_loaded_as_proved_until_its_code_is_allowed(evil: Path) -> None:
    for read in (lambda: load("evil.toml"), lambda: loads(text(), "evil.toml")):
        with pytest.raises(PolicyError, match=r"^evil\.toml: guard function 'evil:guard': invalid"):
            read()
    data = load("evil.toml", use_unproved_policy=True)
    with pytest.raises(PolicyError, match="its code is not allowed"):
        Cadence.open(None, default=data)
    assert not (evil / "evil.ok").exists()
    assert load("evil.toml", allow_code=True) == data
    assert (evil / "evil.ok").exists()


def test_an_installed_entry_point_needs_no_permission(
    evil: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = importlib.metadata.EntryPoint("ours", "evil:guard", guard_runner.ENTRY_POINTS)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: [point])
    loads(text("ours"), "evil.toml")
    assert (evil / "evil.ok").exists()


def test_a_module_that_exits_when_it_is_imported_is_an_error(evil: Path, cli: Cli) -> None:
    (evil / "evil.py").write_text("import sys\nsys.exit(3)\n")
    done = cli("policy", "check", "evil.toml", "--allow-code")
    assert (done.code, done.err.count("\n")) == (2, 2)
    assert "guard function 'evil:guard' can't be loaded: SystemExit: 3" in done.err


# What a guard can do ------------------------------------------------------------------------------


class Wordless(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


class Cancelled(BaseException):
    pass


def silence(policy: Policy) -> Prospect:
    with Cadence.open(None, default=policy, use_unproved_policies=True) as app:
        begin(app)
        return app.load("jo")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SystemExit(3), "it raised SystemExit: 3"),
        (Cancelled("stop\nat once"), "it raised Cancelled: stop"),
        (GeneratorExit(), "it raised GeneratorExit: "),
        (Wordless(), "it raised Wordless: "),
        (ValueError("x" * 9999), "it raised ValueError: " + "x" * 200),
        (RecursionError("deep"), "it raised RecursionError: deep"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_whatever_a_guard_raises_holds_the_touch_and_names_the_cause(
    error: BaseException, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def guard(prospect: Prospect, touch: Touch, at: datetime) -> None:
        raise error

    monkeypatch.setattr(guard_runner, "resolve", lambda name: guard)
    with Cadence.open(
        None, default=parse_text(text(), "x.toml"), use_unproved_policies=True
    ) as app:
        begin(app)
        decision = app.explain("jo", LATER)
    assert isinstance(decision, Task)
    assert decision.reasons[0].rule == "guard"
    assert decision.reasons[0].because == f"spaced#2 is held: guard ours failed: {said}"


def test_only_an_interrupt_passes_through_a_guard() -> None:
    def guard(prospect: Prospect, touch: Touch, at: datetime) -> None:
        raise KeyboardInterrupt

    prospect = silence(parse_text(BASE, "x.toml"))
    with pytest.raises(KeyboardInterrupt):
        guard_runner.call(guard, prospect, Touch("t", "spaced", "spaced#1", ()), NOW)  # type: ignore[arg-type]


class Trap:
    """Raises whatever is asked of it."""

    def __repr__(self) -> str:
        raise SystemExit


@pytest.mark.parametrize(
    "answer",
    [Trap(), Veto(Trap()), GuardDelay(Trap(), "x")],  # type: ignore[arg-type]
)
def test_an_answer_that_can_not_be_shown_holds_the_touch(answer: Any) -> None:
    prospect = silence(parse_text(BASE, "x.toml"))
    touch = Touch("t", "spaced", "spaced#1", ())  # type: ignore[arg-type]
    with pytest.raises(GuardFailed, match="it raised SystemExit"):
        guard_runner.call(lambda *_: answer, prospect, touch, NOW)


def test_a_guard_gets_copies_and_can_not_change_the_prospect() -> None:
    def vandal(prospect: Prospect, touch: Touch, at: datetime) -> None:
        prospect.reach.failed["+12125550100"] = at  # type: ignore[index]
        for attempt in prospect.silence.attempts:
            msgspec.structs.force_setattr(attempt, "at", at)
        msgspec.structs.force_setattr(prospect, "id", "nobody")
        msgspec.structs.force_setattr(touch, "step", "polite_exit")

    policy = parse_text(BASE, "x.toml")
    prospect, before = silence(policy), silence(policy)
    assert prospect == before
    touch = Touch("t", "spaced", "spaced#1", ())  # type: ignore[arg-type]
    assert guard_runner.call(vandal, prospect, touch, NOW) is None
    assert prospect == before
    assert touch.step == "spaced#1"
