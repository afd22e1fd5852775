"""`pilotlight notify`: recipients by name, tests that tell, a log, and secrets that are read, not shown."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cli.__main__ import run
from cli.daemons.checks import notifications
from shared.bus.notifications import FOREVER, NoticeView, RecipientView, Rules, TestResult
from tests.unit.cli.test_double import FakeBus, app_of

PHONE = RecipientView(
    id="d_1", kind="webpush", name="phone", place="fcm.googleapis.com", rules=Rules(zone="UTC"), status="ok"
)
HOOK = RecipientView(
    id="d_2", kind="webhook", name="hook", place="example.org", rules=Rules(), status="failing", error="It answered 403"
)
NOTICE = NoticeView(
    recipient="d_1", recipient_name="phone", key="n/e:1", kind="waiting", title="shop asks for permission", state="dropped",
    at=1, reason="somebody was looking on this recipient",
)  # fmt: skip


def bus(**more: Any) -> FakeBus:
    return FakeBus(recipient__list={"recipients": [PHONE, HOOK]}, **more)


def test_the_list_says_who_is_told_and_what_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["notify", "list"], app_of(tmp_path, bus())) == 0

    told = capsys.readouterr().out
    assert "fcm.googleapis.com" in told
    assert "It answered 403" in told


def test_a_channel_is_added_with_a_secret_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = bus(recipient__add=HOOK)
    monkeypatch.setattr(sys, "stdin", io.StringIO("tk_secret\n"))
    line = "notify add ntfy phone https://ntfy.sh --topic t --secret - --kinds waiting,failed --quiet 22:00-07:00"

    assert run(line.split(), app_of(tmp_path, made)) == 0

    (order,) = [msgspec.to_builtins(args) for op, args in made.calls if op == "recipient.add"]
    assert order["target"] == {"server": "https://ntfy.sh", "topic": "t", "token": "tk_secret"}
    assert order["rules"]["kinds"] == ["waiting", "failed"]
    assert order["rules"]["quiet"] == {"start": "22:00", "end": "07:00"}
    assert "tk_secret" not in capsys.readouterr().out


@pytest.mark.parametrize("wrong", ["--kinds nonsense", "--quiet 9-5"])
def test_what_cannot_be_is_refused(tmp_path: Path, wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = f"notify add webhook hook https://example.org {wrong}"

    assert run(line.split(), app_of(tmp_path, bus())) != 0
    assert "cannot be added" in capsys.readouterr().err


@pytest.mark.parametrize(("accepted", "code"), [(True, 0), (False, 1)])
def test_a_test_says_how_far_it_came(
    tmp_path: Path, accepted: bool, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    result = TestResult(notice=NOTICE, accepted=accepted, detail="201", milliseconds=7)

    assert run(["notify", "test", "pho"], app_of(tmp_path, bus(recipient__test=result))) == code
    told = capsys.readouterr()
    assert ("accepted after 7 ms" in told.out) == accepted
    assert ("not accepted: 201" in told.err) == (not accepted)


def test_a_mute_keeps_the_other_rules(tmp_path: Path) -> None:
    made = bus(recipient__update=PHONE)

    assert run(["notify", "mute", "phone"], app_of(tmp_path, made)) == 0

    (order,) = [args for op, args in made.calls if op == "recipient.update"]
    rules = msgspec.to_builtins(order)["rules"]
    assert (rules["mutedUntil"], rules["zone"]) == (FOREVER, "UTC")


def test_the_log_says_why_something_was_not_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app = app_of(tmp_path, bus(notification__log={"notices": [NOTICE]}))

    assert run(["notify", "log", "--recipient", "d_1"], app) == 0
    assert "somebody was looking on this recipient" in capsys.readouterr().out
    assert run(["notify", "log", "--recipient", "nobody"], app) == 4
    assert run(["notify", "remove", "d_"], app) != 0
    assert "not unique" in capsys.readouterr().err


def test_json_is_what_the_bus_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["notify", "list", "--json"], app_of(tmp_path, bus())) == 0
    assert [recipient["id"] for recipient in json.loads(capsys.readouterr().out)["recipients"]] == ["d_1", "d_2"]


def test_doctor_names_what_fails(tmp_path: Path) -> None:
    found = notifications(app_of(tmp_path, bus()))

    assert [(finding.level, finding.text) for finding in found] == [("warn", "hook: It answered 403")]
