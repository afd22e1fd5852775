"""One file with all that a home holds, made while it is in use, and put back into an empty one (`python -m supervisor backup`).

The file is a tar archive: the database as of one moment, the files of home and sessions, Claude's transcripts of its sessions if
they are wanted, and last a manifest with the hash of each. It holds tokens and prompts, so it is for its owner alone (0600).
What must not regress: a backup is given its name only when it has been read back; nothing is restored over a home that is in use,
or that holds anything; what is restored names no process.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from shared import __version__, database
from shared.config import load
from shared.errors import Conflict, InvalidRequest, StorageFailed
from shared.paths import Paths
from supervisor.archive import members
from supervisor.claude import command_line
from supervisor.instance import Ownership
from supervisor.session import attachments
from supervisor.store import backup
from supervisor.store.store import Store, now_ms

MANIFEST = "manifest.json"
DATABASE = "pilotlight.db"
LEFT_OUT = frozenset({"run", "logs", "cache", "ring", "holder.lock", "holder.json", "exit.json", "print.jsonl"})
"""What belongs to a process, or can be made again."""

_BLOCK = 1 << 20


class Manifest(msgspec.Struct, rename="camel", kw_only=True):
    """What is in a backup. `files` are hashes (SHA-256, hex) by name; `transcripts` says of those which session each is of."""

    version: str
    made_at: int
    database_version: int
    sessions: int
    messages: int
    events: int
    files: dict[str, str]
    transcripts: dict[str, str] | None = None


def make(paths: Paths, environment: Mapping[str, str], target: Path, transcripts: bool) -> Manifest:
    """Write a backup and read it back. Raise StorageFailed, Conflict when the file is there, InvalidRequest without a home."""
    if not paths.database.exists():
        raise InvalidRequest(f"There is nothing to back up: {paths.database} does not exist.", code="no_home")
    if target.exists():
        raise Conflict(f"{target} exists already.", code="file_exists")
    making = target.with_name(f"{target.name}.making")
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".pilotlight-") as scratch:
            manifest = _write(paths, environment, making, Path(scratch), transcripts)
            if verify(making) != manifest:
                raise StorageFailed(f"The backup {making} does not read back as it was written.")
        making.rename(target)
    except OSError as error:
        raise StorageFailed(f"The backup cannot be written: {error}.") from error
    finally:
        making.unlink(missing_ok=True)
    return manifest


def _write(paths: Paths, environment: Mapping[str, str], making: Path, scratch: Path, transcripts: bool) -> Manifest:
    copied = scratch / DATABASE
    found = backup.copy(paths.database, copied)
    files: dict[str, str] = {}
    descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as raw, tarfile.open(fileobj=raw, mode="w:gz", compresslevel=3) as archive:
        _add(archive, f"home/{DATABASE}", copied.read_bytes(), files)
        for path, name in _home_files(paths):
            if (data := _bytes(path)) is not None:
                _add(archive, f"home/{name}", data, files)
        if paths.config_file.parent != paths.home and (data := _bytes(paths.config_file)) is not None:
            _add(archive, "config.yaml", data, files)
        spoken = _transcripts(copied, scratch, paths, environment) if transcripts else None
        for name, path in (spoken or {}).items():
            if (data := _bytes(path)) is not None:
                whole = data[: data.rfind(b"\n") + 1]  # its last line may be half written
                _add(archive, f"transcripts/{name}", whole, files)
        manifest = Manifest(
            version=__version__,
            made_at=now_ms(),
            database_version=database.read_version(copied) or 0,
            sessions=found.sessions,
            messages=found.messages,
            events=found.events,
            files=files,
            transcripts=None if spoken is None else {name: str(path) for name, path in spoken.items()},
        )
        _add(archive, MANIFEST, msgspec.json.encode(manifest), {})
        archive.close()
        raw.flush()
        os.fsync(raw.fileno())
    return manifest


def _add(archive: tarfile.TarFile, name: str, data: bytes, files: dict[str, str]) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = len(data), 0o600, int(time.time())
    archive.addfile(member, io.BytesIO(data))
    files[name] = hashlib.sha256(data).hexdigest()


def _home_files(paths: Paths) -> Iterator[tuple[Path, str]]:
    """The files of the home that a copy can be taken of: no databases, no sockets, nothing of a process."""
    for folder, below, names in os.walk(paths.home):
        below[:] = sorted(name for name in below if name not in LEFT_OUT and Path(folder, name) != paths.log_dir)
        for name in sorted(names):
            path = Path(folder, name)
            known = path.relative_to(paths.home)
            passing = name in LEFT_OUT or ".db" in name or name.endswith((".tmp", ".new", ".answer", ".making"))
            if not passing or attachments.FOLDER in known.parts[:-1]:  # their names are a person's
                yield path, known.as_posix()


def _bytes(path: Path) -> bytes | None:
    """What is in a plain file; None when it is none, or has gone meanwhile."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with open(descriptor, "rb") as file:
        return file.read() if stat.S_ISREG(os.fstat(descriptor).st_mode) else None


