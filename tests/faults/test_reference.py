"""What the OpenAPI document says, held against the real supervisor: every call, on a session that lives, one that sleeps and
one that has ended, and with a `claude` that cannot be started. (`tests/unit/api/test_openapi.py` asks the double much more.)"""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from api.reference.call import ID, MESSAGE_ID, Call
from api.reference.calls import CALLS
from shared.bus.operations import OPERATIONS
from shared.errors import NotFound
from tests.conftest import MakeHouse
from tests.faults.stand_in import Fake, program
from tests.harness import House, claude_binary, releases

LAST = ("DELETE /api/sessions/<id>", "DELETE /api/sessions/interactive/<id>", "POST /api/sessions/<id>/commands")
"""What is left of a session is nothing for others to look at; the stand-in knows no commands."""


class Client:
    """Calls that must be answered as the document says."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._document = house.http("GET", "/api/openapi.json", token=None)[1]

    def ask(self, call: Call, path: str, body: Any = None) -> tuple[int, Any]:
        status, answer = self._house.http(call.method, path, body)
        described = self._document["paths"][call.path.replace("<", "{").replace(">", "}")][call.method.lower()][
            "responses"
        ]
        where = f"{call.method} {path}: {status} {answer!r:.300}"
        assert str(status) in described, where
        response = described[str(status)]
        if "$ref" in response:
            response = self._document["components"]["responses"][response["$ref"].rpartition("/")[2]]
        media = response["content"].get("application/json")
        if media and not isinstance(answer, bytes):
            schema = {**media["schema"], "components": self._document["components"]}
            assert jsonschema_rs.is_valid(schema, answer), where
        return status, answer

    def chat(self, call: Call, **body: Any) -> tuple[int, Any]:
        return self.ask(call, call.path, {"projectPath": str(self._house.project), "message": "hi", **body})


def called(name: str) -> Call:
    return next(call for call in CALLS if f"{call.method} {call.path}" == name)


CHAT, CREATE = called("POST /api/chat"), called("POST /api/sessions")
ABOUT_ONE = sorted(
    (call for call in CALLS if not (call.streams and call.method == "GET") and 101 not in call.answers),
    key=lambda call: (f"{call.method} {call.path}" in LAST, call.method != "GET"),
)


@pytest.fixture
def fake(make_house: MakeHouse) -> Fake:
    made = Fake(make_house(claude_binary(releases("reference")[0])))
    made.house.config["claude"]["command"] = str(program(made.house.folder))
    made.behave()
    made.house.start_supervisor()
    made.house.start_api()
    return made


def test_every_call_answers_as_its_document_says(fake: Fake) -> None:
    client = Client(fake.house)
    for fate in ("lives", "sleeps", "has ended"):
        _, sent = client.chat(CHAT, wait=60)
        session, message = sent["sessionId"], sent["messageId"]
        known = {ID: session, MESSAGE_ID: message, "/tmp": str(fake.house.project)}
        assert sent["reply"] == "You said: hi"
        if fate != "lives":
            op = "session.hibernate" if fate == "sleeps" else "session.kill"
            fake.house.call(op, {"sessionId": session})
        for call in ABOUT_ONE if fate == "lives" else (call for call in ABOUT_ONE if 201 not in call.answers):
            path = call.path.replace("<id>", message if call.path.startswith("/api/messages") else session)
            body = None
            if call.body is not None:
                body = {name: known.get(str(value), value) for name, value in call.body.example.items()}
                body |= (
                    {"sessionId": session} if call is CHAT else {"wait": 0} if call.path.endswith("/commands") else {}
                )
            client.ask(call, path + ("?q=hi" if call.path == "/api/search" else ""), body)


NOBODY = "00000000-0000-4000-8000-000000000000"
ARRIVING = {
    ("PUT", "/api/sessions/<id>/bundle"), ("DELETE", "/api/sessions/<id>/bundle"), ("POST", "/api/sessions/<id>/arrive")
}  # fmt: skip
"""Asked of a node that does not have the session yet."""


def test_an_unknown_session_has_one_name_and_what_is_opened_is_in_the_journal(fake: Fake) -> None:
    house, client = fake.house, Client(fake.house)
    for call in CALLS:
        arriving = (call.method, call.path) in ARRIVING
        if "<id>" in call.path and "/sessions/" in call.path and 101 not in call.answers and not arriving:
            body = dict(call.body.example) if call.body is not None else None
            asked = f"?move=mv_{'0' * 32}" if call.path.endswith("/bundle") else ""
            for unknown in (NOBODY, "nobody"):
                status, answer = client.ask(call, call.path.replace("<id>", unknown) + asked, body)
                assert (status, answer["code"]) == (404, "session_not_found"), call.path
        if call.query is not None and "session" in call.query.__struct_fields__ and call.tag != "Events":
            for unknown in (NOBODY, "nobody"):
                asked = "q=x&" if call.path == "/api/search" else ""
                status, answer = client.ask(call, f"{call.path}?{asked}session={unknown}")
                assert (status, answer["code"]) == (404, "session_not_found"), call.path
    needed: dict[str, Any] = {"query": "x", "text": "x", "cols": 80, "rows": 24, "command": "/x", "choice": "allow"}
    needed |= {"node": "elsewhere", "move": f"mv_{'0' * 32}", "digest": "0" * 64}
    for operation in OPERATIONS.values():
        fields = {field.encode_name: field for field in msgspec.structs.fields(operation.arguments)}
        arriving = operation.name in ("session.import", "session.decline", "session.arrive")
        if fields.get("sessionId") is None or operation.name.startswith(("audit.", "events.")) or arriving:
            continue
        args = {name: value for name, value in needed.items() if name in fields} | {"sessionId": NOBODY}
        with pytest.raises(NotFound) as refused:
            house.call(operation.name, args)
        assert refused.value.error_code == "session_not_found", operation.name

    status, made = client.ask(CREATE, CREATE.path, {"projectPath": str(house.project)})
    assert status == 201
    told = [event for event in house.events() if event["kind"] == "audit" and event["data"]["op"] == "session.create"]
    assert [(event["session"], event["data"]["session"]) for event in told] == [(made["session"]["id"],) * 2]
    for name in ("supervisor", "api"):
        lines = [json.loads(line) for line in (house.paths.log_dir / f"{name}.log").read_text().splitlines()]
        assert lines
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["at"]) for line in lines), name


def test_a_claude_that_ends_at_once_is_a_bad_gateway(fake: Fake) -> None:
    client = Client(fake.house)
    _, asleep = client.chat(CHAT, wait=60)
    fake.house.call("session.hibernate", {"sessionId": asleep["sessionId"]})
    (fake.house.folder / "fake-claude").write_text("#!/bin/sh\necho 'no licence'\nexit 3\n")

    status, answer = client.ask(CREATE, CREATE.path, {"projectPath": str(fake.house.project), "wait": 60})
    assert (status, answer["code"]) == (502, "start_failed")
    assert "no licence" in answer["error"]
    assert client.chat(CHAT, wait=60)[0] == 502
