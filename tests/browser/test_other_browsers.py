"""HTTPS as on a phone: what `up` and `open` print works in Chromium; and signing in, talking, deciding and the terminal on
Firefox and on WebKit: does it work there at all.

Everything else is tested in Chromium. One house that `pilotlight up` has started, and a browser after the other.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import expect, sync_playwright

from cli.setup import chromium, smoke_browsers
from shared.access.devices import Devices
from shared.access.tokens import Keyring
from tests.browser.lab import ARGUMENTS, PATIENCE_MS
from tests.browser.webdriver import Driver, browser
from tests.harness import PATIENCE, VERSIONS, House, claude_binary, until
from tests.houses import house_of

REPLY = "You said: From a browser that is no Chromium"


@dataclass(frozen=True)
class Secure:
    """A house whose API speaks TLS: what `up` said of it, and the hash of its key."""

    house: House
    told: str
    key: str

    @property
    def url(self) -> str:
        """Where its API says that it is."""
        return str(json.loads(self.house.paths.api_lock.read_text())["url"])


def pilotlight(house: House, *words: str) -> str:
    """What the command prints, which succeeds."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", *words],
        env=house.environment(),
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
    )
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """It, started by `pilotlight up`."""
    folder = tmp_path_factory.mktemp("tls")
    made = trustme.CA().issue_cert("localhost")
    made.private_key_pem.write_to_path(str(folder / "key.pem"))
    (folder / "key.pem").chmod(0o600)
    made.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    public = x509.load_pem_x509_certificate(made.cert_chain_pems[0].bytes()).public_key()
    key = hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    with house_of(claude_binary(VERSIONS[-1])) as house:
        house.config["api"] |= {"tls_cert": str(folder / "cert.pem"), "tls_key": str(folder / "key.pem")}
        house.paths.config_file.write_bytes(msgspec.yaml.encode(house.config))
        yield Secure(house, pilotlight(house, "up", "--detach", "--port", "0"), base64.b64encode(key).decode())
        pilotlight(house, "down", "--all")


def test_what_up_and_open_print_works_over_https(secure: Secure) -> None:
    house, url = secure.house, secure.url
    assert url.startswith("https://localhost:")
    assert f"pilotlight is up: {url}\n" in secure.told
    line = secure.told.partition("Try:")[2].strip()
    done = subprocess.run(line, shell=True, capture_output=True, env=house.environment(), timeout=PATIENCE)
    tried = json.loads(done.stdout)
    assert tried["reply"] == "You said: Say hello."

    link = pilotlight(house, "open", "--scope", "admin").strip()
    assert link.startswith(f"{url}/#/sign-in/")
    trusting = f"--ignore-certificate-errors-spki-list={secure.key}"  # of this key, and of no other
    with sync_playwright() as player:
        chrome = player.chromium.launch(executable_path=chromium.find(), args=[*ARGUMENTS, trusting])
        page = chrome.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(link)
        expect(page.get_by_role("heading", name="Sessions", exact=True)).to_be_visible()
        page.evaluate("path => { location.hash = path }", f"/session/{tried['sessionId']}")
        expect(page.get_by_role("log").get_by_text("You said: Say hello.")).to_be_visible()
        page.get_by_label("Message to Claude").fill("Over TLS")
        page.get_by_role("button", name="Send this message").click()
        expect(page.get_by_role("log").get_by_text("You said: Over TLS")).to_have_count(1)
        expect(page.get_by_text("Live", exact=True).first).to_be_visible()
        assert page.evaluate("isSecureContext && navigator.serviceWorker.ready.then(() => true)")
        (kept,) = page.context.cookies()
        assert kept["secure"]
        assert kept["httpOnly"]
        chrome.close()

    (session,) = json.loads(pilotlight(house, "ls", "--json"))["sessions"]
    assert (session["id"], session["messageCount"]) == (tried["sessionId"], 2)
    found = json.loads(pilotlight(house, "doctor", "--json"))["findings"]
    assert [one for one in found if one["level"] == "fail"] == []
    assert [one["level"] for one in found if one["name"] in ("certificate", "api")] == ["ok", "ok"]


@pytest.mark.parametrize("name", smoke_browsers.chosen())
def test_the_dashboard_works_there(name: str, secure: Secure, tmp_path: Path) -> None:
    house, url = secure.house, secure.url
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
