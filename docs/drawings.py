"""Draw the pictures of the docs as SVG: the stage machine, the packages, the way of the data.

The stage machine is drawn from its table and the packages from their imports, so a picture that no
longer fits its subject is noticed: an arrow without a route raises ``KeyError``.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterable
from html import escape
from pathlib import Path

from cadence.domain import stages
from cadence.domain.stages import Stage

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "cadence"

_STYLE = """
text { font: 13px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1d2b2a; }
.small { font-size: 11px; fill: #35504d; } .head { font-weight: 600; }
.box { fill: #e0f2f0; stroke: #00796b; }
.group { fill: none; stroke: #6b8f8b; stroke-dasharray: 4 3; }
.end { fill: #eceff1; stroke: #546e7a; } .data { fill: #fff8e1; stroke: #b28704; }
.arrow { fill: none; stroke: #35504d; stroke-width: 1.2; marker-end: url(#tip); }
.dot { fill: #00796b; } .grid { stroke: #d7e3e1; } .plate { fill: #ffffff; }
"""
_TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto"><path d="M0 0 8 4 0 8z" fill="#35504d"/></marker></defs>'
)


def _svg(width: int, height: int, title: str, shapes: Iterable[str]) -> str:
    body = "\n".join(shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(title)}">\n<style>{_STYLE}</style>\n{_TIP}\n'
        f'<rect class="plate" width="{width}" height="{height}" rx="6"/>\n{body}\n</svg>\n'
    )


def _box(x: float, y: float, width: float, height: float, text: str, kind: str = "box") -> str:
    return (
        f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>'
        f'<text x="{x + width / 2}" y="{y + height / 2 + 4.5}" text-anchor="middle">'
        f"{escape(text)}</text>"
    )


def _text(x: float, y: float, text: str, kind: str = "small", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _arrow(path: str) -> str:
    return f'<path class="arrow" d="{path}"/>'


# The stage machine --------------------------------------------------------------------------------

_APART = (Stage.WON, Stage.LOST, Stage.OPTED_OUT, Stage.MERGED)
FOLLOWED = tuple(stage for stage in Stage if stage not in _APART)

_PLACES: dict[str, tuple[float, float, float]] = {
    "new": (36, 70, 92),
    "scheduled": (36, 220, 92),
    **{stage: (272 + 100 * place, 78, 90) for place, stage in enumerate(stages.OUTREACH)},
    "closed": (1012, 70, 92),
    "engaged": (500, 230, 160),
    "won": (300, 440, 92),
    "lost": (500, 440, 92),
    "opted_out": (760, 440, 110),
    "merged": (1000, 440, 92),
}

# From, to: the path of the arrow, and where its label begins.
_ROUTES: dict[tuple[str, str], tuple[str, float, float]] = {
    ("new", "scheduled"): ("M86 104V220", 26, 150),
    ("scheduled", "new"): ("M112 220V104", 118, 150),
    ("new", "outreach"): ("M128 87H262", 136, 80),
    ("scheduled", "outreach"): ("M128 226C200 220 210 118 262 118", 206, 186),
    ("engaged", "outreach"): ("M600 230V132", 606, 186),
    ("engaged", "scheduled"): ("M500 240H128", 330, 235),
    ("scheduled", "engaged"): ("M128 252H500", 330, 266),
    ("closed", "engaged"): ("M1050 104C1040 220 800 242 660 242", 850, 256),
    ("followed", "engaged"): ("M580 346V264", 586, 296),
    ("followed", "scheduled"): ("M82 346V254", 88, 306),
    ("followed", "closed"): ("M1050 16V70", 1056, 46),
    ("followed", "won"): ("M330 346V440", 272, 400),
    ("followed", "lost"): ("M516 346V440", 462, 400),
    ("followed", "opted_out"): ("M850 346V440", 856, 400),
    ("won", "engaged"): ("M366 440C380 330 500 310 515 264", 392, 380),
    ("lost", "engaged"): ("M556 440C566 380 560 320 548 264", 568, 400),
    ("opted_out", "engaged"): ("M800 440C800 340 740 260 660 256", 728, 332),
    ("followed", "merged"): ("M1046 346V440", 1052, 400),
    ("opted_out", "merged"): ("M870 457H1000", 900, 452),
    ("lost", "merged"): ("M570 474C580 640 1030 640 1030 474", 800, 600),
    ("won", "merged"): ("M312 474C312 690 1060 690 1060 474", 640, 650),
    ("lost", "opted_out"): ("M592 451H760", 640, 446),
    ("opted_out", "lost"): ("M760 466H592", 640, 480),
    ("won", "opted_out"): ("M346 474C346 540 820 540 820 474", 560, 518),
    ("opted_out", "won"): ("M840 474C840 570 326 570 326 474", 560, 560),
}


def arrows() -> dict[tuple[str, str], list[str]]:
    """Return the signals of every arrow; one that all followed-up stages share is drawn once."""
    drawn: dict[tuple[str, str], list[str]] = {}
    for signal in stages.Signal:
        goals: dict[Stage, list[Stage]] = {}
        for stage in Stage:
            cell = stages.look_up(stage, signal)
            if cell.move is stages.Move.GO:
                goals.setdefault(cell.stage, []).append(stage)
        for goal, sources in goals.items():
            rest: list[str] = [stage for stage in sources if stage not in stages.OUTREACH]
            if goal in stages.OUTREACH:
                for source in rest:
                    drawn.setdefault((source, "outreach"), []).append(goal)
                continue
            if all(stage in (*sources, goal) for stage in FOLLOWED):
                drawn.setdefault(("followed", goal), []).append(signal)
                rest = [stage for stage in rest if stage not in FOLLOWED]
            for source in rest:
                drawn.setdefault((source, goal), []).append(signal)
    return drawn


def stage_machine() -> str:
    """Draw the *go* cells of the stage table."""
    shapes = ['<rect class="group" x="16" y="16" width="1110" height="330" rx="10"/>']
    shapes += ['<rect class="group" x="262" y="40" width="712" height="92" rx="10"/>']
    shapes += [_text(272, 60, "outreach: only forward, stages may be left out")]
    for stage, (x, y, width) in _PLACES.items():
        shapes.append(
            _box(x, y, width, 34, stage, "end" if stage in (*_APART, "closed") else "box")
        )
    for one, two in zip(stages.OUTREACH, stages.OUTREACH[1:], strict=False):
        left, right = _PLACES[one], _PLACES[two]
        shapes.append(_arrow(f"M{left[0] + left[2]} 95H{right[0]}"))
    drawn = arrows()
    for ends in sorted(set(_ROUTES) | set(drawn)):
        path, x, y = _ROUTES[ends]
        signals = drawn[ends]
        label = f"attempt ({signals[0]})" if ends[1] == "outreach" else ", ".join(signals)
        shapes.append(_arrow(path))
        # Two short lines stand closer to their arrow than one long.
        lines = (
            label.replace("_before_", "_before\n_").replace(", opt_in_", ",\nopt_in_").split("\n")
        )
        shapes += [_text(x, y + 12 * row, line) for row, line in enumerate(lines)]
    return _svg(1142, 660, "The stage machine", shapes)


# The packages -------------------------------------------------------------------------------------


def layers() -> list[str]:
    """Return the packages from the bottom up, as the import-linter contract orders them."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    contracts = tomllib.loads(text)["tool"]["importlinter"]["contracts"]
    (layered,) = (contract for contract in contracts if contract["type"] == "layers")
    names = [name.strip() for layer in layered["layers"] for name in layer.split("|")]
    return [name.removeprefix("cadence.") for name in reversed(names)]


def imports(package: str) -> set[str]:
    """Return the packages that ``package`` imports, itself left out."""
    place = SOURCE / package
    found = set()
    for path in place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found |= {name.split(".")[1] for name in names if name.startswith("cadence.")}
    return found - {package}


def subject(package: str) -> str:
    """Return the summary line of a package's docstring."""
    path = SOURCE / package / "__init__.py"
    path = path if path.exists() else SOURCE / f"{package}.py"
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).rstrip(".")


def packages() -> str:
    """Draw which package imports which: every dot stands left of the diagonal."""
    names = layers()
    row, left, top = 26, 96, 84
    shapes = [_text(left + 6, 18, "imports", "head")]
    width = left + row * len(names)
    for place, name in enumerate(names):
        x, y = left + row * place + row / 2, top + row * place
        shapes.append(
            f'<g transform="translate({x + 4} {top - 8}) rotate(-55)">{_text(0, 0, name)}</g>'
        )
        shapes.append(_text(left - 8, y + 17, name, "head", "end"))
        shapes.append(f'<path class="grid" d="M{left} {y}H{width}"/>')
        shapes.append(_text(width + 14, y + 17, subject(name)))
        shapes.append(f'<rect class="end" x="{x - 5}" y="{y + 8}" width="10" height="10" rx="2"/>')
        for other in sorted(imports(name) & set(names)):
            column = left + row * names.index(other) + row / 2
            shapes.append(f'<circle class="dot" cx="{column}" cy="{y + 13}" r="5"/>')
    return _svg(1080, top + row * len(names) + 12, "Which package imports which", shapes)


# The way of the data ------------------------------------------------------------------------------


def way_of_the_data() -> str:
    """Draw how an event becomes the next touch, and the touch the next event."""
    shapes = [
        _box(20, 90, 120, 44, "event", "data"),
        _box(200, 90, 130, 44, "evolve"),
        _box(390, 90, 130, 44, "Prospect", "data"),
        _box(580, 90, 130, 44, "next_touch"),
        _box(770, 90, 130, 44, "Decision", "data"),
        _box(580, 16, 130, 34, "policy, now", "data"),
        _box(770, 190, 130, 44, "touch", "data"),
        _box(580, 190, 130, 44, "attempt", "data"),
        _box(390, 190, 130, 44, "decide"),
        *(_arrow(f"M{x} 112H{x + 60}") for x in (140, 330, 520, 710)),
        _arrow("M645 50V90"),
        _arrow("M835 134V190"),
        _arrow("M770 212H710"),
        _arrow("M580 212H520"),
        _arrow("M390 212H80V134"),
        _arrow("M455 134V190"),
        _text(24, 84, "domain, store"),
        _text(204, 84, "domain: adds the event"),
        _text(394, 84, "domain: stage, silence"),
        _text(584, 150, "engine: plan, guards, invariants"),
        _text(774, 84, "engine: due, wait, task, close, stop"),
        _text(774, 250, "messages: what to say"),
        _text(584, 250, "made by a rep or a machine"),
        _text(394, 250, "engine: accept, refuse, record"),
        _text(90, 206, "the new event is stored with its due row"),
    ]
    return _svg(1000, 270, "The way of the data", shapes)
