"""Hypothesis profiles, and what every test starts from."""

import gc
import os
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import bad_guards
import pytest
from hypothesis import HealthCheck, Phase, settings

from cadence.cli import commands
from cadence.policy import guard_runner

_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("default", max_examples=60, stateful_step_count=40, **_COMMON)
settings.register_profile(
    "ci",
    max_examples=60,
    stateful_step_count=40,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # who looks into it shrinks it: there is time then
    **_COMMON,
)
settings.register_profile("nightly", max_examples=500, stateful_step_count=60, **_COMMON)
# For runs that are many: mutation testing, further Python versions. The first failure will do.
settings.register_profile(
    "quick",
    max_examples=15,
    stateful_step_count=20,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    **_COMMON,
)
# To look at a failure at once, without waiting for a smaller one.
settings.register_profile(
    "unshrunk", max_examples=60, stateful_step_count=40, phases=list(Phase)[:3], **_COMMON
)
settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_collection_finish() -> None:
    # What was collected lives as long as the run: garbage collection need not look through it.
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def _parsers_are_built_once() -> Iterator[None]:
    """A process has one call and builds its parser; thousands of calls here share theirs.

    It took more than half of the time of a call.
    """
    whole = commands._LazyGroup.get_command
    built: dict[type, dict[str, Any]] = defaultdict(dict)

    def get_command(self: Any, ctx: Any, cmd_name: str) -> Any:
        mine = built[type(self)]
        if cmd_name in mine:
            self.commands[cmd_name] = mine[cmd_name]
        elif cmd_name in self.modules:
            mine[cmd_name] = whole(self, ctx, cmd_name)
        return whole(self, ctx, cmd_name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands._LazyGroup, "get_command", get_command)
        yield


@pytest.fixture(autouse=True)
def _no_database_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CADENCE_DB", raising=False)
    monkeypatch.setenv("CADENCE_BY", "sam")  # it is recorded: the same on every machine


# The guards that policies of the tests name: this code may run.
guard_runner.allow(bad_guards.NAMES)
