"""What holds for every view, in both themes, at both sizes: axe finds nothing, and nothing is wider than the page."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from cli.setup import axe
from tests.browser.lab import DESK, PHONE, Desk

VIEWS = {
    f"/{path}": heading
    for path, heading in (
        ("sessions", "Sessions"), ("attention", "Attention"), ("search", "Search"), ("health", "Health"),
        ("settings", "Settings"), ("help", "Help"), ("new", "New session"),
    )
}  # fmt: skip
"""Each view, and the heading by which it is known to be there."""

NARROW: Any = {"width": 320, "height": 640}


def faultless(page: Page, view: str) -> None:
    """What axe says of the view that is there, and that it is no wider than the page."""
    if not page.evaluate("'axe' in window"):
        page.add_script_tag(path=axe.SCRIPT)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then(r => r.violations)")
    said = [(v["id"], [node["target"] for node in v["nodes"]][:3]) for v in found]
    assert not said, f"{view} {page.viewport_size}: {json.dumps(said)}"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_page(face: Desk, theme: Any) -> None:
    _, session = face.house.ask("[[say A **word** and `code`.\n\n```\nlong\n```]]", title=f"Axe {theme}")
    for size in (PHONE, DESK):
        page = face.sign_in(face.context(size, color_scheme=theme, bypass_csp=True))
        for view, heading in {**VIEWS, f"/session/{session}": f"Axe {theme}"}.items():
            page.evaluate("path => { location.hash = path }", view)
            expect(page.get_by_role("heading", name=heading, level=1)).to_be_attached()
            expect(page.locator(".bones")).to_have_count(0)
            faultless(page, view)
            if size == PHONE:
                page.set_viewport_size(NARROW)
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{view} at 320"
                page.set_viewport_size(size)
        assert page.evaluate("document.documentElement.scrollHeight <= innerHeight"), "a conversation scrolls in itself"
        page.goto(f"{face.url}/terminal#{session}")
        expect(page.get_by_text("You are looking.")).to_be_visible()
        faultless(page, "/terminal")
        door = face.context(size, color_scheme=theme, bypass_csp=True).new_page()
        door.goto(face.url)
        expect(door.get_by_role("heading", name="Sign in on this device")).to_be_visible()
        faultless(door, "/sign-in")
