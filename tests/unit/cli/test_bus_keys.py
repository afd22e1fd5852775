"""`pilotlight bus-keys`: keys are added, shown once, listed and revoked; what is wrong is said."""

from __future__ import annotations

import io
import json

import pytest

from cli.__main__ import run
from shared.access.bus_keys import BusKeyring
from shared.bus.connection import new_key_pair
from tests.unit.cli.test_double import FakeBus, app_of


def told(capsys, *arguments):
    code = run([*arguments, "--json"], told.app)
    return code, json.loads(capsys.readouterr().out)


@pytest.fixture(autouse=True)
def app(tmp_path):
    told.app = app_of(tmp_path, FakeBus())
    return told.app


def test_a_pair_is_made_and_its_secret_is_kept_nowhere(app, capsys):
    code, made = told(capsys, "bus-keys", "add", "monitor", "--scope", "read")

    assert code == 0
    assert (made["name"], made["scope"]) == ("monitor", "read")
    assert {len(made[name]) for name in ("publicKey", "secretKey", "serverKey")} == {40}
    kept = "".join(file.read_text() for file in app.paths.home.iterdir() if file.is_file())
    assert made["publicKey"] in kept
    assert made["secretKey"] not in kept
    listed = told(capsys, "bus-keys", "list")[1]["keys"]
    assert [(key["name"], key["scope"], key["publicKey"]) for key in listed] == [("monitor", "read", made["publicKey"])]


def test_a_client_may_keep_its_secret_to_itself(app, capsys, monkeypatch):
    first, second = new_key_pair(), new_key_pair()
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{second.public}\n"))

    _, made = told(capsys, "bus-keys", "add", "one", "--scope", "chat", "--public-key", first.public)
    assert "secretKey" not in made
    assert told(capsys, "bus-keys", "add", "two", "--scope", "admin", "--public-key", "-")[0] == 0

    clients = BusKeyring(app.paths).clients
    found = [clients.identify(pair.public) for pair in (first, second)]
    assert [(key.name, key.scope) for key in found if key] == [("one", "chat"), ("two", "admin")]


def test_the_servers_key_stays_the_same(app, capsys):
    keys = {told(capsys, "bus-keys", "add", name, "--scope", "read")[1]["serverKey"] for name in "abc"}
    assert len(keys) == 1


def test_a_revoked_key_counts_no_more(app, capsys):
    public = told(capsys, "bus-keys", "add", "gone", "--scope", "read")[1]["publicKey"]
    keyring = BusKeyring(app.paths)
    assert keyring.clients.identify(public)

    assert told(capsys, "bus-keys", "revoke", "gone") == (0, {"name": "gone", "revoked": True})

    assert keyring.clients.identify(public) is None
    assert told(capsys, "bus-keys", "list")[1] == {"keys": []}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("add", "taken", "--scope", "read"), "key_exists"),
        (("add", "no spaces", "--scope", "read"), "invalid_name"),
        (("add", "short", "--scope", "read", "--public-key", "abc"), "bad_key"),
        (("add", "odd", "--scope", "read", "--public-key", '"' * 40), "bad_key"),
        (("revoke", "nobody"), "key_not_found"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_code(app, capsys, arguments, code):
    told(capsys, "bus-keys", "add", "taken", "--scope", "read")
    status, refused = told(capsys, "bus-keys", *arguments)
    assert status != 0
    assert refused["error"]["code"] == code


def test_a_damaged_file_lets_nobody_in_and_is_named(app, capsys):
    public = told(capsys, "bus-keys", "add", "monitor", "--scope", "admin")[1]["publicKey"]
    keyring = BusKeyring(app.paths)
    assert keyring.clients.identify(public)
    (app.paths.home / "bus-clients.json").write_text("{")

    assert keyring.clients.identify(public) is None
    status, refused = told(capsys, "bus-keys", "list")
    assert status != 0
    assert (refused["error"]["code"], "bus-clients.json" in refused["error"]["message"]) == ("bus_key_unreadable", True)


def test_who_reads_is_told_that_it_does_not_listen(app, capsys):
    assert run(["bus-keys", "add", "monitor", "--scope", "read"], app) == 0
    shown = capsys.readouterr()
    assert "secretKey" in shown.out
    assert "bus.tcp_host" in shown.err
