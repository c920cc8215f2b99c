"""Hypothesis profiles, and what every test starts from."""

import os

import pytest
from hypothesis import HealthCheck, Phase, settings

_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("default", max_examples=60, stateful_step_count=40, **_COMMON)
settings.register_profile(
    "ci", max_examples=60, stateful_step_count=40, derandomize=True, **_COMMON
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


@pytest.fixture(autouse=True)
def _no_database_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CADENCE_DB", raising=False)
    monkeypatch.delenv("CADENCE_BY", raising=False)
