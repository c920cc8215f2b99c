"""Hooks of the site: readable references in the API, and the list of decisions in the menu."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_ROLE = re.compile(r":(?:class|func|meth|mod|data|attr|exc):<code>~?([^<]*)</code>")
_DECISIONS = Path(__file__).parent / "adr"


def on_config(config: Any) -> Any:
    """Add every decision record to the menu, under *Decisions*."""
    sections = next(entry["Explanation"] for entry in config.nav if "Explanation" in entry)
    decisions = next(entry["Decisions"] for entry in sections if "Decisions" in entry)
    decisions += [{title(page): f"adr/{page.name}"} for page in sorted(_DECISIONS.glob("0*.md"))]
    return config


def on_page_content(html: str, **_: Any) -> str:
    """Show a reference of a docstring, such as :class:`Policy`, as code."""
    return _ROLE.sub(r"<code>\1</code>", html)


def title(page: Path) -> str:
    """Return the title of a decision record: its first heading."""
    return page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
