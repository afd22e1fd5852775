"""An API that speaks TLS itself: answers, streams, renewal, and what neither serves nor stops it."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from api.server import tls
from cli.commands import mcp
from cli.context import App
from cli.daemons.checks import certificate as check
from cli.daemons.own_api import connect, healthy
from pilotlight.client import Client, ClientError
from shared.certificate import Certificate, configured
from shared.config import ApiConfig, load
from shared.errors import InvalidRequest
from tests.api_process import BusServer, Process, until
from tests.harness import PATIENCE


class Files:
    """A certificate and its key, by an authority of our own, and a configuration that names them."""

    def __init__(self, home: Path) -> None:
        home.mkdir(mode=0o700, exist_ok=True)
        self.home, self.cert, self.key = home, home / "cert.pem", home / "key.pem"
        self.authority = trustme.CA()
        self.ca = home / "ca.pem"
        self.authority.cert_pem.write_to_path(str(self.ca))
        (home / "config.yaml").write_text(f"api: {{tls_cert: '{self.cert}', tls_key: '{self.key}'}}")
        self.issue("localhost", "127.0.0.1")

    def issue(self, *names: str, days: float = 90) -> None:
        made = self.authority.issue_cert(*names, not_after=datetime.now(UTC) + timedelta(days=days))
        self.key.write_bytes(made.private_key_pem.bytes())
        self.key.chmod(0o600)
        self.cert.write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))

    def config(self, **more: Any) -> ApiConfig:
        return ApiConfig(tls_cert=str(self.cert), tls_key=str(self.key), **more)

    def app(self) -> App:
        return App(environment={"PILOTLIGHT_HOME": str(self.home), "HOME": str(self.home)})


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "home")


@pytest.fixture
def bus(files: Files) -> Iterator[BusServer]:
    server = BusServer(files.home)
    yield server
    server.close()


@pytest.fixture
def api(files: Files, bus: BusServer) -> Iterator[Process]:
    """An API over TLS, with the double of the supervisor behind it."""
    process = Process(files.home).wait_until_up()
    yield process
    process.end()


class Front:
    """What speaks TLS, alone: the sockets that it hands on are the test's."""

    def __init__(self, files: Files, certificate: Certificate) -> None:
        self.given: list[tuple[socket.socket, Any]] = []
        self._context = ssl.create_default_context(cafile=str(files.ca))
        listener = socket.create_server(("127.0.0.1", 0))
        self._address = listener.getsockname()
        self.thread = tls.TlsFront(listener, files.config(), certificate, self._take)

    def _take(self, client: socket.socket, peer: Any) -> None:
        self.given.append((client, peer))  # of none, when it has left already

    def __enter__(self) -> Front:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.thread.stop()  # the last may be handed on after its client has left
        until(self._ended, "all of it has ended")

    def _ended(self) -> bool:
        for one, _ in [*self.given]:
            one.close()
        return not self.thread.is_alive()

    def served(self) -> str:
        """Which certificate it serves now."""
        return ssl.get_server_certificate(self._address, timeout=PATIENCE)

    def connect(self) -> tuple[ssl.SSLSocket, socket.socket]:
        """A connection, and what of it was handed on."""
        plain = socket.create_connection(self._address, timeout=PATIENCE)
        client = self._context.wrap_socket(plain, server_hostname="localhost")
        of_it = lambda: [one for one, peer in self.given if peer == client.getsockname()]  # noqa: E731
        until(lambda: bool(of_it()), "it is handed on")
        (handed_on,) = of_it()
        handed_on.settimeout(PATIENCE)
        return client, handed_on


@pytest.fixture
def first(files: Files) -> Certificate:
    found = configured(files.config())
    assert found is not None
    return found


