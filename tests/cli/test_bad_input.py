"""Whatever comes in: two lines on stderr, the right exit code, no traceback, nothing half-written.

Most calls are made in this process (a traceback then fails the test by itself); what depends on a
process of its own (locks, permissions, limits, pipes, closed streams) runs the installed command.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from clocks import AFTER

from cadence.cli.main import main

CADENCE = str(Path(sys.executable).parent / "cadence")
AT = ["--at", "2026-11-30T15:00:00Z"]
ADD = [
    "--name",
    "Ann",
    "--timezone",
    "Europe/Berlin",
    "--call",
    "+493012345671",
    "--email",
    "a@x.de",
]
ENDS = ("", "-wal", "-shm")  # of the files that make a database of ours


class Done(NamedTuple):
    code: int
    out: str
    err: str


Cli = Callable[..., Done]


@pytest.fixture
def cli(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line in this process; anything that escapes it fails the test."""

    def run(*arguments: object) -> Done:
        capfdbinary.readouterr()
        code = main([str(one) for one in arguments])
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return Done(code, out.decode(), err.decode())

    return run


@pytest.fixture
def db(tmp_path: Path, cli: Cli) -> Path:
    """A database with one prospect, ``ann``."""
    path = tmp_path / "cadence.db"
    assert cli("add", "ann", *ADD, *AT, "--db", path).code == 0
    return path


def command(*arguments: object, **options: Any) -> Done:
    """The installed command, in a process of its own, buffered as it is for a user."""
    env = {**os.environ, **options.pop("env", {})}
    env.pop("PYTHONUNBUFFERED", None)
    done = subprocess.run(
        [CADENCE, *map(str, arguments)],
        env=env,
        check=False,
        **{
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            **options,
        },
    )
    return Done(done.returncode, (done.stdout or b"").decode(), (done.stderr or b"").decode())


def two_lines(done: Done, code: int, *words: str) -> tuple[str, str]:
    """What is wrong and how to mend it, with ``words`` in the first."""
    assert "Traceback" not in done.err
    assert done.code == code, done
    lines = done.err.rstrip("\n").split("\n")
    assert len(lines) == 2, done.err
    assert lines[0].startswith("cadence: ")
    for word in words:
        assert word in lines[0], (word, lines[0])
    assert lines[1].strip()
    assert done.out == ""
    return lines[0], lines[1]


