"""What holds for every view, in both themes, at both sizes: axe finds nothing, and nothing is wider than the page."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from cli.setup import axe
from tests.browser.lab import DESK, PHONE, Desk, fits

VIEWS = {
    f"/{path}": heading
    for path, heading in (
        ("sessions", "Sessions"), ("attention", "Attention"), ("search", "Search"), ("health", "Health"),
        ("settings", "Settings"), ("help", "Help"), ("new", "New session"),
    )
}  # fmt: skip
"""Each view, and the heading by which it is known to be there."""

SMALL = """() => {
  const links = "a.btn, a.icon-btn, a.chip, a.nav-item, .section-head a, .row .title";
  const acts = `button, summary, select, input:not([type=hidden]), ${links}`;
  const found = [];
  for (const one of document.querySelectorAll(acts)) {
    if (one.hidden || !one.checkVisibility() || one.closest(".sr, [hidden], .link") || one.matches(".link, .skip")) continue;
    const box = one.closest("label") || one;
    box.scrollIntoView({ block: "center", inline: "center" });
    const { x, y, width, height } = box.getBoundingClientRect();
    if (width < 2 || height < 2) continue; // seen by readers only
    const at = [x + width / 2, y + height / 2];
    for (const [dx, dy] of [[0, 0], [0, -21.5], [0, 21.5], [-21.5, 0], [21.5, 0]]) {
      const [px, py] = [at[0] + dx, at[1] + dy];
      if (px < 0 || py < 0 || px >= innerWidth || py >= innerHeight) continue;
      const hit = document.elementFromPoint(px, py);
      if (hit && (box.contains(hit) || hit.contains(box) && hit.closest("label, button, summary, a"))) continue;
      found.push([one.tagName, one.className, (one.getAttribute("aria-label") || one.textContent).trim().slice(0, 40), dx, dy]);
      break;
    }
  }
  return found;
}"""
"""What a finger acts on and would miss with 44 px. Links within a sentence are as high as it."""

NARROW: Any = {"width": 320, "height": 640}


OF_COLOR = ("color-contrast", "link-in-text-block")
"""What of axe's rules a theme decides: in the other theme the document is the same."""


def faultless(page: Page, view: str) -> None:
    """What axe says of the view that is there in both themes, and that it is no wider than the page."""
    if not page.evaluate("'axe' in window"):
        page.add_script_tag(path=axe.SCRIPT)
    complains(page, f"{view} light", {})
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    complains(page, f"{view} dark", {"runOnly": OF_COLOR})
    page.emulate_media(color_scheme="light")
    assert fits(page), view


def complains(page: Page, view: str, options: dict[str, Any]) -> None:
    """Fail with what axe says of what is shown."""
    found = page.evaluate(
        """options => new Promise(requestAnimationFrame)
            .then(() => axe.run(document, {resultTypes: ['violations'], ...options})).then(r => r.violations)""",
        options,
    )
    said = [(v["id"], [node["target"] for node in v["nodes"]][:3]) for v in found]
    assert not said, f"{view} {page.viewport_size}: {json.dumps(said)}"


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_page(face: Desk, size: dict[str, int]) -> None:
    title = f"Axe {size['width']}"
    _, session = face.house.ask("[[say A **word** and `code`.\n\n```\nlong\n```]]", title=title)
    page = face.sign_in(face.context(size, color_scheme="light", bypass_csp=True))
    for view, heading in {**VIEWS, f"/session/{session}": title}.items():
        page.evaluate("path => { location.hash = path }", view)
        expect(page.get_by_role("heading", name=heading, level=1)).to_be_attached()
        expect(page.locator(".bones")).to_have_count(0)
        faultless(page, view)
        if size == PHONE:
            small = page.evaluate(SMALL)
            assert not small, f"{view}: {small}"
            page.set_viewport_size(NARROW)
            assert fits(page), f"{view} at 320"
            page.set_viewport_size(size)
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight"), "a conversation scrolls in itself"
    page.goto(f"{face.url}/terminal#{session}")
    expect(page.get_by_text("You are looking.")).to_be_visible()
    faultless(page, "/terminal")
    door = face.context(size, color_scheme="light", bypass_csp=True).new_page()
    door.goto(face.url)
    expect(door.get_by_role("heading", name="Sign in on this device")).to_be_visible()
    faultless(door, "/sign-in")
