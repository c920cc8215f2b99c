"""The page of ``replay --html`` in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import paths
import pytest
from chromium import Browser, Tab
from clocks import AFTER
from contrast import contrast

from cadence.cli.main import main

ROOT = paths.ROOT
EXAMPLES = ROOT / "examples" / "histories"

Run = Callable[..., str]

# What a person may type who means no good, or only has a long name.
HOSTILE = (
    """</script><script>window.hacked=1</script><img src=x onerror="window.hacked=1">'"&amp;"""
)
AWKWARD = "\u202egnirts\u0007 \u05e9\u05dc\u05d5\u05dd 👩‍👩‍👧 {{ 7 * 7 }} \u2028 ]]>"


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """A command line on a database of its own."""

    def run(*arguments: object) -> str:
        assert main(["--db", str(tmp_path / "one.db"), *map(str, arguments)]) in (0, 1)
        return capsys.readouterr().out

    return run


@pytest.fixture
def late(run: Run) -> Run:
    """A prospect with everything: lateness, a breach, a suspension, a reply learnt of late."""
    name = f"Nora {HOSTILE}{AWKWARD}"
    point = ("--call", "+12125550199", "--mail", f'1 "{HOSTILE} Street')
    run(
        *("add", "nora", "--name", name, "--timezone", "America/New_York", "--country", "US"),
        *(*point, "--at", "2026-11-16T15:00:00Z"),
    )
    run("note", "nora", "--interest", HOSTILE + AWKWARD, "--at", "2026-11-16T15:01:00Z")
    agreed = ("--agreed-by", "call")
    run("appoint", "nora", "2026-11-17T15:00:00Z", *agreed, "--at", "2026-11-16T15:05:00Z")
    made = ("attempt", "nora", "--channel", "call", "--disposition", "no_answer", "--at")
    run(*made, "2026-11-17T15:00:00Z")
    run(*made, "2026-11-17T19:40:00Z")
    run(*made, "2026-11-23T16:30:00Z")
    run("auto-reply", "nora", "--until", "2026-12-01T14:00:00Z", "--at", "2026-11-24T14:10:00Z")
    run(*made, "2026-12-04T16:30:00Z")
    run(*made, "2026-12-07T16:00:00Z", "--off-policy", HOSTILE)
    run(*made, "2026-12-16T18:00:00Z")
    said = ("--intent", "question", "--occurred", "2026-12-15T13:00:00Z")
    run("reply", "nora", "--channel", "email", *said, "--at", "2026-12-17T15:00:00Z")
    return run


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    """A wide tab that must stay without a complaint and without a request."""
    with browser.tab() as tab:
        yield tab
        assert tab.complaints() == []
        outside = [url for url in tab.requests() if not url.startswith(("file:", "data:"))]
        assert outside == []
        assert len([url for url in tab.requests() if url.startswith("file:")]) >= 1


def page(run: Run, prospect: str, folder: Path, *arguments: str) -> Path:
    path = folder / f"{prospect}.html"
    run("replay", prospect, "--html", path, *arguments)
    return path


def steps(run: Run, prospect: str, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("replay", prospect, "--json", *arguments))
    return found


def squeezed(text: str) -> str:
    """``text`` as it stands in a page: control characters written out, spaces drawn together."""
    text = re.sub(
        r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", lambda sign: f"\\x{ord(sign.group()):02x}", text
    )
    return " ".join(text.split())


def assert_shows(tab: Tab, step: dict[str, Any], number: int, of: int) -> None:
    """The panel says what the JSON of this step says, all of it that is for a reader."""
    panel = tab.text("#panel")
    event, decision = step["event"], step["decision"]
    assert f"moment {number} of {of}" in panel
    assert event["type"] in panel
    assert step["stage"] in panel
    words = {
        "due": "due since",
        "wait": "wait until",
        "task": "task by",
        "close": "close, since",
        "stop": "stop",
    }
    assert words[decision["decision"]] in panel
    if decision["at"] is not None:
        selector = f'#panel time[datetime="{decision["at"]}"]'
        assert tab.run(f"document.querySelectorAll('{selector}').length") > 0
    if decision["touch"] is not None:
        assert decision["touch"]["step"] in panel
        for part in decision["touch"]["parts"]:
            assert squeezed(part["address"]) in panel
            assert squeezed(part["text"]) in panel
    if decision["task"] is not None:
        assert squeezed(decision["task"]) in panel
    for reason in decision["reasons"]:
        assert squeezed(f"{reason['rule']} {reason['because']}") in panel
        assert reason["source"] in panel
    assert decision["policy"]["digest"][:12] in panel


