"""Drives a headless Chromium over its debugging protocol, with nothing but websockets, which viser brings along."""

import base64
import itertools
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
"""The browser's program, if there is one."""
FLAGS = (
    *("--headless=new", "--no-sandbox", "--no-first-run", "--disable-dev-shm-usage", "--disable-background-networking"),
    *("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"),
    *("--window-size=640,420", "--remote-debugging-port=0"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",  # there is no network
)
TIMEOUT = 120.0
KEY_CODES = {"ArrowUp": 38, "ArrowLeft": 37, "ArrowDown": 40, "ArrowRight": 39, "q": 81, "e": 69, " ": 32, "f": 70}


class Page:
    """A page of the browser."""

    def __init__(self, socket: Any) -> None:
        self._socket, self._ids = socket, itertools.count(1)
        self.errors: list[str] = []
        self.requests: list[str] = []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=TIMEOUT))
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    def _note(self, event: dict[str, Any]) -> None:
        """Remember what is asked of the network, and what went wrong."""
        if event.get("method") == "Network.requestWillBeSent":
            self.requests.append(event["params"]["request"]["url"])
        elif event.get("method") == "Runtime.exceptionThrown":
            self.errors.append(str(event["params"]["exceptionDetails"]))

    def evaluate(self, expression: str) -> Any:
        return self.send("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Waits until an expression is true; returns its value."""
        deadline = time.monotonic() + TIMEOUT
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < deadline, f"{expression} did not become true; {self.errors}"
            time.sleep(0.1)
        return value

    def press(self, key: str) -> None:
        code = f"Key{key.upper()}" if key.isalpha() and len(key) == 1 else "Space" if key == " " else key
        what = {"key": key, "code": code, "windowsVirtualKeyCode": KEY_CODES[key]}
        self.send("Input.dispatchKeyEvent", type="keyDown", **what)
        self.send("Input.dispatchKeyEvent", type="keyUp", **what)

    def picture(self) -> np.ndarray:
        """What is seen, as RGB. Shape (height, width, 3)."""
        import imageio.v3 as imageio

        png = base64.b64decode(self.send("Page.captureScreenshot")["data"])
        return imageio.imread(png, extension=".png")[..., :3].astype(float)


@contextmanager
def open_page(address: str) -> Iterator[Page]:
    """Opens an address in a browser of its own."""
    from websockets.sync.client import connect

    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory() as profile:
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            assert browser.stderr is not None
            url = next(filter(None, (re.search(r"ws://[^/]+", line) for line in browser.stderr)))[0]
            targets = _targets(url, Path(profile))
            with connect(targets, max_size=None, open_timeout=TIMEOUT) as socket:
                page = Page(socket)
                page.send("Page.navigate", url=address)
                yield page
        finally:
            browser.kill()
            browser.communicate()


def _targets(url: str, profile: Path) -> str:
    """Address of the debugger of the first page."""
    from urllib.request import urlopen

    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        with urlopen(url.replace("ws://", "http://") + "/json/list", timeout=TIMEOUT) as answer:
            pages = [each for each in json.load(answer) if each["type"] == "page"]
        if pages:
            return pages[0]["webSocketDebuggerUrl"]
        time.sleep(0.1)
    raise AssertionError(f"the browser has no page; its profile is {profile}")