def content(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of events, due list and stamps."""
    connection = sqlite3.connect(path)
    try:
        return {
            table: connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
            for table in ("stored_events", "due", "meta")
        }
    finally:
        connection.close()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def event(kind: str = "ProspectAdded", prospect: str = "bob", **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "prospect": prospect,
        "type": kind,
        "occurred_at": "2026-12-01T14:00:00Z",
        "data": {"name": "Bob", "timezone": "Europe/Berlin"} if kind == "ProspectAdded" else {},
    }
    return {**found, **fields}


def lines(*events: Any) -> bytes:
    return b"".join(
        (one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n" for one in events
    )


# Instants -----------------------------------------------------------------------------------------

INSTANTS = {
    "--at": ["due", "--at", "?"],
    "--at first": ["--at", "?", "due"],
    "--at explain": ["explain", "ann", "--at", "?"],
    "--at write": ["opt-out", "ann", "--at", "?"],
    "--at demo": ["demo", "--at", "?"],
    "INSTANT": ["appoint", "ann", "?"],
    "UNTIL": ["pause", "ann", "?"],
    "--until": ["auto-reply", "ann", "--until", "?"],
    "--until replay": ["replay", "ann", "--until", "?"],
    **{
        f"--occurred {one[0]}": [*one, "--occurred", "?"]
        for one in (
            ["add", "new", *ADD],
            ["update", "ann", "--name", "A"],
            ["appoint", "ann", "2026-12-01T14:00:00Z"],
            ["cancel", "ann"],
            ["attempt", "ann", "--channel", "call", "--disposition", "busy"],
            ["reply", "ann", "--channel", "email"],
            ["pause", "ann", "2026-12-09T14:00:00Z"],
            ["auto-reply", "ann"],
            ["failed", "ann", "--channel", "call", "--address", "+493012345671"],
            ["opt-out", "ann"],
            ["opt-in", "ann"],
            ["note", "ann", "--interest", "x"],
            ["referral", "ann", "--name", "B"],
            ["end", "ann", "bought"],
            ["reopen", "ann", "why"],
        )
    },
}


@pytest.mark.parametrize("which", INSTANTS)
def test_an_instant_that_is_none_is_refused_everywhere(which: str, db: Path, cli: Cli) -> None:
    before = content(db)
    for text in (
        "2026-12-32",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-02-30T10:00:00Z",
        "yesterday",
        "2026-12-01 24:00",
        "",
        "²",  # a digit that int() does not take
        "-1",
    ):
        done = cli("--db", db, *(text if one == "?" else one for one in INSTANTS[which]))
        # Where an argument stands, -1 is an option that there is not.
        two_lines(done, 2, "-1" if text == "-1" else which.split()[0])
    assert content(db) == before


def test_a_local_time_without_a_prospect_says_so(db: Path, cli: Cli) -> None:
    what, hint = two_lines(cli("due", "--db", db, "--at", "2026-12-01T14:00:00"), 2, "--at")
    assert "2026-12-01T14:00:00" in what
    assert "missing zone" in what
    assert "2026-12-01T14:00:00Z" in hint


def test_nothing_is_recorded_that_can_not_be_imported_again(
    db: Path, cli: Cli, tmp_path: Path
) -> None:
    # The last and first instants of the range, on clocks that show another year.
    cli("pause", "ann", "2199-12-31T23:59:59-14:00", *AT, "--db", db)
    cli("pause", "ann", "2199-12-31T23:59:59Z", *AT, "--db", db)
    cli("pause", "ann", "1970-01-01T00:00:00+14:00", *AT, "--db", db)
    cli("opt-out", "ann", "--at", "2199-12-31T23:59:59-14:00", "--db", db)
    assert cli("export", tmp_path / "all.jsonl", "--db", db).code == 0
    done = cli("import", "--at", AFTER, tmp_path / "all.jsonl", "--db", tmp_path / "other.db")
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("at", ["1970-01-01T00:00:00Z", "2199-12-31T23:59:59Z"])
def test_the_ends_of_time_are_times(at: str, db: Path, cli: Cli) -> None:
    for arguments in (["due", "--all"], ["explain", "ann"], ["due", "--json"]):
        done = cli(*arguments, "--db", db, "--at", at)
        assert done.code == 0
        # Explain notes that events were recorded after the instant.
        is_noted = arguments[0] == "explain" and at < "2000"
        assert done.err.startswith("note: events recorded after") if is_noted else done.err == ""


def test_events_far_away_do_not_stop_anybody(tmp_path: Path, cli: Cli) -> None:
    db = tmp_path / "far.db"
    late = ["--at", "2199-12-31T23:00:00Z", "--db", db]
    assert cli("add", "late", *ADD, *late).code == 0
    for arguments in (
        ["attempt", "late", "--channel", "call", "--disposition", "busy", "--off-policy", "why"],
        ["auto-reply", "late"],
        ["pause", "late", "2199-12-31T23:30:00Z"],
        ["explain", "late"],
        ["due", "--all"],
        ["replay", "late"],
        ["tick"],
    ):
        done = cli(*arguments, *late)
        assert done.code == 0, done


@pytest.mark.parametrize("text", ["foo", "-3", "1.5", "2026-13-01", "1 2", "²", "٣", "0x1"])
def test_until_nonsense(text: str, db: Path, cli: Cli) -> None:
    done = cli("replay", "ann", "--until", text, "--db", db)
    if text == "٣" and done.code == 0:
        return  # an Arabic three is a number to Python, and may be to us
    two_lines(done, 2, "--until")


# Names --------------------------------------------------------------------------------------------

NAMES = {
    "timezone": (["add", "b", "--name", "B", "--timezone", "Europe/Berlni"], "Europe/Berlin"),
    "timezone again": (
        ["add", "b", "--name", "B", "--timezone", "UTC", "--timezone", "Amerika/Chicago"],
        "America/Chicago",
    ),
    "timezone update": (["update", "ann", "--timezone", "Asia/Tokio"], "Asia/Tokyo"),
    "country": (["add", "b", *ADD, "--country", "us"], "US"),
    "country long": (["add", "b", *ADD, "--country", "Germany"], ""),
    "subdivision": (["add", "b", *ADD, "--country", "US", "--subdivision", "ny"], "NY"),
    "subdivision none": (["add", "b", *ADD, "--country", "DE", "--subdivision", "QQ"], "BY"),
    "subdivision alone": (["add", "b", *ADD, "--subdivision", "BY"], "country"),
    "channel": (
        ["attempt", "ann", "--channel", "cal", "--disposition", "busy"],
        "call",
    ),
    "channel reply": (["reply", "ann", "--channel", "e-mail"], "email"),
    "disposition": (
        ["attempt", "ann", "--channel", "call", "--disposition", "no_anwser"],
        "no_answer",
    ),
    "REASON": (["end", "ann", "bougth"], "bought"),
    "reason": (
        [
            "failed",
            "ann",
            "--channel",
            "call",
            "--address",
            "+493012345671",
            "--reason",
            "wrong_nummber",
        ],
        "wrong_number",
    ),
    "intent": (["reply", "ann", "--channel", "email", "--intent", "questoin"], "question"),
    "kind": (["note", "ann", "--value", "x", "--kind", "persnal"], "personal"),
    "format": (["export", "--format", "jsnl", "-"], "jsonl"),
    "policy": (["policy", "show", "tip9"], "tip8"),
    "command": (["appiont", "ann", "2026-12-01T14:00:00Z"], "appoint"),
    "option": (["due", "--jsno"], "--json"),
}


@pytest.mark.parametrize("which", NAMES)
def test_a_misspelt_name_is_answered_with_the_nearest(which: str, db: Path, cli: Cli) -> None:
    arguments, near = NAMES[which]
    before = content(db)
    # A callback's --db must come first: the command may be the misspelt word.
    done = cli("--db", db, *arguments)
    wrong = next(one for one in reversed(arguments) if one not in ("-", "ann", "x", "busy"))
    if which not in ("channel", "command", "disposition"):
        two_lines(done, 2, wrong)
    _, hint = two_lines(done, 2)
    assert near in hint
    assert content(db) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["due", "--nonsense"],
        ["due", "extra"],
        ["explain"],
        ["add", "b"],
        ["add", "b", "--name", "B"],
        ["attempt", "ann", "--channel", "call"],
        ["attempt", "ann", "--channel", "call", "--channel", "sms", "--disposition", "busy"],
        ["end", "ann"],
        ["appoint", "ann"],
        ["pause", "ann"],
        ["note", "ann"],
        ["update", "ann"],
        ["note", "ann", "--interest", "a", "--value", "b"],
        ["note", "ann", "--hours", "25:00-26:00"],
        ["note", "ann", "--hours", "17:00-09:00"],
        ["note", "ann", "--hours", "always"],
        ["due", "--limit", "0"],
        ["due", "--limit", "many"],
        ["due", "--db"],
        ["policy", "show"],
        ["policy", "nonsense"],
        ["policy", "new", "x.toml", "--calls", "7"],
        ["add", "b", "--name", "B", "--timezone", ""],
        ["add", "b", *ADD, "--country", ""],
        ["add", "b", *ADD, "--call", " "],
        ["add", "b", "--name", "B", "--timezone", "../../../etc/passwd"],
        ["add", "b", "--name", "B", "--timezone", "/etc/localtime"],
    ],
    ids=" ".join,
)
def test_bad_usage_is_exit_2(arguments: list[str], db: Path, cli: Cli) -> None:
    before = content(db)
    two_lines(cli("--db", db, *arguments), 2)
    assert content(db) == before


# Prospects ----------------------------------------------------------------------------------------

ON_A_PROSPECT = [
    ["explain", "?"],
    ["replay", "?"],
    ["update", "?", "--name", "X"],
    ["appoint", "?", "2026-12-01T14:00:00Z"],
    ["cancel", "?"],
    ["attempt", "?", "--channel", "call", "--disposition", "busy"],
    ["reply", "?", "--channel", "email"],
    ["pause", "?", "2026-12-09T14:00:00Z"],
    ["auto-reply", "?"],
    ["failed", "?", "--channel", "call", "--address", "+493012345671"],
    ["opt-out", "?"],
    ["opt-in", "?"],
    ["note", "?", "--interest", "x"],
    ["note", "?", "--value", "x"],
    ["referral", "?", "--name", "B"],
    ["end", "?", "bought"],
    ["reopen", "?", "why"],
]


@pytest.mark.parametrize("arguments", ON_A_PROSPECT, ids=lambda one: " ".join(one[:3]))
def test_an_unknown_prospect_is_exit_2(arguments: list[str], db: Path, cli: Cli) -> None:
    before = content(db)
    for prospect in ("bob", "Ann", "ann ", "ann' OR 1=1 --"):
        given = (prospect if one == "?" else one for one in arguments)
        two_lines(cli(*given, *AT, "--db", db), 2, repr(prospect))
    assert content(db) == before


def test_a_version_of_a_thousand_digits_is_exit_2(db: Path, cli: Cli) -> None:
    two_lines(cli("replay", "ann", "--until", "9" * 5000, "--db", db), 2, "--until")


BAD_IDS = [
    "",
    " ",
    "\t",
    "a\nb",
    "a\x1b[31mb",
    "a\x7fb",
    "\x00",
    "a\u2028b",
    "a\u202eb",
    "a\udcffb",
]


@pytest.mark.parametrize("prospect", BAD_IDS, ids=ascii)
def test_an_id_that_is_none_is_exit_2(prospect: str, db: Path, cli: Cli) -> None:
    before = content(db)
    two_lines(cli("add", prospect, *ADD, *AT, "--db", db), 2, repr(prospect))
    for arguments in (ON_A_PROSPECT[0], ON_A_PROSPECT[1], ON_A_PROSPECT[-1]):
        given = (prospect if one == "?" else one for one in arguments)
        two_lines(cli(*given, *AT, "--db", db), 2)
    assert content(db) == before


TEXTS = {
    "name": ["add", "new#", "--name", "?", "--timezone", "UTC"],
    "source": ["add", "new#", *ADD, "--source", "?"],
    "owner": ["add", "new#", *ADD, "--owner", "?"],
    "call": ["add", "new#", *ADD, "--call", "?"],
    "by": ["opt-in", "ann", "--by", "?"],
    "command id": ["opt-in", "ann", "--command-id", "?"],
    "update": ["update", "ann", "--name", "?"],
    "update email": ["update", "ann", "--email", "?"],
    "failed": ["failed", "ann", "--channel", "call", "--address", "?"],
    "interest": ["note", "ann", "--interest", "?"],
    "value": ["note", "ann", "--value", "?"],
    "referral": ["referral", "ann", "--name", "?"],
    "referral sms": ["referral", "ann", "--name", "B", "--sms", "?"],
    "off-policy": [
        "attempt",
        "ann",
        "--channel",
        "sms",
        "--disposition",
        "sent",
        "--off-policy",
        "?",
    ],
    "reopen": ["reopen", "ann", "?"],
}
ODD = {
    "empty": "",
    "space": " ",
    "emoji": "🙂 é e\u0301",
    "right to left": "a\u202eb",
    "quotes": "'\";--{{ name }}{% raw %}",
    "long": "x" * 100_000,
    "lines": "a\nb\u2028c",
}


@pytest.fixture
def ready(field: str, db: Path, cli: Cli) -> Path:
    """A database on which the command of ``field`` is in order."""
    if field == "reopen":
        assert cli("end", "ann", "bought", *AT, "--db", db).code == 0
    if field == "off-policy":
        assert cli("appoint", "ann", "2026-12-01T14:00:00Z", *AT, "--db", db).code == 0
    return db


def _with(field: str, text: str, number: int = 0) -> list[str]:
    return [text if one == "?" else one.replace("#", str(number)) for one in TEXTS[field]]


@pytest.mark.parametrize("field", TEXTS)
def test_odd_text_is_refused_or_kept_whole(
    field: str, ready: Path, cli: Cli, tmp_path: Path
) -> None:
    prospects = {"ann"}
    for number, text in enumerate(ODD.values()):
        before = content(ready)
        arguments = _with(field, text, number)
        done = cli(*arguments, *AT, "--db", ready)
        if done.code == 0:
            prospects.add(arguments[1])
            found = cli("replay", arguments[1], "--json", "--db", ready)
            assert (found.code, found.err) == (0, ""), arguments[:-1]
            assert json.dumps(text)[1:-1] in json.dumps(json.loads(found.out)[-1]["event"])
            if field == "reopen":
                assert cli("end", "ann", "bought", *AT, "--db", ready).code == 0
        else:
            two_lines(done, 2)
            assert content(ready) == before
    # What was accepted can be shown, exported and imported again.
    for arguments in (*(["explain", one] for one in prospects), ["due", "--all"]):
        shown = cli(*arguments, *AT, "--db", ready)
        assert shown.code == 0
        assert shown.err == "" or shown.err.startswith("note: messages lack ")
    other = tmp_path / "other.db"
    assert cli("export", tmp_path / "all.jsonl", "--db", ready).code == 0
    again = cli("import", "--at", AFTER, tmp_path / "all.jsonl", "--db", other)
    assert (again.code, again.err) == (0, "")
    assert cli("export", "-", "--db", other).out == (tmp_path / "all.jsonl").read_text()


@pytest.mark.parametrize("field", TEXTS)
def test_bytes_that_are_no_text_are_refused(field: str, ready: Path, cli: Cli) -> None:
    before = content(ready)
    two_lines(cli(*_with(field, "a\udcffb"), *AT, "--db", ready), 2)
    assert content(ready) == before


@pytest.mark.parametrize("field", TEXTS)
def test_text_does_not_reach_the_terminal_as_control_codes(
    field: str, ready: Path, cli: Cli
) -> None:
    arguments = _with(field, "a\x1b[31mb\x07\rc")
    done = cli(*arguments, *AT, "--db", ready)
    if done.code != 0:
        two_lines(done, 2)
        return
    for look in (["explain", arguments[1]], ["replay", arguments[1]], ["due", "--all"]):
        shown = cli(*look, *AT, "--db", ready)
        assert shown.code == 0
        assert shown.err == "" or shown.err.startswith("note: messages lack ")
        assert not {"\x1b", "\x07", "\r"} & set(done.out + shown.out + shown.err), shown.out


def test_recorded_before_it_occurred_is_refused(db: Path, cli: Cli) -> None:
    before = content(db)
    done = cli("opt-out", "ann", *AT, "--occurred", "2026-12-01T15:00:00Z", "--db", db)
    two_lines(done, 2, "ann", "2026-12-01T15:00:00Z", "2026-11-30T15:00:00Z")
    assert content(db) == before


# Import -------------------------------------------------------------------------------------------

GOOD = event(version=1)
REPLY = event("ReplyReceived", data={"channel": "email"})

# Name: (lines, {number of each bad line: what its message must name}).
BAD_FILES: dict[str, tuple[bytes, dict[int, tuple[str, ...]]]] = {
    "hole": (lines(GOOD, {**REPLY, "version": 3}), {2: ("version", "3", "bob")}),
    "hole at the start": (lines({**GOOD, "version": 2}), {1: ("version", "2", "bob")}),
    "version 0": (lines({**GOOD, "version": 0}), {1: ("version",)}),
    "version -1": (lines({**GOOD, "version": -1}), {1: ("version",)}),
    "version text": (lines({**GOOD, "version": "1"}), {1: ("version",)}),
    "version half": (lines({**GOOD, "version": 1.5}), {1: ("version",)}),
    "version huge": (lines({**GOOD, "version": 10**30}), {1: ("version",)}),
    "no beginning": (lines(REPLY), {1: ("type", "bob", "ProspectAdded")}),
    "twice": (
        lines(GOOD, event(version=2, occurred_at="2026-12-02T14:00:00Z")),
        {2: ("type", "bob")},
    ),
    "twice, no versions": (
        lines(event(), event(data={"name": "Bobby", "timezone": "UTC"})),
        {2: ("type", "bob")},
    ),
    "unknown type": (lines(event("ReplyRecieved")), {1: ("type", "ReplyRecieved")}),
    "unknown field": (lines({**GOOD, "colour": 1}), {1: ("colour",)}),
    "unknown data": (lines(event(data={**GOOD["data"], "colour": 1})), {1: ("data", "colour")}),
    "zone misspelt": (
        lines(event(data={"name": "B", "timezones": "UTC"})),
        {1: ("data", "timezone", "field")},
    ),
    "no zone": (lines(event(data={"name": "B"})), {1: ("data", "timezone", "missing")}),
    "no name": (lines(event(data={"timezone": "UTC"})), {1: ("data", "name", "missing")}),
    "no data": (lines({k: v for k, v in GOOD.items() if k != "data"}), {1: ("data", "missing")}),
    "no type": (lines({k: v for k, v in GOOD.items() if k != "type"}), {1: ("type", "missing")}),
    "no prospect": (
        lines({k: v for k, v in GOOD.items() if k != "prospect"}),
        {1: ("prospect", "missing")},
    ),
    "no time": (
        lines({k: v for k, v in GOOD.items() if k != "occurred_at"}),
        {1: ("occurred_at", "missing")},
    ),
    "naive": (lines(event(occurred_at="2026-12-01T14:00:00")), {1: ("occurred_at", "naive")}),
    "naive recorded": (
        lines(event(recorded_at="2026-12-01T14:00:00")),
        {1: ("recorded_at", "naive")},
    ),
    "naive data": (
        lines(GOOD, event("PauseRequested", data={"until": "2026-12-01T14:00:00"})),
        {2: ("data.until", "naive")},
    ),
    "year 1": (lines(event(occurred_at="0001-01-01T00:00:00Z")), {1: ("occurred_at", "0001")}),
    "year 9999": (
        lines(GOOD, event("AppointmentSet", data={"at": "9999-12-31T23:59:59-14:00"})),
        {2: ("data.at", "9999")},
    ),
    "no zone of ours": (
        lines(event(data={"name": "B", "timezone": "Europe/Berlni"})),
        {1: ("timezone", "Europe/Berlni", "Europe/Berlin")},
    ),
    "zones none": (lines(event(data={"name": "B", "timezone": []})), {1: ("timezone",)}),
    "zone number": (lines(event(data={"name": "B", "timezone": 5})), {1: ("data.timezone", "int")}),
    "country": (
        lines(event(data={**GOOD["data"], "country": "de"})),
        {1: ("country", "de", "DE")},
    ),
    "channel": (
        lines(GOOD, event("ReplyReceived", data={"channel": "by fax"})),
        {2: ("data.channel", "by fax")},
    ),
    "disposition": (
        lines(
            GOOD,
            event("AttemptMade", data={"parts": [{"channel": "call", "disposition": "no"}]}),
        ),
        {2: ("data.parts", "disposition", "no")},
    ),
    "no parts": (lines(GOOD, event("AttemptMade", data={"parts": []})), {2: ("data.parts",)}),
    "empty address": (
        lines(GOOD, event("ContactPointAdded", data={"channel": "call", "address": ""})),
        {2: ("data.address",)},
    ),
    "id control": (lines(event(prospect="a\tb")), {1: ("prospect",)}),
    "id empty": (lines(event(prospect="")), {1: ("prospect",)}),
    "id nul": (lines(event(prospect="a\x00")), {1: ("prospect",)}),
    "id number": (lines({**GOOD, "prospect": 5}), {1: ("prospect",)}),
    "half surrogate": (
        b'{"prospect":"bob","type":"ProspectAdded","occurred_at":"2026-12-01T14:00:00Z",'
        b'"data":{"name":"\\ud800","timezone":"UTC"}}\n',
        {1: ("JSON",)},
    ),
    "half a line": (lines(GOOD) + b'{"prospect": "bob", "ver', {2: ("JSON",)}),
    "two on a line": (lines(GOOD).strip() * 2, {1: ("JSON",)}),
    "array": (lines([GOOD]), {1: ("object", "array")}),
    "number": (lines(5), {1: ("object",)}),
    "null": (lines(None), {1: ("object",)}),
    "nul bytes": (lines(GOOD) + b"\x00\x00\x00\n", {2: ("JSON",)}),
    "nul line": (b"\x00" * 5000, {1: ("JSON",)}),
    "not UTF-8": (lines(GOOD).replace(b"Bob", b"B\xf6b"), {1: ("UTF-8",)}),
    "UTF-16": (json.dumps(GOOD).encode("utf-16"), {1: ("UTF-8",)}),
    "a BOM in the middle": (lines(GOOD) + b"\xef\xbb\xbf" + lines(REPLY), {2: ("JSON",)}),
    "deep": (lines(b"[" * 200_000), {1: ()}),
    "deep data": (
        lines(GOOD).replace(b'"Bob"', b"[" * 200_000 + b"]" * 200_000),
        {1: ()},
    ),
    "deep objects": (
        lines(GOOD).replace(b'"Bob"', b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
        {1: ()},
    ),
    "huge number": (lines(GOOD).replace(b'"Bob"', b"9" * 100_000), {1: ("data",)}),
    "every line": (
        lines(event("Nope"), GOOD, {**REPLY, "version": "x"}, b"{", event(prospect="z", foo=1)),
        {1: ("type", "Nope"), 3: ("version",), 4: ("JSON",), 5: ("foo",)},
    ),
    "taken, all of it": (
        lines(
            event(prospect="ann", version=1),
            event("OptOutRequested", prospect="ann", version=2),
            event("OptOutRequested", prospect="ann", version=3),
            event("OptOutRequested", prospect="bea"),
        ),
        {1: ("version", "1", "ann"), 2: ("version", "2"), 3: ("version", "3"), 4: ("type", "bea")},
    ),
}


@pytest.mark.parametrize("which", BAD_FILES)
def test_a_bad_file_changes_nothing_and_names_every_bad_line(
    which: str, db: Path, cli: Cli, tmp_path: Path
) -> None:
    for number in (1, 2):
        at = ["--at", f"2026-12-0{number}T15:00:00Z"]
        assert cli("reply", "ann", "--channel", "sms", *at, "--db", db).code == 0
    before = content(db)
    text, bad = BAD_FILES[which]
    file = tmp_path / "bad.jsonl"
    file.write_bytes(text)
    done = cli("import", "--at", AFTER, file, "--db", db)
    assert done.code == 2, done
    assert done.out == ""
    first, *shown, hint = done.err.rstrip("\n").split("\n")
    assert first.startswith("cadence: ")
    assert "nothing was imported" in first
    assert hint
    numbers = [int(one.split(":")[0].removeprefix("line ")) for one in shown]
    assert numbers == list(bad)
    for line, words in zip(shown, bad.values(), strict=True):
        for word in words:
            assert word in line, (word, line)
        assert len(line) < 2000
    assert content(db) == before


def test_garbage_by_the_megabyte_is_refused(db: Path, cli: Cli, tmp_path: Path) -> None:
    before = content(db)
    file = tmp_path / "garbage"
    file.write_bytes(b"x" * 10_000_000)
    done = cli("import", "--at", AFTER, file, "--db", db)
    assert done.code == 2
    assert "line 1: " in done.err
    assert len(done.err) < 1000
    file.write_bytes(b"garbage in, nothing in\n" * 100_000)
    done = cli("import", "--at", AFTER, file, "--db", db)
    assert done.code == 2
    assert "100000 bad lines" in done.err
    assert done.err.count("\nline ") == 100_000
    file.write_bytes(random.Random(1).randbytes(300_000))
    done = cli("import", "--at", AFTER, file, "--db", db)
    assert done.code == 2
    assert content(db) == before


@pytest.mark.parametrize(
    ("text", "events"),
    [
        (b"", 0),
        (b"\n\n  \n\t\n", 0),
        (b"\xef\xbb\xbf", 0),
        (b"\xef\xbb\xbf" + lines(GOOD), 1),
        (lines(GOOD).replace(b"\n", b"\r\n"), 1),
        (b"\n\n" + lines(GOOD) + b"\n \n" + lines(REPLY) + b"\r\n", 2),
        (lines(GOOD).strip(), 1),  # no line break at the end
        (lines(GOOD, GOOD, GOOD), 1),
        (lines(GOOD, REPLY, REPLY), 2),
        (lines(event(data={"name": "a\x00b \x1b[31m\n", "timezone": "UTC"})), 1),
        (lines(GOOD, event("InterestNoted", data={"text": "ü" * 20_000})), 2),
    ],
    ids=[
        *("empty", "blank", "BOM", "BOM and event", "CRLF", "blank between", "no end", "thrice"),
        *("reply twice", "control characters", "the longest note"),
    ],
)
def test_an_odd_file_works_and_works_twice(
    text: bytes, events: int, db: Path, cli: Cli, tmp_path: Path
) -> None:
    file = tmp_path / "odd.jsonl"
    file.write_bytes(text)
    done = cli("import", "--at", AFTER, file, "--db", db, "--json")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["events"] == events
    before = content(db)
    again = cli("import", "--at", AFTER, file, "--db", db, "--json")
    assert json.loads(again.out)["events"] == 0
    assert content(db) == before
    assert cli("export", tmp_path / "all.jsonl", "--db", db).code == 0
    file, other = tmp_path / "all.jsonl", tmp_path / "other.db"
    assert cli("import", "--at", AFTER, file, "--db", other).code == 0
    assert (tmp_path / "all.jsonl").read_text() == cli(
        "export", "-", "--db", tmp_path / "other.db"
    ).out


def test_the_longest_note_can_be_looked_at(db: Path, cli: Cli, tmp_path: Path) -> None:
    text = "ü" * 20_000
    (tmp_path / "big.jsonl").write_bytes(lines(GOOD, event("InterestNoted", data={"text": text})))
    assert cli("import", "--at", AFTER, tmp_path / "big.jsonl", "--db", db).code == 0
    for arguments in (["explain", "bob"], ["replay", "bob"], ["due"], ["due", "--json"]):
        assert cli(*arguments, "--db", db).code == 0
    found = json.loads(cli("replay", "bob", "--json", "--db", db).out)
    assert found[1]["event"]["data"]["text"] == text


def test_a_file_that_is_none(db: Path, cli: Cli, tmp_path: Path) -> None:
    before = content(db)
    two_lines(cli("import", "--at", AFTER, tmp_path, "--db", db), 2, str(tmp_path))
    two_lines(cli("import", "--at", AFTER, tmp_path / "none", "--db", db), 2, "none")
    two_lines(cli("import", "--at", AFTER, db / "under", "--db", db), 2, "under")
    two_lines(cli("import", "--at", AFTER, "a" * 5000, "--db", db), 2)
    assert cli("import", "--at", AFTER, os.devnull, "--db", db).code == 0
    done = cli("import", "--at", AFTER, db, "--db", db)  # the database itself
    assert done.code == 2
    assert content(db) == before


def test_a_fact_about_nobody_makes_no_database(tmp_path: Path, cli: Cli) -> None:
    # A slip in --db must not leave an empty database for the next command to find.
    two_lines(cli("opt-out", "bob", "--db", tmp_path / "new.db"), 2, "'bob'")
    assert list(tmp_path.iterdir()) == []


# Export -------------------------------------------------------------------------------------------


def test_export_does_not_overwrite_the_database(db: Path, cli: Cli, tmp_path: Path) -> None:
    before = content(db)
    (tmp_path / "link").symlink_to(db)
    (tmp_path / "hard").hardlink_to(db)
    for name in (db, tmp_path / "link", f"{tmp_path}/./cadence.db", tmp_path / "hard"):
        two_lines(cli("export", name, "--db", db), 2, str(name))
        assert content(db) == before


def test_export_goes_into_what_is_there(db: Path, tmp_path: Path) -> None:
    # /dev/null, /dev/stdout or a pipe must stay what they are.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        done = command("export", pipe, "--db", db)
        assert stat.S_ISFIFO(pipe.lstat().st_mode)
        if done.code == 0:
            assert b'"ann"' in os.read(reader, 10_000)
        else:
            two_lines(done, 2)
    finally:
        os.close(reader)


def test_export_to_a_place_that_is_none(db: Path, cli: Cli, tmp_path: Path) -> None:
    for name in (tmp_path, tmp_path / "none" / "x.jsonl", db / "x.jsonl", tmp_path / ("a" * 300)):
        done = cli("export", name, "--db", db)
        assert done.code in (1, 2)
        two_lines(done, done.code, str(name))
        assert {path.name for path in tmp_path.iterdir()} <= {f"cadence.db{end}" for end in ENDS}


def test_an_export_is_as_private_as_the_umask_says(db: Path, cli: Cli, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        assert cli("export", tmp_path / "all.jsonl", "--db", db).code == 0
    finally:
        os.umask(before)
    assert (tmp_path / "all.jsonl").stat().st_mode & 0o077 == 0


# Databases: not ours ------------------------------------------------------------------------------


def _sqlite(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
        connection.commit()
    connection.close()


def _copy(db: Path, path: Path, *statements: str) -> None:
    shutil.copy(db, path)
    _sqlite(path, *statements)


def _truncated(db: Path, path: Path, size: int) -> None:
    path.write_bytes(db.read_bytes()[:size])


THEIRS: dict[str, Callable[[Path, Path], object]] = {
    "text": lambda db, path: path.write_text("the only copy of my novel\n" * 1000),
    "one byte": lambda db, path: path.write_text("\n"),
    "a short note": lambda db, path: path.write_text("milk, eggs"),
    "zeros": lambda db, path: path.write_bytes(bytes(8192)),
    "PNG": lambda db, path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40),
    "SQLite": lambda db, path: _sqlite(path, "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)"),
    "SQLite WAL": lambda db, path: _sqlite(path, "PRAGMA journal_mode = WAL", "CREATE TABLE t (a)"),
    "SQLite without tables": lambda db, path: _sqlite(path, "PRAGMA user_version = 5"),
    "SQLite with an id": lambda db, path: _sqlite(path, "PRAGMA application_id = 7"),
    "application id": lambda db, path: _copy(db, path, "PRAGMA application_id = 7"),
    "no application id": lambda db, path: _copy(db, path, "PRAGMA application_id = 0"),
    "newer schema": lambda db, path: _copy(db, path, "PRAGMA user_version = 2"),
}
DAMAGED: dict[str, Callable[[int], int]] = {
    "half": lambda size: size // 2,
    "one page": lambda size: 4096,
    "half a header": lambda size: 50,
    "the middle of a page": lambda size: 6000,
    "half a page less": lambda size: size - 2000,
}
TOUCHES = [
    ["due"],
    ["explain", "ann"],
    ["replay", "ann"],
    ["export", "-"],
    ["add", "bob", *ADD],
    ["tick"],
    ["rebuild"],
    ["import", "/dev/null"],
    ["note", "ann", "--value", "x"],
]


@pytest.mark.parametrize("which", THEIRS)
def test_what_is_not_ours_is_not_touched(which: str, db: Path, cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    path = folder / "file.db"
    THEIRS[which](db, path)
    before, names = digest(path), sorted(os.listdir(folder))
    for arguments in TOUCHES:
        two_lines(cli(*arguments, "--db", path), 2, str(path))
        assert digest(path) == before
    if which != "newer schema":  # that one is ours
        assert sorted(os.listdir(folder)) == names


@pytest.mark.parametrize("which", DAMAGED)
def test_what_is_damaged_is_not_touched(which: str, db: Path, cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "damaged.db"
    path.write_bytes(db.read_bytes()[: DAMAGED[which](db.stat().st_size)])
    before = digest(path)
    for arguments in TOUCHES:
        done = cli(*arguments, "--db", path)
        assert done.code in (1, 2), (arguments, done)
        two_lines(done, done.code, str(path))
        assert digest(path) == before


def test_a_place_that_is_no_file(db: Path, cli: Cli, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    files = sorted(os.listdir(tmp_path))
    for place in (
        tmp_path,
        tmp_path / "none" / "x.db",
        db / "x.db",
        tmp_path / "pipe",
        os.devnull,
        tmp_path / ("a" * 300),
        "a" * 5000,
    ):
        for arguments in (["due"], ["add", "bob", *ADD]):
            done = cli(*arguments, "--db", place)
            assert done.code in (1, 2), done
            two_lines(done, done.code)
    assert sorted(os.listdir(tmp_path)) == files


def test_a_link_that_leads_nowhere(tmp_path: Path, cli: Cli) -> None:
    for name, target in (("loop", "loop"), ("lost", "none/x.db")):
        (tmp_path / name).symlink_to(tmp_path / target)
        done = cli("add", "bob", *ADD, "--db", tmp_path / name)
        assert done.code in (1, 2)
        two_lines(done, done.code, name)


def test_a_server_that_does_not_answer(cli: Cli) -> None:
    place = "postgresql://me:secret@127.0.0.1:1/none"
    for arguments in (["due"], ["add", "bob", *ADD]):
        what, _ = two_lines(cli(*arguments, "--db", place), 1, "127.0.0.1")
        assert "secret" not in what


def test_odd_file_names_work(tmp_path: Path, cli: Cli) -> None:
    for name in ("what? #1 %41.db", "ü 🙂.db", "a:memory:b.db", "a?mode=memory"):
        db = tmp_path / name
        assert cli("add", "ann", *ADD, *AT, "--db", db).code == 0
        assert db.is_file()
        assert "ann" in cli("due", "--all", *AT, "--db", db).out
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("name", ["file:x.db", "file:x.db?mode=ro", ":memory:", "a\udcffb.db"])
def test_a_name_that_sqlite_reads_otherwise(
    name: str, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a relative name is a file of that name, or refused; never another place."""
    monkeypatch.chdir(tmp_path)
    done = cli("add", "ann", *ADD, *AT, "--db", name)
    if done.code == 0:
        assert (tmp_path / name).is_file()
        assert "ann" in cli("due", "--all", *AT, "--db", name).out
    else:
        two_lines(done, done.code)
        assert list(tmp_path.iterdir()) == []


def test_an_empty_db_is_no_name(tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    two_lines(cli("add", "ann", *ADD, "--db", ""), 2, "--db")
    assert list(tmp_path.iterdir()) == []


# A missing database -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        *(["due"], ["due", "--json"], ["explain", "ann"], ["replay", "ann"], ["replay", "--all"]),
        *(["audit"], ["export", "-"], ["whatif", "--policy", "tip8"], ["settings"]),
        ["policy", "adopt", "are-you-ok", "--all"],
    ],
)
def test_a_read_on_a_database_that_is_not_there_exits_2(
    arguments: list[str], tmp_path: Path, cli: Cli
) -> None:
    db = tmp_path / "none.db"
    _, hint = two_lines(cli(*arguments, "--db", db), 2, "none.db", "missing")
    assert "cadence add" in hint
    assert "--db" in hint
    assert list(tmp_path.iterdir()) == []


