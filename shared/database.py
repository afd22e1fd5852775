"""The version of the main database, told without opening it: SQLite keeps `PRAGMA user_version` in the file's header.

`VERSION` is the newest that this program knows (supervisor/store/migrations.py holds a step for each).
What must not regress: whoever meets a newer one says the same sentence, and leaves it as it is.
"""

from __future__ import annotations

from pathlib import Path

from shared.foreign_file import open_foreign

VERSION = 4

_MAGIC = b"SQLite format 3\0"
_VERSION_AT = 60
_HEADER_BYTES = 100
"""https://www.sqlite.org/fileformat2.html#the_database_header"""


def read_version(path: Path) -> int | None:
    """The version of this database; None when there is none, or what is there is not one. Raise OSError."""
    try:
        with open_foreign(path, follow=True) as file:
            header = file.read(_HEADER_BYTES)
    except FileNotFoundError:
        return None
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        return None
    return int.from_bytes(header[_VERSION_AT : _VERSION_AT + 4], "big", signed=True)


def copy_name(path: Path, version: int, when: str) -> Path:
    """Where the copy is put that is made before a database of this version is changed."""
    return path.with_name(f"{path.name}.version-{version}-{when}")


def copies(path: Path) -> list[Path]:
    """The copies that were made before changes, oldest first."""
    return sorted(path.parent.glob(f"{path.name}.version-*-*"), key=lambda copy: copy.name.rpartition(".version-")[2])


def too_new(path: Path, found: int) -> str:
    """What is wrong with a newer database, and what to do."""
    usable = [copy for copy in copies(path) if (read_version(copy) or 0) <= VERSION]
    back = (
        f", or put {usable[-1].name} in its place: it is from before, and what has happened since is lost"
        if usable
        else ""
    )
    return (
        f"The database {path} was written by a newer pilotlight (it has version {found}, this pilotlight knows {VERSION}). "
        f"Nothing was changed. Install that version again{back}."
    )
