"""``cadence settings``: shows each value with its source, and changes it with who and when."""

from __future__ import annotations

from pathlib import Path

import paths
import pytest
from command_line import ADDED, Cli, two_lines

from cadence.domain import ProspectAdded
from cadence.policy.loader import builtin
from cadence.policy.writer import to_toml
from cadence.store import Cadence

AT = "2026-12-01T14:00:00Z"
OTHER = builtin("polite-persistence")


def test_a_change_says_what_it_was_and_is_shown_with_who_and_when(cli: Cli) -> None:
    done = cli("settings", "default_region", "us", "--by", "kim", "--at", AT)
    assert (done.code, done.out) == (0, "default_region: US (was not set)\n")
    done = cli("settings", "default_region", "DE", "--by", "lou", "--at", "2026-12-02T14:00:00Z")
    assert done.out == "default_region: DE (was US)\n"
    assert cli("settings", "default_region", "de", "--by", "max").out == (
        "default_region: DE (unchanged)\n"
    )
    lines = cli("settings").out.splitlines()
    assert lines[0].split() == ["setting", "value", "from", "by", "when", "(UTC)"]
    assert lines[1].split() == [
        *("default_policy", "tip8", "version", "1", f"({builtin().digest[:12]})", "built", "in"),
    ]
    assert lines[2].split() == [
        "default_region",
        "DE",
        "database",
        "lou",
        "2026-12-02",
        "14:00:00",
    ]
    assert lines[3].split() == ["team.company", "not", "set", "built", "in"]
    assert cli("settings", "default_region").out.splitlines()[3:] == [
        "changed (UTC)        by   to",
        "2026-12-01 14:00:00  kim  US",
        "2026-12-02 14:00:00  lou  DE",
    ]


def test_json_has_every_value_its_source_and_its_changes(cli: Cli) -> None:
    cli("settings", "team.owners.ann.phone", "+1 212 555 0100", "--by", "kim", "--at", AT)
    change = {"value": "+1 212 555 0100", "by": "kim", "at": AT}
    (found,) = cli("settings", "team.owners.ann.phone", "--json").json
    assert found == {
        "name": "team.owners.ann.phone",
        "source": "store",
        **change,
        "changes": [change],
    }
    every = cli("settings", "--json").json
    assert [one["name"] for one in every] == [
        "default_policy",
        "default_region",
        "team.company",
        "team.owners.ann.phone",
    ]
    ref = builtin().ref
    assert every[0] == {
        "name": "default_policy",
        "value": {"name": ref.name, "version": ref.version, "digest": ref.digest},
        "source": "builtin",
        "by": None,
        "at": None,
        "changes": [],
    }
    assert (
        cli("settings", "team.owners.ann.phone", "--unset", "--json", "--by", "kim").json[0][
            "value"
        ]
        is None
    )


def test_the_team_file_is_named_as_the_source_and_takes_precedence(
    cli: Cli, tmp_path: Path
) -> None:
    (tmp_path / "cadence.toml").write_text('company = "Ours"\n', encoding="utf-8")
    done = cli("settings", "team.company", "Theirs", "--by", "kim")
    assert (done.code, done.out) == (0, "team.company: Theirs (was not set)\n")
    assert done.err == (
        "note: cadence.toml beside the database takes precedence for team.company\n"
    )
    assert cli("settings", "team.company").out.splitlines()[1].split() == [
        "team.company",
        "Ours",
        "cadence.toml",
    ]


def test_an_invalid_team_file_stops_every_command_with_bad_input(
    jerry: Cli, tmp_path: Path
) -> None:
    (tmp_path / "cadence.toml").write_text('default_region = "XX"\n', encoding="utf-8")
    for call in (["settings"], ["due"], ["pause", "jerry", "2026-12-05T09:00:00Z"]):
        two_lines(jerry(*call), 2, "cadence.toml: default_region: unknown 'XX'", "ISO 3166")


