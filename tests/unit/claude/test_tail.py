"""Claude's logs are read once and whole, however they grow, break off, shrink or are replaced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import BinaryIO

import pytest

from supervisor.claude import tail as tails
from supervisor.claude.home import find_transcript, transcript_path
from supervisor.claude.hook_log import DamagedSpool, EditorEvent, HookEvent, parse_log_line
from supervisor.claude.status_file import read_status, status_path
from supervisor.claude.tail import Tail


def read(tail: Tail) -> list[bytes]:
    """What is new, as the session asks for it."""
    return [line.data for line in tail.lines()] if tail.changed() else []


# -- tails -------------------------------------------------------------------------------------------------------------


def test_each_line_is_handed_out_once(tmp_path: Path) -> None:
    path = tmp_path / "log"
    tail = Tail(path)
    assert read(tail) == []
    path.write_bytes(b"one\ntwo\n")
    assert read(tail) == [b"one", b"two"]
    assert read(tail) == []
    with path.open("ab") as file:
        file.write(b"three\n")
    assert read(tail) == [b"three"]


def test_a_half_written_line_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b'{"a": "h\xc3')
    tail = Tail(path)
    assert read(tail) == []
    with path.open("ab") as file:
        file.write(b'\xa9"}\nnext')
    assert [json.loads(line) for line in read(tail)] == [{"a": "hé"}]
    with path.open("ab") as file:
        file.write(b"\n")
    assert read(tail) == [b"next"]


def test_reading_goes_on_from_the_offset_behind_the_last_line_that_was_taken(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\n\n  \ntwo\nthree\n")
    tail = Tail(path)
    lines = tail.lines()
    next(lines)
    second = next(lines)
    assert (second.data, tail.offset) == (b"two", second.end)
    assert read(Tail(path, second.end)) == [b"three"]
    tail.again(0)
    assert read(tail) == [b"one", b"two", b"three"]


def test_a_line_that_is_written_while_the_file_is_read_is_news_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"first\n")

    class Crossed(Tail):
        def _block(self, file: BinaryIO) -> bytes:
            block = super()._block(file)
            if path.read_bytes() == b"first\n":
                path.write_bytes(b"first\nlast\n")
            return block

    tail = Crossed(path)
    assert [line.data for line in tail.lines()] == [b"first"]
    assert tail.changed(), "nothing more may ever be written behind it: a Stop is the last word of a turn"
    assert [line.data for line in tail.lines()] == [b"last"]
    assert not tail.changed()


def test_a_truncated_file_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"a long first line\n")
    tail = Tail(path)
    read(tail)
    path.write_bytes(b"new\n")
    assert read(tail) == [b"new"]


def test_a_file_that_is_away_for_a_while_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    tail = Tail(path)
    read(tail)
    path.rename(tmp_path / "away")
    assert read(tail) == []
    (tmp_path / "away").rename(path)
    with path.open("ab") as file:
        file.write(b"two\n")
    assert read(tail) == [b"two"]


@pytest.mark.parametrize("size", [63, 64, 65, 200, 1000])
def test_lines_longer_than_a_block_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(tails, "READ_BYTES", 64)
    path = tmp_path / "log"
    path.write_bytes(b"short\n" + b"x" * size + b"\n" + b"y\n" * 100)
    assert read(Tail(path)) == [b"short", b"x" * size, *[b"y"] * 100]


def test_a_directory_in_the_place_of_a_log_is_no_log(tmp_path: Path) -> None:
    assert read(Tail(tmp_path)) == []


# -- hook log ----------------------------------------------------------------------------------------------------------


def spool(folder: Path, content: bytes, name: str = "1.0") -> Path:
    (folder / "spool").mkdir(exist_ok=True)
    path = folder / "spool" / name
    path.write_bytes(content)
    return path


def test_a_hook_line_brings_its_event(tmp_path: Path) -> None:
    path = spool(tmp_path, b'{"prompt_id": "p", "prompt": "h\xc3\xa9"}')
    event = parse_log_line(tmp_path, b"hook UserPromptSubmit 1.0")
    assert event == HookEvent("UserPromptSubmit", {"prompt_id": "p", "prompt": "hé"}, path)
    assert isinstance(event, HookEvent)
    assert event.prompt_id == "p"


def test_a_hook_line_whose_file_is_gone_was_read_before(tmp_path: Path) -> None:
    assert parse_log_line(tmp_path, b"hook Stop 1.0") is None


HALVES = [
    # half an emoji, first half and second half, as an escape and as bytes; and what looks like one and is none
    (rb'{"delta": "cut \ud83d"}', "cut \N{REPLACEMENT CHARACTER}"),
    (rb'{"delta": "\uDE00 cut"}', "\N{REPLACEMENT CHARACTER} cut"),
    (rb'{"delta": "\ud83d\ud83d\ude00"}', "\N{REPLACEMENT CHARACTER}\N{GRINNING FACE}"),
    (b'{"delta": "\xed\xa0\xbd h\xc3\xa9"}', "\N{REPLACEMENT CHARACTER} h\u00e9"),
    (rb'{"delta": "\\ud83d"}', "\\ud83d"),
]


@pytest.mark.parametrize(("content", "delta"), HALVES)
def test_half_an_emoji_does_not_cost_the_event(tmp_path: Path, content: bytes, delta: str) -> None:
    spool(tmp_path, content)
    event = parse_log_line(tmp_path, b"hook MessageDisplay 1.0")
    assert isinstance(event, HookEvent)
    assert event.payload == {"delta": delta}


@pytest.mark.parametrize(
    "content", [b"", b"{", b'"text"', b"[1]", b"\xff", rb'{"a": "\ud83d', rb'{"a": NaN, "b": "\ud83d"}', rb'["\ud83d"]']
)
def test_a_damaged_event_says_so(tmp_path: Path, content: bytes) -> None:
    spool(tmp_path, content)
    with pytest.raises(DamagedSpool):
        parse_log_line(tmp_path, b"hook Stop 1.0")


@pytest.mark.parametrize("line", [b"", b"hook", b"hook Stop", b"hook Stop a b c", b"other x y", b"\xff\xfe \xff \xff"])
def test_a_line_that_is_not_ours_is_nothing(tmp_path: Path, line: bytes) -> None:
    assert parse_log_line(tmp_path, line) is None


def test_no_line_names_a_file_outside_the_session(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"{}")
    folder = tmp_path / "session"
    (folder / "spool").mkdir(parents=True)
    assert parse_log_line(folder, b"hook Stop ../../secret") is None
    event = parse_log_line(folder, b"editor draft m1 ../../secret")
    assert isinstance(event, EditorEvent)
    assert event.draft == folder / "outbox" / "secret"


# -- status file, places -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [None, b"", b'{"status": "id', b"[]", b'{"status": 5}', b"{}"])
def test_a_status_file_that_cannot_be_read_is_none(tmp_path: Path, content: bytes | None) -> None:
    (tmp_path / "sessions").mkdir()
    if content is not None:
        (tmp_path / "sessions" / "7.json").write_bytes(content)
    assert read_status(status_path(tmp_path, 7)) is None


def test_a_transcript_is_found_wherever_it_was_started(tmp_path: Path) -> None:
    path = transcript_path(tmp_path, "/some/där", "8c82c545-a3b0")
    assert path.parent.name == "-some-d-r"
    path.parent.mkdir(parents=True)
    path.touch()
    assert find_transcript(tmp_path, "8c82c545-a3b0") == path
    assert find_transcript(tmp_path, "ffffffff-0000") is None
    assert find_transcript(tmp_path, "../../../etc/passwd") is None
    assert find_transcript(tmp_path, "*" * 10) is None
