"""Local times that clocks skip or show twice, in real zones, from the tzdata package."""

import zoneinfo
from datetime import UTC, datetime, timedelta
from importlib import metadata, resources
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cadence.errors import InputError
from cadence.worktime.zones import from_local, zone, zone_names, zones_version

# zone, local time that is skipped, first instant after the skip (UTC), what clocks then show
SKIPPED = [
    ("Europe/Berlin", "2026-03-29 02:00", "2026-03-29 01:00", "2026-03-29 03:00"),
    ("Europe/Berlin", "2026-03-29 02:30", "2026-03-29 01:00", "2026-03-29 03:00"),
    ("Europe/Berlin", "2026-03-29 02:59:59.999999", "2026-03-29 01:00", "2026-03-29 03:00"),
    ("Europe/London", "2026-03-29 01:30", "2026-03-29 01:00", "2026-03-29 02:00"),
    ("America/New_York", "2026-03-08 02:30", "2026-03-08 07:00", "2026-03-08 03:00"),
    ("Australia/Lord_Howe", "2026-10-04 02:15", "2026-10-03 15:30", "2026-10-04 02:30"),
    ("America/Sao_Paulo", "2018-11-04 00:00", "2018-11-04 03:00", "2018-11-04 01:00"),
    ("America/Sao_Paulo", "2018-11-04 00:30", "2018-11-04 03:00", "2018-11-04 01:00"),
    ("Africa/Casablanca", "2026-03-22 02:30", "2026-03-22 02:00", "2026-03-22 03:00"),
    ("Asia/Kathmandu", "1986-01-01 00:10", "1985-12-31 18:30", "1986-01-01 00:15"),
    ("Pacific/Apia", "2011-12-30 10:00", "2011-12-30 10:00", "2011-12-31 00:00"),
]
# zone, local time that occurs twice, the first instant at which clocks show it (UTC)
DOUBLED = [
    ("Europe/Berlin", "2026-10-25 02:00", "2026-10-25 00:00"),
    ("Europe/Berlin", "2026-10-25 02:30", "2026-10-25 00:30"),
    ("America/New_York", "2026-11-01 01:30", "2026-11-01 05:30"),
    ("Australia/Lord_Howe", "2026-04-05 01:45", "2026-04-04 14:45"),
    ("America/Sao_Paulo", "2019-02-16 23:30", "2019-02-17 01:30"),
    ("Africa/Casablanca", "2026-02-15 02:30", "2026-02-15 01:30"),
]
ONCE = [
    ("Europe/Berlin", "2026-03-29 01:59", "2026-03-29 00:59"),
    ("Europe/Berlin", "2026-03-29 03:00", "2026-03-29 01:00"),
    ("Europe/Berlin", "2026-10-25 03:00", "2026-10-25 02:00"),
    ("Australia/Lord_Howe", "2026-10-04 02:30", "2026-10-03 15:30"),
    ("Australia/Lord_Howe", "2026-04-05 01:29", "2026-04-04 14:29"),
    ("Asia/Kathmandu", "2026-06-01 09:00", "2026-06-01 03:15"),
    ("UTC", "2026-06-01 09:00", "2026-06-01 09:00"),
    ("Pacific/Kiritimati", "2026-06-01 09:00", "2026-05-31 19:00"),
]
NAMES = sorted({name for name, *_ in (*SKIPPED, *DOUBLED, *ONCE)})


def at(text):
    return datetime.fromisoformat(text)


def utc(text):
    return at(text).replace(tzinfo=UTC)


def shown(instant, name):
    return instant.astimezone(zone(name)).replace(tzinfo=None)


@pytest.mark.parametrize(("name", "local", "instant", "after"), SKIPPED)
def test_a_skipped_local_time_is_the_first_instant_after_the_skip(name, local, instant, after):
    found = from_local(at(local), zone(name))
    assert found == utc(instant)
    assert shown(found, name) == at(after)
    assert shown(found - timedelta(microseconds=1), name) < at(local)


@pytest.mark.parametrize(("name", "local", "instant"), DOUBLED)
def test_a_doubled_local_time_means_the_first(name, local, instant):
    found = from_local(at(local), zone(name))
    assert found == utc(instant)
    assert shown(found, name) == at(local)
    again = at(local).replace(tzinfo=zone(name), fold=1).astimezone(UTC)
    assert again > found
    assert shown(again, name) == at(local)


