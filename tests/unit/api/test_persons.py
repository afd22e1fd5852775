"""For whom a gateway asks: believed with a signature for this very request, and refused without."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared import node as nodes
from shared.access.persons import EXPECT_HEADER, PERSON_HEADER, on_behalf, signed
from shared.access.tokens import Keyring
from tests.api_caller import Caller

SESSIONS = "/api/sessions"


def asked(
    ask: Caller, header: str, method: str = "GET", path: str = SESSIONS, token: str | None = None
) -> tuple[int, str]:
    headers = {PERSON_HEADER: header, "Authorization": f"Bearer {token or ask.token}"}
    answer = ask(method, path, {} if method == "POST" else None, headers=headers)
    return answer.status_code, (answer.json or {}).get("code", "")


def test_the_record_names_both(ask: Caller) -> None:
    assert asked(ask, signed(ask.token, "device:Ada's phöne", "read", "GET", SESSIONS)) == (200, "")
    assert ask.supervisor.actors[-1] == "token:default for device:Ada's phöne"


def test_the_least_of_both_counts(ask: Caller, tmp_path: Path) -> None:
    path = f"{SESSIONS}/00000000-0000-4000-8000-000000000000/hibernate"
    assert asked(ask, signed(ask.token, "token:ada", "chat", "POST", path), "POST", path)[1] == "insufficient_scope"
    weak = Keyring(ask.app.extensions["pilotlight"].paths).named.add("gw", "read")
    assert asked(ask, signed(weak, "token:ada", "admin", "POST", path), "POST", path, weak)[1] == "insufficient_scope"


@pytest.mark.parametrize(
    "header",
    ["token:ada", "token%3Aada;admin;", "token%3Aada;admin;00", "", ";;", "a;b;c;d", "x" * 9000, "é;admin;é",
     signed("another", "token:ada", "admin", "GET", SESSIONS), signed("another", "token:ada", "owner", "GET", SESSIONS)],  # type: ignore[arg-type]
)  # fmt: skip
def test_what_is_not_signed_with_the_token_is_refused(ask: Caller, header: str) -> None:
    assert asked(ask, header) == (401, "person_not_signed")
    assert ask.supervisor.calls == []


def test_a_signature_is_for_one_request(ask: Caller) -> None:
    good = signed(ask.token, "token:ada", "read", "GET", SESSIONS)
    name, scope, signature = good.split(";")
    for header, path in (
        (f"{name};admin;{signature}", SESSIONS),
        (f"token%3Aeve;{scope};{signature}", SESSIONS),
        (good, "/api/attention"),
    ):
        assert asked(ask, header, path=path) == (401, "person_not_signed")


def test_a_stream_for_a_person_ends_when_the_gateway_s_token_is_revoked(ask: Caller) -> None:
    here = ask.app.extensions["pilotlight"]
    keyring = Keyring(here.paths)
    token = keyring.named.add("gw", "admin")
    identity = keyring.identify(token)
    assert identity is not None
    person = on_behalf(identity, token, signed(token, "token:ada", "read", "GET", "/"), "GET", "/")
    assert (person.scope, here.still_valid(person)) == ("read", True)
    keyring.named.revoke("gw")
    assert here.still_valid(person) is False


def test_a_request_for_another_node_does_nothing(ask: Caller) -> None:
    here = nodes.establish(ask.app.extensions["pilotlight"].paths.home, "n1", "e1")
    assert ask("GET", SESSIONS, headers={EXPECT_HEADER: here.id}).status_code == 200
    before = len(ask.supervisor.calls)
    answer = ask("GET", SESSIONS, headers={EXPECT_HEADER: "another"})
    assert (answer.status_code, answer.json["code"]) == (421, "misdirected")
    assert len(ask.supervisor.calls) == before
