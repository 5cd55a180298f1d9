"""A real browser for tests of pages: headless Chromium, spoken to over a pair of pipes."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 60.0


def chromium() -> str:
    """Return the browser's program; skip the test where there is none."""
    found = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    return found


class Page:
    """A tab, and what it logged and asked for since it was opened."""

    def __init__(self, pipes: Pipes, target: str) -> None:
        self._pipes = pipes
        attached = pipes.call("Target.attachToTarget", {"targetId": target, "flatten": True})
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """Call a method of the DevTools protocol."""
        return self._pipes.call(method, parameters, self._session)

    def open(self, path: Path, *, width: int, height: int = 900, dark: bool = False) -> None:
        """Show a file on a screen of this size, and wait until all is there."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self._pipes.events.clear()
        self.call("Page.navigate", url=path.as_uri())
        self._pipes.until("Page.loadEventFired")

    def run(self, expression: str) -> Any:
        """Return what an expression of JavaScript comes to."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def complaints(self) -> list[str]:
        """Return what was logged as an error or a warning, and each exception."""
        found = []
        for event in self._pipes.events:
            method, told = event["method"], event["params"]
            if (
                method == "Runtime.exceptionThrown"
                or (method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"))
                or (method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning"))
            ):
                found.append(json.dumps(told))
        return found

    def requests(self) -> list[str]:
        """Return the addresses that were asked for."""
        asked = (event for event in self._pipes.events if event["method"] == "Network.requestWillBeSent")
        return [event["params"]["request"]["url"] for event in asked]

    def screenshot(self, path: Path) -> None:
        """Write what the whole page looks like as a PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(answer["data"]))


class Pipes:
    """The protocol's messages: JSON, each ended by a NUL, over two pipes."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read = write, read
        self._number = 0
        self._rest = b""
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, parameters: dict[str, Any] | None = None, session: str | None = None) -> Any:
        """Call a method and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters or {}}
        if session is not None:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self.events.append(answer)

    def until(self, method: str) -> None:
        """Wait for an event, unless it came already."""
        while not any(event["method"] == method for event in self.events):
            self.events.append(self._next())

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + SECONDS
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "the browser does not answer"
            read = os.read(self._read, 1 << 20)
            assert read, "the browser ended"
            self._rest += read
        message, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found


def _pipe() -> tuple[int, int]:
    """Return a pipe, both ends above the descriptors that the browser takes."""
    ends = os.pipe()
    above = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return above[0], above[1]


@contextmanager
def opened_page(folder: Path) -> Iterator[Page]:
    """Give a tab of a headless browser, whose files are in this folder, and end it afterwards."""
    to_browser, from_us = _pipe()
    to_us, from_browser = _pipe()

    def give() -> None:
        os.dup2(to_browser, 3)  # where the browser reads, and where it writes
        os.dup2(from_browser, 4)

    process = subprocess.Popen(
        [
            chromium(),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--no-first-run",
            "--disable-background-networking",
            "--remote-debugging-pipe",
            f"--user-data-dir={folder / 'profile'}",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=give,
        pass_fds=(3, 4),
    )
    os.close(to_browser)
    os.close(from_browser)
    try:
        pipes = Pipes(from_us, to_us)
        target = pipes.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        yield Page(pipes, target)
        pipes.call("Browser.close")
    finally:
        os.close(from_us)
        os.close(to_us)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
