"""Which appearance of which dialog is on the screen: what names a dialog, so that an answer reaches the one that was asked.

Two dialogs that look alike are two, and so is one that is asked again: each appearance has a number of its own, and the
status file's word about when Claude began to wait tells two apart that were drawn one right behind the other (measured:
it changes with every dialog). One that changes while it is up (a form, a list, a pointer) stays the same. What must not
regress: what decides something for Claude is the same only while its words are, wherever its pointer stands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from supervisor.claude import screen
from supervisor.claude.screen import Menu, Sight

if TYPE_CHECKING:
    from supervisor.session.session import Session
    from supervisor.session.waiting import Permission

APPEARANCES, LOOK = "appearances", "asked_look"
"""In a session's options: how many dialogs it has shown, and what the one that is up looks like: identity, and since when
Claude waits. The next supervisor recognises it by that."""

_WORDED = 60
"""How much of a long command is looked for in a dialog, which may show only its beginning."""


@dataclass(frozen=True)
class Appearance:
    """One dialog that is on the screen. `stamp` is since when Claude says that it waits; `own` when the CLI offers it by
    itself, and no turn waits for it."""

    id: str
    sight: Sight
    stamp: int | None = None
    own: bool = False
    size: tuple[int, int] | None = None

    def goes_on(self, sight: Sight, stamp: int | None, size: tuple[int, int] | None = None) -> bool:
        """Whether what the screen shows now is still this one."""
        if self.stamp is not None and stamp is not None and self.stamp != stamp:
            return False
        return screen.goes_on(self.sight, sight, self.own, resized=size != self.size)


def stamp_of(session: Session) -> int | None:
    """Since when Claude says that it waits; None when it does not say that it does."""
    status = session.status
    return (status.updated_at or None) if status is not None and status.status == "waiting" else None


def appearance(session: Session, sight: Sight, size: tuple[int, int] | None) -> Appearance:
    """The appearance that the screen shows, which may be the one that was there at the last look, before a restart too."""
    known, record, stamp = session.shown, session.record, stamp_of(session)
    if known is not None and known.goes_on(sight, stamp, size):
        return replace(known, sight=sight, stamp=known.stamp or stamp, size=size)
    own = _is_own(session, sight)
    look = record.options.get(LOOK)
    if (
        known is None
        and (record.asked or "").startswith("d_")
        and isinstance(look, list)
        and look[:1] == [sight.identity]
    ):
        there = stamp is None or look[1] is None or stamp == look[1]
        if there and record.asked is not None and record.asked.split(".")[1:2] == [str(record.generation)]:
            return Appearance(record.asked, sight, stamp, own, size)
    number = int(record.options.get(APPEARANCES, 0)) + 1
    record.options = {**record.options, APPEARANCES: number}
    return Appearance(f"{sight.identity}.{record.generation}.{number}", sight, stamp, own, size)


def is_over(session: Session) -> None:
    """The dialog on the screen was answered here: if it is there once more, it is asked again."""
    session.shown = None
    session.record.options = {name: value for name, value in session.record.options.items() if name != LOOK}


def _is_own(session: Session, sight: Sight) -> bool:
    """Whether the CLI shows it by itself, as /config does, and nothing that Claude does depends on it."""
    status, subject = session.status, sight.menu.subject if sight.menu is not None else "dialog"
    if subject not in ("dialog", "setup") or session.record.turn_prompt is not None:
        return False
    return status is None or status.waiting_for in (None, "dialog open")


# -- whose request a dialog is ---------------------------------------------------------------------------------------------


def shown_request(menu: Menu, pending: list[Permission]) -> Permission | None:
    """The request whose dialog this is, told by the words of both; None when it is nobody's, or cannot be told."""
    fits = [(_fit(menu, known), known) for known in pending]
    best = max((fit for fit, _ in fits), default=0)
    alike = [known for fit, known in fits if fit == best]
    if best == 0:
        return None
    if len(alike) == 1 or any(known.input != alike[0].input for known in alike):
        return alike[0] if len(alike) == 1 else None
    there = next((known for known in alike if known.shown_as is not None), None)
    if there is None or menu.counter is None or not overtaken(there, menu):
        return there or alike[0]
    return next(known for known in alike if known is not there)


def overtaken(permission: Permission, menu: Menu) -> bool:
    """Whether a request whose dialog was on the screen has been decided, now that another one's is. 2.1.330 puts those that
    come late in front and counts what was decided ("2 of 3"); 2.1.197 shows one behind the other."""
    if permission.shown_as is None:
        return False
    return menu.counter is None or menu.counter[0] > max(1, permission.shown_as[0])


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
