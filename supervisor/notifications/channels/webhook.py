"""A signed POST, in the form of Standard Webhooks: `webhook-id`, `webhook-timestamp` and `webhook-signature: v1,<HMAC-SHA256>`.

The id is the note's key, the same in every attempt, so a receiver can drop what it had already; the time is part of what is
signed, so an old one cannot be played back. `slack` and `teams` are the same words as those services want them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from time import time
from typing import Any, Literal

import msgspec

from supervisor.notifications.channels.contract import Note, Outcome
from supervisor.notifications.channels.http import Http, judge

Form = Literal["json", "slack", "teams"]
_PREFIX = "whsec_"


class Webhook:
    """A channel to one address; `secret` signs, when there is one."""

    def __init__(
        self, http: Http, url: str, secret: str | None = None, form: Form = "json", now: Callable[[], float] = time
    ) -> None:
        self._http, self._url, self._secret, self._form, self._now = http, url, secret, form, now

    async def send(self, note: Note) -> Outcome:
        """Post it. Gone is what answers 410, as Standard Webhooks has it; a 404 may be a server that is being set up."""
        body = msgspec.json.encode(_shaped(note, self._form))
        headers = {"content-type": "application/json", "webhook-id": note.key}
        if self._secret is not None:
            at = str(int(self._now()))
            headers |= {"webhook-timestamp": at, "webhook-signature": sign(self._secret, note.key, at, body)}
        return judge(await self._http.request("POST", self._url, headers, body), gone=(410,))


def sign(secret: str, note_id: str, at: str, body: bytes) -> str:
    """The signature of one request. `secret` is `whsec_` and base64, or any text."""
    key = secret.encode()
    if secret.startswith(_PREFIX):
        key = base64.b64decode(secret[len(_PREFIX) :])
    signed = hmac.new(key, f"{note_id}.{at}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


def _shaped(note: Note, form: Form) -> Any:
    words = f"{note.title}\n{note.body}" if note.body else note.title
    if form == "slack":
        return {"text": words}
    if form == "teams":
        block = {"type": "TextBlock", "wrap": True}
        card = {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": [{**block, "weight": "bolder", "text": note.title}, {**block, "text": note.body or " "}],
        }
        attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
        return {"type": "message", "attachments": [attachment]}
    return {"text": words, **{k: v for k, v in msgspec.to_builtins(note).items() if k != "event"}}
