"""Which policy is a prospect under? The one it adopted, found by digest, or the default."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

from cadence.domain.events import PolicyRef
from cadence.domain.prospect import Prospect
from cadence.policy.loader import builtin, builtin_names
from cadence.policy.model import Policy

__all__ = ["PolicyRegistry", "is_builtin"]


def is_builtin(ref: PolicyRef) -> bool:
    """Whether ``ref`` names a policy that comes with cadence, as it is in this version."""
    return ref.digest in _builtin_digests()


@lru_cache(maxsize=1)
def _builtin_digests() -> frozenset[str]:
    return frozenset(builtin(name).digest for name in builtin_names())


class PolicyRegistry:
    """The policies at hand: a default, and all that a prospect may have adopted."""

    def __init__(
        self,
        default: Policy | None = None,
        others: Iterable[Policy] = (),
        *,
        find: Callable[[str], Policy | None] | None = None,
    ) -> None:
        """Args:
        default: for a prospect that adopted none; ``tip8``.
        others: known beside it and the catalogue that comes with cadence.
        find: asked for a policy by its digest, where it is none of these.
        """
        self.default = default or builtin()
        known = [*others, self.default]
        self._by_digest = {policy.digest: policy for policy in known}
        self._catalogue = False
        self._find = find

    def under(self, default: Policy) -> PolicyRegistry:
        """The same policies with another default."""
        return PolicyRegistry(default, self._by_digest.values(), find=self._find)

    def of(self, prospect: Prospect) -> Policy | None:
        """The policy of ``prospect``; ``None``: it adopted one that is not at hand."""
        if prospect.policy is None:
            return self.default
        # By digest, not by name: an edited policy must not rewrite what was agreed under it.
        digest = prospect.policy.digest
        if digest not in self._by_digest and not self._catalogue:
            # Read only when somebody adopted one of them: most stores know the default alone.
            self._catalogue = True
            self._by_digest.update((p.digest, p) for p in map(builtin, builtin_names()))
        if digest not in self._by_digest and self._find is not None:
            found = self._find(digest)
            if found is not None:
                self._by_digest[digest] = found
        return self._by_digest.get(digest)
