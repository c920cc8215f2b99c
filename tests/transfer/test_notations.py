"""Values in another program's notation: HubSpot's time zones, Salesforce's ids."""

import io
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cadence.domain.events import OptOutRequested
from cadence.domain.stages import Stage
from cadence.errors import InputError
from cadence.store import Cadence
from cadence.transfer import import_file
from cadence.transfer.importer import import_all
from cadence.transfer.mapped_csv import MappedCsvSource
from cadence.transfer.mapping_loader import load_mapping, read_mapping
from cadence.transfer.mapping_model import Mapping
from cadence.transfer.notations import read_hubspot_zone, read_salesforce_id
from cadence.worktime.zones import zone_names

# HubSpot ------------------------------------------------------------------------------------------


def hubspot_name(zone: str) -> str:
    """Write a zone as HubSpot's internal names do."""
    name = zone.lower().replace("/", "_slash_").replace("-", "_hyphen_")
    return name.replace("+", "_plus_")


@pytest.mark.parametrize("spell", [str, str.lower, str.upper, hubspot_name])
def test_every_zone_is_read_from_its_name_and_from_that_of_hubspot(spell: object) -> None:
    assert callable(spell)
    assert {zone: read_hubspot_zone(spell(zone), "zone") for zone in zone_names()} == {
        zone: zone for zone in zone_names()
    }


def test_a_minus_in_words_is_a_minus() -> None:
    assert read_hubspot_zone("etc_slash_gmt_minus_5", "zone") == "Etc/GMT-5"
    assert read_hubspot_zone("Etc_slash_GMT_plus_5", "zone") == "Etc/GMT+5"


@pytest.mark.parametrize(
    ("value", "zone"),
    [
        ("us_slash_east_hyphen_indiana", "US/East-Indiana"),
        ("us_slash_pacific_hyphen_new", "America/Los_Angeles"),
        ("europe_slash_kiev", "Europe/Kiev"),
        ("navajo", "Navajo"),
        ("UTC -04:00 America New York", "America/New_York"),
        ("UTC -04:00 America Port-Au-Prince", "America/Port-au-Prince"),
        ("UTC -05:00 America North Dakota (New Salem)", "America/North_Dakota/New_Salem"),
        ("UTC -06:00 America Navajo", "Navajo"),
        ("UTC +03:00 Asia Türkiye", "Turkey"),
        ("UTC +03:00 Europe Kyiv", "Europe/Kyiv"),
    ],
)
def test_hubspot_options_and_their_labels_are_zones(value: str, zone: str) -> None:
    assert read_hubspot_zone(value, "zone") == zone


CALLS = (
    "hs_object_id,hs_timestamp,Associated Contact IDs,hs_call_to_number,hs_call_direction,"
    "hs_call_disposition,hs_call_status,hs_timezone\n"
)


def calls(*zones: str) -> bytes:
    rows = [
        f"{number},2026-03-02T14:05:00Z,{500 + number},+12125550100,OUTBOUND,No answer,"
        f"COMPLETED,{zone}\n"
        for number, zone in enumerate(zones, 1)
    ]
    return (CALLS + "".join(rows)).encode()


def imported(app: Cadence, content: bytes, how: Mapping) -> None:
    import_all(app, MappedCsvSource(how, io.BytesIO(content), "file.csv"))


def test_an_export_of_hubspot_calls_gives_each_contact_its_zone() -> None:
    app = Cadence.open()
    names = (
        "america_slash_new_york",
        "us_slash_central",
        "america_slash_port_hyphen_au_hyphen_prince",
    )
    imported(app, calls(*names), load_mapping("hubspot_calls"))
    assert [app.load(one).identity.zones for one in app.prospects()] == [
        ("America/New_York",),
        ("US/Central",),
        ("America/Port-au-Prince",),
    ]


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("us_slash_centrl", "use US/Central"),
        ("mars_slash_utc", "use an IANA name such as Europe/Berlin"),
        ("2", "use an IANA name such as Europe/Berlin"),
    ],
)
def test_an_unknown_zone_of_hubspot_is_a_bad_row_with_its_hint(value: str, hint: str) -> None:
    app = Cadence.open()
    with pytest.raises(InputError) as caught:
        imported(app, calls("us_slash_central", value), load_mapping("hubspot_calls"))
    assert f"line 3: hs_timezone: unknown time zone '{value}'" in "".join(caught.value.details())
    assert hint in "".join(caught.value.details())
    assert list(app.prospects()) == []


# Salesforce ---------------------------------------------------------------------------------------

