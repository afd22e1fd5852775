"""`pilotlight doctor`: every finding says what to do, nothing is changed, the exit code tells how serious it is."""

from __future__ import annotations

import json
import logging

from cli.__main__ import run
from cli.daemons.checks import CHECKS
from shared import paths
from shared.config import Config
from shared.releases import OLDEST, TESTED
from supervisor.pool import checks
from supervisor.pool.pool import Pool
from supervisor.session.services import Services
from supervisor.store.store import Store
from tests.unit.cli.test_double import app_of, bus_with


def _doctor(app, capsys):
    code = run(["doctor", "--json"], app)
    report = json.loads(capsys.readouterr().out)
    return code, report["status"], {finding["name"]: finding for finding in report["findings"]}


def _claude(folder, text="#!/bin/sh\necho '2.1.330 (Claude Code)'\n"):
    folder.mkdir(exist_ok=True)
    program = folder / "claude"
    program.write_text(text)
    program.chmod(0o755)
    return str(program)


def test_a_fit_machine_that_is_not_running_is_a_warning_only(tmp_path, capsys):
    app = app_of(tmp_path / "h", PILOTLIGHT_CLAUDE=_claude(tmp_path / "bin"))
    code, status, findings = _doctor(app, capsys)
    assert (code, status) == (0, "warn")
    assert findings["claude"]["text"].endswith("2.1.330")
    assert (findings["login"]["level"], findings["supervisor"]["level"], findings["api"]["level"]) == ("warn",) * 3
    assert not (tmp_path / "h").exists()


def test_a_demo_needs_no_login_in_the_words_of_the_health_check(tmp_path, capsys):
    app = app_of(tmp_path / "h", PILOTLIGHT_CLAUDE=_claude(tmp_path / "bin"))
    (tmp_path / "h" / "demo").mkdir(parents=True)
    (tmp_path / "h" / "demo" / "mode").write_text("demo\n")
    (tmp_path / "h" / ".claude").mkdir()
    (tmp_path / "h" / ".claude" / ".credentials.json").write_text("{}")  # somebody's own, which the demo does not use
    _, _, findings = _doctor(app, capsys)
    assert findings["login"]["level"] == "ok"
    places = paths.resolve({"PILOTLIGHT_HOME": str(tmp_path)})
    store = Store(tmp_path / "db")
    pool = Pool(Services(store, places, Config, {}, tmp_path, logging.getLogger("test"), demo=True))
    assert checks._login(pool) == checks.check("login", "ok", findings["login"]["text"])
    store.close()