def _transcripts(copied: Path, scratch: Path, paths: Paths, environment: Mapping[str, str]) -> dict[str, Path]:
    """Claude's transcripts of our sessions, ended ones too, by their place in Claude's home."""
    home = command_line.claude_home(load(paths.config_file, environment).claude, environment)
    reading = scratch / "reading.db"
    reading.write_bytes(copied.read_bytes())  # opening it may change it
    store, found = Store(reading), {}
    try:
        for record in store.sessions(include_ended=True):
            path = Path(record.transcript) if record.transcript else None
            if path is not None and path.is_relative_to(home):
                found[path.relative_to(home).as_posix()] = path
    finally:
        store.close()
    return found


def verify(archive: Path) -> Manifest:
    """Read a backup from its beginning to its end. Raise StorageFailed when it is not whole."""
    found: dict[str, str] = {}
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".pilotlight-") as scratch:
        manifest: Manifest | None = None
        for name, data in _members(archive):
            if name == MANIFEST:
                manifest = msgspec.json.decode(data, type=Manifest)
                continue
            found[name] = hashlib.sha256(data).hexdigest()
            if name == f"home/{DATABASE}":
                (Path(scratch) / DATABASE).write_bytes(data)
        if manifest is None or found != manifest.files:
            raise StorageFailed(f"{archive} is not a whole backup of pilotlight.", code="backup_damaged")
        copied = backup.content(Path(scratch) / DATABASE)
    if (copied.sessions, copied.messages) != (manifest.sessions, manifest.messages):
        raise StorageFailed(f"The database in {archive} is not the one that was put there.", code="backup_damaged")
    return manifest


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(archive, "r:gz") as opened:
            for name, file in members(opened):
                yield name, file.read()
    except (tarfile.TarError, EOFError, OSError, msgspec.DecodeError) as error:
        raise StorageFailed(f"{archive} cannot be read: {error}.", code="backup_damaged") from error


def restore(paths: Paths, environment: Mapping[str, str], archive: Path) -> dict[str, Any]:
    """Put a backup back into a home that holds nothing. Raise Unavailable when it is in use, Conflict when it holds something."""
    manifest = verify(archive)
    if manifest.database_version > database.VERSION:
        raise StorageFailed(
            f"The backup was made by a newer pilotlight ({manifest.version}). Install that version, or a later one, and restore "
            "with it.",
            code="database_newer",
        )
    paths.prepare()
    ownership = Ownership.take(paths, now_ms())
    try:
        if paths.database.exists() or any(paths.sessions_dir.iterdir()):
            raise Conflict(
                f"{paths.home} is not empty. Move it away (`pilotlight down --all` first), or set PILOTLIGHT_HOME to another "
                "folder, and restore again.",
                code="home_not_empty",
            )
        return _put_back(paths, environment, archive, manifest)
    except OSError as error:
        raise StorageFailed(f"It cannot be restored: {error}.") from error
    finally:
        ownership.release()


def _put_back(paths: Paths, environment: Mapping[str, str], archive: Path, manifest: Manifest) -> dict[str, Any]:
    for name, data in _members(archive):
        top, _, rest = name.partition("/")
        if top == "home" and rest != DATABASE:
            _put(paths.home / rest, data)
        elif name == "config.yaml":
            _put(paths.config_file, data, over=False)
    claude_home = command_line.claude_home(load(paths.config_file, environment).claude, environment)
    making, written = paths.database.with_name(f"{DATABASE}.restoring"), 0
    for name, data in _members(archive):
        top, _, rest = name.partition("/")
        if top == "transcripts":
            written += _put(claude_home / rest, data, over=False)
        elif name == f"home/{DATABASE}":
            _put(making, data)
    store = Store(making)
    try:
        sessions, waiting = backup.put_to_sleep(store)
        _point_at(store, manifest, claude_home)
    finally:
        store.close()
    making.rename(paths.database)  # last: a home with a database is one that was restored as a whole
    return {
        "sessions": sessions,
        "waiting": waiting,
        "transcripts": written,
        "transcriptsKept": len([name for name in manifest.files if name.startswith("transcripts/")]) - written,
    }


def _put(path: Path, data: bytes, over: bool = True) -> bool:
    """Write one file, 0600. Whether it was written: without `over` one that is there stays."""
    if path.exists() and not over:
        return False
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    return True


def _point_at(store: Store, manifest: Manifest, claude_home: Path) -> None:
    """The transcripts that came along lie in the Claude home of this machine."""
    if manifest.transcripts is None:
        return
    moved = {path: claude_home / name for name, path in manifest.transcripts.items()}
    with store.transaction(durable=True):
        for record in store.sessions(include_ended=True):
            if record.transcript in moved:
                record.transcript = str(moved[record.transcript])
                store.save_session(record)


def run(arguments: Namespace, paths: Paths, environment: Mapping[str, str]) -> dict[str, Any]:
    """What the command line asks for, as plain values."""
    file = Path(arguments.file).absolute()
    if arguments.what == "restore":
        return restore(paths, environment, file)
    manifest = make(paths, environment, file, arguments.transcripts)
    told: dict[str, Any] = msgspec.to_builtins(manifest)
    return {**told, "files": len(manifest.files), "transcripts": len(manifest.transcripts or {}), "file": str(file)}
