"""The command line as the tests run it: what a run leaves, and where the command is."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

CADENCE = str(Path(sys.executable).parent / "cadence")
INSTANT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
ADDED = "2026-11-30T15:00:00Z"
"""When Jerry is added: a Monday."""


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self
        assert self.err == ""
        return json.loads(self.out)


Cli = Callable[..., Done]


def two_lines(done: Done, code: int, *named: str) -> None:
    assert done.code == code, done
    assert done.out == ""
    assert done.err.count("\n") == 2, done.err
    assert "Traceback" not in done.err
    for text in named:
        assert text in done.err
