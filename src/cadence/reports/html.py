"""Make every page of HTML in one way: one template engine, one style, one content security policy.

A page needs nothing but itself. It forbids itself any network, and any style or script but its own,
which the policy names by hash. The template engine escapes every text in markup; a script reads its
data through :func:`script_data`.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from importlib import resources
from typing import Any

import msgspec
from jinja2 import Environment, FunctionLoader, StrictUndefined

__all__ = ["page_file", "render", "render_part", "script_data", "visible"]


def render(template: str, *, css: str = "", js: str = "", **values: Any) -> str:
    """Return a whole page.

    Args:
        template: the file name of a template that extends ``base.html``.
        css: style of this page alone, behind the common one.
        js: the script; empty for none.
        values: what the template names.
    """
    style = page_file("page.css") + css
    script = f"'{_hash(js)}'" if js else "'none'"
    csp = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src {script}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return _environment().get_template(template).render(csp=csp, css=style, js=js, **values)


def render_part(template: str, **values: Any) -> str:
    """Return a part of another's page, such as a cell of a notebook.

    Args:
        template: the file name of a template that extends ``cell.html``.
        values: what the template names.
    """
    return _environment().get_template(template).render(css=page_file("cell.css"), **values)


def visible(text: str) -> str:
    """Return ``text`` with its control characters written out; a page would drop them."""
    if not any(_is_control(sign) for sign in text):
        return text
    return "".join(f"\\x{ord(sign):02x}" if _is_control(sign) else sign for sign in text)


def script_data(value: object) -> str:
    """Return ``value`` as JSON that can stand in a script element, whatever its texts hold."""
    text = msgspec.json.encode(value).decode()
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


@lru_cache(maxsize=16)
def page_file(name: str) -> str:
    """Return the text of a file in ``templates/``."""
    folder = resources.files("cadence.reports").joinpath("templates")
    return folder.joinpath(name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=FunctionLoader(page_file),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        # Only plain text: markup is our own.
        finalize=lambda value: visible(value) if type(value) is str else value,
    )


def _is_control(sign: str) -> bool:
    return (sign < " " and sign not in "\t\n") or "\x7f" <= sign <= "\x9f"


def _hash(text: str) -> str:
    """Return the source expression by which a page allows itself one inline element."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
