"""Houses that one test after the other lives in: to build one takes longer than most of what is asked of it.

Whoever is lent one finds it as if it were new: a project folder of its own, a model that has seen nothing, a journal that begins
now, no session, no setting of run time, no file of whoever was there before. What is lent is taken back only as it was: after a
test that failed, changed its configuration or left its supervisor dead, the house is torn down, and the next one gets a new one.
What is looked for when a house is torn down (processes, sockets, files, lines in the logs that can only be bugs) is looked for
after every test, so that it is told of the test that did it. A test that asks what else a home holds (ended sessions, all
conversations, tokens) has a house of its own: `make_house`, `own_house`.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from demo.home import prepare_home
from demo.server import DemoModel
from shared import process
from tests.harness import PATIENCE, House, until

MOST_TESTS = 30
"""That live in one house: what Claude itself remembers of its starts grows with them."""
MOST_HOUSES = 3
"""Of one worker: each is a process that waits."""
MOST_TALKS = 8
"""Of tests with one session: what it has been told goes along with every request."""


class SharedHouse(House):
    """A house, its model, and who has lived in it."""

    def __init__(self, claude: Path, config: dict[str, Any]) -> None:
        model = DemoModel(port=0)
        model.start()
        super().__init__(Path(tempfile.mkdtemp(prefix="pl-")).resolve(), model, claude)
        self._warm_project = self.folder / "warm"
        self._projects = [self.folder / f"project{number}" for number in range(MOST_TESTS)]
        prepare_home(self.claude_home, trusted=[*self._projects, self._warm_project])
        _merge(self.config, config)
        self.pauses = self.folder / "pauses"
        self.pauses.mkdir()
        self.extra_env["PILOTLIGHT_PAUSE_DIR"] = str(self.pauses)
        self.project.rmdir()
        self._warm_project.mkdir()
        self.lived: list[str] = []
        self._since = 0
        self._warm: str | None = None
        self._warm_facts: dict[str, Any] = {}
        self._talks = 0
        self._as_made = copy.deepcopy((self.config, self.extra_env, self.prefix))
        self._own_settings = self.claude_home / ".claude" / "settings.json"
        self._settings = self._own_settings.read_bytes()
        try:
            self.start_supervisor()
        except BaseException:
            self.down()
            raise
        self._furniture = {*self.folder.iterdir()}

    def lend(self, test: str) -> None:
        """Be as new for this test."""
        self.project = self._projects[len(self.lived)]
        self.project.mkdir()
        self.lived.append(test)
        self.model.forget()
        self._since = self.call("ping")["head"]

    def start_api(self) -> subprocess.Popen[bytes]:
        """One API serves all."""
        return self.api if self.api is not None and self.api.poll() is None else super().start_api()

    def events(self, since: int = 0, session: str | None = None) -> list[dict[str, Any]]:
        """The journal, from where this test came in."""
        return super().events(max(since, self._since), session)

    def warm(self) -> str:
        """An idle session that has said a word, in the project of this house from now on. It is that of the test before, if that
        left it as it found it: a start of Claude takes longer than three messages."""
        self.project = self._warm_project
        if self._warm is not None and not self._is_warm_still():  # the end of what the test before did came late
            self.alone()
        if self._warm is None:
            _, self._warm = self.ask("echo: warm")
            self._talks = 0
        self.until_state(self._warm, "idle")
        self._talks += 1
        self._warm_facts = self._facts_of_warm()
        self.model.forget()
        self._since = self.call("ping")["head"]
        return self._warm

    def alone(self) -> None:
        """There is no session, not even a warm one."""
        if self._warm is not None:
            self.call("session.kill", {"sessionId": self._warm})
            self._warm = None

    def cool(self) -> None:
        """This test has told the session more than others should have to carry."""
        self._talks = MOST_TALKS

    def _facts_of_warm(self) -> dict[str, Any]:
        """What a test may not have changed of a session that others are to use."""
        view = self.session(str(self._warm))
        lasting = (
            "conversationId",
            "pid",
            "holderPid",
            "model",
            "permissionMode",
            "effort",
            "addDirs",
            "delivery",
            "health",
        )
        passing = ("queueLength", "waiting", "backgroundTasks", "scheduled", "draft", "viewers", "settingsPending")
        return {name: view[name] for name in (*lasting, *passing)}

    def _is_warm_still(self) -> bool:
        if self._warm is None or self._talks >= MOST_TALKS:
            return False
        return self.session(self._warm)["state"] == "idle" and self._facts_of_warm() == self._warm_facts

    def take_back(self) -> list[str] | None:
        """Clear up after a test; what should not have been there. None when it cannot be lent again."""
        if not self._is_as_made():
            return None
        changed = self.call("settings.get")["changed"]
        if changed:
            self.call("settings.patch", {"values": dict.fromkeys(changed)})
        self.model.forget()
        if not self._is_warm_still():
            self._warm = None
        ends = [
            self.bus.submit("session.kill", {"sessionId": view["id"]}, timeout=PATIENCE)
            for view in self.call("session.list")["sessions"]
            if view["id"] != self._warm
        ]
        for end in ends:
            end.result(PATIENCE)
        leftovers = []
        try:
            until(lambda: not self._strangers(), "all gone", PATIENCE)
        except AssertionError:
            leftovers += [f"process {stranger}" for stranger in self._strangers()]
        leftovers += [f"socket {path}" for path in list(self.paths.run_dir.glob("h/*.sock"))[self._warm is not None :]]
        leftovers += self.bugs()
        if self._warm is None:  # what a process keeps there while it lives
            leftovers += [f"file {path}" for path in self.outside()]
        self._sweep()
        return leftovers

    def down(self) -> list[str]:
        """The end of the house itself."""
        leftovers = super().down()
        self.model.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        return leftovers

    def _is_as_made(self) -> bool:
        running = self.supervisor is not None and self.supervisor.poll() is None
        same = (self.config, self.extra_env, self.prefix) == self._as_made
        theirs = self._own_settings.exists() and self._own_settings.read_bytes() == self._settings
        return running and same and theirs and not self.paths.tokens_file.exists() and len(self.lived) < MOST_TESTS

    def _strangers(self) -> set[process.ProcessId]:
        """Every process of the house but supervisor and API, what these have started for themselves, and a warm session's."""
        own = {child.pid for child in (self.supervisor, self.api) if child is not None}
        if self._warm is not None:
            own |= {self._warm_facts["pid"], _leader(self._warm_facts["holderPid"])}
        known = {member for member in self._family if process.alive(member) and _leader(member.pid) not in own}
        return known or {member for member in self.marked() if _leader(member.pid) not in own}

    def _sweep(self) -> None:
        for path in {*self.folder.iterdir(), *self.pauses.iterdir(), *self._warm_project.iterdir()} - self._furniture:
            if path.suffix == ".err":
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def _merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, dict):
            _merge(into.setdefault(name, {}), value)
        else:
            into[name] = value


