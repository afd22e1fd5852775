"""What can be seen of a connection without waiting for it."""

from __future__ import annotations

import fcntl
import resource
import socket

import pytest

from api.events.responses import _watch
from api.http.sockets import readable

HIGH = 1024
"""The first descriptor that `select` refuses."""


@pytest.fixture
def pair() -> tuple[socket.socket, socket.socket]:
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit <= HIGH:
        resource.setrlimit(resource.RLIMIT_NOFILE, (2 * HIGH, most))
    low, other = socket.socketpair()
    with low:
        return socket.socket(fileno=fcntl.fcntl(low.fileno(), fcntl.F_DUPFD_CLOEXEC, HIGH)), other


def test_a_connection_may_have_any_number(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, other = pair
    with ours, other:
        assert not readable(ours)
        assert not _watch(ours)()
        other.send(b"x")
        assert readable(ours)
        assert not _watch(ours)()
        ours.recv(1)
        other.close()
        assert readable(ours)
        assert _watch(ours)()


def test_a_connection_that_is_closed_here_is_gone(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, other = pair
    with other:
        gone = _watch(ours)
        ours.close()
        assert gone()
