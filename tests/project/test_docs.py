"""The docs tell the truth: their code runs, their output is real, what they name exists."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pages
import paths
import pytest

from cadence.cli.commands import full_command_line
from cadence.policy import Rule

ROOT = paths.ROOT
README = ROOT / "README.md"
GUARANTEES = ROOT / "docs/reference/guarantees.md"

FOLLOWED = {
    "README.md": 4,
    "docs/how-to/async.md": 2,
    "docs/how-to/cluster.md": 2,
    "docs/how-to/compliance-officer.md": 6,
    "docs/how-to/developer.md": 3,
    "docs/how-to/dispatcher.md": 4,
    "docs/how-to/http-errors.md": 2,
    "docs/how-to/people.md": 5,
    "docs/how-to/projections.md": 8,
    "docs/how-to/sales-lead.md": 2,
    "docs/how-to/scale.md": 1,
    "docs/how-to/threads-and-forks.md": 4,
    "docs/how-to/transactions.md": 3,
    "docs/how-to/task-queues.md": 3,
    "docs/how-to/backup.md": 2,
    "docs/how-to/upgrades.md": 1,
    "docs/how-to/own-store.md": 2,
    "docs/reference/policy-files.md": 3,
    "docs/tutorials/a-reps-day.md": 8,
    "docs/tutorials/change-the-cadence.md": 13,
    "docs/tutorials/embed.md": 11,
}
"""Every page that has commands or code to follow, and how many blocks of it are used."""

MYPY = """
[mypy]
strict = True
# Celery has no types.
[mypy-celery.*]
ignore_missing_imports = True
[mypy-page_task_queues]
disallow_untyped_decorators = False
"""

TESTED_ELSEWHERE = {
    "docs/explanation/audit.md",  # its numbers come from the BPI log
    "docs/how-to/import.md",  # test_import_docs.py
    "examples/README.md",  # test_examples.py
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_a_page_can_be_followed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    assert pages.follow(ROOT / name, tmp_path, capsys) == FOLLOWED[name]
    if name.endswith("change-the-cadence.md"):
        _run_the_tutorials_contracts(tmp_path)


def _run_the_tutorials_contracts(folder: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-c", "/dev/null"]
    done = subprocess.run(
        [*command, "test_our_way.py"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_every_page_with_code_is_followed() -> None:
    with_code = {
        str(page.relative_to(ROOT))
        for page in pages.every_page()
        for block in pages.blocks(page)
        if block.kind == "python" or (block.kind == "console" and "$ cadence" in block.body)
    }
    assert with_code - TESTED_ELSEWHERE - {"CONTRIBUTING.md"} == set(FOLLOWED)


def test_the_code_of_the_docs_is_typed(tmp_path: Path) -> None:
    """README and tutorials pass ``mypy --strict``, each page as one program."""
    for name in FOLLOWED:
        code = []
        for block in pages.blocks(ROOT / name, "python"):
            if block.title:
                (tmp_path / block.title).write_text(block.body, encoding="utf-8")
            else:
                code.append(block.body)
        if code:
            stem = Path(name).stem.replace("-", "_")
            (tmp_path / f"page_{stem}.py").write_text("\n".join(code), encoding="utf-8")
    config = tmp_path / "mypy.ini"
    config.write_text(MYPY, encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--config-file",
            str(config),
            "--cache-dir",
            str(ROOT / ".mypy_cache/docs"),
            ".",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_readme_has_ten_lines_of_library(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = pages.blocks(README, "python")
    assert len([line for line in block.body.splitlines() if line.strip()]) <= 10
    exec(compile(block.body, "README.md", "exec"), {})
    printed = capsys.readouterr().out.strip()
    assert f"It prints `{printed}`" in README.read_text(encoding="utf-8")


def test_every_link_in_the_docs_leads_somewhere() -> None:
    for page in pages.every_page():
        for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_path_that_the_docs_name_exists() -> None:
    """A file of the source that a page names, such as `engine/loop.py`, is there."""
    missing = set()
    for page in pages.every_page():
        if "adr" in page.parts or page.name == "CHANGELOG.md":
            continue
        named = re.findall(
            r"`((?:[a-z_]+/)+[a-z_0-9-]+\.(?:py|toml))`", page.read_text(encoding="utf-8")
        )
        for path in named:
            places = (page.parent, ROOT, ROOT / "src/cadence", ROOT / "tests")
            if not any((place / path).exists() for place in places):
                missing.add(f"{page.name}: {path}")
    assert missing == set()


def test_every_command_that_the_docs_name_exists_with_its_options() -> None:
    app: Any = full_command_line()
    known_everywhere = {option for one in app.params for option in one.opts} | {"--help", "-h"}
    wrong = []
    for page in pages.every_page():
        if "adr" in page.parts or page.name == "CHANGELOG.md":
            continue
        text = page.read_text(encoding="utf-8")
        for words in (found.split() for found in re.findall(r"`cadence ([a-z][^`]*)`", text)):
            command, name, *rest = app.commands.get(words[0]), *words
            if hasattr(command, "commands") and rest:
                command, name = command.commands.get(rest[0]), " ".join(words[:2])
            options = {word.partition("=")[0] for word in words if word.startswith("-")} - {"-"}
            known = {
                option
                for one in getattr(command, "params", ())
                for option in (*one.opts, *one.secondary_opts)
            }
            if command is None or options - known - known_everywhere:
                wrong.append(f"{page.name}: {name} {options - known - known_everywhere or ''}")
    assert wrong == []


def test_every_guarantee_names_tests_that_exist() -> None:
    named = re.findall(
        r"`((?:browser/)?test_\w+\.py)::(\w+)`", GUARANTEES.read_text(encoding="utf-8")
    )
    assert len(named) > 20
    for file, name in named:
        (path,) = (ROOT / "tests").rglob(Path(file).name)
        source = path.read_text(encoding="utf-8")
        assert re.search(rf"(def|class) {name}\b", source), f"{file}::{name}"


def test_the_guarantees_cover_every_rule_id() -> None:
    text = GUARANTEES.read_text(encoding="utf-8")
    assert [rule for rule in Rule if f"`{rule}`" not in text] == []
    invariants = re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", text, re.MULTILINE)
    assert len(invariants) >= 11
    assert [rule for rule, tests in invariants if "::" not in tests] == []


def test_every_decision_record_has_its_five_parts() -> None:
    for page in (ROOT / "docs/adr").glob("0*.md"):
        text = page.read_text(encoding="utf-8")
        assert re.search(r"^Date: \d{4}-\d\d-\d\d · Status: \w+", text, re.MULTILINE), page.name
        parts = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert parts == ["Context", "Options considered", "Decision", "Consequences"], page.name
        assert len(text.splitlines()) <= 60, f"{page.name} is longer than a page"


def test_a_superseded_decision_names_its_successor() -> None:
    """And the successor names it, so that a reader finds the way in both directions."""
    records = {
        page.name: page.read_text(encoding="utf-8") for page in (ROOT / "docs/adr").glob("0*.md")
    }
    for name, text in records.items():
        head = text.split("\n## ")[0]
        if "uperseded" in head:
            successors = re.findall(r"\((\d{4}-[\w-]+\.md)\)", head)
            assert successors, name
            for successor in successors:
                assert name in records[successor], f"{successor} does not name {name}"


def test_the_generated_pages_are_fresh() -> None:
    done = subprocess.run([sys.executable, str(ROOT / "docs/generate.py"), "--check"], check=False)
    assert done.returncode == 0
