"""The site of the docs: every page is readable on a phone and asks nothing from outside."""

import subprocess
import sys
from pathlib import Path

import paths
import pytest
from chromium import Browser

TOO_WIDE = """
[...document.querySelectorAll('article *')].filter(one => {
  const place = one.getBoundingClientRect();
  return place.width > 0 && place.right > innerWidth + 1
    && !one.closest('pre, .drawing, .md-typeset__scrollwrap');
}).map(one => one.tagName + ': ' + one.textContent.slice(0, 60))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir"]
    subprocess.run([*command, str(folder)], cwd=paths.ROOT, check=True)
    # Its paths begin at a server's root, which a page from the disk has not.
    (folder / "404.html").unlink()
    return folder


def test_every_page_fits_a_phone_and_asks_nothing_from_outside(
    site: Path, browser: Browser
) -> None:
    with browser.tab(390, 844) as tab:
        for page in sorted(site.rglob("*.html")):
            tab.open(page)
            assert tab.run("document.documentElement.scrollWidth") <= 390, page.name
            assert tab.run(TOO_WIDE) == [], page.name
        # The search needs a server; all else works from the disk.
        assert [one for one in tab.complaints() if "search_index.js" not in one] == []
        outside = [url for url in tab.requests() if not url.startswith(("file:", "data:"))]
        assert outside == []
