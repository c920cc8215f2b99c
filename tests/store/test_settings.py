"""The settings of a store: one table, one order of sources, who and when, one default policy."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import paths
import pgserver
import pytest
from clocks import ahead
from hypothesis import given
from hypothesis import strategies as st

from cadence.domain.channels import Channel
from cadence.domain.codec import encode_line
from cadence.domain.events import (
    ContactPoint,
    Event,
    PolicyRef,
    ProspectAdded,
)
from cadence.engine.commands import SetAppointment
from cadence.engine.decision import Verdict
from cadence.errors import InputError, InvalidStore, StoreError, UnprovedPolicy
from cadence.policy.loader import builtin, parse, parse_text
from cadence.policy.model import Policy
from cadence.policy.writer import to_toml
from cadence.store import Cadence, Origin, Owner, SettingChange, Settings, Team
from cadence.store.recorder import SettingRow
from cadence.transfer import import_file

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
ADDED = ProspectAdded(
    "Jo", "Europe/Berlin", contact_points=(ContactPoint(Channel("call"), "+1 212 555 0101"),)
)
OTHER = builtin("polite-persistence")
TEAM_FILE = """
company = "Ours"
default_region = "at"

[owners.ann]
name = "Ann Lee"
phone = "+1 212 555 0100"
"""


def own_policy(function: str = "") -> Policy:
    """A policy that is not in the catalogue, with a guard of the team's own on request."""
    text = to_toml(builtin()).replace('id = "tip8"', 'id = "ours"', 1)
    if function:
        text += f'\n[[guards]]\nid = "own"\nkind = "custom"\nfunction = "{function}"\nversion = 1\n'
    return parse_text(text, "ours.toml", find_guards=False)


def sources(found: Settings) -> dict[str, tuple[object, Origin]]:
    return {one.name: (one.value, one.source) for one in found.entries}


@pytest.fixture
def db(tmp_path: Path) -> str:
    return str(tmp_path / "cadence.db")


