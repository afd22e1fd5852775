"""What is indexed now and then, and what is looked through at every turn."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest

from supervisor.history.index_upkeep import IndexUpkeep
from supervisor.store import search_index
from supervisor.store.store import SessionRecord, Store, now_ms


async def test_what_has_ended_is_looked_through_only_with_the_whole(store: Store, tmp_path: Path) -> None:
    upkeep = IndexUpkeep(store, tmp_path, tmp_path / "claude", logging.getLogger("test"))
    for number, state in enumerate(("idle", "ended")):
        record = SessionRecord(state, "/p", number, 0, state, state)
        transcript = tmp_path / f"{state}.jsonl"
        transcript.write_text(
            '{"type":"user","uuid":"u","timestamp":"2026-11-28T10:00:00Z","message":{"role":"user","content":"MEDLAR"}}\n'
        )
        record.transcript = str(transcript)
        store.save_session(record)

    def found() -> list[str]:
        return sorted(hit["sessionId"] for hit in upkeep.index.search("MEDLAR", 10, None)[0])

    assert await upkeep.catch_up(5.0, whole=False)
    assert found() == ["idle"]
    assert await upkeep.catch_up(5.0)
    assert found() == ["ended", "idle"]
    upkeep.index.close()


async def test_a_search_waits_for_no_others_once_they_were_looked_through(store: Store, tmp_path: Path) -> None:
    upkeep = IndexUpkeep(store, tmp_path, tmp_path / "claude", logging.getLogger("test"))
    records = [SessionRecord(name, "/p", at, 0, "ended", name) for at, name in enumerate(("before", "lately"))]
    records += [SessionRecord(name, "/p", 9, 0, name, name, 1) for name in ("idle", "hibernated")]
    for record in records:
        record.transcript = str(tmp_path / f"{record.id}.jsonl")
    records[0].ended_at, records[1].ended_at = 5, now_ms()

    def say(word: str) -> None:
        for record in records:
            with Path(record.transcript or "").open("a") as file:
                line = f'{{"type":"user","uuid":"{word}","message":{{"role":"user","content":"{word}"}}}}\n'
                file.write(line)

    def found(word: str) -> list[str]:
        return sorted(hit["sessionId"] for hit in upkeep.index.search(word, 10, None)[0])

    say("MEDLAR")
    for record in records:
        store.save_session(record)
    assert await upkeep.catch_up_for(None, False, 5.0)
    assert found("MEDLAR") == ["before", "hibernated", "idle", "lately"]
    say("QUINCE")
    assert await upkeep.catch_up_for(None, False, 5.0)
    assert found("QUINCE") == ["idle", "lately"]
    records[-1].generation += 1
    store.save_session(records[-1])
    assert await upkeep.catch_up_for(None, False, 5.0)
    assert found("QUINCE") == ["hibernated", "idle", "lately"], "it was awake meanwhile"
    assert await upkeep.catch_up_for("before", False, 5.0)
    assert found("QUINCE") == ["before", "hibernated", "idle", "lately"]
    upkeep.index.close()


async def test_a_search_finds_what_is_said_elsewhere_and_looks_only_where_something_may_be(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upkeep = IndexUpkeep(store, tmp_path, tmp_path / "claude", logging.getLogger("test"))
    first, second = (tmp_path / "claude" / "projects" / name for name in ("first", "second"))
    names = [f"0000000{number}-0000-4000-8000-000000000000" for number in range(4)]
    listed: list[str] = []

    def say(folder: Path, name: str, word: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{name}.jsonl").open("a") as file:
            file.write(f'{{"type":"user","uuid":"{word}","message":{{"role":"user","content":"{word}"}}}}\n')

    def rest(*folders: Path) -> None:
        for folder in folders:
            os.utime(folder, (0, 0))

    def found(word: str) -> list[str]:
        return sorted(str(hit["conversationId"]) for hit in upkeep.index.search(word, 10, None, True)[0])

    def scandir(path: Path | str) -> Any:
        listed.append(Path(path).name)
        return os_scandir(path)

    say(first, names[0], "MEDLAR")
    say(second, names[1], "MEDLAR")
    rest(first, second)
    assert await upkeep.catch_up_for(None, True, 5.0)
    assert found("MEDLAR") == names[:2]
    os_scandir = os.scandir
    monkeypatch.setattr("supervisor.history.library.os.scandir", scandir)

    say(first, names[0], "QUINCE")
    rest(first)
    assert await upkeep.catch_up_for(None, True, 5.0)
    assert found("QUINCE") == names[:1]
    assert listed == ["projects"]
    say(second, names[2], "SORB")
    assert await upkeep.catch_up_for(None, True, 5.0)
    say(second, names[3], "SORB")  # in the same tick, maybe
    assert await upkeep.catch_up_for(None, True, 5.0)
    assert found("SORB") == names[2:]
    assert listed == ["projects", "projects", "second", "projects", "second"]
    (second / f"{names[2]}.jsonl").unlink()
    taken = SessionRecord("taken", "/p", 1, 0, "idle", names[3])
    taken.transcript = str(second / f"{names[3]}.jsonl")
    store.save_session(taken)
    for _ in range(2):
        assert await upkeep.catch_up_for(None, True, 5.0)
        assert [
            (hit["sessionId"], hit["conversationId"]) for hit in upkeep.index.search("SORB", 10, None, True)[0]
        ] == [("taken", names[3])]
    upkeep.index.close()


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whose transcripts are looked at, in order."""
    seen: list[str] = []
    facts = search_index._facts
    monkeypatch.setattr(
        "supervisor.store.search_index._facts",
        lambda ref: seen.append(ref.session) or facts(ref),  # type: ignore[func-returns-value]
    )
    return seen


