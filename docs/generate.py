"""Makes the generated parts of the docs: the stage diagram and table, the list of events.

``python docs/generate.py`` writes them; with ``--check`` it fails when one is stale.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from cadence.core import stages
from cadence.core.events import DATA_TYPES

DOCS = Path(__file__).parent


def stages_page() -> str:
    """``docs/stages.md``: the diagram and the whole table."""
    marks = {stages.Move.STAY: "·", stages.Move.REFUSE: "✗"}
    names = [stage.value for stage in stages.Stage]
    lines = [
        "# Stages",
        "",
        "Generated from `src/cadence/core/stages.py` by `make docs`; `make check` fails when it is",
        "stale. The prose that explains it stands in that file.",
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
        "Generated from `src/cadence/core/events.py` by `make docs`. A `?` marks what may be",
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


PAGES = {"stages.md": stages_page, "events.md": events_page}


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
