"""A session is let go of: it sleeps and accepts nothing, is packed, and ends here when the other node has all of it.

What must not regress: what is begun is in the database before it is done, and every step may be repeated, by whomever; nothing
is let go of that the other node has not shown to have; what waits in the queue goes along, and is told so here.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from shared.bus import session_events
from shared.bus.event_data import EventData
from shared.bus.move_requests import LeaveFor, MoveStep, PackBundle, ReleaseSession, StayHere
from shared.errors import Conflict, PilotlightError
from supervisor.claude import status_file
from supervisor.failpoints import failpoint
from supervisor.lifecycle import ending
from supervisor.lifecycle.hibernation import check_can_hibernate
from supervisor.moving import bundle
from supervisor.pool.managed_session import ManagedSession
from supervisor.pool.pool import Pool
from supervisor.session import attachments, move, receipts
from supervisor.session.move import Move
from supervisor.session.session import Session
from supervisor.state.states import State
from supervisor.store import rows
from supervisor.store.records import MessageRecord, SessionRecord
from supervisor.store.store import now_ms

PAGE = 500
SETTLE_SECONDS = 10.0
_PASSING = frozenset({State.STARTING, State.STOPPING, State.UNKNOWN})


class Departures:
    """The steps of the node that a session leaves; `node` says what that is called."""

    def __init__(self, pool: Pool, node: Callable[[], str]) -> None:
        self._pool = pool
        self._node = node
        self._packing = asyncio.Lock()

    async def leave(self, asked: LeaveFor, actor: str) -> MoveStep:
        """Begin, or say how far it is. Raise Conflict when it cannot leave now, or leaves for another node."""
        managed = self._pool.managed(asked.session_id)
        session = managed.session
        going = move.of(session.record)
        if going is not None and going.to != asked.node:
            if going.moved_to is not None:
                raise move.gone(going.moved_to)
            raise Conflict(
                f"The session is being moved to {going.to}. Go on with that, or cancel it first.",
                code="moving_elsewhere",
                data={"movingTo": going.to},
            )
        if going is None:
            going = self._begin(session, asked.node, actor)
        await failpoint("leaving")
        if going.moved_to is None:
            # Of a process that was just adopted, or that is being ended, it is soon known what it does.
            await session.changed.wait_for(lambda: session.state not in _PASSING, SETTLE_SECONDS)
            try:
                await managed.lifecycle.hibernate(f"moving to {going.to}")
            except PilotlightError as error:
                if not error.retryable:
                    self._give_back(managed, going, actor)
                raise
        return told(going)

    def _begin(self, session: Session, node: str, actor: str) -> Move:
        if session.state is State.ENDED:
            raise Conflict(
                f"The session has ended ({session.record.end_reason}). Reopen it to move it.", code="session_ended"
            )
        if session.state is not State.HIBERNATED:
            check_can_hibernate(session)
            if self._pool.store.count_open(session.id):
                raise Conflict("The session cannot leave now: messages wait to be sent.", code="cannot_hibernate")
        else:
            self._refuse_other_process(session)
        going = Move(id=f"mv_{uuid.uuid4().hex}", to=node, word=secrets.token_urlsafe(32), since=now_ms())
        self._keep(session, going, session_events.Leaving(move=going.id, to=node, by=actor))
        return going

    @staticmethod
    def _refuse_other_process(session: Session) -> None:
        """What somebody says in the conversation by hand would not go along."""
        pid = status_file.owner(session.services.claude_home, session.record.conversation_id)
        if pid is not None:
            raise Conflict(
                f"Another `claude` (pid {pid}) has this conversation open. Close it there, and move again.",
                code="conversation_in_use",
            )

    async def pack(self, asked: PackBundle) -> dict[str, Any]:
        """All of it as a file, made once; anew when it is let go of, and the other node has lost what it had. Raise Conflict when
        no such move is under way."""
        session = self._pool.managed(asked.session_id).session
        known = move.of(session.record)
        if known is None or known.id != asked.move or known.moved_to is None:
            session, known = self._under_way(asked.session_id, asked.move)
        going = known
        async with self._packing:
            going = self._still(session, asked.move)
            path = self._file(going)
            if going.digest is None or not path.exists():
                await failpoint("packing")
                digest = await self._pack(session, going, path)
                try:
                    going = self._still(session, asked.move)
                except Conflict:
                    path.unlink(missing_ok=True)
                    raise
                going = msgspec.structs.replace(going, digest=digest)
                self._keep(session, going, None)
        return {"file": path.name, "bytes": path.stat().st_size, "digest": going.digest}

    @staticmethod
    def _still(session: Session, move_id: str) -> Move:
        """How far this move is by now. Raise Conflict when it was called off meanwhile."""
        going = move.of(session.record)
        if going is None or going.id != move_id:
            raise _called_off()
        return going

    async def _pack(self, session: Session, going: Move, path: Path) -> str:
        record, store = session.record, session.store
        messages: list[bytes] = []
        last, more = None, True
        while more:
            page, more = store.messages(session.id, last, PAGE)
            messages += [packed_message(_waiting_again(message)) for message in page]
            last = page[-1].id if page else last
            await asyncio.sleep(0)
        manifest = bundle.Manifest(
            version=bundle.VERSION,
            move=going.id,
            word_hash=hashlib.sha256(going.word.encode()).hexdigest(),
            node=self._node(),
            session={name: getattr(record, name) for name in rows.SESSION_COLUMNS},
            body=msgspec.Raw(rows.body(replace(record, move=None), rows.SESSION_COLUMNS)),  # the word stays here
            project_path=record.project_path,
            session_dir=str(session.dir),
            positions=store.transcript_positions(session.id),
            keys=store.keys_of(session.id),
            draft=store.draft(session.id),
            files={},
        )
        return await asyncio.to_thread(bundle.pack, path, manifest, messages, list(_sources(record, session.dir)))

    async def release(self, asked: ReleaseSession, actor: str) -> MoveStep:
        """Let go of it. Raise Conflict unless the other node has what was packed."""
        session = self._pool.managed(asked.session_id).session
        known = move.of(session.record)
        if known is not None and known.id == asked.move and known.moved_to is not None:
            self._file(known).unlink(missing_ok=True)  # a crash may have come before
            return told(known)
        session, going = self._under_way(asked.session_id, asked.move)
        self._refuse_other_process(session)
        if asked.digest != going.digest:
            raise Conflict("The other node has not what was packed here. Move again.", code="bundle_differs")
        await failpoint("releasing")
        session, going = self._under_way(asked.session_id, asked.move)  # it may have been called off meanwhile
        where = f"{going.to}~{session.id}"
        done = msgspec.structs.replace(going, moved_to=where)
        with session.change(durable=True):
            body = ending.error_body(move.gone(where))
            for message in session.store.open_messages(session.id):
                receipts.step(session, message, "cancelled", error=body)
            self._keep(session, done, session_events.Moved(move=going.id, to=where, by=actor))
            ending.end(session, "moved", "moved", f"It is {where} now.", None)
        await failpoint("released")
        self._file(going).unlink(missing_ok=True)
        return told(done)

    def stay(self, asked: StayHere, actor: str) -> dict[str, Any]:
        """It does not move after all. Raise Conflict when it has."""
        managed = self._pool.managed(asked.session_id)
        move.refuse_moved(managed.session.record)
        going = move.of(managed.session.record)
        if going is not None:
            self._give_back(managed, going, actor)
        return {"session": managed.session.view(), "move": None if going is None else told(going)}

    def _give_back(self, managed: ManagedSession, going: Move, actor: str) -> None:
        self._keep(managed.session, None, session_events.Staying(move=going.id, by=actor))
        self._file(going).unlink(missing_ok=True)
        managed.sender.wake()

    def _keep(self, session: Session, going: Move | None, said: EventData | None) -> None:
        with session.change(durable=True):
            session.record.move = None if going is None else msgspec.to_builtins(going)
            session.store.save_session(session.record)
            if said is not None:
                session.store.append(said, session.id)
        session.changed.notify()

    def _under_way(self, session_id: str, move_id: str) -> tuple[Session, Move]:
        session = self._pool.managed(session_id).session
        going = move.of(session.record)
        if going is None or going.id != move_id or going.moved_to is not None or session.state is not State.HIBERNATED:
            raise _called_off()
        return session, going

    def _file(self, going: Move) -> Path:
        return self._pool.services.paths.moves_dir / f"{going.id}.out.tar"


def _called_off() -> Conflict:
    return Conflict("No such move of this session is under way: it was called off.", code="no_such_move")


def told(going: Move) -> MoveStep:
    """How far it is; the word only when it is let go of."""
    moved = going.moved_to is not None
    return MoveStep(id=going.id, to=going.to, moved=moved, word=going.word if moved else None)


def _waiting_again(message: MessageRecord) -> MessageRecord:
    """A message that was told to have gone along waits where it goes to."""
    if message.state != "cancelled" or (message.error or {}).get("code") != "session_moved":
        return message
    steps = {name: at for name, at in message.steps.items() if name != "cancelled"}
    return replace(message, state="queued", error=None, steps=steps)


def packed_message(message: MessageRecord) -> bytes:
    """A message as a row, on one line."""
    columns = [getattr(message, name) for name in rows.MESSAGE_COLUMNS]
    body = msgspec.Raw(rows.body(message, rows.MESSAGE_COLUMNS))
    return msgspec.json.encode([columns, message.ord, body])


def _sources(record: SessionRecord, folder: Path) -> Iterator[tuple[str, Path]]:
    """The transcripts of its conversations with those of their subagents, and the attachments."""
    spoken = {item["id"]: Path(item["transcript"]) for item in record.conversations}
    if record.transcript:
        spoken[record.conversation_id] = Path(record.transcript)
    for conversation, path in spoken.items():
        if path.is_file():
            yield f"{bundle.TRANSCRIPTS}/{conversation}{path.suffix}", path
        yield from _below(path.with_suffix(""), f"{bundle.TRANSCRIPTS}/{conversation}")
    yield from _below(folder / attachments.FOLDER, bundle.ATTACHMENTS)


def _below(folder: Path, name: str) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield f"{name}/{path.relative_to(folder).as_posix()}", path
