"""What people at a terminal and the supervisor say to each other over `terminal.sock`, version 1.

A frame is `u32 big-endian length | 1 byte type | payload`, the length counting type and payload:

    J  one JSON object                       both ways
    O  u64 absolute offset, then raw output  supervisor to viewer
    S  u32 length of a JSON head, the head, then bytes that draw the whole screen   supervisor to viewer
    I  raw keyboard input                    viewer to supervisor

The first frame of a viewer is a `Hello` (J); it is answered by `welcome`, or by `error` and the end. Then come a snapshot
and every byte of output after it. Offsets without a gap are a promise: a viewer that is too slow is not sent what it
missed but a fresh snapshot, and so is everybody after a resize or when a new process has taken over.

From the supervisor, by `type`:

- `welcome {v, session, mode, state, live, waiting, generation, reason, writer, you}`
- `snapshot {cols, rows, cursor, offset, title, generation, cropped, asked}`: the head of S. `cropped`: the viewer's own
  screen is smaller than the session's, so it gets no output but a drawing of the part that fits, at most ten times a
  second. `asked`: the viewer asked for it, and has missed nothing.
- `state {state, live, waiting, generation, reason}`: `live` is whether there is a process to look at; `waiting` is
  `{for, title}` or null; `reason` why the session ended.
- `writer {writer, you}`: who has the keyboard, `{actor, since}` or null, and whether that is the reader of this.
- `error {code, message}`: `not_writer`, `no_process`, `not_typed`, `keyboard_held`, `bad_frame`, or one of shared.errors.

From a viewer, by `type`: `resize {cols, rows}` (the writer only), `steal` (take the keyboard), `release` (give it up),
`snapshot` (draw again), `viewers {count}` (how many people look through this connection). The keyboard belongs to the
first who came to write, is free when he leaves, and then goes to the first who types.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from shared.bus.messages import Wire
from shared.frames import LENGTH, BadFrame, at_offset, frame

VERSION = 1
MAX_FRAME = 8 * 1024 * 1024
MAX_INPUT = 256 * 1024
"""Largest frame that a viewer may send: a person's paste."""

BEHIND_BYTES = 1024 * 1024
"""How far a viewer may be behind before it is skipped ahead with a snapshot; what it costs in memory at most."""

CONTROL, OUTPUT, SNAPSHOT, INPUT = b"J", b"O", b"S", b"I"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Hello(Wire, frozen=True, omit_defaults=True):
    """Who comes to look at, or to type into, which session, and with what screen (0: any size). `keyboard`: whether to have
    the keyboard at once if it is free; one who comes back without having had it leaves it to the one who had."""

    v: int
    session: str
    mode: Literal["read", "write"] = "read"
    actor: str = "local"
    cols: int = 0
    rows: int = 0
    keyboard: bool = True


def control(message: Any) -> bytes:
    """A J frame."""
    return frame(CONTROL, _encode(message))


def output(offset: int, data: bytes) -> bytes:
    """An O frame."""
    return frame(OUTPUT, at_offset(offset, data))


def snapshot(head: dict[str, Any], drawing: bytes) -> bytes:
    """An S frame."""
    encoded = _encode(head)
    return frame(SNAPSHOT, LENGTH.pack(len(encoded)) + encoded + drawing)


def keys(data: bytes) -> bytes:
    """An I frame."""
    return frame(INPUT, data)


def read_control(payload: bytes) -> dict[str, Any]:
    """The object in a J frame. Raise BadFrame."""
    try:
        return _decode(payload)
    except msgspec.DecodeError as error:
        raise BadFrame("not a JSON object") from error


def read_snapshot(payload: bytes) -> tuple[dict[str, Any], bytes]:
    """(head, drawing) of an S frame. Raise BadFrame."""
    if len(payload) < LENGTH.size:
        raise BadFrame("a snapshot without a head")
    end = LENGTH.size + LENGTH.unpack_from(payload)[0]
    if end > len(payload):
        raise BadFrame("a snapshot with half a head")
    return read_control(payload[LENGTH.size : end]), payload[end:]
