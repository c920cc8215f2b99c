"""The example service in real processes: uvicorn with its workers, a clock, and clients."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import paths

_SECONDS = 30  # until which the service has to answer
_TRIES = 200
TESTED = ("--factory", "web_service_app:create", "--workers", "2")


class Server:
    """uvicorn with two workers on one database; it is stopped with :meth:`stop`."""

    def __init__(self, address: str, folder: Path, now: datetime) -> None:
        self._address, self._folder = address, folder
        self.set_clock(now)
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def set_clock(self, now: datetime) -> None:
        """Let every worker see another time."""
        written = self._folder / "clock.new"
        written.write_text(now.isoformat())
        written.rename(self._folder / "clock")  # none reads half of it

    def start(self, command: Sequence[str] = TESTED) -> None:
        """Start uvicorn with its arguments, and wait until both workers run."""
        log = self._folder / "log"
        environment = {
            **os.environ,
            "CADENCE_DB": self._address,
            "CADENCE_TEST_CLOCK": str(self._folder / "clock"),
            "PYTHONPATH": os.pathsep.join([str(paths.EXAMPLES), str(paths.TESTS / "support")]),
        }
        port = httpx.URL(self.url).port if self.url else 0
        with log.open("wb") as written:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "uvicorn", *command, "--port", str(port), "--no-access-log"],
                stdout=written,
                stderr=written,
                env=environment,
                cwd=paths.ROOT,
            )
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            text = log.read_text()
            found = re.search(r"running on (http://\S+)", text)
            if found and text.count("startup complete") == 2:
                self.url = found[1]
                return
            assert self._process.poll() is None, text
            time.sleep(0.02)
        raise AssertionError(f"the service did not start:\n{log.read_text()}")

    def stop(self) -> None:
        """End the service as an administrator does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            assert self._process.wait(_SECONDS) == 0, (self._folder / "log").read_text()
            self._process = None

    def workers(self) -> set[int]:
        """The processes that answer, as they say themselves; both, while both run."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        return {
            int(child)
            for child in children.split()
            if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()
        }

    def client(self, user: str = "kim") -> Client:
        return Client(self.url, user)


class Client:
    """A caller that repeats what it got no answer to, or was told to repeat."""

    def __init__(self, url: str, user: str) -> None:
        # Each request may reach another worker, so no connection is kept.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.Client(
            base_url=url, headers={"X-User": user}, timeout=_SECONDS, limits=limits
        )
        self.tried_again = 0

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Ask until there is an answer that is not 503."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        for _ in range(_TRIES):
            try:
                answer = self._http.request(method, path, json=body, headers=named)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code != 503:
                return answer
            self.tried_again += 1
            time.sleep(0.02)
        raise AssertionError(f"{method} {path}: no answer")

    def get(self, path: str) -> Any:
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def do(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Ask for what has to succeed."""
        answer = self.call(method, path, body, **headers)
        assert answer.is_success, answer.text
        return answer.json()


@contextmanager
def running(address: str, folder: Path, now: datetime) -> Iterator[Server]:
    """Start the service, and stop it at the end."""
    server = Server(address, folder, now)
    try:
        server.start()
        yield server
    finally:
        server.stop()