def ask(api: Process, files: Files, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
    context = ssl.create_default_context(cafile=str(files.ca))
    connection = http.client.HTTPSConnection("localhost", api.port, timeout=PATIENCE, context=context)
    token = api.paths.token_file.read_text().strip()
    connection.request(method, path, headers={"Authorization": f"Bearer {token}", **headers})
    return connection.getresponse()


def serial(api: Process) -> str:
    """Which certificate is served now."""
    return ssl.get_server_certificate(("127.0.0.1", api.port), timeout=PATIENCE)


def test_everything_is_answered_over_tls_and_says_https(api: Process, files: Files) -> None:
    assert api.lock["url"] == f"https://127.0.0.1:{api.port}"
    health = json.loads(ask(api, files, "/api/status").read())
    assert health["api"]["url"] == f"https://localhost:{api.port}/"
    page = ask(api, files, "/", Accept="text/html")
    assert page.status == 200
    assert len(page.read()) == int(page.headers["Content-Length"])

    with pytest.raises(ssl.SSLCertVerificationError):
        http.client.HTTPSConnection("localhost", api.port, timeout=PATIENCE).request("GET", "/health")
    client = Client(f"https://localhost:{api.port}", api.paths.token_file.read_text().strip(), ca_file=str(files.ca))
    assert list(client.sessions()) == []
    own = Client(f"https://localhost:{api.port}", "no token", patience=0, ca_file=str(files.cert))
    with pytest.raises(ClientError, match="token"):
        own.call("GET", "/api/sessions")

    assert healthy(api.lock["url"], files.app(), PATIENCE)
    (finding,) = check(files.app())
    assert (finding.level, "localhost, 127.0.0.1" in finding.text) == ("ok", True)


def test_who_does_not_speak_tls_holds_nobody_up_and_stopping_is_quick(api: Process, files: Files) -> None:
    silent = [socket.create_connection(("127.0.0.1", api.port), timeout=PATIENCE) for _ in range(200)]
    wrong = socket.create_connection(("127.0.0.1", api.port), timeout=PATIENCE)
    wrong.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"HTTP/1.1 200" not in wrong.recv(1000), "plain HTTP is not served there"
    assert ask(api, files, "/health").status == 200

    kept = connect(api.lock["url"], files.app(), PATIENCE)
    kept.request("GET", "/health")
    assert kept.getresponse().read()
    for one in [*silent, wrong]:
        one.close()
    api.child.terminate()
    assert api.child.wait(PATIENCE) == 0
    assert "Traceback" not in api.end()


def test_a_body_goes_in_and_out_whole(api: Process, files: Files, bus: BusServer) -> None:
    context = ssl.create_default_context(cafile=str(files.ca))
    connection = http.client.HTTPSConnection("localhost", api.port, timeout=PATIENCE, context=context)
    token = api.paths.token_file.read_text().strip()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    for number in range(3):  # on one connection, each over many records
        text = f"{number}" * 90_000
        connection.request("POST", "/api/chat", json.dumps({"message": text, "projectPath": "/p"}), headers)
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())["state"]) == (200, "answered")
        assert bus.supervisor.last("message.send").text == text
        document = ask(api, files, "/api/openapi.json")
        assert json.loads(document.read())["openapi"].startswith("3.1")


def test_a_line_that_breaks_is_noticed(files: Files, first: Certificate) -> None:
    with Front(files, first) as front:
        client, handed_on = front.connect()
        client.sendall(b"half of what was to")
        client.close()  # without the farewell that TLS has
        assert b"".join(iter(lambda: handed_on.recv(100), b"")) == b"half of what was to"


def test_a_renewed_certificate_is_served_without_a_restart_and_a_broken_one_never(
    files: Files, first: Certificate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tls, "RENEWAL_SECONDS", 0.02)
    with Front(files, first) as front:
        assert front.served() == (before := files.cert.read_text())
        client, handed_on = front.connect()
        files.cert.write_text("half of a certi")
        until(lambda: "certificate_refused" in caplog.messages, "it has been looked at")
        assert front.served() == before
        files.issue("localhost")
        until(lambda: front.served() == files.cert.read_text(), "the new one is served")
        with client:
            handed_on.sendall(b"still here")
            assert client.recv(100) == b"still here", "what was open goes on"


def test_a_certificate_that_comes_while_the_first_is_read_is_served(
    files: Files, first: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "RENEWAL_SECONDS", 0.02)
    read = Certificate.for_server

    def meanwhile(certificate: Certificate) -> ssl.SSLContext:
        context = read(certificate)
        monkeypatch.setattr(Certificate, "for_server", read)
        files.issue("localhost")
        return context

    monkeypatch.setattr(Certificate, "for_server", meanwhile)
    with Front(files, first) as front:
        until(lambda: front.served() == files.cert.read_text(), "it is served")


def test_who_does_not_read_what_was_asked_for_is_hung_up_on(
    files: Files, first: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "SEND_SECONDS", 0.2)
    with Front(files, first) as front:
        client, handed_on = front.connect()
        with client:
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                handed_on.sendall(bytes(64 * 1024 * 1024))
            front.thread.stop()
            front.thread.join(PATIENCE)
            assert not front.thread.is_alive(), "nothing of it is left"


