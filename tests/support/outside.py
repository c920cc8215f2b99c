"""Snapshots of the outside: what `cadence` prints, exits with and stores.

``python tests/support/outside.py`` prints a unified diff between the snapshots and what the
program does now, and exits with 1 if there is any. ``--write`` replaces the snapshots. ``--bpic``
adds the BPI log, which takes longer. A group's name limits both to it.
``golden/outside/README.md`` says what the files hold.

Everything goes through the console script and the database that it writes; no module of `cadence`
is named here.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import gc
import hashlib
import io
import itertools
import json
import os
import re
import shlex
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import bad_guards

TESTS = Path(__file__).resolve().parent.parent
ROOT = TESTS.parent
SNAPSHOTS = TESTS / "golden" / "outside"
INPUTS = SNAPSHOTS / "inputs"
EXAMPLES = ROOT / "examples" / "histories"
GOLDEN = TESTS / "golden" / "histories"
BAD_POLICIES = TESTS / "bad_policies"
BAD_GUARDS = TESTS / "support"  # the folder of bad_guards.py, which some of them name
BPI = ROOT.parent / "shared" / "data" / "bpic2012.xes.gz"

CATALOGUE = (
    "are-you-ok",
    "polite-persistence",
    "tip8",
    "until-they-buy-or-say-stop",
    "voicemail-and-email",
)
IMPORTED = "2029-01-01T00:00:00Z"
INSTANTS = {
    "examples.db": (
        "2026-11-27T15:00:00Z",
        "2026-12-04T18:10:00Z",
        "2026-12-14T18:15:00Z",
        "2026-12-21T15:00:00Z",
        "2027-03-01T15:00:00Z",
    ),
    "golden.db": ("2026-10-01T15:00:00Z", "2027-01-15T15:00:00Z"),
    "broken.db": ("2026-10-05T15:00:00Z", "2027-01-15T15:00:00Z"),
}


# One call -----------------------------------------------------------------------------------------


class Done(NamedTuple):
    """What a call exited with and printed."""

    exit: int
    out: str
    err: str


@cache
def _console_script() -> Callable[[], None]:
    (found,) = entry_points(group="console_scripts", name="cadence")
    script: Callable[[], None] = found.load()
    return script


def cadence(*arguments: str, stdin: str = "") -> Done:
    """Run the installed command in this process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as typed,
        mock.patch.object(sys, "argv", ["cadence", *arguments]),
        mock.patch.object(sys, "stdin", typed),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        typed.write(stdin)
        typed.seek(0)
        try:
            _console_script()()
            code: Any = 0
        except SystemExit as error:
            code = error.code
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(_normal(stream.buffer.getvalue().decode()))  # type: ignore[attr-defined]  # BytesIO
    return Done(code or 0, *texts)


_VERSIONS = re.compile(r"\b(holidays|tzdata) \d[\w.]*")


def _normal(text: str) -> str:
    """``text`` without what differs between machines: folders and versions of data."""
    text = text.replace(str(Path.cwd()), "FOLDER").replace(str(ROOT), "ROOT")
    text = re.sub(r"\S*/cadence-demo-\w+", "DEMO", text)  # a new folder each time
    return _VERSIONS.sub(r"\1 N", text)


# Facts and words ----------------------------------------------------------------------------------

_SENTENCES = {
    "because",
    "task",
    "text",
    "subject",
    "live",
    "how",
    "source",
    "title",
    "description",
    "first",
    "second",
}
_EVENT = {"type", "occurred_at", "data"}  # the keys by which an event is known: all of it is facts


def split(value: Any, words: list[str], key: str = "") -> Any:
    """``value`` with every sentence replaced by an ellipsis; the sentences go to ``words``."""
    if isinstance(value, dict) and value.keys() >= _EVENT:
        return value
    is_sentence = key in _SENTENCES or key == "gap"
    if is_sentence and isinstance(value, str) and value:
        words.append(f"{key}: {value}")
        return "…"
    if isinstance(value, dict):
        return {name: split(one, words, name) for name, one in value.items()}
    if isinstance(value, list):
        return [split(one, words, key if is_sentence else "") for one in value]
    return value


def pretty(value: Any, indent: int = 0) -> str:
    """JSON for reviewers: what fits stands on one line."""
    line = json.dumps(value, ensure_ascii=False)
    if len(line) + indent <= 110 or not isinstance(value, (dict, list)) or not value:
        return line
    pad, inner = " " * indent, " " * (indent + 1)
    if isinstance(value, dict):
        parts = [
            f"{inner}{json.dumps(key, ensure_ascii=False)}: {pretty(one, indent + 1)}"
            for key, one in value.items()
        ]
        return "{\n" + ",\n".join(parts) + f"\n{pad}}}"
    return "[\n" + ",\n".join(inner + pretty(one, indent + 1) for one in value) + f"\n{pad}]"


