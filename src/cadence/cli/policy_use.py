"""The policies that prospects of a database are under, and what the prover says of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from cadence.cli.policy_files import summary
from cadence.cli.session import Session
from cadence.domain.events import PolicyRef
from cadence.domain.plurals import plural
from cadence.policy.guard_runner import is_allowed
from cadence.policy.loader import own_functions
from cadence.policy.model import Policy
from cadence.policy.registry import is_builtin
from cadence.prover.proof import prove

__all__ = ["PolicyUse", "policies_in_use"]


class PolicyUse(NamedTuple):
    """A policy that prospects are under.

    Attributes:
        ref: which.
        prospects: how many, also those that ended.
        policy: with its text; ``None`` if that is not kept here.
        is_builtin: whether the catalogue has it.
        refuted: the rules for which the prover would refuse it now, if it can be asked.
        unchecked: the guards whose code is not allowed, so that nothing can be proved.
    """

    ref: PolicyRef
    prospects: int
    policy: Policy | None
    is_builtin: bool
    refuted: tuple[str, ...]
    unchecked: tuple[str, ...]

    def words(self) -> str:
        """Return what the listing says of it."""
        count = plural(self.prospects, "prospect")
        ref = self.ref
        which = f"{ref.name} version {ref.version}  {ref.digest[:12]}…"
        return f"{which}  {count}{self._verdict()}"

    def _verdict(self) -> str:
        if self.policy is None:
            return "; its text is not kept here, so that their touches become tasks"
        if self.unchecked:
            return f"; not proved: the code of {', '.join(self.unchecked)} is not allowed"
        if self.refuted:
            rules = ", ".join(self.refuted)
            return f"; in force, and refused for a new adoption: it breaks {rules}"
        return ""

    def to_dict(self) -> dict[str, object]:
        """Give it as ``policy list --json`` prints it."""
        ref, policy = self.ref, self.policy
        plain: dict[str, object] = {"name": ref.name, "version": ref.version, "digest": ref.digest}
        if policy is not None:
            plain = summary(policy)
        return {
            **plain,
            "prospects": self.prospects,
            "is_kept": policy is not None,
            "refuted": self.refuted,
            "not_allowed": self.unchecked,
        }


def policies_in_use(session: Session) -> list[PolicyUse]:
    """List the policies that prospects are under; none before the database exists."""
    return list(_policies_in_use(session))


def _policies_in_use(session: Session) -> Iterator[PolicyUse]:
    with session.reading_if_there() as store:
        for ref, prospects in store.library.in_use().items():
            policy, in_catalogue = store.policies.by_ref(ref), is_builtin(ref)
            unchecked: tuple[str, ...] = ()
            refuted: tuple[str, ...] = ()
            if policy is not None and not in_catalogue:
                unchecked = tuple(one for one in own_functions(policy) if not is_allowed(one))
                if not unchecked:
                    refuted = tuple(one.rule for one in prove(policy).refuted)
            yield PolicyUse(ref, prospects, policy, in_catalogue, refuted, unchecked)
