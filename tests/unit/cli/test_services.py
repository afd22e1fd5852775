"""The service files: what launchd and systemd would read, for paths that need escaping, and what `service` does."""

from __future__ import annotations

import configparser
import plistlib
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cli.__main__ import run
from cli.commands.service import manager_of
from cli.daemons import service_checks, units
from cli.daemons.checks import Finding
from cli.daemons.units import Installation, launchd_units, render_unit, systemd_units
from shared.errors import InvalidRequest
from tests.unit.cli.test_double import app_of

AWKWARD = Installation(
    python="/opt/a <b> & 'c' \"d\" 100% é/bin/python",
    root="/opt/a <b> & 100%/tree",
    logs="/var/log/a & 100% b",
    environment={"PATH": '/bin:/a "b" 50%:/c $HOME', "PILOTLIGHT_HOME": "/home/x & y\\z"},
)


def test_the_launch_agents_say_what_keeps_sessions_alive():
    for unit, module in zip(launchd_units(AWKWARD, Path("/Users/x")), ("supervisor", "api"), strict=True):
        agent = plistlib.loads(unit.text.encode())
        assert unit.path == Path(f"/Users/x/Library/LaunchAgents/pilotlight.{module}.plist")
        assert agent["Label"] == f"pilotlight.{module}"
        assert agent["ProgramArguments"] == [AWKWARD.python, "-m", module]
        assert agent["WorkingDirectory"] == AWKWARD.root
        assert agent["EnvironmentVariables"] == AWKWARD.environment
        assert (agent["KeepAlive"], agent["RunAtLoad"], agent["AbandonProcessGroup"]) == (True, True, True)
        assert agent["StandardOutPath"] == agent["StandardErrorPath"] == f"{AWKWARD.logs}/{module}.out"


def _parsed(text: str) -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(interpolation=None, strict=False)
    parsed.optionxform = str  # type: ignore[assignment, method-assign]
    parsed.read_string(text)
    return parsed


def _argument(text: str) -> str:
    """One word as systemd would read it."""
    return shlex.split(text.replace("$$", "$").replace("%%", "%"))[0]


def test_the_units_say_what_keeps_sessions_alive():
    for unit, module in zip(systemd_units(AWKWARD, Path("/home/x/.config")), ("supervisor", "api"), strict=True):
        service = _parsed(unit.text)["Service"]
        assert unit.path == Path(f"/home/x/.config/systemd/user/pilotlight-{module}.service")
        assert (service["KillMode"], service["OOMPolicy"], service["Restart"]) == ("process", "continue", "on-failure")
        assert service["WorkingDirectory"].replace("%%", "%") == AWKWARD.root
        assert service.get("WatchdogSec") == ("60" if module == "supervisor" else None)
        program, *rest = service["ExecStart"].rsplit(" ", 2)
        assert _argument(program) == AWKWARD.python
        assert rest == ["-m", module]
        assert _parsed(unit.text)["Install"]["WantedBy"] == "default.target"


def test_supervisor_and_api_tell_systemd_when_they_are_ready():
    for unit in systemd_units(AWKWARD, Path("/c")):
        service = _parsed(unit.text)["Service"]
        assert (service["Type"], service["NotifyAccess"]) == ("notify", "main")


def test_the_environment_of_a_unit_survives_quotes_and_specifiers():
    text = systemd_units(AWKWARD, Path("/c"))[0].text
    lines = [line.removeprefix("Environment=") for line in text.splitlines() if line.startswith("Environment=")]
    read = dict(shlex.split(line.replace("%%", "%"))[0].split("=", 1) for line in lines)
    assert read == AWKWARD.environment


def test_a_value_that_looks_like_a_placeholder_is_not_filled_in_again():
    values = Installation("/bin/python", "/@LOGS@", "/logs", {"A": "@PYTHON@"})
    text = render_unit("WorkingDirectory=@ROOT@\n@ENVIRONMENT@", values)
    assert text == 'WorkingDirectory=/@LOGS@\nEnvironment="A=@PYTHON@"\n'


def test_a_line_break_in_a_path_is_refused():
    with pytest.raises(InvalidRequest, match="control character"):
        launchd_units(Installation("/bin/python", "/a\nb", "/logs", {}), Path("/"))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_itself_finds_nothing_to_complain_about(tmp_path):
    root = tmp_path / "a 100% tree"
    root.mkdir()
    python = root / "python"
    python.symlink_to(sys.executable)
    values = Installation(str(python), str(root), str(root), {"PATH": "/bin:/a b"})
    files = []
    for unit in systemd_units(values, tmp_path):
        unit.path.parent.mkdir(parents=True, exist_ok=True)
        unit.path.write_text(unit.text)
        files.append(str(unit.path))
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", *files], capture_output=True, text=True, env=environment
    )
    complaints = [line for line in done.stderr.splitlines() if "pilotlight" in line]
    assert complaints == []


def test_an_installation_passes_on_only_what_the_processes_need(tmp_path):
    app = app_of(tmp_path, ANTHROPIC_API_KEY="secret", PILOTLIGHT_CLAUDE="/opt/claude", LANG="C.UTF-8")
    values = units.installation(app)
    assert set(values.environment) == {"PATH", "LANG", "PILOTLIGHT_HOME", "PILOTLIGHT_CLAUDE"}
    assert values.logs == str(tmp_path / "logs")


SETTINGS = {"MAX_CONCURRENT_SESSIONS": "3", "SESSION_TIMEOUT_HOURS": "30.5", "PILOTLIGHT_PORT": "4001"}


