"""Read and write lines of type ``Policy``: the text of a policy that a history names.

    {"type": "Policy", "data": {"name": "our-way", "version": 2, "digest": "…", "text": "…"}}

The text is TOML. It is data: no function that it names as a guard is imported. Adopting the
policy needs its proof; the histories that name it do not (ADR 0049).
"""

from __future__ import annotations

from typing import Final

import msgspec

from cadence.domain.events import PolicyRef
from cadence.errors import InputError, PolicyError
from cadence.policy.loader import parse_text
from cadence.policy.model import Policy
from cadence.policy.writer import to_toml
from cadence.transfer.line_types import is_line_of

__all__ = ["decode_policy", "encode_policy", "is_policy_line"]

_TYPE: Final = "Policy"
_LONGEST: Final = 1_000_000  # characters of a policy's text


class _Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    version: int
    digest: str
    text: str


class _PolicyLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: str
    data: _Data


_DECODE: Final = msgspec.json.Decoder(_PolicyLine).decode


def is_policy_line(text: bytes) -> bool:
    """Return whether a line brings a policy."""
    return is_line_of(text, b'"Policy"')


def decode_policy(text: bytes) -> Policy:
    """Read a policy from its line, proved or not.

    Raises:
        InputError: a field is missing or invalid, the text is no policy, or is another than the
            line says.
    """
    try:
        data = _DECODE(text).data
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InputError(
            f"Policy: invalid line: {str(error).rstrip('.')}",
            "give type, and data with name, version, digest and text",
        ) from None
    if len(data.text) > _LONGEST:
        raise InputError(
            f"data.text: invalid, {len(data.text):,} characters",
            f"use at most {_LONGEST:,} characters",
        )
    try:
        policy = parse_text(data.text, "data.text", find_guards=False)
    except PolicyError as error:
        raise InputError(error.what, error.hint) from None
    if policy.ref != PolicyRef(data.name, data.version, data.digest):
        named = f"{data.name} version {data.version}, {data.digest[:12]}…"
        raise InputError(
            f"data.digest: invalid {named}; the text is {policy.id} version {policy.version}, "
            f"{policy.digest[:12]}…",
            "give the text as it was exported",
        )
    return policy


def encode_policy(policy: Policy) -> bytes:
    """Encode a policy as one line of JSONL, without the line break."""
    ref = policy.ref
    data = _Data(ref.name, ref.version, ref.digest, to_toml(policy))
    return msgspec.json.encode(_PolicyLine(_TYPE, data))
