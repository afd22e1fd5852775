"""The supervisor as the API sees it, in memory, at the bus's edge: same operations, same argument schema, same errors.

Arguments are converted to their structs (shared.bus.operations), unknown fields refused, so a call that the real supervisor
would not understand fails here too. What a test may decide: what a message becomes, what an op raises. Over 400 lines: one
answer of each operation.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

import msgspec

from shared.bus import message_requests, operations, service_requests, session_requests
from shared.bus.messages import Event
from shared.errors import Busy, Conflict, InvalidRequest, NotFound, PilotlightError
from tests.move_double import MoveSteps

ARGUMENTS = {name: operation.arguments for name, operation in operations.OPERATIONS.items()}


def now() -> int:
    """Milliseconds since the epoch."""
    return int(time.time() * 1000)


CONVERSATION = "b6f3a3d2-5a0e-4f0e-9d5b-0f5f3a1c7e21"
HISTORY = {"entries": [{"id": "e1", "role": "user", "text": "Hello", "at": 1}], "next": None}
NODE = {"id": "c0ffee0123456789", "name": "double"}


class FakeSupervisor(MoveSteps):
    """Operations on dictionaries, in the wire's camelCase."""

    def __init__(self) -> None:
        self.sessions: dict[str, dict[str, Any]] = {}
        self.messages: dict[str, dict[str, Any]] = {}
        self.recipients: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, str] = {}
        self.calls: list[tuple[str, Any, float]] = []
        self.actors: list[str | None] = []
        self.told: list[tuple[str, Any, str | None]] = []
        self.fail: dict[str, PilotlightError] = {}
        self.becomes = "answered"
        self.reply = "Hello from the double."
        self.error: dict[str, Any] | None = None
        self.changed: dict[str, Any] = {}
        self.recap: str | None = "You said hello."
        self.settings: dict[str, Any] = {"sessions.max_concurrent": 10, "sessions.timeout_hours": 24.0}
        self.health: dict[str, Any] = {
            "status": "healthy",
            "aicliCodeAvailable": True,
            "activeSessions": 1,
            "sessionCount": 2,
            "resources": {"system": {"cpuPercent": 1.0}, "sessions": {"memoryBytes": 1}},
            "checks": [{"name": "supervisor", "status": "ok", "detail": "answers"}],
        }
        self.metrics: dict[str, Any] = {
            "sessions": {"byState": {"idle": 2, "busy": 1}},
            "counters": {"starts": 3, "messagesAnswered": 7},
            "latency": {"answered": {"p50": 120.0, "p95": 300.0, "p99": None}},
            "queueDepth": 2,
            "memoryBytes": 1000,
            "cpuPercent": 25.0,
            "perSession": [{"id": "s1", "memoryBytes": 1000, "cpuPercent": 50.0, "queueLength": 2}],
        }
        self.epoch = "e1"
        self.node = NODE
        self.journal: list[Event] = []
        self.oldest = 1

    def call(self, op: str, args: Any = None, *, timeout: float = 10.0, actor: str | None = None) -> Any:
        """As shared.bus.BusClient.call."""
        plain = msgspec.to_builtins(args) if args is not None else {}
        typed = msgspec.convert(plain, ARGUMENTS[op])
        self.calls.append((op, typed, timeout))
        self.actors.append(actor)
        if op in self.fail:
            raise self.fail[op]
        handler = getattr(self, "op_" + op.replace(".", "_"))
        return msgspec.json.decode(msgspec.json.encode(handler(typed)))

    def tell(self, op: str, args: Any = None, *, actor: str | None = None) -> None:
        """As shared.bus.BusClient.tell."""
        self.told.append((op, msgspec.convert(msgspec.to_builtins(args), ARGUMENTS[op]), actor))

    def ops(self, *ignored: str) -> list[str]:
        """The operations asked for so far, without pings."""
        return [op for op, _, _ in self.calls if op not in ("ping", *ignored)]

    def last(self, op: str) -> Any:
        """The arguments of the latest call of this operation."""
        return next(args for name, args, _ in reversed(self.calls) if name == op)

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

    def publish(self, kind: str, session: str | None = None, **data: Any) -> Event:
        """Write one event into the journal."""
        event = Event(v=1, epoch=self.epoch, seq=len(self.journal) + 1, at=now(), kind=kind, session=session, data=data)
        self.journal.append(event)
        return event

    def _session(self, session_id: str) -> dict[str, Any]:
        if session_id not in self.sessions:
            raise NotFound("There is no such session.", code="session_not_found")
        return self.sessions[session_id]

    def op_ping(self, _: Any) -> Any:
        return {"pong": True}

    def op_status(self, _: Any) -> Any:
        live = [view for view in self.sessions.values() if view["state"] != "ended"]
        return {"pid": 1, "version": "0.1.0", "startedAt": 1, "epoch": self.epoch, "head": 0, "ready": True,
                "sessions": live, "claudeCommand": "/c", "claudeError": None, "node": self.node}  # fmt: skip

    def op_health(self, _: Any) -> Any:
        return self.health | {"node": self.node, "epoch": self.epoch}

    def op_metrics(self, _: Any) -> Any:
        return self.metrics

    def op_audit_refused(self, _: service_requests.RefusedCall) -> Any:
        return {}

    def op_settings_get(self, _: Any) -> Any:
        return {"settings": self.settings, "changed": []}

    def op_settings_patch(self, args: service_requests.SettingsPatch) -> Any:
        for name, value in args.values.items():
            if name not in self.settings:
                raise InvalidRequest(f"There is no setting {name}.")
            self.settings[name] = value
        return {"settings": self.settings, "changed": sorted(args.values)}

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

    def op_history(self, args: message_requests.HistoryRequest) -> Any:
        self._session(args.session_id)
        return HISTORY

    def op_export(self, args: message_requests.ExportRequest) -> Any:
        self._session(args.session_id)
        if args.format == "json":
            return {"name": "s.json", "contentType": "application/json", "text": "{}"}
        text, following = (" again", None) if args.after else ("# Hello", "0.1.1")
        return {"name": "s.md", "contentType": "text/markdown; charset=utf-8", "text": text, "next": following}

    def op_search(self, args: message_requests.SearchRequest) -> Any:
        if args.session_id:
            self._session(args.session_id)
        return {"hits": [], "complete": True, "next": None}

    def op_usage(self, args: message_requests.UsageRequest) -> Any:
        if args.session_id:
            self._session(args.session_id)
        return {"by": args.by, "rows": [], "total": {}, "complete": True, "next": None}

    def op_conversations_list(self, args: message_requests.ListConversations) -> Any:
        return {"conversations": [], "next": None}

    def op_conversation_history(self, args: message_requests.ConversationHistory) -> Any:
        if args.conversation_id != CONVERSATION:
            raise NotFound("There is none.", code="conversation_not_found")
        return HISTORY

    def op_session_command(self, args: message_requests.RunCommand) -> Any:
        session = self._session(args.session_id)
        return {"messageId": "m_c", "state": "answered", "session": session, "output": "Done."}

    def op_session_fork(self, args: session_requests.ForkSession) -> Any:
        self._session(args.session_id)
        return self.add_session(title=args.title)

    def op_message_move(self, args: message_requests.MoveMessage) -> Any:
        if args.message_id not in self.messages:
            raise NotFound("There is no such message.", code="message_not_found")
        return {"messages": [self.messages[args.message_id]]}

    def op_message_update(self, args: message_requests.UpdateMessage) -> Any:
        if args.message_id not in self.messages:
            raise NotFound("There is no such message.")
        self.messages[args.message_id]["text"] = args.text
        return self.messages[args.message_id]

    def op_events_page(self, args: service_requests.EventsPage) -> Any:
        return {"events": self.journal[-args.limit :][::-1], "next": None, "epoch": self.epoch}

    def op_samples(self, args: service_requests.SamplesRequest) -> Any:
        return {"span": args.span, "total": [], "sessions": {}}

    def op_folders_list(self, args: service_requests.ListFolders) -> Any:
        return {"path": args.path, "parent": None, "folders": [], "roots": []}

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

    def op_rule_list(self, _: Any) -> Any:
        return {"rules": []}

    def op_rule_add(self, args: service_requests.AddRule) -> Any:
        return msgspec.to_builtins(args) | {"id": "r_0a0a0a0a", "used": 0}

    def op_rule_remove(self, args: service_requests.RuleRef) -> Any:
        raise NotFound("There is no such rule.")

    def _recipient(self, identity: str) -> dict[str, Any]:
        if identity not in self.recipients:
            raise NotFound("There is no such recipient.", code="recipient_not_found")
        return self.recipients[identity]

    def op_recipient_list(self, _: Any) -> Any:
        return {"recipients": list(self.recipients.values())}

    def op_recipient_add(self, args: service_requests.AddRecipient) -> Any:
        made = {
            "id": f"d_{len(self.recipients)}",
            "kind": args.kind,
            "name": args.name,
            "place": "there",
            "status": "new",
        }
        self.recipients[made["id"]] = {**made, "rules": msgspec.to_builtins(args.rules) if args.rules else {}}
        return self.recipients[made["id"]]

    def op_recipient_update(self, args: service_requests.UpdateRecipient) -> Any:
        recipient = self._recipient(args.recipient_id)
        recipient.update(
            name=args.name or recipient["name"], rules=msgspec.to_builtins(args.rules) or recipient["rules"]
        )
        return recipient

    def op_recipient_remove(self, args: service_requests.RecipientRef) -> Any:
        self._recipient(args.recipient_id)
        del self.recipients[args.recipient_id]
        return {}

    def op_recipient_presence(self, args: service_requests.SetPresence) -> Any:
        return {**self._recipient(args.recipient_id), "present": args.present}

    def op_recipient_test(self, args: service_requests.RecipientRef) -> Any:
        self._recipient(args.recipient_id)
        return {"notice": self._notice(), "accepted": True, "detail": "201", "milliseconds": 5, "hops": []}

    def _notice(self) -> dict[str, Any]:
        return {"recipient": "r_0", "recipientName": "phone", "key": "n:1", "kind": "waiting", "title": "p asks", "state": "told",
                "at": now()}  # fmt: skip

    def op_notification_key(self, _: Any) -> Any:
        return {"publicKey": "BCVx"}

    def op_notification_log(self, args: service_requests.ListNotices) -> Any:
        return {"notices": [self._notice()][: args.limit]}

    def op_notification_receipt(self, args: service_requests.NoticeReceipt) -> Any:
        self._recipient(args.recipient_id)
        return {}

    def op_notification_link(self, args: service_requests.UseLink) -> Any:
        if args.token != "good":
            raise NotFound("There is no such link.", code="link_not_found")
        return {"done": "Allow once", "sessionId": "s1"}

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

    def op_message_send(self, args: message_requests.SendMessage) -> Any:
        assert args.key, "every message has a key"
        if args.key in self.keys:
            message = self.messages[self.keys[args.key]]
            return {"message": message, "session": self._session(message["sessionId"]), "duplicate": True}
        if args.session_id is None and args.project_path == "/missing":
            raise InvalidRequest("The project path /missing does not exist.")
        if len([m for m in self.messages.values() if m["state"] == "queued"]) > 5:
            raise Busy("The queue is full.", data={"retryAfter": 7})
        session = self._session(args.session_id) if args.session_id else self.add_session()
        if args.project_path:
            session["projectPath"] = args.project_path
        state = self.becomes if args.wait or self.becomes != "answered" else "queued"
        message = {
            "id": f"m_{uuid.uuid4().hex[:12]}",
            "sessionId": session["id"],
            "state": state,
            "text": args.text,
            "createdAt": now(),
            "steps": {"accepted": now()},
            "requestId": args.key,
            "reply": self.reply if state == "answered" else None,
            "error": self.error,
            "queuePosition": 1 if state == "queued" else None,
            "toolCalls": [{"name": "Read"}] if state == "answered" else [],
            "usage": {"inputTokens": 3} if state == "answered" else None,
            **self.changed,
        }
        self.messages[message["id"]] = message
        self.keys[args.key] = message["id"]
        return {"message": message, "session": session, "duplicate": False}

    def op_message_get(self, args: message_requests.MessageRef) -> Any:
        if args.message_id not in self.messages:
            raise NotFound("There is no such message.", code="message_not_found")
        return self.messages[args.message_id]

    def op_message_cancel(self, args: message_requests.MessageRef) -> Any:
        message = self.op_message_get(args)
        if message["state"] != "queued":
            raise Conflict("The message is not in the queue any more.")
        message["state"] = "cancelled"
        return message

    def op_message_list(self, args: message_requests.ListMessages) -> Any:
        self._session(args.session_id)
        found = [m for m in self.messages.values() if m["sessionId"] == args.session_id]
        return {"messages": found[: args.limit], "next": None}

    def op_events_since(self, args: service_requests.EventsSince) -> Any:
        kept = [e for e in self.journal if e.seq > args.seq and e.seq >= self.oldest]
        kept = [e for e in kept if args.session_id in (None, e.session)]
        kept = [e for e in kept if args.kinds is None or e.kind in args.kinds]
        return {"epoch": self.epoch, "head": len(self.journal), "oldest": self.oldest, "events": kept[: args.limit],
                "gap": args.seq + 1 < self.oldest}  # fmt: skip
