"""Whose request a dialog on the screen is, told by the words of both, and which requests it shows to have been decided."""

from __future__ import annotations

import re

from supervisor.claude.screen import Menu
from supervisor.waiting.waiting import Permission

_WORDED = 60
"""How much of a long command is looked for in a dialog, which may show only its beginning."""

UNDECIDED_SECONDS = 3.0
"""A dialog that is on the screen so long after a person's key was not decided by it: it has moved the pointer, say."""


def shown_request(menu: Menu, pending: list[Permission]) -> Permission | None:
    """The request whose dialog this is, told by the words of both; None when it is nobody's, or cannot be told."""
    if menu.subject == "peer":
        return None  # its body is a stranger's, and may have the words of a request
    fits = [(_fit(menu, known), known) for known in pending]
    best = max((fit for fit, _ in fits), default=0)
    alike = [known for fit, known in fits if fit == best]
    if best == 0:
        return None
    if len(alike) == 1 or any(known.input != alike[0].input for known in alike):
        return alike[0] if len(alike) == 1 else None
    there = next((known for known in alike if known.shown_as is not None), None)
    if there is None or menu.counter is None or not overtaken(there, menu, keyed_at=0.0):
        return there or alike[0]
    return next(known for known in alike if known is not there)


def take_screen(
    shown: Permission, menu: Menu, pending: list[Permission], keyed_at: float, now: float
) -> list[Permission]:
    """A request's dialog is on the screen: those of the others that were decided at the terminal, by what was there before."""
    decided = [known for known in pending if known is not shown and overtaken(known, menu, keyed_at)]
    for known in pending:
        known.behind = known.behind or (known is not shown and known.shown_as is not None)
    if shown.shown_as is None or shown.behind or now - keyed_at > UNDECIDED_SECONDS:
        shown.shown_at, shown.behind = now, False
    shown.menu_seen, shown.shown_as = True, menu.counter or (0, 0)
    return decided


def overtaken(permission: Permission, menu: Menu, keyed_at: float) -> bool:
    """Whether a request whose dialog was on the screen has been decided, now that another one's is. 2.1.330 puts those that
    come late in front and counts what was decided ("2 of 3"); 2.1.197 shows one behind the other. 2.1.281 puts them in front and
    does not count: what a person's key (`keyed_at`: the last) has decided is the one that was on the screen when it came, unless
    it stayed there, and none that was put behind before."""
    if permission.shown_as is None:
        return False
    if menu.counter is None:
        return not permission.behind and keyed_at > permission.shown_at
    return menu.counter[0] > max(1, permission.shown_as[0])


def _fit(menu: Menu, permission: Permission) -> int:
    """How surely a dialog is a request's; 0 when it is not."""
    rows = [_flat(row) for row in menu.text.split("\n")]
    text, fit = "".join(rows), 0
    if permission.kind == "plan":
        return 1000 if menu.subject == "plan" else 0
    for name, value in _telling(permission):
        flat = _flat(value)
        if not flat:
            continue
        if flat in rows or f"{name}:{flat}" in rows or _runs(rows, flat):
            fit = max(fit, 1000 + len(flat))
        elif name != "command" and re.search(rf"(?<![^\s\"'(:]){re.escape(value)}(?![^\s\"'),?:;])", menu.text):
            fit = max(fit, len(flat))
        elif len(flat) > _WORDED and flat[:_WORDED] in text:
            fit = max(fit, _WORDED)
        elif name.endswith("path") and _flat(value.rsplit("/", 1)[-1]) in text:
            fit = max(fit, len(_flat(value.rsplit("/", 1)[-1])))
    named = permission.agent is not None and f"from the {permission.agent} agent" in menu.text
    return fit + 10_000 if fit and named else fit


def _telling(permission: Permission) -> list[tuple[str, str]]:
    questions = permission.input.get("questions")
    if isinstance(questions, list):
        return [("question", str(q.get("question", ""))) for q in questions if isinstance(q, dict)]
    return [
        (name, value) for name, value in permission.input.items() if isinstance(value, str) and name != "description"
    ]


def _flat(text: str) -> str:
    return "".join(text.split())


def _runs(rows: list[str], flat: str) -> bool:
    """Whether some rows in a row are exactly this text: it was wrapped."""
    for first, row in enumerate(rows):
        said = row
        for other in rows[first + 1 :]:
            if not said or not flat.startswith(said):
                break
            said += other
            if said == flat:
                return True
    return False
