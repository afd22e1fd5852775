"""A database of every earlier version is opened and keeps what it says; what is newer, or cannot be copied, stays as it is.

`databases/version-N.db` was written by the program of that time, with the real CLI: a session at work with a message under way
and two that wait, one that sleeps, one that has ended; a conversation that was left with /clear, an answered permission, keys
and settings. Version 0 was written by 2bb5f8a, which had no versions yet; versions 1 to 3 are what 8401b21, 3f4cb2b and 7f419c3
have made of it.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shared import database
from shared.errors import StorageFailed
from supervisor.pool.recovery import open_store
from supervisor.store import migrations
from supervisor.store.migrations import STEPS
from supervisor.store.quarantine import set_aside
from supervisor.store.sqlite import Connection, Damaged
from supervisor.store.store import MessageRecord, SessionRecord, Store
from tests.unit.cli.test_double import app_of

DATABASES = Path(__file__).parent / "databases"
ROOT = Path(__file__).parents[3]
AT_WORK = "3a453e23-1040-4cd1-a3cd-571c91675927"


@pytest.fixture(params=range(len(STEPS)))
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A home's database of each earlier version."""
    path = tmp_path / "pilotlight.db"
    shutil.copyfile(DATABASES / f"version-{request.param}.db", path)
    return path


def rows(path: Path, table: str) -> list[tuple[Any, ...]]:
    db = sqlite3.connect(path)
    found = db.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
    db.close()
    return found


def shape(path: Path) -> set[tuple[str, str]]:
    """What there is, each with its words."""
    db = sqlite3.connect(path)
    found = db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    db.close()
    return {(name, " ".join(sql.replace("IF NOT EXISTS ", "").split())) for name, sql in found}


def version(path: Path) -> int:
    return int(sqlite3.connect(path).execute("PRAGMA user_version").fetchone()[0])


def second(db: Connection) -> None:
    """A step that does not exist yet."""
    db.execute("ALTER TABLE sessions ADD COLUMN colour TEXT")
    db.execute("UPDATE sessions SET colour='green'")


def test_every_version_before_has_a_database() -> None:
    assert len(STEPS) == database.VERSION
    assert {path.name for path in DATABASES.iterdir()} == {f"version-{number}.db" for number in range(len(STEPS))}


def test_a_database_of_an_earlier_version_keeps_all_that_it_says(earlier: Path) -> None:
    before = {table: rows(earlier, table) for table in ("sessions", "messages", "events", "keys", "tails", "meta")}
    store = Store(earlier)
    assert store.migration is not None
    assert store.migration.after == database.VERSION
    assert sorted(record.state for record in store.sessions(include_ended=True)) == ["busy", "ended", "hibernated"]
    record = store.session(AT_WORK)
    assert record is not None
    assert record.title == "Renamed 漢字"
    assert record.launch.model == "sonnet"
    assert [entry["id"] for entry in record.conversations] == [AT_WORK]
    waiting = [(message.state, message.text) for message in store.open_messages(AT_WORK)]
    assert waiting == [
        ("submitted", "[[gate busy]] echo: done"),
        ("queued", "echo: queued two"),
        ("queued", "echo: queued one"),
    ]
    assert store.message(before["messages"][0][1]).reply == "first answer"  # type: ignore[union-attr]
    assert store.messages_by_key([f"message.send {AT_WORK} six"])[0].state == "submitted"
    assert store.recall("session.create * open-1")["result"] == {"id": AT_WORK}
    assert [event.seq for event in store.events(0, 1000, None, None)] == list(range(1, store.head() + 1))
    answered = next(message for message in store.messages(AT_WORK, None, 1)[0] if message.prompt_id)
    assert store.by_prompt(AT_WORK, [answered.prompt_id or ""])[answered.prompt_id or ""].id == answered.id
    store.close()
    assert {table: rows(earlier, table) for table in before} == before


