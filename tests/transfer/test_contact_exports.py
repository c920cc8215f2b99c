"""Exports of contacts: who they are now, and who opted out; HubSpot's and Salesforce's."""

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cadence.cli.main import main
from cadence.domain.channels import Channel
from cadence.domain.events import (
    EventRetracted,
    OptedBackIn,
    OptOutRequested,
    ProspectAdded,
    ProspectUpdated,
)
from cadence.errors import InputError
from cadence.store import Cadence
from cadence.transfer.importer import ImportRefused, ImportResult, import_all
from cadence.transfer.mapped_csv import MappedCsvSource
from cadence.transfer.mapped_xes import MappedXesSource
from cadence.transfer.mapping_loader import read_mapping

ZONE = "America/New_York"
INTERNAL = (
    "hs_object_id,firstname,lastname,email,phone,mobilephone,company,hs_timezone,"
    "hs_country_region_code,hs_email_optout,lastmodifieddate,hubspot_owner_id,lifecyclestage"
)
LABELS = (
    "Record ID,First Name,Last Name,Email,Phone Number,Mobile Phone Number,Company Name,Time Zone,"
    "Country/Region Code,Unsubscribed from all email,Last Modified Date,Contact owner,Lead Status"
)
ADA = "501,Ada,Brook,ada@example.com,+1 212 555 0100,,Brook Ltd,us_slash_eastern,US"
CALLS = (
    "hs_object_id,hs_timestamp,hubspot_owner_id,Associated Contact IDs,hs_call_to_number,"
    "hs_call_direction,hs_call_disposition,hs_call_status,timezone,country\n"
    "9001,2026-03-02T14:05:00Z,77,501,+12125550100,OUTBOUND,No answer,COMPLETED,"
    "America/New_York,US\n"
)
SALESFORCE = (
    "Id,FirstName,LastName,Account.Name,Phone,MobilePhone,Email,HasOptedOutOfEmail,DoNotCall,"
    "IsDeleted,MailingCountryCode,timezone,LastModifiedDate"
)
REPORT = (
    "Contact ID,First Name,Last Name,Account Name,Phone,Mobile,Email,Email Opt Out,Do Not Call,"
    "CountryCode,Time Zone"
)
KIM = "0035g00000ABCDE,Kim,Lane,Lane Ltd,+1 312 555 0101,+1 312 555 0102,kim@example.com"
KIM_ID = "0035g00000ABCDEAAQ"[:15]


def imported(app: Cadence, mapping: str, *lines: str, more: str = "") -> ImportResult:
    how = read_mapping(f'extends = "{mapping}"\n{more}', "ours.toml")
    content = io.BytesIO("\n".join(lines).encode())
    return import_all(app, MappedCsvSource(how, content, "contacts.csv"))


def hubspot(app: Cadence, optout: str, at: str = "2026-03-10T09:00:00Z") -> ImportResult:
    return imported(app, "hubspot_contacts", INTERNAL, f"{ADA},{optout},{at},77,lead")


def opt_outs(app: Cadence, prospect: str = "501") -> list[str | None]:
    found = [one.data for one in app.history(prospect)]
    return [one.channel for one in found if isinstance(one, OptOutRequested)]


EMAIL = ["email", "video_email"]


# HubSpot ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["true", "TRUE", "Yes", "1"])
@pytest.mark.parametrize("header", [INTERNAL, LABELS])
def test_who_unsubscribed_in_hubspot_opted_out_of_email(value: str, header: str) -> None:
    app = Cadence.open()
    imported(app, "hubspot_calls", *CALLS.splitlines())
    row = f"{ADA},{value},2026-03-10 09:00,77,lead"
    done = imported(app, "hubspot_contacts", header, row)
    assert opt_outs(app) == EMAIL
    assert app.history("501")[-1].occurred_at == datetime(2026, 3, 10, 9, tzinfo=UTC)
    assert done.unknown_columns == ()
    again = imported(app, "hubspot_contacts", header, row)
    assert (again.events, again.differing.people) == (0, 0)


@pytest.mark.parametrize("value", ["false", "No", "0", ""])
def test_false_is_neither_an_opt_out_nor_an_opt_in(value: str) -> None:
    app = Cadence.open()
    hubspot(app, value)
    assert opt_outs(app) == []
    hubspot(app, "true", "2026-03-11T09:00:00Z")
    assert hubspot(app, value, "2026-03-12T09:00:00Z").events == 0
    assert Channel("email") in app.load("501").reach.opted_out


def test_another_word_than_true_or_false_is_a_bad_line() -> None:
    app = Cadence.open()
    with pytest.raises(ImportRefused, match="hs_email_optout: 'maybe' is neither true nor false"):
        hubspot(app, "maybe")


