"""What a person types at an attached terminal: keys for the session, and the few that are for us.

A prefix key (Ctrl+] unless told otherwise) and then a letter is for us; the prefix twice sends it once. Within a paste
nothing is for us: a text that holds the prefix must not detach anybody.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from shared.errors import InvalidRequest

DEFAULT_PREFIX = "C-]"
_PASTE_BEGIN, _PASTE_END = b"\x1b[200~", b"\x1b[201~"
_COMMANDS = {b"d": "detach", b"s": "steal", b"r": "redraw", b"[": "scroll", b"?": "help"}
HELP = "{prefix} then d: detach · [: scroll back · s: take the keyboard · r: draw again · Ctrl+C: send it · {prefix}: itself"
HINT = "{prefix} d leaves, and the session goes on; {prefix} ? lists more"
GUARDED = "{key} again ends Claude. {prefix} d leaves the session, {prefix} {key} sends it."
GUARD_SECONDS = 2.0
"""Within so long a second Ctrl+C, or Ctrl+D, ends Claude (measured: it asks for the second one for a little less)."""

_ENDS = {0x03: "Ctrl+C", 0x04: "Ctrl+D"}


def prefix_byte(name: str) -> int:
    """The byte of a key written as `C-]` or `C-a`. Raise InvalidRequest for anything else."""
    letter = name[2:].upper() if name[:2].upper() == "C-" else ""
    if len(letter) != 1 or not 0x40 < ord(letter) < 0x60:
        raise InvalidRequest(f"{name!r} is no key with Ctrl: write it as C-] or C-a.", code="invalid_key")
    return ord(letter) & 0x1F


def prefix_name(byte: int) -> str:
    """For people."""
    return f"Ctrl+{chr(byte | 0x40)}"


@dataclass
class Keyboard:
    """Cuts what is typed into keys for the session and commands for us, however the reads fall."""

    prefix: int
    _prefixed: bool = False
    _pasting: bool = False
    _tail: bytes = field(default=b"", repr=False)
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    _ending: tuple[int, float] = field(default=(0, float("-inf")), repr=False)
    """Which of the keys that end Claude was pressed last, and when."""

    def feed(self, data: bytes) -> list[bytes | str]:
        """Keys (bytes) and commands (`detach`, `steal`, `redraw`, `scroll`, `help`, `guarded Ctrl+C`), in order."""
        found: list[bytes | str] = []
        keys = bytearray()
        for byte in data:
            self._tail = (self._tail + bytes([byte]))[-len(_PASTE_BEGIN) :]
            if self._prefixed:
                self._prefixed = False
                command = _COMMANDS.get(bytes([byte]).lower())
                if command is not None:
                    if keys:
                        found.append(bytes(keys))
                        keys.clear()
                    found.append(command)
                elif byte == self.prefix or byte in _ENDS:
                    keys.append(byte)
                else:
                    keys += bytes([self.prefix, byte])
                continue
            if byte == self.prefix and not self._pasting:
                self._prefixed = True
                continue
            if byte in _ENDS and not self._pasting and self._would_end(byte):
                if keys:
                    found.append(bytes(keys))
                    keys.clear()
                found.append(f"guarded {_ENDS[byte]}")
                continue
            keys.append(byte)
            if self._tail == _PASTE_BEGIN:
                self._pasting = True
            elif self._tail == _PASTE_END:
                self._pasting = False
        if keys:
            found.append(bytes(keys))
        return found

    def _would_end(self, byte: int) -> bool:
        before, at = self._ending
        now = self.clock()
        self._ending = (byte, now)
        return before == byte and now - at < GUARD_SECONDS
