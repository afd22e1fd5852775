"""A long queue costs whoever asks about it what they asked for, and nobody else anything: counted, not timed.

The count is of steps of SQLite's machine, each row that is looked at being several.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from shared import paths
from shared.bus.messages import VERSION, Request
from shared.config import Config, SessionsConfig
from supervisor.bus.audit import Audit
from supervisor.bus.operations.history import HistoryOps
from supervisor.bus.operations.messages import MessageOps
from supervisor.bus.operations.sessions import SessionOps
from supervisor.bus.operations.table import Ops
from supervisor.pool.pool import Pool
from supervisor.session.services import Services
from supervisor.store import message_index, migrations
from supervisor.store import store as store_module
from supervisor.store.records import MessageRecord, SessionRecord
from supervisor.store.store import PAGE_BYTES, Store

FEW, MANY = 40, 800
TIMES = MANY // FEW
STEPS = 20


class Table:
    """The operations over a real database, with one session that sleeps. `steps` and `read` say what they have cost."""

    def __init__(self, folder: Path) -> None:
        places = paths.resolve({"PILOTLIGHT_HOME": str(folder)})
        places.prepare()
        self.store = Store(places.database)
        config = Config(sessions=SessionsConfig(max_queue=10_000))
        services = Services(self.store, places, lambda: config, {}, folder, logging.getLogger("test"))
        self.pool = Pool(services)
        audit = Audit(self.store)
        sessions = SessionOps(self.pool, audit, int)
        history = HistoryOps(self.pool, sessions.open)
        messages = MessageOps(self.pool, lambda message, token: False)
        self.ops = Ops(audit, [row for subject in (sessions, history, messages) for row in subject.rows()])
        self.store.save_session(SessionRecord("s", str(folder), 1, 1, "hibernated", "c"))
        self.steps = 0
        self.store._db.set_progress_handler(self._step, STEPS)
        self._filled = 0

    def _step(self) -> int:
        self.steps += 1
        return 0

    def fill(self, count: int, text: str = "Look into it.") -> None:
        """So many messages more, all of them waiting."""
        with self.store.transaction():
            for number in range(self._filled, self._filled + count):
                self.store.add_message(MessageRecord(f"m{number}", "s", "queued", 0.0, text, 1, prompt=text))
        self._filled += count

    async def ask(self, op: str, **args: Any) -> Any:
        """The answer of one operation."""
        self.steps = 0
        return await self.ops.handle(Request(v=VERSION, id="r", op=op, args=args))

    async def list(self, **args: Any) -> tuple[list[str], str | None]:
        """One page: ids, and where the next begins."""
        page = await self.ask("message.list", sessionId="s", **args)
        return [message.id for message in page["messages"]], page["next"]


@pytest.fixture
async def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Table]:
    # What waits is left waiting: what is tried is the queue, not the sending.
    monkeypatch.setattr("supervisor.pool.managed_session.ManagedSession.begin", lambda _: None)
    made = Table(tmp_path)
    yield made
    await made.pool.close()
    made.store.close()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The messages that are read from the database."""
    ids: list[str] = []
    real = store_module.message_of

    def noting(row: tuple[Any, ...]) -> MessageRecord:
        ids.append(row[0])
        return real(row)

    monkeypatch.setattr(store_module, "message_of", noting)
    return ids


async def test_a_page_costs_its_length(table: Table) -> None:
    table.fill(FEW)
    await table.list(limit=1000)
    few = table.steps
    table.fill(MANY - FEW)
    ids, rest = await table.list(limit=1000)
    assert (len(ids), rest) == (MANY, None)
    assert table.steps < 2 * TIMES * few


async def test_a_page_of_a_long_queue_reads_no_more_than_it_shows(table: Table, read: list[str]) -> None:
    table.fill(MANY)
    ids, rest = await table.list(limit=10)
    assert (ids, rest) == ([f"m{number}" for number in range(10)], "m9")
    assert read == ids


async def test_every_place_is_the_right_one(table: Table) -> None:
    table.fill(9)
    for name, state in (("m7", "submitted"), ("m1", "cancelled")):
        record = table.store.message(name)
        assert record is not None
        record.state = state
        table.store.save_message(record)
    await table.ask("message.move", messageId="m8", position=1)
    page = (await table.ask("message.list", sessionId="s"))["messages"]
    places = {view.id: view.queue_position for view in page}
    order = [message.id for message in table.store.open_messages("s")]
    assert order == ["m7", "m0", "m8", "m2", "m3", "m4", "m5", "m6"]
    assert places == {name: order.index(name) if name in order else None for name in places}
    for name, place in places.items():
        assert (await table.ask("message.get", messageId=name)).queue_position == place


@pytest.mark.parametrize("more", [{}, {"front": True}])
async def test_to_accept_a_message_reads_no_other(table: Table, read: list[str], more: dict[str, Any]) -> None:
    table.fill(MANY)
    sent = await table.ask("message.send", sessionId="s", text="One more.", **more)
    assert sent.message.queue_position == (0 if more else MANY)
    assert set(read) == {sent.message.id}
    assert table.steps * STEPS < 100 * MANY  # a look at each in an index, a few times


