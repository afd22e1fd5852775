"""Answers that the configuration gives in advance (`permissions.rules`): by tool and pattern, each one recorded.

Nothing is answered unless a rule says so; a rule that refuses wins over one that allows, wherever it stands. What must
not regress: a rule that allows never stretches over what its author did not mean. The wildcards of one that allows a
command stand for no shell operator (`git status*` is not `git status; rm -rf ~`), paths are compared without their `..`,
and a question is always a person's to answer.
"""

from __future__ import annotations

import asyncio
from typing import Any

from shared.bus import session_events
from shared.config import PermissionRule
from shared.errors import PilotlightError
from supervisor.delivery.per_message import NOBODY_TO_ASK
from supervisor.session.session import Session
from supervisor.waiting.permission_rules import consider
from supervisor.waiting.waiting import Permission


class AutoAnswer:
    """Gives one session the answers that rules have for it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def tend(self) -> None:
        """Answer what a rule answers, soon; a request that was there before our restart is considered again."""
        rules = self._session.services.config().permissions.rules
        for permission in self._session.permissions.pending:
            consider(rules, permission)
            if self._session.printing and permission.rule is None and permission.given is None:
                permission.rule = NOBODY_TO_ASK
            if permission.rule is not None and permission.id not in self._tasks:
                self._tasks[permission.id] = asyncio.create_task(
                    self._answer(permission, permission.rule), name="policy"
                )

    async def _answer(self, permission: Permission, rule: PermissionRule) -> None:
        session = self._session
        given = False
        if session.record.asked == permission.id:  # of a person, before a restart
            session.begin_answer(permission.id)
        try:
            given = await permission.decide(_decision(permission, rule))
            fields = {"session": session.id, "tool": permission.tool, "decision": rule.answer, "given": given}
            session.services.log.info("policy", extra={"fields": fields})
            if given:
                session.store.append(_told(permission, rule), session.id)
        except PilotlightError as error:  # the answer is given, and what the database refuses stands in the log
            session.services.log.error(
                "policy_not_recorded", extra={"fields": {"session": session.id, "why": str(error)}}
            )
        finally:
            # A hook that takes no answer has gone, or was answered at the terminal: what is on the screen then is a person's.
            permission.rule = None
            if permission in session.permissions.pending and given:
                session.permissions.drop(permission)
            self._tasks.pop(permission.id, None)
            session.changed.notify()


def _decision(permission: Permission, rule: PermissionRule) -> dict[str, Any]:
    if rule.answer == "deny":
        return {"behavior": "deny", "message": rule.message or "A rule of this machine refuses it."}
    if permission.kind == "plan":
        return {"behavior": "allow", "updatedInput": permission.input}  # 2.1.330 ignores a plain `allow`
    return {"behavior": "allow"}


def _told(permission: Permission, rule: PermissionRule) -> session_events.Answered:
    return session_events.Answered(
        id=permission.id,
        for_=permission.kind,
        tool=permission.tool,
        decision=rule.answer,
        by="policy",
        rule={"tool": rule.tool, "pattern": rule.pattern},
    )
