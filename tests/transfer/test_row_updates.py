"""Rows that correct: an import takes over what its rows say about people who are known."""

import io
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cadence.cli.main import main
from cadence.domain.channels import Channel
from cadence.domain.events import (
    AttemptMade,
    ContactPoint,
    ContactPointAdded,
    ContactPointRemoved,
    Event,
    EventCorrected,
    EventRetracted,
    ProspectAdded,
    ProspectUpdated,
)
from cadence.errors import InputError
from cadence.store import Cadence
from cadence.transfer import import_file
from cadence.transfer.importer import ImportResult, import_all
from cadence.transfer.mapped_csv import MappedCsvSource
from cadence.transfer.mapped_xes import MappedXesSource
from cadence.transfer.mapping_loader import read_mapping
from cadence.transfer.row_updates import IDENTITY_FIELDS

FIELDS = ("timezone", "country", "subdivision", "name", "owner")
FIELDS += ("given_name", "family_name", "salutation", "language", "company")
MAPPING = """
name = "ours"
format = "{format}"
{update}
[prospect]
id = {{ from = "id" }}
timezone = {timezone}
{fields}
contact_points = [
  {{ channel = "call", address = [{{ from = "phone" }}, "number in our CRM"] }},
  {{ channel = "email", address = {{ from = "mail" }} }},
]
[record]
{record}
at = {{ from = "at", formats = ["iso", "%Y-%m-%d %H:%M", "date"], zone = "prospect" }}
[[rules]]
event = "attempt"
channel = "call"
disposition = "no_answer"
{rule}
"""
NEW_YORK, LOS_ANGELES, CHICAGO = "America/New_York", "America/Los_Angeles", "America/Chicago"
KNOWN = {
    "timezone": NEW_YORK,
    "country": "US",
    "subdivision": "NY",
    "name": "Ada Brook",
    "owner": "sam",
    "given_name": "Ada",
    "family_name": "Brook",
    "salutation": "Ms. Brook",
    "language": "en",
    "company": "Brook Ltd",
}
NEWER = {
    "timezone": LOS_ANGELES,
    "country": "CA",
    "subdivision": "CA",
    "name": "Ada Lane",
    "owner": "kim",
    "given_name": "Adele",
    "family_name": "Lane",
    "salutation": "Dr. Lane",
    "language": "es",
    "company": "Lane Ltd",
}


def mapping_text(
    update: str | None = None,
    timezone: str = '{ from = "timezone" }',
    record: str = 'id = { from = "no" }',
    kind: str = "csv",
    rule: str = "",
) -> str:
    names = [name for name in FIELDS if name != "timezone"]
    return MAPPING.format(
        format=kind,
        update="" if update is None else f'update = "{update}"',
        timezone=timezone,
        fields="\n".join(f'{name} = {{ from = "{name}" }}' for name in names),
        record=record,
        rule=rule,
    )


def row(no: int, at: str = "2026-03-02T14:05:00Z", **said: str) -> dict[str, str]:
    return {"no": str(no), "at": at, "id": "501", "timezone": NEW_YORK, **said}


def imported(app: Cadence, *rows: dict[str, str], **how: Any) -> ImportResult:
    columns = ("no", "at", "id", *FIELDS, "phone", "mail")
    lines = [",".join(columns)]
    lines += [",".join(one.get(name, "") for name in columns) for one in rows]
    content = io.BytesIO("\n".join(lines).encode())
    mapping = read_mapping(mapping_text(**how), "ours.toml")
    return import_all(app, MappedCsvSource(mapping, content, "file.csv"))


def kept(app: Cadence, field: str) -> object:
    identity = app.load("501").identity
    return identity.zones if field == "timezone" else getattr(identity, field)


def numbers(app: Cadence, channel: str = "call") -> list[str | None]:
    return [one.key for one in app.load("501").reach.contact_points if one.channel == channel]


def zone_of(app: Cadence) -> object:
    (name,) = app.load("501").identity.zones
    return name


def test_the_fields_of_these_tests_are_all_that_a_row_can_change() -> None:
    assert set(FIELDS) == set(IDENTITY_FIELDS)
    assert set(FIELDS) == set(ProspectUpdated.__struct_fields__)