def test_an_opt_out_is_recorded_once_however_often_the_row_changes() -> None:
    app = Cadence.open()
    assert hubspot(app, "true").events == 3
    assert hubspot(app, "true", "2026-04-10T09:00:00Z").events == 0


@pytest.mark.parametrize("is_contacts_first", [True, False])
def test_the_order_of_calls_and_contacts_does_not_matter(is_contacts_first: bool) -> None:
    app = Cadence.open()
    for is_contacts in (is_contacts_first, not is_contacts_first):
        if is_contacts:
            hubspot(app, "true")
        else:
            imported(app, "hubspot_calls", *CALLS.splitlines())
    assert Channel("email") in app.load("501").reach.opted_out
    assert opt_outs(app) == EMAIL


def test_an_opt_in_after_the_row_stands_and_is_named() -> None:
    app = Cadence.open()
    hubspot(app, "true")
    said = datetime(2026, 3, 12, tzinfo=UTC)
    for channel in EMAIL:
        app.execute("501", OptedBackIn(Channel(channel), why="they asked"), at=said)
    done = hubspot(app, "true")
    assert (done.events, done.differing.fields) == (0, {"opt_out": 1})
    # A row that changed since still says true: it stops us again, to be safe.
    hubspot(app, "true", "2026-03-20T09:00:00Z")
    assert Channel("email") in app.load("501").reach.opted_out


def test_an_opt_out_that_was_taken_back_stays_taken_back() -> None:
    app = Cadence.open()
    hubspot(app, "true", "2026-03-10T09:00:00Z")
    at = datetime(2026, 3, 12, tzinfo=UTC)
    for event in app.history("501"):
        if isinstance(event.data, OptOutRequested):
            app.execute("501", EventRetracted(event.version, "another Ada"), at=at)
    assert hubspot(app, "true", "2026-03-11T09:00:00Z").events == 0
    assert not app.load("501").reach.opted_out


def test_a_word_on_one_channel_taken_back_leaves_the_others() -> None:
    app = Cadence.open()
    row = f"{KIM},true,{{}},false,US,{ZONE},2026-03-10T09:00:00.000Z"
    imported(app, "salesforce_contacts", SALESFORCE, row.format("false"))
    (kim,) = app.prospects()
    at = datetime(2026, 3, 12, tzinfo=UTC)
    app.execute(kim, EventRetracted(2, "another Kim"), at=at)
    app.execute(kim, OptedBackIn(Channel("video_email"), why="they asked"), at=at)
    imported(app, "salesforce_contacts", SALESFORCE, row.format("true"))
    assert set(app.load(kim).reach.opted_out.channels) == {"call"}


def test_a_contact_corrects_the_prospect_that_calls_brought() -> None:
    app = Cadence.open()
    imported(app, "hubspot_calls", *CALLS.splitlines())
    row = ADA.replace("us_slash_eastern", "us_slash_pacific").replace(
        ",,Brook", ",+12125550177,Brook"
    )
    done = imported(app, "hubspot_contacts", INTERNAL, f"{row},,2026-03-10T09:00:00Z,77,lead")
    (updated,) = [one for one in app.history("501") if isinstance(one.data, ProspectUpdated)]
    assert updated.data == ProspectUpdated(
        name="Ada Brook",
        timezone="US/Pacific",
        given_name="Ada",
        family_name="Brook",
        company="Brook Ltd",
    )
    points = app.load("501").reach.contact_points
    assert [one.key for one in points] == ["+12125550100", "+12125550177", "ada@example.com"]
    assert done.events == 3


def test_a_new_contact_is_added_with_the_name_of_both_columns() -> None:
    app = Cadence.open()
    row = ADA.replace(",,Brook", ",+1 212 555 0100,Brook")
    done = imported(app, "hubspot_contacts", INTERNAL, f"{row},false,2026-03-10T09:00:00Z,77,lead")
    (added,) = app.history("501")
    assert isinstance(added.data, ProspectAdded)
    assert len(added.data.contact_points) == len(("phone", "email"))
    assert (added.data.name, added.data.source) == ("Ada Brook", "hubspot_contacts")
    assert (done.prospects, done.events, done.skipped) == (1, 1, 0)
    again = hubspot(app, "false")
    assert (again.events, again.skipped) == (0, 1)


def test_half_a_name_does_not_replace_a_whole_one() -> None:
    app = Cadence.open()
    hubspot(app, "")
    row = ADA.replace("Brook,", ",", 1).replace(",,Brook", ",+1 212 555 0100,Brook")
    imported(app, "hubspot_contacts", INTERNAL, f"{row},,2026-04-10T09:00:00Z,77,lead")
    assert app.load("501").identity.name == "Ada Brook"
    assert len(app.load("501").reach.contact_points) == len(("phone", "email"))


