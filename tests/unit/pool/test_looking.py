"""When the pool looks at a session: at once when its files tell of news, by itself where they cannot, and else hardly ever."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from shared import paths
from shared.config import Config
from supervisor.claude.screen import ScreenReading
from supervisor.observation.file_news import FileNews
from supervisor.pool import managed_session
from supervisor.pool.managed_session import SOON_SECONDS, ManagedSession
from supervisor.pool.pool import Pool
from supervisor.session.services import Services
from supervisor.session.session import Session
from supervisor.store.store import SessionRecord, Store
from supervisor.terminal.terminal import SETTLE_SECONDS
from supervisor.waiting.waiting import Permission
from tests.watches import watches

NEVER = 1000.0
PROMPT = {"prompt_id": "p", "prompt": "words of a person", "hook_event_name": "UserPromptSubmit"}


class House:
    """A pool with sessions whose Claude says what the test writes, and how often each is looked at."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        places = paths.resolve({"PILOTLIGHT_HOME": str(folder)})
        places.prepare()
        self.store = Store(places.database)
        self.pool = Pool(Services(self.store, places, Config, {}, folder, logging.getLogger("test")))
        self.looks: Counter[str] = Counter()
        self._events = 0

    def session(self, name: str, state: str) -> Session:
        """One with a terminal that shows a prompt box, and whose logs are there."""
        record = SessionRecord(
            name, str(self.folder), 0, 0, state, name, 1, transcript=str(self.folder / f"{name}.jsonl")
        )
        record.ready_once = True
        record.turn_prompt = "p" if state == "busy" else None
        Path(record.transcript or "").touch()
        self.store.save_session(record)
        managed = self.pool.managed(name)
        session = managed.session
        (session.dir / "spool").mkdir(parents=True)
        (session.dir / "hooks.log").touch()
        session.terminal = SimpleNamespace(  # type: ignore[assignment]
            settled=True, output_at=0.0, screen_reading=lambda: ScreenReading("other")
        )
        session.locked = name
        look = managed.look

        def counted(now: float) -> bool:
            self.looks[name] += 1
            return look(now)

        managed.look = counted  # type: ignore[method-assign]
        return session

    def hook(self, session: Session, payload: dict[str, str]) -> None:
        """A hook of its Claude's has said something."""
        self._events += 1
        (session.dir / "spool" / f"{self._events}.0").write_text(json.dumps(payload))
        with (session.dir / "hooks.log").open("a") as log:
            log.write(f"hook {payload['hook_event_name']} {self._events}.0\n")

    def line(self, session: Session, line: dict[str, str]) -> None:
        """Its Claude has written something down."""
        with Path(session.record.transcript or "").open("a") as transcript:
            transcript.write(json.dumps(line) + "\n")

    def heard(self) -> int:
        """How many prompts the journal tells of."""
        return sum(event.kind == "prompt" for event in self.store.events(0, 1000, None, None))


def alone(folder: Path, state: str) -> tuple[House, Session, ManagedSession, Any]:
    """A house with one session, which nobody looks at by itself."""
    house = House(folder)
    session = house.session("s", state)
    return house, session, house.pool.managed("s"), session.terminal


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10.0):
        while not condition():
            await asyncio.sleep(0.001)


@asynccontextmanager
async def looking(folder: Path) -> AsyncIterator[House]:
    house = House(folder)
    task = asyncio.create_task(house.pool.run())
    yield house
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    house.store.close()


