"""The metadata of the package: version, license, classifiers, pinned dependencies."""

import re
import tomllib
from importlib import metadata

import paths
import pytest

import cadence
from cadence.cli.main import main

ROOT = paths.ROOT
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_version_has_one_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert metadata.version("cadence") == cadence.__version__
    assert PROJECT["dynamic"] == ["version"]
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"cadence {cadence.__version__}\n"


def test_the_changelog_begins_with_the_version_and_has_three_kinds() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert cadence.__version__ in headings[0] or headings[0] == "Unreleased"
    kinds = set(re.findall(r"^### (.*)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Fixed"}


def test_the_license_is_apache_2_in_the_file_and_the_metadata() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert metadata.metadata("cadence")["License-Expression"] == "Apache-2.0"


def test_the_classifiers_name_python_3_11_to_3_13() -> None:
    named = [line for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)]
    assert [line.rpartition(" ")[2] for line in named] == ["3.11", "3.12", "3.13"]


def test_no_lock_file_names_an_index_and_every_pin_has_a_hash() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert "://" not in text
    pins = re.findall(r"^([a-z0-9_.-]+)==", text, re.MULTILINE)
    assert len(pins) > 20
    assert len(re.findall(r"^[^\s#].*\\\n    --hash=", text, re.MULTILINE)) == len(pins)


def test_every_dependency_has_its_reason() -> None:
    extras = PROJECT["optional-dependencies"].values()
    reasons = (ROOT / "docs/adr/0008-dependencies.md").read_text(encoding="utf-8")
    for line in (*PROJECT["dependencies"], *(line for extra in extras for line in extra)):
        name = re.split(r"[<>=\[]", line)[0]
        assert f"`{name}`" in reasons, name