def test_the_catalogue_needs_no_database(tmp_path: Path, cli: Cli) -> None:
    for arguments in (["policy", "list"], ["policy", "show", "tip8"], ["policy", "check", "tip8"]):
        assert cli(*arguments, "--db", tmp_path / "none.db").code == 0
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_a_new_database(tmp_path: Path, cli: Cli) -> None:
    db = tmp_path / "new.db"
    db.touch()
    two_lines(cli("due", "--db", db), 2, "new.db", "missing")
    assert db.stat().st_size == 0
    assert cli("add", "ann", *ADD, "--db", db).code == 0
    assert "ann" in cli("due", "--db", db).out


# Locked -------------------------------------------------------------------------------------------


def test_a_locked_database_can_be_read_and_refuses_writes(db: Path, tmp_path: Path) -> None:
    before = content(db)
    other = tmp_path / "other.db"
    shutil.copy(db, other)
    with (
        closing(sqlite3.connect(db, isolation_level=None)) as immediate,
        closing(sqlite3.connect(other, isolation_level=None)) as exclusive,
        ThreadPoolExecutor() as threads,
    ):
        immediate.execute("BEGIN IMMEDIATE")
        exclusive.execute("BEGIN EXCLUSIVE")
        # Each waits five seconds for the lock: let them wait at the same time.
        writes = {
            path: threads.submit(command, "add", "bob", *ADD, "--db", path) for path in (db, other)
        }
        for path in (db, other):
            assert "ann" in command("due", "--db", path).out
            assert "ann" in command("explain", "ann", "--db", path).out
        for path, write in writes.items():
            two_lines(write.result(), 1, str(path), "locked")
    assert content(db) == content(other) == before


