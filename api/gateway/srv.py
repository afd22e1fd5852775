"""Which services a domain name stands for: SRV records (RFC 2782), asked for at the name servers of this machine.

The system's own resolver (`getaddrinfo`) knows addresses only. What must not regress: nothing that a name server says is believed
that does not fit the question, nor that there is nothing when it could not find out; whoever does not answer delays nobody for
longer than TIMEOUT_SECONDS each.
"""

from __future__ import annotations

import secrets
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

RESOLV_CONF = Path("/etc/resolv.conf")
TIMEOUT_SECONDS = 1.0
MOST_SERVERS = 3
_SRV, _IN, _PORT = 33, 1, 53
_TRUNCATED = 0x0200
_MOST_POINTERS = 32
_KNOWING = (0, 3)
"""The answers that say what there is: found, and no such name. Any other one says nothing (SERVFAIL, REFUSED)."""


class Service(NamedTuple):
    """A place at which it is offered."""

    host: str
    port: int


class Resolver(NamedTuple):
    """What resolv.conf says."""

    servers: tuple[tuple[str, int], ...]
    search: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> Resolver:
        """Read the file's text."""
        servers: list[tuple[str, int]] = []
        search: tuple[str, ...] = ()
        for line in text.splitlines():
            word, _, rest = line.strip().partition(" ")
            if word == "nameserver" and rest.split():
                servers.append((rest.split()[0], _PORT))
            elif word in ("search", "domain"):
                search = tuple(rest.split())
        return cls(tuple(servers[:MOST_SERVERS]) or (("127.0.0.1", _PORT),), search)


def services(name: str, resolver: Resolver | None = None) -> list[Service]:
    """Where the service of this name is offered now, in a stable order; nothing when it leads nowhere. Raise OSError when no name
    server answers."""
    if resolver is None:
        resolver = Resolver.of(RESOLV_CONF.read_text(errors="replace"))
    names = [name] if name.endswith(".") else [name, *(f"{name}.{domain}" for domain in resolver.search)]
    silent: OSError | None = None
    for full in names:
        try:
            if found := _ask_all(full.rstrip("."), resolver):
                return sorted(set(found))
        except OSError as error:
            silent = error
    if silent is not None:
        raise silent
    return []


def _ask_all(name: str, resolver: Resolver) -> list[Service]:
    """What the first server that answers says."""
    for server in resolver.servers:
        with suppress(OSError, ValueError, struct.error, IndexError):
            return _ask(name, server)
    raise OSError(f"no name server answers for {name}")


def _ask(name: str, server: tuple[str, int]) -> list[Service]:
    """What one server says of one name. Raise OSError or ValueError when that is no answer."""
    number = secrets.randbits(16)
    labels = b"".join(bytes([len(label)]) + label for label in name.encode("ascii").split(b"."))
    question = labels + b"\0" + struct.pack(">HH", _SRV, _IN)
    query = struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + question
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(TIMEOUT_SECONDS)
        sock.connect(server)  # so that the kernel drops what comes from elsewhere
        sock.send(query)
        answer = sock.recv(4096)
    if struct.unpack(">H", answer[2:4])[0] & _TRUNCATED:
        answer = _over_tcp(query, server)
    if struct.unpack(">H", answer[:2])[0] != number or not answer[12:].lower().startswith(question.lower()):
        raise ValueError("it is the answer to another question")
    if answer[3] & 0x0F not in _KNOWING:
        raise ValueError("it could not find out")
    return list(_read(answer, 12 + len(question)))


def _over_tcp(query: bytes, server: tuple[str, int]) -> bytes:
    with socket.create_connection(server, TIMEOUT_SECONDS) as sock, sock.makefile("rb") as file:
        sock.sendall(struct.pack(">H", len(query)) + query)
        (length,) = struct.unpack(">H", file.read(2))
        return file.read(length)


def _read(answer: bytes, place: int) -> Iterator[Service]:
    (count,) = struct.unpack(">H", answer[6:8])
    for _ in range(count):
        _, place = _name(answer, place)
        kind, group, _, length = struct.unpack(">HHIH", answer[place : place + 10])
        place += 10
        if (kind, group) == (_SRV, _IN):
            (port,) = struct.unpack(">H", answer[place + 4 : place + 6])
            host, _ = _name(answer, place + 6)
            if host:
                yield Service(host, port)
        place += length


def _name(answer: bytes, place: int) -> tuple[str, int]:
    """A domain name, and the place behind it. A pointer leads to where the rest of it stands."""
    labels: list[str] = []
    behind: int | None = None
    for _ in range(_MOST_POINTERS * 4):
        length = answer[place]
        if length >= 0xC0:
            behind = place + 2 if behind is None else behind
            place = struct.unpack(">H", answer[place : place + 2])[0] & 0x3FFF
        elif length == 0:
            return ".".join(labels), place + 1 if behind is None else behind
        else:
            labels.append(answer[place + 1 : place + 1 + length].decode("ascii"))
            place += 1 + length
    raise ValueError("a name that does not end")
