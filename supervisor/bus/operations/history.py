"""The operations of talking beyond sending: the queue's order, commands, history, search, usage, other conversations, forks.

They are registered with `Ops.add`, so that `ops` stays the one table. Whatever reads transcripts does it on another
thread: they can be large, and the loop belongs to the live sessions.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec

from shared.bus import events, operations
from shared.bus.messages import CommandResult, HistoryEntry, HistoryPage, Request
from shared.bus.operations import CreateSession, SendMessage
from shared.errors import Conflict, InvalidRequest, NotFound, StorageFailed
from supervisor.bus.operations import paging
from supervisor.bus.operations.table import Ops
from supervisor.claude.home import find_transcript, transcript_path
from supervisor.claude.slash_commands import check_command
from supervisor.delivery import chat_mode
from supervisor.history import export, reader
from supervisor.history.indexer import TranscriptLines, volumes
from supervisor.history.library import ConversationCatalog, glimpse
from supervisor.history.reader import Source
from supervisor.pool.managed_session import ManagedSession
from supervisor.pool.pool import Pool
from supervisor.session import attachments
from supervisor.session.states import State
from supervisor.store import search_index
from supervisor.store.idempotency import RequestKey, digest
from supervisor.store.store import SessionRecord, now_ms

COMMAND = "session.command"
MAX_ENTRIES = 1000
MAX_QUEUE_SHOWN = 1000
INDEX_SECONDS = 20.0
"""How often what is new is indexed when nobody searches."""

BITE_SECONDS = 1.0
"""How long one bite of that may take: a search that comes meanwhile waits for its end."""

CATCH_UP_SECONDS = 2.0
"""How long a search or a usage question waits for the index; later ones find the rest (`complete` says so)."""


class TalkOps:
    """The handlers, and what they need done beside them."""

    def __init__(self, pool: Pool, ops: Ops) -> None:
        self._pool = pool
        self._store = pool.store
        self._index = search_index.Index(pool.services.paths.home / "search.db", TranscriptLines)
        self._library = ConversationCatalog(pool.services.claude_home)
        self._looking = asyncio.Lock()
        self._exporting = asyncio.Lock()
        """One part at a time: other threads that work take the loop's time."""

        self._ops = ops
        m = operations
        for name, kind, handler in (
            ("message.move", m.MoveMessage, self._move),
            ("history", m.HistoryRequest, self._history),
            ("export", m.ExportRequest, self._export),
            ("search", m.SearchRequest, self._search),
            ("usage", m.UsageRequest, self._usage),
            ("conversations.list", m.ListConversations, self._conversations),
            ("session.fork", m.ForkSession, self._fork),
            ("session.command", m.RunCommand, self._command),
        ):
            ops.add(name, kind, handler)

    async def prepare(self) -> None:
        """At the start, before anything is sent: remove files that no message owns."""
        paths = self._pool.services.paths
        attachments.sweep(paths.home, paths.sessions_dir, lambda message: self._store.message(message) is not None)

    async def run(self) -> None:
        """Keep the index fresh, until cancelled."""
        try:
            complete = True
            while True:
                await asyncio.sleep(INDEX_SECONDS if complete else BITE_SECONDS)
                complete = True
                try:
                    complete = await self._catch_up(BITE_SECONDS)
                except (StorageFailed, OSError) as error:
                    self._pool.log.warning("index_failed", extra={"fields": {"why": str(error)}})
        finally:
            self._index.close()

    def _find(self, session_id: str) -> ManagedSession:
        return self._pool.managed(session_id)

    # -- the queue -------------------------------------------------------------------------------------------------

    async def _move(self, arguments: operations.MoveMessage, _: Request) -> Any:
        if arguments.position < 0:
            raise InvalidRequest("`position` counts from 0, the next to be sent.", code="invalid_position")
        record = self._store.message(arguments.message_id)
        if record is None:
            raise NotFound(f"Message {arguments.message_id} not found.", code="message_not_found")
        session = self._find(record.session_id).session
        under_way = session.current
        current = under_way.id if under_way is not None else None
        waiting = self._store.index.waiting(session.id, current)
        if record.ord not in {number for number, _ in waiting}:
            raise Conflict(
                f"The message is {record.state}{' and under way' if record.state == 'queued' else ''}: only one that "
                "waits in the queue can be moved.",
                code="not_movable",
            )
        after = under_way.rank if under_way is not None and under_way.state == "queued" else None
        with self._store.transaction(durable=True):
            order = self._store.index.move(waiting, record.ord, arguments.position, after)
            self._store.append(events.QueueMoved(message=record.id, position=order.index(record.ord)), session.id)
        return {"messages": self._pool.receipts(session.id, self._store.queued(session.id, current, MAX_QUEUE_SHOWN))}

    # -- commands ----------------------------------------------------------------------------------------------------

    async def _command(self, arguments: operations.RunCommand, request: Request) -> Any:
        command = check_command(arguments.command)
        order = SendMessage(text=command, session_id=arguments.session_id, key=arguments.key)
        managed, message, duplicate = self._pool.send(order, kind="command", op=COMMAND, actor=request.actor)
        session = managed.session

        def asks() -> bool:
            return session.state is State.WAITING and session.waiting is not None

        with session.fates.awaited(message.id) as settled:
            await session.changed.wait_for(lambda: settled() or asks(), max(0.0, arguments.wait))
        current = session.current
        own = current is not None and current.id == message.id and current.state in ("typed", "submitted")
        view = self._pool.sent(managed, message.id).message
        return CommandResult(
            message_id=view.id,
            state=view.state,
            session=session.view(),
            output=view.reply,
            waiting=session.waiting if own and asks() else None,  # it may be queued behind what another one has opened
            error=view.error,
            duplicate=duplicate,
        )

    # -- history -----------------------------------------------------------------------------------------------------

    async def _history(self, arguments: operations.HistoryRequest, _: Request) -> Any:
        record = self._find(arguments.session_id).session.record
        if not 1 <= arguments.limit <= MAX_ENTRIES:
            raise InvalidRequest(f"`limit` must be between 1 and {MAX_ENTRIES}.", code="invalid_limit")
        sources = self._sources(record)
        entries, following = await asyncio.to_thread(reader.page, sources, arguments.before, arguments.limit)
        return HistoryPage(entries=self._with_receipts(record, entries), next=following)

    async def _export(self, arguments: operations.ExportRequest, _: Request) -> Any:
        record = self._find(arguments.session_id).session.record
        sources = self._sources(record)
        place = export.ExportPosition.parse(arguments.after, len(sources))
        async with self._exporting:
            found, following = await asyncio.to_thread(export.part, sources, place)
            form, entries = _form(arguments.format, record), self._with_receipts(record, found)
            text = await asyncio.to_thread(export.written, form, entries, place, following is None)
        after = str(following) if following is not None else None
        return {"name": form.name, "contentType": form.content_type, "text": text, "next": after}

    def _sources(self, record: SessionRecord) -> list[Source]:
        """The transcripts of a session in the order in which they were begun."""
        found = [Source(item["id"], Path(item["transcript"])) for item in record.conversations]
        current = Path(record.transcript) if record.transcript else None
        if current is None or current.stem != record.conversation_id:
            home = self._pool.services.claude_home
            guess = transcript_path(home, record.project_path, record.conversation_id)
            current = guess if guess.exists() else find_transcript(home, record.conversation_id) or guess
        return [*found, Source(record.conversation_id, current)]

    def _with_receipts(self, record: SessionRecord, entries: list[HistoryEntry]) -> list[HistoryEntry]:
        """What we sent is told from what was typed at the terminal, and has the text that was typed for it, without what
        was added about its files."""
        known = self._store.by_prompt(record.id, (entry.prompt_id for entry in entries if entry.prompt_id))
        told: list[HistoryEntry] = []
        for entry in entries:
            message = known.get(entry.prompt_id or "")
            own = message is not None and (entry.at is None or entry.at >= message.created_at)
            if message is not None and own and entry.role in ("user", "command") and entry.source == "terminal":
                own_text = message.text if message.typed is None else message.typed
                text = own_text if entry.text.rstrip() == message.prompt.rstrip() else entry.text
                entry = msgspec.structs.replace(
                    entry, text=text, source="api", message_id=message.id, attachments=message.attachments
                )
            told.append(entry)
        return told

    # -- search and usage --------------------------------------------------------------------------------------------

    async def _catch_up(self, seconds: float) -> bool:
        """Index what is new, what was said in our sessions first. Whether all of it was."""
        records = self._store.sessions(include_ended=True)
        records.sort(key=lambda record: record.last_activity, reverse=True)
        ours = _conversations_of(records)

        def work() -> bool:
            end = time.monotonic() + seconds
            shelf = [(record.id, [(s.conversation, s.path) for s in self._sources(record)]) for record in records]
            own = (volume for session, sources in shelf for volume in volumes(session, sources))
            if not self._index.update(own, seconds):
                return False
            paths = self._library.transcripts(ours)
            self._index.keep_elsewhere(paths)
            others = (search_index.TranscriptRef(search_index.ELSEWHERE, path.stem, path) for path in paths)
            return self._index.update(others, end - time.monotonic(), gentle=True)

        async with self._looking:
            return await asyncio.to_thread(work)

    async def _search(self, arguments: operations.SearchRequest, _: Request) -> Any:
        search_index.expression(arguments.query)
        if arguments.session_id:
            self._find(arguments.session_id)
        paging.check_limit(arguments.limit)
        place = paging.place_of(arguments.after)
        skipped = place[0] if place is not None else 0
        complete = await self._catch_up(CATCH_UP_SECONDS)
        everywhere = arguments.everywhere and arguments.session_id is None
        hits, more = await asyncio.to_thread(
            self._index.search, arguments.query, arguments.limit, arguments.session_id, everywhere, skipped
        )
        foreign = {hit["path"] for hit in hits if hit["sessionId"] is None}
        seen = await asyncio.to_thread(lambda: {path: glimpse(Path(path)) for path in foreign})
        titles = {hit["sessionId"]: self._store.session(hit["sessionId"]) for hit in hits if hit["sessionId"]}
        for hit in hits:
            record, path = titles.get(hit["sessionId"]), hit.pop("path")
            project, title, first, _at = seen.get(path, (None, None, None, None))
            hit["title"], hit["projectPath"] = (
                (record.title, record.project_path) if record else (title or first, project)
            )
        following = paging.cursor((skipped + len(hits), "")) if more else None
        return {"hits": hits, "complete": complete, "next": following}

    async def _usage(self, arguments: operations.UsageRequest, _: Request) -> Any:
        if arguments.session_id:
            self._find(arguments.session_id)
        complete = await self._catch_up(CATCH_UP_SECONDS)
        rows = await asyncio.to_thread(self._index.usage, arguments.by, arguments.session_id)
        total: dict[str, int] = {}
        for row in rows:
            for name, count in row["usage"].items():
                total[name] = total.get(name, 0) + count
        told, following = paging.page(rows, _place_of_usage, arguments.after, arguments.limit)
        return {"by": arguments.by, "rows": told, "total": total, "complete": complete, "next": following}

    # -- other conversations -----------------------------------------------------------------------------------------

    async def _conversations(self, arguments: operations.ListConversations, _: Request) -> Any:
        paging.check_limit(arguments.limit)
        ours = _conversations_of(self._store.sessions(include_ended=True))
        project = arguments.project_path
        after = paging.place_of(arguments.after)
        found, last = await asyncio.to_thread(self._library.others, ours, project, arguments.limit, after)
        following = paging.cursor(last) if last is not None else None
        return {"conversations": [conversation.view() for conversation in found], "next": following}

    async def _fork(self, arguments: operations.ForkSession, request: Request) -> Any:
        session = self._find(arguments.session_id).session
        record = session.record
        source = self._sources(record)[-1]
        if not source.path.exists():
            raise Conflict("Nothing was said in this session yet: open a new one instead.", code="nothing_to_fork")
        launch = record.launch
        wanted = CreateSession(
            project_path=record.project_path,
            title=arguments.title,
            resume=record.conversation_id,
            fork=True,
            model=launch.model,
            permission_mode=launch.permission_mode,
            effort=launch.effort,
            add_dirs=list(launch.add_dirs),
            mcp_config=launch.mcp_config,
            append_system_prompt=launch.append_system_prompt,
        )
        view = await self._ops.open(
            wanted, RequestKey("session.fork", session.id, arguments.key, digest(arguments.title)), request
        )
        chat_mode.inherit(self._find(view.id).session, record.intent)
        return view


def _place_of_usage(row: dict[str, Any]) -> paging.Place:
    """The newest first."""
    return -int(row["to"].replace("-", "")), row.get("day") or row["sessionId"]


def _conversations_of(records: list[SessionRecord]) -> set[str]:
    """Every conversation that is, or was, one of our sessions'."""
    return {record.conversation_id for record in records} | {
        item["id"] for record in records for item in record.conversations
    }


def _form(name: str, record: SessionRecord) -> export.ExportFormat:
    if name == "json":
        facts = {"sessionId": record.id, "title": record.title, "projectPath": record.project_path}
        return export.Json(record.id, {**facts, "exportedAt": now_ms()})
    return export.Markdown(
        record.id, record.title or f"Session {record.id}", [("session", record.id), ("project", record.project_path)]
    )
