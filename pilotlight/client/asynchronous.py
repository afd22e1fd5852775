"""The same client for asyncio: each call runs on a thread, so that the loop goes on.

A call that is cancelled is given up here and ends by itself there; what it had asked for may have been done.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pilotlight.client import shapes
from pilotlight.client.synchronous import Client
from pilotlight.client.transport import Frame

T = TypeVar("T")
_END = object()


class AsyncClient:
    """One pilotlight; methods and arguments are those of `Client`."""

    def __init__(self, url: str, token: str, patience: float = 60.0, ca_file: str | None = None) -> None:
        self._client = Client(url, token, patience, ca_file)

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None, **query: Any) -> Any:
        """Any call of the API, by its path."""
        return await asyncio.to_thread(self._client.call, method, path, body, **query)

    async def chat(self, message: str, **more: Any) -> shapes.MessageOutcome:
        """Say something, and wait for the reply."""
        return await asyncio.to_thread(self._client.chat, message, **more)

    def stream(self, message: str, **more: Any) -> AsyncIterator[shapes.Event | shapes.StreamEnd]:
        """Say something and follow what happens to it."""
        return _each(lambda: self._client.stream(message, **more))

    async def message(self, message: str, wait: float = 0.0) -> shapes.Receipt:
        """How far a message came."""
        return await asyncio.to_thread(self._client.message, message, wait)

    def history(self, session: str) -> AsyncIterator[shapes.HistoryEntry]:
        """All that was said, the newest first."""
        return _each(lambda: self._client.history(session))

    def search(self, words: str, session: str | None = None) -> AsyncIterator[shapes.SearchHit]:
        """Where it was said, the best match first."""
        return _each(lambda: self._client.search(words, session))

    def sessions(self, state: str | None = None, ended: bool = False) -> AsyncIterator[shapes.SessionView]:
        """All sessions, the oldest first."""
        return _each(lambda: self._client.sessions(state, ended))

    async def session(self, session: str) -> shapes.SessionView:
        """One session."""
        return await asyncio.to_thread(self._client.session, session)

    async def create(self, project: str, **options: Any) -> shapes.SessionView:
        """Open a session."""
        return await asyncio.to_thread(self._client.create, project, **options)

    async def answer(self, session: str, choice: str | None = None, **more: Any) -> shapes.SessionView:
        """Answer what a session waits for."""
        return await asyncio.to_thread(self._client.answer, session, choice, **more)

    async def interrupt(self, session: str, key: str | None = None) -> shapes.SessionView:
        """Stop the turn under way."""
        return await asyncio.to_thread(self._client.interrupt, session, key)

    async def hibernate(self, session: str, key: str | None = None) -> shapes.SessionView:
        """Put it to sleep."""
        return await asyncio.to_thread(self._client.hibernate, session, key)

    async def reopen(self, session: str, key: str | None = None) -> shapes.SessionView:
        """Go on with one that has ended."""
        return await asyncio.to_thread(self._client.reopen, session, key)

    async def end(self, session: str, key: str | None = None) -> shapes.SessionView:
        """End it."""
        return await asyncio.to_thread(self._client.end, session, key)

    def events(
        self, since: str | None = None, *, session: str | None = None, kinds: Sequence[str] | None = None
    ) -> AsyncIterator[Frame]:
        """Follow the journal, for ever."""
        return _each(lambda: self._client.events(since, session=session, kinds=kinds))


async def _each(start: Callable[[], Iterator[T]]) -> AsyncIterator[T]:
    """What a blocking iterator gives, one thing at a time."""
    iterator = start()
    while (item := await asyncio.to_thread(next, iterator, _END)) is not _END:
        yield item  # type: ignore[misc]
