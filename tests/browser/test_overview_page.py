"""The page of ``replay --all --html`` in a real browser."""

from __future__ import annotations

import json
from pathlib import Path

import paths
import pytest
from chromium import Browser
from clocks import AFTER
from contrast import contrast

from cadence.cli.main import main

EXAMPLES = paths.ROOT / "examples" / "histories"


@pytest.fixture
def db(tmp_path: Path) -> str:
    for path in sorted(EXAMPLES.glob("*.jsonl")):
        assert main(["--db", str(tmp_path / "one.db"), "import", str(path), "--at", AFTER]) == 0
    return str(tmp_path / "one.db")


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1280, False)])
def test_it_shows_what_the_json_says(
    db: str,
    browser: Browser,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    width: int,
    dark: bool,
) -> None:
    page = tmp_path / "all.html"
    assert main(["--db", db, "replay", "--all", "--html", str(page)]) == 0
    capsys.readouterr()
    assert main(["--db", db, "replay", "--all", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    with browser.tab(width, 800, dark=dark) as tab:
        tab.open(page)
        rows = tab.run(
            "[...document.querySelectorAll('tbody tr')].map((r) => [...r.cells].map("
            "(c) => c.innerText.trim()))"
        )
        reached = [line for line in found["stages"] if line["reached"]]
        for line, row in zip(reached, rows, strict=False):
            assert row[0] == line["stage"]
            assert [int(row[n]) for n in (2, 4, 5)] == [
                line[key] for key in ("reached", "now", "stays")
            ]
        for line, row in zip(found["attempts"], rows[len(reached) :], strict=True):
            assert [int(row[n]) for n in (0, 2, 3, 4)] == [
                line[key] for key in ("number", "made", "connected", "unknown")
            ]
            assert row[5] == f"{100 * line['share']:.0f} %"
        ours = found["appointment"]
        assert f"Of {ours['made']} attempts" in tab.text("#claim-text")
        assert "the source claims 70 %" in tab.text("#claim-text")
        bar = tab.run("document.querySelector('.claim .fill').getBoundingClientRect().width")
        whole = tab.run("document.querySelector('.claim .track').getBoundingClientRect().width")
        assert bar / whole == pytest.approx(ours["share"], abs=0.01)
        assert tab.run("document.documentElement.scrollWidth") <= width
        assert [one for one in contrast(tab) if one.ratio < 4.5] == []
        names = [
            node["name"]["value"]
            for node in tab.tree()
            if node.get("role", {}).get("value") in ("table", "image", "heading")
        ]
        assert all(names)
        assert tab.complaints() == []
        assert [url for url in tab.requests() if not url.startswith(("file:", "data:"))] == []
