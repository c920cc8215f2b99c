"""Imports of any size: bounded memory, and all or nothing also when they are killed.

The default run takes megabytes; the nightly profile takes the 1 GB that is promised.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from clocks import AFTER, ahead
from nightly import NIGHTLY

from cadence.cli.main import main
from cadence.errors import StoreError
from cadence.store import Cadence
from cadence.transfer import ImportRefused, import_jsonl
from cadence.transfer.importer import prepare
from cadence.transfer.jsonl import JsonlSource
from cadence.transfer.staging import StagingArea

MEGABYTES = 1024 if NIGHTLY else 24
PROSPECTS = 100_000 if NIGHTLY else 4_000

HEADER = (
    b"Record ID,Activity date,Call direction,Call outcome,Call status,To Number,"
    b"Associated Contact IDs,Call notes\n"
)


def calls(megabytes: float) -> Iterator[bytes]:
    """A HubSpot export of about this size, made as it is read; one call in fifty is over."""
    yield HEADER
    made = number = 0
    note = b'"' + b'They asked to be called again, ""after"" the fair.\n' * 40 + b'"'
    while made < megabytes * 1_000_000:
        number += 1
        status = b"COMPLETED" if number % 50 == 0 else b"RINGING"
        day, response = number % 27 + 1, number * 7919 % 2_000
        row = b"%d,2026-03-%02dT15:00:00Z,OUTBOUND,No answer,%b,+1,%d,%b\n"
        row %= (number, day, status, response, note)
        made += len(row)
        yield row


# A process of its own that says at the end how much memory it held at most, in kB.
MEASURED = textwrap.dedent(
    """
    import sys, resource
    from cadence.cli.main import main
    code = main(sys.argv[1:])
    try:
        status = open("/proc/self/status").read()
        peak = int(status.partition("VmHWM:")[2].split()[0])
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.stderr.write(f"peak {peak}\\n")
    sys.exit(code)
    """
)


def measured(blocks: Iterator[bytes], *arguments: str) -> tuple[int, dict]:
    """Run the command on these blocks; its peak of memory in kB, and what it said."""
    with subprocess.Popen(
        [sys.executable, "-c", MEASURED, *arguments, "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        for block in blocks:
            process.stdin.write(block)
        out, err = process.communicate()
    assert process.returncode == 0, err.decode()
    return int(err.decode().rpartition("peak ")[2]), json.loads(out)


def test_a_table_of_any_size_is_imported_in_bounded_memory(tmp_path: Path) -> None:
    how = ["--mapping", "hubspot_calls", "--timezone", "Europe/Berlin"]
    peaks = []
    for number, size in enumerate((MEGABYTES / 12, MEGABYTES)):
        db = str(tmp_path / f"{number}.db")
        peak, said = measured(calls(size), "import", "-", *how, "--db", db)
        assert said["rows"] > size * 400
        assert said["passed_over"]["a call that is not over yet"] > said["rows"] * 0.9
        peaks.append(peak)
    assert peaks[1] < peaks[0] * 1.2, peaks


def lives(count: int) -> Iterator[bytes]:
    """Histories as JSONL, in no order of ids, an event of each at a time."""
    for kind in range(3):
        for number in range(count):
            prospect = f"p{number * 7919 % count:07}"
            data = (
                '"type":"ProspectAdded","data":{"name":"K","timezone":"Europe/Berlin"}',
                '"type":"InterestNoted","data":{"text":"a bigger one"}',
                '"type":"OptOutRequested","data":{}',
            )[kind]
            at = f"2026-03-02T1{kind}:00:00Z"
            yield f'{{"prospect":"{prospect}","occurred_at":"{at}",{data}}}\n'.encode()


def test_many_prospects_take_no_more_memory_than_few(tmp_path: Path) -> None:
    peaks = []
    for count in (PROSPECTS, PROSPECTS * 4):
        db = str(tmp_path / f"{count}.db")
        peak, said = measured(lives(count), "import", "-", "--db", db)
        assert (said["prospects"], said["events"]) == (count, 3 * count)
        peaks.append(peak)
    assert peaks[1] < peaks[0] * 1.2, peaks


def test_bad_lines_without_end_are_all_reported_in_bounded_memory(tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_bytes(b"garbage\n" * 50_000)
    with file.open("rb") as lines, pytest.raises(ImportRefused) as caught:
        import_jsonl(Cadence.open(), lines, at=ahead())
    bad = caught.value.lines
    assert len(bad) == 50_000
    assert [one.number for one in bad] == list(range(1, 50_001))
    assert (bad[0].number, bad[-1].number, bad[3:5][1].number) == (1, 50_000, 5)
    assert sum(1 for _ in caught.value.details()) == 50_000
    assert str(caught.value).count("\n") < 30


# All or nothing -----------------------------------------------------------------------------------


def _kill_after(process: subprocess.Popen, seconds: float) -> None:
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_an_import_that_is_killed_leaves_nothing_and_can_be_done_again(tmp_path: Path) -> None:
    file = tmp_path / "lives.jsonl"
    file.write_bytes(b"".join(lives(PROSPECTS)))
    whole = tmp_path / "whole.db"
    began = time.monotonic()
    assert main(["import", "--at", AFTER, str(file), "--db", str(whole)]) == 0
    took = time.monotonic() - began
    with Cadence.open(str(whole)) as app:
        wanted = app.due_rows.stored()
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    killed = 0
    for tenth in range(1, 13) if NIGHTLY else range(2, 13, 2):
        db = tmp_path / f"{tenth}.db"
        command = [sys.executable, "-m", "cadence", "import", str(file), "--db", str(db)]
        environment = {**os.environ, "TMPDIR": str(temporary), "SQLITE_TMPDIR": str(temporary)}
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
        _kill_after(process, took * tenth / 10)
        killed += process.returncode != 0
        assert list(temporary.iterdir()) == []
        with Cadence.open(str(db), read_only=True) as app:
            found = len(list(app.prospects()))
        assert found in (0, PROSPECTS)
        if process.returncode == 0:
            assert found == PROSPECTS
        assert main(["import", "--at", AFTER, str(file), "--db", str(db)]) == 0
        with Cadence.open(str(db)) as app:
            assert app.due_rows.stored() == wanted
        connection = sqlite3.connect(db)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()
    assert killed


def test_a_reader_sees_nothing_of_an_import_before_it_is_whole(tmp_path: Path) -> None:
    db = str(tmp_path / "x.db")
    with Cadence.open(db) as app, Cadence.open(db, read_only=True) as reader:

        def batches():
            for number, one in enumerate(prepared):
                yield one
                if number % 100 == 0:
                    assert list(reader.prospects()) == []

        with prepare(app, JsonlSource(lives(1_000))) as good:
            prepared = list(good.batches())
        assert app.histories.append_prepared(batches()) == 3_000
        assert len(list(reader.prospects())) == 1_000


def test_an_error_in_the_middle_of_the_writing_leaves_nothing(tmp_path: Path) -> None:
    for place in (None, str(tmp_path / "x.db")):
        with Cadence.open(place) as app:
            with prepare(app, JsonlSource(lives(1_000))) as good:
                prepared = list(good.batches())

            def interrupted(whole=prepared):
                yield from whole[:900]
                raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                app.histories.append_prepared(interrupted())
            assert list(app.prospects()) == []
            assert app.due_rows.stored() == []
            assert app.histories.append_prepared(prepared) == 3_000


def test_where_there_is_no_room_to_sort_the_import_says_so(tmp_path: Path) -> None:
    area = StagingArea(by_time=False)
    area.close()
    with pytest.raises(StoreError, match="TMPDIR") as caught:
        list(area.by_prospect())
    assert "nothing was imported" in caught.value.what
