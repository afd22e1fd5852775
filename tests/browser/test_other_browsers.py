"""Signing in, talking, deciding and the terminal on Firefox and on WebKit, over HTTPS as on a phone: does it work there at all.

Everything else is tested in Chromium. One house, and a browser after the other.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from cli.setup import smoke_browsers
from shared.access.devices import Devices
from shared.access.tokens import Keyring
from tests.browser.webdriver import Driver, browser
from tests.harness import VERSIONS, House, claude_binary, until
from tests.houses import lasting_house

REPLY = "You said: From a browser that is no Chromium"


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, str]]:
    """A house whose API speaks TLS, and its address."""
    folder = tmp_path_factory.mktemp("tls")
    made = trustme.CA().issue_cert("localhost")
    made.private_key_pem.write_to_path(str(folder / "key.pem"))
    made.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    with lasting_house(claude_binary(VERSIONS[-1])) as house:
        house.config["api"] |= {"tls_cert": str(folder / "cert.pem"), "tls_key": str(folder / "key.pem")}
        house.kill_api(signal.SIGTERM)
        house.api = house._spawn("api")
        yield house, str(until(lambda: _address(house), "the API is there again"))


def _address(house: House) -> str:
    try:
        said = json.loads(house.paths.api_lock.read_text())
    except (OSError, ValueError):
        return ""
    return str(said["url"]) if house.api is not None and said["pid"] == house.api.pid else ""


@pytest.mark.parametrize("name", smoke_browsers.chosen())
def test_the_dashboard_works_there(name: str, secure: tuple[House, str], tmp_path: Path) -> None:
    house, url = secure
    assert url.startswith("https://localhost:")
    reply, session = house.ask("First words", title=f"On {name}")
    with browser(name, tmp_path / name) as page:
        sign_in(page, house, url)
        talk(page, session, reply)
        decide(page, house, session, f"decided-on-{name}")
        take_the_keyboard(page, house, url, session)


def sign_in(page: Driver, house: House, url: str) -> None:
    page.go(f"{url}/")
    made = Devices(house.paths, Keyring(house.paths)).invite("admin")
    page.write("Code", made.code)
    page.click("Sign in")
    page.sees("Sessions", "h1")
    page.sees("Live", ".nav")


def talk(page: Driver, session: str, reply: str) -> None:
    page.run("location.hash = `/session/${arguments[0]}`", session)
    page.sees(reply, "[role=log]")
    page.write("Message to Claude", "From a browser that is no Chromium")
    page.click("Send this message")
    page.sees(REPLY, "[role=log]")
    page.until("document.querySelectorAll('.receipt.answered').length === 2")
    assert page.run("return document.querySelector('[role=log]').innerText.split(arguments[0]).length", REPLY) == 2


def decide(page: Driver, house: House, session: str, file: str) -> None:
    house.send(f'[[tool Bash {{"command": "touch {file}"}}]]', session, wait=0)
    page.run("location.hash = '/attention'")
    page.sees(f"touch {file}", ".ask")
    page.click("Allow once")
    house.until_state(session, "idle")
    assert (house.project / file).exists()
    page.sees("Nobody waits for you", "main")


def take_the_keyboard(page: Driver, house: House, url: str, session: str) -> None:
    page.go(f"{url}/terminal#{session}")
    page.sees("You are looking.")
    page.click("Take the keyboard")
    page.sees("You have the keyboard.")
    page.write("Terminal", "typed by hand", ".xterm-helper-textarea")
    until(
        lambda: "typed by hand" in house.call("session.screen", {"sessionId": session})["text"],
        "the keys are in the box",
    )
    page.click("Give it up")
    page.sees("You are looking.")
    assert not house.session(session)["writer"]
