"""`up`, `down`, `status` with the real supervisor and API in a home of their own; no `claude` is needed for that."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cli.__main__ import run
from cli.commands.up import curl_line
from cli.context import App
from cli.daemons.foreground import Restarts
from cli.daemons.processes import Daemon, http_ok, spawn
from cli.owners import owner
from shared.process import identify
from tests.harness import PATIENCE, until

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def app(tmp_path: Path):
    """An installation with any free port; everything of it is stopped at the end."""
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    home = tmp_path / "a home with 'quotes'"
    made = App(environment={**environment, "HOME": str(tmp_path), "PILOTLIGHT_HOME": str(home)})
    handler = signal.getsignal(signal.SIGTERM)
    yield made
    signal.signal(signal.SIGTERM, handler)  # `up` has its own
    made.close()
    for name in ("api", "supervisor"):
        Daemon(made, name).stop()


def _fresh(app: App) -> App:
    """The same installation for the next command (a command closes its own)."""
    return App(environment=app.environment)


def _status(app: App, capsys) -> tuple[int, dict]:
    capsys.readouterr()
    code = run(["status", "--json"], _fresh(app))
    return code, json.loads(capsys.readouterr().out)


def test_up_is_idempotent_and_down_stops_both(app, capsys):
    assert run(["up", "--detach", "--port", "0"], _fresh(app)) == 0
    code, first = _status(app, capsys)
    assert code == 0
    assert run(["up", "--detach"], _fresh(app)) == 0
    code, second = _status(app, capsys)

    assert first["supervisor"]["pid"] is not None
    assert f"listening at {first['api']['url']}\n" in Daemon(app, "api").log.read_text()  # as docs/operations.md says
    assert first["supervisor"]["pid"] == second["supervisor"]["pid"]
    assert first["api"] == second["api"]
    assert run(["down"], _fresh(app)) == 0
    code, third = _status(app, capsys)
    assert (code, third["supervisor"]["pid"], third["api"]["pid"]) == (3, None, None)
    assert third["bus"]["events"].startswith("ipc://")
    assert run(["down"], _fresh(app)) == 0


def test_the_curl_line_is_one_shell_line_that_quotes_any_path(app, capsys):
    assert run(["up", "--detach", "--port", "0"], _fresh(app)) == 0
    line = next(line.strip() for line in capsys.readouterr().out.splitlines() if line.strip().startswith("curl "))
    token = app.paths.token_file.read_text().strip()
    # The shell itself says what curl would get.
    told = subprocess.run(["sh", "-c", line.replace("curl", "printf '%s\\n'", 1)], capture_output=True, text=True)
    words = told.stdout.splitlines()
    assert f"Authorization: Bearer {token}" in words
    assert json.loads(words[words.index("-d") + 1]) == {"message": "Say hello.", "trust": True}
    assert words[-1].endswith("/api/chat")


def test_a_supervisor_that_cannot_start_is_reported_with_the_end_of_its_log(app, capsys, monkeypatch, tmp_path):
    broken = tmp_path / "broken"
    (broken / "supervisor").mkdir(parents=True)
    (broken / "supervisor" / "__init__.py").touch()
    (broken / "supervisor" / "__main__.py").write_text("import sys\nsys.exit('no more disk')\n")
    monkeypatch.setattr("cli.daemons.processes.ROOT", broken)

    assert run(["up", "--detach", "--port", "0"], _fresh(app)) == 1

    told = capsys.readouterr().err
    assert "no more disk" in told
    assert "exit status 1" in told


def test_an_api_that_cannot_start_takes_along_what_up_had_begun(app, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["up", "--detach", "--port", str(port)], _fresh(app)) == 1
    assert str(port) in capsys.readouterr().err
    assert str(port) in (app.paths.log_dir / "api.out").read_text()  # the sentence with which it failed
    assert owner(app.paths.supervisor_lock) is None


def test_another_port_while_it_runs_is_refused(app, capsys):
    assert run(["up", "--detach", "--port", "0"], _fresh(app)) == 0
    assert run(["up", "--detach", "--port", "1"], _fresh(app)) == 5
    assert run(["up", "--demo", "--detach"], _fresh(app)) == 5


def test_up_in_the_foreground_restarts_what_dies_and_stops_when_told(app, capsys):
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "up", "--port", "0"],
        cwd=ROOT,
        env=dict(app.environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        until((app.paths.run_dir / "up.json").exists, "it stays")
        first = owner(app.paths.api_lock)
        assert first is not None
        os.kill(first.pid, signal.SIGKILL)
        until(lambda: (now := owner(app.paths.api_lock)) is not None and now.pid != first.pid, "another API runs")
        again = owner(app.paths.api_lock)
        assert again is not None
        assert again.url == first.url
        process.send_signal(signal.SIGTERM)
        told, _ = process.communicate(timeout=2 * PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 0
    assert "The API has died" in told
    assert owner(app.paths.supervisor_lock) is None
    assert owner(app.paths.api_lock) is None


def test_down_makes_a_foreground_up_let_go(app, capsys):
    command = [sys.executable, "-m", "cli", "up", "--port", "0"]
    process = subprocess.Popen(command, cwd=ROOT, env=dict(app.environment), stdout=subprocess.DEVNULL)
    try:
        until((app.paths.run_dir / "up.json").exists, "it stays")
        assert run(["down", "--all"], _fresh(app)) == 0
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
    assert owner(app.paths.supervisor_lock) is None


def test_a_deleted_run_directory_hides_nothing_from_the_command(app, capsys):
    app.paths.home.mkdir()
    app.paths.config_file.write_text("health: {interval_seconds: 1}\n")
    command = [sys.executable, "-m", "cli", "up", "--port", "0"]
    process = subprocess.Popen(command, cwd=ROOT, env=dict(app.environment), stdout=subprocess.DEVNULL)
    try:
        until((app.paths.run_dir / "up.json").exists, "it stays")
        _, before = _status(app, capsys)
        shutil.rmtree(app.paths.run_dir)
        until(lambda: _status(app, capsys)[0] == 0, "both are found again")
        _, after = _status(app, capsys)
        assert [after[name]["pid"] for name in ("supervisor", "api")] == [
            before[name]["pid"] for name in ("supervisor", "api")
        ]
        assert after["api"]["url"] == before["api"]["url"]
        assert run(["down", "--all"], _fresh(app)) == 0
        assert process.wait(PATIENCE) == 0, "who watches over them is found, too"
    finally:
        process.kill()
        process.wait()
    assert identify(before["supervisor"]["pid"]) is None
    assert identify(before["api"]["pid"]) is None


def test_a_stale_lock_file_names_nobody(tmp_path):
    lock = tmp_path / "supervisor.lock"
    assert owner(lock) is None
    lock.write_text(json.dumps({"pid": os.getpid(), "startedAt": 1, "version": "0"}))
    assert owner(lock) is None
    with lock.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        found = owner(lock)
        assert found is not None
        assert found.process == identify(os.getpid())
        lock.write_text("half a li")
        assert owner(lock) is None


def test_restarts_back_off_and_forgive_after_a_minute():
    restarts = Restarts()
    pauses = []
    now = 1000.0
    for _ in range(9):
        now += restarts.wait(now)
        restarts.note_start(now)
        pauses.append(restarts.pause)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    restarts.note_start(now + 121)
    assert restarts.pause == 1


def test_the_curl_line_survives_an_awkward_home():
    line = curl_line("http://127.0.0.1:1", Path("/a b/it's $HOME/token"))
    assert subprocess.run(["sh", "-n", "-c", line]).returncode == 0


def test_another_api_on_another_port_serves_too_is_shown_and_is_stopped(app, capsys):
    assert run(["up", "--detach", "--port", "0"], _fresh(app)) == 0
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    more = [spawn(app, "api", app.paths.log_dir / "more.out", {"PILOTLIGHT_PORT": str(port)})]
    daemon = Daemon(app, "api")
    until(lambda: daemon.further() and http_ok(f"http://127.0.0.1:{port}/health"), "both answer")
    code, report = _status(app, capsys)
    assert code == 0
    assert [(other["pid"], other["url"]) for other in report["furtherApis"]] == [
        (more[0].pid, f"http://127.0.0.1:{port}")
    ]
    assert (app.paths.log_dir / f"api-{port}.log").exists()
    # The first may go; the same port twice is refused in words.
    again = spawn(app, "api", app.paths.log_dir / "again.out", {"PILOTLIGHT_PORT": str(port)})
    assert again.wait(PATIENCE) == 1
    assert f"runs already: pid {more[0].pid}" in (app.paths.log_dir / "again.out").read_text()
    first = daemon.owner()
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: daemon.owner() is None, "the first is gone")
    until(lambda: http_ok(f"http://127.0.0.1:{port}/health"), "the other answers")

    assert run(["down", "--all"], _fresh(app)) == 0
    assert more[0].wait(PATIENCE) == 0


def _url(app: App, capsys: pytest.CaptureFixture[str]) -> str:
    return str(_status(app, capsys)[1]["api"]["url"])


def test_the_port_is_remembered_a_restart_keeps_it_and_the_logs_are_shown(app, capsys):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert run(["up", "--detach", "--port", str(port)], _fresh(app)) == 0
    before = _status(app, capsys)[1]
    assert run(["down"], _fresh(app)) == 0
    assert run(["up", "--detach"], _fresh(app)) == 0
    assert f"Port {port}, as `up --port` said last" in capsys.readouterr().err
    assert _url(app, capsys) == f"http://127.0.0.1:{port}"

    assert run(["restart"], _fresh(app)) == 0
    after = _status(app, capsys)[1]
    assert after["api"]["url"] == before["api"]["url"]
    assert after["supervisor"]["pid"] != before["supervisor"]["pid"]

    assert run(["logs"], _fresh(app)) == 0
    told = capsys.readouterr().out.splitlines()
    assert any("supervisor" in line and "supervisor_ready" in line for line in told)
    assert any("api" in line and "listening" in line for line in told)
    assert told == sorted(told, key=lambda line: line[:19])
    assert run(["logs", "api", "-n", "1", "--json"], _fresh(app)) == 0
    assert json.loads(capsys.readouterr().out)
