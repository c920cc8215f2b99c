"""The application driven at random, on memory and on a SQLite file, against the naive model.

Every rule acts on both stores and compares; after each step the invariants look at the prospects
that were touched. What is right is what ``support/naive.py`` says, which reads the whole history
again for each question. It computes when a touch is due; ``test_model.py``, which knows more
events, does not.
"""

from __future__ import annotations

from datetime import timedelta

import naive
from clocks import ahead
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from machine import DAY, MINUTE, Machine, listed, show_history

from cadence.domain import (
    EndReason,
    FollowUpEnded,
    Prospect,
    fold,
)
from cadence.engine import (
    Verdict,
    next_touch,
)
from cadence.store import Cadence


class CheckedMachine(Machine):
    """The machine, with what must hold after each step."""

    @rule(ahead=st.sampled_from([timedelta(0), 10 * MINUTE, 3 * DAY, 20 * DAY, 4000 * DAY]))
    def the_due_list_equals_brute_force(self, ahead: timedelta) -> None:
        """At any time from the last record on."""
        self.touched = set()
        recorded = [event.recorded_at for one in self.histories.values() for event in one]
        now = max([self.now, *recorded]) + ahead
        decided = [self.memory.explain(prospect, now) for prospect in self.ids]
        now_alone = {Verdict.DUE, Verdict.TASK}
        for kinds in (now_alone, {*Verdict}, {Verdict.WAIT}, {Verdict.CLOSE, Verdict.DUE}):
            wanted = [one for one in decided if one.verdict in kinds - {Verdict.STOP}]
            assert all(one.at is not None for one in wanted)
            wanted.sort(key=lambda one: (one.at, one.prospect))
            for store in (self.memory, self.disk):
                assert list(store.due(now, verdicts=kinds)) == wanted

    @rule()
    def the_due_list_equals_its_rebuild(self) -> None:
        self.touched = set()
        for store in (self.memory, self.disk):
            rows = store.due_rows.stored()
            assert [row.prospect for row in rows] == sorted(self.ids)
            store.due_rows.rebuild()
            assert store.due_rows.stored() == rows
        assert self.memory.due_rows.stored() == self.disk.due_rows.stored()

    @rule()
    def histories_import_into_another_store(self) -> None:
        self.touched = set()
        other = Cadence.open()
        other.histories.append([(one, 0) for one in self.histories.values()], at=ahead())
        assert other.due_rows.stored() == self.memory.due_rows.stored()
        stored = [(one, len(one)) for one in self.histories.values()]
        assert other.histories.append(stored, at=ahead()) == 0
        other.close()

    def check_one(self, prospect: str) -> None:
        """What the model says of one prospect, and that the invariants allow what is decided."""
        history = self.histories[prospect]
        found = self.facts(prospect)
        _agrees(self.memory.load(prospect), found)
        known = max(event.recorded_at for event in history)
        for later in (timedelta(0), 10 * MINUTE, 9 * DAY, 900 * DAY):
            now = max(self.now, known) + later
            decision = self.memory.explain(prospect, now)
            breaches = naive.charter_breaches(found, decision, now)
            assert not breaches, f"{breaches}\n{show_history(history, decision)}"

    @invariant()
    def the_model_agrees_and_no_decision_breaches_the_charter(self) -> None:
        for prospect in sorted(self.touched):
            self.check_one(prospect)

    def fresh_authorised(self) -> list[tuple[list[naive.Fact], naive.Fact]]:
        """Authorised attempts among the last events of what was touched, with what was before."""
        found = []
        for prospect in sorted(self.touched):
            by = {event.version: event.by for event in self.histories[prospect]}
            every = self.facts(prospect)
            for fact in naive.authorised(every[-2:]):
                before = naive.facts_until(every, fact["version"] - 1)
                # One of a silence that is over is not judged: what was next then is not known.
                past = fact["occurred"] < naive.last_contact(before or every)["occurred"]
                if by[fact["version"]] == "command" and not past:
                    found.append((before, fact))
        return found

    @invariant()
    def no_more_than_six_spaced_calls(self) -> None:
        for before, fact in self.fresh_authorised():
            if naive.is_spaced_call(fact):
                assert naive.spaced_calls(before) < naive.CAP

    @invariant()
    def gaps_never_shrink_as_silence_grows(self) -> None:
        """Of authorised attempts; those proposed are looked at with the invariants."""
        for before, fact in self.fresh_authorised():
            made = naive.attempts(before)
            if fact["stage"] == "on_time" or not made:
                continue
            last = made[-1]["occurred"]
            if fact["occurred"] < last:  # learnt late; what was next then is not known any more
                continue
            assert naive.gap(before, last, fact["occurred"]) >= naive.largest_gap(before), listed(
                [*before, fact]
            )

    @invariant()
    def nothing_after_an_opt_out(self) -> None:
        for before, fact in self.fresh_authorised():
            gone = naive.opted_out(before)
            assert not gone & {part["channel"] for part in fact["parts"]}, listed([*before, fact])
        for prospect in sorted(self.touched):
            gone = naive.opted_out(self.facts(prospect))
            decision = self.explain(prospect)
            if decision.touch is not None:
                assert not gone & {part.channel for part in decision.touch.parts}
            if len(gone) == len(naive.CHANNELS):
                assert decision.touch is None

    @invariant()
    def exit_before_closing(self) -> None:
        for prospect in sorted(self.touched):
            last = self.histories[prospect][-1]
            if not isinstance(last.data, FollowUpEnded) or last.by == "fact":
                continue
            before = self.facts(prospect)[:-1]
            if last.data.reason is EndReason.NO_RESPONSE:
                ends = naive.answer_ends(before)
                assert ends is not None, "closed for silence without an exit"
                assert ends <= last.occurred_at
            elif last.data.reason is EndReason.UNREACHABLE:
                # Nothing is left, or the last word was tried there and not delivered.
                exits = [part for one in naive.exits(before) for part in one["parts"]]
                tried = {(part["channel"], str(naive.key_of(part))) for part in exits}
                assert set(naive.usable_points(before)) <= tried

    @invariant()
    def nobody_forgotten(self) -> None:
        for prospect in sorted(self.touched):
            stage = naive.stage(self.facts(prospect))
            decision = self.explain(prospect)
            if stage in (*naive.ENDED, "opted_out"):
                assert decision.verdict in {Verdict.STOP, Verdict.TASK}
            else:
                assert decision.verdict is not Verdict.STOP
                assert decision.at is not None
            assert decision.reasons

    @invariant()
    def a_fold_of_a_and_b_is_the_fold_of_b_from_the_fold_of_a(self) -> None:
        for prospect in sorted(self.touched):
            history = self.histories[prospect]
            whole = fold(None, history)
            for cut in {1, len(history) // 2, len(history) - 1}:
                assert fold(fold(None, history[:cut]), history[cut:]) == whole
            assert whole == self.memory.load(prospect)

    @invariant()
    def memory_and_sqlite_agree(self) -> None:
        for prospect in sorted(self.touched):
            assert self.disk.history(prospect) == self.histories[prospect]
            assert self.disk.explain(prospect, self.now) == self.explain(prospect)
            folded = self.memory.load(prospect)
            assert next_touch(folded, self.policy, self.now) == self.explain(prospect)

    @invariant()
    def versions_have_no_holes(self) -> None:
        for prospect in sorted(self.touched):
            versions = [event.version for event in self.histories[prospect]]
            assert versions == list(range(1, len(versions) + 1))


def _agrees(prospect: Prospect, found: list[naive.Fact]) -> None:
    since = naive.last_contact(found)
    made = naive.attempts(found)
    mine = {
        "stage": naive.stage(found),
        "since": since["occurred"],
        "attempts": [attempt["version"] for attempt in made],
        "spaced_calls": naive.spaced_calls(found),
        "opted_out": naive.opted_out(found),
        "failed": naive.failed(found),
        "zones": naive.zones(found),
        "place": naive.place(found),
    }
    theirs = {
        "stage": prospect.stage.value,
        "since": prospect.silence.since,
        "attempts": [attempt.version for attempt in prospect.silence.attempts],
        "spaced_calls": prospect.silence.spaced_calls,
        "opted_out": {channel for channel in naive.CHANNELS if channel in prospect.reach.opted_out},
        "failed": set(prospect.reach.failed),
        "zones": prospect.identity.zones,
        "place": (prospect.identity.country, prospect.identity.subdivision),
    }
    wrong = {name: (theirs[name], mine[name]) for name in mine if theirs[name] != mine[name]}
    assert not wrong, f"{wrong}\n{listed(found)}"
    delivered = prospect.exit_delivered()
    expected = naive.exit_delivered(found)
    assert (delivered and delivered[0].version) == (expected and expected["version"])


TestMachine = CheckedMachine.TestCase
TestMachine.settings = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None
)