async def test_a_look_that_finds_no_time_for_all_goes_on_where_it_was(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looked: list[str]
) -> None:
    monkeypatch.setattr("supervisor.store.store.PAGE_OF_SESSIONS", 1)
    upkeep = IndexUpkeep(store, tmp_path, tmp_path / "claude", logging.getLogger("test"))
    for number in range(4):
        store.save_session(talk(tmp_path, f"s{number}", "ended", ended_at=number))
    whole = 0
    while not await upkeep.catch_up(0.0):
        whole += 1
    assert looked == ["s3", "s3", "s2", "s2", "s1", "s1", "s0", "s0"], "read, then seen to be read"
    assert whole == 4
    upkeep.index.close()


async def test_a_look_reads_nobody_twice_whose_end_and_last_word_are_far_apart(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looked: list[str]
) -> None:
    monkeypatch.setattr("supervisor.store.store.PAGE_OF_SESSIONS", 3)
    upkeep = IndexUpkeep(store, tmp_path, tmp_path / "claude", logging.getLogger("test"))
    for number in range(7):
        store.save_session(talk(tmp_path, f"s{number}", "ended", ended_at=number, last_activity=100 - number))
    assert await upkeep.catch_up(5.0)
    assert looked == ["s4", "s5", "s6", "s1", "s2", "s3", "s0"]
    upkeep.index.close()


def talk(folder: Path, name: str, state: str, **columns: int) -> SessionRecord:
    """A session in which MEDLAR was said."""
    record = SessionRecord(name, "/p", 1, 0, state, name)
    for column, value in columns.items():
        setattr(record, column, value)
    record.transcript = str(folder / f"{name}.jsonl")
    Path(record.transcript).write_text('{"type":"user","uuid":"u","message":{"role":"user","content":"MEDLAR"}}\n')
    return record


async def test_an_index_that_was_damaged_is_filled_again_before_a_search_says_it_is_complete(
    store: Store, tmp_path: Path
) -> None:
    upkeep = IndexUpkeep(store, tmp_path, tmp_path / "claude", logging.getLogger("test"))
    for name, state in (("long ago", "ended"), ("asleep", "hibernated"), ("open", "idle")):
        store.save_session(talk(tmp_path, name, state, ended_at=5))

    def found() -> list[str]:
        return sorted(hit["sessionId"] for hit in upkeep.index.search("MEDLAR", 10, None)[0])

    assert await upkeep.catch_up_for(None, False, 5.0)
    assert found() == ["asleep", "long ago", "open"]
    upkeep.index.close()
    (tmp_path / "search.db").write_bytes(os.urandom(8192))
    for ending in ("-wal", "-shm"):
        (tmp_path / f"search.db{ending}").unlink(missing_ok=True)
    found()
    assert await upkeep.catch_up_for(None, False, 5.0)
    assert found() == ["asleep", "long ago", "open"]
    upkeep.index.close()


async def test_an_index_that_is_damaged_during_a_look_is_not_whole_after_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upkeep = IndexUpkeep(store, tmp_path, tmp_path / "claude", logging.getLogger("test"))
    for name, state in (("asleep", "hibernated"), ("long ago", "ended")):
        store.save_session(talk(tmp_path, name, state, ended_at=5))
    pages = store.page_of_ended

    def damaged(before: SessionRecord | None) -> list[SessionRecord]:
        if not upkeep.index.rebuilt:
            upkeep.index._replace()
        return pages(before)

    monkeypatch.setattr(store, "page_of_ended", damaged)
    assert not await upkeep.catch_up_for(None, False, 5.0)
    assert await upkeep.catch_up_for(None, False, 5.0)
    assert sorted(hit["sessionId"] for hit in upkeep.index.search("MEDLAR", 10, None)[0]) == ["asleep", "long ago"]
    upkeep.index.close()