# What is taken over -------------------------------------------------------------------------------


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("at", ["2026-03-02T14:05:00Z", "2026-04-02T14:05:00Z"])
def test_a_row_of_a_known_person_takes_over_each_field_that_differs(field: str, at: str) -> None:
    app = Cadence.open()
    imported(app, row(1, **KNOWN))
    number = 1 if at.startswith("2026-03") else 2  # the same record again, or a new one
    changed = row(number, at, **(KNOWN | {field: NEWER[field]}))
    if field == "country":
        changed["subdivision"] = ""
    done = imported(app, changed)
    assert kept(app, field) in (NEWER[field], (NEWER[field],))
    assert done.to_dict()["updated"] == {"people": 1, "fields": {field: 1}}
    assert "differing" not in done.to_dict()
    (update,) = [one for one in app.history("501") if isinstance(one.data, ProspectUpdated)]
    assert update.data == ProspectUpdated(**{field: NEWER[field]})
    assert update.occurred_at == datetime.fromisoformat(at)
    assert (update.command_id, update.meta) == (None, {"record": f"ours:{number}"})
    again = imported(app, changed)
    assert (again.events, again.updated.people, again.differing.people) == (0, 0, 0)


def test_all_fields_of_a_row_are_one_update_and_one_person() -> None:
    app = Cadence.open()
    imported(app, row(1, **KNOWN))
    done = imported(app, row(1, **(NEWER | {"subdivision": "BC"})))
    assert done.events == 1
    assert done.updated.people == 1
    assert done.updated.fields == dict.fromkeys(FIELDS, 1)


def test_where_nothing_differs_nothing_is_recorded() -> None:
    app = Cadence.open()
    known = KNOWN | {"phone": "+1 212 555 0100", "mail": "Ada@Example.com"}
    imported(app, row(1, **known))
    spelled = known | {"phone": "+1 (212) 555-0100", "mail": "ada@example.com"}
    done = imported(app, row(1, **spelled))
    assert (done.events, done.to_dict().keys() & {"updated", "differing"}) == (0, set())


def test_two_names_of_one_clock_do_not_differ() -> None:
    app = Cadence.open()
    imported(app, row(1, OLD))
    done = imported(app, row(2, NEW, timezone="US/Eastern"))
    assert (done.updated.people, done.differing.people, zone_of(app)) == (0, 0, NEW_YORK)


def test_an_empty_cell_erases_nothing() -> None:
    app = Cadence.open()
    imported(app, row(1, **KNOWN, phone="+1 212 555 0100"))
    before = app.load("501").identity
    done = imported(app, row(2, "2026-04-02T14:05:00Z", timezone=""))
    assert (done.events, done.updated.people, done.differing.people) == (1, 0, 0)
    assert app.load("501").identity == before
    assert numbers(app) == ["+12125550100"]


def test_a_name_is_taken_over_where_the_id_stood_for_it() -> None:
    for mode in ("always", "fill"):
        app = Cadence.open()
        imported(app, row(1))
        assert kept(app, "name") == "501"
        imported(app, row(1, name="Ada Brook"), update=mode)
        assert kept(app, "name") == "Ada Brook"


def test_a_row_whose_name_is_the_id_names_nobody() -> None:
    app = Cadence.open()
    imported(app, row(1, name="Ada Brook"))
    assert imported(app, row(2, "2026-04-02T14:05:00Z", name="501")).updated.people == 0
    assert kept(app, "name") == "Ada Brook"


def test_a_row_about_several_people_says_nothing_about_each() -> None:
    app = Cadence.open()
    how = mapping_text().replace('id = { from = "id" }', 'id = { from = "id", split = ";" }')
    mapping = read_mapping(how, "ours.toml")

    def several(ids: str, zone: str) -> ImportResult:
        text = f"no,at,id,timezone,phone\n1,2026-03-02T14:05:00Z,{ids},{zone},+12125550100\n"
        return import_all(app, MappedCsvSource(mapping, io.BytesIO(text.encode()), "f"))

    several("501", NEW_YORK)
    several("501;502", LOS_ANGELES)
    assert zone_of(app) == NEW_YORK


