"""A contract suite that a team's own test file turns on in three lines.

::

    from cadence.testing import PolicyContract
    class TestOurWay(PolicyContract):
        policy = "our-way.toml"

and the same with :class:`GuardContract` and ``guard = no_mondays``. Run it with pytest. It fails
with one sentence and a minimal history, one event a line, as ``cadence import`` takes it.
"""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple, TypeVar

import pytest
from hypothesis import HealthCheck, Verbosity, given, settings
from hypothesis import strategies as st

from cadence.domain.codec import encode_line
from cadence.domain.events import Event
from cadence.engine.decision import Task, Verdict
from cadence.engine.loop import decision_for
from cadence.errors import PolicyError
from cadence.messages import check_scripts
from cadence.policy import guard_runner
from cadence.policy.guard_runner import GuardFailed, GuardFunction
from cadence.policy.loader import builtin, parse
from cadence.policy.model import Policy
from cadence.policy.touch import GuardDelay, Touch, Veto
from cadence.prover.proof import prove
from cadence.prover.simulation import Scenario, Simulation, beginnings
from cadence.testing.invariants_check import breaches
from cadence.testing.strategies import History, Moment, histories

__all__ = ["GuardContract", "PolicyContract"]

_PATIENCE_SECONDS: Final = 2.0
"""A guard that takes longer than this for one answer is taken to hang."""
_SLOW_SECONDS: Final = 0.05
"""A guard may take this long for one answer: the due list asks once or more for each prospect."""
_TRIALS: Final = 5
"""A slow answer is timed so often, and its fastest time counts: the machine may be busy."""

_HANGING: Final[list[GuardFunction]] = []
"""Guards that hung: each still runs in a thread, and a second one would slow every other test."""

_Drawn = TypeVar("_Drawn")


class _Broken(Exception):
    """A promise that a history breaks."""

    def __init__(self, sentence: str, events: tuple[Event, ...]) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.events = events


class _Hung(BaseException):
    """A guard does not return. Not an ``Exception``: Hypothesis would call it again and again."""

    def __init__(self, sentence: str, events: tuple[Event, ...]) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.events = events


def _fail(
    sentence: str, events: tuple[Event, ...] = (), title: str = "The shortest history found:"
) -> None:
    lines = [encode_line(event).decode() for event in events]
    if lines:
        sentence = "\n".join([sentence, "", title, *lines])
    pytest.fail(sentence, pytrace=False)


class _Unended(NamedTuple):
    """A silence without an answer that is never closed, and what it waits for."""

    because: str
    now: datetime
    events: tuple[Event, ...]


def _unended(silence: Simulation, lying: int | None = None) -> _Unended | None:
    """Play a silence to its end; ``None``: it is closed.

    Args:
        silence: at its beginning.
        lying: after so many touches the follow-up is left until the horizon; never, by default.
    """
    for number in range(3 * len(silence.policy.planned_touches) + 20):
        decision = silence.leave() if number == lying else silence.decision
        if decision.verdict is Verdict.CLOSE:
            return None
        if decision.verdict is Verdict.TASK:
            break
        silence.make()
    last = silence.decision
    because = last.task if isinstance(last, Task) else str(last.verdict)
    return _Unended(because, silence.now, tuple(silence.events))


def _shortened(found: _Unended, policy: Policy) -> _Unended:
    """The shortest silence that waits for the same as ``found``, however it began."""
    channels = [frozenset({channel}) for channel in policy.traits if channel in policy.usable]
    known = [*channels, policy.usable]
    lengths = range(len(found.events))
    for how, some, agreed, lying in product(beginnings(policy), known, (False, True), lengths):
        other = _unended(Simulation(policy, Scenario(some, how, agreed)), lying)
        if other is not None and other.because == found.because:
            found = min(found, other, key=lambda one: len(one.events))
    return found


def _search(
    examples: int, drawn: st.SearchStrategy[_Drawn], look: Callable[[_Drawn], None]
) -> None:
    """Look at what is drawn, and fail with the smallest that breaks a promise."""
    last: list[_Broken] = []

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,  # a team's tests are the same today and tomorrow
        verbosity=Verbosity.quiet,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(drawn)
    def each(one: _Drawn) -> None:
        try:
            look(one)
        except _Broken as broken:
            last[:] = [broken]
            raise

    try:
        each()
    except _Hung as hung:
        _fail(hung.sentence, hung.events, "The history:")
    except Exception:
        if not last:
            raise
    if last:
        _fail(last[0].sentence, last[0].events)


