"""Which request was made before: a key of a client's counts for one operation on one session, and stands for one body.

Clients choose their keys (`Idempotency-Key`, `X-Request-Id`), and some count from one: the same key on another session, or
for another operation, is another request. What must not regress: a retry finds what its first try has done, whoever was
restarted in between, and whether or not it names the session that its first try has opened; nobody is given the answer to
another body (`key_reused`); and keys that were stored bare, by a version before this rule, still count. Whose token it is
does not matter: one that was rotated may still repeat.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from shared.bus.message_requests import SendMessage
from shared.errors import Conflict
from supervisor.store.store import MessageRecord, Store


def digest(body: Any) -> str:
    """What tells one body from another."""
    return hashlib.sha256(msgspec.json.encode(body, order="sorted")).hexdigest()


def asked(arguments: Any) -> str:
    """What tells one request from another: all that it asks for, but not how long its caller waits."""
    return digest(
        {part: value for part, value in msgspec.to_builtins(arguments).items() if part not in ("key", "wait")}
    )


def opened(known: Any) -> bool:
    """Whether what was stored bare is the session that a request opened."""
    return list(known) == ["id"]


def answered(store: Store, session: str) -> Callable[[Any], bool]:
    """Whether an answer that was stored bare was given in this session."""

    def given(known: Any) -> bool:
        answers = store.events_before(None, 1000, session, ["answered"])
        return any(known.get("id") == event.data.get("id") for event in answers)

    return given


def name(op: str, session: str | None, key: str) -> str:
    """Under which a key is stored."""
    return f"{op} {session or '*'} {key}"


def _reused() -> Conflict:
    return Conflict(
        "This request id was used for another request already, so nothing was done. Send this one with an id of its own.",
        code="key_reused",
    )


@dataclass(frozen=True)
class RequestKey:
    """The key of a request whose result is remembered as a whole."""

    op: str
    session: str | None
    key: str | None
    body: str

    def recall(self, store: Store, is_own: Callable[[Any], bool]) -> Any:
        """What the first try was answered; None when this is the first. Raise Conflict when that had another body.

        `is_own` tells whether a result that was stored bare can be that of such a request.
        """
        if not self.key:
            return None
        found = store.recall(name(self.op, self.session, self.key))
        if found is not None:
            if found["body"] != self.body:
                raise _reused()
            return found["result"]
        bare = store.recall(self.key)
        return bare if bare is not None and is_own(bare) else None

    def remember(self, store: Store, result: Any) -> None:
        """Keep the result for repeats; None: it came to nothing, and a repeat is a first try."""
        if self.key:
            store.remember(name(self.op, self.session, self.key), {"body": self.body, "result": result})


def digest_of(request: SendMessage) -> str:
    """What a message is compared by: its text and its files. Takes a while for large ones."""
    return digest([request.text, request.attachments]) if request.key else ""


def message_of(store: Store, op: str, request: SendMessage, body: str) -> MessageRecord | None:
    """The message that this very request has made before. Raise Conflict when its key has made another one."""
    if not request.key:
        return None
    names = [name(op, owner, request.key) for owner in {request.session_id, None}]
    bare = f"recap:{request.key}" if op == "session.keep_alive" else request.key
    for record in store.messages_by_key([*names, bare]):
        if request.session_id not in (None, record.session_id) or not _is_of(record, op, request.key):
            continue
        same = record.body == body if record.body else record.text == request.text
        elsewhere = request.session_id is None and request.project_path and record.opened_in != request.project_path
        if not same or (elsewhere and record.opened_in is not None):
            raise _reused()
        return record
    return None


def _is_of(record: MessageRecord, op: str, key: str) -> bool:
    """Whether a message that was found is one of this operation under this key, and not one whose bare key looks like it."""
    return record.key == key or (record.key is None and (record.kind == "command") == (op == "session.command"))
