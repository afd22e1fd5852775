"""Proposing a plan takes several tool calls: enter plan mode, write the plan file, leave.

Measured on 2.1.197 and 2.1.330: ExitPlanMode outside plan mode is an error, and without the plan file that the
CLI names in a system message its dialog shows no plan. EnterPlanMode and writing that file need no permission, so
the one dialog is the one that approves the plan, in every permission mode.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from demo.plan import ToolUse

_ON = re.compile(r"\bplan mode (?:is|still) (?:on|active)\b|\bentered plan mode\b", re.IGNORECASE)
_OFF = re.compile(r"\bexited plan mode\b", re.IGNORECASE)
_FILE = re.compile(r"(/[^\s\"'`]+/plans/[^\s\"'`]+\.md)\b")


@dataclass(frozen=True, slots=True)
class PlanMode:
    """What the CLI last said about plan mode."""

    active: bool = False
    file: str | None = None


def observe(notes: Iterable[str]) -> PlanMode:
    """Read the CLI's own notes (system messages, reminders, tool results), oldest first."""
    active, file = False, None
    for note in notes:
        if _OFF.search(note):
            active = False
        elif _ON.search(note):
            active = True
        if paths := _FILE.findall(note):
            file = paths[-1]
    return PlanMode(active, file)


def plan_calls(plan: str, called: Sequence[str], mode: PlanMode) -> list[ToolUse]:
    """The calls that propose `plan`, as far as known: those made already (`called`, by name) and the next one."""
    leave = ToolUse("ExitPlanMode", {"plan": plan})
    if "ExitPlanMode" in called:
        return [leave] * (called.index("ExitPlanMode") + 1)
    if not mode.active and "EnterPlanMode" not in called:
        following = ToolUse("EnterPlanMode", {})
    elif mode.file and "Write" not in called:
        following = ToolUse("Write", {"file_path": mode.file, "content": plan + "\n"})
    else:
        following = leave
    return [following] * (len(called) + 1)
