"""A session comes from another node: its bundle is kept, and becomes a session when the other node has let go of it.

What must not regress: a bundle alone is no session, whoever says so, without the word that only the release tells; what could
keep it from becoming one is refused before the other node lets go; a crash while it is unpacked loses nothing, and the repeat
goes on.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from pathlib import Path
from typing import Any

import msgspec

from shared.bus import session_events
from shared.bus.messages import SessionView
from shared.bus.move_requests import ArriveHere, DeclineBundle, TakeBundle
from shared.errors import Conflict, Forbidden, InvalidRequest, NotFound, StorageFailed, Unavailable
from shared.foreign_file import Unreadable
from supervisor import clock
from supervisor.claude import status_file
from supervisor.claude.home import transcript_path
from supervisor.failpoints import failpoint
from supervisor.moving import bundle
from supervisor.pool import opening
from supervisor.pool.pool import Pool
from supervisor.session import attachments, move
from supervisor.store import backup, rows
from supervisor.store.records import MessageRecord, SessionRecord
from supervisor.store.store import Store, now_ms

UPLOAD_SECONDS = 3600.0
_EXPECTED = "expected:"


class _Expected(msgspec.Struct):
    """A bundle that is kept, as the database remembers it under the session's id."""

    move: str
    digest: str
    project: str


