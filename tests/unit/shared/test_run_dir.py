"""The run directory is believed only while nobody else can have made what is in it: by every command and every client."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.bus import LazyBus
from api.events.feed import Feed
from cli.__main__ import run
from cli.context import App
from cli.terminal.attach import Attachment
from cli.terminal.keyboard import DEFAULT_PREFIX, Keyboard
from shared.bus.client import BusClient
from shared.bus.event_stream import EventStream
from shared.errors import Unavailable
from shared.paths import Paths, resolve
from shared.private_folders import require_private
from supervisor.terminal.holder_client import HolderClient, HolderError
from tests.another_user import IS_ROOT, UID, Squatter, squatting
from tests.unit.cli.test_double import FIRST
from tests.unit.cli.test_reach import commands

USES = {
    "up": "--detach",
    "down": "--all",
    "status": "",
    "new": ".",
    "ls": "",
    "send": f"{FIRST} a-secret",
    "chat": FIRST,
    "show": FIRST,
    "kill": FIRST,
    "attention": "",
    "answer": f"{FIRST} --choice allow",
    "events": "--follow",
    "message": "m_1",
    "screen": FIRST,
    "keys": f"{FIRST} Enter",
    "resize": f"{FIRST} 80x24",
    "record": FIRST,
    "extend": FIRST,
    "hibernate": FIRST,
    "wake": FIRST,
    "reopen": FIRST,
    "set": f"{FIRST} --title x",
    "settings": "",
    "health": "",
    "metrics": "",
    "queue": FIRST,
    "interrupt": FIRST,
    "command": f"{FIRST} /compact",
    "fork": FIRST,
    "history": FIRST,
    "search": "word",
    "export": FIRST,
    "usage": "",
    "import": "",
    "doctor": "",
    "open": "",
    "restart": "",
    "recycle": FIRST,
    "drain": "",
}
USES_NONE = {"token", "completion", "logs", "gateway", "nodes", "move", "mcp", "backup", "restore"}
"""What does not come near it; nor do those of a group (tokens, bus-keys, devices, service)."""

AT_A_TERMINAL = {"attach", "watch"}


@pytest.fixture
def far_away(tmp_path: Path) -> Paths:
    """A home that is too long for a socket's path."""
    return resolve({"PILOTLIGHT_HOME": str(tmp_path / ("d" * 90))})


@pytest.fixture
def squatter(far_away: Paths) -> Iterator[Squatter]:
    with squatting(far_away) as found:
        yield found


def test_the_list_of_uses_is_whole() -> None:
    assert {name for name, _ in commands() if " " not in name} == USES.keys() | USES_NONE | AT_A_TERMINAL


def test_no_command_connects_reads_or_signals_in_the_folder_of_another_user(
    far_away: Paths, squatter: Squatter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = {"PILOTLIGHT_HOME": str(far_away.home), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}

    for name, words in USES.items():
        code = run([name, *words.split()], App(environment=environment))

        said = "".join(capsys.readouterr())
        assert (code, "is not a directory of yours" in said) == (1, True), (name, said)
        assert squatter.victim.poll() is None, f"{name} ended a process that another user named"
    assert squatter.heard() == b""


def test_no_client_believes_the_folder_of_another_user(far_away: Paths, squatter: Squatter) -> None:
    bus = LazyBus(far_away.request_address)
    for ask in (
        lambda: bus.call("message.send", {"text": "a secret"}, timeout=2),
        lambda: BusClient(far_away.request_address),
        lambda: EventStream(far_away.event_address),
        Attachment(str(far_away.terminal_socket), FIRST, True, Keyboard(DEFAULT_PREFIX))._keep_connected,
    ):
        with pytest.raises(Unavailable, match="not a directory of yours"):
            ask()
    feed = Feed(far_away.event_address)
    inbox = feed.join()
    assert inbox.next(5) is None
    assert inbox.ended
    if IS_ROOT:
        with pytest.raises(HolderError, match="not a directory of yours"):
            asyncio.run(_hold(far_away.run_dir / "h" / "0123456789ab.sock"))
    assert squatter.heard() == b""


async def _hold(socket: Path) -> None:
    nothing = lambda *_: None  # noqa: E731
    await HolderClient.connect(socket, nothing, nothing, nothing, nothing, 2)


def test_what_was_asked_before_the_folder_was_there_is_not_told_to_whoever_makes_it(far_away: Paths) -> None:
    with BusClient(far_away.request_address) as bus:
        asked = bus.submit("message.send", {"text": "a secret"}, timeout=20)
        with squatting(far_away) as squatter:
            with pytest.raises(Unavailable, match="not a directory of yours"):
                asked.result(15)
            assert b"a secret" not in squatter.heard()


def test_the_supervisor_makes_nothing_anew_in_the_folder_of_another_user(far_away: Paths, squatter: Squatter) -> None:
    with pytest.raises(Unavailable, match="not a directory of yours"):
        far_away.restore()
    with pytest.raises(Unavailable, match="not a directory of yours"):
        far_away.prepare()


def test_the_place_does_not_hang_on_the_callers_shell(far_away: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("TMPDIR", "TEMP", "TMP", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(far_away.home.parent))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert resolve({"PILOTLIGHT_HOME": str(far_away.home)}) == far_away


def test_a_folder_of_ours_that_was_open_is_closed(tmp_path: Path) -> None:
    (tmp_path / "socket").touch()
    for mode in (0o755, 0o777):
        tmp_path.chmod(mode)
        require_private(tmp_path)
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


@pytest.mark.skipif(not IS_ROOT, reason="only root can make a file of another user")
def test_what_others_put_into_a_folder_while_it_was_open_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "bus.sock").touch()
    os.chown(tmp_path / "bus.sock", UID, UID)
    tmp_path.chmod(0o777)
    for _ in range(2):  # whoever asks twice is not told that it is fine now
        with pytest.raises(Unavailable, match=r"`bus\.sock` in it is another user's"):
            require_private(tmp_path)
    tmp_path.chmod(0o755)  # nobody else could have put it there
    require_private(tmp_path)
