"""Keep the policies that prospects adopt with the store, by their digest.

Every program that opens the store then decides under the policy that was adopted.
"""

from __future__ import annotations

from cadence.errors import PolicyError
from cadence.policy.guard_runner import allow
from cadence.policy.loader import own_functions, parse_text
from cadence.policy.model import Policy
from cadence.policy.writer import to_toml
from cadence.prover.proof import require_proof
from cadence.store.recorder import Recorder

__all__ = ["KeptPolicies"]


class KeptPolicies:
    """The policies that a recorder keeps."""

    def __init__(self, recorder: Recorder, *, allow_code: bool = False) -> None:
        """Args:
        recorder: where they are kept.
        allow_code: whether the functions that they name as guards may be imported.
        """
        self._recorder = recorder
        self._allow_code = allow_code
        # What was kept stays, so one look is enough; a writer asks for each event.
        self._seen: set[str] = set()

    def find(self, digest: str) -> Policy | None:
        """Read the policy with this digest; ``None`` if none is kept, or its text is another's.

        Raises:
            StoreError: the database can't be read.
        """
        text = self._recorder.policy_text(digest)
        if text is None:
            return None
        try:
            policy = parse_text(text, f"policy {digest[:12]}…", find_guards=False)
        except PolicyError:
            return None  # not what was kept: its prospects become tasks
        if policy.digest != digest:
            return None
        self.allow(policy)
        return policy

    def allow(self, policy: Policy) -> None:
        """Let the functions that a policy names as guards be imported, if the store allows it."""
        if self._allow_code:
            allow(own_functions(policy))

    def has(self, digest: str) -> bool:
        """Return whether the policy with this digest is kept."""
        if digest not in self._seen and self.find(digest) is not None:
            self._seen.add(digest)
        return digest in self._seen

    def all(self) -> list[Policy]:
        """Read every kept policy, by digest; a text that can't be read is left out."""
        found = map(self.find, self._recorder.policy_digests())
        return [policy for policy in found if policy is not None]

    def remember(self, policy: Policy) -> None:
        """Keep the policy of a prospect that is added, proved or not: its history names it.

        Raises:
            StoreError: the database can't be written.
        """
        if not self.has(policy.digest):
            self._recorder.save_policy(policy.digest, to_toml(policy))
            self._seen.add(policy.digest)

    def keep(self, policy: Policy) -> None:
        """Keep a policy; one that is kept already stays, another text in its place is replaced.

        Raises:
            UnprovedPolicy: it is not proved.
            StoreError: the database can't be written.
        """
        require_proof(policy)
        if self.find(policy.digest) is None:
            self._recorder.save_policy(policy.digest, to_toml(policy))
