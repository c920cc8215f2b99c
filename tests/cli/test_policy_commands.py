"""The policy commands: what they print, write and refuse, in a terminal and piped."""

from __future__ import annotations

import json
import re
import shlex
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import paths
import policies
import pytest
from adoption_cases import AT, NO_ANSWER, NOW, OURS, REFUTED, in_silence
from clocks import AFTER
from command_line import INSTANT, Cli, two_lines
from terminals import Terminal, talk

from cadence.cli import policy_preview
from cadence.cli.policy_picture import picture
from cadence.domain.events import AttemptMade, Event, PolicyAdopted
from cadence.engine import invariants
from cadence.engine.decision import to_builtins
from cadence.engine.loop import decision_for
from cadence.policy import builtin, builtin_names
from cadence.policy.loader import parse
from cadence.policy.writer import to_toml
from cadence.prover.proof import prove
from cadence.prover.timetable import timetable
from cadence.reports.policy_page import policy_page
from cadence.store import Cadence, adoption
from cadence.store.histories import Histories

PROMISES = {row.id: row.promise for row in invariants.of_policies()}


@pytest.fixture
def ours(folder: Path) -> str:
    (folder / "ours.toml").write_text(to_toml(OURS), encoding="utf-8")
    return "ours.toml"


@pytest.fixture
def refuted(folder: Path) -> str:
    (folder / "seven.toml").write_text(to_toml(REFUTED), encoding="utf-8")
    return "seven.toml"


# Show ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", builtin_names())
def test_a_timetable_says_day_time_touch_and_channels_and_the_bounds_stand_beside(
    raw: Cli,
    name: str,
) -> None:
    shown = raw("policy", "show", name)
    assert (shown.code, shown.err) == (0, "")
    lines = shown.out.splitlines()
    for entry in timetable(builtin(name)):
        assert any(
            line.split()[:3] == [str(entry.business_day), entry.at, entry.step]
            and all(channel in line for channel in entry.channels)
            for line in lines
        )
    bounds = prove(builtin(name)).bounds
    assert bounds is not None
    assert f"at most {bounds.attempts_in_silence} attempts in a silence" in shown.out
    assert max(map(len, lines[:-1])) <= 100
    as_json = raw("policy", "show", name, "--json").json
    assert len(as_json["timetable"]) == len(list(timetable(builtin(name))))
    assert as_json["bounds"]["attempts_in_silence"] == bounds.attempts_in_silence


def test_columns_stay_aligned_when_names_are_long(raw: Cli, folder: Path) -> None:
    def change(raw_policy: policies.Raw) -> None:
        raw_policy["steps"][3]["id"] = "x" * 50
        raw_policy["steps"][3]["parts"] = [
            {"channels": [channel], "script": "spaced"}
            for channel in ("call", "email", "sms", "mail", "video_email")
        ]

    (folder / "long.toml").write_text(to_toml(policies.changed(OURS, change)), encoding="utf-8")
    out = raw("policy", "show", "long.toml").out
    header, *rows = [
        line for line in out.splitlines() if re.match(r"^(day  time| *\d+  \d\d:)", line)
    ]
    where = header.index("after")
    assert any(row[where:].startswith("4 business days") for row in rows)
    assert all(len(row) <= where - 2 or row[where - 2 : where] == "  " for row in rows)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
@pytest.mark.parametrize("name", builtin_names())
def test_a_picture_has_a_lane_for_each_channel_and_a_mark_for_each_touch(
    name: str, width: int
) -> None:
    entries = list(timetable(builtin(name)))
    axis, *lanes = picture(entries, width)
    marks = "".join(line.partition(" ")[2] for line in lanes if "column" not in line)
    shown = sum(int(one) if one.isdigit() else one in "●■+" for one in marks)
    wanted = sum(len(entry.channels) or 1 for entry in entries)
    assert shown <= wanted
    assert "+" in marks or shown == wanted
    assert all(len(line) <= width for line in (axis, *lanes) if not line.startswith(" "))


def test_what_a_policy_says_of_itself_steers_no_terminal(raw: Cli, folder: Path) -> None:
    bad = policies.changed(OURS, lambda one: one.update(title="a\x1b[31mb", source="c\rd"))
    (folder / "bad.toml").write_text(to_toml(bad), encoding="utf-8")
    assert "\x1b" not in raw("policy", "show", "bad.toml").out
    assert "\x1b" not in raw("policy", "diff", "bad.toml", "tip8").out