@pytest.mark.parametrize("platform", ["darwin", "linux"])
def test_settings_of_the_environment_reach_the_services_and_are_told(tmp_path, capsys, platform, monkeypatch):
    monkeypatch.setattr("cli.commands.service.manager_of", lambda app: manager_of(app, platform))
    app = app_of(tmp_path, **SETTINGS)
    for unit in manager_of(app, platform).units:
        for name, value in SETTINGS.items():
            plist, line = f"<key>{name}</key>\n        <string>{value}</string>", f'Environment="{name}={value}"\n'
            assert (plist if platform == "darwin" else line) in unit.text

    assert run(["service", "install", "--dry-run"], app) == 0

    told = capsys.readouterr().err
    assert all(f"{name}={value}" in told for name, value in SETTINGS.items())


def test_an_environment_that_no_service_could_start_with_is_refused(tmp_path, capsys):
    assert run(["service", "install", "--dry-run"], app_of(tmp_path, MAX_CONCURRENT_SESSIONS="0")) == 1
    assert "max_concurrent" in capsys.readouterr().err


@pytest.mark.parametrize(("platform", "tool"), [("darwin", "launchctl"), ("linux", "systemctl")])
def test_each_platform_has_its_manager(tmp_path, platform, tool):
    manager = manager_of(app_of(tmp_path), platform)
    assert {command[0] for command in (*manager.install, *manager.uninstall, manager.status)} == {tool}


def test_a_dry_run_prints_everything_and_changes_nothing(tmp_path, capsys):
    for what in ("install", "uninstall", "status"):
        assert run(["service", what, "--dry-run"], app_of(tmp_path)) == 0
    out = capsys.readouterr().out
    assert "supervisor" in out
    assert list(tmp_path.iterdir()) == []


def test_without_a_manager_the_files_are_written_and_the_commands_printed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("cli.daemons.manager._systemd_answers", lambda: False)
    monkeypatch.setattr("cli.commands.service.manager_of", lambda app: manager_of(app, "linux"))

    assert run(["service", "install", "--anyway"], app_of(tmp_path)) == 1
    told = capsys.readouterr()
    assert "pilotlight" in told.out
    assert run(["service", "status"], app_of(tmp_path)) == 1
    assert run(["service", "uninstall"], app_of(tmp_path)) == 0
    assert run(["service", "status"], app_of(tmp_path)) == 3
    assert [file for file in tmp_path.rglob("*pilotlight*") if file.is_file()] == []


def test_what_fails_at_the_start_is_tried_ever_less_often_and_never_given_up():
    for unit in systemd_units(AWKWARD, Path("/c"), version=254):
        service = _parsed(unit.text)
        told = [service["Service"][name] for name in ("RestartSec", "RestartSteps", "RestartMaxDelaySec")]
        assert (told, service["Unit"]["StartLimitIntervalSec"]) == (["1", "6", "60"], "0")
    for unit in systemd_units(AWKWARD, Path("/c"), version=252):
        assert _parsed(unit.text)["Service"]["RestartSec"] == "3"
        assert "RestartSteps" not in unit.text
    for unit in launchd_units(AWKWARD, Path("/c")):
        assert plistlib.loads(unit.text.encode())["ThrottleInterval"] == 5


def named(findings: list[Finding]) -> dict[str, str]:
    return {finding.name: f"{finding.level} {finding.text} {finding.fix}" for finding in findings}


def test_an_install_looks_with_the_eyes_of_the_services(tmp_path):
    claude = tmp_path / "claude"
    claude.write_text("#!/bin/sh\necho 2.1.330\n")
    claude.chmod(0o755)
    (tmp_path / "config.yaml").write_text("api: {port: 0}\n")
    app = app_of(tmp_path, HOME=str(tmp_path), ANTHROPIC_API_KEY="secret", PILOTLIGHT_CLAUDE=str(claude))

    found = named(service_checks.examine(app, units.installation(app).environment, "darwin"))

    assert found.keys() == {"login"}
    assert "ANTHROPIC_API_KEY of this shell reaches no service" in found["login"]
    assert "secret" not in str(found)
    (tmp_path / ".claude").mkdir()
    (tmp_path / ".claude" / ".credentials.json").write_text("{}")
    assert service_checks.examine(app, units.installation(app).environment, "darwin") == []


def test_an_install_names_a_port_that_is_taken_a_missing_claude_and_no_linger(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "config.yaml").write_text(f"api: {{port: {port}}}\n")
        app = app_of(tmp_path, HOME=str(tmp_path), PILOTLIGHT_CLAUDE="/nowhere/claude")
        found = named(service_checks.examine(app, units.installation(app).environment, "linux"))
    assert f"port {port}" in found["port"]
    assert "api.port" in found["port"]
    assert found["claude"].startswith("fail")
    assert "enable-linger" in found["linger"]


def test_linger_is_seen(tmp_path):
    assert service_checks.linger(tmp_path, "ada")[0].level == "warn"
    (tmp_path / "ada").touch()
    assert service_checks.linger(tmp_path, "ada")[0].level == "ok"


def test_an_install_that_could_not_run_is_refused_and_writes_nothing(tmp_path, capsys):
    app = app_of(tmp_path, HOME=str(tmp_path), PILOTLIGHT_CLAUDE="/nowhere/claude")
    before = sorted(tmp_path.rglob("*"))
    assert run(["service", "install"], app) == 1
    told = capsys.readouterr().err
    assert "/nowhere/claude" in told
    assert "->" in told
    assert "Nothing was installed" in told
    assert sorted(tmp_path.rglob("*")) == before
