"""The options of a session have types and are stored as before: one flat object, with what other versions have written in it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest

from supervisor.store.options import (
    KINDS,
    Intent,
    LaunchOptions,
    Planned,
    ProcessFacts,
    Remembered,
    Stop,
    flat,
    of_flat,
)
from supervisor.store.rows import SESSION_COLUMNS, body, session_of
from supervisor.store.store import SessionRecord

ALL = {
    "model": "opus",
    "printing": "m1",
    "permission_mode": "plan",
    "effort": "high",
    "add_dirs": ["/a", "/b"],
    "mcp_config": "{}",
    "append_system_prompt": "be kind",
    "release": "2.1.330",
    "mode_now": "plan",
    "cwd": "/p/sub",
    "stale": "settings_changed",
    "changed": ["effort", "model"],
    "last_end": "logout",
    "withdrawing": "m1",
    "stop": {"to": "ended", "cause": "stopped", "reason": "killed"},
    "planned": {"before": None},
    "recording": False,
    "spoken": "c",
    "appearances": 3,
    "asked_look": ["d_1", None],
    "stamped": ["d_1.1.3", 4],
    "asked_since": 5,
    "hooks_off": True,
    "begun_behind": "p1",
}
"""Every option as it has always been stored."""


def written(options: Any) -> dict[str, Any]:
    """The options that a row keeps which was read with these."""
    columns = ("s", "/p", 1, 1, "idle", "c", 0, 0, None)
    record = session_of((*columns, msgspec.json.encode({"options": options})))
    stored: dict[str, Any] = msgspec.json.decode(body(record, SESSION_COLUMNS))["options"]
    return stored


@pytest.mark.parametrize("stored", [{}, ALL, {"model": "opus"}, *({name: value} for name, value in ALL.items())])
def test_another_program_reads_what_it_would_have_written(stored: dict[str, Any]) -> None:
    assert written(stored) == stored


def test_what_is_of_no_use_to_us_is_kept_and_not_believed() -> None:
    stored = {"later": {"deep": [1]}, "model": 7, "stop": "now", "asked_look": [], "appearances": "many"}
    read = of_flat(stored)
    assert [read[name] for name in KINDS] == [LaunchOptions(), ProcessFacts(), Intent(), Remembered()]
    assert written(stored) == stored


def test_what_replaces_what_we_did_not_understand_is_what_is_stored() -> None:
    read = of_flat({"model": 7, "later": 1})
    assert flat([LaunchOptions(model="opus")], read["unknown_options"]) == {"model": "opus", "later": 1}


def test_every_option_has_one_part() -> None:
    names = [name for kind in KINDS.values() for name in kind.__struct_fields__]
    assert sorted(names) == sorted(ALL)


def test_none_is_changed_in_place() -> None:
    parts = [LaunchOptions(), ProcessFacts(), Intent(), Remembered(), Stop("ended"), Planned()]
    for part in parts:
        with pytest.raises(AttributeError):
            setattr(part, part.__struct_fields__[0], "x")
        hash(part)  # no list nor dictionary in it


@pytest.mark.parametrize("version", [0, 1])
def test_the_options_of_an_earlier_database_are_those_that_it_had(version: int) -> None:
    path = Path(__file__).parent / "databases" / f"version-{version}.db"
    database = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    rows = database.execute(f"SELECT {', '.join(SESSION_COLUMNS)}, body FROM sessions").fetchall()
    database.close()
    stored = [(row, msgspec.json.decode(row[-1])["options"]) for row in rows]
    assert any(options for _, options in stored)
    for row, options in stored:
        record = session_of(row)
        assert msgspec.json.decode(body(record, SESSION_COLUMNS))["options"] == options
        assert record.launch.model == options.get("model")


def test_a_record_without_options_stores_none() -> None:
    assert msgspec.json.decode(body(SessionRecord("s", "/p", 1, 1, "idle", "c"), SESSION_COLUMNS))["options"] == {}
