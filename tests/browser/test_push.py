"""What is pushed is shown, its button answers, and a stale button says who was first; and devices in the settings."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Worker, expect

from tests.browser.lab import DESK, PHONE, Desk, desk
from tests.harness import until

SHOWN = """registration.getNotifications().then(all => all.map(({title, body, tag, actions}) =>
    ({title, body, tag, actions: actions.map(a => a.action)})))"""
TOUCH = """(action) => registration.getNotifications().then(([notification]) =>
    self.dispatchEvent(new NotificationEvent("notificationclick", {notification, action})))"""
COUNTED = """() => {
    const show = self.registration.showNotification.bind(self.registration);
    self.shows = 0;
    self.registration.showNotification = (...told) => show(...told).then(() => { self.shows += 1; });
}"""
"""How often something was shown. A look (`SHOWN`) while something is about to be shown makes Chromium forget it again."""

KEYS = {
    "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
    "auth": "BTBZMqHH6r4Tts7J_aSIgg",
}
SUBSCRIBED = f"""
  const subscription = {{endpoint: "https://localhost:1/push", options: {{}},
    toJSON: () => ({{endpoint: subscription.endpoint, keys: {json.dumps(KEYS)}}})}};
  PushManager.prototype.getSubscription = () => Promise.resolve(subscription);
"""
"""A push service's answer, since none can be reached: this browser is subscribed already."""


@pytest.fixture(scope="module")
def shared_desk() -> Iterator[Desk]:
    """One whose browser shows notifications."""
    with desk(whole=True) as made:
        yield made


def worker_of(context: BrowserContext, page: Page) -> tuple[Worker, Callable[[Any], None]]:
    """The service worker of this page, once it runs, and a way to push to it."""
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    worker = context.service_workers[0]
    worker.evaluate(COUNTED)
    session = context.new_cdp_session(page)
    seen: list[str] = []
    session.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda said: seen.extend(one["registrationId"] for one in said["registrations"]),
    )
    session.send("ServiceWorker.enable")

    def push(note: Any) -> None:
        until(lambda: page.evaluate("1") and seen, "the registration is known")
        order = {"origin": page.url.partition("/#")[0], "registrationId": seen[-1], "data": json.dumps(note)}
        once_more_shown(worker, lambda: session.send("ServiceWorker.deliverPushMessage", order))

    return worker, push


def once_more_shown(worker: Worker, action: Callable[[], Any]) -> None:
    """Do what makes the worker show something, and wait until it has."""
    before = worker.evaluate("self.shows")
    action()
    until(lambda: worker.evaluate("self.shows") > before, "something is shown")


def note_of(session: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What the supervisor pushes for what this session asks."""
    choices = [{"id": c, "label": c.title(), "url": None} for c in ("allow", "deny")]
    asked = session["waiting"]["id"]
    return {
        "key": f"n:{asked}", "kind": "waiting", "tag": session["id"], "title": "project asks for permission", "body": "",
        "session": session["id"], "urgency": "high", "waiting": asked, "choices": choices, "badge": 1, "withdrawn": False,
        **more,
    }  # fmt: skip


def test_a_push_is_shown_its_button_answers_and_a_stale_one_says_who_was_first(face: Desk) -> None:
    house = face.house
    sent = house.send('[[tool Bash {"command": "touch pushed.txt"}]]', wait=0, title="Pushed")
    session = str(sent["session"]["id"])
    waiting = house.until_state(session, "waiting")
    context = face.context(PHONE, permissions=["notifications"])
    page = face.sign_in(context, "answer", f"/attention/{session}")
    worker, push = worker_of(context, page)

    def shown() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = worker.evaluate(SHOWN)
        return found

    push(note_of(waiting))
    first = shown()
    assert first == [{"title": "project asks for permission", "body": "", "tag": session, "actions": ["allow", "deny"]}]
    worker.evaluate(TOUCH, "allow")
    house.until_state(session, "idle")
    expect(page.get_by_text("Allowed by you, just now").or_(page.get_by_text("Nobody waits for you"))).to_be_visible()
    assert (house.project / "pushed.txt").exists()
    until(lambda: not shown(), "it has gone with its answer")

    push(note_of(waiting))
    assert shown() == first, "a late one is shown as well"
    once_more_shown(worker, lambda: worker.evaluate(TOUCH, "deny"))
    (stale,) = shown()
    assert stale["title"] == "Answered already"
    assert re.search(r"by device:.+ \(allow\)", stale["body"]), stale
    assert stale["actions"] == []

    push(note_of(waiting, withdrawn=True, title="It was answered"))
    assert [one["title"] for one in shown()] == ["It was answered"], "what is withdrawn is shown"
    until(lambda: not shown(), "and goes by itself")


def test_this_browser_is_told_again_at_every_start_and_its_rules_and_test_are_in_the_settings(face: Desk) -> None:
    house = face.house
    context = face.context(DESK, permissions=["notifications"])
    context.add_init_script(SUBSCRIBED)
    page = face.sign_in(context, "chat", "/settings")
    part = page.locator("#notifications")
    expect(part.get_by_text("this one")).to_be_visible()
    (one,) = house.call("recipient.list")["recipients"]
    assert (one["kind"], one["status"]) == ("webpush", "new")

    part.get_by_role("button", name="Test").click()
    hops = part.locator(".hops li")
    expect(hops).to_contain_text(["Sent", "Accepted The connection failed", "Received not said", "Shown not said"])
    assert "bad" in str(hops.nth(1).get_attribute("class")), "a push service that is not there has accepted nothing"
    part.get_by_text("Rules:").click()
    part.get_by_label("Crashed and resumed").uncheck()
    expect(part.get_by_text("10 of 11 kinds")).to_be_visible()
    part.get_by_label("Quiet hours").check()
    expect(part.get_by_text("quiet 22:00–07:00")).to_be_visible()
    part.get_by_label("More:").click()
    part.get_by_role("button", name="Mute for good").click()
    expect(part.get_by_text("Muted for good")).to_be_visible()
    part.get_by_text("What was told, and what was not and why").click()
    expect(part.locator(".events li").first).to_contain_text("failed")

    page.reload()
    expect(part.get_by_text("this one")).to_be_visible()
    (again,) = house.call("recipient.list")["recipients"]
    assert again["id"] == one["id"]
    assert again["rules"]["quiet"] == {"start": "22:00", "end": "07:00"}
    assert (again["rules"]["mutedUntil"], len(again["rules"]["kinds"])) == (-1, 10)
