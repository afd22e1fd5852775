"""The terminal in a browser: looking types nothing, the keyboard is taken and given back, and a restart is survived."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from tests.browser.lab import DESK, Desk
from tests.harness import until


def test_the_keyboard_of_the_terminal_is_taken_and_given_back(face: Desk) -> None:
    _, session = face.house.ask("Hello", title="Terminal")
    page = face.context(DESK).new_page()
    page.goto(f"{face.url}/#/sign-in/{face.devices.invite('admin').link}")
    expect(page.get_by_role("heading", name="Sessions", exact=True)).to_be_visible()
    page.goto(f"{face.url}/terminal#{session}")
    expect(page.get_by_text("You are looking.")).to_be_visible()
    page.keyboard.type("nobody hears this")
    page.get_by_role("button", name="Take the keyboard").click()
    expect(page.get_by_text("You have the keyboard.")).to_be_visible()
    page.locator(".xterm-helper-textarea").focus()
    page.keyboard.type("typed by hand")
    screen: dict[str, Any] = until(
        lambda: (
            (found := face.house.call("session.screen", {"sessionId": session}))
            and "typed by hand" in found["text"]
            and found
        ),
        "the keys are in the box",
    )
    assert "nobody hears" not in screen["text"]
    face.house.kill_api()
    expect(page.get_by_text("the session goes on")).to_be_visible()
    face.house.start_api()
    expect(page.get_by_text("You have the keyboard.")).to_be_visible()
    page.keyboard.press("Control+u")
    page.keyboard.press("Control+]")
    page.keyboard.press("d")
    expect(page.get_by_text("You are looking.")).to_be_visible()
    assert not face.house.session(session)["writer"]
