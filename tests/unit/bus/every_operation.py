"""The whole table of operations, over nothing: what there is to ask, and with what."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from supervisor.bus.audit import Audit
from supervisor.bus.operations.desk import DeskOps
from supervisor.bus.operations.history import HistoryOps
from supervisor.bus.operations.messages import MessageOps
from supervisor.bus.operations.moves import MoveOps
from supervisor.bus.operations.notifications import NotificationOps
from supervisor.bus.operations.sessions import SessionOps
from supervisor.bus.operations.system import SystemOps
from supervisor.bus.operations.table import Ops
from supervisor.bus.operations.terminal import TerminalOps


def table(folder: Path) -> dict[str, type[Any]]:
    """Each operation and its arguments."""
    services = SimpleNamespace(paths=SimpleNamespace(home=folder), claude_home=folder)
    pool: Any = SimpleNamespace(store=None, services=services, log=None)
    anything: Any = None
    sessions, history = SessionOps(pool, anything, int), HistoryOps(pool, anything)
    history.upkeep.index.close()
    subjects = (
        SystemOps(pool, dict, anything, anything, anything, anything),
        sessions,
        MessageOps(pool, anything),
        history,
        TerminalOps(pool, anything),
        NotificationOps(anything, anything, anything),
        DeskOps(pool, anything, anything, anything),
        MoveOps(pool, str),
    )
    ops = Ops(Audit(anything), [row for subject in subjects for row in subject.rows()])
    return {name: arguments for name, (arguments, _) in ops._table.items()}
