"""Read and render templates: a text with placeholders and conditions, and nothing else.

A script comes from a file that a team may have from elsewhere, and it is rendered in every listing.
So its language has no loops, calls, arithmetic, variables of its own or attributes. What is left
takes time in proportion to the template, and needs no clock to stop it (ADR 0053).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from jinja2 import StrictUndefined, Template, meta, nodes
from jinja2.exceptions import TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from cadence.domain.limits import NOTE
from cadence.errors import PolicyError

__all__ = ["FILTERS", "MAX_DEPTH", "MAX_RENDERED", "placeholders", "render_template"]

MAX_TEMPLATE: Final = NOTE
"""Characters of a template."""
MAX_RENDERED: Final = 2 * NOTE
"""Characters of a rendered text; an interest or a value alone may have 20,000."""
MAX_DEPTH: Final = 30
"""How deep conditions and expressions may be nested."""
FILTERS: Final = ("capitalize", "default", "lower", "title", "trim", "upper")
"""The filters that a script may use; none makes a text longer than what it is given."""

_ENVIRONMENT: Final = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True
)
_ALLOWED: Final[tuple[type[nodes.Node], ...]] = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.CondExpr),
    *(nodes.Name, nodes.Const, nodes.Tuple, nodes.List, nodes.Concat),
    *(nodes.And, nodes.Or, nodes.Not, nodes.Compare, nodes.Operand, nodes.Filter),
)
_HINT: Final = (
    "use placeholders, {% if %}, and, or, not, in, comparisons, ~ and the filters "
    f"{', '.join(FILTERS)}"
)


@lru_cache(maxsize=1024)
def placeholders(text: str) -> frozenset[str]:
    """Return the placeholders of a template.

    Raises:
        PolicyError: it is not one, or has more than placeholders and conditions.
    """
    return frozenset(meta.find_undeclared_variables(_parsed(text)))


def render_template(text: str, words: Mapping[str, object]) -> str:
    """Render a template.

    Args:
        text: the template.
        words: a value for each placeholder.

    Raises:
        PolicyError: it is not a template, has a placeholder without a value, or gets too long.
    """
    pieces: list[str] = []
    length = 0
    try:
        for piece in _compiled(text).generate(words):
            length += len(piece)
            if length > MAX_RENDERED:
                raise PolicyError(
                    f"invalid: longer than {MAX_RENDERED:,} characters", "make it shorter"
                )
            pieces.append(piece)
    except (TemplateError, TypeError, ValueError) as error:
        raise PolicyError(f"invalid: {error}", _HINT) from None
    return "".join(pieces)


@lru_cache(maxsize=1024)
def _compiled(text: str) -> Template:
    _parsed(text)
    return _ENVIRONMENT.from_string(text)


def _parsed(text: str) -> nodes.Template:
    if len(text) > MAX_TEMPLATE:
        what = f"invalid: {len(text):,} characters"
        raise PolicyError(what, f"use at most {MAX_TEMPLATE:,}")
    try:
        found = _ENVIRONMENT.parse(text)
    except TemplateSyntaxError as error:
        raise PolicyError(f"invalid: line {error.lineno}: {error.message}", _HINT) from None
    except RecursionError:
        raise PolicyError("invalid: nested too deep", f"nest at most {MAX_DEPTH}") from None
    # Not by recursion: how deep it goes is what is to be found out.
    waiting: list[tuple[nodes.Node, int]] = [(found, 0)]
    while waiting:
        node, depth = waiting.pop()
        _check_node(node, depth)
        waiting += [(child, depth + 1) for child in node.iter_child_nodes()]
    return found


def _check_node(node: nodes.Node, depth: int) -> None:
    place = f"invalid: line {node.lineno}"
    if depth > MAX_DEPTH:
        raise PolicyError(f"{place}: nested too deep", f"nest at most {MAX_DEPTH}")
    if not isinstance(node, _ALLOWED):
        raise PolicyError(f"{place}: {type(node).__name__.lower()} is not allowed", _HINT)
    if isinstance(node, nodes.Filter) and node.name not in FILTERS:
        raise PolicyError(f"{place}: unknown filter {node.name!r}", _HINT)
    # Its other arguments would need a look at what they make of a long text.
    if isinstance(node, nodes.Filter) and (node.kwargs or node.dyn_args or node.dyn_kwargs):
        raise PolicyError(f"{place}: invalid arguments of {node.name}", _HINT)
