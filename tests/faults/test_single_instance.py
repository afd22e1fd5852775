"""One supervisor a home: of fifty that start together one serves, and what dead ones left behind stops nobody."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared import paths, process
from shared.bus.client import BusClient
from shared.bus.event_stream import EventStream
from tests.conftest import MakeHouse
from tests.harness import PATIENCE, House, until

CROWD = """
import os, sys
from shared.paths import resolve
from supervisor.daemon import run_daemon
gate = os.pipe()
children = []
for number in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        os.close(gate[1])
        os.read(gate[0], 1)
        errors = os.open(f"{sys.argv[2]}/{number}.err", os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(errors, 2)
        try:
            status = run_daemon(resolve(), os.environ)
        except BaseException as error:
            print(f"died: {error!r}", file=sys.stderr)
            status = 99
        os._exit(status)
    children.append(pid)
os.close(gate[1])
for pid in children:
    print(pid, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@pytest.fixture
def quick(make_house: MakeHouse, one_cli: Path) -> House:
    """A house whose health pass runs all the time; not started yet."""
    house = make_house(one_cli)
    house.config["health"] = {"interval_seconds": 0.3}
    return house


def start_and_fail(house: House) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "supervisor"], cwd=house.folder, env=house.environment(), capture_output=True, timeout=30
    )
    return done.returncode, done.stderr.decode()


