"""The banned words of ``docs/words.toml`` are in no text that a reader sees."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import paths
import pytest

ROOT = paths.ROOT
WORDS = tomllib.loads((ROOT / "docs/words.toml").read_text(encoding="utf-8"))
SEEN = (".py", ".toml", ".md", ".html", ".js", ".css")


def texts() -> Iterator[Path]:
    """Yield every file of the source, the examples and the docs that has words for a reader."""
    listed = subprocess.run(
        ["git", "ls-files", "src", "docs", "examples", "*.md", "Makefile"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.is_file() and (path.suffix in SEEN or name == "Makefile"):
            if not name.startswith("tests/"):
                yield path


def allowed(name: str, line: str) -> bool:
    return any(
        name.startswith(entry["path"]) and entry.get("text", "") in line
        for entry in WORDS["allowed"]
    )


@pytest.mark.parametrize("banned", WORDS["banned"], ids=lambda banned: banned["say"])
def test_a_banned_word_is_used_nowhere(banned: dict[str, str]) -> None:
    pattern = re.compile(banned["pattern"], re.IGNORECASE)
    found = [
        f"{name}:{number}: {line.strip()}"
        for path in texts()
        for name in [str(path.relative_to(ROOT))]
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line) and not allowed(name, line)
    ]
    assert not found, f"say {banned['say']}:\n" + "\n".join(found)


def test_every_allowed_line_is_still_there() -> None:
    """An exception that allows nothing any more is taken off the list."""
    patterns = [re.compile(banned["pattern"], re.IGNORECASE) for banned in WORDS["banned"]]
    lines = [
        (str(path.relative_to(ROOT)), line)
        for path in texts()
        for line in path.read_text(encoding="utf-8").splitlines()
        if any(pattern.search(line) for pattern in patterns)
    ]
    for entry in WORDS["allowed"]:
        assert entry["reason"]
        text = entry.get("text", "")
        assert any(name.startswith(entry["path"]) and text in line for name, line in lines), entry
