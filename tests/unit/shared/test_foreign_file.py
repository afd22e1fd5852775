"""Whatever stands in the place of a file that others write, it neither holds the supervisor up nor fills its memory.

A reader that waits for a pipe never returns: the time limit of the suite is what notices it.
"""

from __future__ import annotations

import ast
import os
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared import asciicast, config, foreign_file, paths
from shared.access.tokens import Keyring
from shared.errors import PilotlightError
from shared.foreign_file import Unreadable, before_hole, open_foreign, past_hole, read_end, read_foreign
from supervisor.claude import command_line, home, hook_log, private_arguments, status_file
from supervisor.claude import tail as tails
from supervisor.claude.hook_log import DamagedSpool
from supervisor.claude.settings import login
from supervisor.claude.tail import Tail
from supervisor.history.indexer import TranscriptLines
from supervisor.history.library import ConversationCatalog, glimpse, project_of
from supervisor.history.reader import Source, lines_backwards, page
from supervisor.holder.ring import read_tail
from supervisor.lifecycle.recycling import options
from supervisor.pool import recovery
from supervisor.store.quarantine import set_aside
from supervisor.store.search_index import Index, TranscriptRef
from supervisor.terminal.holder_records import read_exit, read_info
from supervisor.viewers.recorder import Recording
from supervisor.waiting.waiting import pending
from tests.harness import ROOT
from tests.odd_files import ODD, SPARSE, folder, link, pipe, sparse

ROOM = 260 << 20
"""What a reader may take for a while: a line of a transcript may have 64 MB, and is put together from pieces."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where something is put that is no file."""
    return tmp_path / "place"


@pytest.mark.parametrize(
    "read", [lambda path: read_foreign(path, foreign_file.SMALL), lambda path: [*Tail(path).lines()]]
)
def test_room_is_made_for_what_there_is_and_not_for_all_that_there_may_be(
    tmp_path: Path, read: Callable[[Path], Any]
) -> None:
    small = tmp_path / "small"
    small.write_bytes(b"a line\n")
    tracemalloc.start()
    try:
        assert read(small)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("put", ODD)
def test_only_a_file_is_read_and_what_it_is_instead_is_said(place: Path, put: Callable[[Path], None]) -> None:
    put(place)
    for read in (open_foreign, lambda path: read_foreign(path, 10), lambda path: read_end(path, 10)):
        with pytest.raises(Unreadable) as error:
            read(place)
        assert error.value.reason.startswith("it is a ")
        assert error.value.filename == str(place)


def test_a_link_is_followed_where_a_person_may_have_made_one(place: Path) -> None:
    link(place)
    assert read_foreign(place, 10, follow=True) == b"{}"
    place.unlink()
    place.symlink_to(place.with_name("pipe"))
    pipe(place.with_name("pipe"))
    with pytest.raises(Unreadable, match="a pipe"):
        read_foreign(place, 10, follow=True)


def test_a_file_is_read_up_to_a_bound(place: Path) -> None:
    place.write_bytes(b"0123456789")
    assert read_foreign(place, 10) == b"0123456789"
    assert read_end(place, 3) == b"789"
    with pytest.raises(Unreadable, match="longer than"):
        read_foreign(place, 9)
    with pytest.raises(FileNotFoundError):
        read_foreign(place.with_name("none"), 9)
    assert read_foreign("/proc/self/stat", 100_000)  # says that it is empty


