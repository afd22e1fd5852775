"""Exit codes, errors and small texts of the command."""

from __future__ import annotations

import json

import pytest

from cli.__main__ import run
from cli.output import ago, exit_code, printable
from cli.setup.progress import Step, StepFailed, run_step
from shared import errors
from tests.unit.cli.test_double import FakeBus, app_of


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidRequest("x"), 5),
        (errors.InvalidRequest("x", code="invalid_config"), 1),
        (errors.Unauthorized("x"), 5),
        (errors.NotFound("x"), 4),
        (errors.Conflict("x"), 5),
        (errors.TooLarge("x"), 5),
        (errors.Busy("x"), 5),
        (errors.StartFailed("x"), 1),
        (errors.Unavailable("x"), 3),
        (errors.StorageFailed("x"), 1),
        (errors.DeadlineExceeded("x"), 1),
        (errors.InternalError("x"), 1),
    ],
)
def test_every_error_has_its_exit_code(error, code):
    assert exit_code(error) == code


def test_a_wrong_command_line_is_2_and_json_on_request(tmp_path, capsys):
    assert run(["ls", "--nonsense", "--json"], app_of(tmp_path, FakeBus())) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "usage"


def test_a_bug_is_a_sentence_and_the_trace_is_in_the_log(tmp_path, capsys):
    bus = FakeBus(session__list=RuntimeError("broken"))
    assert run(["ls"], app_of(tmp_path, bus)) == 1
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert told.count("\n") == 1
    assert "RuntimeError: broken" in (tmp_path / "logs" / "cli.log").read_text()


def test_a_broken_configuration_is_named(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text("api: {port: many}\n")
    assert run(["up", "--detach"], app_of(tmp_path)) == 1
    assert "$.api.port" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "now"), (59, "now"), (61, "1 min ago"), (7200, "2 h ago"), (200_000, "2 d ago"), (-5, "now")],
)
def test_ages(seconds, text):
    assert ago(1_000_000_000, 1_000_000 + seconds) == text


def test_titles_cannot_drive_the_terminal():
    assert printable("a\x1b[31mb\nc", 20) == "a [31mb c"
    assert printable("x" * 30, 10) == "x" * 9 + "…"


def test_a_failing_step_says_what_failed_how_to_fix_it_and_the_end_of_its_log(tmp_path):
    with pytest.raises(StepFailed) as caught:
        run_step("Installing", ["sh", "-c", "echo no such host; exit 7"], tmp_path / "log", fix="Look at the network.")
    assert "Installing failed. Look at the network." in str(caught.value)
    assert "no such host" in str(caught.value)


def test_a_short_step_is_silent_where_nobody_watches(capsys):
    with Step("Opening", brief=True) as step:
        step.tick()
    assert capsys.readouterr().err == ""