_WITH_DIGESTS = {"policies", "proofs", "stored"}  # of the others twelve digits will do


def _short(value: Any) -> Any:
    text = json.dumps(value, ensure_ascii=False)
    return json.loads(re.sub(r'"([0-9a-f]{12})[0-9a-f]{52}"', r'"\1…"', text))


def documents(text: str) -> Any:
    """The JSON that was printed; a list of what stands on each line, where that is several."""
    try:
        return json.loads(text) if text.strip() else None
    except json.JSONDecodeError:
        return [json.loads(line) for line in text.splitlines()]


class Group:
    """What one group of calls did: facts, words and plain output."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}
        self.words: dict[str, list[str]] = {}
        self.text: list[str] = []

    def ask(self, *arguments: str, plain: bool = True) -> Any:
        """Make a call with ``--json``, and without; keep both."""
        call = shlex.join(arguments)
        done = cadence(*arguments, "--json")
        words: list[str] = []
        value = documents(done.out)
        facts = {"exit": done.exit, "json": split(value, words)}
        if done.err:
            words += [f"stderr: {line}" for line in done.err.splitlines()]
        if plain:
            facts["exit plainly"] = self.say(*arguments).exit
        self.facts[call], self.words[call] = facts, words
        return value

    def say(self, *arguments: str, stdin: str = "") -> Done:
        """Make a call and keep its plain output."""
        done = cadence(*arguments, stdin=stdin)
        self.text.append(f"$ cadence {shlex.join(arguments)}\n{done.out}{done.err}")
        if done.exit:
            self.text.append(f"[exit {done.exit}]\n")
        self.text.append("\n")
        return done

    def judge(self, *arguments: str, stdin: str = "") -> Done:
        """Make a call that may be refused: exit code and shape are facts, the rest is words."""
        done = self.say(*arguments, stdin=stdin)
        self.facts[shlex.join(arguments)] = {
            "exit": done.exit,
            "prints": bool(done.out),
            "lines on stderr": len(done.err.splitlines()),
        }
        return done

    def files(self, name: str) -> dict[str, str]:
        """The snapshots of this group by file name."""
        facts = pretty(self.facts if name in _WITH_DIGESTS else _short(self.facts))
        found = {f"{name}.facts.json": facts + "\n"}
        if any(self.words.values()):
            found[f"{name}.words.json"] = pretty(self.words) + "\n"
        if self.text:
            found[f"{name}.txt"] = "".join(self.text)
        return found


# The databases ------------------------------------------------------------------------------------


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """A folder of its own with the inputs, which is the current one meanwhile."""
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        folder = Path.cwd()
        shutil.copytree(BAD_POLICIES, folder / "bad_policies")
        for path in (*GOLDEN.glob("*.jsonl"), *EXAMPLES.glob("*.jsonl"), *INPUTS.iterdir()):
            shutil.copy(path, folder)
        env = {"COLUMNS": "80", "CADENCE_DB": "", "CADENCE_BY": "sam"}
        from cadence.policy import guard_runner  # as late as the commands are loaded

        guard_runner.allow(bad_guards.NAMES)
        with (
            mock.patch.dict(os.environ, env),
            mock.patch.object(sys, "path", [str(BAD_GUARDS), *sys.path]),
        ):
            yield folder


def fill(db: str) -> list[str]:
    """Import the histories of a database; which prospects it then has."""
    names = {
        "examples.db": sorted(path.name for path in EXAMPLES.glob("*.jsonl")),
        "golden.db": sorted(path.name for path in GOLDEN.glob("*.jsonl")),
        "broken.db": ["broken.jsonl"],
    }[db]
    numbers: dict[str, int] = {}
    for name in names:
        if db != "examples.db":
            _give_own_addresses(Path(name), numbers)
        done = cadence("--db", db, "--at", IMPORTED, "import", name)
        assert done.exit == 0, done
    return [row[0] for row in rows(db, "SELECT prospect FROM due ORDER BY 1")]


def _give_own_addresses(file: Path, numbers: dict[str, int]) -> None:
    """Tell histories apart: each was made alone, and most of them have one address."""
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines():
        number = numbers.setdefault(json.loads(line)["prospect"], len(numbers))
        line = re.sub(r"(212[ )]*)555", rf"\g<1>{555 + number}", line)
        line = re.sub("@(example.com)", rf"@{number}.\1", line, flags=re.IGNORECASE)
        lines.append(re.sub(r"\b(1 Main Street|Street 1)", rf"{number} \1", line) + "\n")
    file.write_text("".join(lines), encoding="utf-8")


def _lines(name: str) -> list[str]:
    return (INPUTS / name).read_text(encoding="utf-8").splitlines()


def rows(db: str, query: str) -> list[tuple[Any, ...]]:
    """What a database holds."""
    with contextlib.closing(sqlite3.connect(db)) as connection:
        return connection.execute(query).fetchall()


def stored(db: str) -> dict[str, Any]:
    """Tables, due rows and stored events of a database."""
    tables = rows(db, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")
    events = rows(
        db,
        "SELECT originator_id, originator_version, topic, state FROM stored_events ORDER BY 1, 2",
    )
    return {
        "tables": {
            name: [row[1] for row in rows(db, f"PRAGMA table_info({name})")] for (name,) in tables
        },
        "due": [
            list(row) for row in rows(db, "SELECT prospect, verdict, at, wake FROM due ORDER BY 1")
        ],
        "events": [
            [name, version, topic, json.loads(state)] for name, version, topic, state in events
        ],
    }


# The groups ---------------------------------------------------------------------------------------


def group_help(group: Group) -> None:
    """``--help`` of every command and subcommand."""

    def visit(path: tuple[str, ...]) -> None:
        done = group.say(*path, "--help")
        options = re.findall(r"^ +.*?(--[a-z][a-z-]*)", done.out, re.M)
        # They stand in groups, behind the options.
        behind = done.out.partition("Show this message and exit.")[2]
        commands = re.findall(r"^  ([a-z][a-z-]*)  ", behind, re.M)
        name = " ".join(("cadence", *path))
        group.facts[name] = {
            "exit": done.exit,
            "options": sorted(set(options)),
            "commands": commands,
        }
        for one in commands:
            visit((*path, one))

    visit(())
    assert len(group.facts) > 30


def group_reads(group: Group) -> None:
    """Due list, explanation, overview and what-if."""
    for db, instants in INSTANTS.items():
        prospects = fill(db)
        for at in instants:
            group.ask("--db", db, "due", "--at", at)
            group.ask("--db", db, "due", "--all", "--at", at, plain=db == "examples.db")
        if db == "examples.db":
            for prospect, at in itertools.product(prospects, instants[1:4]):
                is_plain = at == instants[2]
                group.ask("--db", db, "explain", prospect, "--at", at, plain=is_plain)
            group.ask("--db", db, "due", "--limit", "2", "--at", instants[2])
            group.ask("--db", db, "due", "--owner", "rosa", "--at", instants[2])
            group.ask("--db", db, "list", "--at", instants[2])
            group.ask("--db", db, "find", "jerry", "--at", instants[2])
            group.ask("--db", db, "show", "show-05", "--at", instants[2])
            group.ask("--db", db, "show", "jerry-opts-out", "--at", instants[2])
            group.ask("--db", db, "replay", "--all", "--until", instants[1])
        group.ask("--db", db, "replay", "--all")
        for policy in CATALOGUE:
            group.ask("--db", db, "whatif", "--policy", policy, "--jobs", "1")
    group.ask("demo")
    group.ask("demo", "--at", "2026-12-04T18:10:00Z")


def group_attempts(group: Group) -> None:
    """What an attempt would break, and what `attempt` does, prospect by prospect."""
    for db, instants in INSTANTS.items():
        prospects = fill(db)
        chosen = (*instants[1:3], instants[-1]) if db == "examples.db" else instants[1:2]
        for prospect, at in itertools.product(prospects, chosen):
            group.ask("--db", db, "may", prospect, "--at", at, plain=False)
            if db == "broken.db":  # `attempt` asks the same
                continue
            shutil.copy(db, "copy.db")
            tried = ("attempt", prospect, "--channel", "call", "--disposition", "no_answer")
            group.judge("--db", "copy.db", *tried, "--at", at)
            at = at.replace("T15:00", "T04:30").replace("T18:1", "T03:1")  # at night
            asked = ("may", prospect, "--channel", "email", "--at", at)
            group.ask("--db", db, *asked, plain=False)


def group_replays(group: Group) -> None:
    """Every example and golden history, step by step."""
    for db in ("examples.db", "golden.db"):
        for prospect in fill(db):
            group.ask("--db", db, "replay", prospect, plain=db == "examples.db")
    group.ask("--db", "examples.db", "replay", "jerry-answers", "--until", "5")
    group.ask("--db", "examples.db", "replay", "jerry-answers", "--until", "2026-12-03T00:00:00Z")
    group.ask("--db", "examples.db", "replay", "jerry-answers", "--policy", "are-you-ok")


def group_audits(group: Group) -> None:
    """Findings, also over histories that break rules."""
    for db in INSTANTS:
        fill(db)
        group.ask("--db", db, "audit", "--jobs", "1")
        group.ask("--db", db, "audit", "--jobs", "1", "--hindsight", plain=False)
    group.ask("--db", "golden.db", "audit", "--jobs", "1", "--policy", "guarded.toml")


def group_policies(group: Group) -> None:
    """The catalogue, differences and what moving prospects would mean."""
    fill("examples.db")
    group.ask("policy", "list")
    group.ask("policy", "schema", plain=False)
    for name in (*CATALOGUE, "guarded.toml"):
        group.ask("policy", "show", name)
    for pair in itertools.combinations(CATALOGUE, 2):
        group.ask("policy", "diff", *pair)
    group.ask("policy", "diff", "tip8", "guarded.toml")
    group.ask("policy", "diff", "tip8", "tip8")
    for name in (*CATALOGUE, "guarded.toml"):
        moved = ("--db", "examples.db", "policy", "adopt", name)
        group.ask(*moved, "--all", "--at", "2026-12-04T18:10:00Z")
    group.ask(*moved, "--all", "--from", "tip8", "--at", "2026-12-14T18:15:00Z")


def group_proofs(group: Group) -> None:
    """Proofs of the catalogue and of every bad policy."""
    paths = sorted(path.name for path in BAD_POLICIES.glob("*.toml"))
    for name in (*CATALOGUE, "guarded.toml", *(f"bad_policies/{name}" for name in paths)):
        group.ask("policy", "check", name, plain=name in CATALOGUE)


def group_stored(group: Group) -> None:
    """Tables, due rows, stored events and exports."""
    for db in INSTANTS:
        fill(db)
        group.facts[db] = stored(db)
        for form in ("jsonl", "csv", "xes"):
            out = cadence("--db", db, "export", "--format", form, "-").out
            group.facts[f"{db} as {form}"] = {
                "bytes": len(out.encode()),
                "sha256": _sha256(out),
            }
            if form == "jsonl":
                cadence("--db", "again.db", "--at", IMPORTED, "import", "-", stdin=out)
        again = stored("again.db")
        group.facts[f"{db} imported again is the same"] = again == group.facts[db]
        if db != "examples.db":  # too long to be read; replays.facts.json has the golden ones
            group.facts[db]["events"] = _sha256(pretty(group.facts[db]["events"]))
        Path("again.db").unlink()


def group_writes(group: Group) -> None:
    """A story of every command that writes, and the database that it leaves."""
    for number, line in enumerate(_lines("writes.txt"), 1):
        day, *arguments = shlex.split(line)
        done = cadence("--db", "story.db", *arguments, "--at", f"2026-{day}:00Z", "--json")
        words: list[str] = []
        name = f"{number} {line}"
        group.facts[name] = {"exit": done.exit, "json": split(documents(done.out), words)}
        group.words[name] = words + [f"stderr: {one}" for one in done.err.splitlines()]
    group.say("--db", "story.db", "note", "zoe", "--guidelines", "--at", "2027-01-04T09:00:00Z")
    group.facts["the database"] = stored("story.db")
    rebuilt = group.say("--db", "story.db", "rebuild")
    group.facts["rebuild"] = rebuilt.exit
    group.facts["rebuild changed nothing"] = stored("story.db") == group.facts["the database"]
    group.ask("--db", "story.db", "audit", "--jobs", "1")
    group.ask("--db", "story.db", "replay", "jerry")
    group.ask("--db", "story.db", "replay", "zoe")
    group.ask("--db", "story.db", "explain", "zoe", "--at", "2027-01-04T10:00:00Z")


def group_refusals(group: Group) -> None:
    """Bad usage, bad input and what is refused."""
    fill("examples.db")
    before = stored("examples.db")
    for line in _lines("bad_calls.txt"):
        arguments = shlex.split(line)
        has_db, has_at = "--db" in arguments, "--at" in arguments
        is_call = len(arguments) > 1
        at = [] if has_at or not is_call else ["--at", "2026-12-21T15:00:00Z"]
        db = [] if has_db or not is_call else ["--db", "copy.db"]
        shutil.copy("examples.db", "copy.db")
        line_of_db = [one.replace("examples.db", "copy.db") for one in arguments]
        done = group.judge(*db, *line_of_db, *at)
        key = shlex.join((*db, *line_of_db, *at))
        group.facts[key]["database changed"] = stored("copy.db") != before
        if done.exit == 2:
            assert "Traceback" not in done.err
    group.facts["databases made"] = sorted(
        path.name for path in Path().glob("*.db") if path.name not in ("examples.db", "copy.db")
    )


GROUPS: dict[str, Callable[[Group], None]] = {
    "help": group_help,
    "reads": group_reads,
    "attempts": group_attempts,
    "replays": group_replays,
    "audits": group_audits,
    "policies": group_policies,
    "proofs": group_proofs,
    "stored": group_stored,
    "writes": group_writes,
    "refusals": group_refusals,
}


@cache
def snapshots(name: str) -> dict[str, str]:
    """The files of a group as the program makes them now."""
    group = Group()
    gc.disable()  # each call leaves a command line behind; looking for it takes a third of the time
    try:
        with workplace():
            GROUPS[name](group)
    finally:
        gc.enable()
    return group.files(name)


# The BPI log --------------------------------------------------------------------------------------


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _facts(text: str) -> Any:
    return split(json.loads(text), [])


@cache
def bpic2012() -> dict[str, str]:
    """Figures and digests of the BPI 2012 log, too long to be kept whole."""
    found: dict[str, Any] = {}
    db = ("--db", "bpic.db")
    with workplace():
        call = ("--at", "2012-04-01T00:00:00Z", "import", str(BPI), "--mapping", "bpic2012")
        found["import"] = json.loads(cadence(*db, *call, "--json").out)
        due = rows("bpic.db", "SELECT prospect, verdict, at, wake FROM due ORDER BY 1")
        found["due"] = dict(sorted(Counter(row[1] for row in due).items()))
        found["due sha256"] = _sha256(json.dumps(due))
        states = rows("bpic.db", "SELECT topic, state FROM stored_events ORDER BY rowid")
        found["events"] = dict(sorted(Counter(row[0] for row in states).items()))
        found["events sha256"] = hashlib.sha256(b"".join(state for _, state in states)).hexdigest()
        for option in ((), ("--hindsight",)):
            done = cadence(*db, "audit", "--jobs", "1", "--json", *option)
            audit = _facts(done.out)
            counts = Counter(one["rule"] for one in audit["findings"])
            name = " ".join(("audit", *option))
            found[name] = {
                "exit": done.exit,
                "prospects": audit["prospects"],
                "events": audit["events"],
                "findings": len(audit["findings"]),
                "by rule": dict(sorted(counts.items())),
                "sha256": _sha256(json.dumps(audit, sort_keys=True)),
            }
        for policy in ("tip8", "until-they-buy-or-say-stop"):
            done = cadence(*db, "whatif", "--policy", policy, "--jobs", "1", "--json")
            whatif = _facts(done.out)
            answered = whatif.pop("answered")
            found[f"whatif {policy}"] = {
                **whatif,
                "answered": len(answered),
                "answered sha256": _sha256(json.dumps(answered, sort_keys=True)),
            }
        at = "2012-03-16T09:30:00Z"
        chosen = [row[0] for row in sorted(due, key=lambda row: (row[1] == "stop", row[0]))][:500]
        explained = [
            _facts(cadence(*db, "explain", name, "--at", at, "--json").out) for name in chosen
        ]
        found[f"explain of 500, the open ones first, at {at}"] = {
            "decisions": dict(sorted(Counter(one["decision"] for one in explained).items())),
            "sha256": _sha256(json.dumps(explained, sort_keys=True)),
        }
    return {"bpic2012.json": pretty(found) + "\n"}


# As a script --------------------------------------------------------------------------------------


def main() -> int:
    """Print how the program differs from the snapshots, or replace them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--write", action="store_true", help="replace the snapshots")
    parser.add_argument("--bpic", action="store_true", help=f"also the BPI log ({BPI.name})")
    options = parser.parse_args()
    made: dict[str, str] = {}
    for name in options.groups or ([] if options.bpic else GROUPS):
        started = time.perf_counter()
        made |= snapshots(name)
        print(f"{name}: {time.perf_counter() - started:.1f} s", file=sys.stderr)
    if options.bpic:
        started = time.perf_counter()
        made |= bpic2012()
        print(f"bpic2012: {time.perf_counter() - started:.1f} s", file=sys.stderr)
    differs = False
    for name, text in made.items():
        path = SNAPSHOTS / name
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        differs |= before != text
        if options.write:
            path.write_text(text, encoding="utf-8")
            continue
        lines = (before.splitlines(keepends=True), text.splitlines(keepends=True))
        sys.stdout.writelines(difflib.unified_diff(*lines, f"a/{name}", f"b/{name}"))
    return int(differs and not options.write)


if __name__ == "__main__":
    sys.exit(main())