# What it shows ------------------------------------------------------------------------------------


def test_every_moment_shows_what_the_json_says(late: Run, tab: Tab, tmp_path: Path) -> None:
    found = steps(late, "nora")
    assert len(found) == 12
    tab.open(page(late, "nora", tmp_path))
    assert_shows(tab, found[-1], 12, 12)
    tab.press("ArrowLeft", 11)
    for number, step in enumerate(found, 1):
        assert_shows(tab, step, number, 12)
        assert tab.run("document.querySelector('tr[aria-current]').id") == f"row-{number}"
        tab.press("ArrowRight")


def test_the_data_of_the_page_is_the_json(late: Run, tab: Tab, tmp_path: Path) -> None:
    tab.open(page(late, "nora", tmp_path))
    data = "JSON.parse(document.getElementById('moments').textContent).map((one) => one.json)"
    assert tab.run(data) == steps(late, "nora")


@pytest.mark.parametrize("until", ["5", "2026-12-05T10:00:00Z", "2026-12-16T20:00:00Z"])
def test_until_shows_the_decision_of_that_moment(
    late: Run, tab: Tab, tmp_path: Path, until: str
) -> None:
    found = steps(late, "nora", "--until", until)
    tab.open(page(late, "nora", tmp_path, "--until", until))
    assert_shows(tab, found[-1], len(found), len(found))


def test_the_panel_tells_what_was_missed_and_not_yet_known(
    late: Run, tab: Tab, tmp_path: Path
) -> None:
    tab.open(page(late, "nora", tmp_path), "#6")
    assert "ten_minutes was to be made between Tue 2026-11-17 10:10 and 10:25" in tab.text("#panel")
    assert "made 30 min after it was due" in tab.text("#panel")
    tab.open(page(late, "nora", tmp_path), "#11")
    panel = tab.text("#panel")
    assert "7 business days after event 10" in panel
    assert "event 12, ReplyReceived of Tue 2026-12-15 08:00, recorded Thu 2026-12-17" in panel


def test_every_example_history_opens(run: Run, browser: Browser, tmp_path: Path) -> None:
    for path in sorted(EXAMPLES.glob("*.jsonl")):
        run("import", "--at", AFTER, path)
    for path in sorted(EXAMPLES.glob("*.jsonl")):
        prospect = json.loads(path.read_text(encoding="utf-8").partition("\n")[0])["prospect"]
        found = steps(run, prospect)
        with browser.tab() as tab:
            tab.open(page(run, prospect, tmp_path))
            assert_shows(tab, found[-1], len(found), len(found))
            assert tab.complaints() == []


# Stepping -----------------------------------------------------------------------------------------


def version(tab: Tab) -> int:
    return int(tab.run("document.querySelector('tr[aria-current]').id.slice(4)"))


def test_arrow_keys_and_buttons_and_the_slider_step(late: Run, tab: Tab, tmp_path: Path) -> None:
    tab.open(page(late, "nora", tmp_path))
    assert version(tab) == 12
    tab.press("ArrowRight")
    assert version(tab) == 12
    tab.press("ArrowLeft", 2)
    assert version(tab) == 10
    for name, expected in (("first", 1), ("next", 2), ("next", 3), ("previous", 2), ("last", 12)):
        tab.click_on(f"[data-go={name}]")
        assert version(tab) == expected
    tab.run("document.getElementById('slider').focus()")
    tab.press("ArrowLeft")
    assert version(tab) == 11
    tab.press("Home")
    assert version(tab) == 1
    tab.press("ArrowUp", 3)
    assert version(tab) == 4
    assert "Moment 4 of 12" in tab.run("document.getElementById('slider').ariaValueText")


