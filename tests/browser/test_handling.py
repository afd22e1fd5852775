"""What one does with sessions: from the menu, and by every key that Help shows."""

from __future__ import annotations

import json
import os
import re

from playwright.sync_api import Page, Route, expect

from tests.browser.lab import DESK, Desk
from tests.browser.test_conversation import say
from tests.harness import ROOT, until

COMPOSED = (
    "field => field.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', keyCode: 229, cancelable: true }))"
)


def test_what_a_conversation_can_be_made_to_do(face: Desk) -> None:
    _, session = face.house.ask("Kept words", title="Handled")
    page = face.sign_in(face.context(DESK), path=f"/session/{session}")
    more = page.get_by_label(re.compile("^More: "))
    more.click()
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("textbox", name="What it is called")).to_be_focused()
    page.keyboard.type("Called anew")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Called anew", level=1)).to_be_visible()
    expect(more).to_be_focused()  # what opened the menu that opened the dialog
    more.click()
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("textbox", name="What it is called")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    more.click()
    with page.expect_download() as file:
        page.get_by_role("link", name="Export as Markdown").click()
    assert "You said: Kept words" in file.value.path().read_text()
    page.get_by_label("Message to Claude").fill("[[gate stopped]] work")
    assert page.get_by_label("Message to Claude").evaluate(COMPOSED), "as Safari tells of an Enter that takes a word"
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    more.click()
    page.get_by_role("button", name="End session…").click()
    page.get_by_role("button", name="Only stop the turn").click()
    expect(page.locator(".receipt.interrupted")).to_have_count(1)
    face.house.until_state(session, "idle")
    page.locator(".compose .menu > summary").click()
    page.get_by_role("button", name="/context").click()
    expect(page.get_by_role("log").locator(".aside code", has_text="/context").first).to_be_visible()
    before = face.house.session(session)["pid"]
    more.click()
    page.get_by_role("button", name="New process").click()
    expect(page.get_by_text("It has a new process; the conversation goes on.")).to_be_visible()
    assert face.house.session(session)["pid"] != before
    with page.expect_response(re.compile("/keep-alive$")):
        more.click()
        page.get_by_role("button", name="Recap").click()
        expect(page.locator(".talk-bar .doing")).to_have_text("Writes a recap…")
    flow = page.get_by_role("log")
    expect(flow.locator(".recap")).to_have_text(re.compile(r"^\s*Recap · \d\d:\d\d$"))
    expect(flow.locator(".claude", has_text="Kept words")).to_have_count(2)
    expect(flow.get_by_text("Please provide")).to_have_count(0)
    expect(page.locator(".talk-bar").get_by_text("Idle")).to_be_visible()
    more.click()
    page.get_by_role("button", name="Hibernate").click()
    expect(page.locator(".talk-bar").get_by_text("Hibernated")).to_be_visible()
    expect(page.locator("#app > [aria-live=polite]")).to_have_text("Hibernated")
    page.reload()
    expect(page.get_by_role("log").get_by_text("You said: Kept words")).to_be_visible()
    assert face.house.session(session)["state"] == "hibernated", "looking wakes nothing"
    more.click()
    page.get_by_role("button", name="Wake").click()
    face.house.until_state(session, "idle")


