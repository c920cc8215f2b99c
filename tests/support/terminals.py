"""Commands in a terminal: one of a process of their own, and one that is imagined."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path

import pytest
from command_line import CADENCE

from cadence.cli.main import main

_PRESSES = 6
WIDTHS = (40, 60, 80, 100, 200)
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def bare(text: str) -> str:
    """``text`` without what steers a terminal."""
    return _ESCAPE.sub("", text).replace("\r\n", "\n")


class _Window(io.StringIO):
    """Standard output that says it is a terminal."""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1


def shown(monkeypatch: pytest.MonkeyPatch, width: int, *arguments: object) -> tuple[int, str]:
    """The exit code of a command in this process and what it draws in a window of that width."""
    window = _Window()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", window)
        patch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((width, 40)))
        patch.setenv("TERM", "xterm-256color")
        patch.delenv("NO_COLOR", raising=False)
        code = main([str(one) for one in arguments])
    return code, window.getvalue()


def _log_in(terminal: int) -> None:
    """Whoever sits there can interrupt, even if the tests were started in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.login_tty(terminal)


class Terminal:
    """A command in a terminal of so many columns."""

    def __init__(self, folder: Path, *arguments: str, columns: int = 80) -> None:
        self._primary, secondary = pty.openpty()
        fcntl.ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
        self._process = subprocess.Popen(
            [CADENCE, *arguments],
            cwd=folder,
            env={**environment, "TERM": "xterm-256color"},
            preexec_fn=lambda: _log_in(secondary),
        )
        os.close(secondary)
        self.text = ""

    def _read(self) -> str:
        """What came; nothing at the end."""
        ready, _, _ = select.select([self._primary], [], [], 30)
        if not ready:
            self._process.kill()
            raise AssertionError(f"it says no more than {self.text!r}")
        try:
            return os.read(self._primary, 1 << 16).decode()
        except OSError:  # the other end is closed
            return ""

    def wait_for(self, text: str) -> None:
        """Read until the command has written ``text``."""
        while text not in self.text:
            more = self._read()
            assert more, self.text
            self.text += more

    def type(self, text: str) -> None:
        os.write(self._primary, text.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C, as somebody would until it is over: one that comes just before the
        interpreter waits for a line is seen with the next key only.
        """
        time.sleep(0.2)
        for _ in range(_PRESSES):
            self.type("\x03")
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
                return
        self._process.kill()
        raise AssertionError(f"it can't be interrupted: {self.text!r}")

    def end(self) -> int:
        """Read to the end; the exit code."""
        while more := self._read():
            self.text += more
        os.close(self._primary)
        return _wait(self._process)

    def hang_up(self) -> int:
        """Close the window; the exit code."""
        os.close(self._primary)
        return _wait(self._process)


def _wait(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def talk(folder: Path, arguments: list[str], answers: str) -> tuple[int, str]:
    """Run a command in a terminal, and type."""
    terminal = Terminal(folder, *arguments)
    terminal.type(answers)
    return terminal.end(), terminal.text
