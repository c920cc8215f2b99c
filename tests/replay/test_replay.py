"""Replay: time travel, and what an auditor asks of each moment."""

from __future__ import annotations

import json
import re
import sqlite3
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import paths
import pytest
from clocks import ahead
from hypothesis import given
from hypothesis import strategies as st
from strategies import histories

from cadence.cli.main import main
from cadence.domain import (
    AppointmentSet,
    AttemptMade,
    AttemptStage,
    AutoReplyReceived,
    Channel,
    ContactPoint,
    Disposition,
    Event,
    Gap,
    InterestNoted,
    Part,
    ProspectAdded,
    ReplyReceived,
    decode_line,
    fold,
)
from cadence.engine import Due, Reason, Verdict
from cadence.engine.loop import decision_for
from cadence.errors import InputError
from cadence.policy import PolicyRegistry
from cadence.replay import (
    AnnotatedStep,
    OverdueKind,
    ReplayStep,
    annotate,
    replay,
    until,
)
from cadence.replay.formatting import (
    measure_line,
    next_action,
    overdue_lines,
    punctuality_line,
    summary,
    unrecorded_lines,
)
from cadence.reports import replay_page
from cadence.reports.html import script_data
from cadence.reports.shading import ShadeKind, shades
from cadence.reports.timeline import MarkKind, RingKind, timeline
from cadence.store import Cadence
from cadence.transfer import export_jsonl, import_jsonl

EXAMPLES = paths.EXAMPLES / "histories"
POLICIES = PolicyRegistry()
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# Time travel --------------------------------------------------------------------------------------


def from_file(app: Cadence, path: Path) -> list[Event]:
    """What an export of ``app`` gives when it is read again."""
    with path.open("wb") as out:
        export_jsonl(app, out)
    events = []
    for raw in path.read_bytes().splitlines():
        line = decode_line(raw)
        assert line.version is not None
        assert line.recorded_at is not None
        events.append(
            Event(line.prospect, line.version, line.occurred_at, line.recorded_at, line.data)
        )
    return events


def own_steps(events: list[Event], limit: int | datetime | None = None) -> list[ReplayStep]:
    """The steps of a replay without those of records that were merged into it."""
    return [step for step in replay(events, POLICIES, limit) if not step.merged_by]