class Keys:
    """Keys of a page by the names under which Help shows them; which of them were pressed."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.pressed: set[str] = set()

    def __call__(self, name: str, times: int = 1) -> None:
        self.pressed.add(name)
        names = {"↑": "ArrowUp", "↓": "ArrowDown", "Esc": "Escape", "Ctrl": "Control", "A": "a", "Shift A": "Shift+A"}
        for _ in range(times):
            if name.startswith("G "):
                self.page.keyboard.type(name.replace(" ", "").lower())
            elif len(name) == 1 and name not in names:
                self.page.keyboard.press(name.lower())
            else:
                self.page.keyboard.press(names.get(name) or "+".join(names.get(key, key) for key in name.split()))


def test_every_key_that_help_shows_does_what_it_says_and_nothing_where_one_types(face: Desk) -> None:
    house = face.house
    one, two = (house.ask("Hello", title=f"Key {name}")[1] for name in ("one", "two"))
    page = face.sign_in(face.context(DESK))
    key = Keys(page)
    in_list(face, key, one)
    in_conversation(face, key, one, two)
    in_attention(face, key, one, two)
    for name, there in (("?", "/help"), ("N", "/new"), ("G H", "/health"), ("G A", "/attention"), ("G ,", "/settings"),
                        ("G S", "/sessions"), ("/", "/search"), ("G S", "/sessions"), ("Ctrl K", "/search")):  # fmt: skip
        page.locator("#main").focus()
        key(name)
        page.wait_for_url(f"**/#{there}")
    page.evaluate("location.hash = '/help'")
    shown = page.locator(".keys-all kbd")
    expect(shown.first).to_be_visible()
    elsewhere = {"Ctrl ] D": 'press("Control+]")'}
    assert all(text in (ROOT / "tests/browser/test_terminal.py").read_text() for text in elsewhere.values())
    assert set(shown.all_inner_texts()) == key.pressed | set(elsewhere)


def in_list(face: Desk, key: Keys, session: str) -> None:
    """Those of the list, and for the one in focus; what is under way is said by its row."""
    page, house = key.page, face.house
    row = page.locator(f"[data-id='{session}']")
    before = house.session(session)
    key("F")
    page.keyboard.type("key etrzw+")
    expect(page.get_by_label("Filter by words")).to_have_value("key etrzw+")
    page.keyboard.press("Escape")
    page.get_by_label("Filter by words").fill("key o")
    expect(page.locator(".row")).to_have_count(1)
    page.locator("#main").focus()
    key("J")
    expect(row.locator(".title")).to_be_focused()
    key("X")
    expect(page.get_by_text("1 selected")).to_be_visible()
    key("X")
    key("+")
    until(lambda: house.session(session)["expiresAt"] > before["expiresAt"], "it has more time")
    key("E")
    page.get_by_role("textbox", name="What it is called").fill("Key one, called anew")
    page.get_by_role("button", name="Save").click()
    expect(row.get_by_text("Key one, called anew")).to_be_visible()
    held: list[Route] = []
    page.route(re.compile("/(keep-alive|recycle|hibernate|wake)$"), lambda route: held.append(route))
    for name, words, state in (
        ("R", "Writes a recap…", "Idle"), ("Z", "Goes to sleep…", "Hibernated"), ("W", "Wakes…", "Idle"),
    ):  # fmt: skip
        key(name)
        expect(row.locator(".doing")).to_have_text(words)
        until(lambda: page.evaluate("1") and held, words)  # routes are heard while the page is asked
        held.pop().continue_()
        if name == "R":
            expect(page.get_by_text("The recap is in the conversation.")).to_be_visible()
        expect(row.locator(".doing")).to_have_count(0)
        expect(row.locator(".st")).to_have_text(state)
        row.locator(".title").focus()
    assert house.session(session)["messageCount"] == before["messageCount"] + 1
    pid = house.session(session)["pid"]
    row.get_by_label(re.compile("^More: ")).click()
    row.get_by_role("button", name="New process").click()
    expect(row.locator(".doing")).to_have_text("Gets a new process…")
    until(lambda: page.evaluate("1") and held, "it is asked for")
    held.pop().continue_()
    expect(row.locator(".doing")).to_have_count(0)
    assert house.session(session)["pid"] != pid
    page.unroute_all()
    page.get_by_label("Filter by words").fill("key")
    expect(page.locator(".row")).to_have_count(2)
    page.locator("#main").focus()
    key("J", 2)
    expect(page.locator(".row .title").nth(1)).to_be_focused()
    key("K")
    expect(page.locator(".row .title").nth(0)).to_be_focused()
    row.locator(".title").focus()
    key("T")
    page.wait_for_url(f"**/terminal#{session}")
    page.goto(f"{face.url}/#/sessions")
    row.locator(".title").focus()
    key("Enter")
    page.wait_for_url(f"**/session/{session}")


def in_conversation(face: Desk, key: Keys, session: str, other: str) -> None:
    """Where one writes, letters are letters; Enter sends, Escape stops."""
    page, house = key.page, face.house
    box = page.get_by_label("Message to Claude")
    expect(box).to_be_focused()
    page.keyboard.type("etrzw+ajkx")
    expect(box).to_have_value("etrzw+ajkx")
    box.fill("[[gate keys]] work")
    key("Enter")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    page.keyboard.type("first")
    key("Shift Enter")
    page.keyboard.type("second")
    page.keyboard.press("Enter")
    waits = page.locator(".queue li")
    expect(waits).to_have_count(1)
    expect(box).to_have_value("")
    key("↑")
    expect(box).to_have_value("first\nsecond")
    page.keyboard.press("Escape")
    expect(box).to_have_value("")
    page.get_by_label("Cancel message 1").click()
    box.fill("said instead")
    key("Ctrl Enter")
    expect(page.get_by_role("log").get_by_text("You said: said instead")).to_be_visible()
    expect(page.locator(".receipt.interrupted")).to_have_count(1)
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)  # else the next Esc may still be for this turn
    box.fill("[[gate keys]] work")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    key("Esc")
    expect(page.locator(".receipt.interrupted")).to_have_count(2)
    house.until_state(session, "idle")
    expect(page.locator(".talk-bar").get_by_text("Idle")).to_be_visible()
    key("Esc")  # out of the field, since nothing is to be stopped
    expect(box).not_to_be_focused()
    flow = page.get_by_role("log")
    page.set_viewport_size({"width": 1440, "height": 400})
    key("Home")
    until(lambda: flow.evaluate("flow => flow.scrollTop") == 0, "it is at its beginning")
    key("End")
    until(lambda: flow.evaluate("flow => flow.scrollHeight - flow.scrollTop - flow.clientHeight") <= 1, "at its end")
    page.set_viewport_size(DESK)
    key("Alt ↓")
    page.wait_for_url(re.compile(f"/session/(?!{session})"))
    expect(box).to_be_focused()
    key("Alt ↑")
    page.wait_for_url(f"**/session/{session}")


def in_attention(face: Desk, key: Keys, one: str, two: str) -> None:
    """Each decision by its key, on the card that has the edge."""
    page, house = key.page, face.house

    def asks(session: str, text: str) -> str:
        message = str(house.send(text, session, wait=0)["message"]["id"])
        house.until_state(session, "waiting")
        return message

    options = [{"label": "Red", "description": "warm"}, {"label": "Blue", "description": "cold"}]
    question = {
        "questions": [{"question": "Which color?", "header": "Color", "options": options, "multiSelect": False}]
    }
    asked = [
        asks(one, '[[tool Bash {"command": "touch key-1"}]]'),
        asks(two, '[[tool Bash {"command": "touch key-2"}]]'),
    ]
    page.evaluate("location.hash = '/attention'")
    now, cards = page.locator(".ask.now"), page.locator(".ask:not(.gone)")

    def stands(session: str) -> None:
        expect(now).to_have_id(f"ask-{session}")
        expect(page.locator(".cards[data-keys=on]")).to_be_visible()  # keys act on what could be read

    expect(cards).to_have_count(2)
    expect(now).to_have_id(f"ask-{one}")
    key("J")
    expect(now).to_have_id(f"ask-{two}")
    expect(now).to_be_focused()
    stands(two)
    key("D")
    page.keyboard.press("d")  # a second one decides nothing of the next card
    assert house.message(asked[1], wait=30)["state"] == "answered"
    stands(one)
    assert house.session(one)["state"] == "waiting"
    key("Shift A")
    expect(page.get_by_text("Allowed always by you, just now")).to_be_visible()
    assert house.message(asked[0], wait=30)["state"] == "answered"
    last = asks(two, '[[tool Bash {"command": "touch key-3"}]]')
    stands(two)
    key("A")
    assert house.message(last, wait=30)["state"] == "answered"
    assert [(house.project / f"key-{n}").exists() for n in (1, 2, 3)] == [True, False, True]
    last = asks(two, f"[[tool AskUserQuestion {json.dumps(question)}]]")
    stands(two)
    key.pressed.add("1–9")
    page.keyboard.press("2")
    expect(now.get_by_label("Blue")).to_be_checked()
    now.get_by_label("Blue").focus()
    key("Ctrl Enter")
    assert "Blue" in house.message(last, wait=30)["reply"]
    asks(one, f"[[tool AskUserQuestion {json.dumps(question)}]]")
    expect(cards).to_have_count(1)
    key("O")
    page.wait_for_url(f"**/session/{one}")
    house.call("session.interrupt", {"sessionId": one})
    house.until_state(one, "idle")


HISTORY = re.compile(r"/history\?limit")


def test_what_is_said_in_the_midst_of_a_turn_is_read_once_whoever_opens_it_when(face: Desk) -> None:
    house = face.house
    os.mkfifo(house.project / "pipe")
    _, session = house.ask("Hello", title="Read late")
    context = face.context(DESK)
    context.clock.install()
    page = face.sign_in(context, path=f"/session/{session}")
    mine = page.get_by_role("log")
    say(page, "[[midgate half]] echo: " + "word after word\n" * 40)
    expect(mine.locator(".claude[aria-busy]")).to_contain_text("word")
    say(page, "taken back")
    expect(page.locator(".queue li")).to_have_count(1)
    asked: list[str] = []
    page.on("request", lambda request: asked.extend([request.url] if HISTORY.search(request.url) else []))
    page.get_by_label("Cancel message 1").click()
    expect(page.locator(".queue li")).to_have_count(0)
    context.clock.run_for(1000)
    page.evaluate("1")  # requests are heard while the page is asked
    assert not asked, "nothing was said, and what streams stays"
    house.model.release("half")
    house.until_state(session, "idle")

    late, held = context.new_page(), list[Route]()
    late.route(HISTORY, lambda route: held.append(route))
    with late.expect_request(HISTORY):
        late.goto(page.url)
    say(page, '[[before Let me look.]] [[tool Bash {"command": "cat pipe"}]] [[say Told to both.]]')
    flow = late.get_by_role("log")
    expect(flow.locator(".work", has_text="not finished")).to_be_visible()
    mine.locator(".work > summary").click()
    before = until(lambda: (said := held[0].fetch()).text().count("cat pipe") > 1 and said, "it is written down")
    (house.project / "pipe").write_text("seen\n" * 60 + "the last of it")
    for one in (mine, flow):
        expect(one.locator(".claude", has_text="Told to both.")).to_have_count(1)
    expect(mine.locator("[data-entry] .work[open]")).to_be_visible()  # in the history, and open as it was left
    held[0].fulfill(response=before)
    expect(flow.locator(".bubble", has_text="Hello")).to_be_visible()
    for once in (".claude:has-text('Let me look.')", ".claude:has-text('Told to both.')", ".work"):
        expect(flow.locator(once)).to_have_count(1)
    expect(flow.locator(".work")).to_contain_text("ran 1 command", ignore_case=True)
    mine.locator(".call > summary").click()
    mine.get_by_role("button", name="Show 21 more lines").click()
    page.evaluate("location.hash = '/help'")
    expect(mine).to_have_count(0)
    page.go_back()
    expect(mine.locator(".call .out")).to_contain_text("the last of it")  # drawn anew, it is laid out as it was left
