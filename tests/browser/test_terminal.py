"""The terminal in a browser: looking types nothing, the keyboard is taken and given back, and a restart is survived."""

from __future__ import annotations

import functools
import http.server
import re
import threading
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from tests.browser.lab import DESK, PHONE, Desk
from tests.harness import ROOT, until


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
    expect(page.get_by_text(", your size")).to_be_visible()
    wide = int(page.get_by_text(", your size").inner_text().split()[0])
    until(
        lambda: face.house.call("session.screen", {"sessionId": session})["cols"] == wide, "it has this screen's size"
    )
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

    free = face.house.call("session.screen", {"sessionId": session})["cols"]
    phone = face.sign_in(face.context(PHONE))
    phone.goto(f"{face.url}/terminal#{session}")
    expect(phone.get_by_text("You are looking.")).to_be_visible()
    until(lambda: phone.evaluate(WIDTH) > PHONE["width"], "it is as large as can be read")
    assert phone.locator(".term").evaluate("one => one.scrollWidth > one.clientWidth"), "the rest lies beside it"
    for _ in range(6):
        phone.get_by_label("More").click()
        phone.get_by_role("button", name="Smaller text").click()
    until(lambda: 0 < phone.evaluate(WIDTH) <= PHONE["width"], "the whole width is seen by who wants that")
    assert face.house.call("session.screen", {"sessionId": session})["cols"] == free, "looking resizes nothing"
    phone.get_by_role("button", name="Take the keyboard").click()
    keys = phone.get_by_role("toolbar", name="Keys")
    expect(phone.get_by_text("You have the keyboard.")).to_be_visible()
    phone.locator(".xterm-helper-textarea").focus()
    phone.keyboard.type("from a phone")
    until(lambda: "from a phone" in face.house.call("session.screen", {"sessionId": session})["text"], "it is typed")
    keys.get_by_role("button", name="Ctrl").dispatch_event("pointerdown")
    keys.get_by_role("button", name="C", exact=True).dispatch_event("pointerdown")
    until(lambda: "from a phone" not in face.house.call("session.screen", {"sessionId": session})["text"], "Ctrl C")
    expect(keys.get_by_role("button", name="←")).to_be_visible()


WIDTH = "document.querySelector('.xterm-screen')?.offsetWidth || 0"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


def test_the_page_of_the_documentation_works_from_where_it_says(face: Desk, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "terminal.md").read_text()
    page_text, setting = re.search(r"```html\n(.*?)```", text, re.S), re.search(r"allowed_origins: (\[.*\])", text)
    assert page_text
    assert setting
    (tmp_path / "terminal.html").write_text(page_text[1])
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(_Quiet, directory=str(tmp_path))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        origin = f"http://localhost:{server.server_port}"
        assert setting[1] == '["http://localhost:8000"]'
        face.house.config["api"]["allowed_origins"] = [origin]
        face.house.kill_api()
        face.house.start_api()
        _, session = face.house.ask("Hello", title="Documented")
        page = face.context(DESK).new_page()
        page.goto(f"{origin}/terminal.html#api={face.url}&session={session}&token={face.house.token}")
        expect(page.locator("#screen")).to_contain_text("Hello")
        page.keyboard.type("typed there")
        until(
            lambda: "typed there" in face.house.call("session.screen", {"sessionId": session})["text"],
            "the keys are in the box",
        )
        page.close()
        server.shutdown()