def test_what_is_exchanged_behind_the_first_look_is_not_read(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def exchange(path: Any, flags: int) -> int:
        place.unlink()
        put(place)
        return real(path, flags)

    for put in (pipe, folder):
        place.write_text("{}")
        with monkeypatch.context() as patch:
            patch.setattr(foreign_file.os, "open", exchange)
            with pytest.raises(Unreadable):
                read_foreign(place, 10)
        place.unlink() if put is pipe else place.rmdir()


def test_a_hole_is_found_from_both_its_sides(place: Path) -> None:
    with place.open("wb") as file:
        file.write(b"begin")
        file.seek(SPARSE)
        file.write(b"end")
    with place.open("rb") as file:
        assert 5 < past_hole(file, 1 << 20) <= SPARSE
        assert past_hole(file, 1 << 20) > SPARSE - (1 << 21)
        assert before_hole(file, SPARSE - (1 << 20)) < 1 << 22
        assert past_hole(file, SPARSE + 100) == SPARSE + 3


# -- every reader --------------------------------------------------------------------------------------------------------


class _Readers:
    """Each reads a file at a place of its own, made by `put`."""

    def __init__(self, home: Path, put: Callable[[Path], None]) -> None:
        self.home, self._put = home, put
        self.paths = paths.resolve({"PILOTLIGHT_HOME": str(home)})

    def at(self, *name: str) -> Path:
        path = self.home.joinpath(*name)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._put(path)
        return path

    def tail(self) -> Any:
        tail = Tail(self.at("t.jsonl"))
        return list(tail.lines()) if tail.changed() else []

    def spool(self) -> Any:
        self.at("spool", "1.0")
        with suppress(DamagedSpool):
            return hook_log.parse_log_line(self.home, b"hook Stop 1.0")
        return None

    def requests(self) -> Any:
        self.at("spool", "1.0")
        os.mkfifo(self.home / "spool" / "1.0.answer")
        return pending(self.home / "spool")

    def status(self) -> Any:
        with suppress(Unreadable):
            return status_file.read_status(self.at("sessions", "7.json"))
        return None

    def said(self) -> Any:
        with suppress(Unreadable):
            return home.holds_conversation(self.at("t.jsonl"))
        return False

    def owner(self) -> Any:
        self.at("sessions", f"{os.getpid()}.json")
        return status_file.owner(self.home, "c")

    def backwards(self) -> Any:
        return list(lines_backwards(self.at("t.jsonl")))

    def history(self) -> Any:
        return page([Source("c", self.at("t.jsonl"))], None, 10)[0]

    def others(self) -> Any:
        self.at("projects", "p", "00000000-0000-0000-0000-000000000000.jsonl")
        return ConversationCatalog(self.home).others([], None, 10)[0]

    def glimpse(self) -> Any:
        path = self.at("t.jsonl")
        return any([*glimpse(path), project_of(path)])

    def index(self) -> Any:
        index = Index(self.home / "search.db", TranscriptLines)
        ref = TranscriptRef("s", "c", self.at("t.jsonl"))
        while not index.update([ref], 60.0):
            pass
        index.close()

    def holder(self) -> Any:
        for name, read in (("holder.json", read_info), ("exit.json", read_exit)):
            self.at(name)
            with suppress(ValueError):
                return read(self.home)
        return None

    def ring(self) -> Any:
        with suppress(OSError, ValueError):
            return read_tail(str(self.at("ring")))
        return None

    def folder(self) -> Any:
        self.at("spawn.json")
        return recovery.record_of(self.home, self.paths, self.home)

    def file_of_ours(self) -> Any:
        return private_arguments.read(["claude", "--settings", str(self.at("settings.json"))], "--settings")

    def login(self) -> Any:
        self.at("settings.json")
        return login.is_there(config.Config().claude, {}, self.home)

    def servers(self) -> Any:
        with suppress(PilotlightError):
            return options({"mcp_config": str(self.at("mcp.json"))})
        return None

    def arguments(self) -> Any:
        with suppress(PilotlightError):
            return command_line._take_settings(["--settings", str(self.at("mine.json"))])[0]
        return None

    def config(self) -> Any:
        with suppress(PilotlightError):
            config.load(self.at("config.yaml"), {})

    def tokens(self) -> Any:
        self.paths.prepare()
        for path in (self.paths.token_file, self.paths.tokens_file):
            self._put(path)
        keyring = Keyring(self.paths)
        with suppress(PilotlightError):
            keyring.identify("pl_x")
        with suppress(PilotlightError):
            return keyring.named.records()
        return None

    def recording(self) -> Any:
        self.at("recording.cast")
        made = Recording(self.home, 1 << 20, 3600.0)
        made.snapshot({"cols": 80, "rows": 24, "title": None}, b"")
        made.close()
        return list(asciicast.join([self.home / "recording.cast"])) if made.failed else None


READERS = [name for name in vars(_Readers) if not name.startswith("_") and name != "at"]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("put", ODD)
def test_nothing_waits_for_what_is_no_file(tmp_path: Path, put: Callable[[Path], None], reader: str) -> None:
    assert not getattr(_Readers(tmp_path, put), reader)() or (put is link and reader in LINKED)


LINKED = {"servers", "arguments", "login", "tokens"}
"""What may be a link: it is a person's own."""


@pytest.mark.parametrize("reader", [reader for reader in READERS if reader != "recording"])
def test_a_huge_file_fills_no_memory(tmp_path: Path, reader: str) -> None:
    readers = _Readers(tmp_path, sparse)
    tracemalloc.start()
    try:
        assert not getattr(readers, reader)()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < ROOM


# -- logs with holes, and lines without an end ---------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pieces=st.lists(
        st.sampled_from([b"one\n", b"two\n", b"\0", b"\0" * 200, b"half", b"x" * 150, b"x" * 150 + b"\n", b"\n"]),
        max_size=14,
    ),
    most=st.sampled_from([1, 64, 1 << 20]),
)
def test_a_log_gives_every_line_that_is_whole_and_short_enough(tmp_path: Path, pieces: list[bytes], most: int) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(pieces))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tails, "READ_BYTES", 16)
        tail = Tail(path, longest=100)
        found: list[bytes] = []
        for _ in range(200):
            if not tail.changed():
                break
            found += [line.data for line in tail.lines(most)]
    whole = [line.rpartition(b"\0")[2] for line in path.read_bytes().split(b"\n")[:-1]]
    assert [line for line in found if len(line) <= 100] == [line for line in whole if line.strip() and len(line) <= 100]
    with path.open("ab") as file:
        file.write(b"\nlast\n")
    assert tail.changed()
    assert [line.data for line in tail.lines()][-1] == b"last"


