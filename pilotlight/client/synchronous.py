"""The client for ordinary programs: each method is one call of the API, and blocks until it is answered."""

from __future__ import annotations

import http.client
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from pilotlight.client import shapes
from pilotlight.client.errors import refused
from pilotlight.client.transport import PAUSES, Frame, Transport

WAIT_SECONDS = 60.0


class Client:
    """One pilotlight. `patience`: for how many seconds a call is tried again while the API restarts. `ca_file`: a certificate, or
    whose certificates, are trusted over HTTPS. `connect`: makes each connection, in the place of one to where `url` says.

    A call that changes something takes a `key`: two with the same key are one. Without one, each call makes its own, and keeps it
    for all of its tries.
    """

    def __init__(
        self,
        url: str,
        token: str,
        patience: float = 60.0,
        ca_file: str | None = None,
        connect: Callable[[float], http.client.HTTPConnection] | None = None,
    ) -> None:
        self._transport = Transport(url, token, patience, ca_file, connect)

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None, **query: Any) -> Any:
        """Any call of the API, by its path."""
        return self._transport.call(method, path, body, query)

    # -- messages --------------------------------------------------------------------------------------------------------

    def chat(
        self,
        message: str,
        *,
        session: str | None = None,
        project: str | None = None,
        wait: float = WAIT_SECONDS,
        trust: bool | None = None,
        key: str | None = None,
        **more: Any,
    ) -> shapes.MessageOutcome:
        """Say something, in a new session of `project` unless one is named, and wait for the reply."""
        body = {"message": message, "sessionId": session, "projectPath": project, "wait": wait, "trust": trust, **more}
        return cast(shapes.MessageOutcome, self._transport.call("POST", "/api/chat", body, key=key, wait=wait))

    def stream(
        self,
        message: str,
        *,
        session: str | None = None,
        project: str | None = None,
        trust: bool | None = None,
        key: str | None = None,
        **more: Any,
    ) -> Iterator[shapes.Event | shapes.StreamEnd]:
        """Say something and follow what happens to it; the last is a `StreamEnd`, with the reply. A stream that breaks off is
        taken up where it was, and nothing comes twice."""
        body = {"message": message, "sessionId": session, "projectPath": project, "trust": trust, **more}
        key, last = key or uuid.uuid4().hex, None
        while True:
            for frame in self._transport.frames("POST", "/api/chat", body, key=key, last=last):
                last = frame.id or last
                if frame.event == "done":
                    if not frame.data.get("success"):
                        raise refused(int(frame.data.get("status", 502)), frame.data)
                    yield cast(shapes.StreamEnd, frame.data)
                    return
                if "kind" in frame.data:
                    yield cast(shapes.Event, frame.data)
            time.sleep(PAUSES[0])

    def message(self, message: str, wait: float = 0.0) -> shapes.Receipt:
        """How far a message came."""
        path = f"/api/messages/{_part(message)}"
        return cast(shapes.Receipt, self._transport.call("GET", path, query={"wait": wait}, wait=wait))

    def history(self, session: str) -> Iterator[shapes.HistoryEntry]:
        """All that was said, the newest first."""
        before = None
        while True:
            page = self._transport.call("GET", f"/api/sessions/{_part(session)}/history", query={"before": before})
            yield from reversed(page["entries"])
            if not (before := page["next"]):
                return

    def search(self, words: str, session: str | None = None) -> Iterator[shapes.SearchHit]:
        """Where it was said, the best match first."""
        yield from self._pages("/api/search", "hits", {"q": words, "session": session})

    # -- sessions --------------------------------------------------------------------------------------------------------

    def sessions(self, state: str | None = None, ended: bool = False) -> Iterator[shapes.SessionView]:
        """All sessions, the oldest first."""
        yield from self._pages("/api/sessions", "sessions", {"state": state, "includeEnded": ended, "limit": 100})

    def session(self, session: str) -> shapes.SessionView:
        """One session."""
        return self._session("GET", session, "")

    def create(self, project: str, *, key: str | None = None, **options: Any) -> shapes.SessionView:
        """Open a session; options are those of `POST /api/sessions`."""
        body = {"projectPath": project, **options}
        answer = self._transport.call("POST", "/api/sessions", body, key=key, wait=float(options.get("wait") or 0))
        return cast(shapes.SessionView, answer["session"])

    def answer(
        self,
        session: str,
        choice: str | None = None,
        *,
        text: str | None = None,
        answers: Mapping[str, str | Sequence[str]] | None = None,
        waiting: str | None = None,
        key: str | None = None,
    ) -> shapes.SessionView:
        """Answer what a session waits for."""
        body = {"choice": choice, "text": text, "answers": answers, "waitingId": waiting}
        return self._session("POST", session, "/answer", body, key)

    def interrupt(self, session: str, key: str | None = None) -> shapes.SessionView:
        """Stop the turn under way."""
        return self._session("POST", session, "/interrupt", {}, key)

    def hibernate(self, session: str, key: str | None = None) -> shapes.SessionView:
        """Put it to sleep; the next message wakes it."""
        return self._session("POST", session, "/hibernate", {}, key)

    def reopen(self, session: str, key: str | None = None) -> shapes.SessionView:
        """Go on with one that has ended."""
        return self._session("POST", session, "/reopen", {}, key)

    def end(self, session: str, key: str | None = None) -> shapes.SessionView:
        """End it; its conversation stays."""
        return self._session("DELETE", session, "", {}, key)

    # -- events ----------------------------------------------------------------------------------------------------------

    def events(
        self, since: str | None = None, *, session: str | None = None, kinds: Sequence[str] | None = None
    ) -> Iterator[Frame]:
        """Follow the journal, for ever, over restarts of the API; `since` is a frame's `id`. A `gap`: events are missing."""
        query = {"session": session, "kinds": ",".join(kinds) if kinds else None}
        last = since
        while True:
            for frame in self._transport.frames("GET", "/api/events", query=query, last=last):
                last = frame.id or last
                yield frame
            time.sleep(PAUSES[0])

    def _session(
        self, method: str, session: str, verb: str, body: Mapping[str, Any] | None = None, key: str | None = None
    ) -> shapes.SessionView:
        answer = self._transport.call(method, f"/api/sessions/{_part(session)}{verb}", body, key=key, wait=MOST_SECONDS)
        return cast(shapes.SessionView, answer["session"])

    def _pages(self, path: str, name: str, query: dict[str, Any]) -> Iterator[Any]:
        after = None
        while True:
            page = self._transport.call("GET", path, query={**query, "after": after})
            yield from page[name]
            if not (after := page.get("next")):
                return


MOST_SECONDS = 60.0
"""What ending or waking a session may take."""


def _part(text: str) -> str:
    return urllib.parse.quote(text, safe="")
