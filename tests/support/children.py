"""Forked children of a test, and the descriptors of a process."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Child(NamedTuple):
    """A forked child that tells what its function returned."""

    pid: int
    heard: int

    def result(self) -> str:
        """Wait for the end; what the function returned, or the traceback of what it raised."""
        with os.fdopen(self.heard) as told:
            text = told.read()
        _, status = os.waitpid(self.pid, 0)
        assert status == 0, f"the child ended with {status}: {text}"
        return text


def fork(function: Callable[[], object], *, seconds: int = 60) -> Child:
    """Call a function in a forked child; one that hangs is ended after so many seconds."""
    heard, tells = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(seconds)
            os.close(heard)
            try:
                text = str(function())
                status = 0
            except BaseException:
                text = traceback.format_exc()
            with os.fdopen(tells, "w") as told:
                told.write(text)
        finally:
            os._exit(status)  # nothing of the test runner may run twice
    os.close(tells)
    return Child(pid, heard)


def descriptors() -> dict[int, str]:
    """The open descriptors of this process, each with what it leads to."""
    found = {}
    for one in Path("/proc/self/fd").iterdir():
        try:
            found[int(one.name)] = str(one.readlink())
        except FileNotFoundError:  # that of the folder itself
            continue
    return found
