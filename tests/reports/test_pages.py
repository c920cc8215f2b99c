"""What holds for every page of HTML: it needs nothing but itself, and lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import paths
import pytest
from clocks import AFTER

from cadence.cli.main import main

PAGES = {
    "replay": ("replay", "jerry-opts-out", "--html", "-"),
    "funnel": ("replay", "--all", "--html", "-"),
    "policy": ("policy", "show", "tip8", "--html", "-"),
    "what-if": ("whatif", "--policy", "are-you-ok", "--html", "page.html"),
}


class Reader(HTMLParser):
    """The elements of a page, and the text inside ``style`` and ``script``."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        tag, attributes = self.elements[-1] if self.elements else ("", {})
        if data.strip() and tag in ("style", "script") and attributes.get("type") is None:
            self.inline.append(data)


@pytest.fixture(params=PAGES, scope="module")
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Each page, as its command writes it."""
    folder = tmp_path_factory.mktemp("pages")
    db, file = str(folder / "one.db"), folder / "page.html"
    for path in sorted((paths.EXAMPLES / "histories").glob("*.jsonl")):
        assert main(["--db", db, "import", "--at", AFTER, str(path)]) == 0
    call = [str(file) if word in ("-", "page.html") else word for word in PAGES[request.param]]
    assert main(["--db", db, *call]) == 0
    return file.read_text(encoding="utf-8")


def test_a_page_allows_itself_only_its_own_style_and_script_by_hash(page: str) -> None:
    read = Reader(page)
    (policy,) = [
        attributes["content"] or ""
        for tag, attributes in read.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    hashes = {
        "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in read.inline
    }
    assert set(re.findall(r"'(sha256-[^']+)'", policy)) == hashes


def test_a_page_loads_nothing_from_outside(page: str) -> None:
    for tag, attributes in Reader(page).elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("src", "href", "action", "srcset", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith("#") or (tag, value) == ("link", "data:,")
    assert not re.search(r"https?://|@import|url\((?!#)", page)


def test_a_page_has_a_dark_style_and_fits_a_phone(page: str) -> None:
    assert "prefers-color-scheme: dark" in page
    assert 'content="width=device-width, initial-scale=1"' in page
