"""Policies that histories name are kept with the store, and travel with export and import."""

from __future__ import annotations

import io
import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from adoption_cases import ADDED, NO_ANSWER, NOW, OURS, TIP8
from adoption_cases import REFUTED as REFUTED_TIP8
from clocks import ahead
from msgspec.structs import replace

from cadence.cli.main import main
from cadence.domain.events import AttemptMade, Event, PolicyAdopted, PolicyRef
from cadence.engine.commands import MakeAttempt
from cadence.errors import UnprovedPolicy
from cadence.policy.loader import parse_text
from cadence.policy.model import Policy
from cadence.policy.writer import to_toml
from cadence.store import Cadence
from cadence.store.adoption import adopt
from cadence.transfer import ImportRefused, export_csv, export_jsonl, export_xes, import_jsonl

DAY = timedelta(days=1)
REFUTED = replace(REFUTED_TIP8, id="theirs")


def exported(app: Cadence) -> list[bytes]:
    out = io.BytesIO()
    export_jsonl(app, out)
    return out.getvalue().splitlines(keepends=True)


def policy_lines(lines: list[bytes]) -> list[dict[str, Any]]:
    return [one for one in map(json.loads, lines) if one["type"] == "Policy"]


def under(policy: Policy, path: str | None = None) -> Cadence:
    """A store in which ann is under a policy of a team's own, and bob under the catalogue's."""
    app = Cadence.open(path, default=policy, use_unproved_policies=True)
    app.execute("bob", replace(ADDED, policy=TIP8.ref), at=NOW)
    app.execute("ann", ADDED, at=NOW)
    app.execute("ann", MakeAttempt(NO_ANSWER), at=NOW + DAY)
    return app


@pytest.mark.parametrize("policy", [OURS, REFUTED], ids=["proved", "refuted"])
def test_a_policy_goes_out_with_its_history_and_comes_in(policy: Policy) -> None:
    app, other = under(policy), Cadence.open()
    lines = exported(app)
    names = [json.loads(one).get("data", {}).get("policy", {}).get("name") for one in lines]
    [line] = policy_lines(lines)
    first = names.index(policy.id)
    assert json.loads(lines[first - 1]) == line  # before the first event that names it
    assert line["data"] == {
        "name": policy.id,
        "version": policy.version,
        "digest": policy.digest,
        "text": to_toml(policy),
    }
    done = import_jsonl(other, lines, at=ahead())
    assert done.policies == 1
    assert other.explain("ann", NOW + DAY) == app.explain("ann", NOW + DAY)
    assert other.due_rows.stored() == app.due_rows.stored()
    assert exported(other) == lines
    again = import_jsonl(other, lines, at=ahead())
    assert (again.events, again.policies) == (0, 0)
    assert exported(other) == lines


def test_the_catalogue_does_not_travel() -> None:
    with Cadence.open() as app:
        app.execute("bob", ADDED, at=NOW)
        assert policy_lines(exported(app)) == []


def test_an_attempt_that_lacks_its_place_gets_it_under_the_policy_of_the_file() -> None:
    lines = exported(under(OURS))
    bare = [json.loads(one) for one in lines]
    for one in bare:
        if one["type"] == "AttemptMade":
            one["data"] = {"parts": one["data"]["parts"]}
    with Cadence.open() as app:
        import_jsonl(app, [json.dumps(one).encode() for one in bare], at=ahead())
        made = app.history("ann")[-1].data
    assert isinstance(made, AttemptMade)
    assert made.policy == OURS.ref


def test_a_refuted_policy_that_came_in_can_not_be_adopted() -> None:
    with Cadence.open() as app:
        import_jsonl(app, exported(under(REFUTED)), at=ahead())
        [kept] = app.library.kept()
        with pytest.raises(UnprovedPolicy):
            adopt(app, kept, ["bob"], NOW + DAY)


def test_a_policy_that_no_event_names_is_not_kept() -> None:
    lines = exported(under(OURS))
    with Cadence.open() as app:
        done = import_jsonl(
            app, [one for one in lines if b'"prospect":"ann"' not in one], at=ahead()
        )
        assert (done.events, done.policies) == (1, 0)
        assert app.library.kept() == []


def test_a_text_that_comes_later_is_kept_for_the_histories_that_lacked_it() -> None:
    lines = exported(under(OURS))
    with Cadence.open() as app:
        import_jsonl(app, [one for one in lines if b'"Policy"' not in one], at=ahead())
        assert app.policies.of(app.load("ann")) is None
        done = import_jsonl(app, lines, at=ahead())
        assert (done.events, done.policies) == (0, 1)
        assert app.policies.of(app.load("ann")) == OURS