# Contact points -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "channel", "old", "new", "keys"),
    [
        ("phone", "call", "+1 212 555 0100", "+1 213 555 0199", ["+12125550100", "+12135550199"]),
        ("mail", "email", "ada@a.com", "ada@b.com", ["ada@a.com", "ada@b.com"]),
    ],
)
def test_a_new_contact_point_is_added_and_the_old_one_kept(
    column: str, channel: str, old: str, new: str, keys: list[str]
) -> None:
    app = Cadence.open()
    imported(app, row(1, **{column: old}))
    done = imported(app, row(1, **{column: new}))
    assert numbers(app, channel) == keys
    assert done.to_dict()["updated"] == {"people": 1, "fields": {"contact_points": 1}}
    for value in (new, old):
        assert imported(app, row(1, **{column: value})).events == 0


def test_a_number_joins_one_that_only_the_other_program_has() -> None:
    app = Cadence.open()
    assert imported(app, row(1)).unusable_addresses == 0
    assert numbers(app) == ["elsewhere:call"]
    imported(app, row(1, phone="+1 212 555 0100"))
    assert numbers(app) == ["elsewhere:call", "+12125550100"]
    assert imported(app, row(1)).events == 0


def test_an_address_that_cannot_be_read_is_counted_and_adds_nothing() -> None:
    app = Cadence.open()
    imported(app, row(1, phone="+1 212 555 0100"))
    done = imported(app, row(1, phone="ask Bob"))
    assert (done.events, done.unusable_addresses, done.updated.people) == (0, 1, 0)
    assert numbers(app) == ["+12125550100"]


def test_a_contact_point_that_was_taken_away_stays_away_and_is_named() -> None:
    app = Cadence.open()
    imported(app, row(1, phone="+1 212 555 0100"))
    gone = ContactPointRemoved(Channel("call"), "+1 212 555 0100", "a stranger's")
    app.execute("501", gone)
    done = imported(app, row(2, "2026-04-02T14:05:00Z", phone="+1 212 555 0100"))
    assert numbers(app) == []
    assert done.differing.fields == {"contact_points": 1}


def test_a_corrected_country_reads_numbers_again() -> None:
    app = Cadence.open()
    imported(app, row(1, country="US", phone="020 7946 0123", timezone="Europe/London"))
    imported(app, row(1, country="GB", phone="020 7946 0123", timezone="Europe/London"))
    assert numbers(app) == ["+442079460123"]
    assert imported(app, row(1, country="GB", phone="020 7946 0123")).events == 1  # the zone
    assert numbers(app) == ["+442079460123"]


def test_a_corrected_country_leaves_a_number_that_only_the_crm_has() -> None:
    app = Cadence.open()
    imported(app, row(1, country="US"))
    imported(app, row(1, country="GB"))
    assert numbers(app) == ["elsewhere:call"]


def test_a_subdivision_belongs_to_the_country_of_its_row() -> None:
    app = Cadence.open()
    imported(app, row(1, country="US", subdivision="CA"))
    imported(app, row(2, "2026-04-02T14:05:00Z", country="DE", subdivision="BY"))
    assert (kept(app, "country"), kept(app, "subdivision")) == ("DE", "BY")
    done = imported(app, row(3, "2026-03-20T14:05:00Z", country="US", subdivision="NY"))
    assert (kept(app, "country"), kept(app, "subdivision")) == ("DE", "BY")
    assert done.differing.fields == {"country": 1, "subdivision": 1}


def test_a_subdivision_of_another_country_fills_nothing() -> None:
    app = Cadence.open()
    imported(app, row(2, "2026-04-02T14:05:00Z", country="US"))
    done = imported(app, row(1, "2026-03-02T14:05:00Z", country="DE", subdivision="BY"))
    assert (kept(app, "country"), kept(app, "subdivision")) == ("US", None)
    assert done.differing.fields == {"country": 1, "subdivision": 1}


def test_a_country_that_moves_on_with_the_same_region_code_keeps_the_region() -> None:
    app = Cadence.open()
    imported(app, row(1, country="AU", subdivision="WA"))
    imported(app, row(1, country="US", subdivision="WA"))
    assert (kept(app, "country"), kept(app, "subdivision")) == ("US", "WA")


