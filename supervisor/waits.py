"""What a session waits for, made from a hook's request or from the screen."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from shared.messages import Choice, Waiting, WaitingFor
from supervisor.claude.dialogs import Sight
from supervisor.store import now_ms

_KINDS: dict[str, WaitingFor] = {"AskUserQuestion": "question", "ExitPlanMode": "plan"}


@dataclass
class Permission:
    """One PermissionRequest whose hook is waiting on its pipe for an answer."""

    id: str
    tool: str
    input: dict[str, Any]
    suggestions: list[Any]
    since: int
    answer: Path | None
    tool_use_id: str | None = None
    menu_seen: bool = False

    @classmethod
    def from_hook(cls, name: str, payload: dict[str, Any], answer: Path | None) -> Permission:
        """From the hook's payload."""
        tool_input = payload.get("tool_input")
        suggestions = payload.get("permission_suggestions")
        return cls(
            id=f"p_{name}",
            tool=str(payload.get("tool_name", "")),
            input=tool_input if isinstance(tool_input, dict) else {},
            suggestions=suggestions if isinstance(suggestions, list) else [],
            since=now_ms(),
            answer=answer,
            tool_use_id=payload.get("tool_use_id"),
        )

    @property
    def kind(self) -> WaitingFor:
        """What kind of request it is."""
        return _KINDS.get(self.tool, "permission")

    def answered_by(self, payload: dict[str, Any]) -> bool:
        """Whether a tool event shows that this request was decided."""
        if self.tool_use_id and payload.get("tool_use_id"):
            return bool(payload["tool_use_id"] == self.tool_use_id)
        return payload.get("tool_name") == self.tool

    def decide(self, decision: dict[str, Any]) -> bool:
        """Hand the decision to the waiting hook; False when nobody waits any more (somebody was first)."""
        body = {"hookSpecificOutput": {"hookEventName": "PermissionRequest", "decision": decision}}
        return self._write(msgspec.json.encode(body))

    def release(self) -> None:
        """Let the waiting hook go without a decision."""
        self._write(b"")
        if self.answer is not None:
            self.answer.unlink(missing_ok=True)

    def _write(self, data: bytes) -> bool:
        if self.answer is None:
            return False
        try:
            pipe = os.open(self.answer, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            os.set_blocking(pipe, len(data) > 4096)
            if data:
                os.write(pipe, data)
            return True
        except OSError:
            return False
        finally:
            os.close(pipe)


def permission_waiting(permission: Permission, sight: Sight) -> Waiting:
    """The waiting that a pending request makes, with choices that the answer call takes."""
    questions = permission.input.get("questions")
    choices: list[Choice] = []
    if permission.kind == "question" and isinstance(questions, list) and len(questions) == 1:
        options = questions[0].get("options") or []
        choices = [
            Choice(id=str(i + 1), label=str(o.get("label", "")), description=o.get("description"))
            for i, o in enumerate(options)
            if isinstance(o, dict)
        ]
    elif permission.kind != "question":
        choices = [Choice(id="allow", label="Yes")]
        if permission.suggestions and permission.kind == "permission":
            choices.append(Choice(id="always", label="Yes, and do not ask again for this"))
        choices.append(Choice(id="deny", label="No"))
    title = {
        "question": str(questions[0].get("question", "")) if isinstance(questions, list) and questions else "Question",
        "plan": "Claude has a plan and asks to proceed",
    }.get(permission.kind, f"Claude asks to use {permission.tool}")
    text = str(permission.input.get("plan") or "") if permission.kind == "plan" else _input_text(permission)
    return Waiting(
        id=permission.id,
        kind=permission.kind,
        title=title,
        text=text or (sight.menu.text if sight.menu else ""),
        choices=choices,
        since=permission.since,
        tool=permission.tool,
        input=permission.input,
        questions=questions if isinstance(questions, list) else None,
        suggestions=permission.suggestions or None,
    )


def _input_text(permission: Permission) -> str:
    for name in ("command", "file_path", "url", "description"):
        value = permission.input.get(name)
        if isinstance(value, str):
            return value
    return ""


def screen_waiting(sight: Sight, ready_once: bool, status_waits: bool, since: int) -> Waiting | None:
    """The waiting that a dialog on the screen makes; None when nothing is asked, or it cannot be told."""
    if sight.menu is not None:
        menu = sight.menu
        return Waiting(
            id=menu.identity,
            kind=menu.subject,
            title=menu.title,
            text=menu.text,
            choices=menu.choices,
            since=since,
        )
    if sight.kind == "notice":
        return Waiting(
            id="notice",
            kind="dialog" if ready_once else "setup",
            title=next((line.strip() for line in sight.text.split("\n") if line.strip()), ""),
            text=sight.text,
            choices=[Choice(id="continue", label="Continue")],
            since=since,
        )
    if sight.kind == "other" and status_waits:
        first = next((line.strip() for line in sight.text.split("\n") if line.strip()), "")
        return Waiting(id="screen", kind="dialog", title=first, text=sight.text, since=since)
    return None
