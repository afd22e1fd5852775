"""Signing a browser in, with what `pilotlight open` prints, and out again."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.lab import DESK, PHONE, Desk


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
    assert page.evaluate("Object.keys(localStorage).concat(document.cookie).join()").count("pilotlight-") == 0


def test_what_needs_more_says_so(face: Desk) -> None:
    page = face.sign_in(face.context(DESK), "read", "/settings")
    expect(page.get_by_text("Changing these needs admin.")).to_be_visible()
    expect(page.get_by_label("Expire after, hours")).to_be_disabled()
