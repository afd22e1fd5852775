"""What a person at the dashboard, or at any client with a screen, needs beside talking: the journal backwards, samples over time,
what was seen, drafts, folders, a waiting message with another text, rules at run time.

What must not regress: looking wakes no session and is no activity; a draft is no message, and is told in no event.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from shared.bus import message_events, message_requests, service_requests, session_requests
from shared.bus.messages import MAX_MESSAGE_BYTES, Request
from shared.errors import Conflict, InvalidRequest, NotFound, TooLarge
from supervisor.bus.operations.table import Row
from supervisor.claude.texts import normalization
from supervisor.history.index_upkeep import conversations_of
from supervisor.history.library import ConversationCatalog
from supervisor.lifecycle import recycling
from supervisor.pool import folders
from supervisor.pool.pool import Pool
from supervisor.pool.samples import Samples
from supervisor.session import attachments
from supervisor.settings import Settings
from supervisor.state.states import State
from supervisor.store.store import now_ms

MAX_PAGE = 1000
MAX_FOLDERS = 1000
ELSEWHERE = 20


class DeskOps:
    """The handlers."""

    def __init__(self, pool: Pool, settings: Settings, samples: Samples, library: ConversationCatalog) -> None:
        self._pool, self._settings, self._samples, self._library = pool, settings, samples, library

    def rows(self) -> list[Row]:
        """What it answers."""
        return [
            ("events.page", service_requests.EventsPage, self._page),
            ("samples", service_requests.SamplesRequest, self._samples_of),
            ("session.seen", session_requests.MarkSeen, self._seen),
            ("session.recycle", session_requests.SessionRef, self._recycle),
            ("draft.get", session_requests.DraftRef, self._draft),
            ("draft.set", session_requests.KeepDraft, self._keep_draft),
            ("folders.list", service_requests.ListFolders, self._folders),
            ("message.update", message_requests.UpdateMessage, self._update_message),
            ("rule.list", service_requests.Nothing, self._rules),
            ("rule.add", service_requests.AddRule, self._add_rule),
            ("rule.remove", service_requests.RuleRef, self._remove_rule),
        ]

    # -- what was -----------------------------------------------------------------------------------------------------

    async def _page(self, arguments: service_requests.EventsPage, _: Request) -> Any:
        if not 1 <= arguments.limit <= MAX_PAGE:
            raise InvalidRequest(f"`limit` must be between 1 and {MAX_PAGE}.", code="invalid_limit")
        store = self._pool.store
        a = arguments
        found = await store.find_events_before(a.before, a.limit + 1, a.session_id, a.kinds, a.actor)
        more = len(found) > arguments.limit
        found = found[: arguments.limit]
        return {"events": found, "next": found[-1].seq if more else None, "epoch": store.epoch}

    async def _samples_of(self, arguments: service_requests.SamplesRequest, _: Request) -> Any:
        return {
            "span": arguments.span,
            "total": self._samples.view(arguments.span),
            "sessions": self._samples.each() if arguments.each else {},
        }

    # -- a session's ----------------------------------------------------------------------------------------------------

    async def _seen(self, arguments: session_requests.MarkSeen, request: Request) -> Any:
        session = self._pool.managed(arguments.session_id).session
        until = min(arguments.at if arguments.at is not None else now_ms(), now_ms())
        if until > session.record.seen_at:
            with session.change():
                session.record.seen_at = until
                session.store.save_session(session.record)
                session.store.append(message_events.Seen(until=until, by=request.actor), session.id)
        return session.view()

    async def _recycle(self, arguments: session_requests.SessionRef, request: Request) -> Any:
        managed = self._pool.managed(arguments.session_id)
        session = managed.session
        if session.state is not State.IDLE:
            raise Conflict(
                f"The session is {session.state}: only one at rest gets a new process. Interrupt it first, or wait.",
                code="not_idle",
            )
        if not await recycling.renew(session, managed.lifecycle, f"asked by {request.actor}"):
            raise Conflict("The session has begun to work meanwhile. Ask again.", code="not_idle")
        return session.view()

    async def _draft(self, arguments: session_requests.DraftRef, _: Request) -> Any:
        self._pool.managed(arguments.session_id)
        kept = self._pool.store.draft(arguments.session_id)
        return msgspec.json.decode(kept) if kept else {"text": "", "at": 0, "by": None}

    async def _keep_draft(self, arguments: session_requests.KeepDraft, request: Request) -> Any:
        self._pool.managed(arguments.session_id)
        _fits(arguments.text)
        made = {"text": arguments.text, "at": now_ms(), "by": request.actor}
        kept = msgspec.json.encode(made).decode() if arguments.text else None
        self._pool.store.keep_draft(arguments.session_id, kept)
        return made

    async def _folders(self, arguments: service_requests.ListFolders, _: Request) -> Any:
        if not 1 <= arguments.limit <= MAX_FOLDERS:
            raise InvalidRequest(f"`limit` must be between 1 and {MAX_FOLDERS}.", code="invalid_limit")
        configured = self._settings.config.sessions.browse_roots
        roots = await asyncio.to_thread(lambda: [Path(root).expanduser().resolve() for root in configured])
        told = {"roots": [str(root) for root in roots]}
        if arguments.path:
            return told | await asyncio.to_thread(folders.browse, arguments.path, roots, arguments.limit)
        records = sorted(await self._pool.store.every_session(), key=lambda record: -record.last_activity)
        recent = [record.project_path for record in records]
        known = conversations_of(records)

        def look() -> list[folders.Folder]:
            elsewhere = [
                one.project_path for one in self._library.others(known, None, ELSEWHERE)[0] if one.project_path
            ]
            return folders.used(recent, elsewhere, arguments.limit)

        return told | {"path": None, "parent": None, "folders": await asyncio.to_thread(look)}

    # -- the queue --------------------------------------------------------------------------------------------------------

    async def _update_message(self, arguments: message_requests.UpdateMessage, request: Request) -> Any:
        store = self._pool.store
        record = store.message(arguments.message_id)
        if record is None:
            raise NotFound(f"Message {arguments.message_id} not found.", code="message_not_found")
        session = self._pool.managed(record.session_id).session
        current = session.current
        if record.state != "queued" or record.kind != "prompt" or (current is not None and current.id == record.id):
            raise Conflict(
                f"The message is {record.state}{' and under way' if record.state == 'queued' else ''}: only one that "
                "waits in the queue can be changed.",
                code="not_changeable",
            )
        _fits(arguments.text)
        typed = normalization.prepare(arguments.text, exact=False)
        session.check_mentions(typed.prompt, arguments.confined or record.confined)
        record.text, record.normalized = arguments.text, typed.changes
        record.typed = typed.text if typed.changes else None
        record.prompt = typed.prompt + attachments.suffix_again(record.attachments)
        with session.change(durable=True):
            store.rewrite_message(record)
            store.append(message_events.MessageEdited(message=record.id, by=request.actor), session.id)
        return self._pool.receipt(record)

    # -- rules ------------------------------------------------------------------------------------------------------------

    async def _rules(self, _: Any, __: Request) -> Any:
        return {"rules": await self._settings.rules()}

    async def _add_rule(self, arguments: service_requests.AddRule, request: Request) -> Any:
        return self._settings.add_rule(arguments, request.actor)

    async def _remove_rule(self, arguments: service_requests.RuleRef, request: Request) -> Any:
        self._settings.remove_rule(arguments.rule_id, request.actor)
        return {}


def _fits(text: str) -> None:
    if len(text.encode("utf-8", "replace")) > MAX_MESSAGE_BYTES:
        raise TooLarge(f"The text is over {MAX_MESSAGE_BYTES // 1000} kB.", code="message_too_large")
