"""A node without a `claude`: its database, its folders and the steps of a move."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

from shared import paths
from shared.bus.messages import VERSION, Request
from shared.config import Config
from supervisor.bus.operations.moves import MoveOps
from supervisor.claude.home import transcript_path
from supervisor.pool.pool import Pool
from supervisor.session.services import Services
from supervisor.session.session import Session
from supervisor.store.options import LaunchOptions, Remembered
from supervisor.store.store import MessageRecord, SessionRecord, Store

ID = "123e4567-e89b-42d3-a456-426614174000"
SAID = b'{"type":"user","message":{"role":"user","content":"Remember the word BANANA"}}\n'
UPLOAD = "0" * 32 + ".part"


class Place:
    """One node: its database, its folders, and the steps."""

    def __init__(self, folder: Path, name: str) -> None:
        self.paths = paths.resolve({"PILOTLIGHT_HOME": str(folder / name)})
        self.paths.prepare()
        self.project = folder / name / "project"
        self.project.mkdir()
        self.claude_home = folder / name / "claude"
        self.store = Store(self.paths.database)
        self.pool = Pool(Services(self.store, self.paths, Config, {}, self.claude_home, logging.getLogger("test")))
        self.pool.admission.closed = True  # there is no `claude`
        self.ops = MoveOps(self.pool, lambda: name)

    async def close(self) -> None:
        """Nothing of it goes on."""
        await self.pool.close()
        await asyncio.sleep(0)
        self.store.close()

    async def do(self, op: str, **args: Any) -> Any:
        """One step."""
        kind, handler = next((kind, handler) for name, kind, handler in self.ops.rows() if name == f"session.{op}")
        given = kind(session_id=ID, **args)
        return await handler(given, Request(v=VERSION, id="r", op=f"session.{op}", actor="token:ada"))

    async def bring(self, move: str, data: bytes, project: Path | None = None) -> Any:
        """A bundle that has been uploaded."""
        (self.paths.moves_dir / UPLOAD).write_bytes(data)
        return await self.do("import", move=move, upload=UPLOAD, project_path=str(project or self.project))

    def transcript(self) -> Path:
        return transcript_path(self.claude_home, str(self.project), ID)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.store.events(0, 1000, ID, None)]

    def session(self) -> Session:
        return self.pool.managed(ID).session


def furnish(place: Place) -> None:
    """A conversation that sleeps, with a subagent's words, a message that was answered, and one that waits with a file."""
    transcript = place.transcript()
    beside = transcript.with_suffix("") / "subagents"
    beside.mkdir(parents=True)
    transcript.write_bytes(SAID)
    (beside / "agent-1.jsonl").write_bytes(b"{}\n")
    file = place.paths.session_dir(ID) / "attachments" / "m_2" / "note.txt"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x")
    record = SessionRecord(
        ID, str(place.project), 1, 2, "hibernated", ID, 3, message_count=2, transcript=str(transcript), title="Fruit",
        launch=LaunchOptions(model="opus"), remembered=Remembered(spoken=ID), unknown={"ofTomorrow": 1},
    )  # fmt: skip
    place.store.save_session(record)
    answered = MessageRecord(
        "m_1", ID, "answered", 0, "Remember the word BANANA", 1, "message.send * k1", prompt_id="p1"
    )
    answered.key, answered.reply = "k1", "I will."
    place.store.add_message(answered)
    sent = {"name": "note.txt", "mimeType": "text/plain", "size": 1, "path": str(file)}
    prompt = f"And this?\n\nAttached files, readable with the Read tool:\n- {file} (text/plain, 1 bytes)"
    place.store.add_message(MessageRecord("m_2", ID, "queued", 0, "And this?", 2, prompt=prompt, attachments=[sent]))
    place.store.add_message(MessageRecord("m_3", ID, "queued", -5, "First", 3))
    place.store.set_position(ID, f"transcript:{transcript.name}", len(SAID))
    place.store.remember(f"session.answer {ID} k9", {"body": "b", "result": {"id": "w1"}})
    place.store.keep_draft(ID, "half a")


async def packed(here: Place, move: str) -> tuple[bytes, str]:
    found = await here.do("bundle", move=move)
    return (here.paths.moves_dir / found["file"]).read_bytes(), found["digest"]
