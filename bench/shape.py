"""Measure the shape of a source tree: lines by package, functions, comments, import circles.

``python bench/shape.py [TREE …]`` prints one column for each tree (``src/cadence`` by default), so
that two states of the code can be compared in one table.
"""

from __future__ import annotations

import argparse
import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

_ROOT = Path(__file__).parents[1]


class Shape:
    """What is counted in one tree."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self.lines: dict[str, int] = {}
        self.functions: list[tuple[int, str]] = []
        self.files = self.comments = self.tiny = 0
        self.imports: dict[str, set[str]] = {}
        modules = {self._name(path): path for path in sorted(tree.rglob("*.py"))}
        for name, path in modules.items():
            text = path.read_text(encoding="utf-8")
            self._count(name, path, text)
            self.imports[name] = set(self._imported(ast.parse(text), modules))

    def _name(self, path: Path) -> str:
        parts = (self.tree.name, *path.relative_to(self.tree).with_suffix("").parts)
        return ".".join(part for part in parts if part != "__init__")

    def _count(self, name: str, path: Path, text: str) -> None:
        count = text.count("\n")
        package = name.split(".")[1] if name.count(".") else "(top)"
        self.lines[package] = self.lines.get(package, 0) + count
        self.files += 1
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        self.comments += sum(token.type == tokenize.COMMENT for token in tokens)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                self.functions.append((length, f"{path.stem}.{node.name}"))

    def _imported(self, module: ast.Module, modules: dict[str, Path]) -> Iterator[str]:
        for node in ast.walk(module):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
                node.body = []
        for node in ast.walk(module):
            if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    yield inner if inner in modules else node.module
            elif isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)

    def circles(self) -> list[list[str]]:
        """Return the groups of modules that import each other in a circle."""
        reach = {name: self._reachable(name) for name in self.imports}
        groups = {
            tuple(sorted(n for n in reach[name] if name in reach.get(n, ())))
            for name in reach
            if name in reach[name]
        }
        return [list(group) for group in groups]

    def _reachable(self, start: str) -> set[str]:
        seen: set[str] = set()
        todo = [start]
        while todo:
            for name in self.imports.get(todo.pop(), ()):
                if name not in seen and name in self.imports:
                    seen.add(name)
                    todo.append(name)
        return seen

    def figures(self) -> dict[str, Any]:
        """Return the figures by name."""
        total = sum(self.lines.values())
        longest, name = max(self.functions)
        circles = self.circles()
        return {
            **{f"lines in {package}/": count for package, count in sorted(self.lines.items())},
            "lines": total,
            "files": self.files,
            "functions": len(self.functions),
            "functions over 50 lines": sum(length > 50 for length, _ in self.functions),
            "longest function": f"{longest} ({name})",
            "comments per 100 lines": f"{100 * self.comments / total:.1f}",
            "modules in import circles": sum(map(len, circles)),
        }


def main() -> None:
    """Print one table for the trees named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tree", nargs="*", type=Path, default=[_ROOT / "src" / "cadence"])
    shapes = [Shape(tree.resolve()) for tree in parser.parse_args().tree]
    table = Table("figure", *(str(shape.tree.parents[1].name) for shape in shapes))
    columns = [shape.figures() for shape in shapes]
    for name in dict.fromkeys(name for column in columns for name in column):
        table.add_row(name, *(f"{column.get(name, '-')}" for column in columns))
    Console().print(table)


if __name__ == "__main__":
    main()