def test_next_decision_passes_over_moments_that_changed_none(
    late: Run, tab: Tab, tmp_path: Path
) -> None:
    found = steps(late, "nora")
    keys = ("decision", "at", "task")
    core = [
        [*(one["decision"][key] for key in keys), (one["decision"]["touch"] or {}).get("id")]
        for one in found
    ]
    changed = [n for n in range(2, 13) if core[n - 1] != core[n - 2]]
    assert 2 not in changed  # the note; something else follows from every other event
    tab.open(page(late, "nora", tmp_path), "#1")
    seen = []
    while version(tab) < 12:
        tab.press("n")
        seen.append(version(tab))
    assert seen == changed
    tab.press("p", len(changed) + 2)
    assert version(tab) == 1


def test_marks_and_rows_and_events_named_in_reasons_can_be_clicked(
    late: Run, tab: Tab, tmp_path: Path
) -> None:
    tab.open(page(late, "nora", tmp_path))
    tab.click_on(".mark[data-n='6']")
    assert version(tab) == 7
    tab.click_on("#row-3 a")
    assert version(tab) == 3
    tab.click_on("[data-go=last]")
    tab.press("ArrowLeft")
    tab.click_on("#panel .reasons a")
    assert version(tab) == 11


def test_the_cursor_and_the_picture_move_along(late: Run, browser: Browser, tmp_path: Path) -> None:
    with browser.tab(390, 844) as tab:
        tab.open(page(late, "nora", tmp_path))
        places = "[parseFloat(document.getElementById('cursor').style.left),"
        places += " document.getElementById('scroll').scrollLeft]"
        last = tab.run(places)
        tab.click_on("[data-go=first]")
        first = tab.run(places)
        assert first[0] < last[0]
        assert first[1] < last[1]
        assert tab.complaints() == []


def test_a_link_leads_to_its_moment(late: Run, tab: Tab, tmp_path: Path) -> None:
    tab.open(page(late, "nora", tmp_path), "#8")
    assert version(tab) == 8


# Safety -------------------------------------------------------------------------------------------


def test_what_people_typed_is_never_read_as_markup(late: Run, tab: Tab, tmp_path: Path) -> None:
    tab.open(page(late, "nora", tmp_path))
    tab.press("ArrowLeft", 11)
    for _ in range(12):
        tab.press("ArrowRight")
        assert tab.run("window.hacked === undefined")
    assert tab.run("document.querySelectorAll('img, iframe, object, form').length") == 0
    assert tab.run("document.scripts.length") == 2
    assert squeezed(f"Nora {HOSTILE}{AWKWARD}") in tab.text("h1")
    assert "{{ 7 * 7 }}" in tab.text("table")


def test_the_page_forbids_itself_any_network_and_any_other_script(
    late: Run, browser: Browser, tmp_path: Path
) -> None:
    with browser.tab() as tab:
        tab.open(page(late, "nora", tmp_path))
        tab.run(
            "(() => { const s = document.createElement('script');"
            " s.textContent = 'window.hacked=1'; document.body.append(s);"
            " const i = document.createElement('img'); i.src = 'http://127.0.0.1:9/x';"
            " document.body.append(i);"
            " fetch('http://127.0.0.1:9/y').catch(() => 0); return 0; })()"
        )
        assert tab.run("window.hacked === undefined")
        refused = " ".join(tab.complaints())
        assert "script-src" in refused
        assert "img-src" in refused
        assert "connect-src" in refused or "default-src" in refused


# Everybody can read it ----------------------------------------------------------------------------


def names(tab: Tab, role: str) -> list[str]:
    return [
        node["name"]["value"] for node in tab.tree() if node.get("role", {}).get("value") == role
    ]


