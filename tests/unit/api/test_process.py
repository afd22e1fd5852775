"""`python -m api` as a real process: its lock, its token, how it refuses to start, and every way in which it ends."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.owners import owner
from shared import paths as places
from tests.api_process import ROOT, BusServer, Process, until
from tests.harness import PATIENCE


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    running: list[Process] = []

    def begin(home: Path = tmp_path / "home", **options: Any) -> Process:
        running.append(Process(home, **options))
        return running[-1]

    yield begin
    for process in running:
        process.end()


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[BusServer]:
    server = BusServer(tmp_path / "home")
    yield server
    server.close()


def test_starts_quickly_and_says_that_the_supervisor_is_down(start: Callable[..., Process]) -> None:
    began = time.monotonic()
    api = start().wait_until_up()
    took = time.monotonic() - began

    status, body = api.ask("GET", "/health")

    assert took < PATIENCE, "under 1 s on an idle machine, measured 0.4 s"
    assert (status, body["status"]) == (503, "unhealthy")
    assert "pilotlight up" in body["error"]
    assert set(api.lock) == {"pid", "url", "startedAt", "version"}
    assert stat.S_IMODE(api.paths.token_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(api.paths.api_lock.stat().st_mode) == 0o600


def test_the_log_rotates_and_standard_error_gets_only_where_it_listens(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config.yaml").write_text("log: {max_mb: 0.002, keep_files: 2}")
    api = start().wait_until_up()
    log = api.paths.log_dir / "api.log"

    asked = 0
    while not log.with_name("api.log.2").exists() or asked < 60:
        assert api.ask("GET", f"/api/nothing/{asked}")[0] == 404
        asked += 1
        assert asked < 300, "it never rotated"
    kept = sorted(log.parent.glob("api.log*"))
    newest = [json.loads(line) for line in log.read_text().splitlines()]
    api.child.terminate()
    said = api.child.communicate(timeout=PATIENCE)[1].decode()

    assert [file.name for file in kept] == ["api.log", "api.log.1", "api.log.2"]
    assert all(file.stat().st_size <= 2 * 0.002 * 2**20 for file in kept)
    assert newest[-1]["path"] == f"/api/nothing/{asked - 1}"
    assert said == f"pilotlight api: listening at {api.lock['url']}\n"


def test_systemd_is_told_when_it_listens_and_when_it_stops(start: Callable[..., Process], tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        api = start(NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert manager.recv(100) == b"READY=1"
        api.wait_until_up()
        assert api.ask("GET", "/health")[0] == 503
        api.child.terminate()
        assert manager.recv(100) == b"STOPPING=1"
    assert api.child.wait(PATIENCE) == 0


def test_a_second_api_of_the_home_is_refused_with_the_first_ones_address(start: Callable[..., Process]) -> None:
    first = start().wait_until_up()
    second = start()
    said = second.child.communicate(timeout=PATIENCE)[1].decode()

    assert second.child.returncode == 1
    assert str(first.child.pid) in said
    assert first.lock["url"] in said
    assert "Traceback" not in said
    assert first.child.poll() is None


def test_a_deleted_lock_is_made_anew_also_under_another_name(start: Callable[..., Process]) -> None:
    first = start().wait_until_up()
    lock, held = first.paths.api_lock, first.lock
    for delete in (lock.unlink, lambda: shutil.rmtree(first.paths.run_dir)):
        delete()
        until(lambda: bool(first._read_lock()), "the lock is not made anew")
        assert first.lock == held
        found = owner(lock)
        assert found is not None
        assert found.pid == first.child.pid
    draft = lock.with_name("draft")
    with draft.open("wb") as other:  # another API, which came when the name was free
        fcntl.flock(other, fcntl.LOCK_EX)
        draft.replace(lock)
        further = first.paths.further_api_lock(first.port)
        until(lambda: owner(further) is not None, "the lock has no other name")
        assert owner(further).pid == first.child.pid  # type: ignore[union-attr]
    first.child.terminate()
    assert first.child.wait(PATIENCE) == 0
    assert further.read_bytes() == b""
    assert '"lock_renewed"' in first.end()


def test_a_taken_port_is_a_sentence_with_the_fix(start: Callable[..., Process], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        api = start(port=port)
        said = api.child.communicate(timeout=PATIENCE)[1].decode()

    assert api.child.returncode == 1
    assert f"Port {port}" in said
    assert "PILOTLIGHT_PORT" in said
    assert "Traceback" not in said
    assert said.count("\n") == 1


def test_a_wrong_configuration_is_a_sentence(start: Callable[..., Process], tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config.yaml").write_text("api: {prot: 1}")
    api = start()
    said = api.child.communicate(timeout=PATIENCE)[1].decode()

    assert api.child.returncode == 1
    assert "prot" in said
    assert "Traceback" not in said


def test_sigterm_ends_within_2_s_with_an_open_stream_and_a_held_request(
    start: Callable[..., Process], bus: BusServer
) -> None:
    api = start().wait_until_up()
    bus.silent_on.add("message.send")
    stream = api.connect("GET", "/api/events").getresponse()
    assert stream.status == 200
    assert stream.readline().startswith(b": ")
    held = api.connect("POST", "/api/chat", b'{"message": "x", "wait": 60}')
    until(lambda: "message.send" in bus.heard, "the message did not arrive")

    began = time.monotonic()
    api.child.terminate()
    answer = held.getresponse()
    body = json.loads(answer.read())
    rest = stream.read()
    code = api.child.wait(PATIENCE)
    took = time.monotonic() - began

    assert took < PATIENCE, "the held request asked for 60 s"
    assert code == 0
    assert (answer.status, body["code"]) == (503, "restarting")
    assert body["requestId"]
    assert answer.headers["Retry-After"] == "1"
    assert b"data" not in rest
    assert api.paths.api_lock.read_bytes() == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_every_polite_signal_is_a_polite_end(start: Callable[..., Process], number: int) -> None:
    api = start().wait_until_up()

    api.child.send_signal(number)

    assert api.child.wait(PATIENCE) == 0
    assert "Traceback" not in api.end()


def test_sigkill_frees_port_and_lock_at_once(start: Callable[..., Process], bus: BusServer) -> None:
    api = start().wait_until_up()
    stream = api.connect("GET", "/api/events").getresponse()
    assert stream.readline()

    os.kill(api.lock["pid"], signal.SIGKILL)
    api.child.wait(PATIENCE)
    again = start(port=api.port)
    took = until(lambda: bool(again.wait_until_up().lock), "no new API")

    assert took < PATIENCE
    assert again.port == api.port
    until(lambda: again.ask("GET", "/health")[0] == 200, "the supervisor was not found")


def test_the_api_outlives_the_process_that_started_it(tmp_path: Path, start: Callable[..., Process]) -> None:
    home = tmp_path / "home"
    code = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-m', 'api'], stdout=-3, stderr=-3).pid)"
    env = {"PATH": os.environ["PATH"], "PILOTLIGHT_HOME": str(home), "PILOTLIGHT_PORT": "0"}
    parent = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, check=True)
    pid = int(parent.stdout)
    lock = places.resolve({"PILOTLIGHT_HOME": str(home)}).api_lock
    try:
        until(lambda: lock.exists() and b"url" in lock.read_bytes(), "the API did not come up")
        time.sleep(1.5)  # gunicorn's worker looks for its parent once a second
        os.kill(pid, 0)
    finally:
        os.kill(pid, signal.SIGTERM)
        until(lambda: not lock.read_bytes(), "the API did not end")


def test_a_supervisor_that_comes_later_is_found(start: Callable[..., Process], tmp_path: Path) -> None:
    api = start().wait_until_up()
    assert api.ask("GET", "/health")[0] == 503

    server = BusServer(tmp_path / "home")
    try:
        until(lambda: api.ask("GET", "/health")[0] == 200, "the supervisor was not found")
        status, body = api.ask("POST", "/api/chat", b'{"message": "hi"}')
        assert (status, body["reply"]) == (200, "Hello from the double.")
    finally:
        server.close()


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET / HTTX\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + b"x" * 70_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 403),
    ],
)
def test_what_is_no_http_is_answered_in_json(start: Callable[..., Process], raw: bytes, status: int) -> None:
    api = start().wait_until_up()
    with socket.create_connection(("127.0.0.1", api.port), timeout=PATIENCE) as connection:
        connection.sendall(raw)
        answer = connection.makefile("rb").read(12)

    assert answer == b"HTTP/1.1 %d" % status


def test_the_log_is_json_without_secrets(start: Callable[..., Process], bus: BusServer) -> None:
    api = start().wait_until_up()
    api.ask("POST", "/api/chat", b'{"message": "PROMPTTEXT"}')
    token = api.paths.token_file.read_text().strip()
    api.child.terminate()
    api.child.wait(PATIENCE)
    log = (api.paths.log_dir / "api.log").read_text()

    events = [json.loads(line)["event"] for line in log.splitlines()]
    assert events == ["listening", "request", "stopped"]
    for secret in (token, "PROMPTTEXT", "Hello from the double."):
        assert secret not in log


def test_sixty_held_requests_leave_room_for_health(start: Callable[..., Process], bus: BusServer) -> None:
    api = start().wait_until_up()
    api.ask("GET", "/health")
    bus.silent_on.add("message.get")
    held = [api.connect("GET", "/api/messages/m_1?wait=120") for _ in range(24)]
    streams = [api.connect("GET", "/api/events").getresponse() for _ in range(32)]
    until(lambda: bus.heard.count("message.get") >= 24, "the requests did not arrive")

    until(lambda: api.ask("GET", "/health")[0] == 200, "no room for health")  # the double may need more than one chance
    assert api.ask("GET", "/api/events")[1]["code"] == "too_many_streams"
    for connection in (*held, *streams):
        connection.close()