# The page -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", builtin_names())
def test_a_page_draws_every_touch_and_names_every_rule(raw: Cli, folder: Path, name: str) -> None:
    assert raw("policy", "show", name, "--html", "page.html").code == 0
    text = (folder / "page.html").read_text(encoding="utf-8")
    assert text.count("<circle") == sum(len(e.channels) or 1 for e in timetable(builtin(name)))
    for rule in PROMISES:
        assert rule in text


def test_a_page_escapes_what_the_policy_says() -> None:
    evil = "<script>alert(1)</script>\"'&"
    policy = policies.changed(OURS, lambda one: one.update(title=evil, source=evil))
    text = policy_page(policy, list(timetable(policy)), prove(policy))
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_a_page_is_never_written_over_its_policy(raw: Cli, ours: str) -> None:
    before = Path(ours).read_bytes()
    two_lines(raw("policy", "show", ours, "--html", f"./{ours}"), 2, "the policy itself")
    assert Path(ours).read_bytes() == before


# Check --------------------------------------------------------------------------------------------


def test_every_rule_says_what_it_promises(raw: Cli) -> None:
    shown = raw("policy", "check", "tip8")
    assert (shown.code, shown.err) == (0, "")
    for rule in PROMISES:
        assert re.search(rf"proved +{rule} +{re.escape(PROMISES[rule])}", shown.out)


def test_what_fails_stands_first_with_its_history(raw: Cli, refuted: str) -> None:
    shown = raw("policy", "check", refuted)
    assert shown.code == 1
    first = next(line for line in shown.out.splitlines() if re.match(r" +(proved|refuted)", line))
    assert first.split()[:2] == ["refuted", "spaced_cap"]
    assert "fails on this history" in shown.out
    assert "spaced_cap: spaced#7 skipped" in shown.out


def test_a_saved_counterexample_can_be_imported_and_replayed_as_it_is_said(
    raw: Cli,
    refuted: str,
    folder: Path,
) -> None:
    said = raw("policy", "check", refuted, "--save", "the history.jsonl")
    [line] = [line for line in said.out.splitlines() if line.startswith("play it: ")]
    commands = line.removeprefix("play it: ").split(" && ")
    for command in commands:
        done = raw(*shlex.split(command)[1:])
        assert done.code == 0, done
    # Under the policy itself the engine names the rule.
    steps = raw(*shlex.split(commands[-1])[1:], "--json").json
    assert "spaced_cap" in {reason["rule"] for reason in steps[-1]["decision"]["reasons"]}
    steps = raw("--db", "trial.db", "replay", "somebody", "--json").json
    assert "spaced_cap" not in {reason["rule"] for reason in steps[-1]["decision"]["reasons"]}


def test_nothing_is_saved_where_nothing_is_refuted(raw: Cli, folder: Path) -> None:
    shown = raw("policy", "check", "tip8", "--save", "x.jsonl")
    assert shown.code == 0
    assert "x.jsonl was not written" in shown.out
    assert not (folder / "x.jsonl").exists()


def test_a_weekday_to_rotate_to_that_is_closed_is_no_fault_and_is_said(
    raw: Cli, folder: Path
) -> None:
    def change(plain: policies.Raw) -> None:
        plain["steps"][3]["rotate"] = {"days": ["tue", "sat"], "times": ["10:00", "20:00"]}

    (folder / "turns.toml").write_text(to_toml(policies.changed(builtin(), change)))
    shown = raw("policy", "check", "turns.toml")
    assert shown.code == 0
    notes = [line for line in shown.out.splitlines() if line.startswith("never")]
    assert len(notes) == 1
    assert notes[0].startswith("never on sat: spaced rotates to it")


# Diff ---------------------------------------------------------------------------------------------


def test_a_difference_is_shown_with_what_each_decides(raw: Cli, ours: str) -> None:
    shown = raw("policy", "diff", "tip8", ours)
    assert shown.code == 0
    assert "decide differently after" in shown.out
    assert re.search(r"spaced\.after +3 business days  →  4 business days", shown.out)
    as_json = raw("policy", "diff", "tip8", ours, "--json").json
    assert as_json["same"] is False
    assert len(as_json["history"]["decisions"]) == 2
    assert [event["version"] for event in as_json["history"]["events"]] == list(
        range(1, len(as_json["history"]["events"]) + 1)
    )


