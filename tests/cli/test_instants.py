"""Instants as a user types them: one instant, or an error that names the possible ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from command_line import Cli, two_lines
from hypothesis import given
from hypothesis import strategies as st

from cadence.cli.instants import Reader
from cadence.errors import InputError
from cadence.worktime.zones import zone

NEW_YORK = ("America/New_York",)
NOW = datetime(2026, 12, 1, 15, 30, 20, tzinfo=UTC)  # Tuesday, 10:30 in New York


def read(
    text: str, *zones: str, now: datetime = NOW, is_past: bool = False
) -> tuple[str, str | None]:
    instant, shown = Reader(now, lambda: zones or NEW_YORK).read(text, "INSTANT", is_past=is_past)
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}", shown


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-12-01T14:00:00Z", "2026-12-01T14:00:00Z"),
        ("2026-12-01 09:00-05:00", "2026-12-01T14:00:00Z"),
        ("2026-12-01 09:00", "2026-12-01T14:00:00Z"),
        ("2026-12-01T09:00", "2026-12-01T14:00:00Z"),
        ("2026-12-01 9:00:05", "2026-12-01T14:00:05Z"),
        ("today 9:00", "2026-12-01T14:00:00Z"),
        ("tomorrow 9:00", "2026-12-02T14:00:00Z"),
        ("Tomorrow  09:00", "2026-12-02T14:00:00Z"),
        ("yesterday 23:59", "2026-12-01T04:59:00Z"),
        ("fri 14:30", "2026-12-04T19:30:00Z"),
        ("friday 14:30", "2026-12-04T19:30:00Z"),
        ("mon 9:00", "2026-12-07T14:00:00Z"),
        ("+3d", "2026-12-04T15:30:00Z"),
        ("+2h", "2026-12-01T17:30:00Z"),
        ("+10min", "2026-12-01T15:40:00Z"),
        ("-1w", "2026-11-24T15:30:00Z"),
    ],
)
def test_each_form_is_read_on_the_clock_of_the_prospect(text: str, instant: str) -> None:
    assert read(text)[0] == instant


def test_a_weekday_of_the_past_is_the_last_one() -> None:
    assert read("fri 14:30", is_past=True)[0] == "2026-11-27T19:30:00Z"
    assert read("mon 9:00", is_past=True)[0] == "2026-11-30T14:00:00Z"


def test_today_is_the_day_of_the_prospect() -> None:
    """In Auckland it is Wednesday already."""
    assert read("today 9:00", "Pacific/Auckland")[0] == "2026-12-01T20:00:00Z"
    assert read("tue 9:00", "Pacific/Auckland")[0] == "2026-12-07T20:00:00Z"


def test_days_keep_the_time_of_day_over_a_change_of_the_clocks_and_hours_do_not() -> None:
    friday = datetime(2026, 10, 30, 15, 0, tzinfo=UTC)  # 11:00 in New York; Sunday has 25 hours
    assert read("+3d", now=friday)[0] == "2026-11-02T16:00:00Z"
    assert read("+72h", now=friday)[0] == "2026-11-02T15:00:00Z"


def test_what_was_not_given_in_full_is_shown_with_zone_and_utc() -> None:
    assert read("fri 14:30")[1] == "Fri 2026-12-04 14:30 America/New_York (19:30Z)"
    assert read("fri 22:00")[1] == "Fri 2026-12-04 22:00 America/New_York (2026-12-05 03:00Z)"
    assert read("2026-12-01T14:00:00Z")[1] is None


def refused(text: str, *zones: str, now: datetime = NOW, is_past: bool = False) -> tuple[str, str]:
    with pytest.raises(InputError) as caught:
        read(text, *zones, now=now, is_past=is_past)
    return caught.value.what, caught.value.hint


def test_a_time_that_clocks_show_twice_names_both() -> None:
    assert refused("2026-11-01 01:30") == (
        "INSTANT: ambiguous '2026-11-01 01:30': clocks in America/New_York show it twice",
        "use 2026-11-01T01:30-04:00 or 2026-11-01T01:30-05:00",
    )


def test_a_time_that_clocks_skip_names_the_times_around_it() -> None:
    assert refused("2027-03-14 02:30") == (
        "INSTANT: invalid '2027-03-14 02:30': clocks in America/New_York skip it",
        "use 2027-03-14T01:30-05:00 or 2027-03-14T03:30-04:00",
    )


def test_a_time_that_differs_between_candidate_zones_names_each() -> None:
    assert refused("tomorrow 9:00", "America/New_York", "America/Chicago") == (
        "INSTANT: ambiguous 'tomorrow 9:00': 2026-12-02 14:00Z in America/New_York, "
        "2026-12-02 15:00Z in America/Chicago",
        "use 2026-12-02T09:00-05:00 or 2026-12-02T09:00-06:00",
    )
    same = ("America/New_York", "America/Toronto")
    assert read("tomorrow 9:00", *same)[0] == "2026-12-02T14:00:00Z"
    assert read("+2h", "America/New_York", "America/Chicago")[0] == "2026-12-01T17:30:00Z"


def test_the_weekday_of_today_names_today_and_the_next_one() -> None:
    what, hint = refused("tue 14:30")
    assert what == "INSTANT: ambiguous 'tue 14:30': today is Tuesday"
    assert hint == "use 'today 14:30' or '2026-12-08 14:30'"
    assert refused("tue 14:30", is_past=True)[1] == "use 'today 14:30' or '2026-11-24 14:30'"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tomorow 9:00", "use tomorrow"),
        ("tomorrow", "like 'tomorrow 14:30'"),
        ("2026-12-01", "like '2026-12-01 14:30'"),
        ("tomorrow 25:00", "use 0:00 to 23:59"),
        ("2026-12-01 09:60", "use 0:00 to 23:59"),
        ("2026-13-01 09:00", "give it like"),
        ("01/02/2027 9:00", "give it like"),
        ("9:00", "give it like"),
        ("+3", "give it like"),
        ("+3m", "give it like"),
        ("3d", "give it like"),
        ("+99999d", "give it like"),
        ("tomorrow 9", "like 'tomorrow 14:30'"),
        ("", "give it like"),
        ("+9999w", "1970 to 2199"),
        ("2200-01-01 09:00", "1970 to 2199"),
        ("٣٠٠٠-01-01 09:00", "give it like"),
    ],
)
def test_what_is_no_instant_is_refused_with_a_form_to_use(text: str, words: str) -> None:
    assert words in refused(text)[1]


def test_without_a_prospect_only_a_local_time_needs_a_zone() -> None:
    def unzoned(text: str) -> datetime:
        return Reader(NOW, tuple).read(text, "--at")[0]

    assert unzoned("+2h") == datetime(2026, 12, 1, 17, 30, tzinfo=UTC)
    assert unzoned("+1d") == datetime(2026, 12, 2, 15, 30, tzinfo=UTC)
    assert unzoned("2026-12-01T09:00+01:00") == datetime(2026, 12, 1, 8, 0, tzinfo=UTC)
    with pytest.raises(InputError, match="missing zone"):
        unzoned("tomorrow 9:00")


CHANGES = {
    "America/New_York": ("2026-03-08", "2026-11-01"),
    "Europe/Berlin": ("2026-03-29", "2026-10-25"),
    "Australia/Lord_Howe": ("2026-04-05", "2026-10-04"),
    "Asia/Kathmandu": ("1986-01-01",),
    "UTC": ("2026-03-29",),
}
"""Days on which clocks change, early in the day."""


@given(st.sampled_from(sorted(CHANGES)), st.data())
def test_a_local_time_is_an_instant_exactly_where_clocks_show_it_once(
    name: str, data: st.DataObject
) -> None:
    day = datetime.fromisoformat(data.draw(st.sampled_from(CHANGES[name])))
    local = day + timedelta(minutes=data.draw(st.integers(0, 4 * 60)))
    tz = zone(name)
    nearby = (  # offsets since 1971 are whole quarters of an hour there
        local.replace(tzinfo=UTC) + timedelta(minutes=minutes)
        for minutes in range(-24 * 60, 24 * 60 + 1, 15)
    )
    shown = [one for one in nearby if one.astimezone(tz).replace(tzinfo=None) == local]
    try:
        instant, _ = Reader(NOW, lambda: (name,)).read(f"{local:%Y-%m-%d %H:%M}", "INSTANT")
    except InputError:
        assert len(shown) != 1
    else:
        assert shown == [instant]


def test_commands_take_the_words_unquoted_and_say_what_they_read(jerry: Cli) -> None:
    done = jerry("appoint", "jerry", "tomorrow", "9:00", "--at", "2026-11-30T15:00:00Z")
    assert (done.code, done.err) == (
        0,
        "note: INSTANT is Tue 2026-12-01 09:00 America/New_York (14:00Z)\n",
    )
    late = ("--at", "2026-12-01T16:00:00Z")
    assert jerry("reply", "jerry", "--channel", "email", "--occurred", "-2h", *late).code == 0
    assert jerry("pause", "jerry", "+2w", *late).code == 0
    assert jerry("auto-reply", "jerry", "--until", "2027-01-04 9:00", *late).code == 0
    found = [json.loads(line) for line in jerry("export", "-").out.splitlines()]
    events = {one["type"]: one for one in found}
    assert events["AppointmentSet"]["data"]["at"] == "2026-12-01T14:00:00Z"
    assert events["ReplyReceived"]["occurred_at"] == "2026-12-01T14:00:00Z"
    assert events["PauseRequested"]["data"]["until"] == "2026-12-15T16:00:00Z"
    assert events["AutoReplyReceived"]["data"]["until"] == "2027-01-04T14:00:00Z"


def test_at_and_until_are_times_of_the_prospect_too(jerry: Cli) -> None:
    done = jerry("explain", "jerry", "--at", "2026-12-02 10:00", "--json")
    assert done.code == 0
    assert done.err == "note: --at is Wed 2026-12-02 10:00 America/New_York (15:00Z)\n"
    done = jerry("replay", "jerry", "--until", "2026-11-30 09:59")
    assert "nothing had been recorded by then" in done.out
    assert "ProspectAdded" in jerry("replay", "jerry", "--until", "2026-11-30 10:00").out
    two_lines(jerry("due", "--at", "tomorrow 9:00"), 2, "missing zone")


def test_a_new_prospect_is_added_on_the_clock_that_is_given(cli: Cli) -> None:
    new = ("add", "zoe", "--name", "Zoe", "--timezone", "Europe/Berlin")
    done = cli(*new, "--at", "2026-12-01 09:00")
    assert "(08:00Z)" in done.err
    assert done.code == 0
