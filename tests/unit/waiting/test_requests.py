"""Whose request a tool event decides, and into whose pipe an answer goes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from supervisor.waiting.waiting import Permission, pipe_of

INPUT = {"command": "touch made.txt"}


def request(agent: str | None = None, spool: Path = Path("nowhere")) -> Permission:
    payload = {"tool_name": "Bash", "tool_input": INPUT, "agent_type": agent and "explorer", "agent_id": agent}
    return Permission.from_hook(spool, payload)


def ran(agent: str | None = None, **given: Any) -> dict[str, Any]:
    return {"tool_name": "Bash", "tool_input": given or INPUT, "agent_id": agent}


def test_a_tool_decides_the_request_of_its_own_agent_and_with_its_own_input() -> None:
    assert request().answered_by(ran())
    assert request("a1").answered_by(ran("a1"))
    assert not request("a1").answered_by(ran()), "the same command of Claude's own"
    assert not request().answered_by(ran("a1"))
    assert not request("a1").answered_by(ran("a2"))
    assert not request().answered_by(ran(command="touch other.txt")), "tools of one name run side by side"
    decided = request()
    decided.decided_at = 1.0
    assert decided.answered_by(ran(command="touch other.txt")), "the answer may have changed what it is called with"


@pytest.mark.parametrize("mode", [0o600, 0o620, 0o602, 0o666])
async def test_an_answer_goes_into_no_pipe_that_others_may_write_or_read(tmp_path: Path, mode: int) -> None:
    permission = request(spool=tmp_path / "1.req")
    pipe = pipe_of(permission.spool)
    os.mkfifo(pipe)
    pipe.chmod(mode)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert await permission.decide({"behavior": "allow"}) is (mode == 0o600)
        assert bool(os.read(reader, 1000)) is (mode == 0o600)
    finally:
        os.close(reader)
