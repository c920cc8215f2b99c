"""The rooms keep apart: what the pure ones may load, and what they make public."""

import importlib
import subprocess
import sys
from datetime import UTC, datetime

import paths
import pytest
import unmeasured

from cadence.cli.commands import COMMANDS, POLICY_COMMANDS
from cadence.domain import Event, ProspectAdded, evolve
from cadence.engine import next_touch
from cadence.prover import loads

ROOT = paths.ROOT
SOURCE = ROOT / "src" / "cadence"


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=unmeasured.environment(),
    )
    return set(done.stdout.split())


def test_core_and_policy_load_neither_eventsourcing_nor_a_database() -> None:
    loaded = loaded_by(
        "import cadence, cadence.domain, cadence.policy\n"
        "from cadence import builtin, next_touch, fold, decide, advance"
    )
    assert not loaded & {"eventsourcing", "sqlite3", "psycopg", "typer", "rich", "jinja2"}
    assert not {name for name in loaded if name.startswith(("cadence.store", "cadence.cli"))}


def test_a_command_waits_for_no_other() -> None:
    call = "from cadence.cli.main import main; main(['--db', 'missing.db', {!r}])"
    due = loaded_by(call.format("due"))
    modules = {*COMMANDS.values(), *POLICY_COMMANDS.values()}
    assert {f"cadence.cli.{module}" for module in modules} & due == {"cadence.cli.reads"}
    for loaded in (due, loaded_by(call.format("policy")), loaded_by(call.format("replay"))):
        assert not loaded & {"jinja2", "textual", "holidays", "rich.console", "psycopg"}


def test_every_command_is_in_the_table_of_its_module() -> None:
    for table in (COMMANDS, POLICY_COMMANDS):
        for module in set(table.values()):
            app = importlib.import_module(f"cadence.cli.{module}").app
            names = [name for name, its in table.items() if its == module]
            assert [one.name for one in app.registered_commands] == names


def test_the_pure_rooms_read_no_clock_and_make_no_ids() -> None:
    words = ("datetime.now", "utcnow", "date.today", "time.time", "uuid", "random", " open(")
    for room in ("core", "policy"):
        for path in (SOURCE / room).glob("*.py"):
            text = path.read_text(encoding="utf-8")
            found = [word for word in words if word in text]
            # The one file that a policy is read from is opened for the caller, in load().
            assert not found, f"{path.name}: {found}"


def mutable_globals() -> dict[str, str]:
    """Every mutable module variable of the pure rooms, as text."""
    found = {}
    for name, module in sorted(sys.modules.items()):
        if name.startswith(("cadence.domain", "cadence.policy")):
            for variable, value in vars(module).items():
                if isinstance(value, list | dict | set | bytearray) and variable[:2] != "__":
                    found[f"{name}.{variable}"] = repr(value)
    return found


def test_the_pure_rooms_hold_no_global_state() -> None:
    """Deciding for a new zone, country and policy leaves every module variable as it was."""
    now = datetime(2031, 5, 6, 15, 0, tzinfo=UTC)
    policy = loads(
        (SOURCE / "policy/builtin/tip8.toml").read_text(encoding="utf-8").replace("45", "44"), "x"
    )
    before = mutable_globals()
    added = ProspectAdded("Kim", "Pacific/Auckland", "NZ", "AUK")
    prospect = evolve(None, Event("kim", 1, now, now, added))
    decision = next_touch(prospect, policy, now)
    assert next_touch(prospect, policy, now) == decision
    assert mutable_globals() == before


@pytest.mark.parametrize("room", ["cadence", "cadence.domain", "cadence.policy", "cadence.store"])
def test_a_room_lists_its_public_names_and_has_them(room: str) -> None:
    module = importlib.import_module(room)
    assert len(module.__all__) == len(set(module.__all__))
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_the_package_is_typed() -> None:
    assert (SOURCE / "py.typed").exists()


def test_every_public_function_and_class_says_what_it_means() -> None:
    for room in (
        "domain",
        "worktime",
        "policy",
        "engine",
        "prover",
        "messages",
        "store",
        "transfer",
        "analysis",
        "replay",
        "audit",
        "reports",
    ):
        module = importlib.import_module(f"cadence.{room}")
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value) and not type(value).__module__.startswith("types"):
                assert value.__doc__, f"cadence.{room}.{name}"
