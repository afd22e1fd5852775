"""The frames of the terminal's protocol: they survive any cut, and what is none is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.bus import terminal_protocol as protocol
from shared.frames import BadFrame, Decoder, read_offset


@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(1, 50))
def test_frames_survive_any_cut(pieces: list[bytes], size: int) -> None:
    stream = b"".join(protocol.output(n, data) + protocol.keys(data) for n, data in enumerate(pieces))
    stream += protocol.snapshot({"cols": 80}, b"drawing") + protocol.control({"type": "steal"})
    decoder = Decoder(protocol.MAX_FRAME)
    found = [f for start in range(0, len(stream), size) for f in decoder.feed(stream[start : start + size])]

    assert [read_offset(payload) for kind, payload in found if kind == protocol.OUTPUT] == list(enumerate(pieces))
    assert [payload for kind, payload in found if kind == protocol.INPUT] == pieces
    assert protocol.read_snapshot(found[-2][1]) == ({"cols": 80}, b"drawing")
    assert protocol.read_control(found[-1][1]) == {"type": "steal"}


@pytest.mark.parametrize(
    "read",
    [
        lambda: list(Decoder(100).feed(b"\0\0\1\0")),
        lambda: list(Decoder(protocol.MAX_FRAME).feed(b"\0\0\0\0")),
        lambda: protocol.read_control(b"[1]"),
        lambda: protocol.read_control(b"\xff"),
        lambda: read_offset(b"1234567"),
        lambda: protocol.read_snapshot(b"\0\0\0\x09{}"),
    ],
)
def test_what_is_no_frame_is_refused(read: Any) -> None:
    with pytest.raises(BadFrame):
        read()
