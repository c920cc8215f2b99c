"""Golden histories: what was once decided for them is decided for ever. Only ever added to.

``python tests/golden/test_golden.py`` writes the golden file of a history that has none yet.
Where a reason was wrong the golden file stays as it is, and ``golden/corrections.json`` says which
reasons of which line replace it, and why. What was decided, and for when, is corrected only where
the meaning of an event has changed: a referral became a response, and an attempt takes a touch's
place only on a channel of that touch (then the ``line`` has what changed).
"""

import json
from typing import Any

import paths
import pytest
from clocks import ahead

from cadence.domain import encode_line
from cadence.policy import Rule
from cadence.replay import replay
from cadence.store import Cadence
from cadence.transfer import import_jsonl

HERE = paths.TESTS
FOLDERS = (
    HERE.parent / "examples" / "histories",
    HERE / "golden" / "histories",
    HERE / "golden" / "former_examples",  # as they were before their addresses were told apart
)
GOLDEN = HERE / "golden" / "replay"
CORRECTIONS: dict[str, dict[str, dict[str, Any]]] = json.loads(
    (HERE / "golden" / "corrections.json").read_text(encoding="utf-8")
)
HISTORIES = {path.stem: path for folder in FOLDERS for path in sorted(folder.glob("*.jsonl"))}
NAMES = list(HISTORIES)


def replayed(name: str) -> list[dict[str, object]]:
    """Each event as stored, and what was decided after it, without the data versions."""
    app = Cadence.open()
    with HISTORIES[name].open("rb") as lines:
        import_jsonl(app, lines, at=ahead())
    found: list[dict[str, object]] = []
    for prospect in app.prospects():
        for step in replay(app.history(prospect), app.policies):
            decision = step.decision
            found.append(
                {
                    "event": json.loads(encode_line(step.event)),
                    "stage": step.stage,
                    "decision": decision.verdict,
                    "at": None if decision.at is None else decision.at.isoformat(),
                    "touch": None if decision.touch is None else decision.touch.id,
                    "task": decision.to_dict()["task"],
                    "reasons": [
                        [reason.rule, reason.because]
                        for reason in decision.reasons
                        if reason.rule != Rule.DETERMINISTIC
                    ],
                }
            )
    return found


def without_words(line: dict[str, Any]) -> dict[str, Any]:
    """What was decided and by which rules; sentences may be said better one day."""
    rules = [rule for rule, _ in line["reasons"]]
    return {**line, "reasons": rules, "task": line["task"] is not None}


# What an import fills in today, and did not when the older golden files were written.
FILLED_IN = {"key", "policy", "gap_from"}


def as_given(found: Any, golden: Any) -> Any:
    """``found`` without what was filled in and stands in no golden file of its time."""
    if isinstance(found, dict) and isinstance(golden, dict):
        return {
            name: as_given(value, golden.get(name))
            for name, value in found.items()
            if name in golden or name not in FILLED_IN
        }
    if isinstance(found, list) and isinstance(golden, list) and len(found) == len(golden):
        return [as_given(one, other) for one, other in zip(found, golden, strict=True)]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_golden_history_replays_as_it_was_written(name: str) -> None:
    lines = (GOLDEN / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    golden = [json.loads(line) for line in lines]
    for number, corrected in CORRECTIONS.get(name, {}).items():
        line = golden[int(number) - 1]
        line |= corrected.get("line", {}) | {
            k: v for k, v in corrected.items() if k in ("reasons", "at")
        }
    found = as_given(replayed(name), golden)
    assert list(map(without_words, found)) == list(map(without_words, golden))


def test_a_correction_names_a_golden_line_that_it_changes_and_says_why() -> None:
    for name, lines in CORRECTIONS.items():
        golden = (GOLDEN / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        for number, corrected in lines.items():
            assert corrected.keys() <= {"why", "reasons", "at", "line"}
            assert corrected["why"]
            line = json.loads(golden[int(number) - 1])
            changed = corrected.get("line", corrected)
            assert any(line[key] != changed[key] for key in changed.keys() - {"why"})


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        path = GOLDEN / f"{name}.jsonl"
        if not path.exists():
            lines = [json.dumps(one, ensure_ascii=False) for one in replayed(name)]
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