def test_the_address_is_a_name_that_the_certificate_is_for(files: Files) -> None:
    files.issue("mac-mini.local", "*.example.org")
    found = configured(files.config())
    assert found is not None
    assert [found.covers(name) for name in ("mac-mini.local", "Ada.example.org", "example.org", "a.b.example.org")] == [
        True,
        True,
        False,
        False,
    ]


def test_our_own_commands_reach_it_where_it_listens_under_whatever_name(files: Files, bus: BusServer) -> None:
    files.issue("nowhere.example")
    process = Process(files.home).wait_until_up()
    assert healthy(process.lock["url"], files.app(), PATIENCE)
    token = process.paths.token_file.read_text().strip()
    assert mcp.reach(files.app(), None, token, 0.0).call("GET", "/api/me")
    process.end()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda files: files.cert.unlink(), r"api\.tls_cert: .*cert\.pem cannot be read: No such file"),
        (lambda files: files.key.unlink(), r"api\.tls_key: .*key\.pem cannot be read: No such file"),
        (lambda files: files.cert.write_text("hello"), r"api\.tls_cert: .* holds no certificate in PEM"),
        (lambda files: _garble(files), r"api\.tls_cert: .* holds no certificate in PEM"),
        (lambda files: files.key.write_text("hello"), r"api\.tls_key: .* cannot be used as its key"),
        (
            lambda files: files.key.write_bytes(files.authority.issue_cert("other").private_key_pem.bytes()),
            r"api\.tls_key: .* is not the key of the certificate in api\.tls_cert",
        ),
        (lambda files: _lock(files.key), r"api\.tls_key: .* is locked with a passphrase"),
    ],
    ids=["no certificate", "no key", "not a certificate", "names that are none", "not a key", "another key", "locked"],
)
def test_files_that_do_not_fit_are_refused_with_the_option_and_the_file(files: Files, spoil: Any, said: str) -> None:
    spoil(files)
    with pytest.raises(InvalidRequest, match=said):
        configured(files.config())
    (finding,) = check(files.app())
    assert finding.level == "fail"


def _lock(path: Path) -> None:
    key = load_pem_private_key(path.read_bytes(), None)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))


def _garble(files: Files) -> None:
    """A certificate whose names nobody can read."""
    key = load_pem_private_key(files.key.read_bytes(), None)
    assert isinstance(key, EllipticCurvePrivateKey)
    now, who = datetime.now(UTC), x509.Name([])
    made = x509.CertificateBuilder(who, who, key.public_key(), 7, now, now + timedelta(days=9))
    names = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"none")
    files.cert.write_bytes(made.add_extension(names, critical=False).sign(key, SHA256()).public_bytes(Encoding.PEM))


def test_an_api_with_wrong_files_does_not_start_and_says_why(files: Files) -> None:
    _lock(files.key)
    process = Process(files.home)
    assert process.child.wait(PATIENCE) == 1
    said = process.end()
    assert "is locked with a passphrase" in said
    assert "Traceback" not in said


def test_one_of_the_two_options_is_refused_and_a_relative_path(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("api: {tls_key: /key.pem}")
    with pytest.raises(InvalidRequest, match=r"api\.tls_key is of no use without api\.tls_cert"):
        load(path, {})
    with pytest.raises(InvalidRequest, match="absolute"):
        configured(ApiConfig(tls_cert="cert.pem", tls_key="key.pem"))


def test_doctor_tells_of_the_end_of_a_name_that_is_missing_and_of_an_open_key(files: Files) -> None:
    def levels() -> dict[str, str]:
        return {finding.text: finding.level for finding in check(files.app())}

    (files.home / "config.yaml").write_text(
        f"api: {{tls_cert: '{files.cert}', tls_key: '{files.key}', allowed_hosts: ['mac.local:3001', 'other.local']}}"
    )
    files.issue("mac.local", days=10)
    files.key.chmod(0o640)
    told = levels()
    assert set(told.values()) == {"warn"}
    assert [any(part in text for text in told) for part in ("expires on", "is not for other.local", "others can")] == [
        True
    ] * 3
    files.issue("mac.local", "other.local", days=-0.5)
    assert list(levels().values()) == ["fail"]