def test_a_screen_reader_finds_a_name_for_everything(late: Run, tab: Tab, tmp_path: Path) -> None:
    tab.open(page(late, "nora", tmp_path))
    for role in ("button", "slider", "link", "heading", "image", "region", "table"):
        found = names(tab, role)
        assert found, role
        assert all(found), role
    assert "Next moment" in names(tab, "button")
    assert names(tab, "slider") == ["Moment"]
    assert len(names(tab, "row")) == 13
    assert names(tab, "columnheader")[0] == "#"
    assert tab.run("document.documentElement.lang") == "en"
    levels = tab.run("[...document.querySelectorAll('h1,h2,h3')].map((h) => +h.tagName[1])")
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    ids = tab.run("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))


def test_a_screen_reader_is_told_of_each_step(late: Run, tab: Tab, tmp_path: Path) -> None:
    tab.open(page(late, "nora", tmp_path))
    tab.press("ArrowLeft")
    said = tab.text("[role=status]")
    assert "Moment 11 of 12: AttemptMade" in said
    assert "wait until Mon 2026-12-28 13:00" in said


def test_everything_can_be_done_with_the_keyboard(late: Run, tab: Tab, tmp_path: Path) -> None:
    tab.open(page(late, "nora", tmp_path))
    reached = []
    for _ in range(14):
        tab.press("Tab")
        reached.append(
            tab.run(
                "((e) => e.id || e.dataset.go || e.dataset.zoom || e.className || e.tagName)"
                "(document.activeElement)"
            )
        )
    for name in ("skip", "scroll", "first", "previous", "slider", "next", "last", "decision"):
        assert name in reached, reached
    tab.run("document.querySelector('[data-go=previous]').focus()")
    tab.press("Enter")
    assert version(tab) == 11
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert tab.run(outline) == "solid"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_can_be_told_from_its_ground(
    late: Run, browser: Browser, tmp_path: Path, dark: bool
) -> None:
    with browser.tab(dark=dark) as tab:
        tab.open(page(late, "nora", tmp_path), "#11")
        found = contrast(tab)
        assert len(found) > 100
        assert [one for one in found if one.ratio < 4.5] == []
        ground = tab.run("getComputedStyle(document.body).backgroundColor")
        assert (ground != "rgb(255, 255, 255)") is dark


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1920])
def test_nothing_is_wider_than_the_screen(
    late: Run, browser: Browser, tmp_path: Path, width: int
) -> None:
    with browser.tab(width, 800) as tab:
        tab.open(page(late, "nora", tmp_path), "#11")
        assert tab.run("document.documentElement.scrollWidth") <= width
        if width < 500:
            small = tab.run(
                "[...document.querySelectorAll('button, #slider')].filter((e) => e.offsetParent)"
                ".map((e) => e.getBoundingClientRect()).filter((r) => r.height < 38).length"
            )
            assert small == 0


def test_on_paper_there_is_ink_on_white_and_no_button(
    late: Run, browser: Browser, tmp_path: Path
) -> None:
    with browser.tab(dark=True) as tab:
        tab.open(page(late, "nora", tmp_path), "#11")
        tab.media(dark=True, kind="print")
        assert tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert tab.run("getComputedStyle(document.querySelector('.controls')).display") == "none"
        assert [one for one in contrast(tab) if one.ratio < 4.5] == []
        assert tab.pdf()[:5] == b"%PDF-"


def test_without_script_the_table_still_says_everything(
    late: Run, browser: Browser, tmp_path: Path
) -> None:
    with browser.tab() as tab:
        tab.send("Emulation.setScriptExecutionDisabled", value=True)
        tab.open(page(late, "nora", tmp_path))
        table = tab.text("table")
        for step in steps(late, "nora"):
            for reason in step["decision"]["reasons"]:
                if reason["rule"] != "deterministic":
                    assert squeezed(reason["because"]) in table
        assert "Stepping needs JavaScript" in tab.text("noscript")