async def test_to_look_at_one_message_reads_no_other(table: Table, read: list[str]) -> None:
    table.fill(MANY)
    assert (await table.ask("message.get", messageId="m100")).queue_position == 100
    assert read == ["m100"]


async def test_a_move_writes_one_row(table: Table) -> None:
    table.fill(MANY)
    before = table.store._db.total_changes
    moved = await table.ask("message.move", messageId=f"m{MANY - 1}", position=0)
    assert [message.id for message in moved["messages"]] == [f"m{MANY - 1}", *(f"m{n}" for n in range(MANY - 1))]
    changes = table.store._db.total_changes - before
    assert changes < 8  # the rank, and what the journal is told
    assert changes < MANY / 10


async def test_any_number_of_moves_to_one_place_leaves_the_order_that_was_asked_for(table: Table) -> None:
    table.fill(4)
    order = ["m0", "m1", "m2", "m3"]
    for _ in range(200):
        moved = order.pop()
        order.insert(1, moved)
        told = await table.ask("message.move", messageId=moved, position=1)
        assert [message.id for message in told["messages"]] == order
    sent = await table.ask("message.send", sessionId="s", text="The last.")
    assert [message.id for message in table.store.open_messages("s")] == [*order, sent.message.id]


async def test_nothing_is_moved_before_what_is_being_handed_over(table: Table) -> None:
    table.fill(3)
    session = table.pool.managed("s").session
    session.current = table.store.message("m0")
    told = await table.ask("message.move", messageId="m2", position=0)
    assert [message.id for message in told["messages"]] == ["m2", "m1"]
    assert [message.id for message in table.store.open_messages("s")] == ["m0", "m2", "m1"]


async def test_pages_of_long_messages_are_short_and_leave_none_out(table: Table) -> None:
    table.fill(12, "x" * (PAGE_BYTES // 8))
    ids: list[str] = []
    after: str | None = None
    pages = 0
    while not pages or after is not None:
        pages += 1
        page, after = await table.list(limit=1000, **({"after": after} if after else {}))
        ids += page
        assert 0 < len(page) <= 5
    assert ids == [f"m{number}" for number in range(12)]
    assert pages > 2
    told = await table.ask("message.move", messageId="m11", position=0)
    assert 0 < len(told["messages"]) <= 5


async def test_a_page_of_one_state_costs_its_length(table: Table) -> None:
    table.fill(MANY)
    with table.store.transaction():
        for number in range(MANY):
            record = table.store.message(f"m{number}")
            assert record is not None
            record.state = "failed" if number % 100 == 99 else "answered"
            table.store.save_message(record)
    ids, _ = await table.list(state="failed")
    assert ids == [f"m{number}" for number in range(99, MANY, 100)]
    assert table.steps * STEPS < MANY


async def test_others_are_answered_while_hundreds_wait_for_their_reply(table: Table, read: list[str]) -> None:
    table.fill(FEW)
    waiting = [asyncio.create_task(table.ask("message.get", messageId=f"m{n}", wait=60.0)) for n in range(FEW)]
    changed = table.pool.managed("s").session.changed
    while len(changed._waiters) < FEW:
        await asyncio.sleep(0)
    read.clear()
    asked: list[str] = []
    table.store._db.set_trace_callback(asked.append)
    for _ in range(5):
        changed.notify()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert not read
    assert not asked, "nobody asks the database for each frame of output"
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


def test_an_older_database_learns_whose_its_prompts_are(tmp_path: Path) -> None:
    store = Store(tmp_path / "old.db", migrations.STEPS[:1])
    store.save_session(SessionRecord("s", "/p", 1, 1, "idle", "c"))
    for number in range(3):
        store.add_message(MessageRecord(f"m{number}", "s", "answered", 0.0, "x", 1, prompt_id=f"p{number}"))
    assert set(store.by_prompt("s", ["p1", "p2", "elsewhere"])) == {"p1", "p2"}
    store.close()
    with sqlite3.connect(tmp_path / "old.db") as db:
        db.executescript("DROP TABLE prompts; DROP INDEX messages_queue; PRAGMA user_version=0")
        db.execute("CREATE INDEX messages_open ON messages(session_id, rank)")
    again = Store(tmp_path / "old.db")
    found = again.by_prompt("s", ["p0", "p1"])
    assert {prompt: message.id for prompt, message in found.items()} == {"p0": "m0", "p1": "m1"}
    again.close()


def plan(store: Store, sql: str, *values: object) -> str:
    return " ".join(str(row[3]) for row in store._db.execute(f"EXPLAIN QUERY PLAN {sql}", values))


@pytest.mark.parametrize(
    "ask",
    [
        lambda index: f"SELECT ord FROM messages WHERE session_id='s' AND {index.OPEN} ORDER BY {index.ORDER}",
        lambda index: (
            f"SELECT id, text, body FROM messages WHERE session_id='s' AND {index.OPEN} ORDER BY {index.ORDER} LIMIT 1"
        ),
    ],
)
def test_the_order_of_a_queue_is_an_index(tmp_path: Path, ask: Callable[[Any], str]) -> None:
    store = Store(tmp_path / "x.db")
    told = plan(store, ask(message_index))
    assert "messages_queue" in told
    assert "TEMP B-TREE" not in told
    store.close()
