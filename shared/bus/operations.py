"""Every operation of the bus: its arguments, who may ask for it, and what it leaves behind.

The arguments themselves are in `session_requests`, `move_requests`, `message_requests` and `service_requests`; `docs/bus.md`
explains the operations. What must not regress: `OPERATIONS` is the one place where it is said what an operation takes and needs,
so HTTP and bus let in the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from shared.access.tokens import PLAN, Scope, allows, powerful
from shared.bus.message_requests import (
    ConversationHistory,
    ExportRequest,
    HistoryRequest,
    ListConversations,
    ListMessages,
    MessageRef,
    MoveMessage,
    RunCommand,
    SearchRequest,
    SendMessage,
    UpdateMessage,
    UsageRequest,
)
from shared.bus.move_requests import (
    ArriveHere,
    DeclineBundle,
    LeaveFor,
    PackBundle,
    ReleaseSession,
    StayHere,
    TakeBundle,
)
from shared.bus.service_requests import (
    AddRecipient,
    AddRule,
    EventsPage,
    EventsSince,
    ListFolders,
    ListNotices,
    Nothing,
    NoticeReceipt,
    RecipientRef,
    RefusedCall,
    RuleRef,
    SamplesRequest,
    SetPresence,
    SettingsPatch,
    Shutdown,
    UpdateRecipient,
    UseLink,
)
from shared.bus.session_requests import (
    Answer,
    CreateSession,
    DraftRef,
    ForkSession,
    HibernateSession,
    KeepAlive,
    KeepDraft,
    ListSessions,
    MarkSeen,
    RecordingRequest,
    Resize,
    ScreenRequest,
    SendKeys,
    SessionRef,
    StopSession,
    UpdateSession,
)

THEMSELVES = ("webpush", "apns")
"""Devices that register themselves; whoever adds another kind says where pilotlight sends to."""

Effect = Literal["looks", "acts", "sends", "opens"]
"""What an operation leaves behind: nothing that lasts; an `audit` event when it is asked for; one with the message that it
accepts, or with the session that it opens."""


@dataclass(frozen=True)
class Operation:
    """One operation of the bus. `scope` None: for pilotlight's own processes on this machine only."""

    name: str
    arguments: type[Any]
    scope: Scope | None
    effect: Effect