def test_addresses_of_a_history_from_before_are_read_first() -> None:
    app = Cadence.open()
    at = datetime(2026, 3, 2, 14, tzinfo=UTC)
    point = ContactPoint(Channel("call"), "+1 (212) 555-0100")
    old = ProspectAdded("Ada", NEW_YORK, "US", contact_points=(point,))
    app.histories.append([([Event("501", 1, at, at, old)], 0)])
    imported(app, row(1, phone="+12125550100"))
    assert numbers(app) == ["+12125550100"]
    assert imported(app, row(1, phone="+12125550100")).events == 0


# Which row counts ---------------------------------------------------------------------------------

OLD, NEW = "2026-03-02T14:05:00Z", "2026-04-02T14:05:00Z"


@pytest.mark.parametrize("is_reversed", [False, True])
def test_the_newest_row_counts_whatever_the_order_of_the_rows(is_reversed: bool) -> None:
    app = Cadence.open()
    rows = [row(1, OLD), row(2, NEW, timezone=LOS_ANGELES)]
    imported(app, *(rows[::-1] if is_reversed else rows))
    assert zone_of(app) == LOS_ANGELES
    done = imported(app, *rows)
    assert (done.events, done.updated.people, done.differing.people) == (0, 0, 0)


def test_an_attempt_is_judged_in_the_zone_of_its_time() -> None:
    app = Cadence.open()
    early = "2026-04-02T14:05:00Z"  # past ten in New York, past seven in Los Angeles
    imported(app, row(1, OLD), row(2, early, timezone=LOS_ANGELES))
    made = [one.data for one in app.history("501") if isinstance(one.data, AttemptMade)]
    assert [one.broke for one in made] == [(), ("quiet_hours", "business_hours")]


def test_an_older_export_takes_nothing_back_and_is_named() -> None:
    app = Cadence.open()
    imported(app, row(1, OLD, timezone=LOS_ANGELES), row(2, NEW, timezone=LOS_ANGELES))
    done = imported(app, row(1, OLD))
    assert zone_of(app) == LOS_ANGELES
    assert done.differing.fields == {"timezone": 1}
    assert done.events == 0


@pytest.mark.parametrize("how", [{}, {"record": ""}, {"rule": 'first_of = "day"'}])
def test_a_value_that_was_given_up_does_not_return_with_the_same_rows(how: dict[str, str]) -> None:
    app = Cadence.open()
    times = [OLD, NEW, NEW.replace("14:05", "15:05")]
    march = [row(no, at) for no, at in enumerate(times)]
    april = [row(no, at, timezone=CHICAGO) for no, at in enumerate(times)]
    imported(app, *march, **how)
    assert imported(app, *april, **how).updated.people == 1
    assert zone_of(app) == CHICAGO
    done = imported(app, *march, **how)
    assert (done.events, done.differing.fields) == (0, {"timezone": 1})
    imported(app, row(3, "2026-05-02T14:05:00Z"), **how)  # a newer row: they moved back
    assert zone_of(app) == NEW_YORK


def test_of_rows_of_one_time_a_new_value_counts_and_an_old_one_does_not() -> None:
    app = Cadence.open()
    for number, zone in enumerate((NEW_YORK, LOS_ANGELES, NEW_YORK)):
        imported(app, row(number, OLD, timezone=zone))
    assert zone_of(app) == LOS_ANGELES


def test_what_a_user_said_after_a_row_stays_and_before_it_goes() -> None:
    app = Cadence.open()
    imported(app, row(1, OLD))
    said = datetime(2026, 3, 20, tzinfo=UTC)
    app.execute("501", ProspectUpdated(timezone=CHICAGO), at=said)
    done = imported(app, row(1, OLD, timezone=LOS_ANGELES))
    assert (zone_of(app), done.differing.fields) == (CHICAGO, {"timezone": 1})
    imported(app, row(2, NEW, timezone=LOS_ANGELES))
    assert zone_of(app) == LOS_ANGELES


