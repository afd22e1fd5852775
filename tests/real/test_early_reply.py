"""The whole text before the transcript has it, from the real CLI: the same words, and everything else a moment later."""

from __future__ import annotations

from typing import Any

import pytest

from tests.event_stream import Stream
from tests.harness import House

TEXT = "# Title 標題\n\n- one\n- two 😀\n\n```py\nprint('x')\n```\n\nthe end"
TRIES = 24
"""How often the text is asked for until one was told before its transcript: Claude writes that at any time."""


@pytest.mark.turns
def test_the_text_comes_before_the_receipt_is_complete_and_is_the_reply(house: House) -> None:
    house.start_api()
    (house.project / "file").write_text("words")
    read = f'[[tool Read {{"file_path": "{house.project}/file"}}]] [[say read]]'
    first = house.send("echo: warm", until="replied")
    session = first["session"]["id"]
    assert first["message"]["state"] == "answered", "nothing is known of the Stop hooks of this process yet"

    early = []
    for number in range(TRIES):
        text, wanted = (read, "read") if number == 1 else (f"echo: {number} {TEXT}", f"{number} {TEXT}")
        body: dict[str, Any] = {"message": text, "sessionId": session, "until": "replied"}
        status, answer = house.http("POST", "/api/chat", body)
        assert (status, answer["reply"], answer["content"]) == (200, wanted, wanted)
        settled = house.message(answer["messageId"], wait=30)
        assert (settled["state"], settled["reply"]) == ("answered", wanted)
        assert settled["usage"]["output_tokens"]
        assert len(settled["toolCalls"]) == (number == 1)
        if answer["state"] == "submitted":
            assert "usage" not in answer
            early.append(settled["steps"]["answered"] - settled["steps"]["replied"])
        if early and number > 1:
            break
    assert early, "not one was told before its transcript"
    assert min(early) >= 0

    with Stream(house, "/api/chat", {"message": f"echo: {TEXT}", "sessionId": session, "until": "replied"}) as stream:
        frames = list(stream)
    assert (frames[-1].kind, frames[-1].data["status"], frames[-1].data["reply"]) == ("done", 200, TEXT)
    assert house.ask("echo: and the next", session)[0] == "and the next"
    assert [event for event in house.events(session=session) if event["kind"] == "reply_changed"] == []