def test_the_same_is_said_where_it_is_proved(raw: Cli, folder: Path) -> None:
    (folder / "copy.toml").write_text(to_toml(builtin()), encoding="utf-8")
    assert "are the same" in raw("policy", "diff", "tip8", "copy.toml").out
    assert raw("policy", "diff", "tip8", "copy.toml", "--json").json == {
        "same": True,
        "history": None,
        "steps": [],
    }


@pytest.mark.parametrize(
    "change",
    [
        *("scripts", "no rotate", "parts.channels", "requires.guidelines", "task_business_days"),
        *("answer_within of the exit", "horizon_business_days by one", "guards.pause.first_day"),
    ],
)
def test_the_same_is_never_said_of_two_that_differ_and_the_history_shows_it(
    raw: Cli, folder: Path, change: str
) -> None:
    one, other = policies.rich(), policies.changed(policies.rich(), policies.CHANGES[change])
    for name, policy in (("one", one), ("other", other)):
        (folder / f"{name}.toml").write_text(to_toml(policy), encoding="utf-8")
    said = raw("policy", "diff", "one.toml", "other.toml")
    assert (said.code, said.err) == (0, "")
    assert "are the same" not in said.out
    found = raw("policy", "diff", "one.toml", "other.toml", "--json").json
    assert found["same"] is False
    assert found["steps"]
    assert all(step["first"] != step["second"] for step in found["steps"])
    # The history alone leads each of them to what it is said to decide.
    lines = [json.dumps(event) for event in found["history"]["events"]]
    (folder / "history.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    at = found["history"]["at"]
    for name, decided in zip(("one", "other"), found["history"]["decisions"], strict=True):
        db = ("--db", f"{name}.db")
        assert raw("import", "--at", AFTER, "history.jsonl", *db).code == 0
        prospect = decided["prospect"]
        steps = raw("replay", prospect, "--policy", f"{name}.toml", "--json", *db).json
        assert len(steps) == len(lines)
        under = parse(folder / f"{name}.toml")
        with Cadence.open(f"{name}.db") as app:
            now = datetime.fromisoformat(at)
            decision = decision_for(app.load(prospect), app.policies.under(under), now)
            assert to_builtins(decision) == decided


def test_where_no_history_is_found_that_is_no_proof_and_is_said_so(raw: Cli, folder: Path) -> None:
    # A policy of four touches never comes to thirty attempts.
    assert raw("policy", "new", "few.toml", "--calls", "1").code == 0
    few = parse(folder / "few.toml")
    wider = policies.changed(few, lambda one: one.update(limits={"attempts": 30}))
    (folder / "wider.toml").write_text(to_toml(wider), encoding="utf-8")
    said = raw("policy", "diff", "few.toml", "wider.toml")
    assert said.code == 0
    assert "are the same" not in said.out
    assert "that does not prove that there is none" in said.out
    found = raw("policy", "diff", "few.toml", "wider.toml", "--json").json
    assert (found["same"], found["history"]) == (False, None)
    assert [step["place"] for step in found["steps"]] == ["limits.attempts"]


def test_long_texts_that_differ_at_their_end_are_shown_to_differ(raw: Cli, folder: Path) -> None:
    for name, end in (("one", "today"), ("other", "tomorrow")):
        text = "Hello {{ name }}, " + "we call again as we said we would; " * 12 + end

        def change(plain: policies.Raw, text: str = text) -> None:
            plain["scripts"] = {"ours": text}
            plain["steps"][3]["parts"] = [{"channels": ["call"], "script": "ours"}]

        policy = policies.changed(builtin(), change)
        (folder / f"{name}.toml").write_text(to_toml(policy), encoding="utf-8")
    [place] = raw("policy", "diff", "one.toml", "other.toml", "--json").json["steps"]
    assert place["place"] == "scripts.ours"
    assert place["first"].endswith("today")
    assert place["second"].endswith("tomorrow")


def test_where_only_a_text_differs_both_texts_are_shown_as_they_would_be_said(
    raw: Cli, folder: Path
) -> None:
    for name, text in (("one", "Hello {{ name }}"), ("other", "Good day {{ name }}")):

        def change(plain: policies.Raw, text: str = text) -> None:
            plain["scripts"] = {"spaced": text}

        (folder / f"{name}.toml").write_text(to_toml(policies.changed(builtin(), change)))
    shown = raw("policy", "diff", "one.toml", "other.toml").out
    said = r"\.toml.*\n +say \(call, voicemail\): {0}\n +say \(call, if they answer\): {0}\n"
    assert re.search("one" + said.format("Hello Somebody"), shown)
    assert re.search("other" + said.format("Good day Somebody"), shown)


def test_where_one_form_of_a_script_differs_that_form_alone_is_shown(
    raw: Cli, folder: Path
) -> None:
    for name, text in (("one", "Is now a good time?"), ("other", "Do you have a moment?")):

        def change(plain: policies.Raw, text: str = text) -> None:
            spanish = {"voicemail": "Hola", "live": text, "email": {"subject": "S", "text": text}}
            plain["scripts"] = {
                "spaced": {"voicemail": "Hello", "live": text, "languages": {"es": spanish}}
            }

        (folder / f"{name}.toml").write_text(to_toml(policies.changed(builtin(), change)))
    shown = raw("policy", "diff", "one.toml", "other.toml").out
    assert "say (call, voicemail)" not in shown
    assert "(call, if they answer)" in shown
    assert "Is now a good time?" in shown.split("other.toml")[-2]
    places = [
        one["place"]
        for one in raw("policy", "diff", "one.toml", "other.toml", "--json").json["steps"]
    ]
    assert places == [
        "scripts.spaced.live",
        "scripts.spaced.languages.es.live",
        "scripts.spaced.languages.es.email.text",
    ]


# Adopt --------------------------------------------------------------------------------------------


@pytest.fixture
def people(cli: Cli, db: Path) -> Cli:
    """Three prospects in a silence."""
    with Cadence.open(str(db)) as app:
        in_silence(app, "kim", "max", "a name that is much longer than others")
    return cli


def moved(db: Path) -> list[str]:
    with Cadence.open(str(db), read_only=True) as app:
        return [
            name
            for name in app.prospects()
            if any(isinstance(event.data, PolicyAdopted) for event in app.history(name))
        ]


def test_a_preview_changes_nothing(people: Cli, db: Path, ours: str) -> None:
    before = db.read_bytes()
    shown = people("policy", "adopt", ours, "--all", "--at", AT)
    assert (shown.code, shown.err) == (0, "")
    assert db.read_bytes() == before
    header, *rows = shown.out.splitlines()[:4]
    assert header.split() == ["prospect", "next", "now", "next", "under", "ours"]
    where = header.index("next under")
    assert all(row[where:].startswith("ten_minutes ") for row in rows)
    assert "3 prospects would move" in shown.out
    assert "--all --apply" in shown.out
    as_json = people("policy", "adopt", ours, "--all", "--at", AT, "--json").json
    assert (as_json["moved"], as_json["later"], as_json["left"]) == (3, 0, 0)
    assert {move["prospect"] for move in as_json["moves"]} >= {"kim", "max"}
    assert as_json["moves"][0]["not_before"] == "2026-11-03T09:10:00Z"


def test_the_command_that_a_preview_names_moves_them(people: Cli, db: Path, ours: str) -> None:
    shown = people("policy", "adopt", ours, "kim", "a name that is much longer than others")
    [line] = [line for line in shown.out.splitlines() if line.startswith("nothing was changed")]
    done = people(
        *shlex.split(line.partition(": ")[2])[2:2] or shlex.split(line.partition("with: ")[2])[1:]
    )
    assert (done.code, done.err) == (0, "")
    assert "2 prospects moved to ours" in done.out
    assert moved(db) == ["a name that is much longer than others", "kim"]
    again = people("policy", "adopt", ours, "--all", "--apply", "--json").json
    assert again["moved"] == 1
    assert people("policy", "adopt", ours, "--all", "--apply", "--json").json["moved"] == 0


def test_only_those_under_a_policy_are_moved(people: Cli, db: Path, ours: str) -> None:
    people("policy", "adopt", "are-you-ok", "kim", "--apply", "--at", AT)
    shown = people("policy", "adopt", ours, "--all", "--from", "are-you-ok", "--at", AT)
    assert "1 prospect would move" in shown.out
    assert "unchanged: 2 under another policy" in shown.out
    people("policy", "adopt", ours, "--all", "--from", "are-you-ok", "--apply", "--at", AT)
    with Cadence.open(str(db)) as app:
        names = [app.explain(one, NOW).policy.name for one in app.prospects()]
    assert sorted(names) == ["ours", "tip8", "tip8"]


def test_a_refuted_policy_is_not_adopted(people: Cli, db: Path, refuted: str) -> None:
    before = db.read_bytes()
    two_lines(people("policy", "adopt", refuted, "--all", "--apply"), 1, "spaced_cap", "check")
    two_lines(people("policy", "adopt", refuted, "--all"), 1, "spaced_cap")
    assert db.read_bytes() == before


def test_many_are_looked_at_by_several_processes_with_the_same_result(
    tmp_path: Path,
    db: Path,
    ours: str,
    raw: Cli,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [f"p{number:03}" for number in range(130)]
    with Cadence.open(str(db)) as app:
        in_silence(app, *names)
        for name in names[::7]:
            app.execute(name, AttemptMade(NO_ANSWER), at=NOW + timedelta(minutes=10))
    arguments = ["--db", str(db), "--at", AT, "policy", "adopt", ours, "--all"]
    alone = [raw(*arguments), raw(*arguments, "--json")]
    monkeypatch.setattr(policy_preview, "_SHARE", 20)
    shared = [*arguments, "--jobs", "2"]
    assert [raw(*shared), raw(*shared, "--json")] == alone
    # What goes wrong there is told as it is here.
    done = raw(*arguments[:-1], *names, "nobody", "--jobs", "2")
    two_lines(done, 2, "unknown prospect 'nobody'")


def test_the_counts_of_a_preview_are_those_of_its_moves(people: Cli, folder: Path) -> None:
    def patient(plain: policies.Raw) -> None:
        plain["id"] = "patient"
        plain["steps"] = [one for one in plain["steps"] if one["stage"] != "ten_minutes"]
        plain["steps"][2].update(times=2, after={"business_days": 9})
        plain["steps"][3].update(after={"business_days": 9})

    (folder / "patient.toml").write_text(to_toml(policies.changed(OURS, patient)), encoding="utf-8")
    arguments = ("policy", "adopt", "patient.toml", "--all", "--at", AT)
    seen = people(*arguments, "--json").json
    moves = seen["moves"]
    assert seen["moved"] == len(moves) == 3
    for count, of in (("dropped", "dropped"), ("added", "added")):
        assert seen[count] == sum(move[of] > 0 for move in moves)
        assert seen[f"touches_{count}"] == sum(move[of] for move in moves)
    assert seen["later"] == sum(move["later"] for move in moves) == 3
    for move in moves:
        assert move["after"]["at"] > move["before"]["at"]  # half a day in place of ten minutes
        assert move["after"]["at"] >= move["not_before"]
        assert (move["dropped"], move["added"]) == (5, 0)
    said = people(*arguments).out
    assert said.count("(later, 5 fewer ahead)") == 3
    assert "3 get their next touch later" in said
    assert "3 lose touches (15 in all)" in said
    # And back: what was dropped is gained, and nothing is sooner than promised meanwhile.
    people(*arguments, "--apply")
    back = people("policy", "adopt", "tip8", "--all", "--at", AT, "--json").json
    assert (back["added"], back["touches_added"], back["dropped"]) == (3, 15, 0)
    for move, was in zip(back["moves"], moves, strict=True):
        assert move["after"]["at"] >= was["after"]["at"]
    assert people("policy", "adopt", "tip8", "--all", "--at", AT).out.count("5 more ahead)") == 3


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_a_move_interrupted_half_way_goes_on_where_it_stopped(
    cli: Cli, db: Path, ours: str, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    names = [f"p{number:02}" for number in range(20)]
    with Cadence.open(str(db)) as app:
        in_silence(app, *names)
    monkeypatch.setattr(adoption, "_BATCH", 4)
    append, calls = Histories.append_prepared, []

    def interrupted(self: Histories, decided: Any) -> Any:
        calls.append(decided)
        if len(calls) == 4:
            raise error
        return append(self, decided)

    with monkeypatch.context() as patch:
        patch.setattr(Histories, "append_prepared", interrupted)
        done = cli("policy", "adopt", ours, "--all", "--apply", "--at", AT)
    assert done.code in (1, 130)
    assert done.out == ""
    assert done.err.count("\n") == 2
    if done.code == 130:
        assert "repeat the command: it continues where it stopped" in done.err
    assert moved(db) == names[:12]
    before = {name: stream(db, name) for name in names[:12]}
    again = cli("policy", "adopt", ours, "--all", "--apply", "--at", AT)
    assert again.out == "8 prospects moved to ours\n"
    assert moved(db) == names
    assert {name: stream(db, name) for name in names[:12]} == before


def stream(db: Path, name: str) -> list[Event]:
    with Cadence.open(str(db), read_only=True) as app:
        return list(app.history(name))


# The contract (design, section 8) ----------------------------------------------------------------


def test_json_is_as_the_contract_has_it(people: Cli, ours: str, refuted: str, folder: Path) -> None:
    identity = {"name", "version", "digest", "title", "source"}
    listed = people("policy", "list", "--json").json
    assert [one["name"] for one in listed] == list(builtin_names())
    assert all(set(one) >= identity for one in listed)
    seen = people("--json", "policy", "show", ours).json
    assert set(seen) == {*identity, "timetable", "bounds", "not_allowed"}
    assert seen["not_allowed"] == []
    assert set(seen["timetable"][0]) == {"business_day", "at", "step", "channels", "gap"}
    for policy, proved in ((ours, True), (refuted, False)):
        done = people("policy", "check", policy, "--json")
        assert (done.code, done.err) == (0 if proved else 1, "")
        proof = json.loads(done.out)
        keys = ["policy", "proved", "rules", "bounds", "unreachable", "states", "transitions"]
        assert [key for key in proof if key != "wording"] == keys
        assert set(proof["policy"]) == {"name", "version", "digest"}
        assert proof["proved"] is proved
        assert (proof["bounds"] is not None) is proved
        assert [one["rule"] for one in proof["rules"]] == list(PROMISES)
        for one in proof["rules"]:
            assert set(one) == {"rule", "proved", "how", "counterexample"}
        shortest = next((one["counterexample"] for one in proof["rules"] if not one["proved"]), [])
        (folder / "shortest.jsonl").write_text(
            "".join(json.dumps(event) + "\n" for event in shortest), encoding="utf-8"
        )
        imported = people(
            "import", "--at", AFTER, "shortest.jsonl", "--db", "trial.db", "--json"
        ).json
        assert imported["events"] == len(shortest)
        assert bool(shortest) is not proved
    found = people("policy", "diff", "tip8", ours, "--json").json
    assert set(found) == {"same", "history", "steps"}
    assert set(found["history"]) == {"events", "at", "decisions"}
    assert INSTANT.match(found["history"]["at"])
    seen = people("policy", "adopt", ours, "--all", "--at", AT, "--json").json
    assert set(seen["policy"]) == identity
    assert INSTANT.match(seen["moves"][0]["before"]["at"])
    assert set(people("policy", "new", "x.toml", "--json").json) == identity


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (0, ["list"]),
        (0, ["show", "tip8"]),
        (0, ["show", "seven.toml"]),
        (0, ["check", "tip8"]),
        (1, ["check", "seven.toml"]),
        (0, ["diff", "tip8", "tip8"]),
        (0, ["diff", "tip8", "seven.toml"]),
        (0, ["adopt", "are-you-ok", "--all"]),
        (1, ["adopt", "seven.toml", "--all"]),
        (0, ["adopt", "are-you-ok", "kim", "--apply"]),
        (2, ["adopt", "are-you-ok", "nobody"]),
        (2, ["show"]),
        (2, ["show", "tip9"]),
        (2, ["list", "tip8"]),
        (2, ["new", "seven.toml"]),
        (0, ["new", "x.toml"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_exit_codes_are_as_the_contract_has_them_with_json_and_without(
    people: Cli, refuted: str, code: int, arguments: list[str]
) -> None:
    done = people("policy", *arguments)
    assert done.code == code, done
    Path("x.toml").unlink(missing_ok=True)
    as_json = people("policy", *arguments, "--json")
    assert as_json.code == code, as_json
    if done.out:
        json.loads(as_json.out)
    else:
        assert as_json.out == ""
        assert as_json.err == done.err


# Errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["show", "check", "adopt", "diff"])
@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("missing.toml", None, "No such file"),
        ("folder.toml", "/", "Is a directory"),
        ("binary.toml", b"\xff\xfe\x00", "not in UTF-8"),
        ("nul.toml", b"id = \x00", "invalid TOML"),
        ("huge.toml", b"#" * 1_000_001, "larger than"),
        ("empty.toml", b"", "missing"),
        ("syntax.toml", b"id = = 3", "invalid TOML"),
        ("key.toml", b'idd = "x"', "use id ("),
        ("value.toml", b"id = 3", "id: invalid 3"),
        ("tpi8", None, "use tip8"),
        ("bare", b"id = 3", "use ./bare"),
        ("no\nsuch", None, "policy: unknown"),
        ("", None, "policy: unknown ''"),
    ],
)
def test_a_policy_that_can_not_be_read_is_named_in_two_lines(
    cli: Cli,
    folder: Path,
    command: str,
    name: str,
    content: object,
    named: str,
) -> None:
    if content == "/":
        (folder / name).mkdir()
    elif isinstance(content, bytes):
        (folder / name).write_bytes(content)
    more = {"adopt": ["--all"], "diff": ["tip8"]}.get(command, [])
    two_lines(cli("policy", command, name, *more), 2, named)


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["adopt", "tip8"], 2, "no prospects given"),
        (["adopt", "tip8", "kim", "--all"], 2, "--all"),
        (["adopt", "tip8", "nobody"], 2, "unknown prospect 'nobody'"),
        (["adopt", "tip8", "nobody", "--apply"], 2, "unknown prospect 'nobody'"),
        (["adopt", "are-you-ok", "--all", "--from", "tpi8"], 2, "use tip8"),
        (["adopt", "are-you-ok", "--all", "--from", "zzz", "--apply"], 2, "follow: tip8"),
        (["show", "tip8", "--html", "no/such.html"], 1, "No such file"),
        (["show", "tip8", "--html", "."], 2, "is a directory"),
        (["check", "seven.toml", "--save", "no/such.jsonl"], 1, "No such file"),
        (["check", "seven.toml", "--save", "seven.toml"], 2, "the policy itself"),
        (["diff", "tip8"], 2, "Missing argument"),
        (["shwo", "tip8"], 2, "use show"),
    ],
)
def test_what_can_not_be_done_is_said_in_two_lines(
    people: Cli,
    db: Path,
    refuted: str,
    arguments: list[str],
    code: int,
    named: str,
) -> None:
    two_lines(people("policy", *arguments), code, named)
    assert moved(db) == []
    assert Path(refuted).read_text(encoding="utf-8") == to_toml(REFUTED)


