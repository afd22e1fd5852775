"""Talking: text as it comes, receipts, the queue, and that nothing is lost or doubled when a process or the network goes."""

from __future__ import annotations

import re
import shutil

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.lab import DESK, PHONE, Desk, fits, lengthen
from tests.harness import ROOT, until

CODE = "def answer():\n    return 42  # after a while"
KEPT = """caches.keys().then((names) => [...names.filter((name) => name === "pilotlight-offline"),
    ...Object.keys(localStorage).filter((name) => name === "sessions" || name.startsWith("draft:"))])"""
COVERED = """(by) => {
  Object.defineProperty(visualViewport, "height", { get: () => innerHeight - by, configurable: true });
  visualViewport.dispatchEvent(new Event("resize"));
}"""
"""What a browser does that lays its keyboard over the page."""

OBSERVED = """() => {
  const flow = document.querySelector(".flow .inner");
  const finished = [...flow.querySelectorAll("[data-entry]")];
  const seen = globalThis.seen = { touched: [], drawn: [], same: () => finished.every((one) => one.isConnected) };
  new MutationObserver((changes) => {
    const has = (test) => changes.map((one) => one.target).filter((one) => test(one.nodeType === 1 ? one : one.parentElement));
    seen.touched.push(...has((one) => finished.some((entry) => entry.contains(one))).map((one) => one.nodeName));
    if (has((one) => one?.closest(".claude[aria-busy]")).length) seen.drawn.push(performance.now());
  }).observe(flow, { subtree: true, childList: true, characterData: true, attributes: true });
}"""
"""What is changed in a conversation from now on: in the turns that are finished, and when in the one that is live."""

SPOKEN = """() => import(document.querySelector("script[type=module]").src.replace("main.js", "store.js"))
  .then(({ speak }) => Object.entries({ 0: "one", 50: "two", 60: "three", 5200: "four", 5300: "" })
    .forEach(([at, text]) => setTimeout(speak, Number(at), text, "k")))"""
"""Three states of a kind within a tenth of a second are to be said, and one that is over before its time comes."""

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
    box = page.get_by_label("Message to Claude")
    if size == PHONE:
        expect(box).not_to_be_focused()  # the keyboard of a phone comes when it is wanted
        page.evaluate(COVERED, 300)
        until(
            lambda: page.locator(".dock").evaluate("e => e.getBoundingClientRect().bottom <= innerHeight - 300"), "free"
        )
        page.evaluate(COVERED, 0)
    else:
        expect(box).to_be_focused()
    until(lambda: (view := face.house.session(session))["seenAt"] >= view["lastWords"]["at"], "all was seen")
    say(page, "[[midgate half]] echo: " + LONG)
    flow = page.get_by_role("log")
    expect(flow.locator(".claude[aria-busy]")).to_contain_text("word after word")
    expect(flow.get_by_text("the end of it")).to_have_count(1)  # in the message itself
    spoken = page.locator("#app > [aria-live=polite]")
    expect(spoken).to_have_text("Claude is answering")
    face.house.model.release("half")
    expect(spoken).to_have_text("A bold word.")
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
    assert fits(page), "nothing widens the page"
    if size == DESK:
        page.evaluate(OBSERVED)
        say(page, "[[stream 1.5]] echo: " + "a line of text\n" * 60 + "the last of it")
        expect(flow.locator(".claude", has_text="the last of it")).to_have_count(1)
        expect(flow.locator(".claude[aria-busy]")).to_have_count(0)
        assert page.evaluate("[seen.touched, seen.same()]") == [[], True], "what is finished is left alone"
        drawn = page.evaluate("seen.drawn")
        assert len(drawn) > 5, drawn
        assert all(later - at > 900 for at, later in zip(drawn, drawn[10:], strict=False)), "at most ten times a second"


def test_a_stream_that_is_silent_is_opened_anew_and_says_so(face: Desk) -> None:
    context = face.context(DESK)
    page = context.new_page()
    page.clock.install()
    page.goto(f"{face.url}/#/sign-in/{face.devices.invite('read').link}")
    expect(page.get_by_role("link", name="pilotlight: Live")).to_be_visible()
    held: list[Route] = []
    context.route(re.compile("/api/events"), lambda route: held.append(route))
    page.clock.fast_forward(15_000)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(done))")
    assert not held, "a heartbeat may be late"
    with page.expect_event("requestfailed", lambda request: "/api/events" in request.url):  # the one that is silent
        page.clock.fast_forward(40_000)
    expect(page.get_by_role("link", name="pilotlight: Catching up")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Catching up. As of ")).to_be_visible()
    with page.expect_request("**/api/sessions?includeEnded=true"):  # what is true is read anew
        held[0].continue_()
    expect(page.get_by_role("link", name="pilotlight: Live")).to_be_visible()
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 5)  # else it goes on by itself
    page.evaluate(SPOKEN)
    spoken = page.locator("#app > [aria-live=polite]")
    page.clock.run_for(4_900)
    expect(spoken).to_have_text("one")  # a state that changes all the time is not read out all the time
    page.clock.run_for(6_200)
    expect(spoken).to_have_text("three")  # and what is over not at all


