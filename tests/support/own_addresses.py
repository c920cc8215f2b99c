"""Tell prospects apart that were made with one address, so that none speaks to another."""

from __future__ import annotations

import re
from typing import Any

import msgspec


def own_addresses(number: int, value: Any) -> Any:
    """Return a command, event or value with addresses of the prospect's own, by its number."""
    if isinstance(value, tuple):
        return tuple(own_addresses(number, one) for one in value)
    if not isinstance(value, msgspec.Struct):
        return value
    changed = {}
    for field in value.__struct_fields__:
        held = getattr(value, field)
        if field in ("address", "key") and isinstance(held, str):
            held = re.sub("@example", f"@p{number}.example", held, flags=re.IGNORECASE)
            held = re.sub("(street 1).*", rf"\g<1>{number}", held, flags=re.IGNORECASE)
            changed[field] = held.replace("555", f"{555 + number}")
        elif isinstance(held, tuple | msgspec.Struct):
            changed[field] = own_addresses(number, held)
    return msgspec.structs.replace(value, **changed) if changed else value
