"""The docs tell the truth: their code runs, their output is real, what they name exists."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import paths
import pytest

from cadence.cli.main import main
from cadence.policy import Rule

ROOT = paths.ROOT
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", README, re.DOTALL)


def test_the_ten_lines_of_library_use_run(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks("python")
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    exec(compile(code, "README.md", "exec"), {})
    assert "due on_time called at the time agreed" in capsys.readouterr().out


def test_the_demo_prints_what_the_readme_shows(capsys: pytest.CaptureFixture[str]) -> None:
    shown = blocks("console")[0].splitlines()
    assert shown[0] == "$ make demo"
    assert main(["demo"]) == 0
    printed = capsys.readouterr().out.splitlines()
    wanted = [line for line in shown[1:] if line.strip() not in ("", "…")]
    assert [line for line in wanted if line not in printed] == []
    positions = [printed.index(line) for line in wanted]
    assert positions == sorted(positions)


def test_the_command_line_prints_what_the_readme_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    output: list[str] = []
    commands = 0
    for line in blocks("console")[1].splitlines():
        if line.startswith("$ cadence "):
            assert main(shlex.split(line)[2:]) == 0
            output = capsys.readouterr().out.splitlines()
            commands += 1
        else:
            assert line in output
    assert commands == 4


def test_the_readme_names_every_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cadence", "--help"], capture_output=True, text=True, check=True
    )
    listed = re.findall(r"^  ([a-z][a-z-]+) {2,}", done.stdout, re.MULTILINE)
    assert len(listed) > 20
    for name in listed:
        assert f"`{name}`" in README or f"`{name} " in README, name


def test_every_link_in_the_docs_leads_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *ROOT.glob("examples/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_guarantee_names_tests_that_exist() -> None:
    text = (ROOT / "docs/guarantees.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:browser/)?test_\w+\.py)::(\w+)`", text)
    assert len(named) > 20
    for file, name in named:
        (path,) = (ROOT / "tests").rglob(Path(file).name)
        source = path.read_text(encoding="utf-8")
        assert re.search(rf"(def|class) {name}\b", source), f"{file}::{name}"


def test_the_guarantees_cover_every_rule_id() -> None:
    text = (ROOT / "docs/guarantees.md").read_text(encoding="utf-8")
    assert [rule for rule in Rule if f"`{rule}`" not in text] == []
    invariants = re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", text, re.MULTILINE)
    assert len(invariants) >= 11
    assert [rule for rule, tests in invariants if "::" not in tests] == []


def test_every_decision_record_has_its_five_parts() -> None:
    for page in (ROOT / "docs/adr").glob("*.md"):
        text = page.read_text(encoding="utf-8")
        assert re.search(r"^Date: \d{4}-\d\d-\d\d · Status: \w+", text, re.MULTILINE), page.name
        for part in ("## Context", "## Decision", "## Consequences"):
            assert part in text, f"{page.name}: {part}"
        assert len(text.splitlines()) <= 60, f"{page.name} is longer than a page"


def test_the_generated_pages_are_fresh() -> None:
    done = subprocess.run([sys.executable, str(ROOT / "docs/generate.py"), "--check"], check=False)
    assert done.returncode == 0


def _tutorial() -> Iterator[tuple[str, str, str]]:
    """The tutorial's blocks, in order: what kind, what is said of it, and what is in it."""
    text = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
    for kind, about, body in re.findall(
        r"^```(\w+) ?([^\n]*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE
    ):
        yield kind, about.replace("\\n", "\n"), body


def test_the_tutorial_can_be_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "our-way.toml"
    ran = 0
    for kind, about, body in _tutorial():
        if kind == "console":
            said: list[str] = []
            for line in body.splitlines():
                if line.startswith("$ cadence "):
                    main(shlex.split(line)[2:])
                    out, err = capsys.readouterr()
                    said = [*out.splitlines(), *(f"! {one}" for one in err.splitlines())]
                    ran += 1
                else:
                    # Columns may be wider or narrower; the words may not differ.
                    assert " ".join(line.split()) in [" ".join(one.split()) for one in said], said
        elif kind == "toml" and about.startswith("+"):
            file.write_text(file.read_text(encoding="utf-8") + "\n" + body, encoding="utf-8")
        elif kind == "toml":
            text = file.read_text(encoding="utf-8")
            assert text.count(about) == 1, about
            file.write_text(text.replace(about, body.rstrip()), encoding="utf-8")
        elif about:
            (tmp_path / about).write_text(body, encoding="utf-8")
        else:
            exec(compile(body, "docs/tutorial.md", "exec"), {"__name__": "tutorial"})
            assert "refuted" not in capsys.readouterr().err
    assert ran == 10
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-c", "/dev/null"]
    done = subprocess.run(
        [*command, "test_our_way.py"], capture_output=True, text=True, check=False
    )
    assert "11 passed" in done.stdout, done.stdout
