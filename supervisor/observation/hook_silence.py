"""A session whose hooks are off: it says so once, and Claude is given the owner's rules that refuse, since no hook asks them.

What must not regress: where it can be known before, the first process has the rules; where it is only seen (Claude is ready and
no hook was heard), the process is replaced between two turns by one that has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shared.bus import trouble_events
from supervisor.claude.settings import deny_rules, hooks_off

if TYPE_CHECKING:
    from supervisor.session.session import Session

NO_HOOKS = "no_hooks"
STALE = "hooks_off"


def refusals(session: Session) -> list[str]:
    """Claude's own rules for the next process; none where hooks are heard and `permissions.rules` is asked."""
    config = session.services.config()
    if not session.record.remembered.hooks_off and not hooks_off.expected(config.claude.args):
        return []
    return deny_rules.translated(config.permissions.rules).rules


def begin(session: Session) -> None:
    """It is ready, and no hook was heard."""
    record, config = session.record, session.services.config()
    if record.remembered.hooks_off:
        session.health.begin(NO_HOOKS)
        return
    found = deny_rules.translated(config.permissions.rules)
    with session.change():
        session.health.begin(NO_HOOKS)
        record.remembered = msgspec.structs.replace(record.remembered, hooks_off=True)
        if found.rules and not hooks_off.expected(config.claude.args) and record.process.stale is None:
            record.process = msgspec.structs.replace(record.process, stale=STALE)
        left = [f"{rule.tool}({rule.pattern})" for rule in found.left]
        session.store.append(trouble_events.HooksOff(refused=found.rules, left=left), session.id)
        session.store.save_session(record)


def end(session: Session) -> None:
    """A hook was heard."""
    session.health.end(NO_HOOKS)
    record = session.record
    if record.remembered.hooks_off:
        with session.change():
            record.remembered = msgspec.structs.replace(record.remembered, hooks_off=False)
            session.store.save_session(record)
