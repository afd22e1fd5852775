"""What is asked of messages and of what was said, answered in memory: a part of the supervisor's double.

What must not regress: one key is one message, as often as it is sent. What a message becomes is the test's to decide.
"""

from __future__ import annotations

import uuid
from typing import Any

from shared.bus import message_requests
from shared.errors import Busy, Conflict, InvalidRequest, NotFound
from tests.session_double import SessionOperations, now

CONVERSATION = "b6f3a3d2-5a0e-4f0e-9d5b-0f5f3a1c7e21"
HISTORY = {"entries": [{"id": "e1", "role": "user", "text": "Hello", "at": 1}], "next": None}


class MessageOperations(SessionOperations):
    """Operations on messages, history, search and usage."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, str] = {}
        self.becomes = "answered"
        self.reply = "Hello from the double."
        self.error: dict[str, Any] | None = None
        self.changed: dict[str, Any] = {}

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

    def op_message_move(self, args: message_requests.MoveMessage) -> Any:
        if args.message_id not in self.messages:
            raise NotFound("There is no such message.", code="message_not_found")
        return {"messages": [self.messages[args.message_id]]}

    def op_message_update(self, args: message_requests.UpdateMessage) -> Any:
        if args.message_id not in self.messages:
            raise NotFound("There is no such message.")
        self.messages[args.message_id]["text"] = args.text
        return self.messages[args.message_id]

    def op_session_command(self, args: message_requests.RunCommand) -> Any:
        session = self._session(args.session_id)
        return {"messageId": "m_c", "state": "answered", "session": session, "output": "Done."}

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
