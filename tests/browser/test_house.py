"""The other views at both sizes: sessions, new, settings, search."""

from __future__ import annotations

import re
import time
from pathlib import Path

from playwright.sync_api import Route, expect

from tests.browser.lab import DESK, PHONE, Desk, fits
from tests.harness import until

ELSEWHERE = "0d9f1c52-7b1e-4b52-9a6c-3f3f0b1f7a11"


def _begun_at_a_terminal(face: Desk, session: str, words: str) -> None:
    """A conversation that none of the sessions has: as one of them, with other words."""
    conversation = face.house.session(session)["conversationId"]
    (path,) = Path(face.house.claude_home).rglob(f"{conversation}.jsonl")
    text = path.read_text().replace(conversation, ELSEWHERE).replace("Nothing of that kind", words)
    path.with_name(f"{ELSEWHERE}.jsonl").write_text(text)


def test_the_first_session_is_two_clicks_away(face: Desk) -> None:
    page = face.sign_in(face.context(PHONE))
    page.get_by_role("link", name="New session").or_(
        page.get_by_role("link", name="Open the first session")
    ).first.click()
    page.get_by_label("Find a folder, or type a path").fill(str(face.house.project))
    page.get_by_label("First message").fill("Remember the word BANANA")
    page.get_by_role("button", name="Open session").click()
    expect(page.get_by_role("log").get_by_text("I will remember the word BANANA.")).to_be_visible()


def test_the_demo_greets_a_newcomer_with_something_to_try(face: Desk) -> None:
    first_day, status = "**/api/sessions?includeEnded=true", "**/api/status"
    context = face.context(PHONE)
    context.route(first_day, lambda route: route.fulfill(json={"success": True, "sessions": []}))
    page = face.sign_in(context)
    tries = page.get_by_role("region", name="Try it: this is the demo").get_by_role("button")
    expect(tries).to_have_count(3)
    assert fits(page)
    context.route(status, lambda route: route.fulfill(json=route.fetch().json() | {"demo": False}))
    with page.expect_response(status):
        page.reload()
    expect(page.get_by_role("link", name="Open the first session")).to_be_visible()
    expect(tries).to_have_count(0)
    context.unroute(status)
    page.reload()
    tries.filter(has_text="ask for permission").click()
    page.wait_for_url("**/#/session/*")
    expect(page.get_by_text("touch made-by-claude").first).to_be_visible()
    context.unroute(first_day)
    page.get_by_role("button", name="Allow once").click()
    expect(page.get_by_role("log").get_by_text("done")).to_be_visible()
    assert (face.house.home / "workspace" / "made-by-claude").exists()


def test_a_path_is_refused_with_the_reason_and_one_that_is_found_is_opened_as_was_chosen(face: Desk) -> None:
    inner = face.house.folder / "shelf" / "inner"
    inner.mkdir(parents=True)
    page = face.sign_in(face.context(DESK), path="/new")
    path = page.get_by_label("Find a folder, or type a path")
    path.fill("/no/such/folder")
    page.get_by_role("button", name="Open session").click()
    expect(page.get_by_role("alert").first).to_contain_text("/no/such/folder")
    with page.expect_response(re.compile("/api/folders.*etc")):
        path.fill("/etc/")
    there = page.get_by_role("group", name="Folders").get_by_role("button")
    expect(there).to_have_count(0)  # nothing outside of the roots is told of
    path.fill(f"{face.house.folder}/she")
    there.filter(has_text="shelf").click()
    there.filter(has_text="inner").click()
    page.get_by_label("I trust the files in this folder").check()
    page.get_by_label("First message").fill("Remember the word PLUM")
    page.get_by_label("Title", exact=True).fill("Found by looking")
    page.get_by_label("Model", exact=True).fill("haiku")
    page.get_by_label("Plan first").check()
    page.get_by_role("button", name="Open session").click()
    expect(page.get_by_role("log").get_by_text("I will remember the word PLUM.").first).to_be_visible()
    made = face.house.session(page.url.split("/")[-1])
    chosen = {"projectPath": str(inner), "title": "Found by looking", "model": "haiku", "permissionMode": "plan"}
    assert made | chosen | {"trust": True} == made


