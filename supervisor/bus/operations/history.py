"""The operations on what was said: history, export, search, usage, other conversations, forks.

Whatever reads transcripts does it on another thread: they can be large, and the loop belongs to the live sessions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from shared.bus import message_requests, session_requests
from shared.bus.messages import HistoryEntry, HistoryPage, Request
from shared.bus.session_requests import CreateSession
from shared.errors import Conflict, InvalidRequest, NotFound
from supervisor.bus.operations import paging
from supervisor.bus.operations.table import Row
from supervisor.claude.home import find_transcript
from supervisor.delivery import chat_mode
from supervisor.history import export, reader
from supervisor.history.index_upkeep import IndexUpkeep, conversations_of
from supervisor.history.library import glimpse
from supervisor.history.own_commands import own_command
from supervisor.history.reader import Source, sources_of
from supervisor.pool.managed_session import ManagedSession
from supervisor.pool.pool import Pool
from supervisor.store import search_index
from supervisor.store.idempotency import RequestKey, digest
from supervisor.store.store import SessionRecord, now_ms

MAX_ENTRIES = 1000
CATCH_UP_SECONDS = 2.0
"""How long a search or a usage question waits for the index; later ones find the rest (`complete` says so)."""

Opening = Callable[[CreateSession, RequestKey, Request], Awaitable[Any]]


class HistoryOps:
    """The handlers. `open_session` opens one, as for `session.create`; `upkeep` is to be run beside them."""

    def __init__(self, pool: Pool, open_session: Opening) -> None:
        self._pool = pool
        self._store = pool.store
        self.upkeep = IndexUpkeep(pool.store, pool.services.paths.home, pool.services.claude_home, pool.log)
        self._open_session = open_session
        self._exporting = asyncio.Lock()
        """One part at a time: other threads that work take the loop's time."""

    def rows(self) -> list[Row]:
        """What it answers."""
        return [
            ("history", message_requests.HistoryRequest, self._history),
            ("export", message_requests.ExportRequest, self._export),
            ("search", message_requests.SearchRequest, self._search),
            ("usage", message_requests.UsageRequest, self._usage),
            ("conversations.list", message_requests.ListConversations, self._conversations),
            ("conversation.history", message_requests.ConversationHistory, self._conversation_history),
            ("session.fork", session_requests.ForkSession, self._fork),
        ]

    def _find(self, session_id: str) -> ManagedSession:
        return self._pool.managed(session_id)

    async def _history(self, arguments: message_requests.HistoryRequest, _: Request) -> Any:
        record = self._find(arguments.session_id).session.record
        if not 1 <= arguments.limit <= MAX_ENTRIES:
            raise InvalidRequest(f"`limit` must be between 1 and {MAX_ENTRIES}.", code="invalid_limit")
        sources = self._sources(record)
        entries, following = await asyncio.to_thread(reader.page, sources, arguments.before, arguments.limit)
        return HistoryPage(entries=self._with_receipts(record, entries), next=following)

    async def _export(self, arguments: message_requests.ExportRequest, _: Request) -> Any:
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
        return sources_of(record, self._pool.services.claude_home)

    def _with_receipts(self, record: SessionRecord, entries: list[HistoryEntry]) -> list[HistoryEntry]:
        """What we sent is told from what was typed at the terminal, and has the text that was typed for it, without what
        was added about its files."""
        known = self._store.by_prompt(record.id, (entry.prompt_id for entry in entries if entry.prompt_id))
        told: list[HistoryEntry] = []
        given = [entry.text for entry in entries if entry.role == "command" and entry.source == "terminal"]
        commands = self._store.commands(record.id, given)
        for entry in entries:
            if entry.role == "command" and (command := own_command(entry, commands)) is not None:
                commands.remove(command)
                told.append(msgspec.structs.replace(entry, source="api", message_id=command.id))
                continue
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

    async def _search(self, arguments: message_requests.SearchRequest, _: Request) -> Any:
        search_index.expression(arguments.query)
        if arguments.session_id:
            self._find(arguments.session_id)
        paging.check_limit(arguments.limit)
        place = paging.place_of(arguments.after)
        skipped = place[0] if place is not None else 0
        everywhere = arguments.everywhere and arguments.session_id is None
        complete = await self.upkeep.catch_up_for(arguments.session_id, everywhere, CATCH_UP_SECONDS)
        hits, more = await asyncio.to_thread(
            self.upkeep.index.search, arguments.query, arguments.limit, arguments.session_id, everywhere, skipped
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

    async def _usage(self, arguments: message_requests.UsageRequest, _: Request) -> Any:
        if arguments.session_id:
            self._find(arguments.session_id)
        complete = await self.upkeep.catch_up_for(arguments.session_id, False, CATCH_UP_SECONDS)
        rows = await asyncio.to_thread(self.upkeep.index.usage, arguments.by, arguments.session_id)
        total: dict[str, int] = {}
        for row in rows:
            for name, count in row["usage"].items():
                total[name] = total.get(name, 0) + count
        told, following = paging.page(rows, _place_of_usage, arguments.after, arguments.limit)
        return {"by": arguments.by, "rows": told, "total": total, "complete": complete, "next": following}

    async def _conversations(self, arguments: message_requests.ListConversations, _: Request) -> Any:
        paging.check_limit(arguments.limit)
        ours = conversations_of(await self._store.every_session())
        project = arguments.project_path
        after = paging.place_of(arguments.after)
        found, last = await asyncio.to_thread(self.upkeep.library.others, ours, project, arguments.limit, after)
        following = paging.cursor(last) if last is not None else None
        return {"conversations": [conversation.view() for conversation in found], "next": following}

    async def _conversation_history(self, arguments: message_requests.ConversationHistory, _: Request) -> Any:
        if not 1 <= arguments.limit <= MAX_ENTRIES:
            raise InvalidRequest(f"`limit` must be between 1 and {MAX_ENTRIES}.", code="invalid_limit")
        path = await asyncio.to_thread(find_transcript, self._pool.services.claude_home, arguments.conversation_id)
        if path is None:
            raise NotFound(
                f"There is no conversation {arguments.conversation_id[:80]!r} on this machine. `GET /api/conversations` "
                "lists them.",
                code="conversation_not_found",
            )
        source = Source(path.stem, path)
        entries, following = await asyncio.to_thread(reader.page, [source], arguments.before, arguments.limit)
        return HistoryPage(entries=entries, next=following)

    async def _fork(self, arguments: session_requests.ForkSession, request: Request) -> Any:
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
            fork_before=arguments.before,
            model=launch.model,
            permission_mode=launch.permission_mode,
            effort=launch.effort,
            add_dirs=list(launch.add_dirs),
            mcp_config=launch.mcp_config,
            append_system_prompt=launch.append_system_prompt,
        )
        asked = arguments.title if arguments.before is None else [arguments.title, arguments.before]
        view = await self._open_session(
            wanted, RequestKey("session.fork", session.id, arguments.key, digest(asked)), request
        )
        chat_mode.inherit(self._find(view.id).session, record.intent)
        return view


def _place_of_usage(row: dict[str, Any]) -> paging.Place:
    """The newest first."""
    return -int(row["to"].replace("-", "")), row.get("day") or row["sessionId"]


def _form(name: str, record: SessionRecord) -> export.ExportFormat:
    if name == "json":
        facts = {"sessionId": record.id, "title": record.title, "projectPath": record.project_path}
        return export.Json(record.id, {**facts, "exportedAt": now_ms()})
    return export.Markdown(
        record.id, record.title or f"Session {record.id}", [("session", record.id), ("project", record.project_path)]
    )
