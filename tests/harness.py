"""A whole pilotlight in a temporary home, driving the real CLI against the demo model; and what it left behind.

`House` starts the supervisor and the API as real processes, talks to them as clients do, kills them as machines do, and
at the end ends everything it knows of by (pid, start time) and reports leftovers. Nothing waits for time: `until` polls
a condition and fails with what it saw last.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from demo.home import demo_environment, prepare_home
from demo.server import DemoModel
from shared import paths, process
from shared.bus.client import BusClient
from shared.bus.messages import SETTLED
from shared.releases import TESTED

ROOT = Path(__file__).resolve().parent.parent
OTHER_CLAUDE = os.environ.get("PILOTLIGHT_TEST_CLAUDE")
"""Any `claude` to run the tests on, instead of the pinned releases."""

VERSIONS = ("other",) if OTHER_CLAUDE else TESTED
THOROUGH = bool(os.environ.get("PILOTLIGHT_TEST_THOROUGH"))
"""Every test of the real CLI on every pinned release. Without it those that do not ask what differs between releases take
turns, each always on the same one: the whole suite has to stay below ten minutes on two cores. And what is tried with
generated values is tried with other ones in every run."""

PATIENCE = 30.0

SHORT_LIVED = {} if THOROUGH else {"BUN_JSC_useDFGJIT": "0", "BUN_JSC_useGC": "0", "CLAUDE_CODE_CERT_STORE": "bundled"}
"""For the engine that runs the CLI. No process of the tests lives long enough to get back what its second compiler takes (a tenth
of a start), nor to need what its collector gives back: that looks at nearly every message, which is a third of what a short
conversation takes (measured on 2.1.197: 1.1 s of CPU for a start and three messages, not 1.65; on 2.1.330: 1.4, not 1.85). A
process is 275 MB large then instead of 220, and grows by 8 MB a message. Nor are the machine's certificates read, of which the
scripted model has none: 0.05 s less of each start. The program is the same; thorough runs leave all as it is."""


def releases(turn: str) -> tuple[str, ...]:
    """The releases that a test runs on; `turn`, its name, decides whose turn it is."""
    return VERSIONS if THOROUGH else (VERSIONS[zlib.crc32(turn.encode()) % len(VERSIONS)],)


def claude_binary(version: str) -> Path:
    """The pinned CLI that `./test` installs, or the one that `PILOTLIGHT_TEST_CLAUDE` names."""
    if OTHER_CLAUDE:
        return Path(OTHER_CLAUDE).absolute()
    return ROOT / ".claude-cli" / version / "node_modules" / ".bin" / "claude"


FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.01, 0.06


def until(condition: Callable[[], Any], what: str, timeout: float = PATIENCE) -> Any:
    """The first true value of `condition()`; fails after `timeout` seconds, saying what was awaited. It looks ever less often:
    looking takes the machine from what is waited for."""
    end = time.monotonic() + timeout
    pause = FIRST_PAUSE_SECONDS
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout:g} s: {what} (last: {value!r})")
        time.sleep(pause)
        pause = min(LONGEST_PAUSE_SECONDS, 1.3 * pause)


class House:
    """One pilotlight. Make it with the `house` fixture."""

    def __init__(self, folder: Path, model: DemoModel, claude: Path | str, onboarded: bool = True) -> None:
        self.folder = folder
        self.home = folder / "pl"
        self.home.mkdir(parents=True, exist_ok=True)
        self.project = folder / "project"
        self.project.mkdir(exist_ok=True)
        self.claude_home = folder / "home"
        self.model = model
        prepare_home(self.claude_home, trusted=[self.project] if onboarded else [], onboarded=onboarded)
        self.config: dict[str, Any] = {
            "claude": {"command": str(claude), "env": demo_environment(self.claude_home, model.url) | SHORT_LIVED},
            "api": {"port": 0},
            # A busy test machine must not hold starts back, nor one that is short of memory put sessions to sleep.
            # Without its collector (SHORT_LIVED) `claude` grows by 10 MB a message: none is to be recycled for that.
            "limits": {
                "cpu_percent": 100,
                "memory_free_percent": 0,
                "memory_total_gb": 16,
                "memory_per_session_mb": 4000,
            },
        }
        self.extra_env: dict[str, str] = {}
        self.prefix: tuple[str, ...] = ()
        self.paths = paths.resolve({"PILOTLIGHT_HOME": str(self.home)})
        self._processes: list[subprocess.Popen[bytes]] = []
        self._family: set[process.ProcessId] = set()
        self._others = _sockets_of_claude()  # left before, by somebody whose pid may be given again
        self._bus: BusClient | None = None
        self.supervisor: subprocess.Popen[bytes] | None = None
        self.api: subprocess.Popen[bytes] | None = None

    # -- processes -------------------------------------------------------------------------------------------------

    def environment(self) -> dict[str, str]:
        """What a service manager would give: little."""
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "PILOTLIGHT_HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            **self.extra_env,
        }

    def _spawn(self, module: str) -> subprocess.Popen[bytes]:
        self.paths.config_file.write_bytes(msgspec.yaml.encode(self.config))
        with open(self.folder / f"{module}.err", "ab") as errors:
            child = subprocess.Popen(
                [*self.prefix, sys.executable, "-m", module],
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )
        self._processes.append(child)
        return child

    def start_supervisor(self, ready: bool = True) -> subprocess.Popen[bytes]:
        """Start it, and by default wait until it answers."""
        self.supervisor = self._spawn("supervisor")
        if ready:
            self.call("ping", timeout=PATIENCE)
        return self.supervisor

    def kill_supervisor(self, number: int = signal.SIGKILL) -> None:
        """As a crash does, or politely."""
        assert self.supervisor is not None
        self.supervisor.send_signal(number)
        self.supervisor.wait(PATIENCE)

    def start_api(self) -> subprocess.Popen[bytes]:
        """Start it and wait until it listens."""
        self.api = self._spawn("api")
        until(self.api_address, "the API says where it listens")
        until(self._api_answers, "the API answers")
        return self.api

    def kill_api(self, number: int = signal.SIGKILL) -> None:
        """As a crash does."""
        assert self.api is not None
        self.api.send_signal(number)
        self.api.wait(PATIENCE)

    def api_address(self) -> tuple[str, int] | None:
        """Host and port of the API that runs now."""
        try:
            url = json.loads(self.paths.api_lock.read_text())
        except (OSError, ValueError):
            return None
        if self.api is None or url.get("pid") != self.api.pid:  # the content of a lock outlives a SIGKILL
            return None
        host, _, port = url["url"].removeprefix("http://").rstrip("/").rpartition(":")
        return host, int(port)

    def _api_answers(self) -> bool:
        try:
            # Right after a crash the lock file still names the address of the one before.
            return self.api_address() is not None and self.http("GET", "/health", token=None)[0] in (200, 503)
        except (OSError, AssertionError):
            return False

    # -- clients ---------------------------------------------------------------------------------------------------

    @property
    def bus(self) -> BusClient:
        """A bus client that outlives supervisors."""
        if self._bus is None:
            self._bus = BusClient(self.paths.request_address, actor="test")
        return self._bus

    def call(self, op: str, args: dict[str, Any] | None = None, timeout: float = 60.0) -> Any:
        """One request on the bus."""
        result = self.bus.call(op, args, timeout=timeout)
        self._note(result)
        return result

    @property
    def token(self) -> str:
        """The default bearer token."""
        return self.paths.token_file.read_text().strip()

    def http(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = "default",
        headers: dict[str, str] | None = None,
        timeout: float = 150.0,
    ) -> tuple[int, Any]:
        """One HTTP request; status and decoded body. A `bytes` body is sent as it is."""
        address = self.api_address()
        assert address is not None
        connection = http.client.HTTPConnection(*address, timeout=timeout)
        sent = {"Content-Type": "application/json"} if body is not None else {}
        if token is not None:
            sent["Authorization"] = f"Bearer {self.token if token == 'default' else token}"
        sent.update(headers or {})
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection.request(method, path, data, sent)
            response = connection.getresponse()
            raw = response.read()
        finally:
            connection.close()
        try:
            decoded = json.loads(raw)
        except ValueError:
            decoded = raw
        self._note(decoded)
        return response.status, decoded

    def send(self, text: str, session: str | None = None, wait: float = 60.0, **more: Any) -> dict[str, Any]:
        """One chat message on the bus; the `Sent` that came back."""
        args: dict[str, Any] = {"text": text, "wait": wait, **more}
        if session is None:
            args.setdefault("projectPath", str(self.project))
        else:
            args["sessionId"] = session
        sent: dict[str, Any] = self.call("message.send", args, timeout=wait + 30)
        return sent

    def ask(self, text: str, session: str | None = None, **more: Any) -> tuple[str, str]:
        """Send and insist on an answer; reply and session id."""
        sent = self.send(text, session, **more)
        message = sent["message"]
        assert message["state"] == "answered", (message, sent["session"]["state"], sent["session"]["waiting"])
        return message["reply"], sent["session"]["id"]

    def session(self, identity: str) -> dict[str, Any]:
        """One session as clients see it."""
        view: dict[str, Any] = self.call("session.get", {"sessionId": identity})
        return view

    def message(self, identity: str, wait: float = 0.0) -> dict[str, Any]:
        """One receipt, once it is settled or `wait` is over. The supervisor's own wait ends early when a person is asked, and
        what was answered a moment ago may still be on the screen."""
        end = time.monotonic() + wait
        while True:
            left = max(0.0, end - time.monotonic())
            args = {"messageId": identity, "wait": left}
            receipt: dict[str, Any] = self.call("message.get", args, timeout=left + 30)
            if receipt["state"] in SETTLED or time.monotonic() >= end:
                return receipt
            time.sleep(0.02)

    def until_state(self, identity: str, *states: str, timeout: float = PATIENCE) -> dict[str, Any]:
        """The session once it is in one of the states."""

        def there() -> dict[str, Any] | None:
            view = self.session(identity)
            return view if view["state"] in states else None

        seen: dict[str, Any] = until(there, f"session is {' or '.join(states)}", timeout)
        return seen

    def events(self, since: int = 0, session: str | None = None) -> list[dict[str, Any]]:
        """The journal."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.call("events.since", {"seq": since, "limit": 1000, "sessionId": session})["events"]
            found += page
            if len(page) < 1000:
                return found
            since = page[-1]["seq"]

    # -- the end ---------------------------------------------------------------------------------------------------

    def _note(self, seen: Any) -> None:
        """Remember every process that a view names, to be sure of it at the end."""
        if isinstance(seen, dict):
            for name in ("pid", "holderPid"):
                pid = seen.get(name)
                if isinstance(pid, int) and (found := process.identify(pid)) is not None:
                    self._family.add(found)
            for value in seen.values():
                if isinstance(value, (dict, list)):
                    self._note(value)
        elif isinstance(seen, list):
            for value in seen:
                self._note(value)

    def _living(self) -> set[process.ProcessId]:
        """Those that it has been told of: to ask for these is quicker than to look at every process of the machine."""
        return {member for member in self._family if process.alive(member)}

    def marked(self) -> set[process.ProcessId]:
        """Every process of this house, told by the folder in its command line or environment."""
        marks = str(self.folder).encode()
        found = set()
        for entry in Path("/proc").iterdir() if Path("/proc").is_dir() else ():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if marks in text and (seen := process.identify(int(entry.name))) is not None:
                found.add(seen)
        return found

    def down(self) -> list[str]:
        """End every session politely, then everything else; say what had to be ended by force."""
        leftovers: list[str] = []
        if self.supervisor is not None and self.supervisor.poll() is None:
            try:
                self.call("shutdown", {"sessions": True}, timeout=PATIENCE)
                self.supervisor.wait(PATIENCE)
            except Exception as error:
                leftovers.append(f"the supervisor did not shut down: {error}")
        if self._bus is not None:
            self._bus.close()
            self._bus = None
        for child in self._processes:
            if child.poll() is None:
                child.terminate()
                try:
                    child.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    leftovers.append(f"{child.args!r} ignored SIGTERM")
                    child.kill()
                    child.wait()
        try:
            until(lambda: not (self._living() or self.marked()), "all gone", PATIENCE)
        except AssertionError:
            for left in self.marked() | self._living():
                leftovers.append(f"process {left} {_command_line(left.pid)}")
                process.send_signal(left, signal.SIGKILL)
        leftovers += [f"socket {path}" for path in self.paths.run_dir.glob("h/*.sock")] + self.bugs()
        return leftovers + [f"file {path}" for path in self.outside()]

    def bugs(self) -> list[str]:
        """What the logs tell of that can only be a bug of ours, whatever was done to the house."""
        logs = [*self.paths.log_dir.glob("*.log*"), *self.folder.glob("*.err")]
        lines = [line for log in logs for line in log.read_text(errors="replace").splitlines()]
        return [line[-2000:] for line in lines if _BUG.search(line)]

    def outside(self) -> list[Path]:
        """What the CLI keeps in the machine's temporary folder, as far as it is this house's, and what it fetches from elsewhere:
        there must be nothing."""
        project = re.sub(r"[^A-Za-z0-9]", "-", str(self.folder.resolve()))
        pids = {str(seen.pid) for seen in self._family}
        sockets = [path for path in _sockets_of_claude() - self._others if path.stem in pids]
        asked = list((self.claude_home / ".claude" / "plugins").glob("marketplaces"))  # of github.com, beyond loopback
        return sockets + asked + list(Path(tempfile.gettempdir()).glob(f"claude-*/{project}*"))


_BUG = re.compile(
    r"\b(?:Attribute|Type|Name|Key|Index|UnboundLocal|Assertion|Recursion|Programming|Import|NotImplemented)Error\b"
    r"|was never awaited|Task exception was never retrieved"
)


def _sockets_of_claude() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("cc-socks*/*.sock"))


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")[:200]
    except OSError:
        return ""