class Arrivals:
    """The steps of the node that a session comes to."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._one = asyncio.Lock()

    async def take(self, asked: TakeBundle) -> dict[str, Any]:
        """Keep a bundle. Raise what would keep it from becoming a session."""
        upload = self._pool.services.paths.moves_dir / asked.upload
        try:
            async with self._one:
                return await self._take(asked, upload)
        finally:
            upload.unlink(missing_ok=True)

    async def _take(self, asked: TakeBundle, upload: Path) -> dict[str, Any]:
        store = self._pool.store
        manifest, digest = await asyncio.to_thread(bundle.verify, upload)
        record = store.session(asked.session_id)
        if manifest.move != asked.move or manifest.session["id"] != asked.session_id:
            raise InvalidRequest("It is the bundle of another session, or of another move.", code="bundle_damaged")
        if record is not None and record.arrived_by == asked.move:
            return {"digest": digest, "arrived": True}
        project = str(self._project(asked.project_path or manifest.project_path))
        await self._check(manifest, upload, project)
        await failpoint("importing")
        before = self._expected(asked.session_id)
        upload.rename(self._file(asked.move))
        expected = _Expected(move=asked.move, digest=digest, project=project)
        with store.transaction(durable=True):
            store.set_meta(_EXPECTED + asked.session_id, msgspec.json.encode(expected).decode())
        if before is not None and before.move != asked.move:
            self._file(before.move).unlink(missing_ok=True)  # a session leaves once: that move was called off
        return {"digest": digest, "arrived": False}

    @staticmethod
    def _project(given: str) -> Path:
        try:
            return opening.project_folder(given)
        except InvalidRequest as error:
            raise InvalidRequest(
                f"{error.message} It is the session's project on this node; name another one with `--project`.",
                code=error.error_code,
            ) from None

    async def _check(self, manifest: bundle.Manifest, path: Path, project: str) -> None:
        """Raise Conflict when the session, or its conversation, is here already."""
        store, home = self._pool.store, self._pool.services.claude_home
        record = self._record(manifest, project)
        before = store.session(record.id)
        gone = None if before is None else move.of(before)
        if before is not None and (gone is None or gone.moved_to is None):
            raise Conflict(f"The session {record.id} is here already.", code="session_known")
        other = store.session_of_conversation(record.conversation_id)
        if other is not None and other.id != record.id:
            raise Conflict(
                f"Session {other.id} has this conversation here.",
                code="conversation_known",
                data={"sessionId": other.id},
            )
        if (pid := status_file.owner(home, record.conversation_id)) is not None:
            raise Conflict(
                f"Another `claude` (pid {pid}) has this conversation open here. Close it first.",
                code="conversation_in_use",
            )
        try:
            await asyncio.to_thread(bundle.check, path, lambda name: self._target(name, record))
        except Unreadable as error:
            raise Conflict(f"{error.filename} cannot be read: {error.reason}.", code="transcript_unreadable") from None

    async def arrive(self, asked: ArriveHere, actor: str) -> SessionView:
        """Make it a session. Raise NotFound when there is no such bundle, Forbidden without the word."""
        async with self._one:
            known = self._pool.store.session(asked.session_id)
            if known is not None and known.arrived_by == asked.move:
                self._file(asked.move).unlink(missing_ok=True)  # a crash may have come before
                return self._pool.managed(asked.session_id).session.view()
            expected = self._expected(asked.session_id)
            path = self._file(asked.move)
            if expected is None or expected.move != asked.move or not path.exists():
                raise NotFound("There is no bundle of this move here: send it (again).", code="no_such_move")
            manifest, _ = await asyncio.to_thread(bundle.verify, path)
            if hashlib.sha256(asked.word.encode()).hexdigest() != manifest.word_hash:
                raise Forbidden("The node that it comes from has not let go of it.", code="not_released")
            await failpoint("arriving")
            await self._check(manifest, path, expected.project)
            record = self._record(manifest, expected.project)
            lines = await asyncio.to_thread(bundle.unpack, path, lambda name: self._target(name, record))
            await failpoint("unpacked")
            self._keep(manifest, record, [self._message(line, manifest) for line in lines], actor)
            managed = self._pool.take_in(record)
        await failpoint("arrived")
        path.unlink(missing_ok=True)
        return managed.session.view()

    def _keep(
        self, manifest: bundle.Manifest, record: SessionRecord, messages: list[MessageRecord], actor: str
    ) -> None:
        store = self._pool.store
        with store.transaction(durable=True):
            store.save_session(record)
            store.take_messages(record.id, messages)
            store.take_keys(manifest.keys)
            for name, position in manifest.positions.items():
                store.set_position(record.id, name, position)
            store.keep_draft(record.id, manifest.draft)
            store.drop_meta(_EXPECTED + record.id)
            said = session_events.Arrived(move=manifest.move, from_=manifest.node, by=actor)
            store.append(said, record.id)

    def decline(self, asked: DeclineBundle) -> None:
        """Throw a bundle away, if there is one of this move that is no session."""
        expected, store = self._expected(asked.session_id), self._pool.store
        if expected is not None and expected.move == asked.move:
            with store.transaction(durable=True):
                store.drop_meta(_EXPECTED + asked.session_id)
            self._file(asked.move).unlink(missing_ok=True)

    def refuse(self, session_id: str) -> None:
        """Raise Unavailable when a session that is not here is on its way: its bundle has come."""
        if self._expected(session_id) is not None:
            raise Unavailable(
                "The session is on its way here from another node. Send this again with the same request id; if it stays so, "
                "give the command that moves it again.",
                code="session_moving",
                data={"retryAfter": move.MOVE_RETRY_SECONDS},
            )

    def _record(self, manifest: bundle.Manifest, project: str) -> SessionRecord:
        """As it was there, asleep, with what belongs to a machine as it is here."""
        columns = [manifest.session[name] for name in rows.SESSION_COLUMNS]
        record = rows.session_of((*columns, bytes(manifest.body)))
        backup.asleep(record)
        record.project_path, record.move, record.arrived_by = project, None, manifest.move
        record.ended_at, record.end_reason, record.end_detail = None, None, None
        record.last_activity, record.warned = now_ms(), False
        record.activity_clock, record.activity_boot = clock.now(), clock.BOOT
        record.held_until, record.held_reason, record.held_for, record.refusals = None, None, None, 0
        home = self._pool.services.claude_home
        if record.transcript:
            record.transcript = str(transcript_path(home, project, record.conversation_id))
        record.conversations = [
            {**item, "transcript": str(transcript_path(home, project, item["id"]))} for item in record.conversations
        ]
        return record

    def _target(self, name: str, record: SessionRecord) -> Path | None:
        """Where a file of the bundle belongs; None for what is not of this session."""
        top, _, rest = name.partition("/")
        services = self._pool.services
        if top == bundle.TRANSCRIPTS:
            first = rest.partition("/")[0]
            for conversation in (record.conversation_id, *(item["id"] for item in record.conversations)):
                transcript = transcript_path(services.claude_home, record.project_path, conversation)
                if first in (transcript.name, transcript.stem):
                    return transcript.parent / rest
            return None
        if top == bundle.ATTACHMENTS and rest:
            return services.paths.session_dir(record.id) / attachments.FOLDER / rest
        return None

    def _message(self, line: bytes, manifest: bundle.Manifest) -> MessageRecord:
        """As it was there, with its files where they are here."""
        columns, order, body = msgspec.json.decode(line, type=tuple[list[Any], int, msgspec.Raw])
        record = rows.message_of((*columns, order, bytes(body)))
        if record.attachments:
            folder = self._pool.services.paths.session_dir(record.session_id) / attachments.FOLDER / record.id
            before = attachments.suffix_again(record.attachments)
            record.attachments = [{**file, "path": str(folder / file["name"])} for file in record.attachments]
            if record.prompt.endswith(before):
                record.prompt = record.prompt.removesuffix(before) + attachments.suffix_again(record.attachments)
        return record

    def _expected(self, session_id: str) -> _Expected | None:
        kept = self._pool.store.meta(_EXPECTED + session_id)
        return None if kept is None else msgspec.json.decode(kept, type=_Expected)

    def _file(self, move: str) -> Path:
        return self._pool.services.paths.moves_dir / f"{move}.in.tar"


def sweep(folder: Path, store: Store) -> None:
    """At the start: what was being written when its writer died, and every bundle that no move has a use for."""
    kept = [msgspec.json.decode(one, type=_Expected) for one in store.metas(_EXPECTED)]
    going = [move.of(record) for record in store.sessions()]
    wanted = {f"{one.move}.in.tar" for one in kept} | {f"{one.id}.out.tar" for one in going if one is not None}
    recent = time.time() - UPLOAD_SECONDS
    try:
        for left in (path for pattern in ("*.tar", "*.part", "*.making") for path in folder.glob(pattern)):
            uploading = left.suffix == ".part" and left.stat().st_mtime > recent  # an API that lives may be at it
            if left.name not in wanted and not uploading:
                left.unlink(missing_ok=True)
    except OSError as error:
        raise StorageFailed(f"{folder} cannot be used: {error}.") from error