LINE = {
    "type": "Policy",
    "data": {
        "name": OURS.id,
        "version": OURS.version,
        "digest": OURS.digest,
        "text": to_toml(OURS),
    },
}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"digest": "0" * 64}, "data.digest: invalid"),
        ({"name": "theirs"}, "data.digest: invalid"),
        ({"version": 99}, "data.digest: invalid"),
        ({"text": "id = "}, "data.text: invalid TOML"),
        ({"text": 'id = "x"'}, "data.text: "),
        ({"text": "#" * 1_000_001}, "data.text: invalid, 1,000,001 characters"),
        ({"text": 3}, "Policy: invalid line"),
        ({"more": 3}, "Policy: invalid line"),
    ],
)
def test_a_bad_policy_is_a_bad_line(change: dict[str, object], what: str) -> None:
    line = {**LINE, "data": {**LINE["data"], **change}}
    lines = [one for one in exported(under(OURS)) if b'"Policy"' not in one]
    with Cadence.open() as app:
        with pytest.raises(ImportRefused) as caught:
            import_jsonl(app, [*lines, json.dumps(line).encode()], at=ahead())
        [bad] = caught.value.lines
        assert (bad.number, bad.what[: len(what)]) == (len(lines) + 1, what)
        assert (app.count(), app.library.kept()) == (0, [])


def test_an_event_that_says_policy_somewhere_is_an_event() -> None:
    line = {"prospect": "kim", "type": "ProspectAdded", "occurred_at": "2026-03-01T09:00:00Z"}
    data = {"name": "Policy", "timezone": "UTC"}
    with Cadence.open() as app:
        import_jsonl(app, [json.dumps({**line, "data": data}).encode()])
        assert app.load("kim").identity.name == "Policy"


def test_a_policy_that_an_imported_event_names_is_kept_where_this_program_knows_it() -> None:
    adopted = PolicyAdopted(OURS.id, OURS.version, OURS.digest)
    lines = exported(under(OURS))
    bare = [one for one in lines if b'"Policy"' not in one]
    with Cadence.open(policies=[OURS]) as app:
        assert import_jsonl(app, bare, at=ahead()).policies == 1
        assert app.library.kept() == [OURS]
    with Cadence.open(policies=[OURS]) as app:
        app.execute("bob", ADDED, at=NOW)
        app.execute("bob", adopted, at=NOW)
        assert app.library.kept() == [OURS]


# Code of guards -----------------------------------------------------------------------------------


@pytest.mark.parametrize("is_allowed", [False, True])
def test_the_code_of_a_policy_that_comes_in_runs_only_where_it_is_allowed(
    is_allowed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"travelled_{is_allowed}".lower()
    (tmp_path / f"{name}.py").write_text("def guard(prospect, touch, at): return None\n")
    guard = f'\n[[guards]]\nid = "own"\nkind = "custom"\nversion = 1\nfunction = "{name}:guard"\n'
    own = parse_text(to_toml(OURS) + guard, "own.toml")
    lines = exported(under(own))
    with Cadence.open(allow_code=is_allowed) as app:
        import_jsonl(app, lines, at=ahead())
        app.explain("ann", NOW + 9 * DAY)
    assert (name in sys.modules) is is_allowed
    sys.modules.pop(name, None)


# Counted ------------------------------------------------------------------------------------------


def test_policies_in_use_are_counted_with_the_last_one_adopted() -> None:
    with under(OURS) as app:
        assert app.library.in_use() == {OURS.ref: 1, TIP8.ref: 1}
        adopt(app, TIP8, ["ann"], NOW + DAY)
        assert app.library.in_use() == {TIP8.ref: 2}
        old = PolicyRef("old", 1, "0" * 64)
        event = Event("eve", 1, NOW, NOW, ADDED)
        app.histories.append([([event], 0)], at=ahead())
        adopted = PolicyAdopted(old.name, old.version, old.digest)
        app.execute("eve", adopted, at=NOW)
        assert app.library.in_use() == {old: 1, TIP8.ref: 2}


def test_policy_list_names_the_policies_in_use_and_what_the_prover_says(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    db = str(tmp_path / "x.db")
    under(REFUTED, db).close()
    assert main(["policy", "list", "--db", db]) == 0
    listed = capfd.readouterr().out
    assert f"{TIP8.id} version 1  {TIP8.digest[:12]}…  1 prospect\n" in listed
    assert (
        f"{REFUTED.id} version {REFUTED.version}  {REFUTED.digest[:12]}…  1 prospect; in" in listed
    )
    assert main(["policy", "list", "--json", "--db", db]) == 0
    found = {one["digest"]: one for one in json.loads(capfd.readouterr().out)}
    assert found[TIP8.digest]["prospects"] == 1
    assert found[REFUTED.digest]["prospects"] == 1
    assert found[REFUTED.digest]["refuted"]
    for name in (REFUTED.id, REFUTED.digest[:12]):
        assert main(["policy", "show", name, "--db", db]) == 0
        assert main(["policy", "check", name, "--db", db]) == 1
    assert main(["policy", "adopt", REFUTED.id, "bob", "--apply", "--db", db]) == 1


@pytest.mark.parametrize("form", ["csv", "xes"])
def test_formats_without_policies_say_which_are_missing(
    form: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    db = str(tmp_path / "x.db")
    with under(OURS, db) as app:
        export = export_csv if form == "csv" else export_xes
        assert export(app, io.BytesIO()).policies == (OURS.ref,)
    assert main(["export", "--format", form, str(tmp_path / "out"), "--db", db]) == 0
    assert f"{OURS.id} version {OURS.version}: the texts" in capfd.readouterr().err
    assert main(["export", str(tmp_path / "out.jsonl"), "--db", db]) == 0
    assert capfd.readouterr().err == ""