def _leader(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return 0


class SharedHouses:
    """Those of one worker, by what they were made with."""

    def __init__(self) -> None:
        self._houses: dict[str, SharedHouse] = {}

    def lend(self, test: str, claude: Path, config: dict[str, Any]) -> SharedHouse:
        """One of this CLI and with this configuration, as new."""
        name = _name(claude, config)
        house = self._houses.pop(name, None) or SharedHouse(claude, config)
        self._houses[name] = house  # as the youngest
        house.lend(test)
        return house

    def take_back(self, house: SharedHouse, failed: bool) -> list[str]:
        """After its test; what is found then is this test's failure. Torn down is what cannot be lent again, and one too many."""
        found: list[str] | None = None
        if not failed:
            try:
                found = house.take_back()
            except Exception as error:  # whatever it is: nobody else is to live there
                found = [f"it could not be cleared up: {error!r}"]
        if found or found is None:
            self._houses = {name: other for name, other in self._houses.items() if other is not house}
            found = [*(found or []), *house.down()]
        while len(self._houses) > MOST_HOUSES:
            oldest = self._houses.pop(next(iter(self._houses)))
            found += [f"{left} ({oldest.lived})" for left in oldest.down()]
        return found

    def down(self) -> None:
        """At the end of the worker."""
        leftovers = {
            house.folder.name: (left, house.lived) for house in self._houses.values() if (left := house.down())
        }
        assert not leftovers, leftovers


def _name(claude: Path, config: dict[str, Any]) -> str:
    return json.dumps([str(claude), config], sort_keys=True)
