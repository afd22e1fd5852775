"""What a home remembers between `down` and `up`, and whoever starts it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cli import first_run
from cli.__main__ import run
from cli.commands.service import manager_of
from cli.commands.up import PORT_FILE, _remember, _remembered, demo_model
from cli.daemons import manager as service_manager
from cli.daemons.demo_model import DemoModel
from cli.setup import login
from tests.unit.cli.test_double import app_of, bus_with


@pytest.fixture
def demo(tmp_path: Path) -> DemoModel:
    """A home that was started with `--demo`."""
    model = DemoModel(app_of(tmp_path))
    model.folder.mkdir(parents=True)
    (model.folder / "mode").write_text("demo\n")
    return model


def test_a_demo_stays_one_until_it_is_left(demo: DemoModel, capsys) -> None:
    assert run(["down", "--all"], demo.app) == 0
    assert demo.wanted()
    found = demo_model(demo.app, None)
    assert found is not None
    assert demo_model(demo.app, False) is None
    assert not demo.wanted()
    assert "its conversations stay" in capsys.readouterr().err


def test_run_says_that_there_is_a_login_that_the_demo_does_not_use(demo: DemoModel, capsys, monkeypatch) -> None:
    monkeypatch.setattr(login, "find", lambda *_: login.Login("a token"))
    assert first_run._mode(demo.app, [], Path("/bin/claude")) == []
    assert "`./run --no-demo` uses it" in capsys.readouterr().err
    assert first_run._mode(demo.app, ["--no-demo"], Path("/bin/claude")) == []


def test_a_port_is_remembered_until_another_or_any_is_said(tmp_path: Path, capsys) -> None:
    app = app_of(tmp_path)
    assert _remembered(app) is None
    _remember(app, 3005)
    assert _remembered(app) == 3005
    assert _remembered(app_of(tmp_path, PILOTLIGHT_PORT="4000")) is None
    _remember(app, 0)
    assert not (tmp_path / PORT_FILE).exists()


@pytest.fixture
def units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Installed units, and a `systemctl` that writes down what it is asked; returns where."""
    told = tmp_path / "told"
    tool = tmp_path / "bin" / "systemctl"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\necho "$@" >> {told}\n[ "$2" = status ] && {{ echo inactive; exit 3; }}\nexit 0\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
    monkeypatch.setattr(service_manager, "manager_of", lambda app: manager_of(app, "linux"))
    monkeypatch.setattr("cli.commands.service.manager_of", lambda app: manager_of(app, "linux"))
    for unit in manager_of(app_of(tmp_path), "linux").units:
        unit.path.parent.mkdir(parents=True, exist_ok=True)
        unit.path.write_text(unit.text)
    return told


def test_where_services_are_installed_they_are_started_and_stopped(tmp_path: Path, capsys, units, monkeypatch) -> None:
    monkeypatch.setattr("cli.commands.up.Daemon.wait_healthy", lambda *_, **__: None)
    monkeypatch.setattr("cli.commands.up.introduce", lambda _: None)
    assert run(["up", "--detach"], app_of(tmp_path, bus_with())) == 0
    assert run(["down"], app_of(tmp_path, bus_with())) == 0
    asked = [line for line in units.read_text().splitlines() if line not in ("--user show-environment", "--version")]
    assert asked == [
        "--user start pilotlight-supervisor.service pilotlight-api.service",
        "--user stop pilotlight-api.service pilotlight-supervisor.service",
    ]
    assert "systemd starts them" in capsys.readouterr().err or sys.platform == "darwin"


@pytest.mark.parametrize("words", [["--demo"], ["--no-demo"], ["--port", "4000"]], ids=" ".join)
def test_what_installed_services_cannot_be_told_is_refused(
    tmp_path: Path, capsys, units: Path, words: list[str]
) -> None:
    assert run(["up", "--detach", *words], app_of(tmp_path, bus_with())) == 5
    assert "keep what they were installed with" in capsys.readouterr().err
    assert "start" not in units.read_text().split()


def test_services_of_another_home_are_left_alone(tmp_path: Path, units: Path) -> None:
    assert service_manager.installed(app_of(tmp_path)) is not None
    other = app_of(tmp_path)
    other.environment = {**other.environment, "PILOTLIGHT_HOME": str(tmp_path / "other")}
    assert service_manager.installed(other) is None


def test_services_that_do_not_run_are_no_failure(tmp_path: Path, capsys, units) -> None:
    assert run(["service", "status"], app_of(tmp_path)) == 3
    told = capsys.readouterr()
    assert "inactive" in told.out
    assert "failed" not in told.err


def test_search_waits_until_everything_is_read(tmp_path: Path, capsys) -> None:
    answers = iter([False, False, True])
    bus = bus_with(search=lambda _: {"hits": [], "complete": next(answers)})
    run(["search", "x", "--wait", "20"], app_of(tmp_path, bus))
    assert len(bus.asked("search")) == 3
    assert "still being read" not in capsys.readouterr().err
