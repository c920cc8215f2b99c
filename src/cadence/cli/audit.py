"""Audit every history against the invariants and its policy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from cadence.cli.executors import DaskOption, JobsOption, chosen_executor
from cadence.cli.old_lists import note_old_lists
from cadence.cli.policy_files import POLICY_HELP, find_policy, note_if_refuted
from cadence.cli.session import Session, command, new_app
from cadence.cli.show import how_to_settle
from cadence.cli.terminal import paint
from cadence.domain.plurals import plural
from cadence.store.duplicates import Duplicate, duplicates_by_address

if TYPE_CHECKING:  # loaded by the command, so that no other waits for it
    from cadence.audit import Finding
    from cadence.audit.runner import AuditPage, Summary

__all__ = ["app"]

app = new_app()


@command(app, "audit", example="cadence audit --json")
def audit(
    session: Session,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="POLICY",
            help=f"One that histories name; may be repeated. {POLICY_HELP}",
        ),
    ] = None,
    hindsight: Annotated[
        bool,
        typer.Option(help="Include attempts that only later information shows to be wrong."),
    ] = False,
    jobs: JobsOption = None,
    dask: DaskOption = None,
) -> None:
    """Check every history against the invariants and its policy.

    The exit code is 1 if there is any finding. Each finding says whether the history admits it
    ("said so") or not ("unnoticed"). What was sent before we knew of a reply or an opt-out broke no
    rule: --hindsight lists that too.
    """
    from cadence.audit.runner import Summary
    from cadence.audit.runner import audit as audit_store

    others = [find_policy(session, name, as_data=True) for name in policy or ()]
    for one in others:
        note_if_refuted(session, one, "its findings hold")
    summary = Summary()
    with (
        session.reading() as store,
        chosen_executor(store, jobs, dask) as executor,
        session.progress("auditing") as progress,
    ):
        pages = audit_store(store, others=others, executor=executor, progress=progress)
        found = _found(pages, summary, hindsight=hindsight)
        shown = _print_json(session, found) if session.json else _print(session, found)
        # A database of an older cadence has no index of addresses before it is rebuilt.
        alike = duplicates_by_address(store) if store.addresses.is_whole() else []
        if not session.json:
            note_old_lists(session, store)
    if session.json:
        session.write_json(f'],"prospects":{summary.prospects},"events":{summary.events}')
        if summary.to_review:
            to_review = msgspec.json.encode([_keys(one) for one in summary.to_review]).decode()
            session.write_json(f',"to_review":{to_review}')
        if alike:
            pairs = [{**one._asdict(), "keys": list(one.keys)} for one in alike]
            session.write_json(f',"duplicates":{msgspec.json.encode(pairs).decode()}')
        session.write_json("}")
    else:
        _print_summary(session, summary, hindsight=hindsight)
        _print_duplicates(session, alike)
    if shown:
        raise typer.Exit(1)


def _found(pages: Iterator[AuditPage], summary: Summary, *, hindsight: bool) -> Iterator[Finding]:
    for page in pages:
        summary.add(page)
        found = page.findings
        if hindsight:
            found = sorted((*found, *page.hindsight), key=lambda one: (one.prospect, one.version))
        yield from found


def _print_json(session: Session, found: Iterator[Finding]) -> int:
    """The findings first, because the totals are known last, and nothing is kept until then."""
    shown = 0
    session.write_json('{"findings":[')
    for one in found:
        session.write_json(("," if shown else "") + msgspec.json.encode(_keys(one)).decode())
        shown += 1
    return shown


def _keys(one: Finding) -> dict[str, object]:
    return {name: getattr(one, name) for name in ("prospect", "version", "rule", "because")}


def _print(session: Session, found: Iterator[Finding]) -> int:
    from cadence.audit import Noticed

    shown = 0
    for one in found:
        if not shown:
            session.write(paint(_TITLES, "bold"))
        colour = "cyan" if one.noticed is Noticed.HINDSIGHT else "yellow"
        session.write(_line(one, colour))
        shown += 1
    if shown:
        session.write("")
    return shown


_TITLES: Final = f"{'prospect':20} {'event':>5}  {'rule':14} because"


def _line(one: Finding, colour: str) -> str:
    because = one.because
    if one.also:
        because += f"; it says that it broke {', '.join(one.also)} too: one act, one finding"
    return f"{one.prospect:20} {one.version:>5}  {paint(f'{one.rule:14}', colour)} {because}"


def _print_duplicates(session: Session, alike: Sequence[Duplicate]) -> None:
    """Name the first pairs of records that may be one person."""
    if not alike:
        return
    session.write("")
    settle = how_to_settle((key for one in alike for key in one.keys), of_many=True)
    session.write(paint(f"may be one person, not decided yet; for each pair {settle}", "bold"))
    for one in alike[:_MOST_DUPLICATES]:
        session.write(f"{one.prospect:20} {one.other:20} {', '.join(one.keys)}")
    more = len(alike) - _MOST_DUPLICATES
    if more > 0:
        session.write(f"{plural(more, 'more pair')}; list them with: cadence duplicates")


_MOST_DUPLICATES: Final = 5


def _print_summary(session: Session, summary: Summary, *, hindsight: bool) -> None:
    from cadence.audit import Noticed

    if summary.by_rule:
        columns = ("findings", "said so", "recorded", "unnoticed", "hindsight")
        titles = " ".join(f"{title:>9}" for title in columns)
        session.write(paint(f"{'rule':14} {titles}", "bold"))
    for rule, counts in sorted(summary.by_rule.items()):
        kinds = (Noticed.DECLARED, Noticed.RECORDED, Noticed.UNDECLARED)
        numbers = [sum(counts[kind] for kind in kinds), *(counts[kind] for kind in kinds)]
        numbers.append(counts[Noticed.HINDSIGHT])
        session.write(f"{rule:14} " + " ".join(f"{number:>9,}" for number in numbers))
    findings = summary.count()
    said = plural(findings, "finding") if findings else "nothing broken"
    session.write(
        f"{plural(summary.prospects, 'prospect')}, {plural(summary.events, 'event')}: {said}"
    )
    breaches = [one for one in summary.to_review if one.noticed is Noticed.BREACH_TAKEN_BACK]
    in_order = [one for one in summary.to_review if one.noticed is not Noticed.BREACH_TAKEN_BACK]
    for title, reviews, colour in (
        ("to review: each took back an attempt that broke a rule", breaches, "yellow"),
        ("to review: in order, but each took back what protects them", in_order, "cyan"),
    ):
        if reviews:
            session.write("")
            session.write(paint(title, "bold"))
        for one in reviews:
            session.write(_line(one, colour))
    later = summary.count(Noticed.HINDSIGHT)
    if later and not hindsight:
        session.write(
            f"{later:,} more {'was' if later == 1 else 'were'} in order as known then; "
            "list them with --hindsight"
        )
    for (ref, names), attempts in sorted(summary.own_guards.items(), key=lambda one: -one[1]):
        session.write(
            f"{plural(attempts, 'attempt')} under {ref.name} version "
            f"{ref.version}: its guard{'' if len(names) == 1 else 's'} {', '.join(names)} "
            f"{'is a function' if len(names) == 1 else 'are functions'} of the team's own, which "
            "can't be asked about the past"
        )
    for ref, attempts in sorted(summary.unknown.items(), key=lambda one: -one[1]):
        session.write(
            f"{plural(attempts, 'attempt')} under {ref.name} version {ref.version} "
            f"(digest {ref.digest[:12]}…), which is not at hand: held against the "
            "invariants only; give it with --policy FILE"
        )
