"""What was said, whoever said it: history, search, usage, export; and conversations that were begun elsewhere."""

from __future__ import annotations

import contextlib
import json
import signal
from typing import Any

import pexpect
import pytest

from shared.errors import Conflict, InvalidRequest, NotFound
from tests.harness import PATIENCE, House, until


def history(house: House, session: str, **more: Any) -> dict[str, Any]:
    return house.call("history", {"sessionId": session, **more})


def whole(house: House, op: str, **asked: Any) -> dict[str, Any]:
    """A search, or what was used, once everything has been read: on a busy machine it takes more than one call."""
    found: dict[str, Any] = until(lambda: (told := house.call(op, asked))["complete"] and told, "all of it was read")
    return found


def said(house: House, session: str) -> list[tuple[str, str]]:
    return [(entry["role"], entry["text"]) for entry in history(house, session)["entries"]]


def elsewhere(house: House, *arguments: str) -> pexpect.spawn[str]:
    """A person's own `claude` in the same home and project."""
    claude = house.config["claude"]
    env = {**claude["env"], "PATH": "/usr/bin:/bin", "TERM": "xterm-256color"}
    words = ["--settings", '{"tui": "default"}', "--permission-mode", "default", *arguments]
    child = pexpect.spawn(
        claude["command"],
        words,
        cwd=str(house.project),
        env=env,
        dimensions=(40, 120),
        encoding="utf-8",
        timeout=PATIENCE,
    )
    child.expect("shortcuts")
    return child


def type_prompt(house: House, child: pexpect.spawn[str], text: str) -> None:
    turns = len(house.model.turns())
    child.send(f"\x1b[200~{text}\x1b[201~")
    shown = ""

    def look() -> str:
        """All that it has shown since: the reply may be read before the prompt is known to be submitted."""
        nonlocal shown
        with contextlib.suppress(pexpect.TIMEOUT):
            shown += child.read_nonblocking(1 << 16, timeout=0.2)
        return shown

    def submitted() -> bool:
        look()
        child.send("\r")
        return len(house.model.turns()) > turns

    until(submitted, "the prompt was submitted")
    until(lambda: "remember" in look(), "the reply is shown")


def hang_up(child: pexpect.spawn[str]) -> None:
    """As closing its window does, and wait until it has gone: one that is killed on its way out leaves files behind."""

    def gone() -> bool:
        with contextlib.suppress(pexpect.TIMEOUT, pexpect.EOF):
            child.read_nonblocking(1 << 16, timeout=0)
        return not child.isalive()

    try:
        child.kill(signal.SIGHUP)
        until(gone, "the person's claude has ended")
    finally:
        child.close(force=True)


def transcript_says(house: House, conversation: str, text: str) -> bool:
    found = list((house.claude_home / ".claude").glob(f"projects/*/{conversation}.jsonl"))
    return bool(found) and f'"text":"{text}"' in found[0].read_text()


