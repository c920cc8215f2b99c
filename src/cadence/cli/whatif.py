"""Compare the record with what another policy would have done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from cadence.cli.executors import DaskOption, JobsOption, chosen_executor
from cadence.cli.files import check_output, write_text
from cadence.cli.policy_files import POLICY_HELP, find_policy, note_if_refuted, policy_inputs
from cadence.cli.session import Session, command, new_app
from cadence.cli.terminal import paint
from cadence.domain.plurals import plural
from cadence.errors import InputError
from cadence.policy.model import Policy

if TYPE_CHECKING:  # loaded by the command, so that no other waits for it
    from cadence.analysis.whatif import Answered, Compared

__all__ = ["app"]

app = new_app()

_SHOWN: Final = 20
_WIDTH: Final = 40


@command(app, "whatif", example="cadence whatif --policy our-way.toml --html whatif.html")
def whatif(
    session: Session,
    policy: Annotated[
        str,
        typer.Option(metavar="POLICY", help=POLICY_HELP),
    ],
    html: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="Also as a page.")
    ] = None,
    jobs: JobsOption = None,
    dask: DaskOption = None,
) -> None:
    """Compare the record with what another policy would have done.

    What the prospects said and did stays; our attempts are replaced by those of the policy,
    each made when it is due. docs/explanation/audit.md says how they are compared.
    """
    from cadence.analysis.whatif import Compared
    from cadence.analysis.whatif import whatif as compare_store
    from cadence.reports.whatif_page import whatif_page

    if html == "-":
        raise InputError(
            "--html: invalid -: standard output is for the comparison", "give a file, or use --json"
        )
    inputs = policy_inputs(policy)
    if html is not None:
        check_output(html, db=session.db, inputs=inputs)  # before the long comparison
    other = find_policy(session, policy)
    note_if_refuted(session, other, "the comparison holds")
    total = Compared()
    answered: list[Answered] = []
    count = 0
    with (
        session.reading() as store,
        chosen_executor(store, jobs, dask) as executor,
        session.progress("comparing") as progress,
    ):
        if session.json:
            session.write_json('{"answered":[')
        for part in compare_store(store, other, executor=executor, progress=progress):
            total.add(part)
            for one in part.answered:
                if session.json:
                    session.write_json(("," if count else "") + msgspec.json.encode(one).decode())
                if len(answered) < _SHOWN:
                    answered.append(one)
                count += 1
    if session.json:
        rest = msgspec.json.encode(_totals(total, other)).decode()
        session.write_json(f"],{rest[1:]}")
    else:
        _print(session, total, other, answered, count)
    if html is not None:
        text = whatif_page(total, other, answered, count)
        write_text(html, text, db=session.db, inputs=inputs)
        if not session.json:
            session.write(f"written to {html}")


def _totals(total: Compared, policy: Policy) -> dict[str, object]:
    from cadence.analysis.whatif import DAYS

    return {
        "policy": policy.ref,
        "prospects": total.prospects,
        "events": total.events,
        "left_out": total.left_out,
        "changed": total.changed,
        "attempts": {
            "recorded": total.recorded,
            "under": total.under,
            "same": total.same,
            "sooner": total.sooner,
            "later": total.later,
            "dropped": total.dropped,
            "added": total.added,
        },
        "days": [
            {"from": day, "recorded": recorded, "under": under}
            for day, recorded, under in zip(
                DAYS, total.recorded_by_day, total.under_by_day, strict=True
            )
        ],
    }


def _print(
    session: Session, total: Compared, policy: Policy, answered: list[Answered], count: int
) -> None:
    name = f"{policy.id} version {policy.version}"
    session.write(
        f"{plural(total.prospects, 'recorded history', 'recorded histories')} "
        f"({plural(total.events, 'event')}) under "
        f"{paint(name, 'bold')}: {total.changed:,} would differ"
    )
    if total.left_out:
        session.write(f"{plural(total.left_out, 'prospect')} left out: events that can't be read")
    most = max(total.recorded, total.under, 1)
    session.write("")
    for words, number, style in (
        ("attempts as recorded", total.recorded, "cyan"),
        (f"attempts under {policy.id}", total.under, "green"),
        ("  on the same day", total.same, "dim"),
        ("  sooner", total.sooner, "yellow"),
        ("  later", total.later, "yellow"),
        ("  dropped", total.dropped, "red"),
        ("  added", total.added, "magenta"),
    ):
        session.write(f"{words:26} {number:>9,}  {_bar(number, most, style)}".rstrip())
    session.write("")
    session.write(paint(f"{'day of the silence':18} {'recorded':>9} {policy.id:>9}", "bold"))
    most = max(*total.recorded_by_day, *total.under_by_day, 1)
    for bar in total.bars():
        drawn = _bar(bar.recorded, most, "cyan")
        numbers = f"{bar.recorded:>9,} {bar.under:>9,}"
        session.write(f"{bar.days(' to '):18} {numbers}  {drawn}".rstrip())
        session.write(f"{'':38}  {_bar(bar.under, most, 'green', '▒')}".rstrip())
    session.write("")
    if not count:
        session.write(f"no answer came after an attempt that {policy.id} had not made by then")
        return
    session.write(
        f"{plural(count, 'answer')} came after an attempt that {policy.id} had not made by then:"
    )
    for one in answered:
        session.write(
            f"  {one.prospect:20} event {one.version}, after attempt {one.number} "
            f"(event {one.attempt}); {policy.id} had made {one.made}"
        )
    if count > len(answered):
        session.write(f"  and {count - len(answered):,} more: all of them with --json")


def _bar(number: int, most: int, style: str, sign: str = "█") -> str:
    return paint(sign * -(-number * _WIDTH // most), style) if number else ""
