"""Mapping files: read strictly, with the key path, the value and what is allowed."""

from pathlib import Path

import pytest

from cadence.engine.invariants import contact_points_left
from cadence.errors import InputError
from cadence.store import Cadence
from cadence.transfer import import_file
from cadence.transfer.mapping_loader import MappingError, load_mapping, mapping_names, read_mapping

SMALL = """
name = "ours"
format = "csv"

[prospect]
id = { from = "Person" }
timezone = "Europe/Berlin"

[record]
at = { from = "When", formats = ["date"] }

[[rules]]
event = "attempt"
channel = "call"
disposition = { from = "Result", table = "results" }

[tables.results]
yes = "connected"
"""


def error_of(text: str) -> MappingError:
    with pytest.raises(MappingError) as caught:
        read_mapping(text, "ours.toml")
    assert "\n" not in caught.value.what
    assert caught.value.hint
    assert caught.value.exit_code == 2
    return caught.value


def test_every_mapping_that_comes_with_cadence_is_read() -> None:
    assert mapping_names() == [
        "bpic2012",
        "hubspot_calls",
        "hubspot_contacts",
        "hubspot_tasks",
        "salesforce_contacts",
        "salesforce_tasks",
    ]
    for name in mapping_names():
        assert load_mapping(name).name == name
        assert load_mapping(name).about


def test_the_smallest_mapping_is_one() -> None:
    assert read_mapping(SMALL, "ours.toml").name == "ours"


@pytest.mark.parametrize(
    ("old", "new", "what", "hint"),
    [
        ('name = "ours"', "", "name: missing", "give name"),
        ('name = "ours"', 'name = "a:b"', 'name: invalid "a:b"', "without a colon"),
        (
            'format = "csv"',
            'format = "cvs"',
            'format: invalid "cvs"',
            "use csv (allowed: csv, xes)",
        ),
        ('format = "csv"', "format = 3", "format: invalid 3", "use csv, xes"),
        ("[prospect]", "[prospekt]", "prospekt: unknown key", "use prospect ("),
        ("timezone", "timezon", "prospect.timezon: unknown key", "use timezone ("),
        ('id = { from = "Person" }', "", "prospect.id: missing", "give id"),
        ('id = { from = "Person" }', "id = 5", "prospect.id: invalid 5", "a list of these"),
        (
            'id = { from = "Person" }',
            "id = []",
            "prospect.id: invalid []",
            "at least one text or column",
        ),
        (
            '{ from = "Person" }',
            '{ form = "P" }',
            "prospect.id.form: unknown key",
            "use from (",
        ),
        (
            '{ from = "Person" }',
            '{ from = "P", notation = "hubspot_zone" }',
            'prospect.id.notation: invalid "hubspot_zone"',
            "use salesforce_id",
        ),
        (
            'table = "results"',
            'table = "results", notation = "salesforce_id"',
            'rules[0].disposition.table: invalid "results"',
            "a table or a notation, not both",
        ),
        ('["date"]', '["dat"]', 'record.at.formats: invalid "dat"', "use date ("),
        ('["date"]', "[]", "record.at.formats: invalid []", "iso"),
        (
            '["date"]',
            '["iso"], zone = "Berlin"',
            'record.at.zone: unknown "Berlin"',
            "Europe/Berlin, or prospect",
        ),
        ('"attempt"', '"atempt"', 'rules[0].event: invalid "atempt"', "use attempt ("),
        (
            'channel = "call"',
            'channel = "phone"',
            'rules[0].channel: invalid "phone"',
            "use call, email",
        ),
        ('channel = "call"', "", "rules[0].channel: missing", "channel and disposition"),
        ('channel = "call"', 'channel = "call"\nreason = "bought"', "rules[0].reason", "address"),
        (
            'table = "results"',
            'table = "result"',
            'disposition.table: invalid "result"',
            "use results (",
        ),
        (
            '"connected"',
            '"conected"',
            'tables.results."yes": invalid "conected"',
            "use connected (",
        ),
        ("[[rules]]", "[rules]", "rules: invalid {", "a list"),
        ("[prospect]", 'delimiter = ";;"\n[prospect]', 'delimiter: invalid ";;"', "one character"),
        (
            "[prospect]",
            'encoding = "utf-16"\n[prospect]',
            'encoding: invalid "utf-16"',
            "windows-1252",
        ),
        (
            "[prospect]",
            'encoding = "latin-99"\n[prospect]',
            'encoding: invalid "latin-99"',
            "utf-8",
        ),
        ("[prospect]", 'changed = "kept"\n[prospect]', 'changed: invalid "kept"', "use keep ("),
        (
            "[prospect]",
            'extends = "hubspot"\n[prospect]',
            'extends: invalid "hubspot"',
            "hubspot_calls",
        ),
        ("[prospect]", "[prospect", "invalid TOML", "fix the syntax"),
        (
            'format = "csv"',
            'format = "xes"\nrequired = ["a"]',
            'required: invalid ["a"]',
            "attributes",
        ),
    ],
)
def test_a_wrong_mapping_is_refused_with_key_value_and_what_is_allowed(
    old: str, new: str, what: str, hint: str
) -> None:
    assert SMALL.count(old) >= 1
    error = error_of(SMALL.replace(old, new, 1))
    assert error.what.startswith("ours.toml: ")
    assert what in error.what
    assert hint in error.hint


