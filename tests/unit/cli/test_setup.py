"""What `./run` and `./test` are made of: locks, stamps, Python, `claude`, login, a clean environment."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cli import first_run
from cli.setup import bootstrap, chromium, claude, login, smoke_browsers, suite
from cli.setup.progress import StepFailed
from shared.claude_names import CLOUDS, TOKENS
from shared.config import ClaudeConfig
from supervisor.claude.settings import login as health_check

ROOT = Path(__file__).resolve().parents[3]


def _program(path: Path, text: str = "#!/bin/sh\necho 9.9.9\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def _pins(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", (ROOT / name).read_text(), re.M))


def test_the_locks_are_hashed_agree_and_name_no_place():
    run, test = _pins("requirements.lock"), _pins("requirements-test.lock")
    assert "setuptools" in run  # the project is installed without build isolation
    assert run.items() <= test.items()
    for name in ("requirements.lock", "requirements-test.lock"):
        text = (ROOT / name).read_text()
        blocks = re.findall(r"^\S+==.*?(?=^\S|\Z)", text, re.M | re.S)
        assert all("--hash=sha256:" in block for block in blocks)
        assert not re.search(r"https?://|file:|--index|--find-links|@ /", text.split("==", 1)[1])


def test_the_locks_hold_everything_that_setup_cfg_asks_for():
    import configparser

    read = configparser.ConfigParser()
    read.read(ROOT / "setup.cfg")
    extras = read["options.extras_require"]
    for lock, wanted in (
        ("requirements.lock", read["options"]["install_requires"] + extras["build"]),
        ("requirements-test.lock", extras["test"]),
    ):
        names = {re.split(r"[ <>=!;]", line)[0] for line in wanted.split("\n") if line.strip()}
        missing = {_normal(name) for name in names} - {_normal(name) for name in _pins(lock)}
        assert not missing


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_a_stamp_changes_with_the_lock_and_the_place(tmp_path):
    for name in ("requirements.lock", "setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    first = bootstrap.stamp(tmp_path, "run")
    assert first == bootstrap.stamp(tmp_path, "run")
    with (tmp_path / "requirements.lock").open("a") as file:
        file.write("# changed\n")
    assert bootstrap.stamp(tmp_path, "run") != first


def test_an_environment_that_is_up_to_date_is_left_alone(tmp_path, monkeypatch):
    for name in ("requirements.lock", "setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "stamp-run").write_text(bootstrap.stamp(tmp_path, "run"))
    monkeypatch.setattr(bootstrap, "run_step", lambda *_, **__: pytest.fail("nothing was to be done"))
    bootstrap.prepare(tmp_path, "run")


def test_a_python_that_is_only_a_stub_is_passed_over(tmp_path):
    _program(tmp_path / "python3.11", "#!/bin/sh\necho 'not installed' >&2\nexit 127\n")
    (tmp_path / "python3").symlink_to(sys.executable)
    found = subprocess.run(
        ["/bin/sh", ROOT / "cli" / "setup" / "find-python.sh"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (found.returncode, found.stdout) == (0, f"{tmp_path}/python3\n")


def test_no_python_is_one_clear_sentence(tmp_path):
    found = subprocess.run(
        ["/bin/sh", ROOT / "cli" / "setup" / "find-python.sh"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 1
    assert "Python 3.11 or newer is needed" in found.stderr
    assert found.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["run", "test", ".ci/run", "cli/setup/find-python.sh"])
def test_the_scripts_can_be_run(name):
    assert (ROOT / name).stat().st_mode & stat.S_IXUSR
    assert subprocess.run(["sh", "-n", ROOT / name]).returncode == 0


def test_claude_is_looked_for_in_the_supervisors_order(tmp_path):
    on_path = _program(tmp_path / "bin" / "claude")
    named = _program(tmp_path / "named")
    bundled = _program(claude.binary(claude.release_folder(claude.PINNED, tmp_path)))
    env = {"PATH": str(tmp_path / "bin"), "PILOTLIGHT_CLAUDE": str(named)}

    def found(command: str | None, environment: dict[str, str]) -> tuple[Path, str] | None:
        result = claude.find(command, environment, tmp_path)
        return (result.path, result.source) if result else None

    assert found("/else/where", env) == (Path("/else/where"), "config")
    assert found(None, env) == (named, "environment")
    assert found(None, {"PATH": env["PATH"]}) == (on_path, "path")
    assert found(None, {"PATH": str(tmp_path)}) == (bundled, "bundled")
    shutil.rmtree(tmp_path / ".claude-cli")
    assert found(None, {"PATH": str(tmp_path)}) is None


def test_without_claude_and_npm_the_sentence_says_both(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("cli.setup.claude.USUAL_FOLDERS", ())
    with pytest.raises(StepFailed, match="npm"):
        claude.install("0.0.0", tmp_path)
    monkeypatch.setattr(claude, "find", lambda *_: None)
    with pytest.raises(StepFailed, match=r"Install Claude Code .* or Node.js"):
        first_run._provide_claude(first_run.App())


def test_no_login_in_an_empty_home(tmp_path):
    assert login.find(ClaudeConfig(), {"HOME": str(tmp_path)}, "linux") == login.Login(None)


@pytest.mark.parametrize("name", TOKENS)
def test_a_token_counts_when_sessions_get_it(tmp_path, name):
    env = {"HOME": str(tmp_path), name: "x"}
    unseen = login.find(ClaudeConfig(), env, "linux")
    assert unseen.where is None
    assert name in str(unseen.hint)
    assert login.find(ClaudeConfig(pass_env=[name]), env, "linux").where is not None
    assert login.find(ClaudeConfig(env={name: "x"}), {"HOME": str(tmp_path)}, "linux").where is not None


@pytest.mark.parametrize("name", [*TOKENS, *CLOUDS])
def test_doctor_and_the_health_check_know_the_same_logins(tmp_path, name):
    config, own = ClaudeConfig(env={name: "1"}), {"HOME": str(tmp_path)}
    assert health_check.is_there(config, own, tmp_path / ".claude")
    assert login.find(config, own, "linux").where is not None


def test_credentials_are_found_in_a_home_of_claudes_that_begins_with_a_tilde(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / ".credentials.json").write_text("{}")
    config = ClaudeConfig(env={"CLAUDE_CONFIG_DIR": "~/mine"})
    assert login.find(config, {"HOME": str(tmp_path)}, "linux").where == str(tmp_path / "mine" / ".credentials.json")


def test_credentials_and_key_helpers_are_seen_but_not_read(tmp_path):
    (tmp_path / ".claude").mkdir()
    (tmp_path / ".claude" / "settings.json").write_text('{"apiKeyHelper": "~/bin/key"}')
    assert "apiKeyHelper" in str(login.find(ClaudeConfig(), {"HOME": str(tmp_path)}, "linux").where)
    (tmp_path / ".claude" / ".credentials.json").write_text("secret")
    (tmp_path / ".claude" / ".credentials.json").chmod(0)
    assert ".credentials.json" in str(login.find(ClaudeConfig(), {"HOME": str(tmp_path)}, "linux").where)


@pytest.mark.parametrize(("code", "there"), [(0, True), (44, False)])
def test_on_macos_only_the_exit_status_of_the_keychain_is_used(tmp_path, monkeypatch, code, there):
    _program(tmp_path / "security", f"#!/bin/sh\nexit {code}\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (login.find(ClaudeConfig(), {"HOME": str(tmp_path)}, "darwin").where is not None) is there


def test_no_login_chooses_the_demo_and_says_so(tmp_path, monkeypatch, capsys):
    app = first_run.App(environment={"HOME": str(tmp_path), "PILOTLIGHT_HOME": str(tmp_path / "h")})
    monkeypatch.setattr(login, "find", lambda *_: login.Login(None))
    assert first_run._mode(app, [], Path("/bin/claude")) == ["--demo"]
    assert "No Claude login found" in capsys.readouterr().err
    monkeypatch.setattr(login, "find", lambda *_: login.Login("the keychain"))
    assert first_run._mode(app, [], Path("/bin/claude")) == []


def test_the_tests_see_a_clean_environment():
    foreign = ["CI", "CLAUDECODE", "CLAUDE_CODE_ENTRYPOINT", "ANTHROPIC_API_KEY", "PILOTLIGHT_HOME", "PILOTLIGHT_PORT"]
    foreign += ["MAX_CONCURRENT_SESSIONS", "SESSION_TIMEOUT_HOURS", "PYTHONPATH"]
    kept = ["PATH", "HOME", "PILOTLIGHT_TEST_X", "CIRCLE", "PIP_INDEX_URL"]
    assert set(suite.clean_environment(dict.fromkeys(foreign + kept, "1"))) == set(kept)


def test_arguments_of_test_go_to_pytest_and_its_workers_can_be_chosen():
    assert suite.checks([])[-1][1][:2] == ["pytest", "-n"]
    assert suite.checks(["-n0", "tests/unit"])[-1][1] == ["pytest", "-n0", "tests/unit"]


@pytest.mark.parametrize(
    ("failing", "alone", "arguments", "code", "runs"),
    [
        (2, 0, [], 0, 2),  # passed alone: named as flaky
        (2, 1, [], 1, 2),  # failed again
        (suite.MOST_FLAKY + 1, 0, [], 1, 1),  # too many to be chance
        (1, 0, ["tests/unit"], 1, 1),  # whoever looks for it has to see it fail
        (0, 0, [], 1, 1),  # broke before it could say what failed
    ],
)
def test_the_few_that_fail_beside_all_others_are_run_once_more_alone(
    tmp_path, monkeypatch, capsys, failing, alone, arguments, code, runs
):
    told, calls = tmp_path / "lastfailed", []

    def run(command, **_):
        calls.append(command[2:])
        if command[2] != "pytest":
            return 0
        if len([c for c in calls if c[0] == "pytest"]) > 1:
            return alone
        told.write_text(json.dumps({f"tests/test_x.py::test_{number}": True for number in range(failing)}))
        return 1

    monkeypatch.setattr(suite, "LAST_FAILED", told)
    monkeypatch.setattr(suite.subprocess, "call", run)
    monkeypatch.setattr(suite, "_fetch", lambda: None)
    told.write_text('{"tests/test_old.py::test_of_another_run": true}')
    assert suite.main(arguments) == code
    again = [call for call in calls if call[0] == "pytest"]
    assert len(again) == runs
    if runs == 2:
        assert again[1] == ["pytest", "-n", "0", *(f"tests/test_x.py::test_{number}" for number in range(failing))]
    assert ("FLAKY" in capsys.readouterr().out) == (code == 0)


def test_what_a_check_beside_the_fetching_finds_is_told_and_fails_the_run(tmp_path, monkeypatch, capsys):
    def run(command, stdout=None, **_):
        if command[2] == "mypy":
            stdout.write(b"x.py:1: error: wrong\n")
        return int(command[2] == "mypy")

    monkeypatch.setattr(suite, "LAST_FAILED", tmp_path / "lastfailed")
    monkeypatch.setattr(suite.subprocess, "call", run)
    monkeypatch.setattr(suite, "_fetch", lambda: None)
    assert suite.main([]) == 1
    told = capsys.readouterr().out
    assert "== mypy\nx.py:1: error: wrong\n== mypy: FAILED" in told
    assert "== ruff check: passed" in told
    assert told.splitlines()[-1].startswith("== FAILED: mypy (")


def test_what_cannot_be_fetched_is_said_and_no_test_is_run(tmp_path, monkeypatch, capsys):
    calls = []

    def refuse():
        raise StepFailed("no network")

    monkeypatch.setattr(suite.subprocess, "call", lambda command, **_: calls.append(command[2]) or 0)
    monkeypatch.setattr(suite, "_fetch", refuse)
    assert suite.main([]) == 1
    assert "no network" in capsys.readouterr().err
    assert "pytest" not in calls


def test_a_browser_is_found_or_named_and_a_missing_one_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.delenv(chromium.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StepFailed, match=r"apt-get install chromium.*PILOTLIGHT_TEST_CHROMIUM"):
        chromium.ensure(tmp_path / "log")
    found = _program(tmp_path / "chromium-browser")
    assert chromium.find() == str(found)
    chromium.ensure(tmp_path / "log")  # the whole browser will do
    shell = _program(tmp_path / "chromium-headless-shell")
    assert (chromium.find(), chromium.find(whole=True)) == (str(shell), str(found))
    monkeypatch.setenv(chromium.VARIABLE, "/opt/other")
    assert chromium.find() == "/opt/other"


def test_the_browsers_of_the_smoke_run_are_found_or_left_out_by_name(tmp_path, monkeypatch):
    monkeypatch.delenv(smoke_browsers.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        StepFailed, match=r"apt-get install firefox-esr webkit2gtk-driver xvfb.*PILOTLIGHT_TEST_BROWSERS"
    ):
        smoke_browsers.ensure(tmp_path / "log")
    found = _program(tmp_path / "firefox-esr")
    _program(tmp_path / "WebKitWebDriver")
    assert smoke_browsers.chosen() == ("firefox", "webkit")
    assert (smoke_browsers.find("firefox"), smoke_browsers.find("webkit")) == (str(found), None)
    monkeypatch.setenv(smoke_browsers.VARIABLE, "firefox")
    assert smoke_browsers.chosen() == ("firefox",)
    smoke_browsers.ensure(tmp_path / "log")
