"""Whatever a model, a tool, a file or a client writes is shown as text; nothing runs, and the layout holds."""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.lab import DESK, PHONE, Desk, fits

SCRIPT = (
    "<script>window.pwned=1</script><img src=x onerror='window.pwned=1'><iframe srcdoc='<script>top.pwned=1</script>'>"
)
LINKS = (
    "[a](javascript:window.pwned=1) [b](JaVaScRiPt:window.pwned=1) [c](data:text/html,x) "
    "![p](https://example.org/p.png) <javascript:alert(1)>"
)
BIDI = "\u202egnp.exe \u2066\u2069 \u200f"
ANSI = "\x1b[31mred\x1b]0;title\x07"
NAMES = (f"{SCRIPT}.txt", f"{BIDI}.txt", "n" * 296 + ".txt")
NESTED = "".join("  " * depth + f"- level {depth}\n" for depth in range(200))
LONG = "x" * 10_000


@pytest.fixture(scope="module")
def session(shared_desk: Desk) -> str:
    """One whose title, replies and request are hostile."""
    house = shared_desk.house
    view = house.call("session.create", {"projectPath": str(house.project), "title": (SCRIPT + BIDI + LONG)[:10_000]})
    session = str(view["id"])
    for text in (f"{SCRIPT}\n\n{LINKS}\n\n{BIDI}{LONG}", NESTED + "\n| a |\n|---|\n" + "| b |\n" * 200):
        house.send(f"[[say {text}]]", session)
    call = json.dumps({"command": f"echo '{SCRIPT}' {BIDI}{LONG}", "description": SCRIPT})
    house.send("[[say seen]]", session, attachments=[{"name": NAMES[0], "data": "aGVsbG8="}])
    for name, given in (("Bash", {"command": 5}), ("MultiEdit", {"edits": "x"}), ("Read", {"file_path": [SCRIPT]})):
        house.send(f"[[tool {name} {json.dumps(given)}]]", session)  # refused by the CLI, and part of what was said
    house.send(f"[[tool Bash {call}]]", session, wait=0)
    short = json.dumps({"command": f"touch a{BIDI}"})
    beside = str(house.send(f"[[tool Bash {short}]]", wait=0, title="Short and turned round")["session"]["id"])
    house.call("rule.add", {"tool": SCRIPT, "pattern": BIDI + LONG[:1000], "answer": "deny", "message": SCRIPT})
    house.call("draft.set", {"sessionId": session, "text": SCRIPT + BIDI + LONG})
    target = {"url": "https://localhost:1/x"}
    house.call("recipient.add", {"kind": "webhook", "name": (BIDI + SCRIPT)[:80], "target": target})
    shared_desk.devices.redeem((BIDI + SCRIPT)[:60], link=shared_desk.devices.invite("read").link)
    for waits in (session, beside):
        house.until_state(waits, "waiting")
    return session


@pytest.fixture(scope="module")
def huge(shared_desk: Desk) -> str:
    """One in whose transcript a line of a megabyte stands, from either, with no place to break it."""
    house = shared_desk.house
    _, session = house.ask("Hello", title="Huge")
    house.call("session.hibernate", {"sessionId": session})
    (path,) = Path(house.claude_home).rglob(f"{house.session(session)['conversationId']}.jsonl")
    said = [json.loads(line) for line in path.read_text().splitlines()]
    parent = next(line["uuid"] for line in reversed(said) if "uuid" in line)
    with path.open("a") as transcript:
        for role in ("user", "assistant"):
            line = json.loads(json.dumps(next(one for one in said if one.get("type") == role)))
            text = f"{role} {SCRIPT} " + "y" * 1_000_000
            line |= {"uuid": str(uuid.uuid4()), "parentUuid": parent, "promptId": str(uuid.uuid4())}
            line["message"] |= {"content": text if role == "user" else [{"type": "text", "text": text}]}
            line["message"] |= {"id": "msg_huge"} if role == "assistant" else {}
            parent = line["uuid"]
            transcript.write(json.dumps(line) + "\n")
    return session


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_hostile_words_everywhere_are_only_words(face: Desk, session: str, huge: str, size: Any) -> None:
    asked: list[str] = []
    context = face.context(size)
    context.on("request", lambda request: asked.append(request.url))
    page = face.sign_in(context)
    talks = (f"/session/{huge}", f"/session/{session}")
    for path in ("/sessions", "/attention", *talks, "/search", "/settings", "/health", "/new", "/help"):
        page.evaluate("path => { location.hash = path }", path)
        page.locator("#main h1").first.wait_for(state="attached")
        expect(page.locator(".bones")).to_have_count(0)
        assert fits(page), path
        assert page.evaluate("window.pwned") is None
        assert page.locator("#app script, #app iframe, #app img").count() == 0
        if path == talks[0]:
            expect(page.get_by_role("log").get_by_text("yyyyyyyy")).to_have_count(2)
    page.evaluate("path => { location.hash = path }", "/sessions")
    turned = page.locator(".ask-mini", has_text="Short and turned round")
    expect(turned.locator("code")).to_contain_text("\\u202e")
    expect(turned.get_by_role("button", name="Allow once")).to_have_count(
        0
    )  # what cannot be seen is not allowed in passing
    page.locator(".row .menu summary").last.click()
    page.get_by_role("button", name="End session…").click(trial=True)  # where no bar lies over it
    page.evaluate("path => { location.hash = path }", "/settings")
    expect(page.locator("#rules code")).to_contain_text("\\u202e")
    page.evaluate("path => { location.hash = path }", f"/session/{session}")
    expect(page.get_by_label("Message to Claude")).to_have_value(re.compile("<script>window.pwned=1</script>"))
    expect(page.get_by_text("<script>window.pwned=1</script>").first).to_be_attached()
    hrefs = page.eval_on_selector_all("#main a[target]", "links => links.map(link => link.protocol)")
    assert set(hrefs) <= {"https:", "http:", "mailto:"}
    page.locator("input[type=file]").set_input_files(
        [{"name": name, "mimeType": "text/plain", "buffer": b"hello"} for name in NAMES]
    )
    chosen = page.locator(".compose .att")
    expect(chosen).to_have_text([re.compile("<script>"), re.compile(r"^\\u202egnp\.exe"), re.compile("^n{296}")])
    expect(page.get_by_role("log").locator("a.att")).to_contain_text("script")
    assert fits(page), "with files of any name"
    assert page.evaluate("window.pwned") is None
    box = page.locator(".ask .input-box pre").first
    expect(box).to_contain_text("\\u202e")
    assert all(url.startswith((face.url, "data:", "blob:")) for url in asked), asked
