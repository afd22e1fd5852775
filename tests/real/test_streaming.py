"""Replies as a stream, from the real CLI: every word, in order, once, whatever is killed in between."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.event_stream import Frame, Stream, deltas, seqs
from tests.harness import House, until
from tests.shared_houses import SharedHouse

LONG = (
    "# Title 標題\n\nA paragraph, *slowly*.\n\n- one\n- two 😀\n\n```py\nprint('x')\n```\n\n"
    + "word after word\n" * 20
    + "the end"
)


@pytest.fixture
def api(house: SharedHouse) -> SharedHouse:
    """A house with its API."""
    house.start_api()
    return house


def is_done(frame: Frame) -> bool:
    return frame.kind == "done"


def is_text(frame: Frame) -> bool:
    return frame.kind == "text"


def journal(house: House, session: str, message: str) -> list[int]:
    """What a stream of this message has to show, by number: its own events, and the session's states since it."""
    wanted = []
    begun = False
    events = house.events(session=session)
    prompts = {e["data"]["promptId"] for e in events if e["data"].get("message") == message and "promptId" in e["data"]}
    for event in events:
        own = event["data"].get("message") == message or event["data"].get("promptId") in prompts
        begun = begun or own
        if (event["kind"] in ("text", "tool", "message") and own) or (event["kind"] in ("state", "waiting") and begun):
            wanted.append(event["seq"])
    return wanted


def test_the_stream_is_the_reply_and_ends_with_the_receipt(api: SharedHouse) -> None:
    body = {"message": f"[[stream 1]] echo: {LONG}", "sessionId": api.warm()}
    with Stream(api, "/api/chat", body) as stream:
        frames = list(stream)

    accepted, done = frames[0], frames[-1]
    assert (accepted.kind, accepted.data["status"]) == ("accepted", 202)
    assert (done.kind, done.data["status"], done.data["reply"]) == ("done", 200, LONG)
    assert list(deltas(frames).values()) == [LONG]
    assert len([frame for frame in frames if is_text(frame)]) > 3, "it came in pieces"
    steps = [frame.data["data"]["state"] for frame in frames if frame.kind == "message"]
    wanted = ["accepted", "queued", "typed", "submitted", "answered"]
    assert [step for step in steps if step != "replied"] == wanted, "replied: where Claude is slow to end the turn"
    assert done.data["receipt"]["steps"].keys() == set(steps)
    assert [frame.kind for frame in frames].count("done") == 1

    # Tools, and text before them, in the same session; another message in the queue stays out of it.
    session = done.data["sessionId"]
    call = json.dumps({"command": "echo from-the-tool " + "x" * 5000})
    with Stream(
        api, "/api/chat", {"message": f"[[before Let me see.]] [[tool Bash {call}]]", "sessionId": session}
    ) as stream:
        api.send("echo: somebody else", session, wait=0)
        frames = list(stream)
    phases = [(frame.data["data"]["tool"], frame.data["data"]["phase"]) for frame in frames if frame.kind == "tool"]
    assert phases == [("Bash", "started"), ("Bash", "finished")]
    started = next(frame.data["data"] for frame in frames if frame.kind == "tool")
    assert (len(started["input"]["command"]), started["truncated"]) == (2048, True)
    finished = next(
        data for frame in frames if frame.kind == "tool" and (data := frame.data["data"])["phase"] == "finished"
    )
    assert finished["result"]["stdout"].startswith("from-the-tool xxx")
    assert finished["durationMs"] >= 0
    told = [frame.data["data"] for frame in frames if frame.kind in ("text", "tool", "message")]
    prompts = {
        data.get("promptId") for data in told if "state" not in data or data["state"] in ("submitted", "answered")
    }
    assert len(prompts) == 1, "all of it is for one prompt, and says so"
    assert prompts != {None}
    assert list(deltas(frames).values()) == ["Let me see.", frames[-1].data["reply"]]
    assert "from-the-tool" in frames[-1].data["reply"]
    assert "somebody else" not in "".join(deltas(frames).values())
    failing = json.dumps({"command": "cat no-such-file"})
    with Stream(api, "/api/chat", {"message": f"[[tool Bash {failing}]] echo: noted", "sessionId": session}) as stream:
        failed = next(
            data for frame in stream if frame.kind == "tool" and (data := frame.data["data"])["phase"] == "failed"
        )
    assert "no-such-file: No such file" in failed["error"]


def test_a_client_that_comes_back_loses_and_doubles_nothing(api: SharedHouse) -> None:
    session = api.warm()
    body = {"message": f"[[midgate half]] echo: {LONG}", "sessionId": session}
    with (
        Stream(api, f"/api/sessions/{session}/stream") as watcher,
        Stream(api, "/api/chat", body, key="stream") as first,
    ):
        seen = first.until(is_text)
        watched = watcher.until(is_text)
    message = seen[0].data["messageId"]

    # The API is killed under the stream, the supervisor under the next one, and the client hangs up in between.
    api.kill_api()
    api.start_api()
    with Stream(api, "/api/chat", body, key="stream", last_id=first.last_id) as second:
        api.kill_supervisor()
        api.start_supervisor()
        api.model.release("half")
        seen += second.until(is_text)[1:]
    with Stream(api, "/api/chat", body, key="stream", last_id=second.last_id) as third:
        seen += list(third)[1:]
    with Stream(api, f"/api/sessions/{session}/stream", last_id=watcher.last_id) as again:
        again.deadline(60)
        for frame in again:  # the last text may be heard behind the receipt
            watched.append(frame)
            settled = any(f.kind == "message" and f.data["data"]["state"] == "answered" for f in watched)
            if settled and list(deltas(watched).values()) == [LONG]:
                break

    done = seen[-1]
    assert (done.kind, done.data["messageId"], done.data["reply"]) == ("done", message, LONG)
    assert list(deltas(seen).values()) == [LONG]
    expected = [seq for seq in journal(api, session, message) if seq <= max(seqs(seen))]
    assert sorted(seqs(seen)) == expected
    assert len(set(seqs(watched))) == len(seqs(watched))
    assert list(deltas(watched).values()) == [LONG]
    turns = [turn.prompt for turn in api.model.turns() if turn.attempt == 1]
    assert turns == [body["message"]], "nothing was sent twice"

    # Once more, long after: the receipt at once, and nothing is sent.
    with Stream(api, "/api/chat", body, key="stream") as late:
        frames = list(late)
    assert (frames[-1].kind, frames[-1].data["reply"], frames[-1].data["duplicate"]) == ("done", LONG, True)


def test_what_claude_asks_is_in_the_stream_and_its_answer_goes_on(api: House) -> None:
    write = json.dumps({"file_path": str(api.project / "note.txt"), "content": "hello"})
    body = {"message": f"[[tool Write {write}]] [[say written]]", "projectPath": str(api.project)}
    with Stream(api, "/api/chat", body) as stream:
        frames = stream.until(lambda frame: frame.kind == "waiting")
        session = frames[0].data["sessionId"]
        waiting: dict[str, Any] = until(
            lambda: api.http("GET", f"/api/sessions/{session}")[1]["session"]["waiting"], "it asks"
        )
        assert frames[-1].data["data"]["for"] == waiting["for"] == "permission"
        assert api.http("POST", f"/api/sessions/{session}/answer", {"choice": waiting["choices"][0]["id"]})[0] == 200
        frames += list(stream)

    assert (frames[-1].kind, frames[-1].data["reply"]) == ("done", "written")
    assert (api.project / "note.txt").read_text() == "hello"