@pytest.fixture(params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a store that several programs open."""
    is_file = request.param == "sqlite"
    return str(tmp_path / "cadence.db") if is_file else pgserver.new_address()


# Values and their sources -------------------------------------------------------------------------


def test_without_any_change_the_default_policy_is_built_in_and_the_rest_not_set() -> None:
    with Cadence.open() as app:
        found = app.settings()
        assert (found.default_policy, found.default_region) == (builtin().ref, None)
        assert found.team == Team()
        assert sources(found) == {
            "default_policy": (builtin().ref, Origin.BUILTIN),
            "default_region": (None, Origin.BUILTIN),
            "team.company": (None, Origin.BUILTIN),
        }


def test_what_is_changed_is_read_by_every_program_that_opens_the_store(shared: str) -> None:
    changes = {
        "default_region": "us",
        "team.company": " Example Ltd ",
        "team.owners.ann.name": "Ann Lee",
        "team.owners.ann.phone": "+1 212 555 0100",
        "team.owners.b.c@d.email": "b@example.com",
    }
    with Cadence.open(shared) as app:
        after = app.change_settings(changes, by="kim", at=NOW)
    with Cadence.open(shared, read_only=True) as app:
        assert app.settings() == after
    assert after.default_region == "US"
    ann = Owner("Ann Lee", "+1 212 555 0100")
    assert after.team == Team("Example Ltd", {"ann": ann, "b.c@d": Owner(email="b@example.com")})
    assert {one.source for one in after.entries[1:]} == {Origin.STORE}


def test_each_change_is_kept_with_who_and_when() -> None:
    later = NOW + timedelta(days=1)
    with Cadence.open() as app:
        app.change_settings({"default_region": "DE"}, by="kim", at=NOW)
        app.change_settings({"default_region": "de", "team.company": "Ours"}, by="lou", at=later)
        found = app.change_settings({"default_region": None}, by="max", at=later)
        again = app.change_settings({"default_region": None}, by="lou", at=later)
    changes = {one.name: one.changes for one in found.entries}
    assert changes["default_region"] == (
        SettingChange("DE", "kim", NOW),
        SettingChange(None, "max", later),
    )
    assert changes["team.company"] == (SettingChange("Ours", "lou", later),)
    assert again == found
    assert found.default_region is None


def test_code_comes_before_the_file_the_file_before_the_table(db: str, tmp_path: Path) -> None:
    with Cadence.open(db) as app:
        app.change_settings(
            {
                "default_policy": OTHER,
                "default_region": "DE",
                "team.company": "Theirs",
                "team.owners.ann.name": "A.",
                "team.owners.ann.email": "ann@example.com",
            },
            by="kim",
            at=NOW,
        )
    (tmp_path / "cadence.toml").write_text(TEAM_FILE, encoding="utf-8")
    with Cadence.open(db, default=own_policy()) as app:
        found = app.settings()
        assert app.library.default().digest == own_policy().digest
    assert sources(found) == {
        "default_policy": (own_policy().ref, Origin.CODE),
        "default_region": ("AT", Origin.FILE),
        "team.company": ("Ours", Origin.FILE),
        "team.owners.ann.email": ("ann@example.com", Origin.STORE),
        "team.owners.ann.name": ("Ann Lee", Origin.FILE),
        "team.owners.ann.phone": ("+1 212 555 0100", Origin.FILE),
    }
    assert found.team.owners == {"ann": Owner("Ann Lee", "+1 212 555 0100", "ann@example.com")}
    # What the file covers is in the table still, and counts again without the file.
    (tmp_path / "cadence.toml").unlink()
    with Cadence.open(db) as app:
        assert app.settings().team.company == "Theirs"
        assert app.library.default() is OTHER


def test_a_store_that_is_not_there_yet_has_the_team_file_beside_it(db: str, tmp_path: Path) -> None:
    (tmp_path / "cadence.toml").write_text(TEAM_FILE, encoding="utf-8")
    with Cadence.open(db, read_only=True) as app:
        assert app.settings().default_region == "AT"
    assert not Path(db).exists()


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ('compny = "Ours"', "compny: unknown key", "use company"),
        ("company = 3", "company: invalid 3", "use a text"),
        ('company = ""', "company: invalid ''", "give a text of one line"),
        ('default_region = "XX"', "default_region: unknown 'XX'", "ISO 3166"),
        ('default_policy = "tip8"', "default_policy: unknown key", "default_region"),
        ('[owners.ann]\nfone = "1"', "owners.ann", "name, phone, email"),
        ('[owners.ann]\nphone = "1\\n2"', "owners.ann.phone: invalid '1\\n2'", "one line"),
        ('[owners.""]\nphone = "1"', "owners..phone", "use"),
        ("company", "invalid TOML", "fix the syntax"),
    ],
)
def test_an_invalid_team_file_is_refused_with_the_key_and_its_value(
    db: str, tmp_path: Path, text: str, what: str, hint: str
) -> None:
    file = tmp_path / "cadence.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        Cadence.open(db)
    assert caught.value.exit_code == 2
    assert caught.value.what.startswith(str(file))
    assert what in caught.value.what
    assert hint in caught.value.hint
    assert not Path(db).exists()


@pytest.mark.parametrize(
    ("name", "value", "what", "hint"),
    [
        ("default_regoin", "DE", "setting: unknown 'default_regoin'", "use default_region"),
        ("team.owners.ann.fax", "1", "setting: unknown 'team.owners.ann.fax'", "use team.owners"),
        ("team.owners..phone", "1", "setting: unknown", "use team.owners.NAME.phone"),
        ("default_region", "Germany", "default_region: unknown 'GERMANY'", "ISO 3166"),
        ("default_region", "", "default_region: invalid ''", "give a text"),
        ("team.company", "a\nb", "team.company: invalid 'a\\nb'", "of one line"),
        ("team.company", OTHER, "team.company: invalid", "give a text"),
        ("default_policy", "tip8", "default_policy: invalid 'tip8'", "give a policy"),
    ],
)
def test_an_unknown_name_or_an_invalid_value_changes_nothing(
    name: str, value: str | Policy, what: str, hint: str
) -> None:
    with Cadence.open() as app:
        before = app.settings()
        with pytest.raises(InputError) as caught:
            app.change_settings({"team.company": "Ours", name: value}, by="kim", at=NOW)
        assert app.settings() == before
    assert what in caught.value.what
    assert hint in caught.value.hint


@pytest.mark.parametrize("by", ["", " ", "a\nb"])
def test_a_change_needs_who_made_it(by: str) -> None:
    with Cadence.open() as app, pytest.raises(InputError, match="by: invalid"):
        app.change_settings({"team.company": "Ours"}, by=by)


def test_a_store_opened_to_read_changes_no_setting(db: str) -> None:
    Cadence.open(db).close()
    with (
        Cadence.open(db, read_only=True) as app,
        pytest.raises(StoreError, match="opened read-only"),
    ):
        app.change_settings({"team.company": "Ours"}, by="kim")


texts = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Cf", "Cn"]), min_size=1)


@given(st.dictionaries(texts.filter(str.isprintable), texts.filter(lambda one: bool(one.strip()))))
def test_any_owner_and_any_text_of_one_line_is_kept(names: dict[str, str]) -> None:
    names = {owner: name for owner, name in names.items() if name.isprintable()}
    with Cadence.open() as app:
        app.change_settings(
            {f"team.owners.{owner}.name": name for owner, name in names.items()}, by="kim", at=NOW
        )
        found = app.settings().team.owners
    assert found == {owner: Owner(name.strip()) for owner, name in names.items()}


# The default policy -------------------------------------------------------------------------------


@pytest.fixture
def service(shared: str) -> Iterator[Cadence]:
    """A service that has the store open, with Jo in it, who has an appointment."""
    with Cadence.open(shared) as app:
        app.execute("jo", ADDED, at=NOW)
        app.execute("jo", SetAppointment(NOW + timedelta(hours=2)), at=NOW)
        yield app


@pytest.mark.parametrize("policy", [OTHER, own_policy()], ids=["catalogue", "own"])
def test_a_changed_default_is_that_of_new_prospects_and_moves_nobody(
    shared: str, service: Cadence, policy: Policy
) -> None:
    later = NOW + timedelta(days=3)
    before = service.explain("jo", later)
    assert before.policy == builtin().ref
    with Cadence.open(shared) as other:
        other.change_settings({"default_policy": policy}, by="kim", at=NOW)
        assert other.explain("jo", later) == before
        assert other.execute("kim", ADDED, at=later).decision.policy == policy.ref
        said, listed = other.explain("kim", later), list(other.due(later, verdicts=[*Verdict]))
    # The service that was open before, and one that opens now.
    assert service.explain("jo", later) == before
    assert service.explain("kim", later) == said
    assert list(service.due(later, verdicts=[*Verdict])) == listed
    assert service.execute("kai", ADDED, at=later).decision.policy == policy.ref
    with Cadence.open(shared, read_only=True) as reader:
        assert (reader.explain("jo", later), reader.explain("kim", later)) == (before, said)
        assert not reader.due_rows.are_stale()
        rows = reader.due_rows.stored()
    service.due_rows.rebuild()
    assert service.due_rows.stored() == rows


def test_an_open_service_adds_and_imports_under_a_changed_default(db: str, tmp_path: Path) -> None:
    line = encode_line(Event("lee", 1, NOW, NOW, ADDED))
    (tmp_path / "lee.jsonl").write_bytes(line)
    with Cadence.open(db) as service, Cadence.open(db) as other:
        service.execute("jo", ADDED, at=NOW)
        other.change_settings({"default_policy": OTHER}, by="kim", at=NOW)
        assert service.execute("kai", ADDED, at=NOW).decision.policy == OTHER.ref
        other.change_settings({"default_policy": None}, by="kim", at=NOW)
        import_file(service, str(tmp_path / "lee.jsonl"), at=ahead())
        assert service.explain("lee", NOW).policy == builtin().ref
        assert not service.due_rows.are_stale()


def test_a_history_that_names_no_policy_goes_on_under_the_default_of_its_time(db: str) -> None:
    with Cadence.open(db) as app:
        app.histories.append([([Event("old", 1, NOW, NOW, ADDED)], 0)], at=ahead())
    with Cadence.open(db, default=OTHER) as app:
        assert app.explain("old", NOW).policy == builtin().ref
        assert app.execute("new", ADDED, at=NOW).decision.policy == OTHER.ref
    with Cadence.open(db) as app:
        assert app.explain("old", NOW).policy == builtin().ref
        assert app.explain("new", NOW).policy == OTHER.ref


def test_without_the_setting_the_default_policy_is_the_built_in_one_again(
    shared: str, service: Cadence
) -> None:
    with Cadence.open(shared) as other:
        other.change_settings({"default_policy": OTHER}, by="kim", at=NOW)
        assert service.library.default().digest == OTHER.digest
        other.change_settings({"default_policy": None}, by="kim", at=NOW)
        assert other.library.default() == builtin()
    assert service.explain("jo", NOW).policy == builtin().ref
    assert not service.due_rows.are_stale()


def test_a_refuted_policy_is_not_made_the_default() -> None:
    bad = parse(paths.BAD_POLICIES / "concern_first.toml")
    with Cadence.open() as app:
        with pytest.raises(UnprovedPolicy) as caught:
            app.change_settings({"default_policy": bad, "team.company": "Ours"}, by="kim")
        assert app.settings().default_policy == builtin().ref
        assert app.settings().team.company is None
        assert app.library.kept() == []
    assert caught.value.exit_code == 1


def test_a_default_policy_is_kept_with_the_store(db: str) -> None:
    with Cadence.open(db) as app:
        app.change_settings({"default_policy": own_policy()}, by="kim", at=NOW)
    with Cadence.open(db) as app:
        assert app.library.default().digest == own_policy().digest
        assert [one.digest for one in app.library.kept()] == [own_policy().digest]


def test_under_a_default_with_functions_of_their_own_every_prospect_is_reviewed(db: str) -> None:
    with Cadence.open(db) as app:
        app.change_settings({"default_policy": own_policy("bad_guards:silent")}, by="kim", at=NOW)
        app.execute("jo", ADDED, at=NOW)
        app.execute("jo", SetAppointment(NOW + timedelta(hours=2)), at=NOW)
        assert [(row.verdict, row.review_from) for row in app.due_rows.stored()] == [("task", 0)]


def test_a_default_policy_that_can_not_be_read_is_named_and_can_be_given_in_code(db: str) -> None:
    unknown = PolicyRef("theirs", 7, "0" * 64)
    with Cadence.open(db) as app:
        text = '{"name":"theirs","version":7,"digest":"' + "0" * 64 + '"}'
        app._recorder.insert_settings([SettingRow("default_policy", text, "kim", 0)])
        with pytest.raises(InvalidStore, match="unknown policy theirs version 7"):
            app.execute("jo", ADDED, at=NOW)
    with pytest.raises(InvalidStore) as caught:
        Cadence.open(db)
    assert "default=" in caught.value.hint
    with Cadence.open(db, default=builtin()) as app:
        assert app.settings().entries[0].changes[0].value == unknown
        app.change_settings({"default_policy": OTHER}, by="kim", at=NOW)
    with Cadence.open(db) as app:
        assert app.library.default() == OTHER
