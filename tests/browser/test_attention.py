"""Deciding: everything is visible before its button lives, one decision is one, and a late one is told so."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.lab import DESK, PHONE, Desk
from tests.harness import until

SIZES = pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])


def waits(face: Desk, text: str, title: str) -> str:
    """A session that asks."""
    sent = face.house.send(text, wait=0, title=title)
    session = str(sent["session"]["id"])
    face.house.until_state(session, "waiting")
    return session


@SIZES
def test_a_permission_shows_its_whole_input_and_is_allowed_once(face: Desk, size: dict[str, int]) -> None:
    command = "printf one >> out.txt && printf " + "x" * 300
    call = json.dumps({"command": command})
    session = waits(face, f"[[tool Bash {call}]]", "Permission")
    page = face.sign_in(face.context(size), "answer", f"/attention/{session}")
    box = page.locator(f"#ask-{session}")
    expect(box.locator(".input-box pre")).to_have_text(command)
    assert box.locator(".input-box pre").evaluate("e => e.scrollWidth <= e.clientWidth"), (
        "nothing is out of sight sideways"
    )
    box.get_by_role("button", name="Allow once").click()
    expect(page.get_by_text("Allowed by you, just now")).to_be_visible()
    face.house.until_state(session, "idle")
    assert (face.house.project / "out.txt").read_text().count("one") == 1
    (face.house.project / "out.txt").unlink()


def test_what_waits_or_was_refused_is_not_told_as_done(face: Desk) -> None:
    call = json.dumps({"command": "touch never.txt"})
    session = waits(face, f"[[tool Bash {call}]]", "Refused")
    page = face.sign_in(face.context(PHONE), "answer", f"/session/{session}")
    work = page.locator("details.work > summary")
    expect(work).to_have_text("Not finished: 1 command")
    always = page.get_by_role("button", name="Allow always")
    expect(always).to_contain_text(f"access to {face.house.project}, in this session")
    page.get_by_role("button", name="Deny", exact=True).click()
    face.house.until_state(session, "idle")
    expect(work).to_have_text("Failed or refused: 1 command")
    assert not (face.house.project / "never.txt").exists()


def test_an_agent_that_asks_is_named(face: Desk) -> None:
    call = json.dumps({"command": "touch never.txt"})
    work = {"description": "work", "prompt": f"[[tool Bash {call}]]", "subagent_type": "general-purpose"}
    session = waits(face, f"[[tool Agent {json.dumps(work)}]]", "Agents")
    page = face.sign_in(face.context(DESK), "answer")
    named = "Claude’s general-purpose agent"
    expect(page.locator(".ask-mini", has_text="Agents").get_by_text(named, exact=True)).to_be_visible()
    page.evaluate("path => { location.hash = path }", f"/attention/{session}")
    expect(page.get_by_role("heading", name=f"{named} wants to run a command")).to_be_visible()
    page.locator(f"#ask-{session}").get_by_role("button", name=re.compile("^Deny( D)?$")).click()
    face.house.until_state(session, "idle")


def test_several_questions_are_sent_together_and_a_missing_one_is_named(face: Desk) -> None:
    options = [{"label": "Red", "description": "warm"}, {"label": "Blue", "description": "cold"}]
    questions = [
        {"question": "Which color?", "header": "Color", "options": options, "multiSelect": False},
        {"question": "Which ones?", "header": "Several", "options": options, "multiSelect": True},
        {"question": "Which word?", "header": "Word", "options": options, "multiSelect": False},
    ]
    session = waits(face, f"[[tool AskUserQuestion {json.dumps({'questions': questions})}]]", "Questions")
    page = face.sign_in(face.context(PHONE), "answer", f"/attention/{session}")
    box = page.locator(f"#ask-{session}")
    box.locator("[data-question='0']").get_by_text("Blue", exact=True).click()
    box.get_by_role("button", name="Send 3 answers").click()
    expect(box.get_by_text("This one is missing.")).to_have_count(2)
    box.locator("[data-question='1']").get_by_text("Red", exact=True).click()
    box.locator("[data-question='1']").get_by_text("Blue", exact=True).click()
    box.locator("[data-question='2']").get_by_role("textbox").fill("Mauve")
    box.locator("[data-question='2']").get_by_role("textbox").press("Control+Enter")
    face.house.until_state(session, "idle")

    def told() -> bool:
        said = json.dumps(face.house.call("history", {"sessionId": session})["entries"])
        return all(f'"{answer}"' in said.replace("\\", "") for answer in ("Blue", "Red, Blue", "Mauve"))

    until(told, "Claude was told all three answers")


def test_a_plan_is_read_and_sent_back(face: Desk) -> None:
    session = waits(face, "[[plan # Steps\n\n1. Look\n2. Leap]]", "Plan")
    page = face.sign_in(face.context(DESK), "answer", f"/attention/{session}")
    box = page.locator(f"#ask-{session}")
    expect(box.locator("ol li")).to_have_count(2)
    box.get_by_label("What should change").fill("Look twice")
    box.get_by_role("button", name="Keep planning").click()
    expect(page.get_by_text("Sent back by you")).to_be_visible()


def test_an_edit_shows_where_and_one_answered_elsewhere_greys_and_a_late_answer_is_told_by_whom(face: Desk) -> None:
    path = face.house.project / "poem.txt"
    before = "".join(f"line {number}\n" for number in range(1, 31))
    path.write_text(before)
    given = json.dumps({"file_path": str(path), "content": before.replace("line 20\n", "line twenty\n")})
    session = waits(face, f"[[tool Write {given}]]", "Late")
    deny = re.compile("^Deny( D)?$")
    late = face.context(PHONE)
    late.route("**/api/events*", lambda route: route.abort())  # it hears of nothing
    pages = [
        face.sign_in(context, "answer", f"/attention/{session}")
        for context in (face.context(DESK), face.context(PHONE), late)
    ]
    first, told, unaware = pages
    rows = first.locator(f"#ask-{session} .diff > div")
    expect(rows).to_have_count(8)
    expect(rows.nth(3)).to_have_text(re.compile("^20−removedline 20$"))
    expect(rows.nth(4)).to_have_text(re.compile("^20\\+addedline twenty$"))
    for page in pages:
        expect(page.locator(f"#ask-{session}").get_by_role("button", name=deny)).not_to_have_attribute(
            "aria-disabled", "true"
        )
    told.locator(".cards").hover()  # a card stays as long as somebody points there
    first.locator(f"#ask-{session}").get_by_role("button", name=deny).click()
    expect(first.get_by_text("Denied by you, just now")).to_be_visible()
    expect(told.locator(f"#ask-{session}.gone").get_by_text(re.compile("Denied by .+, just now"))).to_be_visible()
    assert told.locator(f"#ask-{session} button").count() == 0
    told.mouse.move(0, 0)
    expect(told.get_by_text("Nobody waits for you")).to_be_visible()
    unaware.locator(f"#ask-{session}").get_by_role("button", name=deny).click()
    expect(unaware.get_by_text(re.compile("Denied by .+ already, at"))).to_be_visible()
    face.house.until_state(session, "idle")
    assert path.read_text() == before


def test_nobody_waits_is_said(face: Desk) -> None:
    page = face.sign_in(face.context(PHONE), path="/attention")
    expect(page.get_by_text("Nobody waits for you")).to_be_visible()