def test_history_search_usage_and_export(own_house: House) -> None:
    house = own_house
    note = house.project / "note.txt"
    note.write_text("unusualword " + "x" * 30_000)
    _, session = house.ask("echo: Grüße aus 東京都庁")
    house.ask(f"[[tool Read {json.dumps({'file_path': str(note)})}]] [[say read it]]", session)
    house.call("session.keys", {"sessionId": session, "text": "echo: typed by hand"})
    # An Enter that is read together with the text is a new line.
    until(lambda: "typed by hand" in house.call("session.screen", {"sessionId": session})["text"], "it is in the box")
    house.call("session.keys", {"sessionId": session, "keys": ["Enter"]})
    until(lambda: ("assistant", "typed by hand") in said(house, session), "the typed prompt was answered")

    page = history(house, session)
    assert page["next"] is None
    roles = [(entry["role"], entry["source"]) for entry in page["entries"]]
    assert roles == [
        ("user", "api"),
        ("assistant", "claude"),
        ("user", "api"),
        ("assistant", "claude"),
        ("assistant", "claude"),
        ("user", "terminal"),
        ("assistant", "claude"),
    ]
    call = page["entries"][3]["toolCalls"][0]
    assert call["name"] == "Read"
    assert call["input"] == {"file_path": str(note)}
    assert call["truncated"]
    assert not call["isError"]
    assert call["result"].count("x") > 5000
    assert page["entries"][1]["usage"]["output_tokens"] > 0
    assert page["entries"][0]["at"] <= page["entries"][-1]["at"]

    pages: list[str] = []
    cursor = None
    while True:
        part = history(house, session, limit=2, before=cursor)
        assert len(part["entries"]) <= 2
        pages = [entry["id"] for entry in part["entries"]] + pages
        cursor = part["next"]
        if cursor is None:
            break
    assert pages == [entry["id"] for entry in page["entries"]]
    with pytest.raises(InvalidRequest):
        history(house, session, before="9.9")

    assert house.model.turns()
    for query, role in (
        ("grüß", "user"),
        ("gruß", "assistant"),
        ("東京都", "user"),
        ('"typed by hand"', "user"),
        ("unusualw", "tool"),
    ):
        found = whole(house, "search", query=query)
        assert role in [hit["role"] for hit in found["hits"]], query
        assert {hit["sessionId"] for hit in found["hits"]} == {session}
        hit = found["hits"][0]
        assert all(hit["snippet"][start:end] for start, end in hit["marks"])
        assert hit["marks"]
    for odd in ("NEAR(", "a AND", "x*:", "col:x", "^a"):
        whole(house, "search", query=odd)
    with pytest.raises(InvalidRequest):
        house.call("search", {"query": '"-" *'})

    totals = [sum(entry["usage"]["output_tokens"] for entry in page["entries"] if entry["usage"])]
    for by in ("day", "session"):
        usage = whole(house, "usage", by=by)
        assert usage["total"]["output_tokens"] == totals[0]
    assert usage["rows"][0]["sessionId"] == session

    text = house.call("export", {"sessionId": session})["text"]
    assert "typed by hand" in text
    assert "**Read**" in text
    exported = json.loads(house.call("export", {"sessionId": session, "format": "json"})["text"])
    assert [entry["id"] for entry in exported["entries"]] == pages

    (house.home / "search.db").write_bytes(b"no database" * 500)
    house.kill_supervisor()
    house.start_supervisor()
    assert whole(house, "search", query="東京都")["hits"]

    given = house.call("session.command", {"sessionId": session, "command": "/context", "wait": 30})
    commands = [entry for entry in history(house, session)["entries"] if entry["role"] == "command"]
    assert [(entry["source"], entry["messageId"]) for entry in commands] == [("api", given["messageId"])]


