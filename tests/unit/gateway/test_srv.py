"""Services by SRV records: asked for, read, and asked for again."""

from __future__ import annotations

import socket
import struct
import threading
from pathlib import Path

import pytest

from api.gateway import srv
from api.gateway.nodes import addresses, load

NAME = "_http._tcp.nodes"


def labels(name: str) -> bytes:
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".") if part) + b"\0"


class NameServer:
    """One that knows the services of some names; a long answer over UDP is cut short, as the standard has it."""

    def __init__(self) -> None:
        self.known: dict[str, list[tuple[str, int]]] = {}
        self.asked: list[str] = []
        self.lies: str | None = None
        self.troubled: set[str] = set()
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.address = ("127.0.0.1", int(self.tcp.getsockname()[1]))
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(self.address)
        threading.Thread(target=self._datagrams, daemon=True).start()
        threading.Thread(target=self._streams, daemon=True).start()

    def _datagrams(self) -> None:
        while True:
            query, who = self.udp.recvfrom(4096)
            answer = self._answer(query)
            self.udp.sendto(answer if len(answer) <= 512 else answer[:2] + b"\x82\0" + answer[4:512], who)

    def _streams(self) -> None:
        while True:
            sock, _ = self.tcp.accept()
            with sock:
                answer = self._answer(sock.recv(4096)[2:])
                sock.sendall(struct.pack(">H", len(answer)) + answer)

    def _answer(self, query: bytes) -> bytes:
        end = query.index(b"\0", 12) + 1
        name, place = [], 12
        while query[place]:
            name.append(query[place + 1 : place + 1 + query[place]].decode())
            place += 1 + query[place]
        self.asked.append(".".join(name))
        found = self.known.get(".".join(name), [])
        number = bytes([query[0] ^ 1, query[1]]) if self.lies == "number" else query[:2]
        code = 0x8182 if ".".join(name) in self.troubled else 0x8180 if found else 0x8183
        head = number + struct.pack(">HHHHH", code, 1, len(found) + bool(found), 0, 0)
        said = head + (query[12 : end + 4] if self.lies != "question" else labels("other") + query[end : end + 4])
        if found:  # something else of that name, which is passed over
            said += b"\xc0\x0c" + struct.pack(">HHIH", 16, 1, 5, 3) + b"\2hi"
        for host, port in found:
            data = struct.pack(">HHH", 0, 0, port) + labels(host)
            said += b"\xc0\x0c" + struct.pack(">HHIH", 33, 1, 5, len(data)) + data
        return said


@pytest.fixture
def server() -> NameServer:
    return NameServer()


def test_the_services_of_a_name_are_found_and_found_anew(server: NameServer) -> None:
    resolver = srv.Resolver((server.address,), ("default.svc.cluster.local", "cluster.local"))
    assert srv.services(NAME, resolver) == []
    assert server.asked == [NAME, f"{NAME}.default.svc.cluster.local", f"{NAME}.cluster.local"]
    server.known[f"{NAME}.cluster.local"] = [("n2.nodes", 3002), ("n1.nodes", 3001)]
    assert srv.services(NAME, resolver) == [("n1.nodes", 3001), ("n2.nodes", 3002)]
    server.known[f"{NAME}.cluster.local"] = [(f"n{number}.nodes.example.com", 3001) for number in range(40)]
    assert len(srv.services(NAME, resolver)) == 40, "over TCP"
    assert srv.services(f"{NAME}.", resolver) == [], "a whole name is looked for as it is"


def test_what_does_not_fit_the_question_is_not_believed(server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.known[NAME] = [("elsewhere", 1)]
    for lie in ("number", "question"):
        server.lies = lie
        with pytest.raises(OSError, match="no name server answers"):
            srv.services(NAME, srv.Resolver((server.address,)))
    server.lies = None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        asked = srv.Resolver((deaf.getsockname(), server.address))
        assert srv.services(NAME, asked) == [("elsewhere", 1)], "the next one is asked"
        monkeypatch.setattr(srv, "TIMEOUT_SECONDS", 0.01)
        with pytest.raises(OSError, match="no name server answers"):
            srv.services(NAME, srv.Resolver((deaf.getsockname(),)))


def test_a_name_that_does_not_end_is_none() -> None:
    loop = struct.pack(">HHHHHH", 0, 0, 0, 1, 0, 0) + b"\xc0\x0c"
    with pytest.raises(ValueError, match="does not end"):
        srv._name(loop, 12)


def test_a_server_that_could_not_find_out_has_not_said_that_there_is_nothing(server: NameServer) -> None:
    resolver = srv.Resolver((server.address,), ("local",))
    server.troubled = {NAME}
    with pytest.raises(OSError, match="no name server answers"):
        srv.services(NAME, resolver)
    server.known[f"{NAME}.local"] = [("n1.nodes", 3001)]
    assert srv.services(NAME, resolver) == [("n1.nodes", 3001)], "it knows another name that is meant"


def test_what_resolv_conf_says() -> None:
    text = "# by hand\nsearch a.example b.example\nnameserver 10.0.0.2\nnameserver fd00::1\noptions ndots:5\n"
    assert srv.Resolver.of(text) == ((("10.0.0.2", 53), ("fd00::1", 53)), ("a.example", "b.example"))
    many = "".join(f"nameserver 10.0.0.{number}\n" for number in range(9))
    assert len(srv.Resolver.of(many).servers) == 3, "each that does not answer takes its time"
    assert srv.Resolver.of("") == ((("127.0.0.1", 53),), ())


def test_a_service_gives_each_node_its_host_and_port(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("token")
    (tmp_path / "nodes.yaml").write_text(f"nodes: [{{dns: 'https://{NAME}', token_file: t, ca_file: ca.pem}}]")
    found = addresses(
        load(tmp_path / "nodes.yaml"),
        tmp_path,
        lambda host, port: [f"10.0.0.{port % 10}"],
        lambda name: [srv.Service("n1.nodes", 3001), srv.Service("n2.nodes", 3002)],
    )
    assert [(one.url, one.at, one.ca_file) for one in found] == [
        ("https://n1.nodes:3001", "10.0.0.1", str(tmp_path / "ca.pem")),
        ("https://n2.nodes:3002", "10.0.0.2", str(tmp_path / "ca.pem")),
    ]