class PolicyContract:
    """What every policy keeps. Subclass it, and name the policy.

    Attributes:
        policy: a file, beside the test file or as the shell would find it; or a policy.
        examples: how many histories are drawn for each promise.
    """

    policy: ClassVar[str | Path | Policy]
    examples: ClassVar[int] = 100

    @pytest.fixture
    def under_test(self, request: pytest.FixtureRequest) -> Policy:
        """The policy, read; proved or not."""
        given_ = self.policy
        if isinstance(given_, Policy):
            return given_
        beside = Path(inspect.getfile(request.cls)).parent / given_
        return parse(beside if beside.exists() else given_, allow_code=True)

    def test_it_is_proved(self, under_test: Policy) -> None:
        """The prover proves every invariant."""
        for one in prove(under_test).refuted:
            _fail(f"policy {under_test.id} breaks {one.rule}: {one.how}", one.counterexample)

    def test_every_script_can_be_said(self, under_test: Policy) -> None:
        """No message is an error text: every script is there, and something fills its gaps."""
        try:
            check_scripts(under_test, under_test.id)
        except PolicyError as error:
            _fail(f"{error.what}: {error.hint}")

    def test_every_step_can_be_reached(self, under_test: Policy) -> None:
        """Every step can be reached on some history."""
        for one in prove(under_test).unreachable:
            _fail(f"{one.step} of policy {under_test.id} is never made: {one.because}")

    def test_every_silence_ends(self, under_test: Policy) -> None:
        """A prospect who never answers is let go, however the silence began."""
        for how in beginnings(under_test):
            agreed = under_test.asks_guidelines
            found = _unended(Simulation(under_test, Scenario(under_test.usable, how, agreed)))
            if found is not None:
                shortest = _shortened(found, under_test)
                sentence = f"a silence under policy {under_test.id} is not closed: {found.because}"
                _fail(f"{sentence} ({_shown(shortest.now)})", shortest.events)

    def test_no_history_breaks_an_invariant(self, under_test: Policy) -> None:
        """Whatever prospect and rep do, no decision breaks a rule."""

        def look(history: History) -> None:
            for moment in history.moments:
                events = history.events[: moment.events]
                found = breaches(
                    events, moment.prospect, history.policies, moment.decision, moment.now
                )
                if found:
                    said = "; ".join(map(str, found))
                    when = _shown(moment.now)
                    raise _Broken(f"policy {under_test.id} breaks {said} ({when})", events)
            if history.refused is not None:
                raise _Broken(f"due, and then refused: {history.refused}", history.events)

        _search(self.examples, histories(under_test, adoptable=[builtin()]), look)

    def test_the_same_question_has_the_same_answer(self, under_test: Policy) -> None:
        """Asked twice, every decision is the same."""

        def look(history: History) -> None:
            for moment in history.moments:
                if decision_for(moment.prospect, history.policies, moment.now) != moment.decision:
                    sentence = f"policy {under_test.id} decides otherwise when asked again"
                    raise _Broken(sentence, history.events[: moment.events])

        _search(self.examples, histories(under_test), look)


