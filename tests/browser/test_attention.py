"""Deciding: everything is visible before its button lives, one decision is one, and a late one is told so."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from cli.setup import axe
from tests.browser import cards
from tests.browser.lab import DESK, PHONE, Desk, fits
from tests.browser.test_axe import NARROW, SMALL, complains, faultless
from tests.harness import until

ASKER = Path(__file__).resolve().parents[1] / "mcp_asker.py"
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


def refused(face: Desk, status: int) -> tuple[str, str]:
    """A session, and its message that the service is going to refuse."""
    sent = face.house.send(f"[[status {status}]] echo: no", wait=0, title=f"Refused with {status}")
    return str(sent["session"]["id"]), str(sent["message"]["id"])


def until_refused(face: Desk, session: str, message: str) -> str:
    """The one that waits behind, once it is refused."""
    until(lambda: face.house.message(message, wait=1)["state"] == "failed", "it is refused")
    face.house.until_state(session, "waiting")
    return str(face.house.send("echo: held", session, wait=0)["message"]["id"])


def test_trust_login_limit_and_form_say_what_to_do_and_are_answered_at_both_sizes(face: Desk) -> None:
    house = face.house
    folder = house.folder / "untrusted"
    folder.mkdir()
    trust = house.send("echo: trusted", wait=0, title="Trust", projectPath=str(folder))
    server = {"mcpServers": {"forms": {"command": sys.executable, "args": [str(ASKER)]}}}
    wanted = {"projectPath": str(house.project), "mcpConfig": server, "title": "Form", "wait": 20}
    form = str(house.call("session.create", wanted)["id"])
    asks = house.send("[[tool mcp__forms__ask {}]]", form, wait=0)["message"]["id"]
    new = str(trust["session"]["id"])
    for session in (new, form):
        house.until_state(session, "waiting")
    pages = [face.sign_in(face.context(size, bypass_csp=True), "answer", "/attention") for size in (PHONE, DESK)]
    phone, desk = pages
    login, limit = (refused(face, status) for status in (401, 429))
    cards = {
        new: "Do you trust the files in this folder?",
        form: "Claude wants to use mcp__forms__ask",
        login[0]: "Claude's service does not accept the login",
        limit[0]: "Claude's usage limit is reached",
    }
    behind = [until_refused(face, *one) for one in (login, limit)]
    for page in pages:
        for session, heading in cards.items():
            expect(page.locator(f"#ask-{session}").get_by_role("heading", name=heading)).to_be_visible()
        assert fits(page)

    box = desk.locator(f"#ask-{limit[0]}")
    expect(box.get_by_text("1 message is held until then")).to_be_visible()
    left = box.locator("strong + .num")
    first = left.inner_text()
    assert re.fullmatch("[1-6]?[0-9]( min [0-9]+)? s", first), first
    expect(left).not_to_have_text(first)
    for page in pages:
        box = page.locator(f"#ask-{login[0]}")
        expect(box.get_by_text("log in with /login")).to_be_visible()
        expect(box.get_by_role("link", name="Open the terminal")).to_have_attribute("href", f"/terminal#{login[0]}")
    box.get_by_role("button", name="I have logged in: try again").click()
    expect(desk.get_by_text("Tried again by you, just now")).to_be_visible()
    phone.locator(f"#ask-{limit[0]}").get_by_role("button", name="Try now").click()
    assert [house.message(message, wait=30)["reply"] for message in behind] == ["held", "held"]
    for page in pages:
        page.add_script_tag(path=axe.SCRIPT)
        complains(page, "cards", {})

    box = phone.locator(f"#ask-{new}")
    expect(box.locator("p.path", has_text=str(folder))).to_be_visible()
    expect(box.locator("footer button")).to_have_text(  # whatever the CLI puts first
        [re.compile("^Yes, I trust this folder"), re.compile("^No, end the session")]
    )
    box.get_by_role("button", name="Yes, I trust this folder").click()
    expect(phone.get_by_text("Trusted by you, just now")).to_be_visible()
    assert house.message(trust["message"]["id"], wait=30)["reply"] == "trusted"

    box = phone.locator(f"#ask-{form}")
    box.get_by_role("button", name="Allow once").click()
    accept = box.get_by_role("button", name="Accept")
    expect(box.get_by_text("Who are you?")).to_be_visible()
    expect(box.get_by_text("Your name missing")).to_be_visible()
    expect(accept).to_have_attribute("aria-disabled", "true")
    box.get_by_label("Your name").fill("Ada")
    box.locator("fieldset", has_text="Are you sure?").get_by_text("Yes", exact=True).click()
    box.get_by_text("green", exact=True).click()
    accept.click()
    assert house.message(asks, wait=30)["state"] == "answered"
    filled = {"action": "accept", "content": {"color": "green", "name": "Ada", "sure": True}}
    told = json.dumps(json.dumps(filled, sort_keys=True))[1:-1].encode()
    assert any(told in body for body in house.model.bodies()), "the server has it as it asked for it"
    expect(desk.get_by_text("Nobody waits for you")).to_be_visible()


def test_nobody_waits_is_said(face: Desk) -> None:
    page = face.sign_in(face.context(PHONE), path="/attention")
    expect(page.get_by_text("Nobody waits for you")).to_be_visible()


@SIZES
def test_every_kind_of_card_says_what_to_do_at_both_sizes(face: Desk, size: Any) -> None:
    made = cards.sessions(face.house)
    context = face.context(size, color_scheme="light", bypass_csp=True)
    answers = cards.put(context, made)
    page = face.sign_in(context, "admin", "/attention")
    expect(page.locator(".ask")).to_have_count(len(made))
    faultless(page, "every kind of card")

    def card(title: str) -> Locator:
        return page.locator(f"#ask-{made[title]['id']}")

    if size == PHONE:
        assert page.evaluate(SMALL) == []
        page.set_viewport_size(NARROW)
        assert fits(page), "at 320"
        page.set_viewport_size(PHONE)
        page.evaluate("location.hash = '/sessions'")
        more = page.get_by_label("More: Move the importer")
        more.evaluate("more => more.scrollIntoView({ block: 'center' })")
        more.click()
        for name in ("Rename", "End session…"):
            expect(page.get_by_role("button", name=name)).to_be_in_viewport(ratio=1)
        return
    handed = card("Shown at the terminal")
    expect(handed.get_by_text("is answered there")).to_be_visible()
    expect(handed.locator("footer").get_by_role("link")).to_have_attribute(
        "href", f"/terminal#{made['Shown at the terminal']['id']}"
    )
    assert handed.locator("footer button").count() == 0, "nothing that would be refused"
    expect(card("Round once, in total()").locator(".diff :is(del, ins)")).to_have_text(["round(", ", 2)"])
    page_of = card("A page to open").get_by_role("link", name="Open login.example.org")
    expect(page_of).to_have_attribute("href", "https://login.example.org/device?code=ABCD")
    expect(page_of).to_have_attribute("rel", "noopener noreferrer")
    expect(card("A page that is none").locator(".asked a")).to_have_count(0)
    expect(card("Too much to do").locator("header .word")).to_have_text("Overloaded")
    expect(card("At its limit").locator("header .word")).to_have_text("Usage limit")
    typed = card("A code to paste")
    send = typed.get_by_role("button", name="Type it there")
    expect(send).to_have_attribute("aria-disabled", "true")
    typed.get_by_label("what you would type there").fill("1234")
    send.click()
    expect(page.get_by_text("Answered by you, just now")).to_be_visible()
    page_of.evaluate("link => link.removeAttribute('href')")  # nothing is opened here
    card("A page to open").get_by_role("button", name="Accept").click()
    expect(page.get_by_text("Filled in by you, just now")).to_be_visible()
    given = [
        (title, {**body, "waitingId": made[title]["waiting"]["id"] == body["waitingId"]}) for title, body in answers
    ]
    assert given == [
        ("A code to paste", {"waitingId": True, "text": "1234"}),
        ("A page to open", {"waitingId": True, "choice": "accept", "answers": {}}),
    ]
    page.context.set_offline(True)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))")  # it looks at once
    allow = card("Push the branch").get_by_role("button", name="Allow once")
    expect(allow).to_have_attribute("title", "pilotlight is away")
    page.evaluate("location.hash = '/sessions'")
    expect(page.get_by_role("button", name="Allow once").first).to_have_attribute("title", "pilotlight is away")
    page.get_by_label("More: Push the branch").click()
    for act in ("Rename", "Extend", "Recap", "Interrupt", "Fork", "New process", "Hibernate", "End session…"):
        expect(page.get_by_role("button", name=act).first).to_have_attribute("title", "pilotlight is away")
    page.context.set_offline(False)
    _says_how_long_and_why(page, face, made)


def _says_how_long_and_why(page: Page, face: Desk, made: dict[str, dict[str, Any]]) -> None:
    """The bar of a session's hours in its row, and a refusal of the service in words."""
    now, hour = int(time.time() * 1000), 3600_000
    for title, left in (("At its limit", 20), ("Not logged in", 6), ("Push the branch", 3)):
        made[title] |= {"expiresAt": now + left * hour + 60_000, "warned": left == 3, "waiting": None, "state": "idle"}
    cards.put(page.context, made)
    page.route(re.compile(r"/history\?limit"), lambda route: route.fulfill(json=REFUSED))
    page.route("**/api/events*", lambda route: route.abort())
    page.goto(f"{face.url}/#/sessions")
    page.reload()

    def bars(title: str) -> Locator:
        return page.locator(f"[data-id='{made[title]['id']}'] .left-time + .meter")

    expect(bars("Not logged in").locator("rect")).to_have_attribute("width", re.compile("^25"))
    expect(bars("Not logged in")).to_have_class("meter quiet")
    expect(bars("Push the branch").locator("rect")).to_have_attribute("width", re.compile("^12"))
    expect(bars("Push the branch")).to_have_class("meter warn")
    expect(bars("At its limit")).to_have_count(0)  # what is normal is quiet
    page.evaluate("path => { location.hash = path }", f"/session/{made['At its limit']['id']}")
    expect(page.locator(".turn .note.bad")).to_have_text(["The usage limit was reached.", "The account is on hold."])
    expect(page.get_by_role("status").filter(has_text="Catching up. As of ")).to_be_visible()
    expect(page.get_by_label("Send this message")).not_to_have_attribute("aria-disabled", "true")


REFUSED = {
    "success": True,
    "next": None,
    "entries": [
        {"id": "1", "role": "user", "text": "Go on", "at": 1, "source": "api"},
        {"id": "2", "role": "assistant", "text": "", "at": 2, "error": "rate_limit"},
        {"id": "3", "role": "assistant", "text": "", "at": 3, "error": "account_on_hold"},
    ],
}