def test_a_team_can_leave_contacts_out_that_were_never_called() -> None:
    app = Cadence.open()
    imported(app, "hubspot_calls", *CALLS.splitlines())
    rows = [f"{ADA},true,2026-03-10T09:00:00Z,77,lead"]
    rows.append(rows[0].replace("501,", "502,", 1))
    done = imported(app, "hubspot_contacts", INTERNAL, *rows, more='[prospect]\nneeds = "attempt"')
    assert (list(app.prospects()), done.skipped_prospects) == (["501"], 1)
    assert opt_outs(app) == EMAIL


def test_a_contact_without_a_time_is_as_old_as_the_import() -> None:
    app = Cadence.open()
    imported(app, "hubspot_calls", *CALLS.splitlines())
    header, row = INTERNAL.replace(",lastmodifieddate", ""), f"{ADA},true,77,lead"
    imported(app, "hubspot_contacts", header, row)
    last = app.history("501")[-1]
    assert last.occurred_at > datetime(2026, 3, 3, tzinfo=UTC)
    assert last.uncertain == "the row has no time; this is the import's time"
    assert app.load("501").identity.company == "Brook Ltd"
    assert imported(app, "hubspot_contacts", header, row).events == 0


# Salesforce ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("email", "call", "said"),
    [
        ("true", "false", EMAIL),
        ("false", "true", ["call"]),
        ("1", "1", [*EMAIL, "call"]),
        ("0", "0", []),
    ],
)
def test_who_opted_out_in_salesforce_opted_out_of_each_channel(
    email: str, call: str, said: list[str]
) -> None:
    app = Cadence.open()
    row = f"{KIM},{email},{call},false,US,{ZONE},2026-03-10T09:00:00.000Z"
    done = imported(app, "salesforce_contacts", SALESFORCE, row)
    (prospect,) = app.prospects()
    assert prospect[:15] == KIM_ID
    assert opt_outs(app, prospect) == said
    assert done.unknown_columns == ()
    assert imported(app, "salesforce_contacts", SALESFORCE, row).events == 0
    identity = app.load(prospect).identity
    assert (identity.name, identity.company, identity.country) == ("Kim Lane", "Lane Ltd", "US")
    points = app.load(prospect).reach.contact_points
    assert [one.key for one in points] == ["+13125550101", "+13125550102", "kim@example.com"]


def test_a_report_of_salesforce_is_read_by_its_labels() -> None:
    app = Cadence.open()
    row = f"{KIM},1,0,US,{ZONE}"
    done = imported(app, "salesforce_contacts", REPORT, row)
    (prospect,) = app.prospects()
    assert (opt_outs(app, prospect), done.unknown_columns) == (EMAIL, ())


def test_a_task_and_a_contact_of_salesforce_are_one_person() -> None:
    app = Cadence.open()
    task = "Id,WhoId,TaskSubtype,IsClosed,CompletedDateTime,timezone"
    row = f"00T5g00000XYZAB,{KIM_ID},Call,true,2026-03-02T15:00:00.000Z,{ZONE}"
    imported(app, "salesforce_tasks", task, row)
    row = f"{KIM},false,true,false,US,{ZONE},2026-03-10T09:00:00.000Z"
    imported(app, "salesforce_contacts", SALESFORCE, row)
    (prospect,) = app.prospects()
    assert opt_outs(app, prospect) == ["call"]


def test_a_deleted_contact_and_a_wrong_flag_are_skipped_and_refused() -> None:
    app = Cadence.open()
    row = f"{KIM},true,true,true,US,{ZONE},2026-03-10T09:00:00.000Z"
    done = imported(app, "salesforce_contacts", SALESFORCE, row)
    assert done.skipped_rows == {"a person who was deleted": 1}
    for flags in ("maybe,true", "true,maybe"):
        row = f"{KIM},{flags},false,US,{ZONE},2026-03-10T09:00:00.000Z"
        with pytest.raises(ImportRefused, match="is neither true nor false"):
            imported(app, "salesforce_contacts", SALESFORCE, row)


# A mapping's own states ---------------------------------------------------------------------------

DIALLER = """
name = "dialler"
format = "{kind}"
[prospect]
id = {{ from = "id" }}
timezone = "America/New_York"
[record]
id = {{ from = "no" }}
at = {{ from = "at" }}
[[rules]]
when = {{ stop = "x" }}
event = "opt_out"
{channel}
state = true
[[rules]]
when = {{ result = "test" }}
event = "pass_over"
because = "a test"
[[rules]]
event = "attempt"
channel = "call"
disposition = "connected"
"""


