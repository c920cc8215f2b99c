"""The drawing of the stage machine: the one in the docs, and what it leaves out."""

import paths

from cadence.domain.stages import mermaid

PAGE = paths.DOCS / "stages.md"


def test_the_diagram_in_the_docs_is_the_one_of_the_machine() -> None:
    assert f"```mermaid\n{mermaid()}```" in PAGE.read_text(encoding="utf-8")


def test_outreach_is_drawn_inside_its_box_step_by_step() -> None:
    before, _, after = mermaid().partition("    }\n")
    inside = [line.strip().partition(":")[0] for line in before.splitlines()[3:]]
    assert inside == [
        "on_time --> ten_minutes",
        "ten_minutes --> half_day",
        "half_day --> spaced",
        "spaced --> concern",
        "concern --> nurture",
        "nurture --> polite_exit",
    ]
    assert "outreach --> engaged: response" in after
    assert "new --> spaced: attempt_spaced" in after
    assert "spaced --> engaged" not in mermaid()
