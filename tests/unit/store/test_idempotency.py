"""A key counts for one operation on one session and stands for one body; those that an older version has stored still count."""

from __future__ import annotations

from typing import Any

import pytest

from shared.bus.message_requests import SendMessage
from shared.bus.messages import Attachment
from shared.errors import Conflict
from supervisor.store.idempotency import RequestKey, answered, digest, digest_of, message_of, name, opened
from supervisor.store.store import MessageRecord, Store

SEND, COMMAND, RECAP = "message.send", "session.command", "session.keep_alive"


def asked(text: str = "hello", session: str | None = "a", key: str | None = "k", **more: Any) -> SendMessage:
    return SendMessage(text=text, session_id=session, key=key, **more)


def accepted(store: Store, request: SendMessage, session: str, op: str = SEND, **more: Any) -> str:
    """Stored as `Pool.send` does it; the message's id."""
    assert request.key is not None
    identity = f"m{session}{op}"
    store.add_message(
        MessageRecord(
            id=identity,
            session_id=session,
            state="queued",
            rank=0.0,
            text=request.text,
            created_at=1,
            request_key=name(op, request.session_id, request.key),
            key=request.key,
            body=digest_of(request),
            opened_in=None if request.session_id else request.project_path or "",
            kind="command" if op == COMMAND else "prompt",
            **more,
        )
    )
    return identity


def stored_bare(store: Store, key: str, session: str, text: str = "hello", kind: str = "prompt") -> str:
    """As a version before this rule did it."""
    store.add_message(
        MessageRecord(
            id=key, session_id=session, state="queued", rank=0.0, text=text, created_at=1, request_key=key, kind=kind
        )
    )
    return key


def found(store: Store, request: SendMessage, op: str = SEND) -> str | None:
    message = message_of(store, op, request, digest_of(request))
    return message.id if message is not None else None


def refused(store: Store, request: SendMessage, op: str = SEND) -> bool:
    with pytest.raises(Conflict) as error:
        found(store, request, op)
    return error.value.error_code == "key_reused"


def test_a_repeat_finds_its_message_and_another_session_or_operation_does_not(store: Store) -> None:
    first = accepted(store, asked(), "a")
    assert found(store, asked()) == first
    assert found(store, asked(session="b")) is None
    assert found(store, asked(), COMMAND) is None
    assert found(store, asked(), RECAP) is None
    assert found(store, asked(key=None)) is None
    second = accepted(store, asked(session="b"), "b")
    assert [found(store, asked(session=session)) for session in ("a", "b")] == [first, second]


def test_a_message_that_opened_its_session_is_found_with_and_without_it(store: Store) -> None:
    first = accepted(store, asked(session=None, project_path="/p"), "new")
    assert found(store, asked(session=None, project_path="/p")) == first
    assert found(store, asked(session=None)) == first
    assert found(store, asked(session="new")) == first
    assert found(store, asked(session="other")) is None
    assert refused(store, asked(session=None, project_path="/q"))


@pytest.mark.parametrize("session", ["new", None])
def test_another_text_or_file_is_another_request(store: Store, session: str | None) -> None:
    files = [Attachment(data="eA==", name="x.txt")]
    first = accepted(store, asked(session=None, attachments=files), "new")
    assert found(store, asked(session=session, attachments=files)) == first
    assert refused(store, asked("bye", session=session, attachments=files))
    assert refused(store, asked(session=session))
    assert refused(store, asked(session=session, attachments=[Attachment(data="eQ==", name="x.txt")]))


def test_a_key_that_was_stored_bare_still_counts(store: Store) -> None:
    message, command = stored_bare(store, "k", "a"), stored_bare(store, "c", "a", "/compact", "command")
    recap = stored_bare(store, "recap:k", "a", "sum up")
    assert [found(store, asked(session=session)) for session in ("a", None)] == [message, message]
    assert found(store, asked(session="b")) is None
    assert refused(store, asked("bye"))
    assert found(store, asked("/compact", key="c"), COMMAND) == command
    assert found(store, asked("sum up"), RECAP) == recap


def test_a_key_cannot_be_made_to_look_like_that_of_another(store: Store) -> None:
    accepted(store, asked(session=None), "new")
    assert found(store, asked(session="new", key=name(SEND, None, "k"))) is None


def nobodys(_: Any) -> bool:
    return False


def test_a_remembered_result_is_that_of_one_operation_on_one_session_and_one_body(store: Store) -> None:
    def key(op: str = "session.answer", session: str | None = "a", body: str = "yes") -> RequestKey:
        return RequestKey(op, session, "k", digest(body))

    key().remember(store, {"choice": "allow"})
    assert key().recall(store, nobodys) == {"choice": "allow"}
    assert key(session="b").recall(store, nobodys) is None
    assert key("session.create", None).recall(store, nobodys) is None
    with pytest.raises(Conflict) as reused:
        key(body="no").recall(store, nobodys)
    assert reused.value.error_code == "key_reused"


def test_a_result_that_came_to_nothing_is_asked_for_anew(store: Store) -> None:
    key = RequestKey("session.create", None, "k", "body")
    key.remember(store, {"id": "s1"})
    key.remember(store, None)
    assert key.recall(store, nobodys) is None


def test_a_result_that_was_stored_bare_counts_where_it_can_be_told_whose_it_is(store: Store) -> None:
    store.remember("k", {"id": "w1", "choice": "allow"})
    store.append("answered", "a", {"id": "w1"})
    store.append("answered", "b", {"id": "w2"})
    found = [
        RequestKey("session.answer", name, "k", "body").recall(store, answered(store, name)) for name in ("a", "b")
    ]
    assert found == [{"id": "w1", "choice": "allow"}, None]
    assert RequestKey("session.create", None, "k", "body").recall(store, opened) is None
    store.remember("made", {"id": "s1"})
    assert RequestKey("session.create", None, "made", "body").recall(store, opened) == {"id": "s1"}