def test_nobody_is_no_reason_to_make_a_database(raw: Cli, ours: str) -> None:
    two_lines(raw("--db", "none.db", "policy", "adopt", ours, "--all", "--apply"), 2, "missing")
    two_lines(raw("--db", "none.db", "policy", "adopt", ours, "kim", "--apply"), 2, "'kim'")
    assert not Path("none.db").exists()


def test_a_database_that_is_none_is_not_written(raw: Cli, ours: str) -> None:
    before = Path(ours).read_bytes()
    two_lines(raw("--db", ours, "policy", "adopt", ours, "--all", "--apply"), 2, "not a database")
    assert Path(ours).read_bytes() == before


def test_the_schema_is_printed_as_the_docs_have_it(raw: Cli) -> None:
    stored = paths.DOCS / "reference" / "policy.schema.json"
    assert raw("policy", "schema").json == json.loads(stored.read_text(encoding="utf-8"))


# In a terminal ------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [80, 120])
def test_a_proof_is_folded_to_the_terminal(folder: Path, columns: int) -> None:
    terminal = Terminal(folder, "policy", "check", "tip8", columns=columns)
    assert terminal.end() == 0
    assert "\x1b[" in terminal.text
    shown = re.sub(r"\x1b\[[0-9;]*m", "", terminal.text)
    assert max(map(len, shown.splitlines())) <= columns


def test_a_preview_shows_how_far_it_is(people: Cli, db: Path, ours: str) -> None:
    code, text = talk(
        Path.cwd(), ["--db", str(db), "--at", AT, "policy", "adopt", ours, "--all"], ""
    )
    assert code == 0, text
    assert "looking" in text
    assert "would move" in text


def test_a_policy_with_a_misspelt_script_is_neither_checked_nor_adopted(
    people: Cli, db: Path, folder: Path
) -> None:
    text = to_toml(OURS)
    assert 'script = "spaced"' in text
    misspelt = text.replace('script = "spaced"', 'script = "spacd"')
    (folder / "misspelt.toml").write_text(misspelt, encoding="utf-8")
    before = db.read_bytes()
    for command in (("check",), ("adopt", "--all"), ("adopt", "--all", "--apply")):
        done = people("policy", command[0], "misspelt.toml", *command[1:])
        two_lines(done, 2, "misspelt.toml: steps[", "unknown 'spacd'", "use spaced")
    assert db.read_bytes() == before
