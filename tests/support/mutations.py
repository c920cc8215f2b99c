"""Mutations of valid files: of their bytes, of the values that they hold, of their rows."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

HOSTILE = "\x1b]0;PWN\x07\x1b[31m\u202e\u2028\r\nFAKE\x9b"

TEXTS = st.sampled_from(
    [
        *("", " ", "0", "-1", "nan", "NULL", "x" * 600, "9" * 400, HOSTILE, "a\x00b", "é́四", "a:b"),
        *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "2026-12-01T14:00:00+14:00"),
        *("2026-02-30", "2026-12-01", "24:00", "00:00-24:00", "22:00-06:00", "09:00-09:00"),
        *(
            "UTC",
            "America/New_York",
            "../etc/passwd",
            "US",
            "DE",
            "SA",
            "tip8",
            "{{ x }}",
            "{% raw",
        ),
        *("call", "email", "mail", "+12125550100", "tel:+1", "a@b", "=1+1", "[0-9]+(", "%Y%", "%q"),
    ]
)
WORDS = TEXTS | st.text(max_size=20)
NUMBERS = st.sampled_from([-1, 0, 1, 2, 7, 1000, 2**31, 2**63, 10**20, -(10**30), 0.5, -0.0, 1e308])
SCALARS = WORDS | NUMBERS | st.booleans()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
"""What may stand in place of any value; none is ``null``, which TOML lacks."""

_PLACES = st.integers(0, 2**20)
_TOKENS = st.sampled_from(
    [
        *(
            b"",
            b"\0",
            b"\xff",
            b"\xed\xa0\x80",
            b'"',
            b"'",
            b'"""',
            b"\\",
            b"\n",
            b"\r",
            b"\t",
            b",",
        ),
        *(b"{", b"}", b"[", b"]", b"[" * 3000, b"{" * 300, b"=", b"#", b"<", b">", b"&", b"&#0;"),
        *(
            b"-1",
            b"9" * 30,
            b"9" * 5000,
            b"1e999",
            b"nan",
            b"null",
            b"true",
            b"\\ud800",
            b"\\u0000",
        ),
        *(
            b"<!DOCTYPE a>",
            b"<![CDATA[",
            b"]]>",
            b"<a>" * 200,
            b"\xef\xbb\xbf",
            b"\xff\xfe",
            b"\x1f\x8b",
        ),
        *(b"0001-01-01", b"9999-12-31T23:59:59Z", b"\x1b[31m", b"\xe2\x80\xae", b"UTF-7", b"email"),
    ]
)
BYTES = st.lists(
    st.tuples(
        st.sampled_from(["replace", "insert", "delete", "copy", "flip"]),
        _PLACES,
        _PLACES,
        _TOKENS | st.binary(max_size=8),
    ),
    min_size=1,
    max_size=3,
)
"""Edits of a file's bytes; see :func:`edited`."""


def edited(content: bytes, edits: list[tuple[str, int, int, bytes]]) -> bytes:
    """The content after some edits of its words and signs."""
    parts = re.findall(rb"\w+|\s+|.", content, re.DOTALL)
    for kind, place, other, token in edits:
        here, there = place % (len(parts) + 1), other % (len(parts) + 1)
        if kind == "replace":
            parts[here : here + 1] = [token]
        elif kind == "insert":
            parts[here:here] = [token]
        elif kind == "delete":
            del parts[here : here + 1 + other % 40]
        elif kind == "copy":
            parts[here:here] = parts[there : there + 40]
        elif here < len(parts) and parts[here]:
            part = bytearray(parts[here])
            part[other % len(part)] ^= 1 << other % 8
            parts[here] = bytes(part)
    return b"".join(parts)


CHANGES = st.lists(
    st.tuples(st.sampled_from(["set", "remove", "add", "wrap", "swap"]), _PLACES, _PLACES, VALUES),
    min_size=1,
    max_size=3,
)
"""Changes of the values that a file holds; see :func:`changed`."""


def changed(plain: Any, changes: list[tuple[str, int, int, Any]]) -> Any:
    """A copy of some tables and lists in which values are replaced, removed, added and swapped."""
    root = [copy.deepcopy(plain)]
    for kind, place, other, value in changes:
        slots = list(_slots(root))
        holder, key = slots[place % len(slots)]
        if kind == "set":
            holder[key] = value
        elif kind == "remove" and holder is not root:
            del holder[key]
        elif kind == "wrap":
            holder[key] = [holder[key]]
        elif kind == "swap":
            away, name = slots[other % len(slots)]
            holder[key], away[name] = copy.deepcopy(away[name]), copy.deepcopy(holder[key])
        elif isinstance(holder[key], dict):
            holder[key][str(value)[:40]] = value
        elif isinstance(holder[key], list):
            holder[key].append(value)
    return root[0]


def _slots(holder: Any) -> Iterator[tuple[Any, Any]]:
    """Each place that holds a value: its table or list, and the key."""
    keys = range(len(holder)) if isinstance(holder, list) else list(holder)
    for key in keys:
        yield holder, key
        if isinstance(holder[key], list | dict):
            yield from _slots(holder[key])