def test_a_look_at_a_log_reads_a_bounded_stretch_and_says_that_there_is_more(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"a line of some length\n" * 300_000)
    tail = Tail(path)
    first = list(tail.lines(1))
    assert 0 < len(first) < 200_000
    assert tail.behind
    assert tail.changed()
    rest = list(tail.lines())
    assert len(first) + len(rest) == 300_000
    assert not tail.behind
    assert not tail.changed()


def test_what_follows_a_hole_is_read_and_the_hole_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"before\nhalf a li")
    with path.open("r+b") as file:
        file.seek(SPARSE)
        file.write(b"behind\n")
    blocks = [0]
    real = Tail._block

    def counting(self: Tail, file: Any) -> bytes:
        blocks[0] += 1
        return real(self, file)

    monkeypatch.setattr(Tail, "_block", counting)
    assert [line.data for line in Tail(path).lines()] == [b"before", b"behind"]
    assert blocks[0] < 10
    assert [line for _, line in lines_backwards(path)] == [b"behind", b"half a li", b"before"]


def test_a_line_that_is_too_long_is_passed_over_and_said(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\n" + b"x" * 9_000_000 + b"\ntwo\n")
    tail = Tail(path, longest=100_000)
    assert [line.data for line in tail.lines()] == [b"one", b"two"]
    assert tail.trouble == "it has a line of more than 97 kB"


@pytest.mark.parametrize("put", [*ODD, sparse])
def test_what_is_put_aside_is_out_of_the_way(place: Path, put: Callable[[Path], None]) -> None:
    put(place)
    moved = set_aside(place)
    assert not os.path.lexists(place)
    assert os.path.lexists(moved)


# -- and no reader beside it ---------------------------------------------------------------------------------------------

OWN = (
    "shared/foreign_file.py",
    "supervisor/holder/",
    "supervisor/clock.py",
    "supervisor/store/migrations.py",
    "supervisor/terminal/emulator.py",
    "supervisor/backup.py",
)
"""Is it; the holder's own process, for which nobody but its session waits; the kernel's files; syncs what it has made; reads
an installed library; is a command's, which no session waits for, and never waits for what it opens."""


def readings(path: Path) -> Iterator[str]:
    """What opens a file to read it, other than the kernel's, in a module."""
    text = path.read_text()
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call) or _name(node.func) not in ("open", "read_bytes", "read_text"):
            continue
        words = ast.get_source_segment(text, node) or ""
        if isinstance(node.func, ast.Name) and node.func.id == "open":
            reads = not any(mark in words for mark in ('"w', '"a', '"x', '"r+'))
        elif isinstance(node.func, ast.Attribute) and node.func.attr in ("read_bytes", "read_text"):
            reads = True
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "open":
            reads = ("O_RDONLY" in words and "O_DIRECTORY" not in words) or '("r' in words
        else:
            continue
        if reads and "/proc" not in words:
            yield f"{path.relative_to(ROOT)}:{node.lineno} {words}"


def _name(called: ast.expr) -> str:
    return called.id if isinstance(called, ast.Name) else called.attr if isinstance(called, ast.Attribute) else ""


def test_there_is_one_way_to_read_what_others_write() -> None:
    modules = [path for part in ("supervisor", "shared") for path in sorted((ROOT / part).rglob("*.py"))]
    found = [reading for path in modules for reading in readings(path)]
    assert [reading for reading in found if not reading.startswith(OWN)] == []
