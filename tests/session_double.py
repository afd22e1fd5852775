"""What is asked of sessions, answered in memory: the part of the supervisor's double that all others build on.

What must not regress: views have the wire's camelCase, and a session that is not there is refused as the supervisor refuses it.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

import msgspec

from shared.bus import session_requests
from shared.errors import Conflict, NotFound


def now() -> int:
    """Milliseconds since the epoch."""
    return int(time.time() * 1000)


class SessionOperations:
    """Operations on the views of sessions."""

    def __init__(self) -> None:
        self.sessions: dict[str, dict[str, Any]] = {}
        self.recap: str | None = "You said hello."

    def add_session(self, **changes: Any) -> dict[str, Any]:
        """A session that exists already."""
        view: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "state": "idle",
            "projectPath": "/p",
            "createdAt": now() - 1000,
            "lastActivity": now(),
            "messageCount": 0,
            "queueLength": 0,
            "pid": 4242,
            "expiresAt": now() + 86_400_000,
            "memoryBytes": 1000,
            **changes,
        }
        self.sessions[view["id"]] = view
        return view

    def _session(self, session_id: str) -> dict[str, Any]:
        if session_id not in self.sessions:
            raise NotFound("There is no such session.", code="session_not_found")
        return self.sessions[session_id]

    def op_session_create(self, args: session_requests.CreateSession) -> Any:
        return self.add_session(projectPath=args.project_path, title=args.title)

    def op_session_get(self, args: session_requests.SessionRef) -> Any:
        return self._session(args.session_id)

    def op_session_list(self, args: session_requests.ListSessions) -> Any:
        views = [v for v in self.sessions.values() if args.include_ended or v["state"] != "ended"]
        views = [v for v in views if v["id"].startswith(args.begins_with)]
        return {"sessions": [v for v in views if args.state is None or v["state"] == args.state], "next": None}

    def op_session_kill(self, args: session_requests.StopSession) -> Any:
        view = self._session(args.session_id)
        view.update(state="ended", endReason=args.reason, endedAt=now(), pid=None, expiresAt=None)
        return view

    def op_session_update(self, args: session_requests.UpdateSession) -> Any:
        view = self._session(args.session_id)
        view.update({k: v for k, v in msgspec.to_builtins(args).items() if k != "sessionId"})
        view["addDirs"] = view.get("addDirs") or []
        view["autoKeepAlive"] = bool(view.get("autoKeepAlive"))
        view["delivery"] = view.get("delivery") or "interactive"
        return view

    def op_session_answer(self, args: session_requests.Answer) -> Any:
        view = self._session(args.session_id)
        if not view.get("waiting"):
            raise Conflict("This session waits for nothing: somebody else was first.")
        view.update(waiting=None, state="busy")
        return {"session": view, "answer": {"id": "w1", "choice": args.choice}}

    def op_session_interrupt(self, args: session_requests.SessionRef) -> Any:
        return {"session": self._session(args.session_id), "rung": "escape"}

    def op_session_fork(self, args: session_requests.ForkSession) -> Any:
        self._session(args.session_id)
        return self.add_session(title=args.title)

    def op_session_seen(self, args: session_requests.MarkSeen) -> Any:
        return self._session(args.session_id)

    def op_session_recycle(self, args: session_requests.SessionRef) -> Any:
        return self._session(args.session_id)

    def op_draft_get(self, args: session_requests.DraftRef) -> Any:
        self._session(args.session_id)
        return {"text": "", "at": 0, "by": None}

    def op_draft_set(self, args: session_requests.KeepDraft) -> Any:
        self._session(args.session_id)
        return {"text": args.text, "at": now(), "by": "token:x"}

    def _verb(self, args: session_requests.SessionRef) -> Any:
        return self._session(args.session_id)

    op_session_hibernate = op_session_wake = op_session_reopen = _verb

    def op_session_keep_alive(self, args: session_requests.KeepAlive) -> Any:
        view = self._session(args.session_id)
        if view["state"] == "ended":
            raise Conflict("The session has ended (expired).", code="session_ended")
        if args.action == "recap" and view["state"] not in ("idle", "hibernated"):
            return {"session": view, "recap": None, "recapSkipped": view["state"]}
        return {"session": view, "recap": self.recap if args.action == "recap" else None, "recapSkipped": None}

    def op_session_screen(self, args: session_requests.ScreenRequest) -> Any:
        self._session(args.session_id)
        html = '<div class="pilotlight-screen">&gt; héllo</div>' if args.html else None
        return {
            "sessionId": args.session_id, "cols": 80, "rows": 24, "cursor": [0, 1], "text": "> héllo\n", "html": html,
        }  # fmt: skip

    def op_session_resize(self, args: session_requests.Resize) -> Any:
        return self._session(args.session_id)

    def op_session_recording(self, args: session_requests.RecordingRequest) -> Any:
        self._session(args.session_id)
        return {"recording": bool(args.start), "files": [], "bytes": 0}

    def op_session_keys(self, args: session_requests.SendKeys) -> Any:
        return self._session(args.session_id)