def test_a_setting_is_in_force_at_once_and_a_wrong_one_is_refused(face: Desk) -> None:
    page = face.sign_in(face.context(PHONE), path="/settings")
    field = page.get_by_label("Expire after, hours")
    field.fill("48")
    page.get_by_label("Warn after, hours").fill("7")
    expect(page.get_by_text("2 changes")).to_be_visible()
    page.get_by_label("Warn after, hours").fill("20")
    expect(page.get_by_text("1 change", exact=True)).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Changed here; the file says 24.")).to_be_visible()
    assert face.house.call("settings.get")["settings"]["sessions.timeout_hours"] == 48
    field.fill("-1")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert").first).to_contain_text("timeout_hours")
    assert face.house.call("settings.get")["settings"]["sessions.timeout_hours"] == 48
    page.get_by_role("link", name="Help", exact=True).click()
    told = page.get_by_role("main")
    expect(told).to_contain_text("A session is one conversation with Claude in one folder")
    expect(told).to_contain_text("stays for 48 hours after the last thing")
    expect(told).to_contain_text(
        re.compile("After 20 hours of silence it warns.*Extend begins the time anew.*does not expire")
    )
    expect(told).to_contain_text(re.compile("goes to sleep.*Looking never wakes anything"))
    page.get_by_role("link", name="Back").click()
    page.get_by_role("button", name="Use the file’s").click()
    until(lambda: face.house.call("settings.get")["settings"]["sessions.timeout_hours"] == 24, "the file counts again")
    page.get_by_label("Pattern of the rule").fill("git status*")
    page.get_by_role("button", name="Add rule").click()
    expect(page.locator("#rules").get_by_text("Bash(git status*)")).to_be_visible()
    (rule,) = face.house.call("rule.list")["rules"]
    assert (rule["tool"], rule["pattern"], rule["answer"]) == ("Bash", "git status*", "allow")
    page.locator("#rules").get_by_role("button", name="Remove").click()
    expect(page.locator("#rules").get_by_text("None: you are asked")).to_be_visible()
    page.get_by_label("Name of the new token").fill("ci-bot")
    page.get_by_role("button", name="Make a token").click()
    expect(page.locator("#tokens .cmd code")).to_have_text(re.compile("^pl_"))
    assert fits(page), "however long a token is"
    page.locator("#tokens .item", has_text="ci-bot").get_by_role("button", name="Revoke…").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke", exact=True).click()
    expect(page.locator("#tokens .item")).to_have_count(0)
    page.get_by_role("button", name="Add a device").click()
    expect(page.get_by_role("img", name="The link as a QR code")).to_be_visible()
    assert fits(page), "and a link"
    page.evaluate("location.hash = '/health'")
    page.reload()  # what has happened is asked for then
    expect(page.get_by_role("img", name="Memory of all sessions in 1 hour")).to_be_visible()
    bad = {"status": "unhealthy", "checks": [{"name": "cli", "status": "fail", "detail": "claude was not found"}]}
    page.route("**/api/health", lambda route: route.fulfill(status=503, json=route.fetch().json() | bad))
    page.get_by_role("button", name="Check now").click()
    expect(page.get_by_role("main")).to_contain_text("claude was not found")
    expect(page.get_by_role("link", name=re.compile("findings: 1"))).to_be_visible()
    expect(page.locator(".flame")).to_have_text("Live")  # whoever says so is not away
    page.unroute("**/api/health")
    late: list[Route] = []
    page.route(re.compile("/events/page.*kinds=message"), lambda route: late.append(route))
    page.get_by_role("button", name="Messages", exact=True).click()
    page.get_by_role("button", name="Who did what").click()
    said = page.locator("#events li")
    expect(said.filter(has_text="rule.remove")).to_be_visible()
    shown = said.count()
    with page.expect_response(re.compile("kinds=message")):
        late[0].continue_()
    page.evaluate("() => new Promise((done) => setTimeout(() => requestAnimationFrame(done)))")
    assert said.count() >= shown, "what was asked for before is not shown in its place"


def test_a_session_is_ended_after_one_question_and_reopened(face: Desk) -> None:
    _, session = face.house.ask("Hello", title="To be ended")
    page = face.sign_in(face.context(DESK))
    row = page.locator(f"[data-id='{session}']")
    row.get_by_label("More: To be ended").click()
    row.get_by_role("button", name="Fork").click()
    page.wait_for_url(re.compile(f"#/session/(?!{session})"))  # a session of its own goes on from there
    expect(page.get_by_label("Message to Claude")).to_be_visible()
    page.evaluate("location.hash = '/sessions'")
    row.get_by_label("More: To be ended").click()
    row.get_by_role("button", name="End session").click()
    expect(page.get_by_role("dialog")).to_contain_text("The conversation stays")
    expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    page.get_by_role("button", name="End session", exact=True).last.click()
    face.house.until_state(session, "ended")
    expect(row.get_by_text("Ended", exact=True).first).to_be_attached()
    later = face.context(DESK)
    later.clock.install(time=time.time() + 2 * 24 * 3600)
    old = face.sign_in(later)
    chip = old.get_by_role("button", name=re.compile("^Ended"))
    expect(chip).to_be_visible()
    expect(old.locator(f"[data-id='{session}']")).to_have_count(0)  # a day later it is not in the way
    chip.click()
    expect(old.locator(f"[data-id='{session}']")).to_be_visible()
    row.get_by_label("More: To be ended").click()
    row.get_by_role("button", name="Reopen").click()
    face.house.until_state(session, "idle", "starting", "hibernated")


