"""Programs with other versions of ``holidays`` and ``tzdata`` share a store, as in an upgrade."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import data_version
import pgserver
import pytest

SCRIPT = str(Path(data_version.__file__))


def start(address: str, data: str, do: str, number: int = 0) -> subprocess.Popen[str]:
    arguments = [sys.executable, SCRIPT, address, data, do, str(number)]
    return subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)


def ends_well(*programs: subprocess.Popen[str]) -> None:
    for program in programs:
        _, said = program.communicate(timeout=120)
        assert program.returncode == 0, said


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_during_an_upgrade_of_the_data_nobody_is_missed_and_no_writer_refused(
    kind: str, tmp_path: Path
) -> None:
    address = str(tmp_path / "a.db") if kind == "sqlite" else pgserver.new_address()
    ends_well(start(address, "old", "write", 0))
    ends_well(
        start(address, "old", "write", 1),
        start(address, "new", "write", 2),
        start(address, "old", "rebuild"),
        start(address, "new", "rebuild"),
    )
    for data in ("old", "new"):
        ends_well(start(address, data, "check"))
