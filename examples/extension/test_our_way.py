"""Three lines for a policy, three for a guard: everything that each of them promises."""

from our_guards import no_mondays

from cadence.testing import GuardContract, PolicyContract


class TestOurWay(PolicyContract):
    policy = "our-way.toml"


class TestNoMondays(GuardContract):
    guard = no_mondays
