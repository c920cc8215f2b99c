"""How the tests are written: no test module imports another, and a name states one rule."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import paths
import pytest

MODULES = sorted(path for path in paths.TESTS.rglob("*.py") if path.parent.name != "support")
LONGEST_NAME = 80


def imported_modules(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def relative(path: Path) -> str:
    return str(path.relative_to(paths.TESTS))


@pytest.mark.parametrize("path", sorted(paths.TESTS.rglob("*.py")), ids=relative)
def test_no_module_imports_a_test_module(path: Path) -> None:
    """What two of them need is in ``tests/support`` or in the ``conftest.py`` of their folder."""
    tests = {module.stem for module in MODULES if module.stem.startswith("test_")} | {"conftest"}
    found = {name.rpartition(".")[2] for name in imported_modules(ast.parse(path.read_bytes()))}
    assert found & tests == set()


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_the_name_of_a_test_has_at_most_80_characters(path: Path) -> None:
    names = [
        node.name
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    assert [name for name in names if len(name) > LONGEST_NAME] == []
