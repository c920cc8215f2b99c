"""The policies of ``bad_policies/``: what each says of itself, and whether a fault is named."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import paths

from cadence.domain.events import Event
from cadence.engine import Decision
from cadence.policy import Rule
from cadence.prover import Proof

FOLDER = paths.BAD_POLICIES


class Bad(NamedTuple):
    name: str
    text: str
    verdict: str
    about: str
    events: int | None
    mends: tuple[tuple[str, str], ...]

    def mended(self) -> str:
        text = self.text
        for old, new in self.mends:
            head, _, body = text.partition("\n\n")
            assert old in body, f"{self.name}: nothing to mend: {old}"
            text = f"{head}\n\n{body.replace(old, new)}"
        return text


def _read(path: Path) -> Bad:
    text = path.read_text(encoding="utf-8")
    said: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, colon, value = line.removeprefix("# ").partition(": ")
        if not line.startswith("# ") or not colon:
            break
        said.setdefault(key, []).append(value)
    (verdict,) = said.keys() & {"refuted", "unreachable", "error"}
    mends = []
    for value in said.get("fix", []):
        old, new = value.replace("\\n", "\n").split(" => ")
        mends.append((old, new))
    events = int(said["events"][0]) if "events" in said else None
    return Bad(path.stem, text, verdict, said[verdict][0], events, tuple(mends))


ALL = [_read(path) for path in sorted(FOLDER.glob("*.toml"))]


def counterexample(proof: Proof, rule: str) -> tuple[Event, ...]:
    (found,) = [one for one in proof.refuted if one.rule == rule]
    return found.counterexample


def names(decision: Decision, rule: str) -> bool:
    """Whether the engine stops the plan by ``rule``, and does not just wait for an answer."""
    fault = ("no polite exit", "this is the least", "nothing comes after")
    return any(
        reason.rule == rule
        and (rule != Rule.POLITE_EXIT or any(text in reason.because for text in fault))
        for reason in decision.reasons
    )