def _have_it_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is seen by looking, where the kernel can tell."""
    if sys.platform == "linux":
        monkeypatch.setattr(managed_session, "TOLD_SECONDS", NEVER)
        monkeypatch.setattr(managed_session, "SOON_SECONDS", NEVER)


async def _followed(house: House, session: Session) -> None:
    """Behind two more looks: the first one begins to follow."""
    for looks in (house.looks[session.id] + 1, house.looks[session.id] + 2):
        house.pool.managed(session.id).look_now()
        await until(lambda: house.looks[session.id] >= looks)  # noqa: B023


async def test_a_hook_is_heard_at_once_and_not_by_looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _have_it_told(monkeypatch)
    async with looking(tmp_path) as house:
        session = house.session("s", "busy")
        await _followed(house, session)
        for number in range(1, 4):
            house.hook(session, {**PROMPT, "prompt_id": f"p{number}"})
            await until(lambda: house.heard() == number)  # noqa: B023
        await until(lambda: not list((session.dir / "spool").iterdir()))


async def test_a_line_of_the_transcript_is_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _have_it_told(monkeypatch)
    async with looking(tmp_path) as house:
        session = house.session("s", "busy")
        await _followed(house, session)
        house.line(session, {"type": "summary", "summary": "a title", "uuid": "u"})
        await until(lambda: session.record.title == "a title")


async def test_a_transcript_that_claude_has_taken_elsewhere_is_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _have_it_told(monkeypatch)
    async with looking(tmp_path) as house:
        session = house.session("s", "busy")
        await _followed(house, session)
        moved = tmp_path / "worktree" / "s.jsonl"
        moved.parent.mkdir()
        Path(session.record.transcript or "").rename(moved)
        house.hook(session, {**PROMPT, "session_id": "s", "transcript_path": str(moved)})
        await until(lambda: session.record.transcript == str(moved))
        await _followed(house, session)
        house.line(session, {"type": "summary", "summary": "a title", "uuid": "u"})
        await until(lambda: session.record.title == "a title")


async def test_a_session_that_sleeps_is_not_followed_and_is_heard_when_it_wakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _have_it_told(monkeypatch)
    before = watches()
    async with looking(tmp_path) as house:
        session = house.session("s", "busy")
        await _followed(house, session)
        assert watches() - before == (2 if sys.platform == "linux" else 0)
        terminal, session.terminal = session.terminal, None
        session.changed.notify()
        await until(lambda: watches() == before)
        session.terminal = terminal
        await _followed(house, session)
        house.hook(session, PROMPT)
        await until(lambda: house.heard() == 1)
    assert watches() == before


async def test_where_files_cannot_tell_it_looks_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(managed_session, "TOLD_SECONDS", NEVER)
    monkeypatch.setattr(FileNews, "open", lambda _: None)
    async with looking(tmp_path) as house:
        session = house.session("s", "busy")
        session.changed.notify()
        await until(lambda: house.looks["s"] >= 2)
        house.hook(session, PROMPT)
        await until(lambda: house.heard() == 1)


async def test_a_busy_one_does_not_have_the_others_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(managed_session, "CALM_SECONDS", NEVER)
    monkeypatch.setattr(managed_session, "QUIET_POLL_SECONDS", NEVER)
    monkeypatch.setattr(managed_session, "TOLD_QUIET_SECONDS", NEVER)
    async with looking(tmp_path) as house:
        busy, idle = house.session("busy", "busy"), house.session("idle", "idle")
        busy.changed.notify()
        await until(lambda: house.looks["busy"] >= 10)
        assert house.looks["idle"] == 1
        idle.changed.notify()
        await until(lambda: house.looks["idle"] == 2)


async def test_files_that_grow_all_the_time_are_not_looked_at_all_the_time(tmp_path: Path) -> None:
    async with looking(tmp_path) as house:
        house.session("s", "busy")
        await until(lambda: house.looks["s"] > 0)
        began, before = time.monotonic(), house.looks["s"]
        while house.looks["s"] < before + 60:
            house.pool._hear("s")
            await asyncio.sleep(0)
        assert time.monotonic() - began > 50 * SOON_SECONDS


def test_a_screen_that_changes_is_looked_at_again_when_it_has_settled(tmp_path: Path) -> None:
    house, session, managed, terminal = alone(tmp_path, "idle")
    now = time.monotonic()
    managed.look(now)
    terminal.output_at = now
    assert managed.patience(True, True, now) == pytest.approx(SETTLE_SECONDS)
    assert managed.patience(True, True, now + 2 * SETTLE_SECONDS) == managed_session.TOLD_SECONDS
    assert managed.patience(True, False, now) == managed_session.SOON_SECONDS
    assert managed.patience(False, True, now) == managed_session.CALM_SECONDS
    managed.patience(True, True, now)
    managed.due = now + NEVER
    session.changed.notify()
    assert managed.due == pytest.approx(now + SETTLE_SECONDS)  # a screen tells nothing before
    managed.look_now()
    assert managed.due == 0.0  # a file does
    managed.patience(True, False, now)
    managed.due = now + NEVER
    session.changed.notify()
    assert managed.due == 0.0
    house.store.close()


def test_a_turn_that_draws_all_the_time_is_looked_at_as_often_as_one_that_is_still(tmp_path: Path) -> None:
    house, session, managed, terminal = alone(tmp_path, "busy")
    now = time.monotonic()
    managed.look(now)
    assert managed.patience(True, True, now) == managed_session.TOLD_SECONDS
    managed.due = now + managed_session.TOLD_SECONDS
    terminal.output_at = now
    session.changed.notify()
    assert managed.due == now + managed_session.TOLD_SECONDS
    spool = session.dir / "spool" / "1.0"
    session.permissions.add(Permission.from_hook(spool, {"tool_name": "Bash"}))  # its dialog is about to be drawn
    session.changed.notify()
    assert managed.due == pytest.approx(now + SETTLE_SECONDS)
    assert managed.patience(True, True, now) == pytest.approx(SETTLE_SECONDS)
    managed.look_now()
    assert managed.due == 0.0
    house.store.close()


@pytest.mark.parametrize(("state", "seconds"), [("idle", 2.0), ("waiting", 0.5)])
def test_one_that_is_idle_and_quiet_is_left_to_its_files_and_its_terminal(
    tmp_path: Path, state: str, seconds: float
) -> None:
    house, session, managed, terminal = alone(tmp_path, state)
    later = time.monotonic() + 2 * managed_session.SILENT_TERMINAL_SECONDS
    assert managed.patience(False, True, later) == seconds
    assert managed.patience(False, False, later) == managed_session.QUIET_POLL_SECONDS
    session.changed.notify()
    managed.due = later + NEVER
    terminal.output_at = later
    session.changed.notify()
    assert managed.due <= later + SETTLE_SECONDS  # it has drawn something
    house.store.close()


def test_those_that_rest_are_looked_at_together(tmp_path: Path) -> None:
    house = House(tmp_path)
    dues = set()
    for name, now in (("a", 100.01), ("b", 100.03), ("c", 100.07)):
        house.session(name, "idle")
        house.pool._look_at_all(now)
        dues.add(house.pool.managed(name).due)
    assert len(dues) == 1  # each by itself would wake the supervisor as often as there are sessions
    house.store.close()
