"""How well each text of a page stands out from its ground, as WCAG 2 measures it."""

from __future__ import annotations

import re
from typing import NamedTuple

from chromium import Tab

__all__ = ["Contrast", "contrast"]

_SCRIPT = """
(() => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    const place = walker.currentNode.parentElement;
    const unseen = "script, style, noscript, defs, title, desc, .sr, .skip";
    if (!text || !place || place.closest(unseen)) continue;
    if (!place.getClientRects().length || place.closest("[aria-disabled=true]")) continue;
    const style = getComputedStyle(place);
    const grounds = [];
    for (let e = place; e; e = e.parentElement) grounds.push(getComputedStyle(e).backgroundColor);
    const svg = place.closest("svg") !== null;
    found.push([text.slice(0, 40), svg ? style.fill : style.color, grounds]);
  }
  return found;
})()
"""

_Colour = tuple[float, float, float, float]


class Contrast(NamedTuple):
    """A text, its colours, and their ratio: 4.5 is the least that WCAG AA allows."""

    text: str
    colour: str
    ground: str
    ratio: float


def contrast(tab: Tab) -> list[Contrast]:
    """The contrast of every text that is shown."""
    found = []
    for text, colour, grounds in tab.run(_SCRIPT):
        ground = _ground([_parse(one) for one in grounds])
        over = _over(_parse(colour), ground)
        lighter, darker = sorted((_luminance(over), _luminance(ground)), reverse=True)
        ratio = (lighter + 0.05) / (darker + 0.05)
        found.append(Contrast(text, colour, str(ground[:3]), round(ratio, 2)))
    return found


def _parse(colour: str) -> _Colour:
    numbers = [float(one) for one in re.findall(r"[\d.]+", colour)]
    assert colour.startswith("rgb"), colour
    red, green, blue = numbers[:3]
    return red, green, blue, numbers[3] if len(numbers) > 3 else 1.0


def _ground(layers: list[_Colour]) -> _Colour:
    ground: _Colour = (255, 255, 255, 1)
    for layer in reversed(layers):
        ground = _over(layer, ground)
    return ground


def _over(top: _Colour, ground: _Colour) -> _Colour:
    share = top[3]
    mixed = [t * share + g * (1 - share) for t, g in zip(top[:3], ground[:3], strict=True)]
    return mixed[0], mixed[1], mixed[2], 1.0


def _luminance(colour: _Colour) -> float:
    def linear(value: float) -> float:
        share = value / 255
        return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(one) for one in colour[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
