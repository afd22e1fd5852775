"""Bundles over HTTP: as long as they are, whole or not at all, and nothing is left of what has broken off."""

from __future__ import annotations

import io
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from tests.api_caller import Caller

MOVE = "mv_" + "0" * 32


def put(ask: Caller, data: Any, **more: Any) -> Any:
    session = ask.supervisor.add_session()["id"]
    path = f"/api/sessions/{session}/bundle?move={MOVE}&projectPath=/p"
    options = {"content_type": "application/octet-stream", "headers": {"Authorization": f"Bearer {ask.token}"}, **more}
    return ask.app.test_client().put(path, data=data, **options)


def left(ask: Caller) -> list[Path]:
    return list(ask.app.extensions["pilotlight"].paths.moves_dir.iterdir())


@pytest.mark.parametrize("terminated", [False, True], ids=["plain", "as from our server"])
def test_a_bundle_may_be_longer_than_any_other_body(ask: Caller, terminated: bool) -> None:
    ask.app.config["MAX_CONTENT_LENGTH"] = 1000
    answer = put(ask, b"x" * 500_000, environ_overrides={"wsgi.input_terminated": terminated})
    assert answer.status_code == 200, answer.text
    asked = ask.supervisor.last("session.import")
    assert (asked.move, asked.project_path, asked.upload.endswith(".part")) == (MOVE, "/p", True)
    assert left(ask) == []


def test_what_has_broken_off_is_not_taken(ask: Caller) -> None:
    answer = put(ask, None, input_stream=io.BytesIO(b"half"), environ_overrides={"CONTENT_LENGTH": "8"})
    assert answer.status_code == 400
    assert "session.import" not in ask.supervisor.ops()
    assert left(ask) == []


def test_a_bundle_for_which_there_is_no_room_is_refused_unread(ask: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 1_000))
    answer = put(ask, b"x" * 500)
    assert (answer.status_code, answer.json["code"]) == (507, "storage_failed")
    assert left(ask) == []


@pytest.mark.parametrize(("kind", "status"), [("application/json", 200), ("text/plain", 415)])
def test_only_files_and_json_are_bodies(ask: Caller, kind: str, status: int) -> None:
    assert put(ask, b"{}", content_type=kind).status_code == status
