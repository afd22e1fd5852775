"""What a client with a screen needs, over HTTP, of one real session: last words, a waiting message with another text, files to
look at again, what was seen, drafts, where an edit would change its file, rules, a new process, past events, samples."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from tests.conftest import LendHouse
from tests.harness import House, until

PNG = b"\x89PNG\r\n\x1a\n and more"


def test_one_session_as_a_screen_needs_it(lend_house: LendHouse, one_cli: Path) -> None:
    house = lend_house(one_cli, health={"interval_seconds": 0.3})
    house.start_api()
    _, session = house.ask("Remember the word BANANA")
    at = f"/api/sessions/{session}"

    words = house.session(session)["lastWords"]
    assert (words["role"], words["text"]) == ("assistant", "I will remember the word BANANA.")

    status, seen = house.http("PUT", f"{at}/seen", {"at": words["at"]})
    assert (status, seen["session"]["seenAt"]) == (200, words["at"])
    assert house.http("PUT", f"{at}/seen", {"at": 1})[1]["session"]["seenAt"] == words["at"], "it never goes back"
    assert house.http("GET", f"{at}/draft")[1]["text"] == ""
    assert house.http("PUT", f"{at}/draft", {"draft": "And then"})[0] == 200
    draft = house.http("GET", f"{at}/draft")[1]
    assert (draft["text"], draft["by"]) == ("And then", "token:default")

    _another_text(house, session)
    _where_an_edit_is(house, session)
    _rules(house, session)

    before = house.session(session)["pid"]
    status, recycled = house.http("POST", f"{at}/recycle", {})
    assert (status, recycled["success"]) == (200, True)
    house.until_state(session, "idle")
    assert house.session(session)["pid"] != before
    assert house.ask("What word did I ask you to remember?", session)[0] == "BANANA"

    status, page = house.http("GET", f"/api/events/page?session={session}&kinds=seen,edited&limit=1")
    assert (status, [event["kind"] for event in page["events"]]) == (200, ["edited"])
    page = house.http("GET", f"/api/events/page?session={session}&kinds=seen,edited&before={page['next']}")[1]
    assert [(event["kind"], event["data"]["by"]) for event in page["events"]] == [("seen", "token:default")]
    assert page["next"] is None
    by_me = house.http("GET", "/api/events/page?actor=token:default&kinds=audit")[1]["events"]
    assert {event["data"]["op"] for event in by_me} >= {"rule.add", "message.update", "session.recycle"}

    def sampled() -> Any:
        return house.http("GET", "/api/metrics/samples?each=true")[1]["sessions"].get(session)

    (sample, *_) = until(sampled, "the session is sampled")
    assert sample["memoryBytes"] > 1_000_000
    used = house.http("GET", "/api/folders")[1]["folders"]
    assert [(one["path"], one["kind"]) for one in used][:1] == [(str(house.project.resolve()), "recent")]
    assert house.http("GET", "/api/folders?path=/etc/")[1]["folders"] == []


def _another_text(house: House, session: str) -> None:
    """A message that waits is changed in its place, with its file; one that does not wait is not."""
    first = house.send("[[gate work]]", session, wait=0)["message"]["id"]
    assert house.model.wait_for_gate("work", 30)
    file = {"name": "photo.png", "data": base64.b64encode(PNG).decode(), "mimeType": "image/png"}
    waits = house.send("one", session, wait=0, attachments=[file])["message"]["id"]
    behind = house.send("echo: behind", session, wait=0)["message"]["id"]
    status, changed = house.http("PATCH", f"/api/messages/{waits}", {"text": "echo: another text"})
    assert (status, changed["text"], changed["queuePosition"]) == (200, "echo: another text", 1)
    assert house.http("PATCH", f"/api/messages/{first}", {"text": "no"})[1]["code"] == "not_changeable"
    house.model.release("work")
    assert house.message(waits, wait=60)["reply"].startswith("another text")
    assert house.message(behind, wait=60)["reply"] == "behind"
    said = [entry for entry in house.call("history", {"sessionId": session})["entries"] if entry["role"] == "user"]
    assert said[-2]["text"] == "echo: another text"
    assert house.http("GET", f"/api/messages/{waits}/attachments/0") == (200, PNG)
    assert house.http("GET", f"/api/messages/{waits}/attachments/1")[1]["code"] == "attachment_not_found"


def _where_an_edit_is(house: House, session: str) -> None:
    path = house.project / "poem.txt"
    path.write_text("".join(f"line {number}\n" for number in range(1, 31)))
    given = json.dumps({"file_path": str(path), "content": path.read_text().replace("line 20\n", "line twenty\n")})
    house.send(f"[[tool Write {given}]]", session, wait=0)
    waiting = house.until_state(session, "waiting")["waiting"]
    assert "@@ -17,7 +17,7 @@" in waiting["preview"]
    assert "-line 20\n+line twenty" in waiting["preview"]
    house.call("session.answer", {"sessionId": session, "choice": "deny"})
    house.until_state(session, "idle")


def _rules(house: House, session: str) -> None:
    """A rule is in force at once, counted, and taken back."""
    rule = {"tool": "Bash", "pattern": "touch allowed*", "answer": "allow"}
    status, made = house.http("POST", "/api/rules", rule)
    assert (status, made["rule"]["by"]) == (201, "token:default")
    house.send('[[tool Bash {"command": "touch allowed.txt"}]]', session)
    assert (house.project / "allowed.txt").exists()
    assert [one["used"] for one in house.http("GET", "/api/rules")[1]["rules"]] == [1]
    assert house.http("DELETE", f"/api/rules/{made['rule']['id']}")[0] == 200
    assert house.http("GET", "/api/rules")[1]["rules"] == []
