"""What a person types at an attached terminal: keys for the session, and the few that are for us.

A prefix key (Ctrl+] unless told otherwise) and then a letter is for us; the prefix twice sends it once. Within a paste
nothing is for us: a text that holds the prefix must not detach anybody.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.errors import InvalidRequest

DEFAULT_PREFIX = "C-]"
_PASTE_BEGIN, _PASTE_END = b"\x1b[200~", b"\x1b[201~"
_COMMANDS = {b"d": "detach", b"s": "steal", b"r": "redraw", b"?": "help"}
HELP = "{prefix} then d: detach · s: take the keyboard · r: draw again · {prefix}: send {prefix} itself"


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

    def feed(self, data: bytes) -> list[bytes | str]:
        """Keys (bytes) and commands (`detach`, `steal`, `redraw`, `help`), in order."""
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
                elif byte == self.prefix:
                    keys.append(byte)
                else:
                    keys += bytes([self.prefix, byte])
                continue
            if byte == self.prefix and not self._pasting:
                self._prefixed = True
                continue
            keys.append(byte)
            if self._tail == _PASTE_BEGIN:
                self._pasting = True
            elif self._tail == _PASTE_END:
                self._pasting = False
        if keys:
            found.append(bytes(keys))
        return found