class GuardContract:
    """What every guard of one's own keeps. Subclass it, and name the function.

    Attributes:
        guard: ``(prospect, touch, at) -> GuardDelay | Veto | None``, or its name as a policy file
            has it.
        most_days: how far it may put a touch off; a touch that finds no time within 30 days
            becomes a task for the owner.
        examples: how many histories are drawn for each promise.
    """

    guard: ClassVar[Any]
    most_days: ClassVar[int] = 30
    examples: ClassVar[int] = 60

    @pytest.fixture
    def function(self) -> GuardFunction:
        """The guard itself."""
        found: Any = inspect.getattr_static(type(self), "guard")
        found = found.__func__ if isinstance(found, staticmethod) else found
        if isinstance(found, str):
            guard_runner.allow([found])
            return guard_runner.resolve(found)
        checked: GuardFunction = found
        return checked

    def test_it_answers_and_does_not_raise(self, function: GuardFunction) -> None:
        """It returns GuardDelay, Veto or None, whatever prospect it is asked about."""

        def look(moment: Moment, touch: Touch, at: datetime) -> str | None:
            try:
                _ask(function, moment, touch, at)
            except GuardFailed as error:
                return str(error)
            return None

        self._everywhere(look)

    def test_it_says_the_same_when_asked_the_same(self, function: GuardFunction) -> None:
        """No clock, no chance, no memory."""

        def look(moment: Moment, touch: Touch, at: datetime) -> str | None:
            first, second = (_answer(function, moment, touch, at) for _ in range(2))
            return None if first == second else f"it answered {first}, and then {second}"

        self._everywhere(look)

    def test_it_never_asks_for_a_time_that_has_come(self, function: GuardFunction) -> None:
        """The engine would ignore it, which the author of the guard can't have meant."""

        def look(moment: Moment, touch: Touch, at: datetime) -> str | None:
            answer = _answer(function, moment, touch, at)
            if isinstance(answer, GuardDelay) and answer.until <= at:
                return f"asked at {_shown(at)}, it delays until {_shown(answer.until)}"
            return None

        self._everywhere(look)

    def test_its_delays_come_to_an_end(self, function: GuardFunction) -> None:
        """Asked again after each delay, it lets the touch pass in the end."""

        def look(moment: Moment, touch: Touch, at: datetime) -> str | None:
            now, last = at, at + timedelta(days=self.most_days)
            for _ in range(500):
                answer = _answer(function, moment, touch, now)
                if not isinstance(answer, GuardDelay) or answer.until <= now:
                    return None
                now = answer.until
                if now > last:
                    break
            return f"asked at {_shown(at)}, it still delays after {self.most_days} days"

        self._everywhere(look)

    def test_it_lets_the_polite_exit_pass(self, function: GuardFunction) -> None:
        """A way out is owed to them; vetoed, it is left to the owner."""

        def look(moment: Moment, touch: Touch, at: datetime) -> str | None:
            if touch.stage.value == "polite_exit":
                answer = _answer(function, moment, touch, at)
                if isinstance(answer, Veto):
                    return f"it vetoes the polite exit: {answer.because}"
            return None

        self._everywhere(look)

    def test_it_answers_within_50_ms(self, function: GuardFunction) -> None:
        """It runs in the process that asks, and nothing stops it there."""

        def look(moment: Moment, touch: Touch, at: datetime) -> str | None:
            taken: list[float] = []
            while len(taken) < _TRIALS:
                began = time.perf_counter()
                _answer(function, moment, touch, at)
                taken.append(time.perf_counter() - began)
                if taken[-1] <= _SLOW_SECONDS:
                    return None
            return f"it takes {min(taken) * 1000:.0f} ms to answer; the limit is 50 ms"

        self._everywhere(look)

    def _everywhere(self, look: Callable[[Moment, Touch, datetime], str | None]) -> None:
        """Ask about every touch that is next in a history, when it is, and at odd hours."""

        def each(drawn: tuple[History, int]) -> None:
            history, odd = drawn
            for moment in history.moments:
                touch, planned = moment.decision.touch, moment.decision.at
                if touch is None or planned is None:
                    continue
                for at in (planned, planned + timedelta(minutes=odd)):
                    about = f"the guard, about {touch.step} at {_shown(at)}"
                    events = history.events[: moment.events]
                    try:
                        wrong = look(moment, touch, at)
                    except TimeoutError as hung:
                        raise _Hung(f"{about}: {hung}", events) from None
                    if wrong is not None:
                        raise _Broken(f"{about}: {wrong}", events)

        odd_hours = st.integers(-48 * 60, 48 * 60)
        _search(self.examples, st.tuples(histories(builtin(), most=12), odd_hours), each)


def _shown(at: datetime) -> str:
    return f"{at.astimezone(UTC):%a %Y-%m-%d %H:%M} UTC"


def _ask(
    function: GuardFunction, moment: Moment, touch: Touch, at: datetime
) -> GuardDelay | Veto | None:
    """Its answer, checked as the engine checks it; ``TimeoutError`` where it hangs.

    The call has a thread of its own here, so that a guard that never returns does not hang the
    team's tests too. The thread is a daemon: it does not keep the process from ending.
    """
    answered: list[GuardDelay | Veto | None] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            answered.append(guard_runner.call(function, moment.prospect, touch, at))
        except BaseException as error:
            failed.append(error)

    if function in _HANGING:
        raise TimeoutError("it hung before, and is not called again")
    thread = threading.Thread(target=run, name="guard under test", daemon=True)
    thread.start()
    thread.join(_PATIENCE_SECONDS)
    if failed:
        raise failed[0]
    if not answered:
        _HANGING.append(function)
        raise TimeoutError(f"it did not answer within {_PATIENCE_SECONDS:g} seconds")
    return answered[0]


def _answer(
    function: GuardFunction, moment: Moment, touch: Touch, at: datetime
) -> GuardDelay | Veto | None:
    """Its answer, ``None`` for an invalid one, which another test tells."""
    try:
        return _ask(function, moment, touch, at)
    except GuardFailed:
        return None
