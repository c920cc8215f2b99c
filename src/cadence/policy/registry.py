"""Find the policy of a prospect: the one it adopted, by digest, or the default."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

from cadence.domain.events import PolicyRef
from cadence.domain.prospect import Prospect
from cadence.policy.loader import builtin, builtin_names
from cadence.policy.model import Policy

__all__ = ["PolicyRegistry", "is_builtin"]


def is_builtin(ref: PolicyRef) -> bool:
    """Tell whether ``ref`` names a policy of the catalogue, as it is in this version."""
    return ref.digest in _builtin_digests()


@lru_cache(maxsize=1)
def _builtin_digests() -> frozenset[str]:
    return frozenset(builtin(name).digest for name in builtin_names())


class PolicyRegistry:
    """The known policies: a default, the catalogue, and those that prospects adopted."""

    def __init__(
        self,
        default: Policy | None = None,
        others: Iterable[Policy] = (),
        *,
        find: Callable[[str], Policy | None] | None = None,
    ) -> None:
        """Collect policies.

        Args:
            default: the policy of a prospect that adopted none; ``tip8`` if it is not given.
            others: further policies, beside the catalogue.
            find: looks up a policy by its digest, where it is none of these.
        """
        self.default = default or builtin()
        known = [*others, self.default]
        self._by_digest = {policy.digest: policy for policy in known}
        self._catalogue = False
        self._find = find

    def under(self, default: Policy) -> PolicyRegistry:
        """Return the same policies with another default."""
        return PolicyRegistry(default, self._by_digest.values(), find=self._find)

    def of(self, prospect: Prospect) -> Policy | None:
        """Return the policy of ``prospect``; ``None`` if it adopted an unknown one."""
        if prospect.policy is None:
            return self.default
        # By digest, not by name: an edited policy must not rewrite what was agreed under it.
        return self.find(prospect.policy.digest)

    def find(self, digest: str) -> Policy | None:
        """Return the policy with this digest; ``None`` if it is unknown."""
        if digest not in self._by_digest and not self._catalogue:
            # Read only where it is needed: in most stores every prospect has the default.
            self._catalogue = True
            self._by_digest.update((p.digest, p) for p in map(builtin, builtin_names()))
        if digest not in self._by_digest and self._find is not None:
            found = self._find(digest)
            if found is not None:
                self._by_digest[digest] = found
        return self._by_digest.get(digest)