@pytest.mark.parametrize(("name", "local", "instant"), ONCE)
def test_a_local_time_that_occurs_once_is_that_instant(name, local, instant):
    assert from_local(at(local), zone(name)) == utc(instant)


@given(
    st.sampled_from(NAMES),
    st.datetimes(datetime(1975, 1, 1), datetime(2060, 1, 1)),  # noqa: DTZ001
)
def test_a_local_time_is_shown_at_its_instant_or_does_not_exist(name, local):
    found = from_local(local, zone(name))
    assert found.tzinfo is UTC
    assert shown(found, name) >= local
    if shown(found, name) != local:
        for fold in (0, 1):
            back = local.replace(tzinfo=zone(name), fold=fold).astimezone(UTC)
            assert shown(back, name) != local


@given(
    st.sampled_from([(name, at(local)) for name, local, *_ in (*SKIPPED, *DOUBLED, *ONCE)]),
    st.integers(-180, 180),
)
@example(("Europe/Berlin", at("2026-03-29 02:00")), 0)
def test_no_earlier_instant_shows_the_local_time_or_a_later_one(near, minutes):
    name, change = near
    local = change + timedelta(minutes=minutes)
    found = from_local(local, zone(name))
    assert shown(found - timedelta(microseconds=1), name) < local
    for earlier in range(1, 27 * 4):
        assert shown(found - timedelta(minutes=15 * earlier), name) < local


@given(st.sampled_from(NAMES), st.datetimes(timezones=st.just(UTC), min_value=at("1975-01-01")))
def test_an_instant_is_shown_at_a_local_time_that_leads_back_to_it_or_to_its_first(name, instant):
    if instant.year > 9990:
        return
    local = shown(instant, name)
    found = from_local(local, zone(name))
    assert found <= instant
    assert shown(found, name) == local


@given(st.lists(st.integers(0, 48 * 60), min_size=2, max_size=2), st.sampled_from(SKIPPED))
def test_where_clocks_go_forward_a_later_local_time_is_never_an_earlier_instant(minutes, skip):
    name, local, *_ = skip
    start = at(local) - timedelta(hours=24)
    first, second = (start + timedelta(minutes=m) for m in sorted(minutes))
    assert from_local(first, zone(name)) <= from_local(second, zone(name))


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("Europe/Berln", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        ("America/NewYork", "America/New_York"),
        ("Asia/Katmandoo", "Asia/Katmandu"),
        ("Europe/Berlin ", "Europe/Berlin"),
        ("Europe\\Berlin", "Europe/Berlin"),
    ],
)
def test_an_unknown_zone_is_an_input_error_that_names_the_nearest(name, near):
    with pytest.raises(InputError) as caught:
        zone(name)
    assert repr(name) in caught.value.what
    assert caught.value.what.startswith("timezone: ")
    assert near in caught.value.hint


@pytest.mark.parametrize(
    "name", ["", "x", "..", "../zones", "/etc/localtime", "tzdata", "Europe", "Europe/", "\x00"]
)
def test_a_name_that_is_no_zone_is_an_input_error(name):
    with pytest.raises(InputError) as caught:
        zone(name)
    assert repr(name) in caught.value.what


@given(st.text(max_size=30))
def test_any_text_is_a_zone_or_an_input_error(name):
    if name in zone_names():
        return
    with pytest.raises(InputError):
        zone(name)


def test_every_name_of_the_package_is_a_zone():
    for name in zone_names():
        assert zone(name).key == name


def test_zones_come_from_the_tzdata_package_and_not_from_the_system(tmp_path):
    (tmp_path / "Europe").mkdir()
    utc_data = resources.files("tzdata").joinpath("zoneinfo", "UTC").read_bytes()
    (tmp_path / "Europe" / "Berlin").write_bytes(utc_data)
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(to=[tmp_path])
    ZoneInfo.clear_cache()
    zone.cache_clear()
    try:
        system = ZoneInfo("Europe/Berlin")
        ours = zone("Europe/Berlin")
    finally:
        zoneinfo.reset_tzpath(to=before)
        ZoneInfo.clear_cache()
        zone.cache_clear()
    noon = datetime(2026, 7, 1, 12)  # noqa: DTZ001
    assert system.utcoffset(noon) == timedelta()
    assert ours.utcoffset(noon) == timedelta(hours=2)


def test_the_version_of_the_zone_data_is_that_of_the_package():
    assert zones_version() == f"tzdata {metadata.version('tzdata')}"
