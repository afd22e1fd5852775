"""What a session waits for, made from a hook's request or from the screen.

A request of Claude's is two things at once: a dialog at the terminal and a hook that blocks on a pipe in the session's
spool. The request's payload stays in the spool until it is settled, so a supervisor that comes back finds it again, with
the same id. What must not regress: a pipe is never opened for writing without an answer or the wish to let the hook go,
since closing it lets the hook go without a decision.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from shared import process
from shared.bus.messages import Choice, Waiting, WaitingFor
from shared.claude_names import ASK_QUESTION, EXIT_PLAN
from shared.config import PermissionRule
from shared.foreign_file import read_foreign
from shared.process import ProcessId
from supervisor.claude import hooks
from supervisor.claude.hook_log import MAX_SPOOL_BYTES
from supervisor.claude.lenient_json import decode
from supervisor.store.store import now_ms
from supervisor.waiting import form, suggestions
from supervisor.waiting.appearances import Appearance
from supervisor.waiting.backoff import is_hold
from supervisor.waiting.edit_preview import preview

_KINDS: dict[str, WaitingFor] = {ASK_QUESTION: "question", EXIT_PLAN: "plan"}
_PIPE, _HANDED = ".answer", ".shown"
READER_TRIES, READER_PAUSE_SECONDS = 50, 0.01
"""The hook logs its request a moment before it opens its pipe; after this long nobody is going to read it."""

HELD_SECONDS = 5.0
"""How long a pipe is held open behind an answer. Whoever else wrote to it may have had the hook see the end of what there was: it
opens the pipe again, and what lies in one that nobody has open is lost."""

DENY = Choice(id="deny", label="No")
_FORM_CHOICES = (Choice(id="accept", label="Accept"), Choice(id="decline", label="Decline"))


@dataclass
class Permission:
    """One PermissionRequest whose hook is waiting on its pipe for an answer."""

    id: str
    tool: str
    input: dict[str, Any]
    suggestions: list[Any]
    since: int
    spool: Path
    menu_seen: bool = False
    gone_since: float | None = None
    decided_at: float | None = None
    rule: PermissionRule | None = None
    """The rule of the configuration that is answering it; None when a person is asked."""

    given: dict[str, Any] | None = None
    """The input with which its tool was allowed from here."""

    considered: bool = False
    """Whether the rules were asked."""

    agent: str | None = None
    agent_id: str | None = None
    """The subagent that asks, its type and id. Claude shows a background one's dialog only when the hook has let go."""

    hook: ProcessId | None = None
    """The program that waits for the answer: it outlives a decision at the terminal, but not Claude's taking it back."""

    shown_as: tuple[int, int] | None = None
    """Its dialog was seen on the screen, with this counter; (0, 0) without one."""

    shown_at: float = 0.0
    """Since when its dialog is on the screen, or was until it was put behind, without a key that may have decided it."""

    behind: bool = False
    """Another one's dialog has taken the screen from it: whoever presses a key decides that one."""

    preview: str | None = None
    """What an edit would change in its file."""

    key: str | None = None
    """What its hook believes an answer by; None: it believes any (a hook of an earlier version's)."""

    server: str | None = None
    """The MCP server that asks for input; None when it is Claude that asks for leave."""

    handed: bool = False
    """Its hook was let go without a decision, so that the person at the terminal sees its dialog."""

    @classmethod
    def from_hook(cls, spool: Path, payload: dict[str, Any]) -> Permission:
        """From the hook's payload, which `spool` holds."""
        is_form = payload.get("hook_event_name") == hooks.ELICITATION
        tool_input = _form(payload) if is_form else payload.get("tool_input")
        suggestions = payload.get("permission_suggestions")
        try:
            since = int(spool.stat().st_mtime * 1000)
        except OSError:
            since = now_ms()
        return cls(
            id=f"p_{spool.name}",
            tool=str(payload.get("tool_name", "")),
            input=tool_input if isinstance(tool_input, dict) else {},
            suggestions=suggestions if isinstance(suggestions, list) else [],
            since=since,
            spool=spool,
            server=str(payload.get("mcp_server_name", "")) if is_form else None,
            agent=str(payload.get("agent_type") or "unknown") if payload.get("agent_id") else None,
            agent_id=str(payload["agent_id"]) if payload.get("agent_id") else None,
            hook=process.identify(int(pid)) if (pid := spool.name.partition(".")[0]).isdigit() else None,
            preview=_preview(payload, tool_input) if isinstance(tool_input, dict) else None,
            handed=spool.with_name(spool.name + _HANDED).exists(),
        )

    @property
    def kind(self) -> WaitingFor:
        """What kind of request it is."""
        return "elicitation" if self.server is not None else _KINDS.get(self.tool, "permission")

    @property
    def hidden(self) -> bool:
        """Whether Claude shows its dialog only when the hook has let go."""
        return self.agent_id is not None or self.server is not None

    def is_over_with(self, event: str, payload: dict[str, Any]) -> bool:
        """Whether its subagent has ended, or its form was answered. A server may ask several things at once, and its result does
        not say which: what still waits for its hook is not over."""
        if event == hooks.SUBAGENT_STOP:
            return self.server is None and self.agent_id == payload.get("agent_id")
        return self.server == payload.get("mcp_server_name") and (self.handed or self.decided_at is not None)

    @property
    def pipe(self) -> Path:
        """What its hook reads the answer from."""
        return pipe_of(self.spool)

    def answered_by(self, payload: dict[str, Any]) -> bool:
        """Whether a tool event shows that this request was decided. Requests carry no tool use id (measured on both
        releases); tools of one name may run side by side, so the input decides, less what an answer may have changed."""
        if payload.get("tool_name") != self.tool or payload.get("agent_id") != self.agent_id:
            return False
        seen = payload.get("tool_input")
        if self.kind != "permission" or not isinstance(seen, dict) or self.decided_at is not None:
            return True
        return seen == self.input

    def ended_with(self, payload: dict[str, Any]) -> bool:
        """Whether a tool event tells of exactly the tool that was allowed from here."""
        return payload.get("tool_name") == self.tool and payload.get("tool_input") == self.given

    def was_changed(self, payload: dict[str, Any]) -> bool:
        """Whether a tool event tells of it, and the tool ran with another input than was asked for."""
        return self.given not in (None, self.input) and self.ended_with(payload)

    async def decide(self, decision: dict[str, Any]) -> bool:
        """Hand the decision to the waiting hook; False when nobody waits any more."""
        body = {"hookSpecificOutput": self._output(decision)}
        data = msgspec.json.encode(body)
        if self.key is not None:
            data = b"\n" + self.key.encode() + b" " + data + b"\n"  # a line of its own, whatever others have left there
        for _ in range(READER_TRIES):
            written = await asyncio.to_thread(self._write, data, asyncio.get_running_loop())
            if written is not None:
                allowed = written and decision.get("behavior") == "allow"
                self.given = decision.get("updatedInput", self.input) if allowed else None
                return written
            await asyncio.sleep(READER_PAUSE_SECONDS)
        return False

    def _output(self, decision: dict[str, Any]) -> dict[str, Any]:
        if self.server is None:
            return {"hookEventName": hooks.PERMISSION_REQUEST, "decision": decision}
        content = {"content": decision["content"]} if "content" in decision else {}
        return {"hookEventName": hooks.ELICITATION, "action": decision["behavior"], **content}

    def _write(self, data: bytes, loop: asyncio.AbstractEventLoop) -> bool | None:
        """True when a reader took it all, None when there is no reader yet. Where its hook knows an answer by its key, the pipe
        is held open, whether or not anybody still waits for this; a hook of an earlier version waits for the end."""
        try:
            pipe = os.open(self.pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        except OSError as error:
            return None if error.errno == errno.ENXIO else False
        written = False
        try:
            if is_ours(os.fstat(pipe)):
                os.set_blocking(pipe, True)
                while data:
                    data = data[os.write(pipe, data) :]
                written = True
        except OSError:
            pass
        if written and self.key is not None:
            loop.call_soon_threadsafe(loop.call_later, HELD_SECONDS, os.close, pipe)
        else:
            os.close(pipe)
        return written

    @property
    def taken_back(self) -> bool:
        """Whether nobody waits for its answer any more although nobody gave one: Claude has ended its hook."""
        return not self.handed and self.hook is not None and not process.alive(self.hook)

    def hand_over(self) -> None:
        """Let its hook go without a decision: Claude shows its dialog, and it is answered there, from here too."""
        self.spool.with_name(self.spool.name + _HANDED).touch(mode=0o600)
        self.handed = True
        let_go(self.pipe)

    def settle(self) -> None:
        """It is over: a hook that still waits is let go without a decision, and its files are removed."""
        let_go(self.pipe)
        self.spool.with_name(self.spool.name + _HANDED).unlink(missing_ok=True)
        self.spool.unlink(missing_ok=True)


def is_ours(seen: os.stat_result) -> bool:
    """Whether this is a pipe that our account has made for itself alone."""
    return stat.S_ISFIFO(seen.st_mode) and seen.st_uid == os.getuid() and not seen.st_mode & 0o077


def pipe_of(spool: Path) -> Path:
    """What the hook that has written this file reads the answer from."""
    return spool.with_name(spool.name + _PIPE)


def let_go(pipe: Path) -> None:
    """Let the reader of a pipe see its end. Opened for both, so that it works before the reader is there, too."""
    try:
        end = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    except OSError:
        return
    pipe.unlink(missing_ok=True)
    os.close(end)


def pending(spool: Path) -> list[Permission]:
    """The requests that wait in a spool, oldest first: a hook's pipe beside its payload."""
    found: list[Permission] = []
    try:
        marks = [path for path in spool.iterdir() if path.suffix in (_PIPE, _HANDED)]
    except OSError:
        return []
    for mark in marks:
        payload_file = mark.with_suffix("")
        try:
            payload = decode(read_foreign(payload_file, MAX_SPOOL_BYTES))
            waits = stat.S_ISFIFO(mark.lstat().st_mode) == (mark.suffix == _PIPE)
            if waits and isinstance(payload, dict) and all(known.spool != payload_file for known in found):
                found.append(Permission.from_hook(payload_file, payload))
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            continue
    return sorted(found, key=lambda permission: permission.since)


def permission_waiting(permission: Permission) -> Waiting:
    """The waiting that a pending request makes, with choices that the answer call takes."""
    questions = permission.input.get("questions")
    asked = [q for q in questions if isinstance(q, dict)] if isinstance(questions, list) else []
    titles = {
        "question": str(asked[0].get("question", "")) if asked else "Claude asks a question",
        "plan": "Claude has a plan and asks to proceed",
        "elicitation": f"The MCP server {permission.server} asks for input",
    }
    return Waiting(
        id=permission.id,
        kind=permission.kind,
        title=titles.get(permission.kind, f"{_who(permission)} asks to use {permission.tool}"),
        text=_text(permission, asked),
        choices=_choices(permission, asked),
        since=permission.since,
        tool=permission.tool or None,
        input=permission.input,
        questions=asked or None,
        fields=form.fields(permission.input.get("requestedSchema")) if permission.server is not None else None,
        suggestions=permission.suggestions or None,
        agent=permission.agent,
        preview=permission.preview,
    )


def _preview(payload: dict[str, Any], tool_input: dict[str, Any]) -> str | None:
    folder = payload.get("cwd")
    return preview(str(payload.get("tool_name")), tool_input, folder if isinstance(folder, str) else None)


def _form(payload: dict[str, Any]) -> dict[str, Any]:
    """What a server has asked for, in MCP's own words."""
    told = {"message": "message", "requested_schema": "requestedSchema", "url": "url", "mode": "mode"}
    return {name: payload[key] for key, name in told.items() if payload.get(key) is not None}


def _who(permission: Permission) -> str:
    return "Claude" if permission.agent is None else f"Claude's {permission.agent} agent"


def handed_waiting(permission: Permission, up: Appearance | None) -> Waiting:
    """The same for a request whose hook was let go: with the choices of its dialog, if that is on the screen."""
    asked = permission_waiting(permission)
    if permission.server is not None:
        return msgspec.structs.replace(asked, choices=[])  # it is filled in at the terminal
    menu = up.screen_reading.menu if up is not None else None
    return msgspec.structs.replace(asked, choices=list(menu.choices) if menu is not None else [])


def _choices(permission: Permission, asked: list[dict[str, Any]]) -> list[Choice]:
    if permission.server is not None:
        return list(_FORM_CHOICES)
    if permission.kind == "question":
        options = asked[0].get("options") or [] if len(asked) == 1 else []
        return [
            Choice(id=str(i + 1), label=str(o.get("label", "")), description=o.get("description"))
            for i, o in enumerate(options)
            if isinstance(o, dict)
        ] + [Choice(id="deny", label="Decline to answer")]
    always = Choice(
        id="always",
        label="Yes, and apply Claude's suggestions",
        description="; ".join(map(suggestions.words, permission.suggestions)) or None,
    )
    return [Choice(id="allow", label="Yes"), *([always] if permission.suggestions else []), DENY]


def _text(permission: Permission, asked: list[dict[str, Any]]) -> str:
    """What is asked, from the request alone: the screen shows it a moment later, and differently at each width."""
    if permission.kind == "question":
        return "\n".join(str(question.get("question", "")) for question in asked)
    if permission.server is not None:
        return "\n".join(str(permission.input[name]) for name in ("message", "url") if name in permission.input)
    for name in ("plan",) if permission.kind == "plan" else ("command", "file_path", "url", "description"):
        value = permission.input.get(name)
        if isinstance(value, str):
            return value
    return msgspec.json.encode(permission.input).decode() if permission.input else ""


def screen_waiting(up: Appearance, ready_once: bool, since: int) -> Waiting:
    """The waiting that a dialog on the screen makes. Its id is the appearance's, so that an answer that comes late does not
    meet the same question asked again."""
    screen_reading, menu = up.screen_reading, up.screen_reading.menu
    if menu is not None:
        return Waiting(
            id=up.id,
            kind=menu.subject,
            title=menu.title,
            text=menu.text,
            choices=[
                *menu.choices,
                *(key for key in screen_reading.keys if key.id == "escape" and menu.subject == "dialog"),
            ],
            since=since,
        )
    return Waiting(
        id=up.id,
        kind="dialog" if ready_once or screen_reading.kind == "other" else "setup",
        title=screen_reading.title,
        text=screen_reading.text,
        choices=list(screen_reading.keys),
        since=since,
    )


def login_waiting(generation: int, since: int) -> Waiting:
    """What a session without a login waits for."""
    return Waiting(
        id=f"login.{generation}",
        kind="login",
        title="Claude is not logged in",
        text="Claude is not logged in. Run `claude` in a terminal on this machine and log in with /login, or set a token "
        "in claude.env and restart pilotlight; then answer `retry`.",
        choices=[Choice(id="retry", label="Start claude again")],
        since=since,
    )


def expiry(waiting_id: str, cause: str, interrupting: bool, known: str | None = None) -> str:
    """Why something is not waited for any more that nobody has answered here: `terminal` (a person there, or Claude, has
    done away with it), `interrupted`, `time`, what is `known` of it (`folder_lost`: it is asked on as a dialog; `claude`: it has
    decided itself, since nobody answered in time), or what has become of the session."""
    if cause != "evidence":
        return cause
    if known is not None:
        return known
    if is_hold(waiting_id):
        return "time"
    return "interrupted" if interrupting else "terminal"
