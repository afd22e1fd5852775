"""What the holder and the supervisor say to each other over the holder's unix socket, version 1.

A frame is `u32 big-endian length | 1 byte type | payload`, the length counting type and payload. Type `J` is one JSON
object, type `O` is output: `u64` absolute offset, then the raw bytes. Requests are `J` frames
`{"seq": int, "op": str, ...}`; each is answered once, not necessarily in order, by `{"seq", "ok": true, ...}` or
`{"seq", "ok": false, "error": {"code", "message"}}`. Events are `J` frames without `seq`.

Ops:

- `hello`: what holder.json says, `cols`, `rows`, `ring_start`, `ring_end`.
- `subscribe {offset}`: `offset` where it begins; `O` frames follow, then live ones; a `gap` event where bytes are lost.
- `write {id, data: base64, timeout: s}`: `written`. Typed at most once per id: a repeated id gets the first answer and
  `duplicate: true`. Errors `timeout`, `tty_closed`, `exited` carry `written`, the rest is dropped; after `busy`, and after
  any error with `written` 0, nothing was typed and the id may be used again.
- `resize {cols, rows}`: the size it became, within 20-500 x 5-200.
- `signal {signal, scope: child | group | tree}`: `signalled`, how many processes, or groups, were sent it.
- `lock {paths}`: from now on these locks stand for the child, and no others but the session's own: the child has gone on
  to another transcript. `locked` if one is taken, and then nothing has changed. (An older holder has no such op.)
- `stat`: `state` (running, stopped, exited), `exit`, `tty_closed`, `stopping`, `pending_writes`, `clients`, and the
  sizes and offsets of `hello`.
- `stop {grace: s}`: answered at once. HUP to the child, TERM and then KILL to its tree, `grace` seconds apart.

Events: `{"event": "gap", "from", "to"}`; `{"event": "exit", ...}` with what exit.json says, when the whole tree is
gone, after which the holder ends; `{"event": "refused", "error"}` to one client too many. A frame that is no frame, no
JSON or too long costs its sender the connection, and nobody else anything.

A holder lives on across upgrades of the supervisor, and is replaced between two turns when its version is another. Until then
both have to get on: frames, `hello`, `subscribe`, `write`, `stat`, `stop` and the events stay as they are in every version.

Standard library and `shared.frames` only: the holder imports this.
"""

from __future__ import annotations

import json
from typing import Any

from shared.frames import BadFrame, at_offset, frame

PROTOCOL = 1
MAX_FRAME = 1 << 20
MAX_WRITE = 700_000
READY_FD = "PILOTLIGHT_READY_FD"
COLS = (20, 500)
ROWS = (5, 200)

JSON = b"J"
OUTPUT = b"O"


def encode_json(message: dict[str, Any]) -> bytes:
    payload = json.dumps(message, separators=(",", ":")).encode()
    return frame(JSON, payload)


def encode_output(offset: int, data: bytes) -> bytes:
    return frame(OUTPUT, at_offset(offset, data))


def decode_json(payload: bytes) -> dict[str, Any]:
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise BadFrame("not JSON") from error
    if not isinstance(message, dict):
        raise BadFrame("not a JSON object")
    return message