def test_of_fifty_that_start_together_one_serves(quick: House) -> None:
    said = quick.folder / "said"
    said.mkdir()
    crowd = subprocess.Popen(
        [sys.executable, "-c", CROWD, "50", str(said)],
        cwd=quick.folder,
        env=quick.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        serving = quick.call("ping")["pid"]
        assert crowd.stdout is not None

        def spoken() -> list[str]:
            return [words for file in said.glob("*.err") if (words := file.read_text())]

        until(lambda: len(spoken()) == 49, "49 have said why they do not serve", 90)
        assert set(spoken()) == {
            f"pilotlight supervisor: A supervisor already serves this home (pid {serving}). `pilotlight down` stops it.\n"
        }
        assert quick.call("ping")["pid"] == serving
        assert [event["kind"] for event in quick.events()].count("started") == 1
        assert json.loads(quick.paths.supervisor_lock.read_text())["pid"] == serving
    finally:
        quick.call("shutdown", {"sessions": False})
        out, _ = crowd.communicate(timeout=30)
    statuses = sorted(int(line.split()[1]) for line in out.splitlines())
    assert statuses == [0] + [1] * 49


def test_what_a_dead_one_left_is_no_obstacle(quick: House) -> None:
    quick.start_supervisor()
    quick.kill_supervisor()
    run = quick.paths.run_dir
    assert (run / "bus.sock").exists()
    # The pid of the dead one has gone to somebody else meanwhile, and a lock file says so.
    quick.paths.supervisor_lock.write_text(json.dumps({"pid": os.getpid(), "startedAt": 0, "version": "0"}))
    (run / "events.sock").unlink()
    (run / "events.sock").write_text("not a socket")
    quick.start_supervisor()
    assert quick.call("ping")["ready"]


def test_a_deleted_lock_does_not_let_a_second_one_in(quick: House) -> None:
    first = quick.start_supervisor()
    quick.paths.supervisor_lock.unlink()
    code, said = start_and_fail(quick)
    assert code == 1
    assert "already serves" in said
    until(lambda: quick.paths.supervisor_lock.exists(), "the lock is made anew")
    until(lambda: any(event["kind"] == "lock_renewed" for event in quick.events()), "and says so")
    assert json.loads(quick.paths.supervisor_lock.read_text())["pid"] == first.pid
    code, said = start_and_fail(quick)
    assert code == 1
    assert f"pid {first.pid}" in said


def test_deleted_bus_sockets_are_bound_again(quick: House) -> None:
    quick.start_supervisor()
    assert quick.call("ping")
    for name in ("bus.sock", "events.sock"):
        (quick.paths.run_dir / name).unlink()
    assert quick.call("ping"), "who is connected stays connected"
    until(
        lambda: (quick.paths.run_dir / "bus.sock").exists() and (quick.paths.run_dir / "events.sock").exists(), "bound"
    )
    with BusClient(quick.paths.request_address) as fresh, EventStream(quick.paths.event_address) as stream:
        assert fresh.call("ping")["pid"] == quick.supervisor.pid  # type: ignore[union-attr]
        assert stream.next_event(PATIENCE) is not None
    assert any(event["kind"] == "bus_rebound" for event in quick.events())


def test_deleted_run_directory_costs_no_session(quick: House, cli: Path) -> None:
    quick.config["claude"]["command"] = str(cli)
    quick.start_supervisor()
    _, session = quick.ask("Remember the word SORREL")
    before = quick.session(session)
    run = quick.paths.run_dir
    holder = Path(next(run.glob("h/*.sock")))
    shutil.rmtree(run)
    everything = (
        run / "bus.sock",
        run / "events.sock",
        quick.paths.terminal_socket,
        quick.paths.supervisor_lock,
        holder,
    )
    until(lambda: all(path.exists() for path in everything), "all is bound anew")
    assert quick.ask("echo: typed without its folder", session)[0] == "typed without its folder"
    quick.kill_supervisor()
    quick.start_supervisor()
    assert quick.ask("What word did I ask you to remember?", session)[0] == "SORREL"
    after = quick.session(session)
    assert [after[name] for name in ("pid", "holderPid", "generation")] == [before["pid"], before["holderPid"], 1]
    kinds = [event["kind"] for event in quick.events()]
    assert {"run_dir_renewed", "bus_rebound", "viewers_rebound", "lock_renewed"} <= set(kinds)
    assert run.stat().st_mode & 0o777 == 0o700


def test_run_directory_that_others_could_enter_is_closed(quick: House) -> None:
    quick.paths.prepare()
    quick.paths.run_dir.chmod(0o777)
    quick.start_supervisor()
    assert quick.paths.run_dir.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kind", ["link to another's folder", "file", "another's folder"])
def test_run_directory_that_is_not_ours_is_refused(quick: House, kind: str) -> None:
    run = quick.paths.run_dir
    if kind == "file":
        run.write_text("")
    elif kind == "link to another's folder" or os.geteuid() != 0:
        theirs = quick.folder / "theirs"
        theirs.mkdir()
        if os.geteuid() == 0:
            os.chown(theirs, 65534, 65534)
        run.symlink_to(theirs if os.geteuid() == 0 else "/usr")
    else:
        run.mkdir()
        os.chown(run, 65534, 65534)
    quick.paths.config_file.write_text("{}")
    code, said = start_and_fail(quick)
    assert code == 1
    assert re.search(rf"{re.escape(str(run))} is not a directory of yours", said)
    if run.is_dir() and not run.is_symlink():
        run.rmdir()


@pytest.fixture
def far_away(make_house: MakeHouse, one_cli: Path) -> Iterator[House]:
    """A house whose home is too far down for a socket's path."""
    deep = "d" * 60
    house = make_house(one_cli, name=f"{deep}/{deep}")
    yield house
    leftovers = house.down()
    run = house.paths.run_dir
    assert not leftovers
    assert not list(run.glob("h/*"))
    shutil.rmtree(run)


def test_home_that_is_too_deep_for_sockets_works(far_away: House) -> None:
    run = far_away.paths.run_dir
    far_away.extra_env["TMPDIR"] = str(far_away.folder)  # not that of those who talk to it
    assert not run.is_relative_to(far_away.home)
    assert len(str(far_away.home / "run" / "bus.sock")) > paths.SOCKET_PATH_LIMIT
    far_away.start_supervisor()
    assert far_away.ask("echo: deep down")[0] == "deep down"
    assert run.stat().st_mode & 0o777 == 0o700
    assert process.identify(far_away.call("ping")["pid"]) is not None
