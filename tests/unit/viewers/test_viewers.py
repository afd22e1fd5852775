"""Who looks at a terminal: the audience of a session, what of theirs is typed, and the socket that they come by."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from shared.bus import terminal_protocol as protocol
from shared.bus.event_data import data_of
from shared.errors import Conflict, PilotlightError
from supervisor.session.condition import Condition
from supervisor.state.states import State
from supervisor.terminal.screen import Screen
from supervisor.viewers import audience as audience_module
from supervisor.viewers.audience import CROPPED_SECONDS, Audience
from supervisor.viewers.server import Viewer, Viewers
from tests.harness import PATIENCE

# -- what is typed -------------------------------------------------------------------------------------------------


async def test_what_was_no_report_is_typed_a_moment_later() -> None:
    viewer: Any = Viewer(SimpleNamespace())  # type: ignore[arg-type]
    typed, all_typed = bytearray(), asyncio.Event()

    def type_keys(_: object, data: bytes, __: object) -> None:
        typed.extend(data)
        if b"\x1b[" in typed:
            all_typed.set()

    viewer._transport, viewer._audience = object(), SimpleNamespace(type=type_keys)
    for piece in (b"\x1b[", b"?62;22c", b"a\x1b["):
        viewer._take(protocol.INPUT, piece)
    assert typed == b"a"
    await asyncio.wait_for(all_typed.wait(), PATIENCE)
    assert typed == b"a\x1b["


# -- the audience --------------------------------------------------------------------------------------------------


class FakeTerminal:
    """A screen, and listeners."""

    def __init__(self) -> None:
        self.screen = Screen(80, 24)
        self.offset = 0
        self.preferred = None
        self.listeners: list[Any] = []

    def listen(self, listener: Any) -> Any:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def print(self, data: bytes, skip: int = 0) -> None:
        start = self.offset + skip
        self.offset = start + len(data)
        self.screen.feed(data)
        for listener in tuple(self.listeners):
            listener(start, data)


class FakeMember:
    """Remembers what it got."""

    def __init__(self, writes: bool = False, size: tuple[int, int] = (0, 0)) -> None:
        self.count, self.writes, self.actor, self.size = 1, writes, "x", size
        self.stale, self.curious, self.clogged = True, False, False
        self.got: list[Any] = []

    def output(self, offset: int, data: bytes, frame: bytes) -> None:
        self.got.append(data)

    def snapshot(self, head: dict[str, Any], drawing: bytes) -> None:
        self.got.append(head)

    def tell(self, message: dict[str, Any]) -> None:
        self.got.append(message["type"])

    def kinds(self) -> list[Any]:
        kinds = [item["type"] if isinstance(item, dict) else item for item in self.got]
        self.got.clear()
        return kinds


class Stage:
    """A session with a terminal and nothing else."""

    def __init__(self) -> None:
        self.journal: list[tuple[str, Any]] = []
        self.terminal = FakeTerminal()
        self.session: Any = SimpleNamespace(
            id="s1", terminal=self.terminal, state=State.IDLE, waiting=None, changed=Condition(), current=None,
            record=SimpleNamespace(generation=1, end_reason=None), attached=0, viewers=0, writer=None,
            store=SimpleNamespace(append=lambda said, _: self.journal.append((said.kind, data_of(said)))),
        )  # fmt: skip
        self.managed: Any = SimpleNamespace(session=self.session)
        pool: Any = SimpleNamespace(managed_sessions=lambda: [self.managed])
        self.empty = False
        self.audience = Audience(pool, self.managed, self._left)

    def _left(self) -> None:
        self.empty = True

    async def settle(self) -> None:
        self.session.changed.notify()
        for _ in range(5):
            await asyncio.sleep(0)


async def test_a_member_gets_a_snapshot_and_then_every_byte() -> None:
    stage = Stage()
    stage.terminal.print(b"before")
    member = FakeMember()
    stage.audience.join(member)
    stage.terminal.print(b"after")
    assert member.kinds() == ["welcome", "snapshot", b"after"]
    stage.audience.leave(member)
    stage.terminal.print(b"more")
    assert (member.kinds(), stage.empty, stage.terminal.listeners) == ([], True, [])


async def test_a_snapshot_waits_for_the_end_of_a_sequence_but_not_for_ever() -> None:
    stage = Stage()
    stage.terminal.print(b"text\x1b[3")
    member = FakeMember()
    stage.audience.join(member)
    assert member.kinds() == ["welcome"]
    stage.terminal.print(b"1mred")
    assert member.kinds() == ["snapshot"]

    stage.terminal.print(b"\x1b[3")
    late = FakeMember()
    stage.audience.join(late)
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while "snapshot" not in [i["type"] for i in late.got if isinstance(i, dict)]:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.005)
    stage.audience.close()


async def test_who_is_behind_is_skipped_and_the_others_notice_nothing() -> None:
    stage = Stage()
    slow, quick = FakeMember(), FakeMember()
    stage.audience.join(slow)
    stage.audience.join(quick)
    slow.got.clear()
    quick.got.clear()
    slow.stale = slow.clogged = True
    stage.terminal.print(b"one")
    stage.terminal.print(b"two")
    assert (slow.kinds(), quick.kinds()) == ([], [b"one", b"two"])
    slow.clogged = False
    stage.audience.refresh()
    stage.terminal.print(b"three")
    assert (slow.kinds(), quick.kinds()) == (["snapshot", b"three"], [b"three"])
    stage.audience.close()


async def test_a_gap_another_screen_and_another_process_mean_a_new_snapshot() -> None:
    stage = Stage()
    member = FakeMember()
    stage.audience.join(member)
    member.got.clear()
    stage.terminal.print(b"lost", skip=10)
    assert member.kinds() == ["snapshot"]
    stage.terminal.print(b"\x1b[?1049h")
    assert member.kinds() == ["snapshot"]
    stage.terminal.screen.resize(90, 30)
    await stage.settle()
    assert member.kinds() == ["snapshot"]

    stage.session.terminal, stage.session.state = None, State.HIBERNATED
    await stage.settle()
    assert member.kinds() == ["state"]
    stage.session.terminal, stage.session.state = FakeTerminal(), State.IDLE
    await stage.settle()
    assert member.kinds() == ["state", "snapshot"]
    assert stage.terminal.listeners == []
    stage.audience.close()


async def test_an_ended_session_that_is_reopened_is_another_object_and_is_followed() -> None:
    stage = Stage()
    member = FakeMember()
    stage.audience.join(member)
    stage.session.state, stage.session.terminal = State.ENDED, None
    await stage.settle()
    member.got.clear()
    other = Stage()
    stage.managed = other.managed
    stage.audience._find_again()
    await stage.settle()
    stage.audience._look()
    assert member.kinds() == ["state", "snapshot"]
    assert other.session.viewers == 1
    stage.audience.close()
    other.audience.close()


async def test_one_writer_at_a_time_and_all_know_who() -> None:
    stage = Stage()
    refused: list[PilotlightError] = []
    ann, bob, eve = FakeMember(True), FakeMember(True), FakeMember()
    ann.actor, bob.actor = "ann", "bob"
    for member in (ann, bob, eve):
        stage.audience.join(member)
    assert (stage.session.writer, stage.session.attached, stage.session.viewers) == ("ann", 2, 3)
    with pytest.raises(Conflict, match="ann has the keyboard"):
        stage.audience.type(bob, b"x", refused.append)
    with pytest.raises(Conflict):
        stage.audience.resize(bob)
    stage.audience.steal(eve)
    assert stage.session.writer == "ann"
    stage.audience.steal(bob)
    assert stage.session.writer == "bob"
    assert all("writer" in member.kinds() for member in (ann, bob, eve))
    stage.audience.leave(bob)
    assert stage.session.writer is None
    stage.audience.type(ann, b"", refused.append)
    assert stage.session.writer == "ann"
    with pytest.raises(Conflict):
        stage.audience.type(eve, b"x", refused.append)
    assert [data["writer"] for kind, data in stage.journal if kind == "writer"] == ["ann", "bob", None, "ann"]
    assert stage.journal[-1] == ("writer", {"writer": "ann", "from": None})
    stage.audience.close()


async def test_a_screen_that_is_too_small_gets_drawings_and_not_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(audience_module, "time", SimpleNamespace(monotonic=lambda: now))
    stage = Stage()
    small, large = FakeMember(size=(40, 10)), FakeMember(size=(200, 60))
    stage.audience.join(small)
    stage.audience.join(large)
    assert [item["cropped"] for item in small.got if isinstance(item, dict)] == [True]
    small.got.clear()
    large.got.clear()
    for _ in range(50):
        stage.terminal.print(b"x")
    assert large.kinds() == [b"x"] * 50
    assert small.kinds() == []
    now += 2 * CROPPED_SECONDS
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not small.got:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)
    assert small.kinds() == ["snapshot"]
    stage.audience.close()


async def test_who_asks_for_a_drawing_has_missed_nothing() -> None:
    stage = Stage()
    member = FakeMember()
    stage.audience.join(member)
    member.got.clear()
    stage.terminal.print(b"\x1b[3")
    member.curious = True
    stage.audience.refresh()
    stage.terminal.print(b"1m")
    assert member.got[0] == b"\x1b[3"
    assert member.got[1] == b"1m"
    assert (member.got[2]["asked"], member.got[2]["offset"]) == (True, 5)
    stage.audience.close()


# -- the door ------------------------------------------------------------------------------------------------------


async def test_a_socket_that_cannot_be_made_is_made_when_it_can_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "run" / "terminal.sock"
    pool: Any = SimpleNamespace(log=logging.getLogger("viewers"), sessions=list)
    serving = asyncio.create_task(Viewers(pool, path).serve())
    while not caplog.records:
        await asyncio.sleep(0.01)
    assert not serving.done()

    path.parent.mkdir()
    while not path.exists():
        await asyncio.sleep(0.01)
    _, writer = await asyncio.open_unix_connection(str(path))
    writer.close()
    serving.cancel()
    await asyncio.wait([serving])

    assert [record.getMessage() for record in caplog.records] == ["viewers_shut_out"]
    assert not path.exists()