def test_a_conversation_from_elsewhere_is_resumed_only_when_it_is_free(own_house: House) -> None:
    house = own_house
    identity = "0f0e0d0c-1111-4222-8333-444455556666"
    person = elsewhere(house, "--session-id", identity)
    try:
        type_prompt(house, person, "Remember the word QUINCE")
        until(lambda: transcript_says(house, identity, "I will remember the word QUINCE."), "it is written")
        found = house.call("conversations.list")["conversations"]
        assert [(item["id"], item["projectPath"]) for item in found] == [(identity, str(house.project))]
        assert found[0]["firstPrompt"] == "Remember the word QUINCE"
        assert found[0]["messages"] == 2
        assert found[0]["pid"] == person.pid

        # It is found, too: by who owns the machine, and it counts for none of our sessions.
        (hit,) = [hit for hit in whole(house, "search", query="quince remember")["hits"] if hit["role"] == "user"]
        assert (hit["sessionId"], hit["conversationId"]) == (None, identity)
        assert (hit["projectPath"], bool(hit["title"])) == (str(house.project), True)
        assert hit["marks"]
        assert whole(house, "search", query="quince", everywhere=False)["hits"] == []
        assert whole(house, "usage", by="day")["rows"] == []
        wanted = {"projectPath": str(house.project), "resume": identity, "wait": 20}
        with pytest.raises(Conflict) as refusal:
            house.call("session.create", wanted)
        assert refusal.value.error_code == "conversation_in_use"
    finally:
        hang_up(person)
    until(lambda: house.call("conversations.list")["conversations"][0]["pid"] is None, "nobody has it open")

    # It is read without being taken over, and taken over without a process.
    page = house.call("conversation.history", {"conversationId": identity})
    assert (page["entries"][0]["role"], page["entries"][0]["text"]) == ("user", "Remember the word QUINCE")
    assert house.call("conversations.list")["conversations"][0]["id"] == identity
    with pytest.raises(NotFound):
        house.call("conversation.history", {"conversationId": "00000000-0000-4000-8000-000000000000"})
    with pytest.raises(InvalidRequest):
        house.call("session.create", {"projectPath": str(house.project), "asleep": True})
    view = house.call("session.create", {**wanted, "asleep": True})
    assert (view["state"], view["pid"], view["conversationId"]) == ("hibernated", None, identity)
    session = view["id"]
    assert [item["kind"] for item in house.events(session=session)] == ["created", "audit"]
    assert house.ask("What word did I ask you to remember?", session)[0] == "QUINCE"
    assert said(house, session)[0] == ("user", "Remember the word QUINCE")
    assert house.call("conversations.list")["conversations"] == []
    hits = whole(house, "search", query="quince", everywhere=False)["hits"]
    assert {hit["sessionId"] for hit in hits} == {session}, "now it is ours"
    assert len(hits) == 3
    assert whole(house, "usage", by="session")["rows"][0]["replies"] == 2

    # One that somebody removes is forgotten.
    copy = "0f0e0d0c-1111-4222-8333-444455556667"
    theirs = next((house.claude_home / ".claude").glob(f"projects/*/{identity}.jsonl"))
    theirs.with_name(f"{copy}.jsonl").write_bytes(theirs.read_bytes())
    assert copy in {hit["conversationId"] for hit in whole(house, "search", query="quince")["hits"]}
    theirs.with_name(f"{copy}.jsonl").unlink()
    assert copy not in {hit["conversationId"] for hit in whole(house, "search", query="quince")["hits"]}
    with pytest.raises(Conflict) as refusal:
        house.call("session.create", wanted)
    assert refusal.value.data["sessionId"] == session
    with pytest.raises(NotFound):
        house.call("session.create", {**wanted, "resume": "00000000-0000-4000-8000-000000000000"})
    with pytest.raises(InvalidRequest):
        house.call("session.create", {**wanted, "projectPath": str(house.folder)})


def test_a_fork_stays_what_it_was_and_goes_its_own_way(own_house: House) -> None:
    house, asked = own_house, "What word did I ask you to remember?"
    _, session = house.ask("Remember the word MEDLAR")
    fork = house.call("session.fork", {"sessionId": session, "title": "Fork"})["id"]
    assert said(house, fork) == said(house, session) != []  # before anything was said in it
    house.until_state(fork, "idle")
    house.call("session.hibernate", {"sessionId": fork})
    house.ask("Remember the word QUINCE", session)
    assert house.ask(asked, fork)[0] == "MEDLAR"
    assert b"QUINCE" not in house.model.bodies()[-1]
    house.ask("Remember the word SLOE", fork)
    assert house.ask(asked, session)[0] == "QUINCE"
    ids = {house.session(identity)["conversationId"] for identity in (session, fork)}
    assert len(ids) == 2

    entries = house.call("history", {"sessionId": fork, "limit": 50})["entries"]
    sloe = next(entry["id"] for entry in entries if entry["text"] == "Remember the word SLOE")
    other = house.call("session.fork", {"sessionId": fork, "before": sloe})["id"]
    assert (
        said(house, other)
        == said(house, fork)[: [text for _, text in said(house, fork)].index("Remember the word SLOE")]
    )
    assert house.ask(asked, other)[0] == "MEDLAR", "what was said since is not known there"
    with pytest.raises(NotFound, match="no message of a person"):
        house.call("session.fork", {"sessionId": fork, "before": entries[-1]["id"]})
    with pytest.raises(Conflict, match="Nothing was said before"):
        house.call("session.fork", {"sessionId": fork, "before": entries[0]["id"]})

    house.until_state(session, "idle")
    house.call("session.kill", {"sessionId": session})
    imported = {"projectPath": str(house.project), "resume": session, "fork": True}
    other = house.call("session.create", imported)["id"]
    assert house.ask(asked, other)[0] == "QUINCE"
    assert house.session(other)["messageCount"] == 1
    replies = whole(house, "usage", by="day")["rows"][0]["replies"]
    assert replies == len([turn for turn in house.model.turns() if turn.attempt == 1])