def test_an_earlier_database_gets_the_shape_of_a_new_one(earlier: Path, tmp_path: Path) -> None:
    Store(earlier).close()
    Store(tmp_path / "new.db").close()
    assert shape(earlier) == shape(tmp_path / "new.db")
    assert version(earlier) == version(tmp_path / "new.db") == database.VERSION
    assert database.read_version(earlier) == database.VERSION


def test_before_a_change_there_is_a_whole_copy_and_nothing_is_copied_twice(earlier: Path) -> None:
    was = version(earlier)
    before = {table: rows(earlier, table) for table in ("sessions", "messages", "events")}
    store = Store(earlier)
    assert store.migration is not None
    copy = store.migration.copy
    store.close()
    assert database.copies(earlier) == [copy]
    assert (version(copy), copy.stat().st_mode & 0o777) == (was, 0o600)
    assert {table: rows(copy, table) for table in before} == before
    again = Store(earlier)
    assert again.migration is None
    again.close()
    assert database.copies(earlier) == [copy]


def test_the_copy_holds_what_is_still_in_the_log(tmp_path: Path) -> None:
    path = tmp_path / "pilotlight.db"
    writer = Store(path, STEPS)
    writer.append("kept")
    killed = tmp_path / "killed.db"  # as a kill leaves them: the event is in the log only
    for suffix in ("", "-wal"):
        shutil.copyfile(f"{path}{suffix}", f"{killed}{suffix}")
    writer.close()
    store = Store(killed, (*STEPS, second))
    assert store.migration is not None
    assert [row[2] for row in rows(store.migration.copy, "events")] == ["kept"]
    store.close()


def test_a_new_database_needs_no_copy(tmp_path: Path) -> None:
    store = Store(tmp_path / "pilotlight.db")
    assert store.migration is None
    assert not database.copies(tmp_path / "pilotlight.db")
    store.close()


def test_steps_are_taken_in_order_each_once(earlier: Path) -> None:
    taken: list[int] = []
    steps = [*STEPS, second, lambda db: taken.append(len(list(db.execute("SELECT colour FROM sessions"))))]
    for _ in range(2):
        Store(earlier, steps).close()
    assert taken == [3]
    assert version(earlier) == len(steps)


def test_a_step_that_fails_changes_nothing_and_the_next_start_tries_again(tmp_path: Path) -> None:
    path = tmp_path / "pilotlight.db"
    Store(path).close()
    before = shape(path)

    def broken(db: Connection) -> None:
        second(db)
        db.execute("INSERT INTO nowhere VALUES(1)")

    with pytest.raises(StorageFailed):
        Store(path, (*STEPS, broken))
    assert (version(path), shape(path)) == (len(STEPS), before)
    Store(path, (*STEPS, second)).close()
    assert version(path) == len(STEPS) + 1