def test_no_claude_is_a_failure_with_the_fix(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("cli.setup.claude.find", lambda *_: None)
    code, status, findings = _doctor(app_of(tmp_path), capsys)
    assert (code, status) == (1, "fail")
    assert "npm install -g @anthropic-ai/claude-code" in findings["claude"]["fix"]


def test_a_claude_that_fails_is_a_failure_with_its_words(tmp_path, capsys):
    program = _claude(tmp_path / "bin", "#!/bin/sh\necho 'wrong architecture' >&2\nexit 1\n")
    code, _, findings = _doctor(app_of(tmp_path, PILOTLIGHT_CLAUDE=program), capsys)
    assert code == 1
    assert "wrong architecture" in findings["claude"]["text"]


def test_a_claude_that_is_too_old_is_a_failure_that_names_the_release_needed(tmp_path, capsys):
    program = _claude(tmp_path / "bin", "#!/bin/sh\necho '2.1.150 (Claude Code)'\n")
    code, _, findings = _doctor(app_of(tmp_path, PILOTLIGHT_CLAUDE=program), capsys)
    assert (code, findings["claude"]["level"]) == (1, "fail")
    assert "2.1.150 is too old: " + ".".join(map(str, OLDEST)) in findings["claude"]["text"]
    assert "claude update" in findings["claude"]["fix"]


def test_a_claude_that_is_not_one_of_the_tested_says_which_are(tmp_path, capsys):
    program = _claude(tmp_path / "bin", "#!/bin/sh\necho '2.9.1 (Claude Code)'\n")
    _, _, findings = _doctor(app_of(tmp_path, PILOTLIGHT_CLAUDE=program), capsys)
    assert findings["claude"]["level"] == "ok"
    assert all(version in findings["claude"]["text"] for version in ("2.9.1", *TESTED))


def test_claude_is_asked_in_a_clean_environment(tmp_path, capsys):
    program = _claude(tmp_path / "bin", '#!/bin/sh\necho "9.9 $CI$ANTHROPIC_API_KEY"\n[ -z "$CI$ANTHROPIC_API_KEY" ]\n')
    app = app_of(tmp_path, PILOTLIGHT_CLAUDE=program, CI="true", ANTHROPIC_API_KEY="secret")
    _, _, findings = _doctor(app, capsys)
    assert findings["claude"]["level"] == "ok"
    assert "secret" not in json.dumps(findings)


def test_a_broken_configuration_fails_and_the_rest_is_still_checked(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text("api: {port: many}\n")
    code, _, findings = _doctor(app_of(tmp_path), capsys)
    assert code == 1
    assert "$.api.port" in findings["config"]["text"]
    assert "socket path" in findings


def test_a_home_that_others_can_enter_is_a_warning(tmp_path, capsys):
    tmp_path.chmod(0o755)
    _, _, findings = _doctor(app_of(tmp_path), capsys)
    assert findings["home"]["level"] == "warn"
    assert "chmod 700" in findings["home"]["fix"]


def test_every_warning_and_failure_says_what_to_do(tmp_path, capsys):
    app = app_of(tmp_path / "h", PILOTLIGHT_CLAUDE="/missing/claude")
    for finding in (finding for check in CHECKS for finding in check(app)):
        assert finding.level == "ok" or finding.fix


def test_what_a_supervisor_that_runs_knows_to_be_wrong_is_told(tmp_path, capsys):
    checks = [
        {"name": "database", "status": "ok", "detail": "7 events"},
        {"name": "login", "status": "fail", "detail": "Its service does not accept the login any more: /login."},
        {"name": "hooks", "status": "warn", "detail": "Hooks are off in s."},
        {"name": "claude_state", "status": "fail", "detail": ".claude.json is damaged: put it right."},
    ]
    bus = bus_with(health={"status": "unhealthy", "checks": checks})
    assert run(["doctor", "--json"], app_of(tmp_path, bus)) == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    told = [(found["name"], found["level"], found["text"]) for found in findings]
    for check in checks[1:]:
        assert (check["name"], check["status"], check["detail"]) in told
    assert ("database", "ok", "7 events") not in told


def test_for_people_it_is_a_line_each(tmp_path, capsys):
    run(["doctor"], app_of(tmp_path, PILOTLIGHT_CLAUDE=_claude(tmp_path / "bin")))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ok    pilotlight")
    assert any(line.lstrip().startswith("->") for line in lines)


def test_how_other_devices_reach_the_dashboard_is_said_when_they_are_to(tmp_path, capsys):
    def reach(text):
        home = tmp_path / "h"
        home.mkdir(exist_ok=True)
        (home / "config.yaml").write_text(text)
        _doctor(app := app_of(home), capsys)
        return [(finding.level, finding.text) for finding in CHECKS[-1](app)]

    assert reach("{}") == []
    told = reach("api: {host: 0.0.0.0}")
    assert [level for level, _ in told] == ["warn", "warn"]
    assert "refuses every name" in told[0][1]
    assert "without HTTPS" in told[1][1]
    told = reach("notify: {url: 'https://mini.example.org'}")
    assert told == [("warn", "notifications lead to mini.example.org, which is refused there")]
    whole = "api: {allowed_hosts: [mini.example.org]}\nnotify: {url: 'https://mini.example.org'}"
    assert reach(whole) == [("ok", "https://mini.example.org")]
