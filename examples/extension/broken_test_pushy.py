"""The same three lines for what is wrong: each failure shows the shortest history found.

Named so that pytest does not collect it by accident: ``pytest broken_test_pushy.py``.
"""

from pushy_guards import no_mondays

from cadence.testing import GuardContract, PolicyContract


class TestPushy(PolicyContract):
    policy = "pushy.toml"


class TestNoMondays(GuardContract):
    guard = no_mondays