def test_a_mapping_without_rules_is_refused() -> None:
    assert "rules: missing" in error_of(SMALL.partition("[[rules]]")[0]).what
    empty = "rules = []\n" + SMALL.partition("[[rules]]")[0]
    assert "rules: missing" in error_of(empty).what


def test_a_mapping_that_extends_another_keeps_what_it_does_not_say() -> None:
    ours = read_mapping(
        'extends = "hubspot_calls"\nname = "ours"\n[prospect]\ntimezone = "Europe/Berlin"\n'
        '[tables.disposition]\n"our-guid" = "connected"\n',
        "ours.toml",
    )
    base = load_mapping("hubspot_calls")
    assert (ours.name, ours.prospect.timezone) == ("ours", "Europe/Berlin")
    assert ours.rules == base.rules
    assert ours.prospect.id == base.prospect.id
    assert ours.tables["disposition"] == {**base.tables["disposition"], "our-guid": "connected"}


def test_a_mapping_is_named_or_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "ours.toml"
    file.write_text(SMALL)
    assert load_mapping(str(file)).name == "ours"
    with pytest.raises(InputError, match="use bpic2012"):
        load_mapping("bpic2021")
    with pytest.raises(InputError, match="No such file"):
        load_mapping(str(tmp_path / "none.toml"))
    file.write_bytes(SMALL.replace("ours", "öurs").encode("latin-1"))
    with pytest.raises(InputError, match="not in UTF-8"):
        load_mapping(str(file))


def test_a_rule_of_a_log_says_nothing_about_the_person() -> None:
    log = SMALL.replace('"csv"', '"xes"').replace("[tables", 'id = "x"\n[tables')
    assert "rules[0].id: invalid" in error_of(log).what


def test_a_mapping_nested_without_end_is_refused() -> None:
    assert "invalid TOML" in error_of("a = " + "[" * 100_000).what


# Channels and addresses ---------------------------------------------------------------------------

CHANNELS_TOML = """
name = "ours"
format = "csv"
channels = ["whatsapp"]

[prospect]
id = { from = "lead" }
timezone = "America/New_York"
country = "US"
contact_points = [
  { channel = "call", address = "number in our CRM" },
  { channel = "whatsapp", address = { from = "phone" } },
]

[record]
id = { from = "no" }
at = { from = "when", formats = ["iso"], zone = "prospect" }

[[rules]]
event = "attempt"
channel = { from = "how", table = "how" }
disposition = "sent"

[tables.how]
WA = "whatsapp"
Mail = "email"
"""


def test_rows_may_name_a_channel_that_the_mapping_declares(tmp_path: Path) -> None:
    (tmp_path / "ours.toml").write_text(CHANNELS_TOML)
    rows = "no,when,lead,phone,how\n1,2026-03-02T15:00:00Z,L1,(212) 555-0100,WA\n"
    (tmp_path / "rows.csv").write_text(rows)
    app = Cadence.open()
    import_file(app, str(tmp_path / "rows.csv"), str(tmp_path / "ours.toml"))
    added, attempt = (event.data for event in app.history("L1"))
    assert [(point.channel, point.key) for point in added.contact_points] == [
        ("call", "elsewhere:call"),
        ("whatsapp", "whatsapp:(212) 555-0100"),  # no policy says that it is a phone
    ]
    assert attempt.parts[0].channel == "whatsapp"


def test_a_channel_that_the_mapping_does_not_declare_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ours.toml").write_text(CHANNELS_TOML.replace('channels = ["whatsapp"]\n', ""))
    with pytest.raises(InputError, match='invalid "whatsapp"'):
        load_mapping(str(tmp_path / "ours.toml"))


@pytest.mark.parametrize(
    "cell", ["text me", "(212) 555-0100; (212) 555-0101", "(212) 555-0100/0101", "1-800-FLOWERS"]
)
def test_an_address_that_only_the_other_program_has_can_be_used(tmp_path: Path, cell: str) -> None:
    """What stands in a cell is one address, or counted, kept and never used: it is not guessed."""
    (tmp_path / "ours.toml").write_text(CHANNELS_TOML)
    text = CHANNELS_TOML.replace('channel = "whatsapp", address', 'channel = "sms", address')
    (tmp_path / "ours.toml").write_text(text)
    rows = f"no,when,lead,phone,how\n1,2026-03-02T15:00:00Z,L1,{cell},Mail\n"
    (tmp_path / "rows.csv").write_text(rows)
    app = Cadence.open()
    done = import_file(app, str(tmp_path / "rows.csv"), str(tmp_path / "ours.toml"))
    assert done.unusable_addresses == 1
    left = contact_points_left(app.load("L1"))
    assert [(point.channel, point.address) for point in left] == [("call", "number in our CRM")]


def test_a_star_stands_only_alone_so_that_no_rule_silently_never_fits() -> None:
    text = SMALL.replace(
        'event = "attempt"', 'when = { Result = ["yes", "st*p"] }\nevent = "attempt"'
    )
    error = error_of(text)
    assert error.what.endswith('rules[0].when.Result: invalid "st*p"')
    assert "* stands only alone" in error.hint
    assert read_mapping(text.replace("st*p", "*"), "ours.toml").rules[0].when
