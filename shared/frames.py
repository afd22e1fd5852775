"""Frames on a stream: `u32 big-endian length | 1 byte type | payload`, the length counting type and payload.

The sockets of holders and of terminals speak in them; what the types mean stands with each protocol. What must not regress: a
frame survives any cut of the stream, and a length that cannot be one is told before anything is kept for it.

Standard library only: the holder imports this.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

LENGTH = struct.Struct(">I")
OFFSET = struct.Struct(">Q")
CHUNK = 65536
"""How much is read of a stream at once."""


class BadFrame(Exception):
    """The peer does not speak this protocol."""


def frame(kind: bytes, payload: bytes) -> bytes:
    """One frame."""
    return LENGTH.pack(1 + len(payload)) + kind + payload


def at_offset(offset: int, data: bytes) -> bytes:
    """A payload that begins with the absolute offset of its bytes."""
    return OFFSET.pack(offset) + data


def read_offset(payload: bytes) -> tuple[int, bytes]:
    """(offset, bytes) of such a payload. Raise BadFrame."""
    if len(payload) < OFFSET.size:
        raise BadFrame("an output frame without an offset")
    return OFFSET.unpack_from(payload)[0], payload[OFFSET.size :]


class Decoder:
    """Cuts a stream into frames of at most `limit` bytes; holds one frame at most."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """(type, payload) of every frame that is complete. Raise BadFrame as soon as a length cannot be one."""
        self._buffer += data
        while len(self._buffer) >= LENGTH.size:
            length: int = LENGTH.unpack_from(self._buffer)[0]
            if not 1 <= length <= self._limit:
                raise BadFrame(f"a frame of {length} bytes")
            end = LENGTH.size + length
            if len(self._buffer) < end:
                return
            kind, payload = bytes(self._buffer[4:5]), bytes(self._buffer[5:end])
            del self._buffer[:end]
            yield kind, payload
