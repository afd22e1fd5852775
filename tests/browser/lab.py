"""One pilotlight with its demo model, and a real browser in front of it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from cli.setup import chromium
from shared.access.devices import Devices
from shared.access.tokens import Keyring, Scope
from tests.harness import VERSIONS, House, claude_binary
from tests.houses import lasting_house

PHONE: Any = {"width": 390, "height": 844}
DESK: Any = {"width": 1440, "height": 900}
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--force-color-profile=srgb"]
PATIENCE_MS = 30_000
"""What is waited for on a machine that does much else; nothing waits longer than what it waits for takes."""
expect.set_options(timeout=PATIENCE_MS)

_NETWORK = ("Failed to load resource", "error occurred when fetching the script", "net::ERR_CONNECTION_REFUSED")


def _chromium(whole: bool = False) -> str:
    found = chromium.find(whole)
    assert found, f"Chromium is missing: ./test installs it, or {chromium.VARIABLE} names one."
    return found


class Desk:
    """A house, a browser, and pages that are signed in. What a page complains of is kept in `complaints`."""

    def __init__(self, house: House, browser: Browser) -> None:
        self.house = house
        self.browser = browser
        self.complaints: list[str] = []

    @property
    def url(self) -> str:
        """Where the dashboard is."""
        address = self.house.api_address()
        assert address is not None
        return f"http://{address[0]}:{address[1]}"

    @property
    def devices(self) -> Devices:
        """Those that are let in."""
        return Devices(self.house.paths, Keyring(self.house.paths))

    def context(self, size: Any = DESK, **more: Any) -> BrowserContext:
        """A browser of its own: nothing kept, nobody signed in."""
        touch = size == PHONE
        made = self.browser.new_context(
            viewport=size, has_touch=touch, is_mobile=touch, reduced_motion="reduce", locale="en-GB", **more
        )
        made.set_default_timeout(PATIENCE_MS)
        made.on("weberror", lambda error: self.complaints.append(str(error.error)))
        made.on("console", lambda said: self._heard(said.type, said.text))
        return made

    def sign_in(self, context: BrowserContext, scope: Scope = "admin", path: str = "/sessions") -> Page:
        """A page that came in by a link, at this view."""
        page = context.new_page()
        link = self.devices.invite(scope).link
        page.goto(f"{self.url}/#/sign-in/{link}")
        page.get_by_role("heading", name="Sessions", exact=True).wait_for()
        if path != "/sessions":
            page.evaluate("path => { location.hash = path }", path)
        return page

    def _heard(self, kind: str, text: str) -> None:
        # A refused call is said by the browser itself, and is what some tests are about.
        if kind == "error" and not any(said in text for said in _NETWORK):
            self.complaints.append(text)


@contextmanager
def desk(whole: bool = False) -> Iterator[Desk]:
    """Everything, and nothing of it afterwards; with a `whole` browser, as people have it."""
    notify = {"contact": "mailto:ada@example.org", "push_hosts": ["localhost"], "private_hosts": ["localhost"]}
    env = {"CLAUDE_CODE_MAX_RETRIES": "0"}  # what the service refuses is told at once
    made = lasting_house(claude_binary(VERSIONS[-1]), env, demo=True, notify=notify)
    with made as house, sync_playwright() as player:
        browser = player.chromium.launch(executable_path=_chromium(whole), args=ARGUMENTS)
        yield Desk(house, browser)
        browser.close()


def fits(page: Page) -> bool:
    """Whether nothing is wider than the screen. A phone's window grows with what is too wide, so it says nothing."""
    size = page.viewport_size
    return bool(size and page.evaluate("document.documentElement.scrollWidth") <= size["width"])


def lengthen(house: House, session: str, messages: int) -> None:
    """Put many messages behind those that were said, in the words of the transcript itself. It has to be asleep."""
    conversation = house.session(session)["conversationId"]
    (path,) = Path(house.claude_home).rglob(f"{conversation}.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    asked = next(line for line in lines if line.get("type") == "user")
    told = next(line for line in lines if line.get("type") == "assistant")
    parent = next(line["uuid"] for line in reversed(lines) if line.get("uuid"))
    with path.open("a") as file:
        for number in range(messages):
            line = json.loads(json.dumps(told if number % 2 else asked))
            line |= {"uuid": str(uuid.uuid4()), "parentUuid": parent}
            if number % 2:
                line["message"] |= {
                    "id": f"msg_{number}",
                    "content": [{"type": "text", "text": f"**Answer** {number}\n\n- `one`\n- two"}],
                }
            else:
                line |= {"promptId": str(uuid.uuid4())}
                line["message"] |= {"content": f"Message {number}"}
            parent = line["uuid"]
            file.write(json.dumps(line) + "\n")