@given(histories(max_size=12))
def test_the_state_at_a_version_is_the_fold_of_the_events_so_far(history: list[Event]) -> None:
    """The same from memory, from SQLite, from a file of JSONL."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Cadence.open() as memory,
        Cadence.open(str(Path(folder) / "one.db")) as sqlite,
    ):
        for app in (memory, sqlite):
            app.histories.append([(history, 0)], at=ahead())
        kept = {
            "memory": memory.histories.of(["p"])["p"],
            "SQLite": sqlite.histories.of(["p"])["p"],
            "file": from_file(sqlite, Path(folder) / "all.jsonl"),
        }
    for name, events in kept.items():
        whole = own_steps(events)
        assert len(whole) == len(history), name
        for version in range(1, len(history) + 1):
            state = fold(None, history[:version])
            assert state is not None
            (*_, last) = own_steps(events, version)
            assert last.prospect == state, name
            assert last.decision == decision_for(state, POLICIES, history[version - 1].recorded_at)
            assert last == whole[version - 1]


@given(histories(), st.integers(-2, 1200), st.data())
def test_until_an_instant_gives_the_state_and_the_decision_of_that_instant(
    history: list[Event], hours: int, data: st.DataObject
) -> None:
    instant = at("2026-11-02T08:00:00") + hours * HOUR
    if history and data.draw(st.booleans()):
        instant = data.draw(st.sampled_from(history)).recorded_at
    known = [event for event in history if event.recorded_at <= instant]
    steps = own_steps(history, instant)
    assert [step.event for step in steps] == known
    assert until(history, instant) == known
    if known:
        state = fold(None, known)
        assert state is not None
        assert steps[-1].prospect == state
        assert steps[-1].seen_at == instant
        assert steps[-1].decision == decision_for(state, POLICIES, instant)
        for step, whole in zip(steps[:-1], own_steps(history), strict=False):
            assert step == whole


@given(histories())
def test_annotated_steps_are_those_of_replay(history: list[Event]) -> None:
    annotated = [
        ReplayStep(one.event, one.prospect, one.decision, one.seen_at, merged_by=one.merged_by)
        for one in annotate(history, POLICIES)
    ]
    assert annotated == list(replay(history, POLICIES))


@given(histories())
def test_what_was_not_yet_recorded_had_occurred_by_then(history: list[Event]) -> None:
    for moment in annotate(history, POLICIES):
        if moment.merged_by:
            continue
        now = moment.seen_at
        unknown = [e for e in history if e.occurred_at <= now < e.recorded_at]
        assert moment.unrecorded_count == len(unknown)
        assert all(one in unknown for one in moment.unrecorded)
        assert len(moment.unrecorded) == min(5, len(unknown))


@given(histories())
def test_nothing_is_due_and_undone_before_its_time(history: list[Event]) -> None:
    for moment in annotate(history, POLICIES):
        for one in moment.overdue:
            assert (one.late is None) is (one.due is None)
            assert one.late is None or one.late > timedelta(0)
        for lines in (overdue_lines(moment), unrecorded_lines(moment)):
            assert all(line.strip() for line in lines)
        assert measure_line(moment) or moment.measure is None
        assert punctuality_line(moment) is not None
        if moment.measure is not None:
            assert isinstance(moment.event.data, AttemptMade)
            assert moment.measure.version < moment.event.version


# What an auditor asks -----------------------------------------------------------------------------

CALL = ContactPoint(Channel("call"), "+1 212 555 0100")
WAITED = at("2026-11-23T16:30:00")


def made(stage: str, step: str, gap: Gap | None = None) -> AttemptMade:
    part = Part(Channel("call"), Disposition.NO_ANSWER, CALL.address)
    return AttemptMade((part,), AttemptStage(stage), step, gap=gap)


@pytest.fixture
def late() -> list[Event]:
    """Called on time; then late, over Thanksgiving, while an answer lay in the mail."""
    found: list[Event] = []

    def add(occurred: str, data: Any, recorded: str | None = None) -> None:
        then = at(occurred)
        learnt = then if recorded is None else at(recorded)
        found.append(Event("nora", len(found) + 1, then, learnt, data))

    added = ProspectAdded("Nora", "America/New_York", "US", contact_points=(CALL,))
    add("2026-11-16T15:00:00", added)
    add("2026-11-16T15:04:00", InterestNoted("the price"))
    add("2026-11-16T15:05:00", ReplyReceived(Channel("call")))
    add("2026-11-16T15:06:00", AppointmentSet(at("2026-11-17T15:00:00")))
    add("2026-11-17T15:00:00", made("on_time", "on_time"))
    add("2026-11-17T19:40:00", made("half_day", "half_day", Gap(0, 280)))
    add("2026-11-23T16:30:00", made("spaced", "spaced#1", Gap(4, 0)))
    add("2026-11-24T14:00:00", AutoReplyReceived(Channel("email"), at("2026-12-01T14:00:00")))
    add("2026-12-07T16:30:00", InterestNoted("the lots"))
    add("2026-12-16T18:00:00", made("spaced", "spaced#2"))
    add("2026-12-15T13:00:00", ReplyReceived(Channel("email")), "2026-12-17T15:00:00")
    return found


def nth(events: list[Event], version: int) -> AnnotatedStep:
    return list(annotate(events, POLICIES))[version - 1]


def test_a_moment_names_the_touch_that_lapsed(late: list[Event]) -> None:
    (one,) = nth(late, 6).overdue
    assert one.kind is OverdueKind.SKIPPED
    (line,) = overdue_lines(nth(late, 6))
    assert line.startswith("ten_minutes was to be made between Tue 2026-11-17 10:10 and 10:25")


def test_a_lapsed_touch_is_told_once(late: list[Event]) -> None:
    told = [
        one
        for step in annotate(late, POLICIES)
        for one in step.overdue
        if isinstance(one.pending, Reason) and one.pending.steps == ("ten_minutes",)
    ]
    assert len(told) == 1


def test_a_moment_says_what_was_due_and_not_done(late: list[Event]) -> None:
    (one,) = nth(late, 9).overdue
    assert one.kind is OverdueKind.TOUCH
    assert isinstance(one.pending, Due)
    assert next_action(one.pending) == "spaced#2: call +1 212 555 0100"
    # Four business days after the call of the 23rd, not counting the holiday and the days away.
    assert one.due == at("2026-12-04T16:30:00")
    assert one.late == 3 * DAY
    assert list(overdue_lines(nth(late, 9))) == [
        "spaced#2: call +1 212 555 0100, due since Fri 2026-12-04 11:30; 3 d late by then"
    ]


def test_an_overdue_task_is_due_and_not_done() -> None:
    added = ProspectAdded("Nora", "UTC", contact_points=(CALL,))
    first = Event("p", 1, at("2026-11-16T15:00:00"), at("2026-11-16T15:00:00"), added)
    noted = at("2026-11-20T15:00:00")
    history = [first, Event("p", 2, noted, noted, InterestNoted("x"))]
    (one,) = nth(history, 2).overdue
    assert (one.kind, one.late) == (OverdueKind.TASK, 2 * DAY)
    assert list(overdue_lines(nth(history, 2))) == [
        "set an appointment or make the first attempt, due by Wed 2026-11-18 15:00; "
        "2 d late by then"
    ]


def test_an_attempt_says_how_far_it_lay_from_its_due_time(late: list[Event]) -> None:
    assert punctuality_line(nth(late, 5)) == ""
    assert punctuality_line(nth(late, 6)) == "made 30 min after it was due, Tue 2026-11-17 14:10"
    early = [*late[:7], Event("nora", 8, WAITED + DAY, WAITED + DAY, made("spaced", "spaced#2"))]
    assert "before it was due" in punctuality_line(nth(early, 8))


def test_an_attempt_says_how_its_gap_was_measured(late: list[Event]) -> None:
    assert nth(late, 5).measure is None
    assert measure_line(nth(late, 6)) == "280 min after event 5 (Tue 2026-11-17 10:00)"
    measure = nth(late, 10).measure
    assert measure is not None
    assert not measure.is_recorded
    assert measure.gap == Gap(12, 0)  # 16 business days, four of them away
    assert measure.elapsed == 23 * DAY + HOUR + 30 * MINUTE
    assert [name for _, name in measure.days_off] == ["Thanksgiving Day"]
    assert measure.largest == Gap(4, 0)
    assert measure_line(nth(late, 10)) == (
        "12 business days after event 7 (Mon 2026-11-23 11:30), 23 d 1 h 30 min elapsed, not "
        "counting Thanksgiving Day (2026-11-26); largest before: 4 business days; measured now, "
        "not then"
    )


def test_a_moment_names_the_answer_that_nobody_had_recorded(late: list[Event]) -> None:
    assert list(unrecorded_lines(nth(late, 10))) == [
        "event 11, ReplyReceived of Tue 2026-12-15 08:00, recorded Thu 2026-12-17 10:00"
    ]
    assert nth(late, 9).unrecorded == ()
    assert nth(late, 11).unrecorded == ()
    # Also where the replay stops before it was recorded.
    (*_, stopped) = annotate(late, POLICIES, at("2026-12-16T20:00:00"))
    assert [event.version for event in stopped.unrecorded] == [11]


def test_a_moment_says_whether_something_else_was_decided(late: list[Event]) -> None:
    changed = [m.event.version for m in annotate(late, POLICIES) if m.is_changed]
    assert changed == [1, 3, 4, 5, 6, 7, 8, 9, 10, 11]


# The picture --------------------------------------------------------------------------------------


def test_the_picture_has_every_event_and_every_touch_that_was_due(late: list[Event]) -> None:
    drawn = timeline(list(annotate(late, POLICIES)), POLICIES)
    assert [mark.version for mark in drawn.marks] == list(range(1, 12))
    assert [mark.kind for mark in drawn.marks].count(MarkKind.ATTEMPT) == 4
    assert [lane.value for lane in drawn.lanes] == [
        *("new", "engaged", "scheduled", "on_time", "ten_minutes", "half_day", "spaced")
    ]
    became = {ring.title.partition(" due ")[0]: ring.kind for ring in drawn.rings}
    assert became == {
        "on_time": RingKind.MADE,
        "ten_minutes": RingKind.UNDONE,
        "half_day": RingKind.MADE,
        "spaced#1": RingKind.MADE,
        "spaced#2": RingKind.MADE,
    }
    assert len(drawn.learnt) == 1
    holidays = [one.title for one in drawn.shadows if one.kind is ShadeKind.HOLIDAY]
    assert holidays == ["Thanksgiving Day"]


@given(histories())
def test_every_history_has_a_picture_within_its_frame(history: list[Event]) -> None:
    found = list(annotate(history, POLICIES))
    if not found:
        return
    drawn = timeline(found, POLICIES)
    assert len(drawn.cursors) == len(drawn.marks) == len(found)
    for one in (*drawn.marks, *drawn.rings, *drawn.ticks):
        assert 0 <= one.x <= 100
    for bar in (*drawn.stays, *drawn.gaps):
        assert bar.width >= 0
        assert bar.x + bar.width <= 100.001
    for mark in (*drawn.marks, *drawn.rings, *drawn.stays):
        assert 0 <= mark.lane < len(drawn.lanes)


def test_closed_hours_are_those_at_which_no_touch_may_be_made(late: list[Event]) -> None:
    """Shaded is exactly what ``next_open`` would move."""
    found = list(annotate(late, POLICIES))
    start, end = at("2026-11-16T00:00:00"), at("2026-12-18T00:00:00")
    closed = list(shades(found, POLICIES, start, end, hours=True))
    hours = [one for one in closed if one.kind is ShadeKind.HOURS]
    from cadence.engine.context import calendar_for

    time = calendar_for(found[-1].prospect, POLICIES.default)
    instant = start
    while instant < end:
        shaded = any(one.start <= instant < one.end for one in hours)
        assert shaded is (time.next_open(instant) != instant), instant
        instant += 17 * MINUTE
    (away,) = [one for one in closed if one.kind is ShadeKind.SUSPENDED]
    assert (away.start, away.end) == (at("2026-11-24T14:00:00"), at("2026-12-01T14:00:00"))


def test_hours_are_closed_that_are_closed_in_one_of_several_zones() -> None:
    added = ProspectAdded("Kim", ("America/New_York", "America/Los_Angeles"), "US")
    first = at("2026-11-16T15:00:00")
    found = list(annotate([Event("kim", 1, first, first, added)], POLICIES))
    closed = shades(
        found, POLICIES, at("2026-11-17T05:00:00"), at("2026-11-18T05:00:00"), hours=True
    )
    spans = [(one.start, one.end) for one in closed]
    # Both are open from 9:00 in Los Angeles to 17:00 in New York.
    assert spans == [
        (at("2026-11-17T05:00:00"), at("2026-11-17T17:00:00")),
        (at("2026-11-17T22:00:00"), at("2026-11-18T05:00:00")),
    ]


# The page, without a browser (tests/browser has one) ----------------------------------------------


class Reader(HTMLParser):
    """Elements, attributes and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@given(histories(max_size=8))