def test_what_was_taken_back_is_not_taken_over_from_the_same_row() -> None:
    app = Cadence.open()
    imported(app, row(1, OLD))
    imported(app, row(1, OLD, timezone=LOS_ANGELES))
    app.execute("501", EventRetracted(app.load("501").version, "wrong person"))
    assert zone_of(app) == NEW_YORK
    assert imported(app, row(1, OLD, timezone=LOS_ANGELES)).events == 0
    assert zone_of(app) == NEW_YORK


def test_what_a_user_corrected_in_an_update_is_what_counts() -> None:
    app = Cadence.open()
    imported(app, row(1, OLD))
    imported(app, row(1, OLD, timezone=LOS_ANGELES))
    right = EventCorrected(app.load("501").version, ProspectUpdated(timezone=CHICAGO), None, "so")
    app.execute("501", right, at=datetime(2026, 4, 20, tzinfo=UTC))
    done = imported(app, row(2, NEW, timezone=LOS_ANGELES))
    assert (zone_of(app), done.updated.people) == (CHICAGO, 0)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from([NEW_YORK, CHICAGO, ""])), max_size=6),
    st.randoms(use_true_random=False),
)
def test_any_order_of_rows_ends_the_same_and_a_second_import_adds_nothing(
    said: list[tuple[int, str]], chance: random.Random
) -> None:
    zones: dict[int, str] = dict(said)  # one value for each time: else the file contradicts itself
    rows = [row(no, f"2026-03-0{no + 1}T15:00:00Z", timezone=zones[no]) for no in sorted(zones)]
    app = Cadence.open()
    imported(app, row(9, "2026-02-28T15:00:00Z", timezone=LOS_ANGELES))
    newest = [LOS_ANGELES, *(one["timezone"] for one in rows if one["timezone"])][-1]
    chance.shuffle(rows)
    imported(app, *rows)
    assert zone_of(app) == newest
    chance.shuffle(rows)
    assert imported(app, *rows).events == 0


@given(st.lists(st.sampled_from([NEW_YORK, CHICAGO]), min_size=2, max_size=4, unique=False))
def test_exports_end_at_the_newest_in_any_order(zones: list[str]) -> None:
    """Each export has one row more than the one before, and says in every row what is true then."""
    exports = [
        [row(no, f"2026-03-0{no + 1}T15:00:00Z", timezone=zone) for no in range(size + 1)]
        for size, zone in enumerate(zones)
    ]
    for order in (exports, exports[::-1]):
        app = Cadence.open()
        for export in order:
            imported(app, *export)
        assert zone_of(app) == zones[-1]


ROWS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from([NEW_YORK, CHICAGO, LOS_ANGELES]),
        st.sampled_from(["", "sam", "kim"]),
        st.sampled_from(["", "+12125550100", "+13125550101", "no number"]),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda said: said[0],
)


@given(st.lists(st.tuples(st.sampled_from(["always", "fill", "never"]), ROWS), max_size=4))
def test_what_the_newest_row_says_is_kept_or_named(
    files: list[tuple[str, list[tuple[int, str, str, str]]]],
) -> None:
    app = Cadence.open()
    for mode, said in files:
        rows = [
            row(no, f"2026-03-0{no + 1}T15:00:00Z", timezone=zone, owner=owner, phone=phone)
            for no, zone, owner, phone in said
        ]
        done = imported(app, *rows, update=mode)
        newest = sorted(rows, key=lambda one: one["at"])
        for field, now in (("timezone", zone_of(app)), ("owner", kept(app, "owner"))):
            values = [one[field] for one in newest if one[field]]
            if values:
                assert (values[-1] != now) == (field in done.differing.fields)
        missing = {one["phone"] for one in rows if one["phone"].startswith("+")} - {*numbers(app)}
        assert bool(missing) == ("contact_points" in done.differing.fields)
        again = imported(app, *rows, update=mode)
        assert (again.events, again.differing.fields) == (0, done.differing.fields)


# What is no statement -----------------------------------------------------------------------------


@pytest.mark.parametrize("timezone", ['"Europe/Berlin"', '[{ from = "timezone" }, "Asia/Tokyo"]'])
def test_a_constant_of_the_mapping_says_nothing_about_the_person(timezone: str) -> None:
    app = Cadence.open()
    imported(app, row(1, OLD))
    done = imported(app, row(2, NEW, timezone=""), timezone=timezone)
    assert (zone_of(app), done.updated.people, done.differing.people) == (NEW_YORK, 0, 0)