def test_a_list_is_filtered_sorted_and_acted_on_together(face: Desk) -> None:
    made = [face.house.ask("Hello", title=f"Of many, {name}")[1] for name in ("aardvark", "zebra")]
    page = face.sign_in(face.context(DESK))
    page.keyboard.press("f")
    page.keyboard.type("of many")
    titles = page.locator(".row .title")
    expect(titles).to_have_text(["Of many, zebra", "Of many, aardvark"])
    page.keyboard.press("Escape")
    page.get_by_text("Sorted: activity").click()
    page.get_by_role("button", name="By title").click()
    expect(titles).to_have_text(["Of many, aardvark", "Of many, zebra"])
    before = [face.house.session(session)["expiresAt"] for session in made]
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("x")
    selection = page.get_by_role("region", name="Selection")
    expect(selection.get_by_text("2 selected")).to_be_visible()
    page.set_viewport_size(PHONE)
    expect(selection).to_have_css("position", "fixed")  # in the place of the navigation, however long the list is
    assert selection.evaluate("bar => bar.getBoundingClientRect().bottom") == PHONE["height"]
    page.set_viewport_size(DESK)
    selection.get_by_role("button", name="Extend").click()
    until(lambda: all(face.house.session(one)["expiresAt"] > at for one, at in zip(made, before, strict=True)), "later")
    expect(selection).to_have_count(0)
    page.get_by_label("Filter by words").fill("of many, but none")
    expect(page.get_by_text("Nothing matches ‘of many, but none’")).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    row = page.locator(".row", has_text="Of many, zebra")
    expect(row).to_be_visible()
    expect(page.locator(".group-head", has_text=face.house.project.name)).to_be_visible()
    page.get_by_role("button", name="By project").click()
    expect(page.locator(".group-head")).to_have_count(0)
    most = face.house.call("settings.get")["settings"]["sessions.max_concurrent"]
    expect(page.locator(".room")).to_contain_text(f"of {most}")


def test_a_row_has_small_charts_of_its_last_hour(face: Desk) -> None:
    _, session = face.house.ask("Hello", title="With charts")
    now = int(time.time() * 1000)
    samples = [
        {"at": now - (9 - n) * 60_000, "memoryBytes": n * 1e8, "cpuPercent": n * 10, "messages": n, "queue": 0}
        for n in range(10)
    ]
    context = face.context(DESK)
    answer = {"success": True, "span": "hour", "total": [], "sessions": {session: samples}}
    context.route("**/api/metrics/samples?each=true", lambda route: route.fulfill(json=answer))
    page = face.sign_in(context)
    row = page.locator(f"[data-id='{session}']")
    memory = row.get_by_role("img", name="Memory in the last hour, now 858 MB")
    expect(memory).to_be_visible()
    line = [float(y) for y in re.findall(r" ([\d.]+)", str(memory.locator("path").last.get_attribute("d")))]
    assert line == sorted(line, reverse=True), "it grows"
    assert min(line) >= 0
    page.set_viewport_size(PHONE)
    expect(memory).to_be_hidden()
    expect(row.locator(".cell >> visible=true")).to_have_count(0)  # there is no room for columns


def test_words_that_were_said_are_found(face: Desk) -> None:
    face.house.ask("A word like xylophone is rare", title="Search me")
    page = face.sign_in(face.context(DESK), path="/search")
    box = page.locator("input[role=combobox]")  # Mode and Model of a conversation are such boxes, too
    box.fill("xylophone")
    hit = page.get_by_role("option").filter(has_text="xylophone").first
    expect(hit.locator("mark").first).to_have_text("xylophone")
    hit.click()
    expect(page.get_by_role("heading", name="Search me")).to_be_visible()
    expect(page.get_by_role("log").get_by_text("A word like xylophone is rare").first).to_be_in_viewport()
    assert re.search(r"/session/[0-9a-f-]{36}/\S+$", page.url), "the address says which entry"
    page.keyboard.press("Control+k")
    box.fill("> heal")
    expect(page.get_by_role("option")).to_have_text(["Health"])
    page.keyboard.press("Enter")
    page.wait_for_url("**/#/health")
    page.go_back()
    page.go_back()
    page.get_by_label("More: Search me").click()
    page.get_by_role("link", name="Search in it").click()
    box.fill("xylophone")
    expect(page.get_by_role("option").filter(has_text="xylophone")).not_to_have_count(0)
    _, other = face.house.ask("Nothing of that kind", title="Another")
    page.evaluate("path => { location.hash = path }", f"/search/{other}")
    expect(page.get_by_text("In “Another”")).to_be_visible()
    box.fill("xylophone")
    expect(page.get_by_text("Nothing matches “xylophone”.")).to_be_visible()
    face.house.call("session.kill", {"sessionId": other})
    _begun_at_a_terminal(face, other, "Begun at a terminal with a marimba")
    page.evaluate("location.hash = '/search/elsewhere'")
    option = page.get_by_role("option")
    expect(option).to_have_text([re.compile("Begun at a terminal with a marimba")])
    box.fill("another")
    page.get_by_role("button", name="Everything").click()
    option.filter(has_text="Another").first.click()
    expect(page.get_by_role("button", name="Reopen")).to_be_visible()  # it has ended, and is read all the same
    page.evaluate("location.hash = '/search'")
    box.fill("marimba")
    option.filter(has_text="You · ").first.click()  # what was said in it is found, too, and opens it
    expect(page.get_by_role("log").get_by_text("Begun at a terminal with a marimba").first).to_be_visible()
    mine = {one["conversationId"] for one in face.house.call("session.list", {})["sessions"]}
    assert ELSEWHERE in mine
