"""Recordings: within their bounds, whole after a crash, one recording out of two files, and harmless on a full disk."""

from __future__ import annotations

import json
import logging
import os
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from shared import asciicast
from shared.config import Config, SessionsConfig
from shared.errors import StorageFailed
from supervisor.state.states import State
from supervisor.store.options import Intent
from supervisor.viewers import recorder as module
from supervisor.viewers.recorder import NAME, OLD_NAME, Recorder, Recording

HEAD = {"cols": 80, "rows": 24, "title": "Claude"}
DAY = 86400.0


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_a_recording_is_an_asciicast_with_sizes_and_whole_characters(tmp_path: Path) -> None:
    recording = Recording(tmp_path, 1 << 20, DAY)
    recording.snapshot(HEAD, b"drawn")
    data = "é漢👩".encode()
    for n in range(len(data)):
        recording.output(n, data[n : n + 1], b"")
    recording.snapshot({**HEAD, "cols": 100}, b"drawn again")
    recording.close()
    head, *events = lines(tmp_path / NAME)
    assert (head["version"], head["width"], head["height"], head["title"]) == (2, 80, 24, "Claude")
    assert [(kind, text) for _, kind, text in events] == [
        ("o", "drawn"), ("o", "é"), ("o", "漢"), ("o", "👩"), ("r", "100x24"), ("o", "drawn again"),
    ]  # fmt: skip
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def test_a_recording_stays_within_its_size(tmp_path: Path) -> None:
    recording = Recording(tmp_path, 20_000, DAY)
    recording.snapshot(HEAD, b"drawn")
    for n in range(200):
        recording.output(0, b"%04d" % n + b"x" * 500, b"")
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 22_000
        if recording.stale:  # as the audience does
            recording.stale = False
            recording.snapshot(HEAD, b"drawn")
    recording.close()
    assert {path.name for path in tmp_path.iterdir()} == {NAME, OLD_NAME}
    assert all(asciicast.read_header(p.read_bytes().splitlines()[0]) for p in tmp_path.iterdir())
    joined = b"".join(asciicast.join([tmp_path / OLD_NAME, tmp_path / NAME])).splitlines()
    assert json.loads(joined[-1])[2].startswith("0199")
    assert sum(b'"version"' in line for line in joined) == 1


def test_nothing_older_than_the_bound_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(module.time, "time", lambda: now)
    recording = Recording(tmp_path, 1 << 20, 100.0)
    for number in range(6):
        recording.snapshot(HEAD, b"drawn")
        recording.stale = False
        recording.output(0, b"number %d" % number, b"")
        now += 51
        recording.output(0, b"x", b"")
        assert recording.stale
    recording.close()
    text = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"number 5" in text
    assert b"number 3" not in text


def test_a_recording_goes_on_after_a_crash_without_its_torn_line(tmp_path: Path) -> None:
    recording = Recording(tmp_path, 1 << 20, DAY)
    recording.snapshot(HEAD, b"drawn")
    recording.close()
    with (tmp_path / NAME).open("ab") as file:
        file.write(b'[1.5,"o","torn')
    again = Recording(tmp_path, 1 << 20, DAY)
    again.snapshot({**HEAD, "cols": 90}, b"drawn later")
    again.close()
    head, *events = lines(tmp_path / NAME)
    assert head["width"] == 80
    assert [(kind, text) for _, kind, text in events] == [("o", "drawn"), ("r", "90x24"), ("o", "drawn later")]
    assert [at for at, _, _ in events] == sorted(at for at, _, _ in events)


def test_a_file_that_is_no_recording_is_replaced(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"\0\0\0damaged")
    recording = Recording(tmp_path, 1 << 20, DAY)
    recording.snapshot(HEAD, b"drawn")
    recording.close()
    assert [line[2] for line in lines(tmp_path / NAME)[1:]] == ["drawn"]


def test_joined_times_go_on_and_what_is_missing_or_damaged_is_left_out(tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in ("1", "2", "3"))
    first.write_bytes(asciicast.header(80, 24, 1000, None) + asciicast.event(1.0, "o", "a"))
    second.write_bytes(asciicast.header(80, 24, 1060, None) + asciicast.event(2.5, "o", "b") + b"[torn\n")
    third.write_bytes(b"not a recording\n")
    joined = b"".join(asciicast.join([first, tmp_path / "missing", third, second])).splitlines()
    assert [json.loads(line) for line in joined[1:]] == [[1.0, "o", "a"], [62.5, "o", "b"]]
    assert list(asciicast.join([third])) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_ends_the_recording_only(tmp_path: Path) -> None:
    os.symlink("/dev/full", tmp_path / NAME)
    recording = Recording(tmp_path, 1 << 20, DAY)
    recording.snapshot(HEAD, b"drawn")
    recording.output(0, b"x", b"")
    assert isinstance(recording.failed, OSError)
    assert recording.clogged


class Recorded:
    """Two sessions and their audiences, as the recorder sees them; `refuses` is a journal on a full disk."""

    def __init__(self, folder: Path) -> None:
        self.refuses = False
        self.told: list[tuple[str, Any]] = []
        self.members: dict[str, Recording] = {}
        self.sessions = [self._session(folder, identity) for identity in ("first", "second")]
        services = SimpleNamespace(config=lambda: Config(sessions=SessionsConfig(recording=True)))
        pool: Any = SimpleNamespace(sessions=lambda: self.sessions, services=services)
        viewers: Any = SimpleNamespace(audience=self._audience)
        self.recorder = Recorder(pool, viewers, logging.getLogger("recorder"))

    def _session(self, folder: Path, identity: str) -> Any:
        (folder / identity).mkdir()
        store = SimpleNamespace(append=self._append, transaction=nullcontext)
        record = SimpleNamespace(intent=Intent())
        return SimpleNamespace(
            id=identity, dir=folder / identity, store=store, record=record, terminal="there", state=State.IDLE
        )

    def _append(self, said: Any, session: str) -> None:
        if self.refuses:
            raise StorageFailed("full")
        self.told.append((session, said.recording))

    def _audience(self, identity: str) -> Any:
        def join(member: Recording) -> None:
            self.members[identity] = member
            member.snapshot(HEAD, b"drawn")

        return SimpleNamespace(join=join, leave=lambda member: None)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("journal_first", [True, False])
def test_a_recording_that_fails_on_a_full_disk_goes_on_with_room_and_disturbs_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal_first: bool
) -> None:
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.0)
    there = Recorded(tmp_path)
    there.refuses = True
    os.symlink("/dev/full", tmp_path / "first" / NAME)

    for _ in range(5):
        there.recorder.look()
    there.members["second"].output(0, b"goes on", b"")
    there.refuses = not journal_first
    for _ in range(5):
        there.recorder.look()
    (tmp_path / "first" / NAME).unlink()
    there.refuses = False
    for _ in range(5):
        there.recorder.look()

    assert there.told == [("first", False), ("first", True)]
    assert [line[2] for line in lines(tmp_path / "first" / NAME)[1:]] == ["drawn"]
    assert [line[2] for line in lines(tmp_path / "second" / NAME)[1:]] == ["drawn", "goes on"]
