"""Prepare the docstrings and structs of cadence for the Python API.

The structs of cadence are ``msgspec`` structs. Their constructor is written in C, so it does not
stand in the source; it is shown from their fields. A constructor of our own begins its docstring
with ``Args:``, which Python does not indent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import griffe


class ApiDocs(griffe.Extension):
    """Give every ``msgspec`` struct an ``__init__``, and indent what follows ``Args:``."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """Indent the arguments of a docstring whose first line is ``Args:``."""
        if func.docstring is not None and func.docstring.value.startswith("Args:\n"):
            func.docstring.value = func.docstring.value.replace("\n", "\n    ")

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Add the constructors once the whole package is loaded, so that bases are known."""
        for cls in list(_classes(pkg)):
            bases = [*cls.mro(), cls]
            is_struct = any(str(base).endswith("Struct") for one in bases for base in one.bases)
            if is_struct and "__init__" not in cls.members:
                fields = {name: field for one in bases for name, field in _fields(one)}
                is_keyword_only = "kw_only=True" in cls.source.partition('"""')[0]
                kinds = griffe.ParameterKind
                parameters = [
                    griffe.Parameter(
                        name,
                        annotation=field.annotation,
                        kind=kinds.keyword_only if is_keyword_only else kinds.positional_or_keyword,
                        default=field.value,
                    )
                    for name, field in fields.items()
                ]
                constructor = griffe.Function("__init__", parameters=griffe.Parameters(*parameters))
                cls.set_member("__init__", constructor)


def _classes(module: griffe.Module) -> Iterator[griffe.Class]:
    for member in module.members.values():
        if isinstance(member, griffe.Module):
            yield from _classes(member)
        elif isinstance(member, griffe.Class):
            yield member


def _fields(cls: griffe.Class) -> Iterator[tuple[str, griffe.Attribute]]:
    for name, member in cls.members.items():
        if isinstance(member, griffe.Attribute) and member.annotation is not None:
            if "ClassVar" not in str(member.annotation) and "property" not in member.labels:
                yield name, member
