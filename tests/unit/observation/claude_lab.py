"""A session whose hooks and transcript a test writes, as Claude would."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from shared import paths
from shared.config import Config
from supervisor.claude.screen import ScreenReading
from supervisor.pool.managed_session import ManagedSession
from supervisor.session.services import Services
from supervisor.session.session import Session
from supervisor.store.store import MessageRecord, SessionRecord, Store, now_ms

WORDS = "our words"


class Claude:
    """A session of which Claude tells what the test says, with an empty prompt box on its screen."""

    def __init__(self, folder: Path, store: Store) -> None:
        self._folder = folder
        self.store = store
        places = paths.resolve({"PILOTLIGHT_HOME": str(folder)})
        services = Services(store, places, Config, {}, folder, logging.getLogger("test"))
        for name in ("spool", "outbox"):
            (places.session_dir("s") / name).mkdir(parents=True)
        record = SessionRecord("s", str(folder), 0, 0, "idle", "c", 1, transcript=str(folder / "c.jsonl"))
        record.ready_once = True
        store.save_session(record)
        self.session = Session(record, services)
        self.managed = ManagedSession(self.session, cast(Any, SimpleNamespace(admit=None)), lambda: None)
        screen = SimpleNamespace(text=lambda: "")
        self.session.terminal = SimpleNamespace(  # type: ignore[assignment]
            settled=True, screen_reading=lambda: ScreenReading("prompt"), screen=screen
        )
        self._events = 0

    def begin(self, name: str, prompt: str = WORDS, state: str = "typed", kind: Any = "prompt") -> MessageRecord:
        """The editor has put a message into the box."""
        now = now_ms()
        message = MessageRecord(name, "s", state, 0.0, prompt, now - 1000, prompt=prompt, generation=1, kind=kind)
        message.steps = {"queued": now - 1000} | ({"typed": now - 500} if state == "typed" else {})
        message.earlier = self.session.record.heard
        self.store.add_message(message)
        self.session.current = message
        self.session.editor.told("claimed", name)
        return message

    def hook(self, event: str, **payload: Any) -> None:
        """One hook."""
        self._events += 1
        (self.session.dir / "spool" / f"{self._events}.0").write_text(json.dumps(payload))
        with open(self.session.dir / "hooks.log", "a") as log:
            log.write(f"hook {event} {self._events}.0\n")

    def line(self, kind: str, content: Any = "", at: int | None = None, said: str | None = None, **more: Any) -> None:
        """One line of the transcript; `said` is what a notice says."""
        more |= {"content": said} if said is not None else {}
        stamp = datetime.fromtimestamp((now_ms() if at is None else at) / 1000, UTC).isoformat()
        known = {"type": kind, "uuid": f"u{time.monotonic_ns()}", "timestamp": stamp}
        with open(self._folder / "c.jsonl", "a") as transcript:
            transcript.write(json.dumps({**known, "message": {"content": content}, **more}) + "\n")

    def read(self) -> None:
        """The supervisor reads what was told."""
        self.session.logs.read()