def test_a_long_history_opens_and_steps(browser: Browser, run: Run, tmp_path: Path) -> None:
    count = 3000
    lines = [
        '{"prospect": "long", "type": "ProspectAdded", "occurred_at": "2026-01-05T15:00:00Z",'
        ' "data": {"name": "Kim", "timezone": "UTC"}}'
    ]
    first = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)
    for number in range(1, count):
        then = f"{first + number * timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
        part = '{"channel": "call", "disposition": "no_answer"}'
        data = f'{{"parts": [{part}]}}' if number % 5 else '{"channel": "email"}'
        kind = "AttemptMade" if number % 5 else "ReplyReceived"
        lines.append(
            f'{{"prospect": "long", "type": "{kind}", "occurred_at": "{then}", "data": {data}}}'
        )
    file = tmp_path / "long.jsonl"
    file.write_text("\n".join(lines), encoding="utf-8")
    run("import", "--at", AFTER, file)
    with browser.tab() as tab:
        tab.open(page(run, "long", tmp_path))
        assert version(tab) == count
        tab.press("ArrowLeft", 3)
        assert version(tab) == count - 3
        tab.open(page(run, "long", tmp_path), "#1500")
        assert_shows(tab, steps(run, "long", "--until", "1500")[-1], 1500, count)
        assert tab.complaints() == []


# Two records of one person ------------------------------------------------------------------------


@pytest.fixture
def merged(run: Run) -> Run:
    """A record into which another was merged; both have events of the same versions."""
    where = ("--timezone", "America/New_York", "--country", "US", "--at", "2026-03-02T15:00:00Z")
    run("add", "nora", "--name", "Nora", "--call", "+12125550100", *where)
    other = "nora-of-the-long-list-of-2026"
    run("add", other, "--name", "N.", "--email", "nora@a-long-name-of-a-company.example", *where)
    call = ("--channel", "call", "--disposition", "no_answer", "--address", "+12125550100")
    run("attempt", "nora", *call, "--at", "2026-03-03T16:00:00Z")
    run("reply", other, "--channel", "email", "--at", "2026-03-06T16:00:00Z")
    run("merge", other, "nora", "--why", "both are theirs", "--at", "2026-03-09T16:00:00Z")
    run("attempt", other, *call, "--at", "2026-03-10T16:00:00Z")
    return run


def test_events_of_a_merged_record_are_told_apart(merged: Run, tab: Tab, tmp_path: Path) -> None:
    tab.open(page(merged, "nora", tmp_path))
    rows = "Array.from(document.querySelectorAll('.moments tbody tr'))"
    assert tab.run(f"{rows}.map((row) => row.id)") == [
        *("row-1", "row-m2", "row-2", "row-m4", "row-3", "row-4")
    ]
    hollow = "document.querySelectorAll('#timeline .mark.anothers').length"
    assert tab.run(hollow) == 2
    assert "hollow: of another record or a list" in tab.text(".legend")
    shown = tab.text("#row-m4")
    assert "nora-of-the-long-list-of-2026: ReplyReceived channel email" in squeezed(shown)
    assert "not known here until the merge" in shown
    assert "came for nora-of-the-long-list-of-2026" in tab.text("#row-4")


def test_a_moment_of_a_merged_record_has_a_place_of_its_own(
    merged: Run, tab: Tab, tmp_path: Path
) -> None:
    where = page(merged, "nora", tmp_path)
    tab.open(where, "#1")
    assert "moment 1 of 6" in tab.text("#panel")
    for number, place in enumerate(("1", "m2", "2", "m4", "3", "4"), 1):
        assert f"moment {number} of 6" in tab.text("#panel")
        current = "document.querySelector('tr[aria-current]').id"
        assert tab.run(current) == f"row-{place}"
        tab.press("ArrowRight")
    tab.run("location.hash = '#m2'")
    assert "moment 2 of 6" in tab.text("#panel")
    assert "nora-of-the-long-list-of-2026: ProspectAdded" in tab.text("#panel")


def test_a_merged_history_fits_a_phone(merged: Run, browser: Browser, tmp_path: Path) -> None:
    with browser.tab(390, 844) as tab:
        tab.open(page(merged, "nora", tmp_path))
        assert tab.run("document.documentElement.scrollWidth") <= 390
