"""The example notebook runs, and shows what it promises."""

from __future__ import annotations

from typing import Any

import nbformat
import paths
import pytest
from nbclient import NotebookClient

NOTEBOOK = paths.EXAMPLES / "notebook" / "histories.ipynb"


@pytest.fixture(scope="module")
def notebook() -> Any:
    """The notebook as it is in the repository."""
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def outputs(notebook: Any) -> list[dict[str, str]]:
    """What it shows when it is run, by media type; anything on stderr fails."""
    client = NotebookClient(
        nbformat.from_dict(notebook),
        timeout=120,
        kernel_name="python3",
        resources={"metadata": {"path": str(NOTEBOOK.parent)}},
    )
    run = client.execute()
    found = [output for cell in run.cells for output in cell.get("outputs", ())]
    assert not [output for output in found if output["output_type"] == "stream"]
    return [output["data"] for output in found]


def test_the_notebook_is_kept_without_its_outputs(notebook: Any) -> None:
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in codes] == [[]] * len(codes)
    assert {cell.execution_count for cell in codes} == {None}


def test_the_notebook_shows_a_decision_a_policy_and_a_history(
    outputs: list[dict[str, str]],
) -> None:
    decision, policy, history = (output["text/html"] for output in outputs[:3])
    assert '<span class="word">wait</span> <b>jamie</b>' in decision
    assert "outside business hours" in decision or "business days after" in decision
    assert '<th scope="row">are_you_ok</th>' in policy
    assert history.count("<b>AttemptMade</b>") == 10
    assert "<td>closed</td>" in history


def test_the_notebook_counts_and_draws(outputs: list[dict[str, str]]) -> None:
    *_, drawn = outputs
    tables = [output["text/html"] for output in outputs if "<table" in output.get("text/html", "")]
    assert len(tables) == 5
    assert any("ProspectAdded" in table and 'class="dataframe"' in table for table in tables)
    assert any("no_answer" in table and "spaced" in table for table in tables)
    assert drawn["image/png"]
