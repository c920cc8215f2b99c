"""Find the policy of a prospect: the one that its history names, by digest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

from cadence.domain.events import AttemptMade, Data, PolicyAdopted, PolicyRef, ProspectAdded
from cadence.domain.prospect import Prospect
from cadence.policy.loader import builtin, builtin_names
from cadence.policy.model import Policy

__all__ = ["PolicyRegistry", "is_builtin", "policy_named_by"]


def policy_named_by(data: Data) -> PolicyRef | None:
    """Return the policy that an event names; ``None``: it names none."""
    if isinstance(data, PolicyAdopted):
        return PolicyRef(data.name, data.version, data.digest)
    return data.policy if isinstance(data, ProspectAdded | AttemptMade) else None


def is_builtin(ref: PolicyRef) -> bool:
    """Tell whether ``ref`` names a policy of the catalogue, as it is in this version."""
    return ref.name in _names() and builtin(ref.name).digest == ref.digest


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(builtin_names())


class PolicyRegistry:
    """The known policies: a default, the catalogue, and those that histories name.

    Attributes:
        default: the policy of prospects that are added from now on.
        unnamed: the policy of a history from before, which names none.
    """

    def __init__(
        self,
        default: Policy | None = None,
        others: Iterable[Policy] = (),
        *,
        find: Callable[[str], Policy | None] | None = None,
        unnamed: Policy | None = None,
    ) -> None:
        """Collect policies.

        Args:
            default: the policy of new prospects; ``tip8`` if it is not given.
            others: further policies, beside the catalogue.
            find: looks up a policy by its digest, where it is none of these.
            unnamed: the policy of a history that names none; the default if it is not given.
        """
        self.default = default or builtin()
        self.unnamed = unnamed or self.default
        known = [*others, self.unnamed, self.default]
        self._by_digest = {policy.digest: policy for policy in known}
        self._find = find
        self._first: Policy | None = None
        self._arriving: frozenset[str] = frozenset()

    def at_hand(self) -> list[Policy]:
        """List the policies that were given or looked up so far; of the catalogue only those."""
        return list(self._by_digest.values())

    def under(self, policy: Policy) -> PolicyRegistry:
        """Return the same policies, as if every prospect had been added under ``policy``.

        One that adopted another goes on under that.
        """
        found = PolicyRegistry(policy, self._by_digest.values(), find=self._find)
        found._first = policy
        return found

    def with_default(self, default: Policy) -> PolicyRegistry:
        """Return the same policies with another default for new prospects."""
        others = self._by_digest.values()
        return PolicyRegistry(default, others, find=self._find, unnamed=self.unnamed)

    def with_unnamed(self, policy: Policy | None) -> PolicyRegistry:
        """Return the same policies with another for histories that name none."""
        others = self._by_digest.values()
        return PolicyRegistry(self.default, others, find=self._find, unnamed=policy)

    def with_arriving(self, policies: Iterable[Policy]) -> PolicyRegistry:
        """Return the same policies, and those that are kept together with what is written next."""
        arriving = {policy.digest: policy for policy in policies}
        others = (*self._by_digest.values(), *arriving.values())
        found = PolicyRegistry(self.default, others, find=self._find, unnamed=self.unnamed)
        found._arriving = frozenset(arriving)
        return found

    def is_arriving(self, digest: str) -> bool:
        """Return whether the policy with this digest is kept with what is written next."""
        return digest in self._arriving

    def find(self, digest: str) -> Policy | None:
        """Return the policy with this digest; ``None`` if it is unknown.

        It may read the whole catalogue: where a name is known, :meth:`by_ref` is quicker.
        """
        found = self._by_digest.get(digest)
        if found is None:
            found = next((p for p in map(builtin, builtin_names()) if p.digest == digest), None)
        return found or (None if self._find is None else self._find(digest))

    def of(self, prospect: Prospect) -> Policy | None:
        """Return the policy of ``prospect``; ``None`` if its history names an unknown one."""
        if self._first is not None and prospect.policy_version <= 1:
            return self._first
        if prospect.policy is None:
            return self.unnamed
        # By digest, not by name: an edited policy must not rewrite what was agreed under it.
        return self.by_ref(prospect.policy)

    def by_ref(self, ref: PolicyRef) -> Policy | None:
        """Return the policy with this name and digest; ``None`` if it is unknown."""
        found = self._by_digest.get(ref.digest)
        if found is None and is_builtin(ref):
            found = builtin(ref.name)
        if found is None and self._find is not None:
            found = self._find(ref.digest)
        if found is not None:
            self._by_digest[ref.digest] = found
        return found
