"""A file of a session that cannot be read costs that file, is told with the session's name, and holds nobody up."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.errors import StartFailed
from supervisor.claude.status_file import status_path
from supervisor.lifecycle import launch
from supervisor.observation import log_tails
from supervisor.observation.observer import STATUS_SECONDS
from supervisor.store.store import Store
from supervisor.waiting.waiting import pipe_of
from tests.odd_files import ODD, pipe, sparse
from tests.unit.observation.claude_lab import Claude

LATER = STATUS_SECONDS + 0.1


@pytest.fixture
def claude(tmp_path: Path) -> Iterator[Claude]:
    store = Store(tmp_path / "x.db")
    yield Claude(tmp_path, store)
    store.close()


def told(claude: Claude, kind: str) -> list[dict[str, Any]]:
    """What the journal has of this kind; always of this session."""
    events = claude.store.events(0, 1000, None, [kind])
    assert all(event.session == "s" for event in events)
    return [event.data for event in events]


@pytest.mark.parametrize("put", [*ODD, sparse])
def test_what_a_hook_is_said_to_have_written_is_put_aside(claude: Claude, put: Callable[[Path], None]) -> None:
    folder = claude.session.dir
    put(folder / "spool" / "900.0")
    with (folder / "hooks.log").open("a") as log:
        log.write("hook Stop 900.0\n")
    claude.hook("MessageDisplay", delta="and so on")
    claude.read()
    (aside,) = told(claude, "quarantined")
    assert aside["what"] == "900.0"
    assert os.path.lexists(aside["movedTo"])
    assert "it is " in aside["reason"]
    assert [text["delta"] for text in told(claude, "text")] == ["and so on"]


def test_what_is_nested_too_deeply_costs_that_line(claude: Claude) -> None:
    deep = '{"a":' + "[" * 5000 + "]" * 5000 + "}"
    (claude.session.dir / "spool" / "900.0").write_text(deep)
    (claude.session.dir / "hooks.log").write_text("hook PostToolUse 900.0\n")
    Path(str(claude.session.record.transcript)).write_text(deep + "\n")
    claude.hook("MessageDisplay", delta="and so on")
    claude.read()
    assert [aside["what"] for aside in told(claude, "quarantined")] == ["900.0"]
    assert [text["delta"] for text in told(claude, "text")] == ["and so on"]


def test_a_request_that_cannot_be_read_is_asked_at_the_terminal(claude: Claude) -> None:
    folder = claude.session.dir
    spool = folder / "spool" / "1.0"
    pipe(spool)
    os.mkfifo(pipe_of(spool))
    hook = os.open(pipe_of(spool), os.O_RDONLY | os.O_NONBLOCK)
    keeper = os.open(pipe_of(spool), os.O_WRONLY | os.O_NONBLOCK)  # until here it would wait
    (folder / "hooks.log").write_text("hook PermissionRequest 1.0\n")
    claude.read()
    assert not pipe_of(spool).exists()
    os.close(keeper)
    assert os.read(hook, 1) == b""
    os.close(hook)
    assert not claude.session.permissions.pending


@pytest.mark.parametrize("put", ODD)
def test_a_hook_log_that_is_no_file_is_put_aside_and_a_new_one_is_read(
    claude: Claude, put: Callable[[Path], None]
) -> None:
    claude.hook("MessageDisplay", delta="before")
    claude.read()
    log = claude.session.dir / "hooks.log"
    log.unlink()
    put(log)
    claude.read()
    (aside,) = told(claude, "quarantined")
    assert aside["what"] == "hooks.log"
    claude.hook("MessageDisplay", delta="behind")
    claude.read()
    assert [text["delta"] for text in told(claude, "text")] == ["before", "behind"]


def test_a_hole_in_the_hook_log_costs_nothing(claude: Claude) -> None:
    claude.hook("MessageDisplay", delta="before")
    os.truncate(claude.session.dir / "hooks.log", 1 << 30)
    claude.hook("MessageDisplay", delta="behind")
    claude.read()
    assert [text["delta"] for text in told(claude, "text")] == ["before", "behind"]
    assert not told(claude, "quarantined")


@pytest.mark.parametrize("put", ODD)
def test_a_transcript_that_is_no_file_is_said_once_and_read_when_it_is_one(
    claude: Claude, put: Callable[[Path], None]
) -> None:
    path = Path(str(claude.session.record.transcript))
    put(path)
    for _ in range(3):
        claude.read()
    (said,) = told(claude, "unreadable")
    assert said["file"] == str(path)
    assert "it is a " in said["reason"]
    assert claude.session.logs.unreadable.present()
    assert os.path.lexists(path)  # it is Claude's, not ours
    path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    claude.line("user", "hello", promptId="p")
    claude.read()
    assert not claude.session.logs.unreadable.present()


@pytest.mark.parametrize("put", ODD)
def test_a_status_file_that_is_none_is_said_and_done_without(claude: Claude, put: Callable[[Path], None]) -> None:
    session = claude.session
    session.record.child = [4242, 1]
    path = status_path(session.services.claude_home, 4242)
    path.parent.mkdir(exist_ok=True)
    put(path)
    now = time.monotonic()
    for look in range(3):
        session.observer.look(now + look * LATER)
    assert session.status is None
    assert [said["file"] for said in told(claude, "unreadable")] == [str(path)]


@pytest.mark.parametrize("put", ODD)
def test_no_new_conversation_is_begun_where_something_stands_that_cannot_be_read(
    claude: Claude, put: Callable[[Path], None]
) -> None:
    path = Path(str(claude.session.record.transcript))
    put(path)
    with pytest.raises(StartFailed) as error:
        launch.is_resumed(claude.session)
    assert error.value.error_code == "transcript_unreadable"
    assert str(path) in error.value.message
    assert not launch.has_transcript(claude.session)
    assert os.path.lexists(path)


def test_a_look_at_a_long_log_gives_the_others_their_turn(claude: Claude, monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[float] = []
    monkeypatch.setattr(claude.session.observer, "look", judged.append)
    for number in range(5):
        claude.line("user", f"prompt {number}", promptId=f"p{number}")
        claude.hook("MessageDisplay", delta=str(number))
    monkeypatch.setattr(log_tails, "READ_SECONDS", 0.0)
    looks = 0
    while claude.managed.look(0.0) or not judged:
        looks += 1
        assert looks < 50
    assert 9 <= looks < 13
    assert [text["delta"] for text in told(claude, "text")] == list("01234")
    assert set(claude.session.record.heard) == {f"p{number}" for number in range(5)}
