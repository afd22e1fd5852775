"""Browsers that sign in: once per invitation, with a cookie that counts for our own page only, and out again."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from api.auth import device_cookie
from cli.__main__ import cli
from cli.context import App
from shared import paths as places
from shared.access.devices import (
    CODE_LENGTH,
    INVITATION_SECONDS,
    LIFE_DAYS,
    MOST_DEVICES,
    MOST_MISSES,
    TOUCH_SECONDS,
    Devices,
)
from shared.access.tokens import Keyring
from shared.errors import NotFound, Unauthorized
from tests.api_caller import Caller
from tests.unit.api.test_openapi import furnished

OWN = {"Authorization": None, "Origin": "http://localhost", "X-Pilotlight": "1"}


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    made = Keyring(places.resolve({"PILOTLIGHT_HOME": str(tmp_path)}))
    made.ensure()
    return made


@pytest.fixture
def devices(tmp_path: Path, keyring: Keyring, clock: Clock) -> Devices:
    return Devices(places.resolve({"PILOTLIGHT_HOME": str(tmp_path)}), keyring, clock)


@pytest.fixture
def ask(tmp_path: Path) -> Caller:
    return Caller(tmp_path, furnished())


class TestInvitations:
    def test_one_is_used_once_whoever_is_first(self, devices: Devices) -> None:
        made = devices.invite("answer")

        def come(_: int) -> bool:
            try:
                devices.redeem("x", link=made.link)
            except Unauthorized:
                return False
            return True

        with ThreadPoolExecutor(8) as many:
            assert sum(many.map(come, range(16))) == 1
        with pytest.raises(Unauthorized):
            devices.redeem("x", code=made.code)

    def test_a_code_is_typed_as_people_type(self, devices: Devices) -> None:
        made = devices.invite("read", "Wall")
        record, _ = devices.redeem("x", code=f" {made.code.lower().replace('-', ' ')} ")
        assert (record.name, record.scope) == ("Wall", "read")
        assert len(made.code.replace("-", "")) == CODE_LENGTH

    def test_it_is_over_after_five_minutes(self, devices: Devices, clock: Clock) -> None:
        made = devices.invite("answer")
        clock.now += INVITATION_SECONDS + 1
        with pytest.raises(Unauthorized):
            devices.redeem("x", link=made.link)

    def test_codes_cannot_be_guessed_and_links_outlive_the_trial(self, devices: Devices) -> None:
        made = devices.invite("admin")
        for _ in range(MOST_MISSES):
            with pytest.raises(Unauthorized):
                devices.redeem("x", code="AAAA-AAAA")
        with pytest.raises(Unauthorized):
            devices.redeem("x", code=made.code)
        assert devices.redeem("x", link=made.link)[0].scope == "admin"

    def test_the_files_are_private_and_hold_no_secret(self, devices: Devices, tmp_path: Path) -> None:
        made, other = devices.invite("answer"), devices.invite("answer")
        _, secret = devices.redeem("x", link=made.link)
        for name in ("devices.json", "invitations.json"):
            path = tmp_path / name
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            text = path.read_text()
            assert not any(part in text for part in (secret, other.link, other.code, other.code.replace("-", "")))


class TestLife:
    def test_ninety_days_after_the_last_use(self, devices: Devices, clock: Clock) -> None:
        _, secret = devices.redeem("x", link=devices.invite("answer").link)
        clock.now += (LIFE_DAYS - 1) * 86_400
        found = devices.identify(secret)
        assert found is not None
        assert found[1], "it is time to renew it"
        devices.touch(found[0])
        assert devices.identify(secret) == (found[0], False)
        clock.now += (LIFE_DAYS - 1) * 86_400
        assert devices.identify(secret) is not None
        clock.now += 2 * 86_400
        assert devices.identify(secret) is None
        assert devices.records() == []

    def test_revoking_counts_at_once(self, devices: Devices) -> None:
        record, secret = devices.redeem("phone", link=devices.invite("answer").link)
        found = devices.identify(secret)
        assert found is not None
        assert devices.still_valid(found[0])
        devices.revoke(record.id)
        assert devices.identify(secret) is None
        assert not devices.still_valid(found[0])
        with pytest.raises(NotFound):
            devices.revoke("phone")

    def test_one_that_came_in_with_a_token_goes_with_it(self, devices: Devices, keyring: Keyring) -> None:
        secret = devices.enter("x", keyring.named.add("wall", "chat"), "read")[1]
        found = devices.identify(secret)
        assert found is not None
        assert found[0].scope == "read"
        keyring.named.rotate("wall")
        assert devices.identify(secret) is None
        other = devices.enter("x", keyring.default.rotate())[1]
        assert devices.identify(other) is not None
        keyring.default.rotate()
        assert devices.identify(other) is None

    def test_the_one_unused_longest_makes_room(self, devices: Devices, clock: Clock) -> None:
        secrets = []
        for _ in range(MOST_DEVICES + 1):
            clock.now += 1
            secrets.append(devices.redeem("x", link=devices.invite("read").link)[1])
        assert devices.identify(secrets[0]) is None
        assert all(devices.identify(secret) for secret in secrets[-3:])
        assert len(devices.records()) == MOST_DEVICES


def sign_in(ask: Caller, **body: Any) -> Any:
    return ask("POST", "/api/sign-in", body, headers=OWN)


def code(ask: Caller, scope: str = "answer") -> str:
    made = ask("POST", "/api/devices/invitations", {"scope": scope})
    assert made.status_code == 201
    return str(made.json["code"])


class TestCookie:
    def test_signs_in_for_everything_but_what_its_scope_forbids(self, ask: Caller) -> None:
        answer = sign_in(ask, code=code(ask), name="Ada’s phone")
        assert answer.status_code == 201
        cookie = answer.headers["Set-Cookie"]
        assert all(part in cookie for part in ("HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=7776000"))
        assert "Secure" not in cookie
        assert ask("GET", "/api/me", headers={"Authorization": None}).json["device"]["name"] == "Ada’s phone"
        assert ask("POST", "/api/chat", {"message": "x", "wait": 1}, headers=OWN).status_code == 200
        assert ask.supervisor.actors[-1] == "device:Ada’s phone"
        refused = ask("PATCH", "/api/settings", {"sessions.timeout_hours": 48}, headers=OWN)
        assert (refused.status_code, refused.json["code"]) == (403, "insufficient_scope")
        assert "pilotlight open --scope admin" in refused.json["error"]

    def test_over_tls_it_never_travels_in_the_clear(self, ask: Caller) -> None:
        headers = {**OWN, "Origin": "https://localhost"}
        answer = ask("POST", "/api/sign-in", {"code": code(ask)}, headers=headers)
        assert "Secure" in answer.headers["Set-Cookie"]

    @pytest.mark.parametrize(
        "headers",
        [
            {"X-Pilotlight": None},
            {"Origin": "http://localhost:5173"},
            {"Origin": None},
            {"Origin": None, "Sec-Fetch-Site": "same-site"},
            {"Origin": None, "Sec-Fetch-Site": "cross-site"},
        ],
    )
    def test_what_another_page_asks_is_refused(self, ask: Caller, headers: dict[str, str | None]) -> None:
        assert sign_in(ask, code=code(ask)).status_code == 201
        ask.supervisor.calls.clear()
        for path, body in (("/api/chat", {"message": "x"}), ("/api/sign-out", {}), ("/api/sign-in", {"code": "x"})):
            answer = ask("POST", path, body, headers={**OWN, **headers})
            assert answer.status_code == 403, path
        assert ask.supervisor.calls == []

    def test_another_page_cannot_look_either(self, ask: Caller, tmp_path: Path) -> None:
        other = Caller(tmp_path / "b", furnished(), allowed_origins=["https://ui.x"])
        assert sign_in(other, code=code(other)).status_code == 201
        for headers in ({"Sec-Fetch-Site": "same-site"}, {"Origin": "https://ui.x"}):
            assert other("GET", "/api/sessions", headers={"Authorization": None, **headers}).status_code == 403
        assert other("GET", "/api/sessions", headers={"Authorization": None}).status_code == 200

    def test_a_token_beside_it_is_the_one_that_counts(self, ask: Caller) -> None:
        sign_in(ask, code=code(ask, "read"))
        assert ask("GET", "/api/me").json["kind"] == "token"
        assert ask("GET", "/api/me", headers={"Authorization": "Bearer wrong"}).status_code == 401

    def test_is_renewed_while_it_is_used(self, ask: Caller, tmp_path: Path) -> None:
        sign_in(ask, code=code(ask))
        assert "Set-Cookie" not in ask("GET", "/api/me", headers={"Authorization": None}).headers
        path = tmp_path / "devices.json"
        tree = json.loads(path.read_text())
        tree["devices"][0]["lastUsedAt"] -= int(TOUCH_SECONDS * 1000) + 1000
        path.write_text(json.dumps(tree))
        assert "Max-Age=7776000" in ask("GET", "/api/me", headers={"Authorization": None}).headers["Set-Cookie"]
        assert json.loads(path.read_text())["devices"][0]["lastUsedAt"] > tree["devices"][0]["lastUsedAt"]

    def test_signing_out_and_revoking_end_it(self, ask: Caller) -> None:
        sign_in(ask, code=code(ask))
        assert ask("POST", "/api/sign-out", {}, headers=OWN).status_code == 200
        assert ask("GET", "/api/me", headers={"Authorization": None}).status_code == 401
        sign_in(ask, code=code(ask))
        listed = ask("GET", "/api/devices", headers={"Authorization": None}).json
        assert listed["current"] == listed["devices"][0]["id"]
        assert not {"hash", "token"} & set(listed["devices"][0])
        assert ask("DELETE", f"/api/devices/{listed['current']}").status_code == 200
        assert ask("GET", "/api/me", headers={"Authorization": None}).status_code == 401

    def test_with_a_token_never_more_than_it_has(self, ask: Caller) -> None:
        named = ask.app.extensions["pilotlight"].keyring.named.add("wall", "read")
        assert sign_in(ask, token=named, scope="admin").status_code == 403
        assert sign_in(ask, token=named).json["scope"] == "read"
        assert sign_in(ask, token="pl_wrong").status_code == 401
        assert sign_in(ask).status_code == 400

    def test_guessing_is_slowed_down(self, ask: Caller) -> None:
        answers = [sign_in(ask, token="pl_wrong").status_code for _ in range(40)]
        assert set(answers) == {401, 429}

    def test_two_homes_on_one_machine_do_not_overwrite_each_other(self, tmp_path: Path) -> None:
        names = {
            device_cookie.cookie_name(places.resolve({"PILOTLIGHT_HOME": str(tmp_path / home)})) for home in ("a", "b")
        }
        assert len(names) == 2


def test_the_command_line_lists_and_revokes(tmp_path: Path, devices: Devices) -> None:
    devices = Devices(
        places.resolve({"PILOTLIGHT_HOME": str(tmp_path)}), Keyring(places.resolve({"PILOTLIGHT_HOME": str(tmp_path)}))
    )
    devices.redeem("phone", link=devices.invite("answer").link)
    app = App({"PILOTLIGHT_HOME": str(tmp_path)})
    listed = CliRunner().invoke(cli, ["devices", "list"], obj=app).output
    assert "phone" in listed
    assert "answer" in listed
    assert CliRunner().invoke(cli, ["devices", "revoke", "phone"], obj=app).exit_code == 0
    assert json.loads(CliRunner().invoke(cli, ["devices", "list", "--json"], obj=app).output) == {"devices": []}
