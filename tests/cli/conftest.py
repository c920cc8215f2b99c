"""What the tests of the command line start from."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from command_line import ADDED, Cli, Done

from cadence.cli.main import main


@pytest.fixture
def raw(capfdbinary: pytest.CaptureFixture[bytes]) -> Cli:
    """The command line in this process; anything that escapes it fails the test."""

    def run(*arguments: object) -> Done:
        capfdbinary.readouterr()
        code = main([str(one) for one in arguments])
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return Done(code, out.decode(), err.decode())

    return run


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "cadence.db"


@pytest.fixture
def cli(raw: Cli, db: Path) -> Cli:
    """The command line with ``--db``."""

    def run(*arguments: object) -> Done:
        return raw(*arguments, "--db", db)

    return run


@pytest.fixture
def jerry(cli: Cli) -> Cli:
    """Jerry has been added."""
    done = cli(
        *("add", "jerry", "--name", "Jerry Doe", "--timezone", "America/New_York"),
        *("--country", "US", "--call", "+12125550100", "--email", "jerry@example.com"),
        *("--at", ADDED),
    )
    assert done.code == 0
    return cli


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
