"""The policies of a store: which there are, which is the default, and which it keeps.

Those that prospects adopt are kept with the store, by their digest. So every program that opens it
decides under the policy that was adopted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from cadence.domain.channels import BUILT_IN, Channel, ChannelTraits, in_order
from cadence.domain.events import PolicyAdopted, PolicyRef, ProspectAdded, Unreadable
from cadence.domain.prospect import Prospect
from cadence.domain.stored import decode_row
from cadence.errors import InvalidStore, PolicyError, Refused
from cadence.policy.guard_runner import allow
from cadence.policy.guards import Custom
from cadence.policy.loader import builtin, own_functions, parse_text
from cadence.policy.model import Policy
from cadence.policy.registry import PolicyRegistry, is_builtin, policy_named_by
from cadence.policy.rules import Rule
from cadence.policy.writer import to_toml
from cadence.prover.proof import require_proof
from cadence.store.gate import WriteGate
from cadence.store.recorder import Recorder
from cadence.store.settings import DEFAULT_POLICY, SettingsTable

__all__ = ["PolicyLibrary", "cannot_judge"]


class PolicyLibrary:
    """The policies of a store. Every method raises ``StoreError`` where it can't be used.

    Attributes:
        registry: finds the policy of a prospect.
    """

    def __init__(
        self,
        recorder: Recorder,
        settings: SettingsTable,
        gate: WriteGate,
        *,
        default: Policy | None = None,
        others: Iterable[Policy] = (),
        allow_code: bool = False,
    ) -> None:
        """Args:
        recorder: where policies are kept.
        settings: say which is the default.
        gate: lets writes through.
        default: the policy of new prospects, whatever the settings say.
        others: policies beside the catalogue that are known here.
        allow_code: whether the functions that kept policies name as guards may be imported.
        """
        self._recorder = recorder
        self._settings = settings
        self._gate = gate
        self._follows_settings = default is None
        self._allow_code = allow_code
        # What was kept stays, so one look is enough; a writer asks for each event.
        self._seen: set[str] = set()
        self.registry = PolicyRegistry(default, others, find=self._find)
        self.find_unnamed()

    # Which there are ------------------------------------------------------------------------------

    def default(self) -> Policy:
        """Read the policy of new prospects, as the settings have it now.

        Raises:
            InvalidStore: the settings name a policy that can't be read here.
        """
        if self._follows_settings:
            ref = self._settings.default_policy() or builtin().ref
            if ref.digest != self.registry.default.digest:
                policy = self.registry.find(ref.digest)
                if policy is None:
                    raise InvalidStore(
                        f"{DEFAULT_POLICY}: unknown policy {ref.name} version {ref.version}",
                        "use a newer cadence, or open the store with default=",
                    )
                self.registry = self.registry.with_default(policy)
        return self.registry.default

    def find_unnamed(self) -> None:
        """Find the policy of histories that name none: they stay under the default of their time.

        The stamp of the due list names it.
        """
        words = (self._recorder.due_stamp() or "").split()
        stamped = self.registry.find(words[1]) if len(words) > 1 else None
        self.registry = self.registry.with_unnamed(stamped)

    def judging(self, prospect: Prospect) -> Policy:
        """Return the policy that a prospect is under.

        Raises:
            Refused: it is unknown, or an event of theirs can't be read: nothing can be judged.
        """
        policy = self.registry.of(prospect)
        if policy is None or prospect.unreadable is not None:
            raise cannot_judge(prospect)
        return policy

    def with_arriving(self, arriving: Iterable[Policy]) -> PolicyRegistry:
        """Return the policies, with those that :meth:`remember` keeps before a write.

        Functions that they name as guards are imported only if the store was opened with
        ``allow_code``.
        """
        arriving = tuple(arriving)
        for policy in arriving:
            self._allow(policy)
        return self.registry.with_arriving(arriving)

    def channels(self) -> dict[Channel, ChannelTraits]:
        """Return the channels that are known here: built in, or declared by a policy of the store.

        Where two policies declare one channel, the kept one with the lower digest counts.
        """
        found = dict(BUILT_IN)
        for policy in (*self.kept(), *self.registry.at_hand()):
            found = policy.traits | found
        return {channel: found[channel] for channel in in_order(found)}

    def channels_of(self, prospect: Prospect | None) -> list[Channel]:
        """List the channels that the policy of a prospect knows, or its history.

        Args:
            prospect: ``None``: a new one.
        """
        policy = self.default() if prospect is None else self.registry.of(prospect)
        points = () if prospect is None else prospect.reach.contact_points
        known = BUILT_IN if policy is None else policy.traits
        return in_order([*known, *(point.channel for point in points)])

    def in_use(self) -> dict[PolicyRef, int]:
        """Count the prospects under each policy, also those that ended, by name and version.

        Only the events that name a policy are read, not whole histories.
        """
        under: dict[str, PolicyRef] = {}
        for row in self._recorder.select_topics((ProspectAdded.__name__, PolicyAdopted.__name__)):
            event = decode_row(row.prospect, row.version, row.state)
            if not isinstance(event.data, Unreadable):
                named = policy_named_by(event.data)
                under[event.prospect] = named or self.registry.unnamed.ref
        counted = Counter(under.values())
        return {
            ref: counted[ref] for ref in sorted(counted, key=lambda ref: (ref.name, ref.version))
        }

    # Which are kept -------------------------------------------------------------------------------

    def kept(self) -> list[Policy]:
        """List the policies that are kept with the store, by digest.

        A text that can't be read as a policy is left out, as where a decision needs it.
        """
        found = map(self._find, self._recorder.policy_digests())
        return [policy for policy in found if policy is not None]

    def keep(self, policy: Policy) -> None:
        """Keep a policy with the store, so that every program that opens it knows the policy.

        It is kept under its digest. It becomes the default by ``change_settings`` alone, which
        keeps it too.

        Raises:
            UnprovedPolicy: it is not proved.
        """
        require_proof(policy)
        self._gate.check()
        if self._find(policy.digest) is None:
            self._recorder.save_policy(policy.digest, to_toml(policy))

    def remember(self, policies: Iterable[Policy]) -> int:
        """Keep policies that histories name, proved or not; return how many are new.

        They are kept for these histories. Adopting one, or making it the default, needs its
        proof.
        """
        new = [one for one in policies if not is_builtin(one.ref) and not self._has(one.digest)]
        for policy in new:
            self._gate.check()
            if not self._has(policy.digest):  # named twice
                self._recorder.save_policy(policy.digest, to_toml(policy))
                self._seen.add(policy.digest)
        return len(new)

    def is_shared(self, policy: Policy, *, is_arriving: bool = False) -> bool:
        """Return whether every program that opens the store can read ``policy`` from it.

        Args:
            policy: a policy.
            is_arriving: it is kept together with what is written next.
        """
        # A team's own functions may be missing elsewhere.
        has_own_guards = any(isinstance(guard, Custom) for guard in policy.guards)
        if has_own_guards or is_builtin(policy.ref):
            return not has_own_guards
        return is_arriving or self._has(policy.digest)

    def _find(self, digest: str) -> Policy | None:
        """Read the policy with this digest; ``None`` if none is kept, or its text is another's."""
        text = self._recorder.policy_text(digest)
        if text is None:
            return None
        try:
            policy = parse_text(text, f"policy {digest[:12]}…", find_guards=False)
        except PolicyError:
            return None  # not what was kept: its prospects become tasks
        if policy.digest != digest:
            return None
        self._allow(policy)
        return policy

    def _has(self, digest: str) -> bool:
        if digest not in self._seen and self._find(digest) is not None:
            self._seen.add(digest)
        return digest in self._seen

    def _allow(self, policy: Policy) -> None:
        """Let the functions that it names as guards be imported, if the store allows it."""
        if self._allow_code:
            allow(own_functions(policy))


def cannot_judge(prospect: Prospect) -> Refused:
    """Return why nothing can be judged: an event can't be read, or the policy is unknown."""
    event, ref = prospect.unreadable, prospect.policy
    if event is not None:
        what = f"event {event.version} can't be read ({event.what})"
        hint = "use a newer cadence" if not event.is_damaged else "use a backup of the database"
    else:
        adopted = "" if ref is None else f" {ref.name} version {ref.version}"
        what = f"unknown policy{adopted}, which it adopted"
        hint = "open the store with that policy: Cadence.open(…, policies=[load(path)])"
    return Refused(f"{prospect.id}: {what}; nothing can be judged", hint, rule=Rule.FORGOTTEN)
