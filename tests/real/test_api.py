"""The HTTP API in front of the real supervisor and the real CLI: what clients were promised, and every bad input."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from shared.access.tokens import NamedTokens
from tests.conftest import LendHouse
from tests.harness import House, until
from tests.shared_houses import SharedHouse

UNKNOWN = "00000000-0000-4000-8000-00000000dead"
DAY = 24 * 3_600_000


@pytest.fixture
def api(house: House) -> House:
    """A house of each release, with its API."""
    house.start_api()
    return house


@pytest.fixture
def one(lend_house: LendHouse, one_cli: Path) -> SharedHouse:
    """A house of one release, with its API, for what does not depend on the CLI."""
    house = lend_house(one_cli)
    house.start_api()
    return house


def chat(house: House, message: str, **more: Any) -> Any:
    body = {"message": message, **more}
    if "sessionId" not in body:
        body.setdefault("projectPath", str(house.project))
    return house.http("POST", "/api/chat", body)


def counts(house: House) -> tuple[int, int]:
    """How many sessions there are, ended ones too, and how many messages."""
    sessions = house.call("session.list", {"includeEnded": True})["sessions"]
    return len(sessions), sum(
        len(house.call("message.list", {"sessionId": session["id"], "limit": 1000})["messages"]) for session in sessions
    )


CONTROLS = ("a\x1b[31mred", "nul\x00", "bell\x07", "del\x7f", "c1\x9b31m")
BAD: list[tuple[str, str, str, Any, dict[str, str], int, str]] = [
    # name, method, path, body, headers, status, code
    ("unknown session", "POST", "/api/chat", {"message": "x", "sessionId": UNKNOWN}, {}, 404, "session_not_found"),
    ("unknown session, its messages", "GET", f"/api/sessions/{UNKNOWN}/messages", None, {}, 404, "session_not_found"),
    ("unknown session, a message", "POST", f"/api/sessions/{UNKNOWN}/messages", {"message": "x"}, {}, 404, "session_not_found"),
    ("unknown session, ended", "DELETE", f"/api/sessions/{UNKNOWN}", None, {}, 404, "session_not_found"),
    ("no session id", "POST", "/api/chat", {"message": "x", "sessionId": "the first"}, {}, 404, "session_not_found"),
    ("blank session id", "POST", "/api/chat", {"message": "x", "sessionId": " "}, {}, 400, "invalid_field"),
    ("unknown message", "GET", "/api/messages/m_none", None, {}, 404, "message_not_found"),
    ("malformed JSON", "POST", "/api/chat", b'{"message": ', {}, 400, "malformed_json"),
    ("a list", "POST", "/api/chat", b"[]", {}, 400, "malformed_json"),
    ("not UTF-8", "POST", "/api/chat", b'{"message": "\xff"}', {}, 400, "malformed_json"),
    ("half a surrogate pair", "POST", "/api/chat", b'{"message": "\\ud800"}', {}, 400, "malformed_json"),
    ("no body", "POST", "/api/chat", None, {}, 400, "missing_body"),
    ("wrong type", "POST", "/api/chat", {"message": 17}, {}, 400, "invalid_field"),
    ("wrong type of wait", "POST", "/api/chat", {"message": "x", "wait": "long"}, {}, 400, "invalid_field"),
    ("missing message", "POST", "/api/chat", {"projectPath": "/tmp"}, {}, 400, "invalid_field"),
    ("blank message", "POST", "/api/chat", {"message": " \n "}, {}, 400, "invalid_field"),
    ("too long a message", "POST", "/api/chat", {"message": "é" * 50_001}, {}, 413, "message_too_large"),
    ("project path that does not exist", "POST", "/api/chat", {"message": "x", "projectPath": "/nowhere/at/all"}, {}, 400, ""),
    ("project path that is a file", "POST", "/api/chat", {"message": "x", "projectPath": "/etc/passwd"}, {}, 400, ""),
    ("project path of a new session", "POST", "/api/sessions", {"projectPath": "/nowhere/at/all"}, {}, 400, ""),
    ("project path that is relative", "POST", "/api/chat", {"message": "x", "projectPath": "src"}, {}, 400, ""),
    ("unknown field", "POST", "/api/sessions", {"projectPath": "/tmp", "projectpath": "/tmp"}, {}, 400, "invalid_field"),
    ("a key with spaces", "POST", "/api/chat", {"message": "x"}, {"Idempotency-Key": "a b"}, 400, "invalid_field"),
    ("attachment that is no base64", "POST", "/api/chat",
     {"message": "x", "attachments": [{"data": "!", "name": "a"}]}, {}, 400, "invalid_field"),
    ("attachment that was cut on its way", "POST", "/api/chat",
     {"message": "x", "attachments": [{"data": "eA==", "name": "a", "size": 2}]}, {}, 400, "invalid_attachment"),
    ("wrong token", "POST", "/api/chat", {"message": "x"}, {"Authorization": "Bearer wrong"}, 401, "unauthorized"),
    ("wrong Host", "POST", "/api/chat", {"message": "x"}, {"Host": "evil.example"}, 403, "host_not_allowed"),
    ("wrong Origin", "POST", "/api/chat", {"message": "x"}, {"Origin": "https://evil.example"}, 403, "origin_not_allowed"),
    ("unsupported method", "PUT", "/api/chat", {"message": "x"}, {}, 405, "method_not_allowed"),
    ("unsupported type", "POST", "/api/chat", b"message=x", {"Content-Type": "application/x-www-form-urlencoded"}, 415,
     "unsupported_media_type"),
    ("no type", "POST", "/api/chat", b'{"message": "x"}', {"Content-Type": ""}, 415, "unsupported_media_type"),
    ("compressed", "POST", "/api/chat", b"\x1f\x8b", {"Content-Encoding": "gzip"}, 415, "unsupported_encoding"),
    ("no such route", "POST", "/api/chats", {"message": "x"}, {}, 404, "not_found"),
    ("keep-alive without a session", "POST", "/api/sessions/keep-alive", {}, {}, 400, "invalid_field"),
    ("keep-alive of an unknown session", "POST", "/api/sessions/keep-alive", {"sessionId": UNKNOWN}, {}, 404, ""),
    ("unknown setting", "PATCH", "/api/settings", {"claude.command": "/bin/sh"}, {}, 400, "unknown_setting"),
]  # fmt: skip


def test_bad_input_is_refused_with_a_sentence_and_creates_nothing(one: House) -> None:
    before = counts(one)
    wrong: list[Any] = []
    for name, method, path, body, headers, status, code in BAD:
        got, answer = one.http(method, path, body, headers=headers)
        complete = isinstance(answer, dict) and {"error", "code", "type", "title", "status", "detail"} <= answer.keys()
        told = complete and answer["success"] is False and answer["status"] == got and len(answer["error"]) > 15
        if got != status or not told or (code and answer["code"] != code):
            wrong.append((name, got, answer))

    assert wrong == []
    assert counts(one) == before
    assert one.model.turns() == []


def test_text_that_cannot_be_sent_exactly_is_400_and_everything_else_arrives(api: House, warm: str) -> None:
    session = warm
    refused = []
    for text in (*CONTROLS, "/exit", "! a\ttab\n\nand lines  "):
        status, answer = chat(api, text, exact=True, sessionId=session)
        if status == 400:
            refused.append(text)
            assert answer["code"] == "unsendable_text", answer
        else:
            assert status == 200, (text, answer)
            assert api.model.turns()[-1].prompt.rstrip() == text.rstrip()
    assert set(refused) - {"/exit"} == set(CONTROLS)
    assert chat(api, "echo: still there", sessionId=session)[1]["reply"] == "still there"


def test_a_receipt_tells_each_step_and_the_reply(api: House) -> None:
    status, sent = chat(api, "[[gate g]] echo: later", wait=0)
    assert (status, sent["success"], sent["state"] in ("accepted", "queued", "typed", "submitted")) == (202, True, True)
    assert "reply" not in sent
    assert sent["messageId"] in sent["message"]

    status, quick = chat(api, "echo: pushed", deviceToken="abc", wait=0, sessionId=sent["sessionId"])
    assert (status, quick["state"], quick["content"]) == (202, "queued", "")
    assert quick["queuePosition"] == 1

    api.model.release("g")
    status, receipt = api.http("GET", f"/api/messages/{sent['messageId']}?wait=60")
    assert (status, receipt["state"], receipt["reply"]) == (200, "answered", "later")
    steps = receipt["steps"]
    assert [name for name in ("accepted", "queued", "typed", "submitted", "answered") if name not in steps] == []
    assert steps["accepted"] <= steps["queued"] <= steps["typed"] <= steps["submitted"] <= steps["answered"]
    assert sum(receipt["usage"].values()) > 0
    assert api.http("GET", f"/api/messages/{quick['messageId']}?wait=60")[1]["reply"] == "pushed"
    listed = api.http("GET", f"/api/sessions/{sent['sessionId']}/messages")[1]["messages"]
    assert [message["id"] for message in listed] == [sent["messageId"], quick["messageId"]]
    status, held = chat(api, "echo: for a phone", deviceToken="abc", sessionId=sent["sessionId"])
    assert (status, held["content"]) == (200, "for a phone")


def test_the_calls_of_the_origin_field_by_field(one: SharedHouse) -> None:
    one.alone()
    began = int(time.time() * 1000)
    status, body = one.http(
        "POST",
        "/api/chat",
        {"message": "Remember the word KIWI", "projectPath": str(one.project), "priority": "high", "deviceId": "d",
         "userId": "u", "deviceInfo": {"model": "iPhone"}, "mode": "normal"},
        headers={"X-Request-Id": "origin-1"},
    )  # fmt: skip
    assert status == 200
    session = body["sessionId"]
    assert {name: body[name] for name in ("success", "requestId", "projectPath", "deliveryMethod", "queuePosition")} == {
        "success": True, "requestId": "origin-1", "projectPath": str(one.project), "deliveryMethod": "http",
        "queuePosition": 0,
    }  # fmt: skip
    assert isinstance(body["message"], str)
    assert began <= body["timestamp"] <= time.time() * 1000
    for more in ({}, {"sessionId": session}, {"projectPath": str(one.project)}):
        repeat = {"message": "Remember the word KIWI", **more}
        status, again = one.http("POST", "/api/chat", repeat, headers={"X-Request-Id": "origin-1"})
        assert (status, again["success"], again["duplicate"], again["messageId"]) == (
            200,
            True,
            True,
            body["messageId"],
        )
        assert again["requestId"] == "origin-1"
    status, other = one.http("POST", "/api/chat", {"message": "Another one"}, headers={"X-Request-Id": "origin-1"})
    assert (status, other["code"]) == (409, "key_reused")

    def looks() -> Any:
        """The session by three calls; again when a hook that came late has counted as activity in between."""
        live = one.session(session)
        active = one.http("GET", "/api/sessions/active")
        life = one.http("GET", f"/api/sessions/interactive/{session}/status")
        return one.session(session)["lastActivity"] == live["lastActivity"] and (live, active, life)

    live, (status, listed), (found, life) = until(looks, "nothing happens between the calls")
    (entry,) = listed["sessions"]
    common = {
        "sessionId": session, "projectPath": str(one.project), "createdAt": live["createdAt"],
        "lastActivity": live["lastActivity"], "messageCount": 1, "expiresAt": live["lastActivity"] + DAY,
        "pid": live["pid"],
    }  # fmt: skip
    assert (status, listed["success"]) == (200, True)
    assert {name: entry[name] for name in common} == common
    assert began <= entry["createdAt"] <= entry["lastActivity"]
    stats = listed["stats"]
    assert {name: stats[name] for name in ("totalSessions", "maxSessions", "availableSlots")} == {
        "totalSessions": 1, "maxSessions": 10, "availableSlots": 9,
    }  # fmt: skip
    assert isinstance(stats["memoryUsage"], int)

    assert (found, {name: life[name] for name in common}) == (200, common)
    flags = ("success", "isExpired", "needsWarning", "active")
    assert {name: life[name] for name in flags} == {
        "success": True,
        "isExpired": False,
        "needsWarning": False,
        "active": True,
    }
    assert 0 < life["timeRemaining"] <= DAY

    status, kept = one.http("POST", "/api/sessions/keep-alive", {"sessionId": session})
    assert (status, kept["success"], kept["sessionId"], kept["extended"]) == (200, True, session, True)
    assert kept["expiresAt"] >= life["expiresAt"]
    status, recap = one.http("POST", "/api/sessions/keep-alive", {"sessionId": session, "action": "recap"})
    assert (status, recap["extended"]) == (200, True)
    assert "KIWI" in recap["recap"]
    assert one.http("POST", "/api/sessions/keep-alive", {})[1]["error"] == "Session ID is required"
    assert one.http("POST", "/api/sessions/keep-alive", {"sessionId": UNKNOWN})[1]["error"] == "Session not found"

    # It says 503 when the supervisor does not answer within a second.
    _, health = until(lambda: (told := one.http("GET", "/health", token=None))[0] == 200 and told, "it is healthy")
    assert (health["status"], health["aicliCodeAvailable"]) == ("healthy", True)
    assert {"version", "timestamp"} <= health.keys()
    status, health = one.http("GET", "/api/health")
    assert (status, health["status"] in ("healthy", "degraded")) == (200, True)
    assert (health["aicliCodeAvailable"], health["activeSessions"], health["sessionCount"]) == (True, 1, 1)
    assert health["resources"].keys() == {"system", "sessions"}
    assert isinstance(health["timestamp"], int)
    until(lambda: one.http("GET", "/api/metrics/sessions")[1]["sessions"]["byState"]["idle"] == 1, "it is idle again")

    status, gone = one.http("DELETE", f"/api/sessions/interactive/{session}")
    assert (status, gone["success"], gone["message"], gone["sessionId"]) == (
        200, True, "Interactive session terminated", session,
    )  # fmt: skip
    for method, path in (
        ("GET", f"/api/sessions/interactive/{session}/status"),
        ("DELETE", f"/api/sessions/interactive/{session}"),
    ):
        status, answer = one.http(method, path)
        assert (status, answer["error"]) == (404, "Interactive session not found")
    assert one.http("GET", "/api/sessions/active")[1]["sessions"] == []


def test_a_repeated_key_is_one_message_at_once_and_after_every_crash(one: House) -> None:
    def send(key: str = "api-1", text: str = "[[slow 0.3]] echo: once") -> Any:
        return one.http(
            "POST", "/api/chat", {"message": text, "projectPath": str(one.project)}, headers={"Idempotency-Key": key}
        )

    with ThreadPoolExecutor(2) as pair:
        (status, first), (other, second) = pair.map(lambda _: send(), range(2))
    assert (status, other) == (200, 200)
    assert (first["messageId"], first["reply"]) == (second["messageId"], "once")
    assert sorted([first.get("duplicate", False), second.get("duplicate", False)]) == [False, True]

    one.kill_api()
    one.start_api()
    status, third = send()
    assert (status, third["duplicate"], third["messageId"], third["reply"]) == (200, True, first["messageId"], "once")

    one.kill_supervisor()
    one.start_supervisor()
    status, fourth = send()
    assert (status, fourth["duplicate"], fourth["messageId"], fourth["reply"]) == (
        200,
        True,
        first["messageId"],
        "once",
    )

    # The API dies while it holds the request: what was accepted goes on, and a repeat gets its reply.
    with ThreadPoolExecutor(1) as held:
        lost = held.submit(send, "api-2", "[[gate k2]] echo: survives")
        assert one.model.wait_for_gate("k2", 30)
        one.kill_api()
        with pytest.raises(OSError):
            lost.result(30)
    one.start_api()
    one.model.release("k2")
    status, fifth = send("api-2", "[[gate k2]] echo: survives")
    assert (status, fifth["duplicate"], fifth["reply"]) == (200, True, "survives")
    turns = [turn.prompt for turn in one.model.turns() if turn.attempt == 1]
    assert turns == ["[[slow 0.3]] echo: once", "[[gate k2]] echo: survives"]


def test_a_message_that_meets_a_dialog_comes_back_early_with_what_is_asked(house: House) -> None:
    house.start_api()
    strange = house.folder / "strange"
    strange.mkdir()

    began = time.monotonic()
    status, held = house.http("POST", "/api/chat", {"message": "echo: held", "projectPath": str(strange), "wait": 120})
    assert time.monotonic() - began < 60
    assert (status, held["success"], held["sessionState"]) == (202, True, "waiting")
    waiting, session = held["waiting"], held["sessionId"]
    assert waiting["for"] == "trust"
    assert [choice["label"] for choice in waiting["choices"]]
    assert [entry["id"] for entry in house.http("GET", "/api/attention")[1]["sessions"]] == [session]
    assert house.model.turns() == []

    yes = next(choice for choice in waiting["choices"] if "yes" in choice["label"].lower())
    answer = {"waitingId": waiting["id"], "choice": yes["id"]}
    status, given = house.http("POST", f"/api/sessions/{session}/answer", answer)
    assert (status, given["session"]["id"]) == (200, session)

    def settled() -> Any:
        """The wait ends early while what was answered is still seen on the screen."""
        receipt = house.http("GET", f"/api/messages/{held['messageId']}?wait=20")[1]
        return receipt["state"] == "answered" and receipt

    assert until(settled, "the message is answered")["reply"] == "held"
    status, late = house.http("POST", f"/api/sessions/{session}/answer", answer)
    assert (status, late["success"]) == (409, False)


def test_without_a_supervisor_every_call_says_so_soon(one: House) -> None:
    before = counts(one)
    one.kill_supervisor()
    began = time.monotonic()
    status, answer = chat(one, "echo: nobody")
    assert (status, answer["code"], answer["retryable"]) == (503, "unavailable", True)
    assert one.http("GET", "/health", token=None)[0] == 503
    assert time.monotonic() - began < 10
    one.start_supervisor()
    until(lambda: one.http("GET", "/health", token=None)[0] == 200, "healthy again")
    assert counts(one) == before


def test_who_did_what_is_in_the_journal(one: House) -> None:
    tokens = NamedTokens(one.paths.tokens_file)
    phone, wall = tokens.add("phone", "chat"), tokens.add("wall", "read")
    body = {"message": "echo: hi", "projectPath": str(one.project)}
    status, sent = one.http("POST", "/api/chat", body, token=phone)
    assert status == 200
    session = sent["sessionId"]
    assert one.http("POST", "/api/chat", body, token=wall)[0] == 403
    assert one.http("DELETE", f"/api/sessions/{session}", token=phone)[0] == 403
    assert one.http("GET", f"/api/sessions/{session}", token=wall)[0] == 200
    assert one.http("DELETE", f"/api/sessions/{session}")[0] == 200

    def audits_of(noun: str) -> list[dict[str, Any]]:
        found = [event for event in one.events() if event["kind"] == "audit"]
        return [event for event in found if event["data"]["op"].startswith(noun)]

    def named() -> list[tuple[str, str, str]]:
        told = [event["data"] for event in audits_of("tokens")]
        return [(data["op"], data["name"], data["scope"]) for data in told if data["name"] != "default"]

    until(lambda: len(named()) == 2, "the new tokens are in the journal")  # one that goes between two looks is in none
    tokens.revoke("phone")
    assert one.http("GET", "/api/sessions", token=phone)[0] == 401
    assert one.http("POST", f"/api/sessions/{session}/recording", {"start": True})[0] == 200
    told = until(lambda: found if len(found := named()) == 3 else None, "the tokens are in the journal")
    assert sorted(told[:2]) == [("tokens.add", "phone", "chat"), ("tokens.add", "wall", "read")]
    assert told[2:] == [("tokens.revoke", "phone", "chat")]
    audits = audits_of("message") + audits_of("session")
    assert [(event["data"]["op"], event["data"]["actor"], event["session"]) for event in audits] == [
        ("message.send", "token:phone", session),
        ("session.kill", "token:default", session),
        ("session.recording", "token:default", session),
    ]
    assert audits[0]["data"]["message"] == sent["messageId"]
    refused = until(
        lambda: len(found := audits_of("POST") + audits_of("DELETE")) == 2 and found, "both refusals are told"
    )
    assert [(event["data"]["op"], event["data"]["actor"], event["session"]) for event in refused] == [
        ("POST /api/chat", "token:wall", None),
        ("DELETE /api/sessions/<id>", "token:phone", session),
    ]
    recording = next(event["data"] for event in one.events(session=session) if event["kind"] == "recording")
    assert recording == {"recording": True, "by": "token:default"}
    assert "echo: hi" not in str(audits)
    api_log = (one.folder / "api.err").read_text() + (one.paths.log_dir / "api.log").read_text()
    for secret in (one.token, phone, wall, "echo: hi"):
        assert secret not in api_log
        assert secret not in one.paths.tokens_file.read_text()