def test_every_history_makes_a_page_of_known_elements(history: list[Event]) -> None:
    found = list(annotate(history, POLICIES))
    if not found:
        return
    text = replay_page(found, POLICIES)
    assert text == replay_page(found, POLICIES)
    read = Reader(text)
    known = "a|b|bdi|body|button|circle|code|dd|defs|desc|details|div|dl|dt|footer|g|h1|h2|head"
    known += "|header|html|input|label|li|line|link|main|meta|noscript|p|path|pattern|rect|script"
    known += "|section|small|span|style|summary|svg|table|tbody|td|text|th|thead|time|title|tr|ul"
    known += "|use"
    assert {tag for tag, _ in read.tags} <= set(known.split("|"))
    for tag, attributes in read.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("src", "href", "action"):
            value = attributes.get(name)
            assert value is None or value.startswith("#") or (tag, value) == ("link", "data:,")
    assert sum(tag == "script" for tag, _ in read.tags) == 2


def test_nothing_that_was_typed_becomes_markup(late: list[Event]) -> None:
    typed = "</script></title></style><img src=x onerror=alert(1)>\"'&<!--{{ 7*7 }}"
    added = ProspectAdded(typed, "America/New_York", contact_points=(CALL,), source=typed)
    first = Event(f"p{typed}", 1, at("2026-11-16T15:00:00"), at("2026-11-16T15:00:00"), added)
    noted = Event(first.prospect, 2, first.occurred_at, first.recorded_at, InterestNoted(typed))
    read = Reader(replay_page(list(annotate([first, noted], POLICIES)), POLICIES))
    assert "img" not in {tag for tag, _ in read.tags}
    assert typed in read.texts
    assert not [text for text in read.texts if "49" in text and "7*7" not in text]


