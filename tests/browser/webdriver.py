"""Firefox and WebKit by WebDriver, as little of it as a smoke run needs: Firefox speaks Marionette, WebKit's driver HTTP.

Both take the same commands under two names. Elements are looked for by what a person calls them; clicks and keys are real ones.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from cli.setup import smoke_browsers
from tests.harness import PATIENCE, until

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
COMMANDS = {
    "Navigate": ("POST", "/url"),
    "ExecuteScript": ("POST", "/execute/sync"),
    "ElementClick": ("POST", "/element/{id}/click"),
    "ElementSendKeys": ("POST", "/element/{id}/value"),
    "TakeScreenshot": ("GET", "/screenshot"),
}
CAPABILITIES = {"acceptInsecureCerts": True}
"""The certificate is of an authority that is made for the test."""

NAMED = """
const [kinds, name] = arguments;
const called = (one) => (one.getAttribute("aria-label") || one.labels?.[0]?.textContent || one.textContent || "").trim();
const usable = (one) => one.checkVisibility() && one.getAttribute("aria-disabled") !== "true";
return [...document.querySelectorAll(kinds)].find((one) => called(one).startsWith(name) && usable(one)) || null;
"""


class Wire(Protocol):
    """How a command gets there."""

    def command(self, name: str, parameters: dict[str, Any]) -> Any:
        """What is answered. Raise AssertionError when it is refused."""
        ...


class Marionette:
    """Firefox's own protocol: each message with its length before it."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._file = self._socket.makefile("rb")
        self._count = 0
        self._receive()
        self.command("NewSession", CAPABILITIES)

    def command(self, name: str, parameters: dict[str, Any]) -> Any:
        self._count += 1
        body = json.dumps([0, self._count, f"WebDriver:{name}", parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(body), body))
        _, _, error, result = self._receive()
        assert error is None, (name, error)
        return result["value"] if isinstance(result, dict) and "value" in result else result

    def _receive(self) -> Any:
        length = b""
        while (mark := self._file.read(1)) != b":":
            assert mark, "Firefox has hung up"
            length += mark
        return json.loads(self._file.read(int(length)))


class OverHttp:
    """The W3C's protocol."""

    def __init__(self, port: int, options: dict[str, Any]) -> None:
        self._port = port
        made = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": CAPABILITIES | options}})
        self._session = f"/session/{made['sessionId']}"

    def command(self, name: str, parameters: dict[str, Any]) -> Any:
        method, path = COMMANDS[name]
        return self._ask(method, self._session + path.format(**parameters), parameters)

    def _ask(self, method: str, path: str, body: dict[str, Any]) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        connection.request(method, path, json.dumps(body) if method == "POST" else None)
        response = connection.getresponse()
        told = json.loads(response.read())["value"]
        connection.close()
        assert response.status == 200, (path, told)
        return told


class Driver:
    """One browser with one page."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def go(self, url: str) -> None:
        """Open a page."""
        self._wire.command("Navigate", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """What the body of a function returns in the page."""
        return self._wire.command("ExecuteScript", {"script": script, "args": list(arguments)})

    def until(self, expression: str, *arguments: Any) -> Any:
        """The first true value of an expression; `arguments` stand in `arguments`."""
        return until(lambda: self.run(f"return {expression}", *arguments), f"{expression} {arguments}")

    def sees(self, text: str, within: str = "body") -> None:
        """Wait until this text is there."""
        self.until("document.querySelector(arguments[0])?.innerText.includes(arguments[1])", within, text)

    def click(self, name: str, kinds: str = "button, a, summary") -> None:
        """Click what is called so, once it is there and can be clicked."""
        self._wire.command("ElementClick", {"id": self._named(name, kinds)})

    def write(self, name: str, text: str, kinds: str = "input, textarea") -> None:
        """Type into the field that is called so."""
        self._wire.command("ElementSendKeys", {"id": self._named(name, kinds), "text": text})

    def _named(self, name: str, kinds: str) -> str:
        found = until(lambda: self.run(NAMED, kinds, name), f"{name!r} is there")
        return str(found[ELEMENT])


@contextmanager
def browser(name: str, folder: Path) -> Iterator[Driver]:
    """This browser with nothing kept, and nothing of it afterwards."""
    program = smoke_browsers.find(name)
    assert program, (
        f"{name} is missing: ./test installs it, or {smoke_browsers.VARIABLE} names those that are to be tested."
    )
    folder.mkdir()
    with ExitStack() as stack:
        yield Driver(_firefox(program, folder, stack) if name == "firefox" else _webkit(program, folder, stack))


def _firefox(program: str, folder: Path, stack: ExitStack) -> Wire:
    (folder / "user.js").write_text(
        'user_pref("marionette.port", 0);\nuser_pref("browser.shell.checkDefaultBrowser", false);\n'
    )
    command = [program, "--headless", "--marionette", "--no-remote", "--profile", str(folder)]
    _start(stack, folder, command, {"MOZ_DISABLE_CONTENT_SANDBOX": "1", "MOZ_CRASHREPORTER_DISABLE": "1"})
    port = folder / "MarionetteActivePort"
    return Marionette(int(until(lambda: port.exists() and port.read_text(), "Firefox listens")))


def _webkit(program: str, folder: Path, stack: ExitStack) -> Wire:
    reading, writing = os.pipe()
    with os.fdopen(reading) as told:
        display = [
            smoke_browsers.DISPLAY,
            "-displayfd",
            str(writing),
            "-screen",
            "0",
            "800x1000x24",
            "-nolisten",
            "tcp",
        ]
        try:
            _start(stack, folder, display, {}, pass_fds=(writing,))
        finally:
            os.close(writing)
        number = told.readline().strip()  # the whole line: it ends when it cannot write that
    quiet = {
        "DISPLAY": f":{number}",
        "NO_AT_BRIDGE": "1",
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "WEBKIT_DISABLE_DMABUF_RENDERER": "1",
    }
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    _start(stack, folder, [program, f"--port={port}", "--host=127.0.0.1"], quiet)
    until(lambda: _listens(port), "WebKit's driver listens")
    return OverHttp(port, {"webkitgtk:browserOptions": {"binary": _small_browser(program), "args": ["--automation"]}})


def _small_browser(driver: str) -> str:
    found = sorted(Path("/usr").glob("lib*/**/webkit2gtk-4.*/MiniBrowser"))
    assert found, f"{driver} is here, but no MiniBrowser"
    return str(found[-1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _start(
    stack: ExitStack, folder: Path, command: list[str], more: dict[str, str], pass_fds: tuple[int, ...] = ()
) -> None:
    """A process in a group of its own, which ends with the test, with all that it has started."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "LANG": "C.UTF-8",
        **more,
    }
    with open(folder / "said", "ab") as output:
        child = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=pass_fds,
        )
    stack.callback(_end, child)


def _end(child: subprocess.Popen[bytes]) -> None:
    for number in (15, 9):
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            break
        try:
            child.wait(3)
        except subprocess.TimeoutExpired:
            continue
    child.wait()
