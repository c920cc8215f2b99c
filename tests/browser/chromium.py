"""A headless Chromium, spoken to over a pipe in its own protocol; ADR 0025 says why no driver.

The browser gets a profile of its own and two pipes, no port. What it logs, and every request it
makes, is kept for the test to look at.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["Browser", "Tab", "find_browser", "open_browser"]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_PATIENCE = 60.0  # seconds; only a browser that hangs takes that long


def find_browser() -> str:
    """The browser to use: CADENCE_BROWSER, or a Chromium on the path."""
    named = os.environ.get("CADENCE_BROWSER")
    found = shutil.which(named) if named else next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        what = f"CADENCE_BROWSER={named} is no program" if named else "no Chromium was found"
        raise SystemExit(
            f"{what}\nget one with: apt-get update && apt-get install chromium"
            " (or name yours: CADENCE_BROWSER=/path/to/chrome make test-browser)"
        )
    return found


class Browser:
    """A running browser; :meth:`tab` opens a page in it."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._buffer = b""
        self._last = 0
        self._events: list[dict[str, Any]] = []

    def send(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its result."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._to, data) :]
        wanted = self._last
        while True:
            found = self._receive(_PATIENCE)
            if found is None:
                raise TimeoutError(f"{method}: the browser does not answer")
            if found.get("id") == wanted:
                if "error" in found:
                    raise RuntimeError(f"{method}: {found['error']}")
                result: dict[str, Any] = found["result"]
                return result
            self._events.append(found)

    def events(self, session: str) -> list[dict[str, Any]]:
        """What the browser told of a tab so far."""
        while (found := self._receive(0)) is not None:
            self._events.append(found)
        return [event for event in self._events if event.get("sessionId") == session]

    def wait_for(self, method: str, session: str, seen: int) -> None:
        """Wait until the browser has told of ``method`` more than ``seen`` times."""
        until = time.monotonic() + _PATIENCE
        while sum(event["method"] == method for event in self.events(session)) <= seen:
            if time.monotonic() > until:
                raise TimeoutError(f"{method} did not come")
            found = self._receive(1)
            if found is not None:
                self._events.append(found)

    def _receive(self, seconds: float) -> dict[str, Any] | None:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from], [], [], seconds)
            if not ready:
                return None
            block = os.read(self._from, 1 << 20)
            if not block:
                raise EOFError("the browser has ended")
            self._buffer += block
        line, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(line)
        return found

    @contextmanager
    def tab(self, width: int = 1280, height: int = 900, *, dark: bool = False) -> Iterator[Tab]:
        """A fresh tab."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, session)
        for domain in ("Page", "Runtime", "Network", "Log", "Accessibility"):
            tab.send(f"{domain}.enable")
        tab.resize(width, height)
        tab.media(dark=dark)
        yield tab
        self.send("Target.closeTarget", targetId=target)


class Tab:
    """One page."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session = browser, session

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        return self._browser.send(method, self._session, **params)

    def resize(self, width: int, height: int) -> None:
        """Show the page on a screen of so many pixels; narrow ones are phones."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if width < 500 else 1,
            mobile=width < 500,
        )

    def media(self, *, dark: bool = False, kind: str = "") -> None:
        """Dark or light; ``kind`` is ``print`` for paper."""
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.send("Emulation.setEmulatedMedia", media=kind, features=features)

    def open(self, path: Path, fragment: str = "") -> None:
        """Load a file, and wait until it is there."""
        # By way of an empty page: another fragment alone would load nothing.
        for url in ("about:blank", path.as_uri() + fragment):
            seen = sum(e["method"] == "Page.loadEventFired" for e in self._events())
            self.send("Page.navigate", url=url)
            self._browser.wait_for("Page.loadEventFired", self._session, seen)

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        found = self.send("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"])
        return found["result"].get("value")

    def press(self, key: str, times: int = 1) -> None:
        """Press a key, wherever the focus is."""
        code = _KEYS.get(key, (ord(key.upper()[0]), None))
        params: dict[str, Any] = {"key": key, "windowsVirtualKeyCode": code[0], "code": key}
        if code[1] is not None or len(key) == 1:
            params["text"] = code[1] or key
        for _ in range(times):
            self.send("Input.dispatchKeyEvent", type="keyDown", **params)
            self.send("Input.dispatchKeyEvent", type="keyUp", **params)

    def click(self, x: float, y: float) -> None:
        """Click at a point of the screen."""
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def click_on(self, selector: str) -> None:
        """Click into the middle of an element."""
        box = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center', inline: 'center'});"
            " const r = e.getBoundingClientRect();"
            " return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        self.click(*box)

    def text(self, selector: str) -> str:
        """What an element shows, as a reader sees it; spaces drawn together."""
        shown = self.run(f"document.querySelector({json.dumps(selector)}).innerText")
        return " ".join(str(shown).split())

    def tree(self) -> list[dict[str, Any]]:
        """What a screen reader is told: role, name and description of each node."""
        nodes = self.send("Accessibility.getFullAXTree")["nodes"]
        return [node for node in nodes if not node.get("ignored")]

    def screenshot(self, *, whole: bool = False) -> bytes:
        """A PNG of the screen, or of the whole page."""
        params = {"captureBeyondViewport": True} if whole else {}
        if whole:
            size = self.send("Page.getLayoutMetrics")["cssContentSize"]
            params["clip"] = {**size, "scale": 1}
        return base64.b64decode(self.send("Page.captureScreenshot", format="png", **params)["data"])

    def pdf(self) -> bytes:
        """The page as it would be printed."""
        found = self.send("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
        return base64.b64decode(found["data"])

    def complaints(self) -> list[str]:
        """Everything the page logged, and every error nobody caught."""
        found = []
        for event in self._events():
            if event["method"] in (
                "Runtime.consoleAPICalled",
                "Runtime.exceptionThrown",
                "Log.entryAdded",
            ):
                found.append(json.dumps(event["params"])[:2000])
        return found

    def requests(self) -> list[str]:
        """Every address that was asked for."""
        return [
            event["params"]["request"]["url"]
            for event in self._events()
            if event["method"] == "Network.requestWillBeSent"
        ]

    def _events(self) -> list[dict[str, Any]]:
        return self._browser.events(self._session)


_KEYS: dict[str, tuple[int, str | None]] = {
    "ArrowLeft": (37, None),
    "ArrowRight": (39, None),
    "ArrowUp": (38, None),
    "ArrowDown": (40, None),
    "Home": (36, None),
    "End": (35, None),
    "Tab": (9, None),
    "Enter": (13, "\r"),
}


# The browser reads from descriptor 3 and writes to 4.
_ON_3_AND_4 = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4);"
    " os.execvp(sys.argv[3], sys.argv[3:])"
)


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are not among the first ten descriptors."""
    ends = os.pipe()
    moved = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return moved[0], moved[1]


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start a browser, and end it whatever happens."""
    program = find_browser()
    ours_in, theirs_out = _pipe()
    theirs_in, ours_out = _pipe()
    with tempfile.TemporaryDirectory(prefix="cadence-browser-", ignore_cleanup_errors=True) as home:
        arguments = [
            *("--headless=new", "--remote-debugging-pipe", f"--user-data-dir={home}"),
            *("--no-first-run", "--no-default-browser-check", "--disable-gpu", "--hide-scrollbars"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--disable-dev-shm-usage", "--force-color-profile=srgb", "about:blank"),
        ]
        if os.geteuid() == 0:
            arguments.insert(0, "--no-sandbox")  # it refuses to start as root with one
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", _ON_3_AND_4, str(theirs_in), str(theirs_out)),
                *(program, *arguments),
            ],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            yield Browser(ours_out, ours_in)
        finally:
            os.close(ours_out)  # it ends when nobody speaks to it any more
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(ours_in)
