"""The database keeps what was promised: all or nothing, numbers without gaps, keys that answer once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.bus.messages import Event
from shared.errors import StorageFailed
from supervisor.store.options import Intent, LaunchOptions, Planned, ProcessFacts, Remembered, Stop
from supervisor.store.store import Damaged, MessageRecord, SessionRecord, Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pilotlight.db"


@pytest.fixture
def published(store: Store) -> list[Event]:
    heard: list[Event] = []
    store.publish = heard.extend
    return heard


def session(identity: str = "s1", state: str = "idle") -> SessionRecord:
    return SessionRecord(
        id=identity,
        project_path="/p",
        created_at=1,
        last_activity=1,
        state=state,
        conversation_id="c",
        title="Tïtle 😀",
    )


def message(identity: str, state: str = "queued", **more: object) -> MessageRecord:
    record = MessageRecord(id=identity, session_id="s1", state=state, rank=0.0, text="héllo", created_at=1)
    for name, value in more.items():
        setattr(record, name, value)
    return record


class Boom(Exception):
    """What goes wrong in the middle."""


def together(store: Store, work: Callable[[], object]) -> None:
    """One transaction."""
    with store.transaction():
        work()


def failing_inside(store: Store) -> None:
    """A transaction that writes and then fails."""
    with store.transaction():
        store.append("lost")
        raise Boom


def failing(store: Store, work: Callable[[], object]) -> None:
    """A transaction in which something goes wrong after `work`."""

    def fail() -> None:
        work()
        raise Boom

    with pytest.raises(Boom):
        together(store, fail)


# -- transactions ------------------------------------------------------------------------------------------------------


def test_events_are_published_after_the_commit_and_in_order(store: Store, published: list[Event]) -> None:
    with store.transaction():
        store.append("one")
        with store.transaction():
            store.append("two")
        assert published == []
    assert [(event.seq, event.kind) for event in published] == [(1, "one"), (2, "two")]


def test_a_rollback_keeps_and_publishes_nothing(store: Store, published: list[Event]) -> None:
    failing(store, lambda: (store.save_session(session()), store.append("lost")))
    assert published == []
    assert store.session("s1") is None
    assert store.events(0, 10, None, None) == []


def test_an_inner_failure_undoes_the_outer_transaction_too(store: Store, published: list[Event]) -> None:
    failing(store, lambda: (store.save_session(session()), failing_inside(store)))
    assert published == []
    assert store.session("s1") is None
    store.append("next")
    assert [event.seq for event in published] == [1]


def test_numbers_have_no_gap_after_a_rollback(store: Store, published: list[Event]) -> None:
    store.append("one")
    failing(store, lambda: store.append("lost"))
    assert store.head() == 1
    store.append("two")
    assert [event.seq for event in published] == [1, 2]
    assert store.head() == 2


def test_numbers_go_on_after_reopening_and_after_everything_was_pruned(path: Path) -> None:
    first = Store(path)
    for _ in range(5):
        first.append("event")
    first.prune(keep_days=1, keep_count=0)
    assert first.events(0, 10, None, None) == []
    epoch = first.epoch
    first.close()
    second = Store(path)
    assert (second.head(), second.oldest(), second.epoch) == (5, 6, epoch)
    second.append("event")
    assert second.head() == 6
    second.close()


def test_what_was_not_committed_is_gone_after_a_crash(path: Path) -> None:
    crashed = Store(path)
    crashed.save_session(session())
    crashed.append("kept")
    crashed._db.execute("BEGIN IMMEDIATE")
    crashed._db.execute("INSERT INTO events(at,kind,session,data) VALUES(1,'lost',NULL,'{}')")
    crashed._db.close()
    opened = Store(path)
    assert [event.kind for event in opened.events(0, 10, None, None)] == ["kept"]
    opened.append("next")
    assert opened.head() == 2
    opened.close()


def test_a_publisher_that_fails_does_not_undo_what_was_kept(store: Store) -> None:
    def broken(events: list[Event]) -> None:
        raise Boom

    store.publish = broken
    store.append("kept")
    heard: list[Event] = []
    store.publish = heard.extend
    store.append("next")
    assert [event.kind for event in store.events(0, 10, None, None)] == ["kept", "next"]
    assert [event.seq for event in heard] == [2]


# -- journal -----------------------------------------------------------------------------------------------------------


def test_pruning_keeps_the_newest_and_says_where_it_begins(store: Store) -> None:
    for number in range(10):
        store.append("event", None, {"n": number})
    store.prune(keep_days=1, keep_count=4)
    assert [event.seq for event in store.events(0, 100, None, None)] == [7, 8, 9, 10]
    assert (store.oldest(), store.head()) == (7, 10)


def test_pruning_by_bytes_keeps_the_newest_that_fit_also_after_reopening(path: Path) -> None:
    first = Store(path)
    for number in range(100):
        first.append("event", None, {"n": number, "text": "x" * 10_000})
    failing(first, lambda: first.append("event", None, {"text": "x" * 10_000_000}))
    first.prune(keep_days=1, keep_count=1000, keep_mb=2)
    assert first.oldest() == 1, "nothing has to go"
    first.prune(keep_days=1, keep_count=1000, keep_mb=0.5)
    kept = [event.seq for event in first.events(0, 100, None, None)]
    first.close()
    assert kept == list(range(kept[0], 101))
    assert 480_000 < len(kept) * 10_000 < 0.5 * 2**20

    second = Store(path)
    second.prune(keep_days=1, keep_count=1000, keep_mb=0.5)
    assert second.oldest() == kept[0], "it counts the same"
    second.prune(keep_days=1, keep_count=1000, keep_mb=0.001)
    assert (second.oldest(), second.head()) == (101, 100)
    second.append("next")
    second.prune(keep_days=1, keep_count=1000, keep_mb=0.001)
    assert [event.seq for event in second.events(0, 10, None, None)] == [101]
    second.close()


def test_pruning_by_age_leaves_no_hole_when_the_clock_was_set_back(store: Store) -> None:
    for _ in range(4):
        store.append("event")
    day = 86_400_000
    store._db.execute("UPDATE events SET at = at - ? WHERE seq IN (1, 3)", (10 * day,))
    store.prune(keep_days=1, keep_count=100)
    assert [event.seq for event in store.events(0, 100, None, None)] == [2, 3, 4]


def test_events_are_found_by_session_and_kind_and_number(store: Store) -> None:
    for kind, owner in (("state", "a"), ("text", "a"), ("state", "b"), ("tick", None)):
        store.append(kind, owner, {"x": "é😀"})
    assert [event.seq for event in store.events(0, 10, "a", None)] == [1, 2]
    assert [event.seq for event in store.events(0, 10, None, ["state"])] == [1, 3]
    assert [event.seq for event in store.events(2, 1, None, None)] == [3]
    assert store.events(0, 1, None, None)[0].data == {"x": "é😀"}
    assert store.events(0, 1, None, None)[0].topic == "session.a.state"


# -- records -----------------------------------------------------------------------------------------------------------


def test_a_session_comes_back_as_it_was_stored(store: Store) -> None:
    record = session()
    record.child, record.background = [12, 34], [{"id": "b"}]
    record.launch, record.process = LaunchOptions(model="opus", add_dirs=("/a",)), ProcessFacts(stale="upgrade")
    record.intent = Intent(Stop("ended", "killed", "killed"), Planned("default"), False)
    record.remembered = Remembered("c", 3, ("look", None), ("look", 7), asked_since=5)
    store.save_session(record)
    assert store.session("s1") == record
    record.state = "ended"
    store.save_session(record)
    assert store.sessions() == []
    assert store.sessions(include_ended=True) == [record]


def test_a_message_comes_back_as_it_was_stored(store: Store) -> None:
    record = message("m1", steps={"accepted": 5}, prompt="héllo ", usage={"input_tokens": 3})
    store.add_message(record)
    assert record.ord == 1
    assert store.message("m1") == record


def test_open_messages_are_in_order_with_what_is_under_way_first(store: Store) -> None:
    for name, state in (("m1", "queued"), ("m2", "submitted"), ("m3", "answered"), ("m4", "queued")):
        store.add_message(message(name, state))
    front = message("m5", rank=0.5)
    store.add_message(front)
    assert [found.id for found in store.open_messages("s1")] == ["m2", "m5", "m1", "m4"]
    assert store.count_open("s1") == 4


def test_pages_of_messages_go_on_behind_the_last_one(store: Store) -> None:
    for number in range(5):
        store.add_message(message(f"m{number}"))
    assert [found.id for found in store.messages("s1", None, 2)[0]] == ["m0", "m1"]
    assert [found.id for found in store.messages("s1", "m1", 9)[0]] == ["m2", "m3", "m4"]


def test_a_record_of_a_later_version_is_read_without_what_we_do_not_know(store: Store) -> None:
    store.save_session(session())
    store._db.execute("""UPDATE sessions SET body = json_set(body, '$.from_the_future', 1)""")
    found = store.session("s1")
    assert found is not None
    assert found.title == "Tïtle 😀"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b'{"title": '])
def test_a_record_that_is_damaged_inside_says_so(store: Store, body: bytes) -> None:
    store.save_session(session())
    store.add_message(message("m1"))
    store._db.execute("UPDATE sessions SET body = ?", (body,))
    store._db.execute("UPDATE messages SET body = ?", (body,))
    with pytest.raises(Damaged):
        store.sessions()
    with pytest.raises(Damaged):
        store.message("m1")
    with pytest.raises(Damaged):
        store.verify()


def test_what_can_be_read_of_a_damaged_file_is_read(store: Store, path: Path) -> None:
    for name in ("s1", "s2", "s3"):
        store.save_session(session(name))
    for name in ("m1", "m2", "m3"):
        store.add_message(message(name))
    store._db.execute("UPDATE sessions SET body = '{' WHERE id = 's2'")
    store._db.execute("UPDATE messages SET body = '{' WHERE id = 'm2'")
    sessions, messages = Store.readable(path)
    assert [record.id for record in sessions] == ["s1", "s3"]
    assert [record.id for record in messages] == ["m1", "m3"]


# -- keys --------------------------------------------------------------------------------------------------------------


def test_a_request_key_makes_one_message(store: Store, published: list[Event]) -> None:
    store.add_message(message("m1", request_key="k"))
    with pytest.raises(StorageFailed):
        together(store, lambda: (store.append("lost"), store.add_message(message("m2", request_key="k"))))
    assert published == []
    assert [found.id for found in store.messages_by_key(["k", "other"])] == ["m1"]


def test_messages_without_a_key_do_not_collide(store: Store) -> None:
    store.add_message(message("m1"))
    store.add_message(message("m2"))
    assert store.count_open("s1") == 2


def test_an_answer_is_remembered_for_a_week(store: Store) -> None:
    store.remember("k", {"id": "s1"})
    assert store.recall("k") == {"id": "s1"}
    assert store.recall("other") is None
    store.prune(1, 10)
    assert store.recall("k") == {"id": "s1"}
    store._db.execute("UPDATE keys SET at = at - ?", (8 * 86_400_000,))
    store.prune(1, 10)
    assert store.recall("k") is None


def test_positions_and_settings_survive(path: Path) -> None:
    first = Store(path)
    first.set_position("s1", "hooks", 7)
    first.set_position("s1", "hooks", 9)
    first.set_meta("a", "b")
    first.close()
    second = Store(path)
    assert (second.position("s1", "hooks"), second.position("s1", "other"), second.meta("a")) == (9, 0, "b")
    second.close()


# -- the file ----------------------------------------------------------------------------------------------------------


def test_the_file_is_private(store: Store, path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_write_that_somebody_else_blocks_fails_and_the_next_one_succeeds(store: Store, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageFailed):
        store.append("refused")
    other.execute("ROLLBACK")
    other.close()
    store.append("kept")
    assert [event.kind for event in store.events(0, 10, None, None)] == ["kept"]


def test_a_file_that_is_no_database_is_named_and_left_alone(path: Path) -> None:
    path.write_bytes(b"not a database, but somebody's notes" * 100)
    with pytest.raises(StorageFailed):
        Store(path)
    assert path.read_bytes().startswith(b"not a database")


def test_a_directory_that_is_missing_is_a_storage_failure(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed):
        Store(tmp_path / "missing" / "pilotlight.db")


def test_drafts_of_what_ended_long_ago_are_forgotten(store: Store) -> None:
    for identity, state, ended in (("open", "idle", None), ("lately", "ended", 900), ("long-ago", "ended", 100)):
        record = SessionRecord(identity, "/p", 0, 0, state, "c")
        record.ended_at = ended
        store.save_session(record)
        store.keep_draft(identity, identity)
    store.set_meta("drafty", "other")

    store.forget_drafts(500)
    assert [store.draft(identity) for identity in ("open", "lately", "long-ago")] == ["open", "lately", None]
    store.keep_draft("open", None)
    assert (store.draft("open"), store.meta("draft:open"), store.meta("drafty")) == (None, None, "other")