def test_a_writer_waits_for_another(db: Path) -> None:
    holder = sqlite3.connect(db, isolation_level=None)
    try:
        holder.execute("BEGIN IMMEDIATE")
        writer = subprocess.Popen(
            [CADENCE, "add", "bob", *ADD, "--db", str(db)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        time.sleep(2)
        holder.execute("ROLLBACK")
    finally:
        holder.close()
    _, err = writer.communicate()
    assert (writer.returncode, err) == (0, b"")


def test_writers_at_the_same_time_all_get_through(tmp_path: Path) -> None:
    db = tmp_path / "new.db"
    writers = [
        subprocess.Popen(
            [CADENCE, "add", f"p{number}", *ADD, "--db", str(db)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for number in range(8)
    ]
    errors = [writer.communicate()[1].decode() for writer in writers]
    assert errors == [""] * 8
    assert len(json.loads(command("due", "--json", "--db", db).out)) == 8


# Read-only ----------------------------------------------------------------------------------------

_LIBC = ctypes.CDLL(None)


def _mortal() -> None:
    """In a child: obey file permissions even as root."""
    if os.geteuid() != 0:
        return
    # Capabilities 1 and 2 let root pass over permissions; a program started without them in its
    # bounding set (prctl 24) does not have them. (Another uid could not read the interpreter.)
    for capability in (1, 2):
        if _LIBC.prctl(24, capability, 0, 0, 0) != 0:
            os.setuid(65534)


@pytest.fixture
def locked_folder(db: Path, tmp_path: Path) -> Any:
    """A folder in which nothing can be written, with the database in it."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    shutil.copy(db, folder / "cadence.db")
    yield folder
    folder.chmod(0o755)


def _forbid(folder: Path) -> None:
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)


def test_a_read_only_database_can_be_read(locked_folder: Path) -> None:
    _forbid(locked_folder)
    path = locked_folder / "cadence.db"
    before = digest(path)
    later = ["--at", "2027-03-01T15:00:00Z"]
    for arguments in (["due"], ["explain", "ann", *later], ["replay", "ann"], ["export", "-"]):
        done = command(*arguments, "--db", path, preexec_fn=_mortal)
        assert (done.code, done.err) == (0, ""), done
        assert "ann" in done.out.lower()
    for arguments in (["add", "bob", *ADD], ["rebuild"], ["opt-out", "ann"]):
        done = command(*arguments, "--db", path, preexec_fn=_mortal)
        two_lines(done, 1, str(path), "read-only")
    assert digest(path) == before
    assert os.listdir(locked_folder) == ["cadence.db"]


def test_what_only_the_log_holds_is_not_overlooked(locked_folder: Path) -> None:
    """A copy made while somebody wrote: the last events are in the write-ahead log alone."""
    path = locked_folder / "cadence.db"
    writer = sqlite3.connect(path, isolation_level=None)
    try:
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute("SELECT count(*) FROM stored_events").fetchone()  # keeps the log alive
        assert command("add", "walter", *ADD, *AT, "--db", path).code == 0
        copy = locked_folder / "copy.db"
        shutil.copy(path, copy)
        shutil.copy(f"{path}-wal", f"{copy}-wal")
    finally:
        writer.close()
    assert b"walter" not in copy.read_bytes()
    _forbid(locked_folder)
    done = command("explain", "walter", *AT, "--db", copy, preexec_fn=_mortal)
    if done.code == 0:
        assert "walter" in done.out
    else:
        two_lines(done, 1, str(copy))


def test_a_file_or_folder_that_must_not_be_read(locked_folder: Path) -> None:
    path = locked_folder / "cadence.db"
    path.chmod(0)
    two_lines(command("due", "--db", path, preexec_fn=_mortal), 1, str(path))
    two_lines(
        command(
            "import", "--at", AFTER, path, "--db", path.parent.parent / "x.db", preexec_fn=_mortal
        ),
        2,
    )
    locked_folder.chmod(0)
    for arguments in (["due"], ["add", "bob", *ADD]):
        done = command(*arguments, "--db", path, preexec_fn=_mortal)
        two_lines(done, 1, str(path))


# Full ---------------------------------------------------------------------------------------------


def _small(size: int) -> Callable[[], None]:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def test_a_full_disk_refuses_and_loses_nothing(db: Path) -> None:
    note = ["note", "ann", "--interest", "🙂" * 20_000, *AT, "--db", db]
    before = content(db)
    for size in (0, 4096, 40_000, 70_000):
        two_lines(command(*note, preexec_fn=_small(size)), 1, str(db), "full")
        assert content(db) == before
        assert "ann" in command("due", "--db", db).out
    assert command(*note).code == 0


def test_an_export_onto_a_full_disk_leaves_the_last_one(db: Path, cli: Cli, tmp_path: Path) -> None:
    backup = tmp_path / "backup.jsonl"
    assert cli("export", backup, "--db", db).code == 0
    kept = backup.read_bytes()
    assert cli("note", "ann", "--interest", "🙂" * 20_000, *AT, "--db", db).code == 0
    two_lines(command("export", backup, "--db", db, preexec_fn=_small(70_000)), 1, str(backup))
    assert backup.read_bytes() == kept
    names = {path.name for path in tmp_path.iterdir()}
    assert names <= {"backup.jsonl", *(f"cadence.db{end}" for end in ENDS)}


@pytest.mark.parametrize("size", [0, 4096, 20_000])
def test_a_disk_that_is_full_from_the_start(size: int, tmp_path: Path) -> None:
    db = tmp_path / "new.db"
    done = command("add", "ann", *ADD, "--db", db, preexec_fn=_small(size))
    two_lines(done, 1, str(db))
    # What was begun reads as an empty database, or as none yet.
    assert command("due", "--db", db).code in (0, 2)
    assert command("add", "ann", *ADD, "--db", db).code == 0


def test_an_import_onto_a_full_disk_imports_nothing(db: Path, tmp_path: Path) -> None:
    file = tmp_path / "many.jsonl"
    file.write_bytes(lines(*(event(prospect=f"p{number}") for number in range(2000))))
    before = content(db)
    done = command("import", "--at", AFTER, file, "--db", db, preexec_fn=_small(200_000))
    two_lines(done, 1, str(db))
    assert content(db) == before


# Output -------------------------------------------------------------------------------------------


@pytest.fixture
def crowd(tmp_path: Path, cli: Cli) -> Path:
    """A database whose output does not fit into a pipe."""
    file, db = tmp_path / "many.jsonl", tmp_path / "crowd.db"
    file.write_bytes(lines(*(event(prospect=f"p{number}") for number in range(1500))))
    assert cli("import", "--at", AFTER, file, "--db", db).code == 0
    return db


def test_a_reader_that_leaves_is_nothing_to_complain_about(crowd: Path) -> None:
    env = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    for arguments in (["due"], ["due", "--json"], ["export", "-"]):
        process = subprocess.Popen(
            [CADENCE, *arguments, "--db", str(crowd)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        process.stderr.close()
        assert process.wait() == 0, arguments


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_was_never_there(db: Path, unbuffered: str) -> None:
    explain = ["explain", "ann", "--at", "2027-12-31T00:00:00Z"]  # behind every event
    for number, arguments in enumerate((explain, ["add", "bob", *ADD])):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [CADENCE, *arguments, "--db", str(db)],
            stdout=writing,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            check=False,
        )
        os.close(writing)
        assert done.stderr == b""
        assert done.returncode == 0, arguments
        assert number == 0 or "bob" in command("due", "--db", db).out


def test_standard_output_is_closed(db: Path) -> None:
    closed: dict[str, Any] = {"stdout": None, "preexec_fn": lambda: os.close(1)}
    for arguments in (["due"], ["explain", "ann"], ["policy", "list"]):
        done = command(*arguments, "--db", db, **closed)
        assert "Traceback" not in done.err
        assert done.code in (0, 1)
    done = command("add", "bob", *ADD, "--db", db, **closed)
    assert "Traceback" not in done.err
    assert done.code == 0
    assert "bob" in command("due", "--db", db).out
    # The only copy of what was asked for went nowhere: that is a failure.
    done = command("export", "-", "--db", db, **closed)
    two_lines(done, 1)


def test_standard_input_is_closed(db: Path) -> None:
    closed: dict[str, Any] = {"stdin": None, "preexec_fn": lambda: os.close(0)}
    assert command("due", "--db", db, **closed).code == 0
    assert command("add", "bob", *ADD, "--db", db, **closed).code == 0
    done = command("import", "--at", AFTER, "-", "--db", db, **closed)
    two_lines(done, 2)


def test_standard_error_is_closed(db: Path) -> None:
    done = command("explain", "bob", "--db", db, stderr=None, preexec_fn=lambda: os.close(2))
    assert done.code == 2


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_can_not_be_written(db: Path, unbuffered: str) -> None:
    for arguments in (["due"], ["export", "-"], ["replay", "ann"], ["--help"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [CADENCE, "--db", str(db), *arguments],
                stdout=full,
                stderr=subprocess.PIPE,
                env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
                check=False,
            )
        two_lines(Done(done.returncode, "", done.stderr.decode()), 1)
