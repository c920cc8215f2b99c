"""Makes the generated docs: stages, events, the catalogue of policies, the schema of their files.

``python docs/generate.py`` writes them; with ``--check`` it fails when one is stale.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import msgspec

from cadence.cli.policy_picture import picture
from cadence.domain import stages
from cadence.domain.events import DATA_TYPES, Channel
from cadence.engine import Verdict
from cadence.policy import DEFAULT_POLICY, Policy, builtin, builtin_names
from cadence.policy.writer import json_schema
from cadence.prover import prove
from cadence.prover.timetable import timetable

DOCS = Path(__file__).parent


def stages_page() -> str:
    """``docs/stages.md``: the diagram and the whole table."""
    marks = {stages.Move.STAY: "·", stages.Move.REFUSE: "✗"}
    names = [stage.value for stage in stages.Stage]
    lines = [
        "# Stages",
        "",
        "Generated from `src/cadence/domain/stages.py` by `make docs`; `make check` fails when it",
        "is stale. The prose that explains it stands in that file.",
        "",
        "```mermaid",
        stages.mermaid().rstrip(),
        "```",
        "",
        "Arrows that every outreach stage has are drawn from the box around them; outreach may",
        "also skip stages forward, which is not drawn.",
        "",
        "## Every cell",
        "",
        "A stage name: go there. `·`: stay. `✗`: refuse (a fact that says so leaves the stage).",
        "",
        "| signal | " + " | ".join(names) + " |",
        "|---" * (len(names) + 1) + "|",
    ]
    for signal in stages.Signal:
        cells = [stages.look_up(stage, signal) for stage in stages.Stage]
        shown = [marks.get(cell.move, f"**{cell.stage}**") for cell in cells]
        lines.append(f"| `{signal}` | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def events_page() -> str:
    """``docs/events.md``: every event type and its data."""
    lines = [
        "# Events",
        "",
        "Generated from `src/cadence/domain/events.py` by `make docs`. A `?` marks what may be",
        "left out. Every event also has `prospect`, `version`, `occurred_at`, `recorded_at`, and",
        "may have `by`, `correlation`, `command_id`, `uncertain` (why its time is not certain).",
        "",
        "| event | data | meaning |",
        "|---|---|---|",
    ]
    for name, cls in DATA_TYPES.items():
        fields = [
            f"`{field.name}`" + ("" if field.required else "?")
            for field in msgspec.structs.fields(cls)
        ]
        meaning = (cls.__doc__ or "").split("\n\n")[0].replace("\n", " ")
        lines.append(f"| `{name}` | {', '.join(fields) or 'none'} | {' '.join(meaning.split())} |")
    return "\n".join(lines) + "\n"


def policies_page() -> str:
    """``docs/policies.md``: each policy of the catalogue with its source and its timetable."""
    lines = [
        "# The catalogue",
        "",
        "Generated from `src/cadence/policy/builtin/*.toml` by `make docs`; `make check` fails",
        "when it is stale. Each policy is a file with its source, which explains every number",
        "beside its step. `cadence policy show NAME` draws it.",
        "",
        "A timetable is what happens to somebody who can be reached on every channel, prefers",
        "none, agreed to be followed up, and never answers. Day 0 is the business day of the first",
        "attempt. A contact, an opt-out or an end stops it at any line; lateness, holidays and",
        "guards make it longer, never denser.",
        "",
        "| policy | source | most attempts | in 7 days | in 30 days |",
        "|---|---|---|---|---|",
    ]
    names = sorted(builtin_names(), key=lambda name: (name != DEFAULT_POLICY, name))
    for name in names:
        found = builtin(name)
        proof = prove(found)
        assert proof.bounds is not None, f"{name} is refuted"
        most, week, month = (
            proof.bounds.attempts_in_silence,
            proof.bounds.attempts_in_7_days,
            proof.bounds.attempts_in_30_days,
        )
        lines.append(f"| [`{name}`](#{name}) | {found.source} | {most} | {week} | {month} |")
    lines += [
        "",
        "At most, in one silence, as proved; a polite exit that does not arrive is tried on each",
        "channel, and counted.",
    ]
    for name in names:
        lines += ["", f"## {name}", "", *_policy(builtin(name))]
    return "\n".join(lines) + "\n"


def _policy(policy: Policy) -> Iterator[str]:
    yield _first_comment(policy.id)
    yield ""
    yield f"Source: “{policy.source}”. File: `src/cadence/policy/builtin/{policy.id}.toml`."
    horizon = policy.horizon_business_days
    yield f"Behind {horizon} business days of silence only the polite exit is left."
    yield ""
    yield "```"
    yield from picture(list(timetable(policy)))
    yield "```"
    yield ""
    yield "| day | time | touch | channels | after |"
    yield "|---|---|---|---|---|"
    for entry in timetable(policy):
        channels = " and ".join(entry.channels)
        name = f"`{entry.step}`" if channels else f"**{entry.step}**"
        yield f"| {entry.business_day} | {entry.at} | {name} | {channels} | {entry.gap} |"
    yield ""
    yield "| who has only | touches | closed on day |"
    yield "|---|---|---|"
    for only in ((Channel.CALL, Channel.EMAIL), *((channel,) for channel in Channel)):
        *touches, end = timetable(policy, only)
        closed = end.business_day if end.step == Verdict.CLOSE else f"never: a {end.step}"
        yield f"| {' and '.join(only)} | {len(touches)} | {closed} |"


def _first_comment(name: str) -> str:
    """What a policy file says about itself at its top, without the line that names it."""
    source = resources.files("cadence.policy").joinpath("builtin", f"{name}.toml")
    comment = source.read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    return "\n".join(line.removeprefix("#").strip() for line in comment[1:]).strip()


def schema() -> str:
    """``docs/policy.schema.json``: the JSON Schema of policy files, for editors."""
    return msgspec.json.format(msgspec.json.encode(json_schema()), indent=2).decode() + "\n"


PAGES = {
    "stages.md": stages_page,
    "events.md": events_page,
    "policies.md": policies_page,
    "policy.schema.json": schema,
}


def main() -> int:
    """Write the pages, or check them."""
    stale = []
    for name, make in PAGES.items():
        path = DOCS / name
        text = make()
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
    for name in stale:
        sys.stderr.write(f"docs/{name} is stale\nmake it anew with: make docs\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
