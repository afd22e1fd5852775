"""A request that Claude has decided by itself, since nobody answered in time: it is over, and that is said."""

from __future__ import annotations

from typing import Any

from supervisor.claude.texts import unanswered
from supervisor.claude.transcript import TranscriptLine
from supervisor.session.session import Session
from supervisor.turn.turn import Turn


def take_result(session: Session, turn: Turn, line: TranscriptLine) -> None:
    """A line with the results of tools: those that the CLI has denied were asked about, and are not any more."""
    for result in line.tool_results:
        tool = next((tool for tool in turn.tools if tool["id"] == result.get("tool_use_id")), None)
        if tool is not None and unanswered.denied(result):
            _decided(session, tool["name"], tool["input"])


def take_tool(session: Session, payload: dict[str, Any]) -> None:
    """A hook that tells of a tool's end: it may be a question that was left unanswered."""
    if unanswered.let_go(payload):
        _decided(session, payload.get("tool_name"), None)


def _decided(session: Session, tool: object, given: object) -> None:
    """The first request for it that nobody has decided here; a question's input is changed by what became of it."""
    for asked in session.permissions.pending:
        if asked.tool == tool and asked.decided_at is None and asked.agent_id is None and given in (None, asked.input):
            session.permissions.decided_by_claude(asked)
            return