def test_a_new_version_of_the_page_is_offered_and_keeps_the_draft(face: Desk) -> None:
    house = face.house
    _, session = house.ask("Hello", title="Updated")
    page = face.sign_in(face.context(DESK), path=f"/session/{session}")
    page.wait_for_function("() => navigator.serviceWorker.controller")
    page.evaluate("window.before = true")
    page.get_by_label("Message to Claude").fill("A thought that is not sent yet")
    newer = house.folder / "api"  # where it is started it is found first
    shutil.copytree(ROOT / "api", newer, ignore=shutil.ignore_patterns("__pycache__"))
    (newer / "web" / "static" / "own.css").open("a").write("/* as of another version */")
    try:
        house.kill_api()
        house.start_api()
        expect(page.get_by_text("A new version is here. Drafts stay.")).to_be_visible()
        assert page.evaluate("window.before"), "nothing is forced"
        page.get_by_role("button", name="Use it").click()
        page.wait_for_function("() => !window.before && document.querySelector('#m')")
        expect(page.get_by_label("Message to Claude")).to_have_value("A thought that is not sent yet")
        expect(page.get_by_text("A new version is here")).to_have_count(0)
    finally:
        house.kill_api()
        shutil.rmtree(newer)
        house.start_api()


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
    mine = page.locator(".me", has_text="[[gate turn]] work")
    mine.locator(".receipt summary").click()
    face.house.model.release("turn")
    said = page.get_by_role("log").locator(".bubble")
    expect(said.get_by_text("another text")).to_have_count(1)
    expect(said.get_by_text("first in line")).to_have_count(1)
    expect(said.get_by_text("second in line")).to_have_count(0)

    # What was unfolded in the midst of the turn is so in the history.
    mine.get_by_role("button", name="Fork from before it").click()
    expect(page).not_to_have_url(re.compile(session))
    expect(page.get_by_label("Message to Claude")).to_have_value("[[gate turn]] work")
    expect(said).to_have_text(["Hello"])
    branch = page.url.rpartition("/")[2]
    page.get_by_label("Model", exact=True).select_option("sonnet")
    until(lambda: face.house.session(branch)["model"] == "sonnet", "it has another model")
    expect(page.locator("form.compose summary", has_text="Ask me")).to_be_visible()
    page.get_by_label("Mode", exact=True).select_option("Edit freely")
    mode = page.locator("form.compose details", has=page.locator("summary", has_text="Edit freely"))
    mode.locator("summary").click()
    expect(mode.locator(".menu-item").first).to_have_text("Edit freely")  # a message leaves a plan, and no other mode
    page.get_by_label("Mode", exact=True).select_option("Plan first")
    expect(page.locator("form.compose summary", has_text="Plan first")).to_be_visible()
    until(lambda: face.house.session(branch)["permissionMode"] == "plan", "it plans first from now on")
    page.keyboard.press("Alt+ArrowDown")
    expect(page).not_to_have_url(re.compile(branch))


DRAWN = """async (flow, top) => {
  flow.scrollTop = top;
  for (let frame = 0; frame < 4; frame++) await new Promise(requestAnimationFrame);
}"""
PLACE = """(flow) => {
  const top = flow.getBoundingClientRect().top;
  const first = [...flow.querySelectorAll("[data-entry]")].find((one) => one.getBoundingClientRect().top >= top);
  return [first.dataset.entry, Math.round(first.getBoundingClientRect().top - top)];
}"""


def test_whoever_reads_keeps_the_place_whatever_is_added_above_and_below(face: Desk) -> None:
    _, session = face.house.ask("Hello", title="Long")
    face.house.call("session.hibernate", {"sessionId": session})
    lengthen(face.house, session, 400)
    page = face.sign_in(face.context(PHONE), path=f"/session/{session}")
    flow = page.get_by_role("log")
    expect(flow.get_by_text("Answer 399")).to_be_in_viewport()
    flow.evaluate(DRAWN, 600)  # what comes near is drawn, and has its height
    held: list[Route] = []
    page.route(re.compile(r"/history\?.*before="), lambda route: held.append(route))
    entry, at = flow.evaluate(f"(flow) => {{ flow.scrollTop = 390; return ({PLACE})(flow); }}")

    def still() -> bool:
        return bool(flow.evaluate(PLACE)[0] == entry and abs(flow.evaluate(PLACE)[1] - at) <= 2)

    face.house.ask("Said below", session)
    new = page.get_by_role("button", name=re.compile(r"^\d+ new$"))
    expect(new).to_be_visible()
    assert still(), ("below", entry, at, flow.evaluate(PLACE))
    assert held, "earlier ones were asked for"
    for route in held:
        route.continue_()
    expect(flow.get_by_text("Message 300", exact=True)).to_have_count(1)
    assert still(), ("above, and below meanwhile", entry, at, flow.evaluate(PLACE))
    new.click()
    expect(flow.get_by_text("You said: Said below")).to_be_in_viewport()


