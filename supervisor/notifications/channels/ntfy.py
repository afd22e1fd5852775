"""ntfy: one POST to a topic, with buttons that answer through a link of ours, and a name under which the next one replaces it.

The name (`sequence_id`) is understood by ntfy 2.16 and newer; older servers show every note. A note that is withdrawn is
removed there, and posted as words where it cannot be.
"""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import quote

import msgspec

from supervisor.notifications.channels.contract import Note, Outcome
from supervisor.notifications.channels.http import Http, judge

_PRIORITY = {"low": 2, "normal": 3, "high": 4}
_TAGS = {"waiting": "raising_hand", "failed": "warning", "crashed": "warning", "answered": "white_check_mark"}
MAX_ACTIONS = 3
MAX_BODY = 3500
"""ntfy makes a file of a message that is longer than 4,096 bytes."""


class Ntfy:
    """A channel to one topic."""

    def __init__(self, http: Http, server: str, topic: str, token: str | None = None) -> None:
        self._http, self._server, self._topic, self._token = http, server.rstrip("/"), topic, token

    async def send(self, note: Note) -> Outcome:
        """Post it, or remove what it withdraws."""
        headers = {"content-type": "application/json"}
        if self._token is not None:
            headers["authorization"] = f"Bearer {self._token}"
        if note.withdrawn:
            url = f"{self._server}/{quote(self._topic, safe='')}/{sequence(note.tag)}"
            answer = await self._http.request("DELETE", url, headers)
            if answer.status < 400:
                return judge(answer)
            if answer.status in (429, 500, 502, 503, 504):
                return judge(answer, gone=())
        body = msgspec.json.encode(self._body(note))
        return judge(await self._http.request("POST", self._server + "/", headers, body), gone=(410,))

    def _body(self, note: Note) -> dict[str, Any]:
        body: dict[str, Any] = {
            "topic": self._topic,
            "title": note.title,
            "message": _cut(note.body or note.title),
            "priority": 2 if note.withdrawn else _PRIORITY[note.urgency],
            "sequence_id": sequence(note.tag),
        }
        if tag := _TAGS.get(note.kind):
            body["tags"] = [tag]
        if note.link:
            body["click"] = note.link
        actions = [
            {"action": "http", "label": choice.label, "url": choice.url, "method": "POST", "clear": True}
            for choice in note.choices
            if choice.url
        ]
        if actions and not note.withdrawn:
            body["actions"] = actions[:MAX_ACTIONS]
        return body


def sequence(tag: str) -> str:
    """The name of a notification that can be replaced, of characters that ntfy takes."""
    return hashlib.sha256(tag.encode()).hexdigest()[:24]


def _cut(text: str) -> str:
    return text.encode()[:MAX_BODY].decode("utf-8", "ignore")
