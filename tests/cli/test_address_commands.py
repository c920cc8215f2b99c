"""suppress, unsuppress, line, not-same and find: what a person types about an address."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import paths
import pytest
from command_line import Cli

AT = ("--at", "2026-03-02T15:00:00Z")
LATER = ("--at", "2026-03-05T16:00:00Z")
JANE = (
    *("add", "jane", "--name", "Jane Roe", "--timezone", "America/New_York", "--country", "US"),
    *("--call", "+1 212 555 0100", "--email", "jane@example.com", *AT),
)


def test_a_suppressed_address_is_a_task_of_who_has_it_and_of_who_gets_it(cli: Cli) -> None:
    cli(*JANE)
    done = cli("suppress", "JANE@example.com", "--reason", "unsubscribed", *AT)
    assert (done.code, done.out.splitlines()) == (
        0,
        ["1 address suppressed", "  1 prospect has such an address: jane"],
    )
    assert "0 addresses suppressed, 1 were before" in cli("suppress", "jane@example.com", *AT).out
    assert cli("may", "jane", "--channel", "email", *LATER).code == 1
    assert cli("may", "jane", "--channel", "call", *LATER).code == 0
    cli("suppress", "(212) 555-0100", "--json", *AT)  # national, and no region is set
    assert cli("may", "jane", "--channel", "call", *LATER).code == 0
    cli("suppress", "+12125550100", "--channel", "sms", *AT)
    assert cli("may", "jane", "--channel", "call", *LATER).code == 0
    cli("suppress", "+12125550100", "--channel", "call", *AT)
    explained = cli("explain", "jane", *LATER).out
    assert "find an address that may be used" in explained
    assert "suppressed     +12125550100 is suppressed" in explained


def test_a_list_is_read_to_its_end_before_anything_of_it_is_written(
    cli: Cli, tmp_path: Path
) -> None:
    cli(*JANE)
    file = tmp_path / "list.csv"
    file.write_text(
        "name,Address,channel\nA,jane@example.com,\nB,nothing,\nC,bo@x.com,Carrier Pigeon\n"
    )
    done = cli("suppress", "--file", file, "--source", "dnc", *AT)
    assert done.code == 2
    assert "list.csv: line 4: channel: invalid 'carrier pigeon'" in done.err
    assert "nothing was suppressed" in done.err
    assert cli("suppress", "--list", *AT).out == "no address is suppressed\n"
    file.write_text("address\njane@example.com\n\nnothing\n+1 212 555 0199\n")
    done = cli("suppress", "--file", file, "--source", "dnc", *AT)
    said = done.out.splitlines()[0]
    assert said == "2 addresses suppressed; 1 address can't be read, left out"
    assert "line 4: 'nothing' left out" in done.err
    again = cli("--json", "suppress", "--file", file, "--source", "dnc", *AT).json
    assert (again["new"], again["known"], again["unusable"]) == (0, 2, 1)
    listed = cli("--json", "suppress", "--list", *AT).json
    assert [one["key"] for one in listed] == ["jane@example.com", "+12125550199"]
    assert {one["source"] for one in listed} == {"dnc"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("suppress",), "ADDRESS, --file: missing"),
        (("suppress", "jane@example.com", "--file", "x.csv"), "ADDRESS, --file: missing"),
        (("suppress", "no address"), "invalid phone number 'no address'"),
        (("suppress", "a@b.com", "--channel", "Two Words"), "--channel: invalid 'Two Words'"),
        (("suppress", "--file", "gone.csv"), "gone.csv: No such file"),
        (("suppress", "a@b.com", "--date", "soon"), "--date: invalid 'soon'"),
        (("suppress", "a@b.com", "--date", "2026-03-01"), "--source: missing"),
        (("line", "no address", "--why", "x"), "invalid phone number 'no address'"),
        (("unsuppress", "a@b.com", "--why", " "), "why: missing"),
        (("not-same", "jane", "jane", "--why", "x"), "OTHER: jane is the same prospect"),
        (("not-same", "jane", "nobody", "--why", "x"), "unknown prospect 'nobody'"),
    ],
)
def test_what_is_wrong_is_said_in_two_lines_and_changes_nothing(
    cli: Cli, arguments: tuple[str, ...], said: str
) -> None:
    cli(*JANE)
    done = cli(*arguments, *AT)
    assert done.code == 2
    assert said in done.err
    assert len(done.err.splitlines()) == 2
    assert cli("suppress", "--list", *AT).out == "no address is suppressed\n"


def test_a_list_without_the_column_names_those_that_are_there(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("email,name\na@b.com,A\n")
    done = cli("suppress", "--file", file, *AT)
    assert done.code == 2
    assert "line 1: missing column address (there are: email, name)" in done.err


def test_an_entry_is_taken_back_with_who_and_why(cli: Cli) -> None:
    cli(*JANE)
    cli("suppress", "jane@example.com", "--source", "news", *AT)
    done = cli("unsuppress", "jane@example.com", "--why", "a typo", "--by", "ann", *AT)
    assert done.out == "jane@example.com: 1 entry taken back\n"
    assert cli("may", "jane", "--channel", "email", *LATER).code == 0
    again = cli("unsuppress", "jane@example.com", "--why", "a typo", *AT)
    assert (again.code, again.out) == (0, "jane@example.com: on no suppression list\n")
    assert "may be used again (list news) by ann: a typo" in cli("audit", *LATER).out


def test_a_list_that_is_older_than_it_may_be_is_named(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("address\n+1 212 555 0199\n")
    dated = ("--source", "us-dnc", "--date", "2026-02-20", "--max-age-days", "10")
    assert cli("suppress", "--file", file, *dated, *AT).code == 0
    assert "us-dnc" not in cli("due", *AT).err
    for look in ("due", "audit"):
        said = cli(look, *LATER).err
        assert "the list us-dnc is of 2026-02-20 and may be 10 days old" in said
    newer = ("--source", "us-dnc", "--date", "2026-03-04", "--max-age-days", "10")
    cli("suppress", "--file", file, *newer, *LATER)
    assert "us-dnc" not in cli("due", *LATER).err


def test_a_line_is_declared_and_withdrawn(cli: Cli) -> None:
    cli(*JANE)
    line = ("line", "+1 212 555 0100", "--why", "the front desk")
    assert cli(*line, *AT).out == "+1 212 555 0100: a line\n"
    assert cli(*line, *AT).out == "+1 212 555 0100: a line, as before\n"
    assert cli(*line, "--end", *AT).out == "+1 212 555 0100: no line any more\n"
    assert cli("--json", *line, "--end", *AT).json == {"changed": False}


def test_two_records_with_one_address_are_said_to_be_two_people(cli: Cli) -> None:
    cli(*JANE)
    john = ("--name", "John Roe", "--timezone", "America/New_York", "--country", "US")
    more = ("--email", "jane@example.com", "--call", "+1 212 555 0177")
    cli("add", "john", *john, *more, *AT)
    cli("opt-out", "jane", *AT)
    explained = cli("explain", "john", *LATER).out
    assert "say whether jane, who has jane@example.com too, is the same person" in explained
    assert cli("not-same", "john", "jane", "--why", "a couple", *AT).code == 0
    assert cli("may", "john", "--channel", "call", *LATER).code == 0
    assert cli("may", "john", "--channel", "email", *LATER).code == 1


def test_records_that_look_like_one_person_are_listed(cli: Cli) -> None:
    cli(*JANE)
    assert cli("duplicates", *AT).out == "no two records look like one person\n"
    cli("add", "lead", *JANE[2:])
    listed = cli("duplicates", *AT).out.splitlines()
    assert listed[1].split("  ")[0] == "jane"
    assert "+12125550100, jane@example.com" in listed[1]
    (pair,) = cli("--json", "duplicates", *AT).json
    assert (pair["prospect"], pair["other"], pair["has_same_name"]) == ("jane", "lead", True)
    cli("not-same", "jane", "lead", "--why", "twins", *AT)
    assert cli("--json", "duplicates", *AT).json == []


def test_a_replay_shows_whose_word_stopped_them(cli: Cli) -> None:
    cli(*JANE)
    cli("add", "lead", *JANE[2:])
    cli("opt-out", "lead", "--at", "2026-03-03T15:00:00Z")
    cli("unsuppress", "jane@example.com", "--why", "x", *LATER)
    replayed = cli("replay", "jane").out
    assert "·  Tue 2026-03-03 10:00  lead: OptOutRequested" in replayed
    assert "lead has jane@example.com too and opted out (event 2 of lead)" in replayed
    steps = cli("--json", "replay", "jane").json
    assert [one["event"]["prospect"] for one in steps] == ["jane", "lead"]
    assert steps[1]["decision"]["reasons"][0]["rule"] == "suppressed"


# Cases from outside -----------------------------------------------------------------------------


def test_one_phone_with_many_contacts_rings_once_a_week(cli: Cli, tmp_path: Path) -> None:
    calls = tmp_path / "calls.csv"
    calls.write_text(
        "hs_object_id,hs_timestamp,hubspot_owner_id,Associated Contact IDs,hs_call_to_number,"
        "hs_call_direction,hs_call_disposition,hs_call_status\n"
        "9002,2026-03-02T15:05:00Z,77,501;502;503,+12125550100,OUTBOUND,No answer,COMPLETED\n"
    )
    policy = tmp_path / "capped.toml"
    shutil.copy(paths.ROOT / "src/cadence/policy/builtin/tip8.toml", policy)
    text = policy.read_text().replace('id = "tip8"', 'id = "capped"')
    guard = '\n[[guards]]\nkind = "frequency_cap"\nid = "one_a_week"\nattempts = 1\ndays = 7\n'
    policy.write_text(f'{text}{guard}channels = ["call"]\nper = "address"\n')
    place = ("--timezone", "America/New_York", "--country", "US")
    cli("import", calls, "--mapping", "hubspot_calls", *place)
    cli("policy", "adopt", policy, "--all", "--apply", "--at", "2026-03-02T16:00:00Z")
    broke = []
    for minute, prospect in enumerate(("501", "502", "503")):
        at = ("--at", f"2026-03-09T16:0{minute}:00Z")
        done = cli("attempt", prospect, "--channel", "call", "--disposition", "no_answer", *at)
        broke.append("one_a_week" in done.err)
    assert broke == [False, True, True]
    found = json.loads(cli("--json", "audit").out)["findings"]
    assert [(one["prospect"], one["rule"]) for one in found] == [
        ("502", "one_a_week"),
        ("503", "one_a_week"),
    ]


def test_nothing_is_proposed_to_an_address_of_an_imported_suppression_list(
    cli: Cli, tmp_path: Path
) -> None:
    mapping, listed = tmp_path / "suppressed.toml", tmp_path / "unsubscribed.csv"
    mapping.write_text(
        'name = "suppressed"\nformat = "csv"\n[prospect]\nid = { from = "email" }\n'
        'timezone = "America/New_York"\n'
        'contact_points = [{ channel = "email", address = { from = "email" } }]\n'
        '[record]\nat = { from = "unsubscribed_at", formats = ["iso"], zone = "UTC" }\n'
        '[[rules]]\nevent = "opt_out"\n'
    )
    listed.write_text("email,unsubscribed_at\nJane@Example.com,2026-03-02T16:00:00Z\n")
    cli(*JANE)
    wrong = ("--disposition", "wrong_number", "--at", "2026-03-02T15:30:00Z")
    cli("attempt", "jane", "--channel", "call", *wrong)
    at = ("--at", "2026-03-02T17:00:00Z")
    assert cli("import", listed, "--mapping", mapping, *at).code == 0
    cli("add", "jane-2", *JANE[2:8], "--email", "JANE@example.com", *LATER)
    rows = json.loads(cli("--json", "due", "--all", "--at", "2026-03-09T16:00:00Z").out)
    assert {one["prospect"] for one in rows} == {"jane", "jane-2"}
    assert all(one["touch"] is None for one in rows)


def test_an_opt_out_of_a_lead_holds_for_the_contact(cli: Cli) -> None:
    person = ("--name", "Ada Brook", "--timezone", "America/New_York", "--country", "US")
    reach = ("--email", "ada@example.com", "--call", "+1 212 555 0101")
    for name in ("lead-7", "contact-9"):
        cli("add", name, *person, *reach, *AT)
        cli("attempt", name, "--channel", "call", "--disposition", "no_answer", *AT)
    cli("opt-out", "lead-7", *LATER)
    rows = json.loads(cli("--json", "due", "--at", "2026-03-06T16:00:00Z").out)
    assert [(one["prospect"], one["touch"]) for one in rows] == [("contact-9", None)]


def test_adding_an_address_of_another_record_says_who_has_it(cli: Cli) -> None:
    cli(*JANE)
    person = ("--timezone", "America/New_York", "--country", "US")
    said = (
        "  {} may be jane, who has +12125550100 too: use cadence merge or cadence not-same; "
        "for a house's number: cadence line +12125550100"
    )
    added = cli("add", "jane-2", "--name", "Jane Roe", *person, "--call", "212 555 0100", *AT)
    assert added.out.splitlines()[-1] == said.format("jane-2")
    added = cli("add", "john", "--name", "John Roe", *person, *AT)
    assert len(added.out.splitlines()) == 2
    updated = cli("update", "john", "--call", "+1 212 555 0100", *AT)
    assert updated.out.splitlines()[-1] == said.format("john")
    listed = cli("duplicates", *AT).out.splitlines()[-1]
    assert listed.endswith("for a house's number: cadence line ADDRESS")
    assert "cadence line ADDRESS" in cli("audit", *AT).out
    cli("line", "+1 212 555 0100", "--why", "the front desk", *AT)
    mails = cli("update", "john", "--email", "jane@example.com", *AT).out.splitlines()[-1]
    assert mails.endswith("jane@example.com too: use cadence merge or cadence not-same")
    assert "cadence line" not in cli("duplicates", *AT).out
    cli("not-same", "john", "jane", "--why", "a couple", *AT)
    assert "may be jane," not in cli("update", "john", "--email", "jane@example.com", *AT).out


def test_an_import_and_the_audit_name_likely_duplicates(cli: Cli, tmp_path: Path) -> None:
    cli(*JANE)
    file = tmp_path / "people.jsonl"
    data = {
        "name": "Jane Roe",
        "timezone": "America/New_York",
        "contact_points": [{"channel": "email", "address": "JANE@example.com"}],
    }
    event = {"type": "ProspectAdded", "occurred_at": AT[1], "data": data}
    lines = [json.dumps({"prospect": f"new-{number}", **event}) for number in range(7)]
    file.write_text("\n".join(lines))
    assert cli("import", file, *AT).out.splitlines()[1:] == [
        "duplicates: 7 people may have another record; list them with: cadence duplicates",
        *(f"  new-{number} may be jane, who has jane@example.com too" for number in range(5)),
        "  and 2 more",
    ]
    assert "duplicates" not in cli("--json", "import", file, *AT).json
    audited = cli("audit", *LATER)
    assert audited.code == 0
    title, *pairs, more = audited.out.splitlines()[-7:]
    assert title.startswith("may be one person, not decided yet")
    assert pairs[0].split() == ["jane", "new-0", "jane@example.com"]
    assert more == "2 more pairs; list them with: cadence duplicates"
    found = cli("--json", "audit", *LATER).json["duplicates"]
    assert len(found) == 7
    assert found[0] == {
        "prospect": "jane",
        "other": "new-0",
        "keys": ["jane@example.com"],
        "has_same_name": True,
    }
