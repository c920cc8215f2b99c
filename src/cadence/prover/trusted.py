"""Read a policy file and prove it: the only policies that a team should use."""

from __future__ import annotations

from pathlib import Path

from cadence.policy.loader import parse, parse_text
from cadence.policy.model import Policy
from cadence.prover.proof import require_proof

__all__ = ["load", "loads"]


def load(
    path: Path | str, *, use_unproved_policy: bool = False, allow_code: bool = False
) -> Policy:
    """Read the policy file ``path``, and prove it.

    Args:
        path: the file.
        use_unproved_policy: take it also if the prover refutes it. The engine still stops what
            it must, but the file does not say what will happen.
        allow_code: import and call the functions that it names as guards: they run as code of
            yours. Without it they hold each touch that they are asked about.

    Raises:
        PolicyError: it can't be read, is invalid or refuted, or needs ``allow_code``.
    """
    policy = parse(path, allow_code=allow_code)
    return policy if use_unproved_policy else _proved(policy, Path(path).name)


def loads(
    text: str, name: str, *, use_unproved_policy: bool = False, allow_code: bool = False
) -> Policy:
    """Read a policy from TOML, and prove it.

    Args:
        text: the file's content.
        name: what to call the file in errors.
        use_unproved_policy: as for :func:`load`.
        allow_code: as for :func:`load`.

    Raises:
        PolicyError: invalid TOML, a key unknown or missing, a value out of range, or refuted.
    """
    policy = parse_text(text, name, allow_code=allow_code)
    return policy if use_unproved_policy else _proved(policy, name)


def _proved(policy: Policy, name: str) -> Policy:
    require_proof(policy, name)
    return policy