OPERATIONS: dict[str, Operation] = {
    operation.name: operation
    for operation in (
        Operation("ping", Nothing, "read", "looks"),
        Operation("status", Nothing, "read", "looks"),
        Operation("health", Nothing, "read", "looks"),
        Operation("metrics", Nothing, "read", "looks"),
        Operation("settings.get", Nothing, "read", "looks"),
        Operation("settings.patch", SettingsPatch, "admin", "acts"),
        Operation("shutdown", Shutdown, "admin", "acts"),
        Operation("audit.refused", RefusedCall, None, "acts"),
        Operation("events.since", EventsSince, "read", "looks"),
        Operation("events.page", EventsPage, "read", "looks"),
        Operation("samples", SamplesRequest, "read", "looks"),
        Operation("session.list", ListSessions, "read", "looks"),
        Operation("session.get", SessionRef, "read", "looks"),
        Operation("session.seen", MarkSeen, "read", "looks"),
        Operation("draft.get", DraftRef, "chat", "looks"),
        Operation("draft.set", KeepDraft, "chat", "looks"),
        Operation("folders.list", ListFolders, "chat", "looks"),
        Operation("session.create", CreateSession, "chat", "opens"),
        Operation("session.fork", ForkSession, "chat", "opens"),
        Operation("session.update", UpdateSession, "chat", "acts"),
        Operation("session.wake", SessionRef, "chat", "acts"),
        Operation("session.reopen", SessionRef, "chat", "acts"),
        Operation("session.interrupt", SessionRef, "chat", "acts"),
        Operation("session.keep_alive", KeepAlive, "chat", "acts"),
        Operation("session.answer", Answer, "answer", "acts"),
        Operation("session.hibernate", HibernateSession, "admin", "acts"),
        Operation("session.recycle", SessionRef, "admin", "acts"),
        Operation("session.kill", StopSession, "admin", "acts"),
        Operation("session.leave", LeaveFor, "admin", "acts"),
        Operation("session.stay", StayHere, "admin", "acts"),
        Operation("session.bundle", PackBundle, "admin", "acts"),
        Operation("session.import", TakeBundle, "admin", "acts"),
        Operation("session.decline", DeclineBundle, "admin", "acts"),
        Operation("session.release", ReleaseSession, "admin", "acts"),
        Operation("session.arrive", ArriveHere, "admin", "acts"),
        Operation("session.command", RunCommand, "admin", "sends"),
        Operation("session.screen", ScreenRequest, "read", "looks"),
        Operation("session.recording", RecordingRequest, "read", "acts"),
        Operation("session.keys", SendKeys, "admin", "acts"),
        Operation("session.resize", Resize, "admin", "acts"),
        Operation("message.get", MessageRef, "read", "looks"),
        Operation("message.list", ListMessages, "read", "looks"),
        Operation("message.send", SendMessage, "chat", "sends"),
        Operation("message.cancel", MessageRef, "chat", "acts"),
        Operation("message.update", UpdateMessage, "chat", "acts"),
        Operation("message.move", MoveMessage, "chat", "acts"),
        Operation("history", HistoryRequest, "read", "looks"),
        Operation("export", ExportRequest, "read", "looks"),
        Operation("search", SearchRequest, "read", "looks"),
        Operation("usage", UsageRequest, "read", "looks"),
        Operation("conversations.list", ListConversations, "admin", "looks"),
        Operation("conversation.history", ConversationHistory, "admin", "looks"),
        Operation("rule.list", Nothing, "read", "looks"),
        Operation("rule.add", AddRule, "admin", "acts"),
        Operation("rule.remove", RuleRef, "admin", "acts"),
        Operation("recipient.list", Nothing, "read", "looks"),
        Operation("recipient.add", AddRecipient, "read", "acts"),
        Operation("recipient.update", UpdateRecipient, "chat", "acts"),
        Operation("recipient.remove", RecipientRef, "chat", "acts"),
        Operation("recipient.test", RecipientRef, "chat", "acts"),
        Operation("recipient.presence", SetPresence, "read", "looks"),
        Operation("notification.key", Nothing, "read", "looks"),
        Operation("notification.log", ListNotices, "read", "looks"),
        Operation("notification.receipt", NoticeReceipt, "read", "looks"),
        Operation("notification.link", UseLink, "answer", "acts"),
    )
}
"""Everything that can be asked for, each said once: who may (`needed` adds what the arguments ask for beside), and what it
leaves behind. The supervisor's table, the audit, the grants of bus keys and the scopes of the HTTP calls come from it or are
tested against it."""


def members() -> dict[str, list[str]]:
    """The arguments of each operation by their names on the wire; `?` is behind those that may be left out."""
    return {
        name: [
            f"{known.encode_name}{'' if known.required else '?'}"
            for known in msgspec.structs.fields(operation.arguments)
        ]
        for name, operation in OPERATIONS.items()
    }


def with_effect(*effects: Effect) -> frozenset[str]:
    """The names of the operations that leave this behind."""
    return frozenset(name for name, operation in OPERATIONS.items() if operation.effect in effects)


def needed(op: str, args: Mapping[str, Any]) -> Scope:
    """The scope that this operation takes with these arguments (camelCase); `admin` for one that is not known."""
    known = OPERATIONS.get(op)
    scope: Scope = (known.scope if known is not None else None) or "admin"
    changing = op == "session.update"
    if not changing and args.get("permissionMode") == PLAN:
        args = {name: given for name, given in args.items() if name != "permissionMode"}
    if op == "recipient.add" and args.get("kind", "webpush") not in THEMSELVES:
        return "admin"
    if powerful(args, changing=changing) or (op == "session.recording" and args.get("start") is not None):
        return "admin"
    return "answer" if args.get("trust") and not allows(scope, "answer") else scope


SENDS = with_effect("sends")
"""What gives Claude words of a client: recorded when it is accepted, since only then its session is known."""

OPENS = with_effect("opens")
"""What makes a session: recorded when there is one, under its id."""