def test_without_room_for_the_copy_nothing_is_changed(earlier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = earlier.read_bytes()

    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(migrations, "_sync", full)
    with pytest.raises(StorageFailed, match=r"No space left on device.*Make room"):
        Store(earlier)
    assert earlier.read_bytes() == before
    assert not [path for path in earlier.parent.iterdir() if "copying" in path.name or ".version-" in path.name]


def test_a_damaged_database_is_put_aside_before_it_is_changed(earlier: Path) -> None:
    raw = bytearray(earlier.read_bytes())
    raw[4096 : 4096 * 6] = b"\xaa" * (4096 * 5)
    earlier.write_bytes(raw)
    with pytest.raises(Damaged):
        Store(earlier)
    assert earlier.read_bytes() == raw
    store, loss = open_store(earlier)
    assert loss is not None
    assert loss.moved_to.read_bytes() == raw
    store.close()


def test_of_many_copies_the_newest_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "pilotlight.db"
    steps: list[migrations.Step] = list(STEPS)
    for number in range(migrations.KEPT_COPIES + 2):
        Store(path, steps).close()
        steps.append(lambda db, number=number: db.execute(f"CREATE TABLE t{number}(x)"))
    kept = [version(copy) for copy in database.copies(path)]
    assert kept == list(range(len(steps) - 1 - migrations.KEPT_COPIES, len(steps) - 1))


# -- what a newer one has written ----------------------------------------------------------------------------------------


def test_members_that_we_do_not_know_are_kept_when_we_write(tmp_path: Path) -> None:
    path = tmp_path / "pilotlight.db"
    store = Store(path)
    session = SessionRecord("s", "/p", 1, 1, "idle", "c", unknown_options={"later": {"deep": [1]}})
    session.unknown = {"colour": "green", "nested": {"a": [1, {"b": None}]}}
    message = MessageRecord("m", "s", "queued", 0.0, "hello", 1, unknown={"device": "phone"})
    store.save_session(session)
    store.add_message(message)
    assert b'"colour":"green"' in rows(path, "sessions")[0][-1]
    for _ in range(2):  # what was read is written again
        read = store.session("s")
        assert read is not None
        assert read == session
        read.title = "another"
        session.title = "another"
        store.save_session(read)
        one = store.message("m")
        assert one is not None
        assert one.unknown == {"device": "phone"}
        one.state = "answered"
        store.save_message(one)
    assert b'"device":"phone"' in rows(path, "messages")[0][-1]
    store.close()


def test_a_column_that_we_do_not_know_is_kept_when_we_write(tmp_path: Path) -> None:
    store = Store(tmp_path / "pilotlight.db", (*STEPS, second))
    record = SessionRecord("s", "/p", 1, 1, "idle", "c")
    store.save_session(record)
    store._db.execute("UPDATE sessions SET colour='blue'")
    store.save_session(record)
    assert store._db.execute("SELECT colour FROM sessions").fetchone() == ("blue",)
    store.close()


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """A database that a later version has changed, with the copy that it has made."""
    path = tmp_path / "pilotlight.db"
    Store(path).close()
    Store(path, (*STEPS, second)).close()
    return path


def test_a_newer_database_is_refused_untouched_with_what_to_do(newer: Path) -> None:
    before = newer.read_bytes()
    with pytest.raises(StorageFailed) as refused:
        open_store(newer)
    assert refused.value.error_code == "database_newer"
    assert not isinstance(refused.value, Damaged)
    assert f"it has version {database.VERSION + 1}, this pilotlight knows {database.VERSION}" in refused.value.message
    assert f"put {database.copies(newer)[0].name} in its place" in refused.value.message
    assert newer.read_bytes() == before
    assert not list(newer.parent.glob("*.damaged-*"))
    set_aside(newer)
    database.copies(newer)[0].rename(newer)  # what the sentence says works
    Store(newer).close()


def test_a_supervisor_does_not_start_on_a_newer_database_and_says_why(newer: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "supervisor"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(newer.parent), "PILOTLIGHT_HOME": str(newer.parent)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("pilotlight supervisor: The database ")
    assert "Install that version again" in done.stderr
    assert done.stderr.count("\n") == 1


def test_doctor_knows_the_version(newer: Path, tmp_path: Path) -> None:
    from cli.daemons.checks import main_database

    def found(home: Path) -> tuple[str, str, str | None]:
        (finding,) = main_database(app_of(home))
        return finding.level, finding.text, finding.fix

    level, _, fix = found(newer.parent)
    assert level == "fail"
    assert fix is not None
    assert "Install that version again" in fix
    shutil.copyfile(DATABASES / "version-0.db", newer)
    assert found(newer.parent)[:2] == (
        "ok",
        f"version 0; the next start makes version {database.VERSION} of it, and a copy before",
    )
    Store(newer).close()
    assert found(newer.parent) == ("ok", f"version {database.VERSION}", None)
    assert found(tmp_path / "elsewhere") == ("ok", "none yet", None)
