"""Bad weather: an answer that is lost on its way, a page that is left or loaded anew meanwhile, a window that says nothing any
more, another window of the same browser. What was sent is sent once, what was written is kept, what is shown is true."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.lab import DESK, PHONE, Desk
from tests.browser.test_conversation import say
from tests.harness import until

PASTED = """(text) => {
  const given = new DataTransfer();
  given.setData("text/plain", text);
  const about = { bubbles: true, cancelable: true, clipboardData: given };
  return document.getElementById("m").dispatchEvent(new ClipboardEvent("paste", about));
}"""


@pytest.fixture(scope="module")
def session(shared_desk: Desk) -> str:
    """One in which something was said."""
    return shared_desk.house.ask("Hello", title="Weather")[1]


def said(face: Desk, session: str, text: str) -> int:
    """How often it was said, as the server has it."""
    return sum(one["text"] == text for one in face.house.call("message.list", {"sessionId": session})["messages"])


def box(page: Page) -> Locator:
    """Where one writes."""
    return page.get_by_label("Message to Claude")


def goes(page: Page, path: str) -> None:
    """To another view, and it is there."""
    page.evaluate("path => { location.hash = path }", path)
    page.locator("#main h1").first.wait_for(state="attached")


def lost(page: Page, path: str) -> list[Route]:
    """The next post to it arrives, and its answer does not."""
    held: list[Route] = []

    def handled(route: Route) -> None:
        if route.request.method != "POST" or held:
            return route.fallback()
        held.append(route)
        route.fetch()
        return route.abort()

    page.route(re.compile(path), handled)
    return held


def test_a_message_whose_answer_was_lost_is_sent_once_whatever_becomes_of_the_page(face: Desk, session: str) -> None:
    for number, leave in enumerate(("reload", "another view")):
        text = f"once only {number}"
        page = face.sign_in(face.context(DESK), path=f"/session/{session}")
        lost(page, "/messages$")
        say(page, text)
        expect(page.get_by_text("The server cannot be reached.")).to_be_visible()
        expect(box(page)).to_have_value(text)
        if leave == "reload":
            page.reload()
        else:
            goes(page, "/help")
            goes(page, f"/session/{session}")
        expect(box(page)).to_have_value(text)
        box(page).press("Control+Enter")  # whatever else is asked for now
        expect(box(page)).to_have_value("")
        assert said(face, session, text) == 1, leave
    lost(page, "/messages$")
    say(page, "and again")
    expect(page.get_by_text("The server cannot be reached.").last).to_be_visible()
    box(page).fill("")
    expect(page.locator(".bubble", has_text="and again")).to_have_count(1)  # seen to have arrived
    say(page, "and again")
    expect(box(page)).to_have_value("")
    assert said(face, session, "and again") == 2, "what is written once more is meant"


def test_a_message_that_is_on_its_way_is_not_sent_again_by_who_comes_back(face: Desk, session: str) -> None:
    page = face.sign_in(face.context(DESK), path=f"/session/{session}")
    page.locator("input[type=file]").set_input_files({"name": "a.txt", "mimeType": "text/plain", "buffer": b"x"})
    expect(page.locator(".compose .att")).to_have_count(1)
    goes(page, "/help")
    goes(page, f"/session/{session}")
    expect(page.locator(".compose .att")).to_have_text(["a.txt"])
    held: list[Route] = []
    page.route(
        re.compile("/messages$"), lambda one: held.append(one) if one.request.method == "POST" else one.fallback()
    )
    say(page, "on its way")
    until(lambda: page.evaluate("1") and held, "it is sent")
    goes(page, "/help")
    goes(page, f"/session/{session}")
    expect(box(page)).to_have_value("on its way")
    box(page).press("Enter")
    expect(page.get_by_role("button", name="this message")).to_be_disabled()
    held.pop().continue_()
    expect(box(page)).to_have_value("")
    expect(page.locator(".compose .att")).to_have_count(0)
    assert not held
    assert said(face, session, "on its way") == 1


def test_a_session_whose_answer_was_lost_is_opened_once_and_its_first_message_sent_once(face: Desk) -> None:
    page = face.sign_in(face.context(DESK), path="/new")
    before = len(face.house.call("session.list")["sessions"])
    opened, first = lost(page, "/api/sessions$"), lost(page, "/messages$")
    page.get_by_label("Find a folder, or type a path").fill(str(face.house.project))
    page.get_by_label("First message").fill("opened once")
    page.get_by_role("button", name="Open session").click()
    expect(page.get_by_role("alert").first).to_contain_text("The server cannot be reached.")
    page.get_by_role("button", name="Open session").click()
    page.wait_for_url("**/#/session/*")
    assert opened
    assert first
    expect(box(page)).to_have_value("opened once")
    box(page).press("Enter")
    expect(box(page)).to_have_value("")
    assert len(face.house.call("session.list")["sessions"]) == before + 1
    assert said(face, page.url.rpartition("/")[2], "opened once") == 1


def test_what_has_failed_is_sent_again_with_its_files_and_once(face: Desk) -> None:
    failed = face.house.send("[[status 400]] no", title="Failed", attachments=[{"name": "a.txt", "data": "aGVsbG8="}])
    session = failed["session"]["id"]
    page = face.sign_in(face.context(PHONE), path=f"/session/{session}")
    page.route(re.compile("/attachments/0$"), lambda route: route.fulfill(status=404, json={"error": "gone"}))
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("a.txt is not there any more, so nothing was sent.")).to_be_visible()
    page.unroute_all()
    page.get_by_role("button", name="Send again").dblclick()
    expect(page.locator(".me")).to_have_count(2)
    face.house.until_state(session, "idle")
    sent = face.house.call("message.list", {"sessionId": session})["messages"]
    assert [(one["text"], [file["name"] for file in one["attachments"]]) for one in sent] == [
        ("[[status 400]] no", ["a.txt"])
    ] * 2


def test_a_draft_is_the_same_in_every_window_and_is_not_lost_to_what_is_edited(face: Desk) -> None:
    _, session = face.house.ask("Hello", title="Drafts")
    context = face.context(DESK)
    page = face.sign_in(context, path=f"/session/{session}")
    say(page, "[[gate drafts]] work")
    expect(page.get_by_role("button", name="Queue this message")).to_be_visible()
    say(page, "in the queue")
    box(page).fill("a draft of mine")
    edit = page.get_by_role("button", name="Edit message 1")
    edit.click()
    expect(box(page)).to_have_value("in the queue")
    page.keyboard.press("Escape")
    expect(box(page)).to_have_value("a draft of mine")
    edit.click()
    say(page, "changed")
    expect(page.locator(".queue li")).to_contain_text(["changed"])
    expect(box(page)).to_have_value("a draft of mine")
    other = context.new_page()
    other.goto(f"{face.url}/#/session/{session}")
    expect(box(other)).to_have_value("a draft of mine")
    other.get_by_role("button", name="this message").click()
    expect(box(other)).to_have_value("")
    expect(box(page)).to_have_value("")
    face.house.model.release("drafts")
    face.house.until_state(session, "idle")
    assert not page.evaluate(PASTED, "line\n" * 40_000), "more than a message takes"
    expect(page.locator(".compose .att")).to_have_text(["pasted.txt"])
    assert page.evaluate(PASTED, "a word"), "what fits is pasted as ever"


def test_a_window_that_says_nothing_any_more_is_not_waited_for(face: Desk) -> None:
    context = face.context(DESK)
    silent = face.sign_in(context)
    page = context.new_page()
    page.goto(f"{face.url}/#/sessions")
    expect(page.get_by_role("link", name="pilotlight: Live")).to_be_visible()
    silent.evaluate("BroadcastChannel.prototype.postMessage = () => {}")  # as one that a phone has put to sleep
    _, session = face.house.ask("Hello", title="While it slept")
    with page.expect_request("**/api/events**"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # somebody looks
    fresh = page.get_by_role("button", name=re.compile(r"^\d+ new$"))
    expect(fresh.or_(page.locator(f"[data-id='{session}']")).first).to_be_visible()
    face.house.call("session.update", {"sessionId": session, "title": "Heard again"})
    expect(silent.get_by_text("Heard again")).to_have_count(1)  # who slept listens to the other


def test_whoever_is_signed_out_comes_back_where_they_were_in_every_window(face: Desk, session: str) -> None:
    context = face.context(DESK)
    one = face.sign_in(context)
    other = context.new_page()
    other.goto(f"{face.url}/#/session/{session}")
    expect(other.get_by_role("log")).to_be_visible()
    for device in face.devices.records():
        face.devices.revoke(device.id)
    for page in (one, other):
        expect(page.get_by_role("heading", name="Sign in on this device")).to_be_visible()
    other.reload()
    expect(other.get_by_role("heading", name="Sign in on this device")).to_be_visible()
    other.get_by_label("Code").fill(face.devices.invite("admin").code)
    expect(other.get_by_role("alert")).to_have_count(0)  # nothing is wrong with an address
    other.get_by_role("button", name="Sign in").click()
    expect(other.get_by_role("log")).to_be_visible()
    expect(other.get_by_role("link", name="pilotlight: Live")).to_be_visible()
    one.evaluate("dispatchEvent(new Event('visibilitychange'))")
    expect(one.get_by_role("link", name="pilotlight: Live")).to_be_visible()
    with face.browser.new_context() as stranger:
        broken = stranger.new_page()
        broken.goto(f"{face.url}/#/session/%zz")
        expect(broken.get_by_role("heading", name="Sign in on this device")).to_be_visible()


def test_what_the_stream_cannot_tell_any_more_is_read_anew(face: Desk, session: str) -> None:
    context = face.context(DESK)
    page = face.sign_in(context, path=f"/session/{session}")
    expect(page.get_by_role("log").get_by_text("Hello").first).to_be_visible()
    body = f"event: gap\ndata: {json.dumps({'reason': 'older events are no longer kept'})}\n\n"
    stream = {"status": 200, "content_type": "text/event-stream", "body": body}
    context.route(re.compile("/api/events"), lambda route: route.fulfill(**stream))
    history = {"status": 503, "json": {"error": "away", "code": "supervisor_away", "retryable": True}}
    face.house.kill_api()
    face.house.ask("Said in the gap", session)
    context.route(re.compile("/history"), lambda route: route.fulfill(**history), times=1)
    face.house.start_api()
    expect(page.get_by_role("log").get_by_text("You said: Said in the gap")).to_have_count(1)


def test_the_title_of_the_window_says_what_waits_and_what_it_is_called_now(face: Desk, session: str) -> None:
    page = face.sign_in(face.context(DESK), path=f"/session/{session}")
    call = json.dumps({"command": "touch asked"})
    asks = face.house.send(f"[[tool Bash {call}]]", wait=0, title="First")["session"]["id"]
    second = face.house.send(f"[[tool Bash {call}]]", wait=0, title="Second")["session"]["id"]
    for one in (asks, second):
        face.house.until_state(one, "waiting")
    face.house.call("session.update", {"sessionId": session, "title": "Called anew"})
    expect(page).to_have_title("(2) Called anew · pilotlight")

    phone = face.sign_in(face.context(PHONE))
    cards = phone.locator(".ask-mini")
    for card, seen in ((cards.nth(0), True), (cards.nth(1), False)):
        expect(card.locator("code")).to_be_visible(visible=seen)
        expect(card.get_by_role("button", name="Allow once")).to_have_count(int(seen))  # not of what is not seen
        expect(card.get_by_role("link", name="Details")).to_have_count(int(not seen))
    answers: list[str] = []
    phone.on("request", lambda request: answers.extend([request.url] * request.url.endswith("/answer")))
    cards.nth(0).get_by_role("button", name="Allow once").dblclick()
    expect(cards).to_have_count(1)
    assert len(answers) == 1


def test_whoever_composes_a_word_goes_nowhere(face: Desk, session: str) -> None:
    page = face.sign_in(face.context(DESK), path="/search")
    expect(page.locator(".behind .row").first).to_be_visible()  # the palette lies over the list
    page.get_by_role("combobox").fill("weather")
    expect(page.get_by_role("option", selected=True)).to_be_visible()
    enter = "new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true, cancelable: true })"
    assert page.get_by_role("combobox").evaluate(f"field => field.dispatchEvent({enter})"), "it takes the word"
    expect(page).to_have_url(f"{face.url}/#/search")