def test_who_changes_a_setting_is_the_option_the_environment_or_the_login(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CADENCE_BY")
    monkeypatch.setenv("LOGNAME", "from-login")
    cli("settings", "default_region", "US")
    monkeypatch.setenv("CADENCE_BY", "from-env")
    cli("settings", "default_region", "DE")
    cli("settings", "default_region", "FR", "--by", "from-option")
    (found,) = cli("settings", "default_region", "--json").json
    assert [one["by"] for one in found["changes"]] == ["from-login", "from-env", "from-option"]
    monkeypatch.setenv("CADENCE_BY", " ")
    two_lines(cli("settings", "default_region", "US"), 2, "--by: missing", "CADENCE_BY")


def test_the_default_policy_counts_for_the_command_line_and_a_service_alike(
    jerry: Cli, db: Path
) -> None:
    with Cadence.open(str(db)) as service:
        before = jerry("explain", "jerry", "--at", ADDED, "--json").json
        assert before["policy"]["name"] == "tip8"
        done = jerry("settings", "default_policy", "polite-persistence", "--by", "kim")
        assert done.out == (
            f"default_policy: polite-persistence version 1 ({OTHER.digest[:12]}) (was not set)\n"
        )
        # Jerry stays where he was added; whoever is added from now on is under the other.
        assert jerry("explain", "jerry", "--at", ADDED, "--json").json == before
        kim = ("add", "kim", "--name", "Kim", "--timezone", "UTC", "--email", "kim@example.com")
        assert jerry(*kim, "--at", ADDED, "--json").json["policy"]["digest"] == OTHER.digest
        assert service.explain("kim").policy == OTHER.ref
        lee = ProspectAdded("Lee", "UTC")
        assert service.execute("lee", lee).decision.policy == OTHER.ref
    assert jerry("settings", "default_policy", "--unset", "--by", "kim").out.startswith(
        "default_policy: not set (was polite-persistence"
    )
    assert jerry("explain", "jerry", "--at", ADDED, "--json").json == before


def test_a_policy_file_is_kept_and_found_by_name_afterwards(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "ours.toml"
    file.write_text(to_toml(OTHER).replace('"polite-persistence"', '"ours"', 1), encoding="utf-8")
    assert cli("settings", "default_policy", file, "--by", "kim").code == 0
    file.unlink()
    assert cli("policy", "show", "ours", "--json").json["name"] == "ours"
    cli("settings", "default_policy", "--unset", "--by", "kim")
    done = cli("settings", "default_policy", "ours", "--by", "kim")
    assert done.out.startswith("default_policy: ours version 1 ")


def test_a_refuted_policy_is_refused_and_no_database_is_made(cli: Cli, db: Path) -> None:
    bad = paths.BAD_POLICIES / "concern_first.toml"
    two_lines(cli("settings", "default_policy", bad, "--by", "kim"), 1, "concern", str(bad))
    assert not db.exists()


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (["default_policy", "tip9"], ("policy: unknown 'tip9'", "use tip8")),
        (["default_regoin"], ("setting: unknown 'default_regoin'", "use default_region")),
        (["default_region", "XX"], ("default_region: unknown 'XX'", "ISO 3166")),
        (["team.company", ""], ("team.company: invalid ''", "give a text")),
        (["--unset"], ("--unset: missing NAME", "give the name")),
        (["team.company", "A", "--unset"], ("--unset: invalid with a value 'A'", "give a value")),
        ([], ("cadence.db: missing", "make it with")),
    ],
)
def test_bad_input_is_named_and_makes_no_database(
    cli: Cli, db: Path, call: list[str], named: tuple[str, str]
) -> None:
    two_lines(cli("settings", *call), 2, *named)
    assert not db.exists()


def test_an_import_into_a_new_database_reads_the_team_file_beside_it(
    cli: Cli, db: Path, tmp_path: Path
) -> None:
    (tmp_path / "cadence.toml").write_text("company = 3\n", encoding="utf-8")
    history = paths.EXAMPLES / "histories/jerry-never-answers.jsonl"
    two_lines(cli("import", history), 2, "cadence.toml: company: invalid 3")
    assert not db.exists()
