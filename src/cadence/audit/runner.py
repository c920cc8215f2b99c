"""Audit a whole store, its histories and its due list, page by page, and sum up what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from functools import partial

import msgspec

from cadence.audit import Auditor, Finding, Noticed
from cadence.audit.indexes import check_indexes, rows_of_nobody
from cadence.audit.merges import check_merges
from cadence.domain.events import AttemptMade, FollowUpEnded, PolicyRef
from cadence.domain.prospect import Prospect
from cadence.domain.words import EntryKind
from cadence.policy.loader import builtin, builtin_names
from cadence.policy.model import Policy
from cadence.policy.registry import PolicyRegistry
from cadence.policy.rules import Rule
from cadence.store.executors import PageOfIds, map_pages
from cadence.store.service import Cadence, Progress

__all__ = ["AuditPage", "Summary", "audit", "auditor"]


class AuditPage(msgspec.Struct):
    """What the audit of one page of histories found.

    Attributes:
        prospects, events: how many were audited.
        findings: what violates a rule.
        hindsight: what was in order as known then, and is not as known now.
        to_review: what took back what protects them; in order.
        unknown: policies that are not at hand, and the attempts under each; those were held
            against the invariants only.
        own_guards: policies with guards that are functions of the team's own, the names of those,
            and the attempts under each; the functions were not asked.
        last: the id of the last prospect.
    """

    prospects: int
    events: int
    findings: list[Finding]
    hindsight: list[Finding]
    unknown: list[tuple[PolicyRef, int]]
    own_guards: list[tuple[PolicyRef, tuple[str, ...], int]]
    last: str | None = None
    to_review: list[Finding] = msgspec.field(default_factory=list)


class _AuditingPages:
    """Audits a page of histories after the other."""

    def __init__(self, default: Policy, others: Sequence[Policy]) -> None:
        self.default = default
        self.others = others

    def __call__(self, store: Cadence) -> Callable[[PageOfIds], AuditPage]:
        return partial(_audit_page, store, Auditor(self.default, self.others))


def _audit_page(store: Cadence, auditor: Auditor, page: PageOfIds) -> AuditPage:
    histories = store.histories.page(page.first, page.last)
    auditor.reset_counts()
    findings: list[Finding] = []
    hindsight: list[Finding] = []
    to_review: list[Finding] = []
    prospects: list[Prospect] = []
    # What others had said is asked about attempts and ends alone; most who share none@example.com
    # have neither.
    judged = [
        one
        for one in histories
        if any(isinstance(e.data, AttemptMade | FollowUpEnded) for e in one)
    ]
    others = store.histories.others_of(judged)
    for history in histories:
        for one in auditor.audit(history, others.get(history[0].prospect)):
            (hindsight if one.noticed is Noticed.HINDSIGHT else findings).append(one)
        to_review += auditor.to_review
        if auditor.folded is not None:
            prospects.append(auditor.folded.whole())
    missed = list(check_indexes(store, prospects, page.after, page.last))
    missed += check_merges(store, histories)
    if missed:
        findings = sorted((*findings, *missed), key=lambda one: (one.prospect, one.version))
    unknown = list(auditor.unknown.items())
    own = [(ref, names, count) for (ref, names), count in auditor.own_guards.items()]
    return AuditPage(
        auditor.prospects,
        auditor.events,
        findings,
        hindsight,
        unknown,
        own,
        page.last,
        to_review,
    )


def auditor(policies: PolicyRegistry | None = None, others: Iterable[Policy] = ()) -> Auditor:
    """Make an auditor that knows the catalogue.

    Args:
        policies: whose default a prospect is under until its history names another.
        others: further policies that histories may name.
    """
    default = builtin() if policies is None else policies.unnamed
    return Auditor(default, (*map(builtin, builtin_names()), *others))


def audit(
    store: Cadence,
    *,
    others: Iterable[Policy] = (),
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Iterator[AuditPage]:
    """Audit every history of a store, and its due list, page by page, in order of the ids.

    Args:
        store: whose histories.
        others: policies that histories may name, beside the catalogue and those that were kept
            with the store when they were adopted.
        executor: does the work, a page at a time; by default the caller.
        progress: told how many prospects are done, of how many.

    Raises:
        ExecutorFailed: a worker ended, or can't be reached.
        CadenceError: a history is broken, or the store can't be read.
    """
    known = (*map(builtin, builtin_names()), *store.library.kept(), *others)
    work = _AuditingPages(store.policies.unnamed, known)
    last: str | None = None
    for page in map_pages(store, work, executor=executor, progress=progress):
        last = page.last
        yield page
    behind = rows_of_nobody(store, last)
    taken_back = list(_entries_taken_back(store))
    if behind or taken_back:
        yield AuditPage(0, 0, behind, [], [], [], to_review=taken_back)


def _entries_taken_back(store: Cadence) -> Iterator[Finding]:
    """List who took an address off a suppression list, or took a declared line back, and why."""
    for entry in store.addresses.entries(ended=True):
        if entry.kind is not EntryKind.LIST:
            what = (
                "was declared a line, which was taken back"
                if entry.kind is EntryKind.LINE
                else "may be used again"
            )
            source = f" (list {entry.source})" if entry.source else ""
            because = f"{what}{source} by {entry.ended_by}: {entry.ended_why}"
            yield Finding(entry.key, 0, Rule.SUPPRESSED, because, Noticed.TO_REVIEW)


class Summary:
    """Totals over the pages of an audit.

    Attributes:
        to_review: what is to be reviewed, of all pages.
    """

    def __init__(self) -> None:
        self.prospects = 0
        self.events = 0
        self.to_review: list[Finding] = []
        self.by_rule: dict[str, dict[Noticed, int]] = {}
        self.unknown: dict[PolicyRef, int] = {}
        self.own_guards: dict[tuple[PolicyRef, tuple[str, ...]], int] = {}

    def add(self, page: AuditPage) -> None:
        """Count a page."""
        self.prospects += page.prospects
        self.events += page.events
        self.to_review += page.to_review
        for one in (*page.findings, *page.hindsight):
            counts = self.by_rule.setdefault(one.rule, dict.fromkeys(Noticed, 0))
            counts[one.noticed] += 1
        for ref, attempts in page.unknown:
            self.unknown[ref] = self.unknown.get(ref, 0) + attempts
        for ref, names, attempts in page.own_guards:
            self.own_guards[ref, names] = self.own_guards.get((ref, names), 0) + attempts

    def count(self, *noticed: Noticed) -> int:
        """Count the findings of these kinds; without any, all that violate a rule."""
        kinds = noticed or tuple(one for one in Noticed if one is not Noticed.HINDSIGHT)
        return sum(counts[kind] for counts in self.by_rule.values() for kind in kinds)
