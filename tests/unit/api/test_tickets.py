"""Tickets, and the handshake and frames of a WebSocket."""

from __future__ import annotations

import pytest

from api.auth.tickets import MAX_TICKETS, TICKET_SECONDS, Tickets
from api.terminals.websocket import accept_key, frame, valid_key
from shared.access.tokens import Identity
from shared.errors import Unauthorized


def test_a_ticket_is_good_once_soon_and_for_one_thing() -> None:
    now = 0.0
    tickets = Tickets(lambda: now)
    ann = Identity("ann", "read")
    good = tickets.issue(ann, "read", "s1")
    assert tickets.redeem(good, "read", "s1") == ann

    def refused(secret: str, mode: str, session: str | None) -> None:
        with pytest.raises(Unauthorized):
            tickets.redeem(secret, mode, session)

    refused(good, "read", "s1")
    refused("guess", "read", "s1")
    for mode, session in (("write", "s1"), ("read", "s2"), ("events", None)):
        wrong = tickets.issue(ann, "read", "s1")
        refused(wrong, mode, session)
        refused(wrong, "read", "s1")
    old = tickets.issue(ann, "read", "s1")
    now = TICKET_SECONDS + 0.1
    refused(old, "read", "s1")

    first = tickets.issue(ann, "events", None)
    for _ in range(MAX_TICKETS):
        tickets.issue(ann, "events", None)
    refused(first, "events", None)


def test_websocket_frames_and_handshake_are_those_of_the_rfc() -> None:
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, 1.3
    assert valid_key("dGhlIHNhbXBsZSBub25jZQ==")
    assert not any(map(valid_key, ("", "short", "dGhlIHNhbXBsZQ==", "!" * 24)))
    assert frame(1, b"Hello") == b"\x81\x05Hello"
    assert frame(2, bytes(256))[:4] == b"\x82\x7e\x01\x00"
    assert frame(2, bytes(65536))[:10] == b"\x82\x7f" + (65536).to_bytes(8, "big")