def test_a_column_takes_over_what_a_constant_gave() -> None:
    app = Cadence.open()
    how = {"timezone": '[{ from = "timezone" }, "Asia/Tokyo"]'}
    imported(app, row(1, OLD, timezone=""), **how)
    imported(app, row(1, OLD, timezone=LOS_ANGELES), **how)
    assert zone_of(app) == LOS_ANGELES


# The key of the mapping ---------------------------------------------------------------------------


def test_never_takes_nothing_and_names_what_differs() -> None:
    app = Cadence.open()
    imported(app, row(1, OLD, **KNOWN))
    done = imported(app, row(2, NEW, **(NEWER | {"subdivision": "BC"})), update="never")
    assert done.events == 1
    assert done.to_dict()["differing"] == {"people": 1, "fields": dict.fromkeys(sorted(FIELDS), 1)}
    assert "updated" not in done.to_dict()
    done = imported(app, row(3, NEW, phone="+1 212 555 0100"), update="never")
    assert done.differing.fields == {"contact_points": 1}


def test_fill_takes_only_what_is_missing() -> None:
    app = Cadence.open()
    imported(app, row(1, OLD, owner="sam", mail="ada@a.com"))
    more = {"owner": "kim", "company": "Lane Ltd", "mail": "ada@b.com", "timezone": CHICAGO}
    done = imported(app, row(2, NEW, **more), update="fill")
    assert (kept(app, "owner"), kept(app, "company"), zone_of(app)) == ("sam", "Lane Ltd", NEW_YORK)
    assert numbers(app, "email") == ["ada@a.com"]
    assert done.updated.fields == {"company": 1}
    assert done.differing.fields == {"owner": 1, "timezone": 1, "contact_points": 1}
    assert imported(app, row(2, NEW, **more), update="fill").events == 0


def test_fill_takes_the_newest_row_of_the_file_for_a_new_person() -> None:
    app = Cadence.open()
    rows = [row(1, OLD, company="A"), row(2, NEW, company="B", timezone=CHICAGO)]
    imported(app, *rows, update="fill")
    assert (kept(app, "company"), zone_of(app)) == ("B", CHICAGO)
    assert imported(app, *rows, update="fill").events == 0


def test_a_wrong_value_of_the_key_is_refused_with_the_right_ones() -> None:
    with pytest.raises(InputError, match='update: invalid "sometimes"') as caught:
        read_mapping(mapping_text("sometimes"), "ours.toml")
    assert all(word in caught.value.hint for word in ("always", "fill", "never"))


# Times on the person's own clock ------------------------------------------------------------------


@pytest.mark.parametrize("record", ['id = { from = "no" }', ""])
@pytest.mark.parametrize("at", ["2026-03-02", "2026-03-02 09:30"])
@pytest.mark.parametrize("zones", [(NEW_YORK, LOS_ANGELES), (LOS_ANGELES, NEW_YORK)])
def test_a_local_time_is_known_again_after_they_moved(
    zones: tuple[str, str], at: str, record: str
) -> None:
    app = Cadence.open()
    for zone in zones:
        imported(app, row(1, at, timezone=zone), record=record)
    assert zone_of(app) == zones[1]
    for zone in zones:
        assert imported(app, row(1, at, timezone=zone), record=record).events == 0
    assert sum(isinstance(one.data, AttemptMade) for one in app.history("501")) == 1


def test_a_new_row_is_read_in_the_zone_that_it_says() -> None:
    app = Cadence.open()
    imported(app, row(1, OLD))
    imported(app, row(2, "2026-04-02 09:30", timezone=LOS_ANGELES))
    assert app.history("501")[-1].occurred_at == datetime(2026, 4, 2, 16, 30, tzinfo=UTC)


# Logs ---------------------------------------------------------------------------------------------