def test_neither_process_nor_network_loses_or_doubles_a_word(face: Desk) -> None:
    _, session = face.house.ask("Hello", title="Crashes")
    context = face.context(DESK)
    pages = [face.sign_in(context, path=f"/session/{session}")]
    streams: list[str] = []
    for _ in range(2):
        pages.append(context.new_page())
        pages[-1].on("request", lambda request: streams.extend([request.url] * ("/api/events" in request.url)))
        pages[-1].goto(f"{face.url}/#/session/{session}")
        expect(pages[-1].get_by_role("log").get_by_text("Hello").first).to_be_visible()
    say(pages[0], "[[gate crash]] [[say The end of it.]]")
    expect(pages[1].get_by_role("button", name="Stop")).to_be_visible()
    assert not streams, "one stream for all windows"
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
    page.get_by_label("Message to Claude").fill("not lost")
    for device in face.devices.records():
        face.devices.revoke(device.id)
    expect(page.get_by_role("heading", name="Sign in on this device")).to_be_visible()
    until(lambda: not page.evaluate("caches.has('pilotlight-offline')"), "what was kept goes with the device")
    assert page.evaluate("id => localStorage.getItem(`draft:${id}`)", session) == "not lost"


GIVEN = """async ([event, name]) => {
  const canvas = new OffscreenCanvas(2, 2);
  canvas.getContext("2d").fillRect(0, 0, 2, 2);
  const given = new DataTransfer();
  given.items.add(new File([await canvas.convertToBlob()], name, { type: name.endsWith("heic") ? "image/heic" : "text/plain" }));
  const about = { bubbles: true, cancelable: true };
  document.getElementById("m").dispatchEvent(event === "drop"
    ? new DragEvent(event, { ...about, dataTransfer: given }) : new ClipboardEvent(event, { ...about, clipboardData: given }));
}"""
"""A file that is dropped or pasted; a picture in a form that this browser can read, since it cannot read that of a phone."""


SLOW = """() => {
  const read = createImageBitmap;
  globalThis.createImageBitmap = (file) => new Promise((done) => { globalThis.readNow = () => done(read(file)); });
}"""
"""Pictures are read when the test says so."""


def test_a_file_that_is_dropped_reaches_claude(face: Desk) -> None:
    _, session = face.house.ask("Hello", title="Files")
    page = face.sign_in(face.context(PHONE), path=f"/session/{session}")
    chooser, waits = page.locator("input[type=file]"), page.locator(".compose .att")
    chooser.set_input_files({"name": "big.iso", "mimeType": "x/y", "buffer": b"x" * (10 * 1024 * 1024 + 1)})
    expect(page.get_by_text("big.iso is over 10 MB")).to_be_visible()
    page.evaluate(SLOW)
    for event, name in (("drop", "dropped.heic"), ("paste", "pasted.txt")):
        page.evaluate(GIVEN, [event, name])
    page.evaluate("readNow()")
    expect(waits).to_have_text(
        ["dropped.jpg", "pasted.txt"]
    )  # what a phone's camera makes is made one that Claude can look at
    for name in ("dropped.jpg", "pasted.txt"):
        page.get_by_label(f"Remove {name}").click()
    chooser.set_input_files({"name": "photo.png", "mimeType": "image/png", "buffer": b"\x89PNG\r\n\x1a\n not really"})
    expect(page.locator(".att", has_text="photo.png")).to_be_visible()
    page.evaluate(GIVEN, ["drop", "late.heic"])
    say(page, "Look at this")
    page.get_by_label("Message to Claude").press_sequentially(" and that")
    page.evaluate("readNow()")
    until(
        lambda: any(
            len(m["attachments"]) == 2 and m["text"] == "Look at this"
            for m in face.house.call("message.list", {"sessionId": session})["messages"]
        ),
        "the message has its files",
    )
    expect(page.locator(".compose .att")).to_have_count(0)
    expect(page.get_by_label("Message to Claude")).to_have_value(" and that")
    sent = page.get_by_role("log").locator("a.att", has_text="photo.png")
    expect(sent.locator("img.thumb")).to_have_count(1)
    with page.expect_download() as file:
        sent.click()
    assert file.value.suggested_filename == "photo.png"