def test_a_state_stands_beside_what_its_row_did_and_comes_after_it() -> None:
    app = Cadence.open()
    how = read_mapping(DIALLER.format(kind="csv", channel=""), "dialler.toml")
    rows = (
        b"no,id,at,stop,result\n1,501,2026-03-02T15:00:00Z,x,\n2,502,2026-03-02T15:00:00Z,x,test\n"
    )

    def once() -> ImportResult:
        return import_all(app, MappedCsvSource(how, io.BytesIO(rows), "f"))

    assert once().events == 5
    assert [type(one.data).__name__ for one in app.history("501")] == [
        "ProspectAdded",
        "AttemptMade",
        "OptOutRequested",
    ]
    assert app.history("501")[1].data.broke == ()
    assert app.history("501")[2].meta == {"record": "dialler:1"}
    assert (
        app.history("502")[1].data == OptOutRequested()
    )  # the test call is left out, not the word
    assert once().events == 0
    rows = rows.replace(b"1,501,2026-03-02", b"3,501,2026-03-03")
    assert once().events == 1  # the attempt; the word holds already


def test_a_state_of_a_log_is_recorded_once() -> None:
    app = Cadence.open()
    text = DIALLER.format(kind="xes", channel='channel = "call"').replace(
        'id = { from = "no" }\n', ""
    )
    how = read_mapping(text, "dialler.toml")
    events = "".join(
        f'<event><string key="stop" value="x"/><date key="at" value="{day}T15:00:00Z"/></event>'
        for day in ("2026-03-02", "2026-03-03")
    )
    log = f'<log><trace><string key="id" value="501"/>{events}</trace></log>'
    for count in (4, 0):
        done = import_all(app, MappedXesSource(how, [log.encode()], "log.xes"))
        assert done.events == count
    assert opt_outs(app) == ["call"]


def test_a_flag_that_was_set_since_leaves_equal_events_of_a_log_known() -> None:
    app = Cadence.open()
    text = DIALLER.format(kind="xes", channel="").replace('id = { from = "no" }\n', "")
    how = read_mapping(text, "dialler.toml")
    plain = '<event><date key="at" value="2026-03-02T15:00:00Z"/></event>'
    flagged = plain.replace("<event>", '<event><string key="stop" value="x"/>')
    for first, count in ((plain, 3), (flagged, 1), (flagged, 0)):
        log = f'<log><trace><string key="id" value="501"/>{first}{plain}</trace></log>'
        done = import_all(app, MappedXesSource(how, [log.encode()], "log.xes"))
        assert done.events == count


def test_a_person_whose_row_is_no_record_is_there_already_once() -> None:
    app = Cadence.open()
    text = DIALLER.format(kind="csv", channel="").replace('id = { from = "no" }\n', "")
    text = text.partition("[[rules]]")[0] + '[[rules]]\nevent = "person"\n'
    for counts in ((1, 0), (0, 1)):
        rows = io.BytesIO(b"id,at\n501,2026-03-02T15:00:00Z\n501,2026-03-02T15:00:00Z\n")
        done = import_all(app, MappedCsvSource(read_mapping(text, "d.toml"), rows, "f"))
        assert (done.events, done.skipped) == counts


def test_only_an_opt_out_can_be_a_state() -> None:
    text = DIALLER.format(kind="csv", channel="").replace(
        'event = "attempt"', 'event = "attempt"\nstate = true'
    )
    with pytest.raises(InputError, match=r"rules\[2\].state: invalid true"):
        read_mapping(text, "dialler.toml")


# On the command line ------------------------------------------------------------------------------


def test_who_unsubscribed_may_not_be_emailed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db, calls, contacts = (tmp_path / name for name in ("t.db", "calls.csv", "contacts.csv"))
    calls.write_text(CALLS)
    contacts.write_text(f"{INTERNAL}\n{ADA},true,2026-03-10T09:00:00Z,77,lead\n")
    on = ["--db", str(db)]
    assert main([*on, "import", str(calls), "--mapping", "hubspot_calls"]) == 0
    assert main([*on, "import", str(contacts), "--mapping", "hubspot_contacts", "--preview"]) == 0
    assert "OptOutRequested" in capsys.readouterr().out
    assert main([*on, "import", str(contacts), "--mapping", "hubspot_contacts"]) == 0
    assert main([*on, "may", "501", "--channel", "email", "--at", "2026-03-12T15:00:00Z"]) == 1
    assert "it breaks opt_out: they opted out of this channel" in capsys.readouterr().out
