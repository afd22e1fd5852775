"""The dashboard at a gateway: sessions by node, and one that is away is shown as away."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from shared.access.devices import Devices
from shared.access.tokens import Keyring
from tests.browser.lab import ARGUMENTS, PATIENCE_MS, _chromium
from tests.gateway_double import Gateway, Node


def test_nodes_are_groups_and_one_that_is_away_is_shown_as_away(tmp_path: Path) -> None:
    nodes = [Node(tmp_path, name) for name in ("n1", "n2", "n3")]
    first, second, third = nodes
    for node in nodes:
        node.supervisor.add_session(projectPath="/work/shop", title=f"At {node.name}")
    gateway = Gateway(tmp_path / "gateway", *nodes)
    gateway.listen()
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=_chromium(), args=ARGUMENTS)
        page = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce").new_page()
        page.set_default_timeout(PATIENCE_MS)
        link = Devices(gateway.paths, Keyring(gateway.paths)).invite("admin").link
        page.goto(f"{gateway.url}/#/sign-in/{link}")
        page.get_by_role("heading", name="Sessions", exact=True).wait_for()
        for node in nodes:
            group = page.get_by_role("region", name=f"{node.name}: ")
            expect(group.get_by_role("link", name=f"At {node.name}", exact=True)).to_be_visible()
        expect(page.get_by_text("is away")).to_have_count(0)

        third.stop()
        gateway.gateway.nodes.look()

        expect(page.get_by_role("status").filter(has_text="n3 is away")).to_be_visible()
        expect(page.get_by_role("link", name="At n3", exact=True)).to_be_visible()
        view = next(iter(first.supervisor.sessions.values()))
        view["title"] = "Another title"
        first.publish("updated", view["id"], recycle=False)
        expect(page.get_by_role("link", name="Another title", exact=True)).to_be_visible()
        second.publish("updated", next(iter(second.supervisor.sessions)), recycle=False)
        third.start()
        gateway.write(*nodes)
        gateway.gateway.nodes.look()
        expect(page.get_by_text("is away")).to_have_count(0)
        browser.close()
    gateway.close()
    for node in nodes:
        node.stop()
