"""Where everything lives: one folder on request, else the platform's places; private, and short enough for sockets."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from shared.errors import Unavailable
from shared.paths import SOCKET_PATH_LIMIT, resolve


def test_pilotlight_home_holds_everything(tmp_path):
    paths = resolve({"PILOTLIGHT_HOME": str(tmp_path / "h"), "HOME": "/elsewhere"})
    assert paths.home == tmp_path / "h"
    for place in (paths.config_file, paths.log_dir, paths.token_file, paths.database, paths.sessions_dir):
        assert place.is_relative_to(paths.home)


def test_a_relative_home_is_made_absolute_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolve({"PILOTLIGHT_HOME": "h"}).home == tmp_path / "h"


@pytest.mark.skipif(sys.platform == "darwin", reason="the places of Linux")
def test_the_places_of_linux_honour_xdg():
    paths = resolve({"HOME": "/home/x"})
    assert paths.home == Path("/home/x/.local/share/pilotlight")
    assert paths.config_file == Path("/home/x/.config/pilotlight/config.yaml")
    assert paths.log_dir == Path("/home/x/.local/state/pilotlight/logs")
    assert resolve({"HOME": "/home/x", "XDG_DATA_HOME": "/d"}).home == Path("/d/pilotlight")


def test_the_places_of_macos(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    paths = resolve({"HOME": "/Users/x"})
    assert paths.home == Path("/Users/x/Library/Application Support/pilotlight")
    assert paths.log_dir == Path("/Users/x/Library/Logs/pilotlight")


@pytest.mark.parametrize("length", [1, 40, 70, 71, 72, 73, 74, 75, 80, 150, 250])
def test_every_socket_path_fits_whatever_the_home(length):
    paths = resolve({"PILOTLIGHT_HOME": "/" + "h" * length})
    for socket in (paths.request_address, paths.event_address, str(paths.holder_socket("s", 1))):
        assert len(os.fsencode(socket.removeprefix("ipc://"))) <= SOCKET_PATH_LIMIT


def test_two_long_homes_do_not_share_a_run_directory():
    one, two = (resolve({"PILOTLIGHT_HOME": "/" + "h" * 150 + name}).run_dir for name in "ab")
    assert one != two
    assert one == resolve({"PILOTLIGHT_HOME": "/" + "h" * 150 + "a"}).run_dir


def test_a_bytewise_long_home_counts_in_bytes():
    paths = resolve({"PILOTLIGHT_HOME": "/" + "é" * 60})
    assert len(os.fsencode(str(paths.holder_socket("s", 1)))) <= SOCKET_PATH_LIMIT


def test_each_generation_has_a_socket_of_its_own(tmp_path):
    paths = resolve({"PILOTLIGHT_HOME": str(tmp_path)})
    assert len({paths.holder_socket(session, number) for session in "ab" for number in range(3)}) == 6


def test_prepare_makes_private_directories(tmp_path):
    paths = resolve({"PILOTLIGHT_HOME": str(tmp_path / "h")})
    old = os.umask(0)
    try:
        paths.prepare()
    finally:
        os.umask(old)
    for folder in (paths.home, paths.sessions_dir, paths.log_dir, paths.run_dir, paths.run_dir / "h"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_prepare_closes_a_directory_that_was_open(tmp_path):
    (tmp_path / "h").mkdir(mode=0o755)
    (tmp_path / "h").chmod(0o755)
    paths = resolve({"PILOTLIGHT_HOME": str(tmp_path / "h")})
    paths.prepare()
    assert stat.S_IMODE(paths.home.stat().st_mode) == 0o700


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to make a directory of another user")
def test_a_run_directory_of_somebody_else_is_refused(tmp_path):
    paths = resolve({"PILOTLIGHT_HOME": str(tmp_path / "h")})
    paths.prepare()
    os.chown(paths.run_dir, 12345, 12345)
    with pytest.raises(Unavailable, match="not a directory of yours"):
        paths.prepare()


def test_a_file_in_the_place_of_a_directory_is_refused(tmp_path):
    (tmp_path / "h").mkdir()
    (tmp_path / "h" / "sessions").symlink_to("/dev/null")
    with pytest.raises((Unavailable, FileExistsError)):
        resolve({"PILOTLIGHT_HOME": str(tmp_path / "h")}).prepare()
