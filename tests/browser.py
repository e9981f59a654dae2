"""A real browser without a window, led by hand: keys, clicks and screenshots over its debugging protocol."""

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import time
from pathlib import Path
from urllib.request import urlopen

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
PATIENCE = 300  # seconds, of a machine that has much else to do
KEYS = {"Enter": 13, "ArrowRight": 39}
SHIFT = 8


def wait_for(what, found):
    """Return what a function returns as soon as that is true."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if it := found():
            return it
        time.sleep(0.2)
    raise TimeoutError(f"no {what} in {PATIENCE} s")


class Page:
    """A page of the browser."""

    def __init__(self, socket):
        self._socket, self._numbers = socket, itertools.count()

    def __call__(self, method, **parameters):
        """Have the browser do something, and return its answer."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (answer := json.loads(self._socket.recv())).get("id") != number:
            pass  # what the browser tells of its own accord
        return answer["result"]

    def ask(self, script):
        """Return the value of an expression in the page."""
        return self("Runtime.evaluate", expression=script)["result"].get("value")

    def focus(self, selector):
        """Give the keyboard to an element, once it is there."""
        wait_for(selector, lambda: self.ask(f"document.querySelector({selector!r}) !== null"))
        self.ask(f"document.querySelector({selector!r}).focus()")

    def press(self, key, modifiers=0):
        """Press a key and let go of it."""
        for kind in ("rawKeyDown", "keyUp"):
            code = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
            self("Input.dispatchKeyEvent", type=kind, modifiers=modifiers, **code)

    def screenshot(self, path):
        """Write what the page looks like."""
        Path(path).write_bytes(base64.b64decode(self("Page.captureScreenshot")["data"]))


@contextlib.contextmanager
def page_of(address, folder):
    """Open an address, with a profile that the browser keeps in a folder."""
    import websocket  # comes with JupyterLab

    profile = Path(folder) / "profile"
    size = "--window-size=1500,900"
    command = [BROWSER, *OPTIONS, size, f"--user-data-dir={profile}", "--remote-debugging-port=0", address]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
        try:
            told = profile / "DevToolsActivePort"
            port = wait_for("browser", lambda: told.exists() and told.read_text().splitlines()[0])

            def tab():
                with urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
                    tabs = [tab for tab in json.load(answer) if tab["type"] == "page"]
                return tabs and tabs[0]["webSocketDebuggerUrl"]

            socket = websocket.create_connection(wait_for("tab", tab), suppress_origin=True, timeout=PATIENCE)
            try:
                yield Page(socket)
            finally:
                socket.close()
        finally:
            browser.terminate()