short_ids = st.text(string.ascii_letters + string.digits, min_size=15, max_size=15)


def long_id(short: str) -> str:
    """Append the suffix, computed in another way than in the code: as a number in base two."""
    alphabet = string.ascii_uppercase + "012345"
    bits = "".join("1" if one in string.ascii_uppercase else "0" for one in short)
    return short + "".join(alphabet[int(bits[at : at + 5][::-1], 2)] for at in (0, 5, 10))


@pytest.mark.parametrize(
    ("short", "long"),
    [  # from Salesforce's documentation and from public examples
        ("001D000000IqhSL", "001D000000IqhSLIAZ"),
        ("00Q000000000001", "00Q000000000001EAA"),
        ("0030Y00000AbCdE", "0030Y00000AbCdEQAV"),
    ],
)
def test_the_suffix_is_that_of_salesforce(short: str, long: str) -> None:
    assert read_salesforce_id(short, "Id") == long
    assert read_salesforce_id(long, "Id") == long


@given(short_ids)
def test_the_forms_of_a_record_are_one_id_also_where_the_case_is_lost(short: str) -> None:
    long = long_id(short)
    forms = (short, long, long.lower(), long.upper(), long.swapcase())
    assert {read_salesforce_id(one, "Id") for one in forms} == {long}


@given(short_ids, short_ids)
def test_two_records_stay_two(one: str, other: str) -> None:
    same = read_salesforce_id(one, "Id") == read_salesforce_id(other, "Id")
    assert same == (one == other)


@pytest.mark.parametrize("suffix", ["AA9", "AAB", "6AA"])
def test_a_suffix_of_another_id_is_invalid(suffix: str) -> None:
    with pytest.raises(InputError) as caught:
        read_salesforce_id("001000000000000" + suffix, "WhoId")
    assert caught.value.what.startswith("WhoId: invalid Salesforce id '001000000000000")
    assert caught.value.hint == "give the id as Salesforce shows it, with 15 or 18 characters"


@pytest.mark.parametrize("value", ["P1", "003A", "0030Y00000AbCd-", "lead-of-the-week!", "é" * 15])
def test_what_is_no_salesforce_id_stays_as_it_is(value: str) -> None:
    assert read_salesforce_id(value, "Id") == value


CONTACTS = """
name = "contacts"
format = "csv"
[prospect]
id = { from = "Id", notation = "salesforce_id" }
timezone = "Europe/Berlin"
[record]
at = { from = "When" }
[[rules]]
event = "opt_out"
"""


@given(short_ids)
def test_events_by_the_short_id_and_contacts_by_the_long_are_one_prospect(short: str) -> None:
    app = Cadence.open()
    tasks = read_mapping(
        'extends = "salesforce_tasks"\n[prospect]\ntimezone = "Europe/Berlin"', "tasks.toml"
    )
    header = "Id,WhoId,TaskSubtype,IsClosed,CompletedDateTime\n"
    row = f"00T{short[3:]},{short},Call,true,2026-03-02T15:00:00Z\n"
    imported(app, (header + row).encode(), tasks)
    contacts = f"Id,When\n{long_id(short)},2026-03-03T15:00:00Z\n"
    imported(app, contacts.encode(), read_mapping(CONTACTS, "contacts.toml"))
    assert list(app.prospects()) == [long_id(short)]
    assert app.load(long_id(short)).stage is Stage.OPTED_OUT
    assert isinstance(app.history(long_id(short))[-1].data, OptOutRequested)
    # The same export with ids of the other form, which is imported again, changes nothing.
    other = f"{long_id('00T' + short[3:])},{long_id(short)},Call,true,2026-03-02T15:00:00Z\n"
    imported(app, (header + other).encode(), tasks)
    assert len(app.history(long_id(short))) == 3


def test_a_broken_salesforce_id_is_a_bad_row(tmp_path: Path) -> None:
    file = tmp_path / "contacts.csv"
    file.write_text("Id,When\n001000000000000AAB,2026-03-03T15:00:00Z\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        import_file(Cadence.open(), str(file), read_mapping(CONTACTS, "contacts.toml"))
    (line,) = caught.value.details()
    assert line.startswith("line 2: Id: invalid Salesforce id '001000000000000AAB'")


def test_ids_of_other_systems_are_not_touched() -> None:
    app = Cadence.open()
    how = read_mapping(CONTACTS.replace(', notation = "salesforce_id"', ""), "contacts.toml")
    imported(app, b"Id,When\n0030Y00000AbCdE,2026-03-03T15:00:00Z\n", how)
    assert list(app.prospects()) == ["0030Y00000AbCdE"]
