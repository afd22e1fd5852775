"""What is asked of the supervisor itself, answered in memory: health, settings, events, rules, whom it notifies.

A part of the supervisor's double. What must not regress: the journal is read by its numbers, and what is no longer kept is told.
"""

from __future__ import annotations

from typing import Any

import msgspec

from shared.bus import service_requests
from shared.bus.messages import Event
from shared.errors import InvalidRequest, NotFound
from tests.session_double import SessionOperations, now

NODE = {"id": "c0ffee0123456789", "name": "double"}


class ServiceOperations(SessionOperations):
    """Operations on no session."""

    def __init__(self) -> None:
        super().__init__()
        self.recipients: dict[str, dict[str, Any]] = {}
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

    def publish(self, kind: str, session: str | None = None, **data: Any) -> Event:
        """Write one event into the journal."""
        event = Event(v=1, epoch=self.epoch, seq=len(self.journal) + 1, at=now(), kind=kind, session=session, data=data)
        self.journal.append(event)
        return event

    def op_events_since(self, args: service_requests.EventsSince) -> Any:
        kept = [e for e in self.journal if e.seq > args.seq and e.seq >= self.oldest]
        kept = [e for e in kept if args.session_id in (None, e.session)]
        kept = [e for e in kept if args.kinds is None or e.kind in args.kinds]
        return {"epoch": self.epoch, "head": len(self.journal), "oldest": self.oldest, "events": kept[: args.limit],
                "gap": args.seq + 1 < self.oldest}  # fmt: skip

    def op_events_page(self, args: service_requests.EventsPage) -> Any:
        return {"events": self.journal[-args.limit :][::-1], "next": None, "epoch": self.epoch}

    def op_samples(self, args: service_requests.SamplesRequest) -> Any:
        return {"span": args.span, "total": [], "sessions": {}}

    def op_folders_list(self, args: service_requests.ListFolders) -> Any:
        return {"path": args.path, "parent": None, "folders": [], "roots": []}

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
