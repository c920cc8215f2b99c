"""Show the fields of a struct as the parameters of its constructor, in the Python API.

The structs of cadence are ``msgspec`` structs. Their constructor is written in C, so it does not
stand in the source.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import griffe


class StructSignatures(griffe.Extension):
    """Give every ``msgspec`` struct an ``__init__`` made from its fields."""

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
