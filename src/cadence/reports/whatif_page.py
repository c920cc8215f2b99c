"""A comparison as one page that needs nothing else: no script, no font, no picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from cadence.analysis.whatif import Answered, Compared
from cadence.policy.model import Policy

__all__ = ["page"]

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem;
  color: #1b1f24; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% } td, th { padding: .2rem .5rem; text-align: left }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
td.bar { width: 55% } tr + tr { border-top: 1px solid #e4e7eb }
.bar i { display: block; height: .6rem; min-width: 1px; margin: .1rem 0; border-radius: 2px }
.recorded { background: #2f6f9f } .under { background: #d9822b } .quiet { color: #57606a }
@media (prefers-color-scheme: dark) { body { color: #e6e8eb; background: #14171a }
  tr + tr { border-color: #2c3136 } .quiet { color: #9aa4ad } }
"""


def page(total: Compared, policy: Policy, answered: Sequence[Answered], count: int) -> str:
    """The page.

    Args:
        total: what the comparison added up to.
        policy: the policy that the histories were put under.
        answered: some of those who answered after an attempt that it had not made by then.
        count: how many of them there are.
    """
    name = f"{escape(policy.id)} version {policy.version}"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>What if: {name}</title><style>{_STYLE}</style></head><body>",
            f"<h1>What if it had been {name}?</h1>",
            f"<p>{escape(policy.title)}. {total.prospects:,} recorded histories "
            f"({total.events:,} events); {total.changed:,} would differ. What the prospects said "
            "and did stays as it was; our attempts are replaced by those of the policy, each made "
            "when it is due.</p>",
            *_counts(total, name),
            *_days(total, name),
            *_answered(answered, count, name),
            f'<p class="quiet">digest {escape(policy.digest)}</p>',
            "</body></html>",
            "",
        ]
    )


def _counts(total: Compared, name: str) -> Iterator[str]:
    yield "<h2>Attempts</h2><table>"
    most = max(total.recorded, total.under, 1)
    for words, number, kind in (
        ("as recorded", total.recorded, "recorded"),
        (f"under {name}", total.under, "under"),
        ("on the same day", total.same, "under"),
        ("sooner", total.sooner, "under"),
        ("later", total.later, "under"),
        ("dropped", total.dropped, "recorded"),
        ("added", total.added, "under"),
    ):
        bar = _bar(number, most, kind)
        yield f'<tr><td>{words}</td><td class="n">{number:,}</td><td class="bar">{bar}</td></tr>'
    yield "</table>"


def _days(total: Compared, name: str) -> Iterator[str]:
    yield "<h2>By day of the silence</h2><table>"
    yield (f'<tr><th>day</th><th class="n">recorded</th><th class="n">{name}</th><th></th></tr>')
    most = max(*total.recorded_by_day, *total.under_by_day, 1)
    for bar in total.bars():
        bars = _bar(bar.recorded, most, "recorded") + _bar(bar.under, most, "under")
        yield (
            f'<tr><td>{bar.days("–")}</td><td class="n">{bar.recorded:,}</td>'
            f'<td class="n">{bar.under:,}</td>'
            f'<td class="bar">{bars}</td></tr>'
        )
    yield "</table>"


def _answered(answered: Sequence[Answered], count: int, name: str) -> Iterator[str]:
    yield f"<h2>Answers after an attempt that {name} had not made by then: {count:,}</h2>"
    if not count:
        return
    yield "<table><tr><th>prospect</th><th>answered</th><th>after</th><th>made by then</th></tr>"
    for one in answered:
        yield (
            f"<tr><td>{escape(one.prospect)}</td><td>event {one.version}</td>"
            f"<td>attempt {one.number} (event {one.attempt})</td><td>{one.made}</td></tr>"
        )
    yield "</table>"
    if count > len(answered):
        yield f'<p class="quiet">and {count - len(answered):,} more</p>'


def _bar(number: int, most: int, kind: str) -> str:
    return f'<i class="{kind}" style="width:{100 * number / most:.1f}%"></i>' if number else ""
