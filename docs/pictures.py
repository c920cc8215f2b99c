"""Take the pictures of the pages: ``make pictures``.

They show the example histories and one made here, on a wide and on a narrow screen. PNG files go to
``docs/pictures/``; look at them before they are committed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from cadence.cli.main import main as cadence

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "pictures"
sys.path.insert(0, str(ROOT / "tests" / "browser"))

from chromium import Browser, open_browser  # noqa: E402  (the tests' own browser)


def run(db: Path, *arguments: str) -> None:
    """Run a command on the pictures' own database."""
    if cadence(["--db", str(db), *arguments]):
        raise SystemExit(f"cadence {' '.join(arguments)} failed")


def nora(db: Path) -> None:
    """Called late, early and off policy, over Thanksgiving, while an answer lay in the mail."""
    who = ("--timezone", "America/New_York", "--country", "US", "--email", "nora@example.com")
    call = ("--call", "+1 212 555 0199")
    run(db, "add", "nora", "--name", "Nora Vale", *who, *call, "--at", "2026-11-16T15:00:00Z")
    text = ("--interest", "a quicker month end")
    run(db, "note", "nora", *text, "--at", "2026-11-16T15:02:00Z")
    agreed = ("--agreed-by", "call", "--at", "2026-11-16T15:05:00Z")
    run(db, "appoint", "nora", "2026-11-17T15:00:00Z", *agreed)
    made = ("attempt", "nora", "--channel", "call", "--disposition", "no_answer", "--at")
    run(db, *made, "2026-11-17T15:00:00Z")
    run(db, *made, "2026-11-17T19:40:00Z")
    run(db, *made, "2026-11-23T16:30:00Z")
    away = ("auto-reply", "nora", "--until", "2026-12-01T14:00:00Z")
    run(db, *away, "--at", "2026-11-24T14:10:00Z")
    run(db, *made, "2026-12-04T16:30:00Z")
    run(db, *made, "2026-12-07T16:00:00Z", "--off-policy", "the manager asked")
    run(db, *made, "2026-12-16T18:00:00Z")
    said = ("--channel", "email", "--intent", "question", "--occurred", "2026-12-15T13:00:00Z")
    run(db, "reply", "nora", *said, "--at", "2026-12-17T15:00:00Z")


def shoot(
    browser: Browser, page: Path, name: str, width: int, height: int, *, dark: bool = False
) -> None:
    """Take one picture, of what is seen without scrolling."""
    fragment = "#11" if page.stem == "nora" else ""
    with browser.tab(width, height, dark=dark) as tab:
        tab.open(page, fragment)
        if width < 500:
            # What one steps with, and the moment.
            tab.run("document.querySelector('main').scrollIntoView()")
        (FOLDER / f"{name}.png").write_bytes(tab.screenshot())


def main() -> None:
    """Make all of them."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, open_browser() as browser:
        db, one, everyone = (Path(folder) / name for name in ("one.db", "nora.html", "all.html"))
        nora(db)
        run(db, "replay", "nora", "--html", str(one))
        for history in sorted((ROOT / "examples" / "histories").glob("*.jsonl")):
            run(db, "import", str(history), "--at", "2027-01-06T00:00:00Z")
        run(db, "replay", "--all", "--html", str(everyone))
        shoot(browser, one, "replay-wide", 1180, 1010)
        shoot(browser, one, "replay-narrow-dark", 390, 844, dark=True)
        shoot(browser, everyone, "overview", 1000, 1180)


if __name__ == "__main__":
    main()
