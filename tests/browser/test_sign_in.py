"""Signing a browser in, with what `pilotlight open` prints, and out again."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from cli.terminal.qr import matrix
from tests.browser.lab import DESK, PHONE, Desk

VERSION = "document.querySelector('meta[name=pilotlight-version]').content"
QR = """async ([text, path]) => {
  const { generate, mode, correction } = await import(path);
  return [0, 1, 2, 3, 4, 5, 6, 7].map((mask) => {
    const level = { minCorrectionLevel: correction.L, maxCorrectionLevel: correction.L };
    const code = generate(mode.ascii(text), { ...level, mask });
    return Array.from({ length: code.size }, (_, y) => Array.from({ length: code.size }, (_, x) => Boolean(code.get(x, y))));
  });
}"""
"""What the vendored library makes of a text, with each mask."""


def test_a_code_signs_in_once_and_revoking_ends_it(face: Desk) -> None:
    page = face.context(PHONE).new_page()
    page.goto(face.url)
    made = face.devices.invite("answer", "Ada’s phone")
    page.get_by_label("Code").fill(made.code.lower())
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Sessions", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Sessions", exact=True)).to_be_visible()
    other = face.context(PHONE).new_page()
    other.goto(face.url)
    other.get_by_label("Code").fill(made.code)
    other.get_by_role("button", name="Sign in").click()
    expect(other.get_by_role("alert").first).to_contain_text("has been used")

    face.devices.revoke("Ada’s phone")
    expect(page.get_by_role("heading", name="Sign in on this device")).to_be_visible()


def test_a_link_leaves_nothing_in_the_address(face: Desk) -> None:
    page = face.sign_in(face.context(DESK))
    assert re.fullmatch(rf"{face.url}/#/sessions", page.url)
    made = page.evaluate(
        QR, [text := f"{page.url}/sign-in/{'x' * 32}", "/static/" + page.evaluate(VERSION) + "/vendor/lean-qr.js"]
    )
    assert made == [matrix(text, mask) for mask in range(8)], "`pilotlight open --qr` draws what lean-qr does"
    long = "https://" + "a" * 240
    assert page.evaluate(QR, [long, "/static/" + page.evaluate(VERSION) + "/vendor/lean-qr.js"])[3] == matrix(long, 3)
    assert page.evaluate("Object.keys(localStorage).concat(document.cookie).join()").count("pilotlight-") == 0


def test_what_needs_more_says_so(face: Desk) -> None:
    page = face.sign_in(face.context(DESK), "read", "/settings")
    expect(page.get_by_text("Changing these needs admin.")).to_be_visible()
    expect(page.get_by_label("Expire after, hours")).to_be_disabled()
