"""Full-text search over all transcripts of this machine, and token usage of our sessions, in a database of its own.

`search.db` is derived: it may be deleted at any time, and a damaged one is. Transcripts are read from the offset reached
before, in slices, on another thread than the supervisor's loop, with a connection of its own; nothing here touches the
main database. What must not regress: a transcript that was cut or replaced is read anew; the tokens of a message count
once, however many lines and forked transcripts repeat it; no query can be a syntax error. Conversations that `claude` made
elsewhere have no session (`ELSEWHERE`): they are read after ours and gently, are searched on request, count for no usage,
and are forgotten when their file is gone.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

from shared.errors import InvalidRequest, StorageFailed
from shared.foreign_file import odd
from supervisor.store.wal import USUAL_BYTES

SCHEMA = 1
SLICE_SECONDS = 0.2
"""How long one transaction of reading may take; between two of them a search gets its turn."""

BREATH_SECONDS = 0.01
"""Gently means: after so much work the same time of rest, so that the loop in the other thread is hardly held up."""

MAX_SLICE_BYTES = 64 * 1024 * 1024
ELSEWHERE = ""
USAGE_KEYS = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
"""The token counts of a reply that are summed up, by the names that Claude gives them."""


SNIPPET_WORDS = 24
_GAP = "\u200b"
_TABLES = """
CREATE TABLE IF NOT EXISTS files(
    path TEXT PRIMARY KEY, session TEXT NOT NULL, place INTEGER NOT NULL, inode INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS entries(
    id INTEGER PRIMARY KEY, path TEXT NOT NULL, session TEXT NOT NULL, conversation TEXT NOT NULL, role TEXT NOT NULL,
    uuid TEXT, at INTEGER);
CREATE INDEX IF NOT EXISTS entries_path ON entries(path);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(body, tokenize='unicode61 remove_diacritics 2');
CREATE TABLE IF NOT EXISTS usage(
    message TEXT PRIMARY KEY, session TEXT NOT NULL, day TEXT NOT NULL, model TEXT, input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL, cache_creation_input_tokens INTEGER NOT NULL,
    cache_read_input_tokens INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS usage_session ON usage(session, day);
"""
# Scripts that are written without spaces: each character is a word, and a query for several is a phrase.
_SPACELESS = re.compile("([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\u0e00-\u0eff])")


@dataclass(frozen=True)
class TranscriptRef:
    """One transcript to be searched. `side`: a subagent's, of which only the tokens count."""

    session: str
    conversation: str
    path: Path
    side: bool = False


@dataclass(frozen=True)
class Entry:
    """One line of a transcript, as the index keeps it: what is searched (`role` and `text`, or neither) and what it cost. `at` in
    milliseconds; `side`: said by a subagent."""

    role: str | None
    text: str
    uuid: str | None
    at: int | None
    side: bool
    message_id: str | None
    model: str | None
    usage: dict[str, int] | None


class Lines(Protocol):
    """A transcript that is read from a place on."""

    @property
    def offset(self) -> int:
        """Behind the last line that was handed out."""
        ...

    @property
    def behind(self) -> bool:
        """Whether the last reading stopped before the end."""
        ...

    def entries(self, most: float) -> Iterator[Entry | None]:
        """What stands there, about so many bytes of it; None for a line of which nothing is kept."""
        ...


class Index:
    """All methods block; call them on another thread than the loop's. `read` opens a transcript at an offset."""

    def __init__(self, path: Path, read: Callable[[Path, int], Lines]) -> None:
        self._path = path
        self._read = read
        self._lock = threading.Lock()
        self._open: sqlite3.Connection | None = None
        self._whole: dict[str, tuple[str, int, int]] = {}
        """What is read to its end: the session, inode and size of that moment."""

        self.rebuilt = 0
        """How often the file was replaced by an empty one."""

    def close(self) -> None:
        """Let the file go."""
        with self._lock:
            if self._open is not None:
                self._open.close()
                self._open = None

    # -- reading in --------------------------------------------------------------------------------------------------

    def update(self, refs: Iterable[TranscriptRef], seconds: float, gentle: bool = False) -> bool:
        """Read what is new, for about so long; whether all of it was read. Raise StorageFailed."""
        end = time.monotonic() + seconds
        for ref in refs:
            if (now := _facts(ref)) is None or self._whole.get(str(ref.path)) == now:
                continue  # only what is read takes time: on a slow machine, too, there is an end
            while not self._slice(ref, now, gentle):
                if time.monotonic() > end:
                    return False
            if time.monotonic() > end:
                return False
        return True

    def keep_elsewhere(self, paths: Collection[Path]) -> None:
        """Forget the conversations from elsewhere that are not among these: somebody has removed them."""
        with self._lock, self._database() as db:
            known = [Path(row[0]) for row in db.execute("SELECT path FROM files WHERE session=?", (ELSEWHERE,))]
            for path in set(known) - set(paths):
                self._forget(db, path)

    def _slice(self, ref: TranscriptRef, now: tuple[str, int, int], gentle: bool) -> bool:
        """One transaction; whether the transcript is read to its end."""
        _, inode, size = now
        with self._lock, self._database() as db:
            row = db.execute("SELECT place, inode, session FROM files WHERE path=?", (str(ref.path),)).fetchone()
            place = int(row[0]) if row else self._moved(db, ref, inode)
            if row and (size < place or (int(row[1]), row[2]) != (inode, ref.session)):
                self._forget(db, ref.path)
                place = 0
            if place >= size:
                self._whole[str(ref.path)] = now
                return True
            lines = self._read(ref.path, place)
            end = time.monotonic() + SLICE_SECONDS
            breath = time.monotonic() + BREATH_SECONDS
            done = True
            for entry in lines.entries(MAX_SLICE_BYTES):
                if entry is not None:
                    _note(db, ref, entry)
                if time.monotonic() > end:
                    done = False
                    break
                if gentle and time.monotonic() > breath:
                    time.sleep(BREATH_SECONDS)
                    breath = time.monotonic() + BREATH_SECONDS
            db.execute(
                "INSERT OR REPLACE INTO files VALUES(?,?,?,?)",
                (str(ref.path), ref.session, lines.offset, inode),
            )
            done = done and not lines.behind
            if done:
                self._whole[str(ref.path)] = now
            return done

    def _moved(self, db: sqlite3.Connection, ref: TranscriptRef, inode: int) -> int:
        """Claude takes a transcript along to another folder: what was read of it stays read. Return up to where that was."""
        for path, place in db.execute(
            "SELECT path, place FROM files WHERE session=? AND inode=?", (ref.session, inode)
        ).fetchall():
            if Path(path).name == ref.path.name and not Path(path).exists():
                self._whole.pop(path, None)
                for table in ("files", "entries"):
                    db.execute(f"UPDATE {table} SET path=? WHERE path=?", (str(ref.path), path))
                return int(place)
        return 0

    def _forget(self, db: sqlite3.Connection, path: Path) -> None:
        self._whole.pop(str(path), None)
        db.execute("DELETE FROM words WHERE rowid IN (SELECT id FROM entries WHERE path=?)", (str(path),))
        db.execute("DELETE FROM entries WHERE path=?", (str(path),))
        db.execute("DELETE FROM files WHERE path=?", (str(path),))

    # -- asking ------------------------------------------------------------------------------------------------------

    def search(
        self, query: str, limit: int, session: str | None, everywhere: bool = False, skipped: int = 0
    ) -> tuple[list[dict[str, Any]], bool]:
        """The best matches behind the first `skipped`, each with a snippet and where its marks are, and whether there are more.
        Raise InvalidRequest, StorageFailed.

        With `everywhere` also conversations from elsewhere; their `sessionId` is None. `path` is the transcript.
        """
        match = expression(query)
        where, values = "words MATCH ?", [match]
        if session:
            where += " AND e.session = ?"
            values.append(session)
        elif not everywhere:
            where += " AND e.session <> ?"
            values.append(ELSEWHERE)
        with self._lock, self._database() as db:
            rows = db.execute(
                f"SELECT e.session, e.conversation, e.role, e.uuid, e.at, e.path, snippet(words, 0, '\x02', '\x03', '…', ?) "
                f"FROM words JOIN entries e ON e.id = words.rowid WHERE {where} ORDER BY rank, e.id "
                "LIMIT ? OFFSET ?",
                (SNIPPET_WORDS, *values, limit + 1, max(0, skipped)),
            ).fetchall()
        found = [
            {
                "sessionId": owner or None,
                "conversationId": conversation,
                "role": role,
                "id": uuid,
                "at": at,
                "path": path,
                **_marks(snippet),
            }
            for owner, conversation, role, uuid, at, path, snippet in rows[:limit]
        ]
        return found, len(rows) > limit

    def usage(self, by: str, session: str | None) -> list[dict[str, Any]]:
        """Tokens by `day` (of this machine's time zone) or by `session`, newest day first."""
        column = {"day": "day", "session": "session"}[by]
        sums = ", ".join(f"SUM({key})" for key in USAGE_KEYS)
        where = "WHERE session = ?" if session else ""
        with self._lock, self._database() as db:
            rows = db.execute(
                f"SELECT {column}, COUNT(*), {sums}, MIN(day), MAX(day) FROM usage {where} GROUP BY {column} "
                f"ORDER BY MAX(day) DESC, {column}",
                (session,) if session else (),
            ).fetchall()
        return [
            {
                ("day" if by == "day" else "sessionId"): row[0],
                "replies": row[1],
                "usage": dict(zip(USAGE_KEYS, row[2:6], strict=True)),
                "from": row[6],
                "to": row[7],
            }
            for row in rows
        ]

    # -- the file ----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _database(self) -> Any:
        """A transaction. A file that is damaged is replaced by an empty one, which fills again."""
        try:
            db = self._open or self._connect()
            self._open = db
            with db:
                yield db
        except sqlite3.OperationalError as error:
            raise StorageFailed(f"The search index cannot be used: {error}.") from error
        except sqlite3.DatabaseError as error:
            self._replace()
            raise StorageFailed("The search index was damaged and is being rebuilt. Ask again.") from error

    def _connect(self) -> sqlite3.Connection:
        try:
            return self._connect_once()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            self._replace()
            return self._connect_once()

    def _connect_once(self) -> sqlite3.Connection:
        self._path.touch(mode=0o600)
        self._path.chmod(0o600)
        db = sqlite3.connect(self._path, timeout=5.0, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=OFF")
            db.execute(f"PRAGMA journal_size_limit={USUAL_BYTES}")
            db.execute("PRAGMA cache_size=-1000")
            if db.execute("PRAGMA user_version").fetchone()[0] not in (0, SCHEMA):
                raise sqlite3.DatabaseError("another version")
            db.executescript(_TABLES)
            db.execute(f"PRAGMA user_version={SCHEMA}")
        except BaseException:
            db.close()
            raise
        return db

    def _replace(self) -> None:
        self._whole.clear()
        self.rebuilt += 1
        if self._open is not None:
            self._open.close()
            self._open = None
        for ending in ("", "-wal", "-shm"):
            Path(f"{self._path}{ending}").unlink(missing_ok=True)


def _facts(ref: TranscriptRef) -> tuple[str, int, int] | None:
    """Whose it is, inode and size; None when it is gone, or no file."""
    try:
        facts = ref.path.lstat()
    except OSError:
        return None
    if odd(facts.st_mode):
        return None
    return ref.session, facts.st_ino, facts.st_size


def _note(db: sqlite3.Connection, ref: TranscriptRef, entry: Entry) -> None:
    if entry.usage and entry.message_id and ref.session != ELSEWHERE:
        at = entry.at or int(time.time() * 1000)
        day = datetime.fromtimestamp(at / 1000).strftime("%Y-%m-%d")
        counts = [entry.usage.get(key, 0) for key in USAGE_KEYS]
        more = ", ".join(f"{key}=MAX({key}, excluded.{key})" for key in USAGE_KEYS)
        db.execute(
            f"INSERT INTO usage VALUES(?,?,?,?,?,?,?,?) ON CONFLICT(message) DO UPDATE SET {more}",
            (entry.message_id, ref.session, day, entry.model, *counts),
        )
    if entry.role is None or ref.side or entry.side or not entry.text:
        return
    cursor = db.execute(
        "INSERT INTO entries(path, session, conversation, role, uuid, at) VALUES(?,?,?,?,?,?)",
        (str(ref.path), ref.session, ref.conversation, entry.role, entry.uuid, entry.at),
    )
    db.execute("INSERT INTO words(rowid, body) VALUES(?,?)", (cursor.lastrowid, spaced(entry.text)))


def spaced(text: str) -> str:
    """The text with scripts that have no spaces cut into words."""
    return _SPACELESS.sub(rf"{_GAP}\1{_GAP}", text)


def expression(query: str) -> str:
    """What FTS5 is asked: every word, as the beginning of one; text in double quotes as it is. Raise InvalidRequest."""
    terms: list[str] = []
    for number, part in enumerate(query.split('"')):
        if number % 2:
            terms += [f'"{spaced(part)}"'] if re.search(r"\w", part) else []
        else:
            terms += [f'"{spaced(word)}"*' for word in part.split() if re.search(r"\w", word)]
    if not terms:
        raise InvalidRequest("Say what to search for: at least one letter or digit.", code="invalid_query")
    return " ".join(terms[:32]).replace("\0", " ")


def _marks(snippet: str) -> dict[str, Any]:
    """The snippet without its marks, and where they were: [start, end) in characters."""
    text, start = "", 0
    marks: list[list[int]] = []
    for character in snippet.replace(_GAP, ""):
        if character == "\x02":
            start = len(text)
        elif character == "\x03":
            if marks and marks[-1][1] == start:
                marks[-1][1] = len(text)
            else:
                marks.append([start, len(text)])
        else:
            text += character
    return {"snippet": text, "marks": marks}


def encode(value: Any) -> bytes:
    """JSON, for export."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2)
