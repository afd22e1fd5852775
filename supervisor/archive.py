"""The members of a tar archive that somebody else may have made: a backup, or a session from another node.

What must not regress: no name leads out of the folder that it is put in, also none that joins as an absolute path does
(`home//etc`); what is no file is refused, and so is one that claims to be longer than what was sent (a sparse one).
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO


class OddMember(tarfile.TarError):
    """The archive holds what none of ours does."""


def members(opened: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    """Name and content of each, in one pass. Raise OddMember, or another tarfile.TarError."""
    for member in opened:
        content = opened.extractfile(member) if member.isreg() and not member.issparse() else None
        if content is None or not _inner(member.name):
            raise OddMember(f"it holds something that we never put there: {member.name[:200]!r}")
        yield member.name, content


def _inner(name: str) -> bool:
    """Whether it is a path below wherever it is put, in its one spelling."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and path.as_posix() == name != "." and "\0" not in name
