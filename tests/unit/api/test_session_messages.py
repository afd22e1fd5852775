"""The messages of one session: sent into it, listed, looked at and cancelled."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api_caller import Caller


class TestSessionMessages:
    def test_message_and_text_are_one_field_and_wait_is_0(self, ask: Caller) -> None:
        path = f"/api/sessions/{ask.supervisor.add_session()['id']}/messages"

        for body in ({"message": "a"}, {"text": "a"}, {"message": "a", "text": "a", "front": True}):
            assert ask("POST", path, body).status_code == 202

        sent = ask.supervisor.last("message.send")
        assert (sent.text, sent.front, sent.wait) == ("a", True, 0.0)

    def test_wait_holds_for_the_reply(self, ask: Caller) -> None:
        path = f"/api/sessions/{ask.supervisor.add_session()['id']}/messages"

        answer = ask("POST", path, {"text": "a", "wait": 5})

        assert (answer.status_code, answer.json["reply"]) == (200, "Hello from the double.")

    @pytest.mark.parametrize(
        ("field", "body"),
        [
            ("mesage", {"mesage": "a", "message": "a"}),
            ("text", {"message": "a", "text": "b"}),
            ("message", {}),
            ("front", {"message": "a", "front": 1}),
            ("projectPath", {"message": "a", "projectPath": "/p"}),
        ],
    )
    def test_ours_refuse_what_they_do_not_know(self, ask: Caller, field: str, body: dict[str, Any]) -> None:
        path = f"/api/sessions/{ask.supervisor.add_session()['id']}/messages"

        answer = ask("POST", path, body)

        assert (answer.status_code, answer.json["data"]["field"]) == (400, field)
        assert ask.supervisor.calls == []

    def test_receipt_has_state_and_steps(self, ask: Caller) -> None:
        sent = ask("POST", "/api/chat", {"message": "hi"}).json

        receipt = ask("GET", f"/api/messages/{sent['messageId']}?wait=2").json

        assert receipt["success"] is True
        assert receipt["messageId"] == receipt["id"] == sent["messageId"]
        assert receipt["state"] == "answered"
        assert receipt["content"] == receipt["reply"] == "Hello from the double."
        assert "accepted" in receipt["steps"]
        assert ask.supervisor.last("message.get").wait == 2.0

    def test_list_is_paged(self, ask: Caller) -> None:
        sent = ask("POST", "/api/chat", {"message": "hi"}).json

        page = ask("GET", f"/api/sessions/{sent['sessionId']}/messages?limit=5&state=answered&after=c").json

        assert [message["id"] for message in page["messages"]] == [sent["messageId"]]
        assert page["next"] is None
        asked = ask.supervisor.last("message.list")
        assert (asked.limit, asked.state, asked.after) == (5, "answered", "c")

    @pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=1001", "state=gone", "offset=1"])
    def test_bad_query_is_400(self, ask: Caller, query: str) -> None:
        session = ask.supervisor.add_session()["id"]

        assert ask("GET", f"/api/sessions/{session}/messages?{query}").status_code == 400

    @pytest.mark.parametrize("query", ["wait=x", "wait=-1", "wait=nan", "wait=inf", "wait=9999"])
    def test_bad_wait_is_400(self, ask: Caller, query: str) -> None:
        assert ask("GET", f"/api/messages/m_1?{query}").status_code == 400

    @pytest.mark.parametrize("id", ["m_unknown", "x", "m_..%2f", "m_" + "a" * 99])
    def test_unknown_message_is_404(self, ask: Caller, id: str) -> None:
        assert ask("GET", f"/api/messages/{id}").status_code == 404
        assert ask("DELETE", f"/api/messages/{id}").status_code == 404

    def test_cancel(self, ask: Caller) -> None:
        sent = ask("POST", "/api/chat", {"message": "hi", "wait": 0}).json

        assert ask("GET", f"/api/messages/{sent['messageId']}").json["content"] == ""
        assert ask("DELETE", f"/api/messages/{sent['messageId']}").json["state"] == "cancelled"
        assert ask("DELETE", f"/api/messages/{sent['messageId']}").status_code == 409
