"""The parts of looking at a terminal: protocol, drawings, what is typed and what is not, tickets, and the audience."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyghostty import Terminal

from api.auth.tickets import MAX_TICKETS, TICKET_SECONDS, Tickets
from api.terminals.websocket import accept_key, frame, valid_key
from cli.terminal.keyboard import Keyboard, prefix_byte, prefix_name
from cli.terminal.tty import Cleaner
from shared.access.tokens import Identity
from shared.bus import terminal_protocol as protocol
from shared.bus.event_data import data_of
from shared.errors import Conflict, InvalidRequest, PilotlightError, Unauthorized
from supervisor.delivery.keyboard import ReportFilter
from supervisor.session.condition import Condition
from supervisor.state.states import State
from supervisor.terminal import render
from supervisor.terminal.screen import Screen
from supervisor.viewers import audience as audience_module
from supervisor.viewers.audience import CROPPED_SECONDS, Audience
from supervisor.viewers.server import Viewer, Viewers
from tests.harness import PATIENCE

# -- the protocol --------------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(1, 50))
def test_frames_survive_any_cut(pieces: list[bytes], size: int) -> None:
    stream = b"".join(protocol.output(n, data) + protocol.keys(data) for n, data in enumerate(pieces))
    stream += protocol.snapshot({"cols": 80}, b"drawing") + protocol.control({"type": "steal"})
    decoder = protocol.Decoder()
    found = [f for start in range(0, len(stream), size) for f in decoder.feed(stream[start : start + size])]

    assert [protocol.read_output(payload) for kind, payload in found if kind == protocol.OUTPUT] == list(
        enumerate(pieces)
    )
    assert [payload for kind, payload in found if kind == protocol.INPUT] == pieces
    assert protocol.read_snapshot(found[-2][1]) == ({"cols": 80}, b"drawing")
    assert protocol.read_control(found[-1][1]) == {"type": "steal"}


@pytest.mark.parametrize(
    "read",
    [
        lambda: list(protocol.Decoder(100).feed(b"\0\0\1\0")),
        lambda: list(protocol.Decoder().feed(b"\0\0\0\0")),
        lambda: protocol.read_control(b"[1]"),
        lambda: protocol.read_control(b"\xff"),
        lambda: protocol.read_output(b"1234567"),
        lambda: protocol.read_snapshot(b"\0\0\0\x09{}"),
    ],
)
def test_what_is_no_frame_is_refused(read: Any) -> None:
    with pytest.raises(protocol.BadFrame):
        read()


# -- drawings ------------------------------------------------------------------------------------------------------

PIECES = [
    "hello", "漢字", "é👩\u200d👩\u200d👧", "\r\n", "x" * 40, "\x1b[K", "\x1b[2K", "\x1b[?25l", "\x1b[?25h", "\x1b[?2004h",
    "\x1b[?1004h", "\x1b7", "\x1b8", "\x1b[5X", "\x1b[2J", "\x1b[?1049h", "\x1b[?1049l", "\x1b[S", "\x1b[3;7r", "\x1b[L",
    "\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[3;4m", "\x1b[7m", "\x1b[9m", "\x1b[31m", "\x1b[48;5;77m", "\x1b[38;2;1;2;3m",
    "\x1b[5;9H", "\x1b[1;1H", "\x1b[10;40H", "\x1b[2;33H", "\t", "\b", "\x1b[?1h",
]  # fmt: skip
JUNK = "\x1b[?1049h\x1b[?1000h\x1b[31;7mjunk\x1b[4h\x1b[3;5r\x1b[?6h" * 3


def shown(terminal: Terminal) -> list[str]:
    """The rows as a person sees them: a blank looks like an empty cell."""
    return [row.rstrip() for row in terminal.text().rstrip().split("\n")]


@settings(max_examples=150)
@given(st.lists(st.sampled_from(PIECES), max_size=40))
@example(["x" * 40, "\x1b[?1049h"])
@example(["x" * 40, "\x1b[31m", "\x1b[?1049h"])
@example(["x" * 40, "\x1b[K"])
@example(["漢字" * 10, "\x1b[7m", "\x1b[?1049h"])
def test_a_drawing_makes_any_terminal_show_the_same_and_go_on_the_same(pieces: list[str]) -> None:
    first, second = Terminal(cols=40, rows=10), Terminal(cols=40, rows=10)
    second.feed(JUNK)
    first.feed("".join(pieces))
    second.feed(render.vt(first))
    for text in ("", "\x1b[1mQ漢\r\nzz"):
        first.feed(text)
        second.feed(text)
        assert shown(second) == shown(first)
        assert second.cursor == first.cursor
        assert [second.mode(m) for m in (1, 25, 1000, 1004, 2004)] == [first.mode(m) for m in (1, 25, 1000, 1004, 2004)]


def test_a_drawing_for_a_small_screen_fits_and_has_the_cursor() -> None:
    screen = Screen(40, 12)
    screen.feed("".join(f"line {n} {'漢' * 10}\r\n" for n in range(9)).encode() + b"> prompt")
    small = Terminal(cols=21, rows=5)
    small.feed(screen.draw(21, 5))
    assert small.text().splitlines()[0].startswith("line 6")
    assert small.text().splitlines()[3] == "> prompt"
    assert small.cursor == (8, 3)
    assert len(small.text().splitlines()) == 4


def test_html_escapes_what_was_written_and_has_its_colours() -> None:
    screen = Screen(40, 5)
    screen.feed(b"\x1b[31m<script>alert(1)</script>\x1b[0m & \x1b]8;;javascript:alert(1)\x07link\x1b]8;;\x07")
    page = screen.html()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "var(--vt-palette-1)" in page
    assert "--vt-palette-1:#cc6666" in page
    assert [render.colour(n) for n in (16, 196, 231, 232, 255)] == [
        "#000000",
        "#ff0000",
        "#ffffff",
        "#080808",
        "#eeeeee",
    ]
    assert "javascript:" not in page


@pytest.mark.parametrize("half", [b"\x1b", b"\x1b[3", b"\x1b]0;tit", "é".encode()[:1], "👩".encode()[:3]])
def test_no_drawing_is_made_within_a_sequence(half: bytes) -> None:
    screen = Screen(40, 5)
    screen.feed(b"text")
    assert screen.at_rest
    screen.feed(half)
    assert not screen.at_rest


# -- what is typed -------------------------------------------------------------------------------------------------

REPORTS = [
    b"\x1b[I", b"\x1b[O", b"\x1b[?62;22c", b"\x1b[>1;10;0c", b"\x1b[?0u", b"\x1b[?997;1n", b"\x1b[?2026;2$y", b"\x1b[12;40R",
    b"\x1b]11;rgb:0000/0000/0000\x1b\\", b"\x1b]10;rgb:ff/ff/ff\x07", b"\x1bP>|tmux 3.3a\x1b\\", b"\x1b[8;40;120t",
]  # fmt: skip
KEYS = [
    b"a", b"\x1b", b"\x1b[A", b"\x1b[1;5C", b"\x1b[1;2R", b"\x1bOP", b"\x1b[3~", b"\r", b"\x03", b"\x07", "é漢".encode(),
    b"\x1b]", b"\x1bP", b"\x1b[", b"\x1b_", b"\x1b[200~pasted \x1a text\x1b[201~", b"\x1b[15;2~",
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("report", REPORTS)
def test_keys_are_typed_and_reports_are_not(key: bytes, report: bytes) -> None:
    reports = ReportFilter()
    assert reports.feed(key) + reports.let_go() == key
    assert ReportFilter().feed(report + key + report) == key


@pytest.mark.parametrize("report", REPORTS)
def test_reports_are_recognised_in_pieces(report: bytes) -> None:
    for cut in range(2, len(report)):
        reports = ReportFilter()
        assert reports.feed(b"x" + report[:cut]) + reports.feed(report[cut:] + b"y") == b"xy", cut


def test_the_beginning_of_a_report_is_let_go_only_when_it_may_be_a_key() -> None:
    reports = ReportFilter()
    assert (reports.feed(b"x\x1b["), reports.doubtful) == (b"x", True)
    assert (reports.feed(b"?62;"), reports.doubtful, reports.let_go()) == (b"", False, b"")
    assert reports.feed(b"cy") == b"y"


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


def test_nobody_puts_claude_to_sleep_with_ctrl_z() -> None:
    for spelling in (b"\x1a", b"\x1b[122;5u", b"\x1b[122:90;69:1u", b"\x1b[27;5;122~"):
        assert ReportFilter().feed(b"a" + spelling + b"b") == b"ab"
    assert ReportFilter().feed(b"\x1b[122;1u\x1b[122;2u") == b"\x1b[122;1u\x1b[122;2u"


# -- the person's own terminal -------------------------------------------------------------------------------------


def test_the_prefix_is_for_us_and_twice_for_the_session() -> None:
    prefix = prefix_byte("C-]")
    assert (prefix, prefix_name(prefix), prefix_byte("c-a")) == (0x1D, "Ctrl+]", 1)
    assert Keyboard(prefix).feed(b"ab\x1dd") == [b"ab", "detach"]
    assert Keyboard(prefix).feed(b"\x1d\x1dx\x1dS\x1dry\x1d?") == [b"\x1dx", "steal", "redraw", b"y", "help"]
    assert Keyboard(prefix).feed(b"\x1dq") == [b"\x1dq"]
    split = Keyboard(prefix)
    assert [split.feed(b"a\x1d"), split.feed(b"d")] == [[b"a"], ["detach"]]
    for wrong in ("]", "C-1", "C-", "x"):
        with pytest.raises(InvalidRequest):
            prefix_byte(wrong)


def test_nothing_in_a_paste_is_for_us() -> None:
    keyboard = Keyboard(0x1D)
    paste = b"\x1b[200~one \x1dd two\x1b[201~"
    assert b"".join(item for n in range(len(paste)) for item in keyboard.feed(paste[n : n + 1])) == paste  # type: ignore[misc]
    assert keyboard.feed(b"\x1dd") == ["detach"]


@given(
    st.lists(
        st.sampled_from([b"a", b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[31m", b"\x1b[?1047h", b"\x1b[2J"]), max_size=8
    )
)
def test_a_session_never_switches_the_persons_own_screen(pieces: list[bytes]) -> None:
    stream = b"".join(pieces) + b"."
    expected = b"".join(piece for piece in pieces if b"?10" not in piece) + b"."
    for size in (1, 3, len(stream)):
        cleaner = Cleaner()
        fed = [cleaner.feed(stream[n : n + size]) for n in range(0, len(stream), size)]
        assert b"".join(shown for shown, _ in fed) == expected
        assert any(switched for _, switched in fed) == (len(expected) < len(stream))


def test_a_session_does_not_clear_what_the_person_can_scroll_back_to() -> None:
    assert Cleaner().feed(b"\x1b[2J\x1b[3Jx") == (b"\x1b[2Jx", False)


# -- tickets and WebSockets ----------------------------------------------------------------------------------------


def test_a_ticket_is_good_once_soon_and_for_one_thing() -> None:
    now = 0.0
    tickets = Tickets(lambda: now)
    ann = Identity("ann", "read")
    good = tickets.issue(ann, "read", "s1")
    assert tickets.redeem(good, "read", "s1") == ann

    def refused(secret: str, mode: str, session: str | None) -> None:
        with pytest.raises(Unauthorized):
            tickets.redeem(secret, mode, session)

    refused(good, "read", "s1")
    refused("guess", "read", "s1")
    for mode, session in (("write", "s1"), ("read", "s2"), ("events", None)):
        wrong = tickets.issue(ann, "read", "s1")
        refused(wrong, mode, session)
        refused(wrong, "read", "s1")
    old = tickets.issue(ann, "read", "s1")
    now = TICKET_SECONDS + 0.1
    refused(old, "read", "s1")

    first = tickets.issue(ann, "events", None)
    for _ in range(MAX_TICKETS):
        tickets.issue(ann, "events", None)
    refused(first, "events", None)


def test_websocket_frames_and_handshake_are_those_of_the_rfc() -> None:
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, 1.3
    assert valid_key("dGhlIHNhbXBsZSBub25jZQ==")
    assert not any(map(valid_key, ("", "short", "dGhlIHNhbXBsZQ==", "!" * 24)))
    assert frame(1, b"Hello") == b"\x81\x05Hello"
    assert frame(2, bytes(256))[:4] == b"\x82\x7e\x01\x00"
    assert frame(2, bytes(65536))[:10] == b"\x82\x7f" + (65536).to_bytes(8, "big")


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
