"""Talking: text as it comes, receipts, the queue, and that nothing is lost or doubled when a process or the network goes."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.lab import DESK, PHONE, Desk
from tests.harness import until

CODE = "def answer():\n    return 42  # after a while"
KEPT = """caches.keys().then((names) => [...names.filter((name) => name === "pilotlight-offline"),
    ...Object.keys(localStorage).filter((name) => name === "sessions" || name.startsWith("draft:"))])"""
LONG = f"A **bold** word.\n\n```python\n{CODE}\n```\n\n" + "word after word\n" * 20 + "the end of it"


def say(page: Page, text: str) -> None:
    """Write and send, as this device does."""
    page.get_by_label("Message to Claude").fill(text)
    page.get_by_role("button", name="this message").click()


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_text_comes_while_it_is_said_and_stays_once(face: Desk, size: dict[str, int]) -> None:
    _, session = face.house.ask("Hello", title="Streaming")
    face.house.call("session.seen", {"sessionId": session, "at": 1})
    page = face.sign_in(face.context(size), path=f"/session/{session}")
    expect(page.get_by_text("While you were away")).to_be_visible()
    until(lambda: (view := face.house.session(session))["seenAt"] >= view["lastWords"]["at"], "all was seen")
    say(page, "[[midgate half]] echo: " + LONG)
    flow = page.get_by_role("log")
    expect(flow.locator(".claude[aria-busy]")).to_contain_text("word after word")
    expect(flow.get_by_text("the end of it")).to_have_count(1)  # in the message itself
    face.house.model.release("half")
    expect(flow.locator(".claude", has_text="the end of it")).to_have_count(1)
    expect(flow.locator(".claude[aria-busy]")).to_have_count(0)
    expect(flow.locator(".claude strong", has_text="bold")).to_have_count(1)
    flow.locator(".claude pre").evaluate("(code) => code.scrollIntoView()")  # its colours come when it is seen
    expect(flow.locator(".claude pre span.k1")).to_have_text(["def", "return"])
    assert flow.locator(".claude pre").inner_text() == CODE, "colours change no character"
    expect(flow.locator(".receipt.answered")).to_have_count(2)
    if size == PHONE:
        page.get_by_label("More: Streaming").click()
        page.get_by_role("button", name="About this session").click()
        box = page.get_by_role("complementary", name="About this session").bounding_box()
        assert box is not None
        assert (box["width"], box["y"] + box["height"]) == (size["width"], size["height"]), "it covers what is below"
        assert box["y"] < 100, "and all of it"
        head = page.locator(".talk-bar .left-time")
        assert head.evaluate("(time) => getComputedStyle(time).display") == "block", "else it ends without an ellipsis"
    expect(page.get_by_role("complementary", name="About this session").get_by_text("% cached")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing widens the page"


def test_what_waits_is_edited_moved_and_cancelled(face: Desk) -> None:
    _, session = face.house.ask("Hello", title="Queue")
    page = face.sign_in(face.context(DESK), path=f"/session/{session}")
    say(page, "[[gate turn]] work")
    expect(page.get_by_role("button", name="Queue this message")).to_be_visible()
    for text in ("first in line", "second in line", "third in line"):
        say(page, text)
        expect(page.locator(".queue li", has_text=text)).to_be_visible()
    page.get_by_role("button", name="Move message 2 of 3").press("ArrowUp")
    expect(page.locator(".queue li").first).to_contain_text("second in line")
    page.get_by_role("button", name="Cancel message 3").click()
    expect(page.locator(".queue li")).to_have_count(2)
    page.get_by_role("button", name="Edit message 1").click()
    expect(page.get_by_label("Message to Claude")).to_have_value("second in line")
    say(page, "another text")
    expect(page.locator(".queue li").first).to_contain_text("another text")
    face.house.model.release("turn")
    said = page.get_by_role("log").locator(".bubble")
    expect(said.get_by_text("another text")).to_have_count(1)
    expect(said.get_by_text("first in line")).to_have_count(1)
    expect(said.get_by_text("second in line")).to_have_count(0)

    mine = page.locator(".me", has_text="[[gate turn]] work")
    mine.locator(".receipt summary").click()
    mine.get_by_role("button", name="Fork from before it").click()
    expect(page).not_to_have_url(re.compile(session))
    expect(page.get_by_label("Message to Claude")).to_have_value("[[gate turn]] work")
    expect(said).to_have_text(["Hello"])
    branch = page.url.rpartition("/")[2]
    page.get_by_label("Model", exact=True).select_option("sonnet")
    until(lambda: face.house.session(branch)["model"] == "sonnet", "it has another model")
    expect(page.locator("form.compose summary", has_text="Ask me")).to_be_visible()
    page.get_by_label("Mode", exact=True).select_option("Plan first")
    expect(page.locator("form.compose summary", has_text="Plan first")).to_be_visible()
    until(lambda: face.house.session(branch)["permissionMode"] == "plan", "it plans first from now on")
    page.keyboard.press("Alt+ArrowDown")
    expect(page).not_to_have_url(re.compile(branch))


def test_neither_process_nor_network_loses_or_doubles_a_word(face: Desk) -> None:
    _, session = face.house.ask("Hello", title="Crashes")
    context = face.context(DESK)
    pages = [face.sign_in(context, path=f"/session/{session}")]
    for _ in range(2):
        pages.append(context.new_page())
        pages[-1].goto(f"{face.url}/#/session/{session}")
        expect(pages[-1].get_by_role("log").get_by_text("Hello").first).to_be_visible()
    say(pages[0], "[[gate crash]] [[say The end of it.]]")
    expect(pages[1].get_by_role("button", name="Stop")).to_be_visible()
    face.house.kill_supervisor()
    expect(pages[0].get_by_text("reconnecting").first).to_be_visible()
    face.house.start_supervisor()
    face.house.model.release("crash")
    for page in pages:
        expect(page.get_by_role("log").get_by_text("The end of it.", exact=True)).to_have_count(1)
        expect(page.get_by_text("reconnecting")).to_have_count(0)
    face.house.kill_api()
    expect(pages[0].get_by_text("reconnecting").first).to_be_visible()
    face.house.start_api()
    expect(pages[0].get_by_text("reconnecting")).to_have_count(0)
    context.set_offline(True)
    pages[0].get_by_label("Message to Claude").fill("written in a tunnel")
    face.house.ask("Said meanwhile", session)
    context.set_offline(False)
    expect(pages[0].get_by_role("log").get_by_text("You said: Said meanwhile")).to_have_count(1)
    expect(pages[0].get_by_label("Message to Claude")).to_have_value("written in a tunnel")
    pages[0].get_by_label("Message to Claude").fill("begun here")
    until(lambda: face.house.call("draft.get", {"sessionId": session})["text"] == "begun here", "the draft is shared")
    other = face.sign_in(face.context(PHONE), path=f"/session/{session}")
    expect(other.get_by_label("Message to Claude")).to_have_value("begun here")
    say(other, "ended there")
    until(lambda: not face.house.call("draft.get", {"sessionId": session})["text"], "a draft goes with its receipt")


def test_without_a_connection_the_last_list_and_conversation_are_there_with_their_age(face: Desk) -> None:
    _, session = face.house.ask("Kept words", title="Offline")
    context = face.context(PHONE)
    context.clock.install()
    page = face.sign_in(context, path="/settings")
    page.get_by_label("Keep conversations on this device").check()
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.evaluate("scrollTo(0, 1e6)")
    page.evaluate("path => { location.hash = path }", f"/session/{session}")
    expect(page.get_by_role("log").get_by_text("You said: Kept words")).to_be_visible()
    until(lambda: page.evaluate("caches.has('pilotlight-offline')"), "the conversation is kept")
    context.set_offline(True)
    page.reload()
    expect(page.get_by_role("log").get_by_text("You said: Kept words")).to_be_visible()
    assert page.evaluate("scrollTo(0, 1e6), scrollY") == 0, "the page itself cannot be moved under the banner"
    banner = page.locator(".banner", has_text=re.compile("As of .+, reconnecting"))

    def below(head: str) -> bool:
        place, over = page.locator(head).bounding_box(), banner.bounding_box()
        return bool(place and over) and place["y"] >= over["y"] + over["height"]

    until(lambda: below(".talk-bar"), "the banner does not lie over the head")
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight"), "and pushes nothing off the screen"
    expect(page.get_by_role("button", name="Send this message")).to_have_attribute("aria-disabled", "true")
    page.evaluate("location.hash = '/sessions'")
    expect(page.locator(f"[data-id='{session}']")).to_be_visible()
    until(lambda: below(".bar"), "nor over that of the list")
    context.clock.fast_forward(30_000)
    expect(page.get_by_role("heading", name="Your sessions go on.")).to_be_visible()
    context.set_offline(False)
    page.get_by_role("button", name="Try now").click()
    expect(page.get_by_text("reconnecting")).to_have_count(0)


def test_who_signs_out_or_is_signed_out_leaves_nothing_on_the_device(face: Desk) -> None:
    _, session = face.house.ask("Kept words", title="Left")
    context = face.context(PHONE)
    page = face.sign_in(context, path="/settings")
    page.get_by_label("Keep conversations on this device").check()

    def look() -> None:
        page.evaluate("path => { location.hash = path }", f"/session/{session}")
        expect(page.get_by_role("log").get_by_text("You said: Kept words")).to_be_visible()
        until(lambda: page.evaluate("caches.has('pilotlight-offline')"), "the conversation is kept")

    look()
    page.get_by_label("Message to Claude").fill("begun")
    page.evaluate("location.hash = '/settings'")
    leave = page.get_by_role("button", name="Sign out")
    expect(leave).to_be_visible()
    context.set_offline(True)
    leave.click()
    until(lambda: page.evaluate(KEPT) == [], "what was kept goes at once, though nobody can be told")
    context.set_offline(False)
    expect(page.get_by_text("reconnecting")).to_have_count(0)

    look()
    page.evaluate("path => { location.hash = path }", f"/sign-in/{face.devices.invite('read').link}")
    page.get_by_role("heading", name="Sessions", exact=True).wait_for()
    assert "pilotlight-offline" not in page.evaluate(KEPT), "another sign-in finds nothing of the one before"

    look()
    for device in face.devices.records():
        face.devices.revoke(device.id)
    expect(page.get_by_role("heading", name="Sign in on this device")).to_be_visible()
    until(lambda: not page.evaluate("caches.has('pilotlight-offline')"), "what was kept goes with the device")


def test_a_file_that_is_dropped_reaches_claude(face: Desk) -> None:
    _, session = face.house.ask("Hello", title="Files")
    page = face.sign_in(face.context(PHONE), path=f"/session/{session}")
    page.locator("input[type=file]").set_input_files(
        {"name": "photo.png", "mimeType": "image/png", "buffer": b"\x89PNG\r\n\x1a\n not really"}
    )
    expect(page.locator(".att", has_text="photo.png")).to_be_visible()
    say(page, "Look at this")
    until(
        lambda: any(m["attachments"] for m in face.house.call("message.list", {"sessionId": session})["messages"]),
        "the message has its file",
    )
    expect(page.locator(".compose .att")).to_have_count(0)
    sent = page.get_by_role("log").locator("a.att", has_text="photo.png")
    expect(sent.locator("img.thumb")).to_have_count(1)
    with page.expect_download() as file:
        sent.click()
    assert file.value.suggested_filename == "photo.png"