@pytest.mark.parametrize("text", ["</script>", "<!--", "\u2028", "&amp;", "a\x00b", "🙂"])
def test_script_data_is_json_that_no_parser_ends_early(text: str) -> None:
    data = script_data({"it": text})
    assert json.loads(data) == {"it": text}
    assert not re.search(r"[<>&\u2028\u2029]", data)


def test_an_empty_replay_has_no_page() -> None:
    with pytest.raises(InputError, match="nothing had been recorded"):
        replay_page([], POLICIES)


def test_a_page_of_a_long_history_says_that_reasons_are_left_out_of_its_table() -> None:
    first = at("2026-11-16T15:00:00")
    history = [Event("p", 1, first, first, ProspectAdded("Kim", "UTC"))]
    for version in range(2, 1003):
        then = first + version * MINUTE
        history.append(Event("p", version, then, then, InterestNoted("x")))
    short = replay_page(list(annotate(history[:1000], POLICIES)), POLICIES)
    long = replay_page(list(annotate(history, POLICIES)), POLICIES)
    assert "too many moments to print every reason" in long
    assert "too many moments" not in short
    assert 'class="why"' in short
    assert 'class="why"' not in long


# The command --------------------------------------------------------------------------------------

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], late: list[Event]) -> Run:
    """The command line, on a database that knows nora and the examples."""
    db = tmp_path / "one.db"
    with Cadence.open(str(db)) as app:
        app.histories.append([(late, 0)], at=ahead())
        for path in sorted(EXAMPLES.glob("*.jsonl")):
            with path.open("rb") as lines:
                import_jsonl(app, lines, at=ahead())

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main(["--db", str(db), *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_until_an_instant_decides_as_explain_does_at_that_instant(run: Run) -> None:
    instant = "2027-01-20T15:00:00Z"
    steps = json.loads(run("replay", "nora", "--until", instant, "--json")[1])
    explained = json.loads(run("explain", "nora", "--at", instant, "--json")[1])
    assert steps[-1]["decision"].items() <= explained.items()
    assert steps[-1]["decision"] != json.loads(run("replay", "nora", "--json")[1])[-1]["decision"]
    assert set(steps[-1]) == {"event", "stage", "decision"}
    assert "(seen Wed 2027-01-20 10:00)" in run("replay", "nora", "--until", instant)[1]


def test_replay_says_why_and_what_was_missed_and_not_known(run: Run) -> None:
    text = run("replay", "nora")[1]
    for line in (
        "why: plan           10 minutes after the attempt of Tue 2026-11-17 10:00: Tue 2026-11-17",
        "not done: spaced#2: call +1 212 555 0100, due since Fri 2026-12-04 11:30; 3 d late by",
        "gap: 280 min after event 5 (Tue 2026-11-17 10:00)",
        "not yet recorded: event 11, ReplyReceived of Tue 2026-12-15 08:00, recorded Thu 2026-",
    ):
        assert f"        {line}" in text
    assert run("replay", "nora", "--until", "2026-01-01T00:00:00Z")[1] == (
        "nothing had been recorded by then\n"
    )


def test_the_page_holds_what_json_says(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    for extra in ((), ("--until", "5"), ("--until", "2026-12-10T00:00:00Z")):
        code, out, err = run("replay", "nora", "--html", path, *extra)
        assert (code, out, err) == (0, f"nora: replay written to {path}\n", "")
        text = path.read_text(encoding="utf-8")
        assert run("replay", "nora", "--html", "-", *extra)[1] == text
        data = re.search(r'<script type="application/json" id="moments">(.*?)</script>', text)
        assert data is not None
        shown = [one["json"] for one in json.loads(data[1])]
        assert shown == json.loads(run("replay", "nora", "--json", *extra)[1])


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["replay"], "--all"),
        (["replay", "nora", "--all"], "--all"),
        (["replay", "--all", "--until", "3"], "--until"),
        (["replay", "--all", "-i"], "--interactive"),
        (["replay", "nora", "-i"], "terminal"),
        (["replay", "nora", "-i", "--json"], "exclude"),
        (["replay", "nora", "--html", "x.html", "--json"], "exclude"),
        (["replay", "nobody", "--html", "x.html"], "nobody"),
        (["replay", "nora", "--html", "x.html", "--until", "2020-01-01T00:00:00Z"], "recorded"),
    ],
)
def test_what_does_not_go_together_is_said_in_two_lines(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], word: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 2
    assert word in err
    assert not (tmp_path / "x.html").exists()


