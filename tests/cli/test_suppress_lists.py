"""suppress and unsuppress: what is left out, on which channels, who has it, and newer lists."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import paths
import pytest
from command_line import Cli, two_lines

AT = ("--at", "2026-03-02T15:00:00Z")
JANE = (
    *("add", "jane", "--name", "Jane Roe", "--timezone", "America/New_York", "--country", "US"),
    *("--call", "+1 212 555 0100", "--email", "jane@example.com", *AT),
)
CSV = Callable[..., Path]


@pytest.fixture
def csv(tmp_path: Path) -> CSV:
    """Write a list."""

    def write(*rows: str, columns: str = "address") -> Path:
        file = tmp_path / "dnc10.csv"
        file.write_text("\n".join([columns, *rows]) + "\n")
        return file

    return write


# What is left out ---------------------------------------------------------------------------------


def test_numbers_that_lack_their_country_are_named_with_the_fix(cli: Cli, csv: CSV) -> None:
    cli(*JANE)
    file = csv("2125550100", "(212) 555-0199", "nothing")
    done = cli("suppress", "--file", file, "--source", "dnc", "--date", "2026-03-01", *AT)
    assert done.code == 1
    assert done.out == "0 addresses suppressed; 3 addresses can't be read, left out\n"
    assert done.err.splitlines() == [
        f"{file}: line 2: '2125550100' left out: it lacks its country",
        f"{file}: line 3: '(212) 555-0199' left out: it lacks its country",
        f"{file}: line 4: 'nothing' left out: not a possible number or email",
        "numbers without a country: give --region CODE, such as US; or set it for all: "
        "cadence settings default_region US --by NAME",
        "give each address as a number with its country code, or as an email",
    ]
    assert cli("suppress", "--list", *AT).out == "no address is suppressed\n"  # nor is it dated
    done = cli("--json", "suppress", "--file", file, *AT)
    assert (done.code, done.err) == (1, "")
    assert '{"line":2,"address":"2125550100","lacks_country":true}' in done.out


def test_what_leaves_nothing_to_write_leaves_no_empty_database(
    cli: Cli, csv: CSV, db: Path
) -> None:
    assert cli("suppress", "2125550100", *AT).code == 2
    done = cli("suppress", "--file", csv("2125550100"), "--source", "dnc", *AT)
    assert (done.code, "it lacks its country" in done.err) == (1, True)
    assert not db.exists()
    assert cli("suppress", "--file", csv("2125550100", "jo@example.com"), *AT).code == 0
    assert db.exists()


def test_the_region_of_a_list_reads_its_numbers(cli: Cli, csv: CSV) -> None:
    cli(*JANE)
    file = csv("2125550100", "nothing")
    done = cli("suppress", "--file", file, "--region", "US", *AT)
    assert (done.code, "lacks" in done.err) == (0, False)
    assert cli("may", "jane", *AT).code == 1
    assert cli("suppress", "2125550199", *AT).code == 2
    assert cli("suppress", "2125550199", "--region", "US", *AT).code == 0
    (row,) = cli("--json", "suppress", "--list", "212 555 0199", "--region", "US", *AT).json
    assert row["key"] == "+12125550199"
    two_lines(cli("suppress", "2125550199", "--region", "XX", *AT), 2, "XX")


def test_no_more_than_twenty_addresses_are_named(cli: Cli, csv: CSV) -> None:
    file = csv("jane@example.com", *(f"no address {number}" for number in range(30)))
    done = cli("suppress", "--file", file, *AT)
    assert done.code == 0
    assert done.err.count(" left out: ") == 20
    assert "line 22: 'no address 19'" in done.err
    assert "and 10 more\n" in done.err
    shown = cli("--json", "suppress", "--file", file, *AT).json
    assert (shown["unusable"], len(shown["left_out"])) == (30, 20)


def test_an_address_in_the_middle_of_a_long_cell_is_cut(cli: Cli, csv: CSV) -> None:
    cli("suppress", "--file", csv("jo@example.com", "x" * 5000), *AT)
    done = cli("suppress", "--file", csv("jo@example.com", "x" * 5000), *AT)
    assert len(done.err) < 500


# Channels -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        ("suppress", "jane@example.com", "--channel", "phone"),
        ("may", "jane", "--channel", "phone"),
        ("claim", "jane", "--own", "phone"),
        ("due", "--channel", "phone"),
        ("opt-out", "jane", "--channel", "phone"),
        ("opt-out", "jane", "--except", "phone"),
        ("opt-in", "jane", "--channel", "phone"),
        ("attempt", "jane", "--channel", "phone", "--disposition", "no_answer"),
        ("correct", "jane", "--version", "2", "--channel", "phone", "--why", "a slip"),
        ("reply", "jane", "--channel", "phone"),
        ("auto-reply", "jane", "--channel", "phone"),
        ("failed", "jane", "--channel", "phone", "--address", "x", "--reason", "bounced"),
        ("appoint", "jane", "2026-03-09T15:00:00Z", "--agreed-by", "phone"),
        ("note", "jane", "--prefers", "phone"),
        ("update", "jane", "--reach", "phone=x"),
        ("add", "bob", "--name", "Bob", "--timezone", "UTC", "--reach", "phone=x"),
    ],
    ids=lambda command: " ".join(command[:3]),
)
def test_an_unknown_channel_is_refused_by_every_command(cli: Cli, command: tuple[str, ...]) -> None:
    cli(*JANE)
    cli("attempt", "jane", "--channel", "call", "--disposition", "no_answer", *AT)
    done = cli(*command, "--at", "2026-03-03T15:00:00Z")
    two_lines(done, 2, "unknown 'phone'", "use one of: call, email, sms, mail, video_email")


def test_an_unknown_channel_in_a_list_is_a_wrong_line(cli: Cli, csv: CSV) -> None:
    file = csv("+12125550100,call", "+12125550101,Phone", columns="address,channel")
    done = cli("suppress", "--file", file, *AT)
    two_lines(done, 2, "line 3: channel: unknown 'phone'", "nothing was suppressed")
    assert cli("suppress", "--list", *AT).code == 2  # no database was made


def test_a_channel_that_a_policy_declares_is_known(cli: Cli, csv: CSV, tmp_path: Path) -> None:
    policy = tmp_path / "ours.toml"
    shutil.copy(paths.ROOT / "src/cadence/policy/builtin/tip8.toml", policy)
    text = policy.read_text().replace('id = "tip8"', 'id = "ours"')
    policy.write_text(f'{text}\n[channels.telegram]\naddress = "handle"\n')
    cli(*JANE)
    assert cli("policy", "adopt", policy, "--all", "--apply", *AT).code == 0
    assert cli("may", "jane", "--channel", "telegram", *AT).code in (0, 1)
    file = csv("@Jane,telegram", columns="address,channel")
    assert cli("suppress", "--file", file, *AT).code == 0
    cli("update", "jane", "--reach", "telegram=jane", *AT)
    (row,) = cli("--json", "suppress", "--list", *AT).json
    assert (row["key"], row["prospects"]["first"]) == ("telegram:jane", ["jane"])
    done = cli("unsuppress", "telegram:Jane", "--why", "a slip", *AT)
    assert done.out == "telegram:Jane: 1 entry taken back\n"


def test_a_postal_address_can_be_taken_back(cli: Cli) -> None:
    cli("suppress", "1 Main St", "--channel", "mail", *AT)
    done = cli("unsuppress", "1  main st", "--why", "a slip", *AT)
    assert done.out == "1  main st: 1 entry taken back\n"


# Who has it --------------------------------------------------------------------------------------


def test_a_list_says_how_many_prospects_have_an_address_of_it(cli: Cli, csv: CSV) -> None:
    cli(*JANE)
    both = csv("+12125550100", "jane@example.com", "+12125550199")
    done = cli("suppress", "--file", both, *AT)
    assert done.out.splitlines()[1] == "  1 prospect has such an address: jane"  # counted once
    for number in range(5):
        cli("add", f"bo{number}", *JANE[2:8], "--call", "+1 212 555 0100 ext. 7", *AT)
    again = cli("suppress", "--file", both, *AT)
    assert again.out.splitlines()[1] == "  6 prospects have such an address"
    shown = cli("--json", "suppress", "+1 212 555 0100", *AT).json["prospects"]
    assert shown == {"total": 6, "first": ["bo0", "bo1", "bo2", "bo3", "bo4"]}
    none = cli("suppress", "bo@example.com", *AT)
    assert none.out.splitlines()[1] == "  no prospect has such an address"


def test_the_list_of_entries_names_who_has_each_address(cli: Cli) -> None:
    cli(*JANE)
    for number in range(6):
        cli("add", f"bo{number}", *JANE[2:8], "--call", "+1 212 555 0100", *AT)
    cli("suppress", "+12125550100", "--source", "dnc", *AT)
    cli("suppress", "bo@example.com", *AT)
    title, number, mail = cli("suppress", "--list", *AT).out.splitlines()
    assert title.endswith("prospects")
    assert number.endswith("bo0, bo1, bo2, bo3, bo4, and 2 more")
    assert mail.endswith("  -")
    first, second = cli("--json", "suppress", "--list", *AT).json
    assert (first["prospects"]["total"], second["prospects"]["total"]) == (7, 0)


# Taking back, and newer lists ---------------------------------------------------------------------


def test_the_lists_that_an_address_stays_on_are_named(cli: Cli) -> None:
    cli(*JANE)
    for source in ("news", "dnc"):
        cli("suppress", "+12125550100", "--source", source, *AT)
    why = ("--why", "a typo", *AT)
    done = cli("unsuppress", "+12125550100 ext. 5", "--source", "other", *why)
    assert done.code == 0
    assert done.out.splitlines() == [
        "+12125550100 ext. 5: not on the list other",
        "  still suppressed by: news, dnc",
        "  to take it off these: cadence unsuppress +12125550100 --why WHY",
    ]
    own = cli("unsuppress", "+12125550100 ext. 5", *why).out.splitlines()
    assert own[0] == "+12125550100 ext. 5: no entry of its own"
    one = cli("--json", "unsuppress", "+12125550100", "--source", "news", *why).json
    assert (one["ended"], [left["source"] for left in one["left"]]) == (1, ["dnc"])
    last = cli("unsuppress", "+12125550100", *why)
    assert last.out == "+12125550100: 1 entry taken back\n"
    none = cli("unsuppress", "+12125550100", "--source", "dnc", *why)
    assert none.out == "+12125550100: on no suppression list\n"


def test_an_older_list_is_refused_unless_it_is_forced(cli: Cli, csv: CSV) -> None:
    load = ("suppress", "--source", "dnc", "--file")
    cli(*load, csv("a@example.com"), "--date", "2026-02-20", *AT)
    older = csv("b@example.com")
    done = cli(*load, older, "--date", "2026-02-19", *AT)
    two_lines(done, 1, "2026-02-19", "2026-02-20", "--force")
    assert "b@example.com" not in cli("suppress", "--list", *AT).out
    assert cli(*load, older, "--date", "2026-02-20", *AT).code == 0
    other = ("suppress", "--source", "other", "--file", older, "--date", "2026-01-01", *AT)
    assert cli(*other).code == 0
    assert cli(*load, older, "--date", "2026-02-19", "--force", *AT).code == 0
    assert "list of 2026-02-19" in cli("suppress", "--list", *AT).out


@pytest.mark.parametrize("day", [("--date", "2026-03-03"), ("--date", "2026-03-02"), ()])
def test_a_newer_list_puts_an_address_back_and_names_it(
    cli: Cli, csv: CSV, day: tuple[str, ...]
) -> None:
    cli(*JANE)
    load = ("suppress", "--source", "dnc", "--file", csv("jane@example.com"))
    cli(*load, *AT)
    cli("unsuppress", "jane@example.com", "--why", "they asked", "--by", "ann", *AT)
    done = cli(*load, *day, "--at", "2026-03-04T15:00:00Z")
    assert done.code == 0
    assert done.err.splitlines() == [
        "jane@example.com: suppressed again; was taken back on 2026-03-02 by ann: they asked",
        "take them back again with: cadence unsuppress ADDRESS --why WHY",
    ]
    assert cli("may", "jane", "--channel", "email", "--at", "2026-03-04T16:00:00Z").code == 1
    assert cli(*load, *day, "--at", "2026-03-04T15:00:00Z").err == ""  # it stands already


def test_a_list_from_before_an_address_was_taken_back_leaves_it_off(cli: Cli, csv: CSV) -> None:
    cli(*JANE)
    file = csv("jane@example.com", "jane@example.com", "bo@example.com")
    load = ("suppress", "--source", "dnc", "--file", file, "--date", "2026-03-01")
    cli(*load, *AT)
    cli("unsuppress", "jane@example.com", "--why", "they asked", "--by", "ann", *AT)
    done = cli(*load, "--at", "2026-03-04T15:00:00Z")
    assert done.code == 0
    assert "jane@example.com: stays off, since it was taken back on 2026-03-02" in done.err
    assert cli("may", "jane", "--channel", "email", "--at", "2026-03-04T16:00:00Z").code == 0
    shown = cli("--json", *load, "--at", "2026-03-04T15:00:00Z").json
    assert shown["kept_off"]["first"][0]["ended_why"] == "they asked"
    assert (shown["known"], shown["put_back"]["total"]) == (1, 0)
