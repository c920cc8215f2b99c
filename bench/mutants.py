"""The ways in which ``mutate.py`` breaks a module, one small change at a time.

Unlike mutmut, which switches copies of functions, this changes the syntax tree before the module is
imported: tables, constants, decorated functions and whatever runs at import are broken as well, and
those are where a policy engine keeps its rules.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

__all__ = ["Mutant", "mutants", "mutated"]


class Mutant(NamedTuple):
    """One change.

    Attributes:
        number: which of the changes of its module.
        line: where, first and last line of the statement.
        end: the last line of the statement.
        before: the source that is changed.
        after: what it becomes.
    """

    number: int
    line: int
    end: int
    before: str
    after: str


_COMPARE: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitAnd: ast.BitOr,
}
_CALLS: Final = {
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "bisect_left": "bisect_right",
    "bisect_right": "bisect_left",
}

_Change = Callable[[ast.AST], ast.AST]


def _annotations(node: ast.AST) -> list[ast.AST]:
    found: list[ast.AST | None] = []
    if isinstance(node, ast.AnnAssign | ast.arg):
        found.append(node.annotation)
    if isinstance(node, ast.FunctionDef):
        found.append(node.returns)
    return [one for one in found if one is not None]


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _skipped(node: ast.AST) -> bool:
    """Parts in which a change says nothing.

    Texts for a reader, types, internal invariants, how much a cache holds, of how many near
    spellings the first is taken.
    """
    if isinstance(node, ast.JoinedStr | ast.Assert | ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, ast.Call) and _called(node) in ("lru_cache", "get_close_matches"):
        return True
    if isinstance(node, ast.Assign):
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        return "__all__" in names
    return _is_docstring(node)


def _textual(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _changes(node: ast.AST) -> Iterator[_Change]:
    """The changes that this node itself allows; each gets a copy of it to change."""
    if isinstance(node, ast.Compare):
        for position, operator in enumerate(node.ops):
            for other in _COMPARE.get(type(operator), ()):
                yield _set_operator(position, other)
    elif isinstance(node, ast.BoolOp):
        yield _swap_bool
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield lambda one: one.operand if isinstance(one, ast.UnaryOp) else one
    elif isinstance(node, ast.Constant):
        value = node.value
        if isinstance(value, bool):
            yield _set_value(not value)
        elif isinstance(value, int):
            yield _set_value(value + 1)
            yield _set_value(value - 1)
    elif isinstance(node, ast.BinOp | ast.AugAssign):
        texts = isinstance(node, ast.BinOp) and (_textual(node.left) or _textual(node.right))
        if type(node.op) in _ARITHMETIC and not texts:
            yield _swap_arithmetic
        if isinstance(node, ast.AugAssign):
            yield _remove
    elif isinstance(node, ast.Call):
        if _called(node) in _CALLS:
            yield _swap_call
    elif isinstance(node, ast.If | ast.While | ast.IfExp):
        # A comparison or a `not` as a whole is negated by what is done to itself.
        whole = node.test
        compared = isinstance(whole, ast.Compare) and len(whole.ops) == 1
        if not compared and not isinstance(whole, ast.UnaryOp):
            yield _negate
    elif isinstance(node, ast.Return):
        # Whoever asks for a truth value takes None for False.
        constant = node.value.value if isinstance(node.value, ast.Constant) else ...
        if node.value is not None and constant is not None and constant is not False:
            yield _return_none
    elif isinstance(node, ast.Raise | ast.Continue | ast.Break):
        yield _remove
    elif isinstance(node, ast.Expr):
        if isinstance(node.value, ast.Call):
            yield _remove
    elif isinstance(node, ast.Assign):
        # Leaving out the first assignment of a local name only makes a NameError.
        if all(isinstance(target, ast.Attribute | ast.Subscript) for target in node.targets):
            yield _remove


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _set_operator(position: int, operator: type[ast.cmpop]) -> _Change:
    def change(node: ast.AST) -> ast.AST:
        assert isinstance(node, ast.Compare)
        node.ops[position] = operator()
        return node

    return change


def _set_value(value: int) -> _Change:
    return lambda node: ast.Constant(value)


def _swap_bool(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.BoolOp)
    node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    return node


def _swap_arithmetic(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.BinOp | ast.AugAssign)
    node.op = _ARITHMETIC[type(node.op)]()
    return node


def _swap_call(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.Call)
    name = _CALLS[_called(node)]
    if isinstance(node.func, ast.Attribute):
        node.func.attr = name
    elif isinstance(node.func, ast.Name):
        node.func.id = name
    return node


def _negate(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.If | ast.While | ast.IfExp)
    node.test = ast.UnaryOp(ast.Not(), node.test)
    return node


def _return_none(node: ast.AST) -> ast.AST:
    return ast.Return(ast.Constant(None))


def _remove(node: ast.AST) -> ast.AST:
    return ast.Pass()


class _Site(NamedTuple):
    """Where a change can be made: the way down to the node, and the statement that it is in."""

    path: tuple[tuple[str, int | None], ...]
    statement: tuple[tuple[str, int | None], ...]
    change: _Change


def _sites(tree: ast.Module) -> list[_Site]:
    sites: list[_Site] = []

    def walk(
        node: ast.AST,
        path: tuple[tuple[str, int | None], ...],
        statement: tuple[tuple[str, int | None], ...],
    ) -> None:
        if _skipped(node):
            return
        if isinstance(node, ast.stmt):
            statement = path
        sites.extend(_Site(path, statement, change) for change in _changes(node))
        types = _annotations(node)
        for field, value in ast.iter_fields(node):
            if isinstance(value, list):
                for position, item in enumerate(value):
                    if isinstance(item, ast.AST):
                        walk(item, (*path, (field, position)), statement)
            elif isinstance(value, ast.AST) and value not in types:
                walk(value, (*path, (field, None)), statement)

    walk(tree, (), ())
    return sites


def _at(tree: ast.AST, path: tuple[tuple[str, int | None], ...]) -> ast.AST:
    node: ast.AST = tree
    for field, position in path:
        value = getattr(node, field)
        node = value if position is None else value[position]
    return node


def _apply(root: ast.AST, path: tuple[tuple[str, int | None], ...], change: _Change) -> ast.AST:
    """A copy of ``root`` with the node at ``path`` changed."""
    made = copy.deepcopy(root)
    old = _at(made, path)
    new = change(old)
    if new is not old:
        ast.copy_location(new, old)
        if not path:
            return new
        *above, (field, position) = path
        parent = _at(made, tuple(above))
        if position is None:
            setattr(parent, field, new)
        else:
            getattr(parent, field)[position] = new
    return made


def _head(node: ast.AST) -> str:
    """The statement in one line; of a compound one the first."""
    text = ast.unparse(node)
    if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.If | ast.While | ast.For | ast.With):
        text = text.partition("\n")[0]
    return " ".join(text.split())


def mutants(source: str) -> list[Mutant]:
    """Every change that can be made to ``source``; lines with ``pragma: no mutate`` are left."""
    tree = ast.parse(source)
    lines = source.split("\n")
    found = []
    for number, site in enumerate(_sites(tree)):
        node, statement = _at(tree, site.path), _at(tree, site.statement)
        line = getattr(node, "lineno", getattr(statement, "lineno", 1))
        end = getattr(node, "end_lineno", line) or line
        if isinstance(node, ast.If | ast.While):
            end = node.test.end_lineno or line  # coverage counts the lines of a long condition
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            end = line
        if "pragma: no mutate" in lines[line - 1]:
            continue
        after = _apply(statement, site.path[len(site.statement) :], site.change)
        found.append(Mutant(number, line, end, _head(statement), _head(after)))
    return found


def mutated(source: str, mutant: Mutant) -> ast.Module:
    """``source`` with the change, as a tree to compile."""
    tree = ast.parse(source)
    site = _sites(tree)[mutant.number]
    made = _apply(tree, site.path, site.change)
    assert isinstance(made, ast.Module)
    return ast.fix_missing_locations(made)
