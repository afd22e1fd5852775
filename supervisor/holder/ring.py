"""The last stretch of a terminal's output in a file of fixed size, addressed by absolute byte offsets.

Bytes keep the offset at which the child printed them for as long as the holder lives, so a reader that comes back asks
for "everything since N" and is told exactly what is gone. What must not regress: the file never grows, survives a
SIGKILL of its writer (it is a file, not memory, and is not mapped, so it costs the holder nothing), and a reader in
another process never takes overwritten bytes for old ones.

Layout: magic, capacity and end offset as 8 bytes each, big endian; from byte 64 on, capacity + GUARD bytes, where the
byte of offset N is at N mod (capacity + GUARD). The writer puts the bytes down before it moves the end, at most GUARD
at once, so bytes that the header promises are never the ones being overwritten.
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

GUARD = 65536
MINIMUM = 4096
MAXIMUM = 1 << 28
_MAGIC = b"PLRING1\n"
_HEADER = struct.Struct(">8sQQ")
_END = struct.Struct(">Q")
_END_AT = 16
_DATA_AT = 64


class Tail(NamedTuple):
    """`data` starts at the absolute offset `start`."""

    start: int
    data: bytes


class Ring:
    """The writing side; there is one, in the holder."""

    def __init__(self, fd: int, capacity: int) -> None:
        self._fd = fd
        self._room = capacity + GUARD
        self.capacity = capacity
        self.end = 0

    @classmethod
    def create(cls, path: str, capacity: int) -> Ring:
        """Replaces whatever is at `path`; raises OSError when the disk cannot hold all of it now."""
        capacity = max(MINIMUM, capacity)
        temporary = f"{path}.tmp"
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(temporary, flags, 0o600)
        try:
            _reserve(fd, _DATA_AT + capacity + GUARD)
            os.pwrite(fd, _HEADER.pack(_MAGIC, capacity, 0), 0)
            os.replace(temporary, path)
        except OSError:
            os.close(fd)
            os.unlink(temporary)
            raise
        return cls(fd, capacity)

    @property
    def start(self) -> int:
        return max(0, self.end - self.capacity)

    def append(self, data: memoryview) -> None:
        """At most GUARD bytes."""
        place = self.end % self._room
        first = min(len(data), self._room - place)
        os.pwrite(self._fd, data[:first], _DATA_AT + place)
        if first < len(data):
            os.pwrite(self._fd, data[first:], _DATA_AT)
        self.end += len(data)
        os.pwrite(self._fd, _END.pack(self.end), _END_AT)

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`, which lies between `start` and `end`; may stop where the ring wraps. What somebody
        has cut off the file is read as zeros, which draw nothing: whoever waits for it would wait for ever."""
        size = min(size, self.end - offset, self._room - offset % self._room)
        return os.pread(self._fd, size, _DATA_AT + offset % self._room).ljust(size, b"\0")

    def close(self) -> None:
        os.close(self._fd)


def read_tail(path: str, size: int | None = None) -> Tail:
    """The last `size` bytes at most of a ring, whether its writer lives or not; ValueError if it is no ring."""
    fd = os.open(
        path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    )  # whatever stands there, it does not block
    try:
        capacity, end = _read_header(fd)
        room = capacity + GUARD
        start = max(0, end - min(capacity, capacity if size is None else size))
        place, length = start % room, end - start
        data = os.pread(fd, min(length, room - place), _DATA_AT + place)
        data += os.pread(fd, length - len(data), _DATA_AT)
        # The writer may have gone on meanwhile; what it has overtaken is no longer what was there.
        kept = max(start, _read_header(fd)[1] - capacity)
    finally:
        os.close(fd)
    return Tail(min(kept, end), data[max(0, kept - start) :])


def _read_header(fd: int) -> tuple[int, int]:
    header = os.pread(fd, _HEADER.size, 0)
    if len(header) < _HEADER.size or not header.startswith(_MAGIC):
        raise ValueError("not a ring file")
    _magic, capacity, end = _HEADER.unpack(header)
    if capacity > MAXIMUM:
        raise ValueError("the ring file is too large")
    if os.fstat(fd).st_size < _DATA_AT + capacity + GUARD:
        raise ValueError("the ring file is truncated")
    return capacity, end


def _reserve(fd: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, size)
    else:
        os.ftruncate(fd, size)