def test_a_page_never_overwrites_the_database(run: Run, tmp_path: Path) -> None:
    db = tmp_path / "one.db"
    before = db.read_bytes()
    code, out, err = run("replay", "nora", "--html", db)
    assert (code, out) == (2, "")
    assert "is the database itself" in err
    assert db.read_bytes() == before
    assert sqlite3.connect(db).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_page_that_cannot_be_written_leaves_nothing_behind(run: Run, tmp_path: Path) -> None:
    code, _, err = run("replay", "nora", "--html", tmp_path / "missing" / "x.html")
    assert code == 1
    assert len(err.splitlines()) == 2
    assert not (tmp_path / "missing").exists()


def test_the_summary_of_an_event_is_whole_unless_it_is_to_be_short(late: list[Event]) -> None:
    event = Event("p", 2, WAITED, WAITED, InterestNoted("y" * 100))
    assert summary(event) == f"text {'y' * 100}"
    assert summary(event, 40) == f"text {'y' * 39}…"
    assert late[0].data is not None


def test_the_last_decision_of_a_due_touch_is_drawn_as_not_done(late: list[Event]) -> None:
    found = list(annotate(late[:9], POLICIES, at("2026-12-09T16:00:00")))
    assert found[-1].decision.verdict is Verdict.DUE
    rings = timeline(found, POLICIES).rings
    assert rings[-1].kind is RingKind.UNDONE
    following = timeline(list(annotate(late[:7], POLICIES)), POLICIES).rings
    assert following[-1].kind is RingKind.NEXT
