"""Kill -9 at any moment: what was acknowledged is there, and nothing is torn.

A child is forked from this process, which has everything imported already; it writes as fast as it
can and acknowledges every finished command on a pipe. It is killed at a random moment, and the file
is opened again, as after a crash.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from clocks import ahead
from nightly import NIGHTLY

from cadence.domain.channels import CALL, EMAIL
from cadence.domain.codec import encode_line
from cadence.domain.events import (
    AttemptMade,
    ContactPoint,
    Disposition,
    Event,
    InterestNoted,
    OptedBackIn,
    OptOutRequested,
    Part,
    PauseRequested,
    ProspectAdded,
    ReplyReceived,
)
from cadence.engine.commands import Command, MakeAttempt
from cadence.errors import Refused
from cadence.store import Cadence
from cadence.transfer import import_jsonl

# Every round reads all that the earlier ones left in its file.
ROUNDS, ROUNDS_A_FILE = (200, 50) if NIGHTLY else (100, 20)
PROSPECTS = [f"p{number}" for number in range(6)]
GROUP = 3  # prospects of one import
START = datetime(2026, 1, 5, 9, tzinfo=UTC)
BEGUN = b"begun"


def _mark(event: Event) -> str:
    return hashlib.sha256(encode_line(event)).hexdigest()[:20]


def _added(name: str) -> ProspectAdded:
    # No two share an address, or a row may say "look now" where one made later need not.
    points = (
        ContactPoint(CALL, f"+1 212 555 01{name[1:]:0>2}"),
        ContactPoint(EMAIL, f"{name}@x.com"),
    )
    return ProspectAdded(name, "Europe/Berlin", contact_points=points)


def _command(random: Random, at: datetime) -> Command:
    channel = random.choice((CALL, EMAIL))
    part = Part(channel, random.choice(list(Disposition)))
    commands: tuple[Command, ...] = (
        InterestNoted("x" * random.choice((1, 100, 20_000))),
        ReplyReceived(channel),
        AttemptMade((part,)),
        MakeAttempt((part,), is_strict=True),
        MakeAttempt((part,), why="they asked for it"),
        PauseRequested(at + timedelta(days=random.randrange(1, 30))),
        OptOutRequested(channel),
        OptedBackIn(),
    )
    return random.choice(commands)


def _lines(prefix: str, at: datetime) -> list[bytes]:
    """A file with the histories of several prospects, as for an import."""
    found = []
    for number in range(GROUP):
        for offset, data in enumerate(
            (
                '"type":"ProspectAdded","data":{"name":"I","timezone":"UTC"}',
                '"type":"InterestNoted","data":{"text":"%s"}' % ("y" * 3000),
                '"type":"AttemptMade","data":{"parts":[{"channel":"call","disposition":"busy"}]}',
            )
        ):
            when = (at + timedelta(seconds=offset)).isoformat()
            line = f'{{"prospect":"{prefix}-{number}","occurred_at":"{when}",{data}}}\n'
            found.append(line.encode())
    return found


def _write(path: Path, number: int, acknowledge: int) -> None:
    """In the child: write for ever, and say what is done."""
    random = Random(number)
    at = START + timedelta(days=number)
    with Cadence.open(str(path)) as app:
        os.write(acknowledge, BEGUN + b"\n")
        count = 0
        while True:
            count += 1
            at += timedelta(seconds=1)
            if random.random() < 0.1:
                prefix = f"i{number}-{count}"
                import_jsonl(app, _lines(prefix, at), at=ahead())
                events = [one for k in range(GROUP) for one in app.history(f"{prefix}-{k}")]
            else:
                prospect = random.choice(PROSPECTS)
                command = (
                    _command(random, at)
                    if app.histories.of([prospect])[prospect]
                    else _added(prospect)
                )
                try:
                    events = list(app.execute(prospect, command, at=at).events)
                except Refused:
                    continue
            for event in events:
                line = f"{event.prospect} {event.version} {_mark(event)}\n"
                os.write(acknowledge, line.encode())


def _start(path: Path, number: int) -> tuple[int, int]:
    """Fork the child; its pid, and where it acknowledges."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(reading)
            _write(path, number, writing)
        except BaseException as error:
            os.write(writing, f"! {type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(status)  # nothing of the test runner may run twice
    os.close(writing)
    return pid, reading


def _kill(pid: int, reading: int, *, lines: int, seconds: float) -> list[str]:
    """Kill the child so long after so many lines; what it has acknowledged.

    Lines are counted because a busy machine may write nothing in any given time.
    """
    text = b""
    while text.count(b"\n") < lines and (block := os.read(reading, 1 << 16)):
        text += block
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    while block := os.read(reading, 1 << 16):
        text += block
    os.close(reading)
    found = text.decode().splitlines()
    wrong = [line for line in found if line.startswith("!")]
    assert not wrong, wrong
    assert os.WIFSIGNALED(status)
    return [line for line in found if line != BEGUN.decode()]


def _streams(path: Path, *, read_only: bool) -> dict[str, list[Event]]:
    with Cadence.open(str(path), read_only=read_only) as app:
        return {prospect: app.history(prospect) for prospect in app.prospects()}


def _check(path: Path, acknowledged: dict[tuple[str, int], str]) -> None:
    # A reader may be the first who comes after the crash.
    seen = _streams(path, read_only=True)
    streams = _streams(path, read_only=False)
    assert seen == streams
    for prospect, events in streams.items():
        assert [event.version for event in events] == list(range(1, len(events) + 1)), prospect
    stored = {
        (event.prospect, event.version): _mark(event)
        for events in streams.values()
        for event in events
    }
    assert acknowledged.items() <= stored.items()
    _check_groups(streams)
    with Cadence.open(str(path)) as app:
        rows, addresses = app.due_rows.stored(), app._recorder.address_rows(None, "~")
        app.due_rows.rebuild()
        assert app.due_rows.stored() == rows
        assert app._recorder.address_rows(None, "~") == addresses
        assert [row.prospect for row in rows] == sorted(streams)
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()


def _check_groups(streams: dict[str, list[Event]]) -> None:
    """An import is there whole, or not at all."""
    groups: dict[str, list[int]] = defaultdict(list)
    for prospect, events in streams.items():
        if prospect.startswith("i"):
            groups[prospect.rpartition("-")[0]].append(len(events))
    assert all(sizes == [3] * GROUP for sizes in groups.values()), groups


def _take(acknowledged: dict[tuple[str, int], str], lines: Sequence[str]) -> None:
    for line in lines:
        prospect, version, mark = line.split()
        assert (prospect, int(version)) not in acknowledged
        acknowledged[prospect, int(version)] = mark


@pytest.mark.parametrize("first", range(0, ROUNDS, ROUNDS_A_FILE))
def test_what_was_acknowledged_survives_a_kill(first: int, tmp_path: Path) -> None:
    path = tmp_path / "killed.db"
    acknowledged: dict[tuple[str, int], str] = {}
    for number in range(first, first + ROUNDS_A_FILE):
        pid, reading = _start(path, number)
        random = Random(f"kill {number}")
        lines, seconds = random.randrange(1, 20), random.uniform(0, 0.02)
        _take(acknowledged, _kill(pid, reading, lines=lines, seconds=seconds))
        _check(path, acknowledged)
    assert acknowledged


@pytest.mark.parametrize("number", range(20))
def test_a_database_killed_while_it_is_made_can_be_used(number: int, tmp_path: Path) -> None:
    path = tmp_path / "born.db"
    acknowledged: dict[tuple[str, int], str] = {}
    # Killed before it has begun, at several moments of its making.
    pid, reading = _start(path, 1000 + number)
    _take(acknowledged, _kill(pid, reading, lines=0, seconds=number / 1000))
    _check(path, acknowledged)
    with Cadence.open(str(path)) as app:
        version = len(app.histories.of(["p0"])["p0"])
        app.execute("p0", InterestNoted("x") if version else _added("p0"))
    assert [event.version for event in _streams(path, read_only=True)["p0"]] == list(
        range(1, version + 2)
    )