def test_the_case_of_a_log_corrects_its_person_too() -> None:
    app = Cadence.open()

    def log(zone: str, phone: str) -> ImportResult:
        text = f"""<log><trace><string key="id" value="501"/>
<string key="timezone" value="{zone}"/><string key="phone" value="{phone}"/>
<event><string key="concept:name" value="call"/><date key="at" value="{OLD}"/></event>
</trace></log>"""
        how = read_mapping(mapping_text(kind="xes", record=""), "ours.toml")
        return import_all(app, MappedXesSource(how, [text.encode()], "log.xes"))

    log(NEW_YORK, "+1 212 555 0100")
    done = log(LOS_ANGELES, "+1 213 555 0199")
    assert done.updated.fields == {"timezone": 1, "contact_points": 1}
    assert (zone_of(app), numbers(app)) == (LOS_ANGELES, ["+12125550100", "+12135550199"])
    assert log(LOS_ANGELES, "+1 213 555 0199").events == 0


# On the command line ------------------------------------------------------------------------------

HUBSPOT = (
    "hs_object_id,hs_timestamp,hubspot_owner_id,Associated Contact IDs,hs_call_to_number,"
    "hs_call_direction,hs_call_disposition,hs_call_status,timezone,country\n"
    "9001,2026-03-02T14:05:00Z,77,501,+12125550100,OUTBOUND,No answer,COMPLETED,{zone},US\n"
)


def test_a_prospect_who_moved_is_called_on_their_new_clock(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db = ["--db", str(tmp_path / "t.db")]
    for month, zone in (("march", NEW_YORK), ("april", LOS_ANGELES)):
        (tmp_path / f"{month}.csv").write_text(HUBSPOT.format(zone=zone))
        how = [str(tmp_path / f"{month}.csv"), "--mapping", "hubspot_calls"]
        assert main([*db, "import", *how]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[1:] == [
        "1 prospect: 1 event imported, 2 were there already",
        "1 person updated: time zone 1",
    ]
    assert main([*db, "due", "--at", "2026-03-05T14:05:00Z"]) == 0
    assert "no prospect is due" in capsys.readouterr().out
    assert main([*db, "due", "--at", "2026-03-05T17:05:00Z"]) == 0
    assert "Thu 03-05 09:00" in capsys.readouterr().out  # nine in Los Angeles


def test_the_summary_names_who_differs_and_keys_stand_only_where_they_say_something(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "never.toml").write_text('extends = "hubspot_calls"\nupdate = "never"\n')
    file = tmp_path / "calls.csv"
    how = ["--db", str(tmp_path / "t.db"), "import", str(file)]
    how += ["--mapping", str(tmp_path / "never.toml")]
    file.write_text(HUBSPOT.format(zone=NEW_YORK))
    assert main(["--json", *how]) == 0
    assert "differing" not in capsys.readouterr().out
    file.write_text(HUBSPOT.format(zone=LOS_ANGELES))
    assert main(how) == 0
    assert "1 person differs from what is kept: time zone 1\n" in capsys.readouterr().out
    assert main(["--json", *how]) == 0
    shown = capsys.readouterr().out
    assert '"differing":{"people":1,"fields":{"timezone":1}}' in shown
    assert '"updated"' not in shown


def test_a_timezone_option_does_not_overwrite_what_is_known(tmp_path: Path) -> None:
    file, db = tmp_path / "calls.csv", tmp_path / "t.db"
    how = ["--db", str(db), "import", str(file), "--mapping", "hubspot_calls"]
    file.write_text(HUBSPOT.format(zone=NEW_YORK))
    assert main([*how, "--timezone", "Asia/Tokyo"]) == 0
    file.write_text(HUBSPOT.format(zone="").replace("9001,2026-03", "9002,2026-04"))
    assert main([*how, "--timezone", "Asia/Tokyo"]) == 0
    with Cadence.open(str(db)) as app:
        assert app.load("501").identity.zones == (NEW_YORK,)
        assert not [one for one in app.history("501") if isinstance(one.data, ContactPointAdded)]


def test_a_call_without_a_number_is_to_the_number_that_hubspot_has(tmp_path: Path) -> None:
    file = tmp_path / "calls.csv"
    file.write_text(HUBSPOT.format(zone=NEW_YORK).replace("+12125550100", ""))
    app = Cadence.open()
    assert import_file(app, str(file), "hubspot_calls").unusable_addresses == 0
    assert numbers(app) == ["elsewhere:call"]
