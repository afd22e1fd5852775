"""Answering what a session waits for: through the waiting hook, or by moving the pointer of a menu on its screen.

A menu is never typed into blindly: the pointer is moved one row at a time and seen to have moved, Enter is pressed only
while the same menu is on the screen with the pointer on the choice, and the answer counts when the menu is gone. (Arrow
and Enter in one write confirm the choice that the pointer has just left: seen on 2.1.197.) One answer at a time; the first
wins, and whoever comes second is told so. A person at the terminal is one of them: their keys wait while an answer is
given, and an answer that comes right behind a key waits to see whether that was one.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

from shared.bus import session_events
from shared.bus.messages import Waiting
from shared.bus.session_requests import Answer
from shared.errors import Conflict, Forbidden, InvalidRequest, Unavailable
from shared.plain_text import one_line
from supervisor.claude.screen import Menu, ScreenReading
from supervisor.delivery import question_answer
from supervisor.delivery.decision import decision_of, named, names_of
from supervisor.delivery.late_answer import too_late
from supervisor.session.session import Session
from supervisor.state.states import State
from supervisor.store.store import now_ms
from supervisor.turn.truncation import excerpt
from supervisor.waiting.appearances import Appearance, stamp_of
from supervisor.waiting.backoff import is_hold, lift
from supervisor.waiting.permission_rules import decide
from supervisor.waiting.waiting import Permission

UP, DOWN, ENTER, ESCAPE = b"\x1b[A", b"\x1b[B", b"\r", b"\x1b"
MOVE_SECONDS = 1.0
DIALOG_SECONDS = 0.25
GONE_SECONDS = 8.0
GUARDED_SECONDS = 1.1
"""How long a dialog may refuse what is not Esc from when it is drawn, and anew from each key that comes too soon: nothing shows
that one was refused (2.1.330 and 2.1.332: 150 ms for what Claude asks and for trust, up to 1 s for what comes up by itself)."""

BRIEFLY_GUARDED = ("trust", "permission", "plan")
KEYED_SECONDS = 0.5
"""How long after a person's key it is not yet known whether that was an answer (a redraw takes tens of milliseconds)."""

UNSHOWN_SECONDS = 3.0
"""The same while nothing at all was drawn behind the key: the machine is busy."""

SEEN_SECONDS = 5.0
"""How long a supervisor that has just come back, or has lost sight of a session for a moment, may take to see what it asks."""

MAX_TEXT = 4000
TYPED_KINDS = ("login", "setup", "dialog")


async def answer(session: Session, request: Answer, actor: str = "local") -> dict[str, Any]:
    """Answer the session's present question, and record who did and what that has changed. Raise Conflict when it was answered
    already or another one is up, Forbidden when a rule refuses what is to run instead."""
    await session.changed.wait_for(lambda: not _unseen(session), SEEN_SECONDS)
    async with session.answering:
        waiting = _wanted(session, request.waiting_id)
        permission = next((known for known in session.permissions.pending if known.id == waiting.id), None)
        session.begin_answer(waiting.id)
        try:
            if permission is None:
                given = await _answer_dialog(session, waiting, request)
            else:
                decided = await _answer_request(session, permission, waiting, request)
                given = decided or await _answer_handed(session, permission, request)
        except BaseException:
            session.answer_failed(waiting.id)
            raise
        session.store.append(session_events.Answered(id=waiting.id, for_=waiting.kind, by=actor, **given), session.id)
        await session.changed.wait_for(lambda: not _waits(session, waiting.id), GONE_SECONDS)
        return {"id": waiting.id, **given}


def _wanted(session: Session, waiting_id: str | None) -> Waiting:
    """What is to be answered: what waits first, or what is named of all that waits. Raise Conflict when it is not asked."""
    if session.state is State.WAITING and session.waiting is not None:
        for waiting in (session.waiting, *session.beside):
            if waiting_id in (None, waiting.id):
                return waiting
    raise too_late(session, waiting_id)


def _waits(session: Session, waiting_id: str) -> bool:
    return any(waiting is not None and waiting.id == waiting_id for waiting in (session.waiting, *session.beside))


def _unseen(session: Session) -> bool:
    """Whether it asked something when it was last seen, and nobody has looked since."""
    lost = session.state is State.UNKNOWN and session.record.asked is not None
    return session.waiting is None and (session.state is State.WAITING or lost)


# -- requests of Claude's, answered through their hook -------------------------------------------------------------------


async def _answer_request(
    session: Session, permission: Permission, waiting: Waiting, request: Answer
) -> dict[str, Any] | None:
    """None when its hook was let go before it had the answer: somebody came to the terminal, and is shown its dialog."""
    if permission.handed:
        return None
    decision = decision_of(permission, waiting, request)
    _ask_the_rules(session, permission, decision)

    def gone() -> bool:
        over = permission not in session.permissions.pending or permission.decided_at is not None
        return over or (permission.menu_seen and session.screen_reading().kind in ("prompt", "draft"))

    def drawn() -> bool:
        return gone() or session.terminal is None or session.terminal.drawn_at > session.keyed_at

    async with session.typing:
        await session.changed.wait_for(gone, session.keyed_at + KEYED_SECONDS - time.monotonic())
        left = session.keyed_at + UNSHOWN_SECONDS - time.monotonic()
        if not drawn() and await session.changed.wait_for(drawn, left):
            await session.changed.wait_for(gone, KEYED_SECONDS)
        if gone() or not await permission.decide(decision):
            if permission.handed and permission in session.permissions.pending:
                return None
            if permission.decided_at is None:
                session.permissions.drop(permission)
            raise too_late(session, waiting.id)
        permission.decided_at = time.monotonic()
        # The hook has the answer, Claude not yet: a key that comes now would be first.
        shown = _words(session)
        await session.changed.wait_for(lambda: shown is None or _words(session) != shown, KEYED_SECONDS)
    return _told(permission, decision)


def _ask_the_rules(session: Session, permission: Permission, decision: dict[str, Any]) -> None:
    """What an answer puts in the place of what was asked is as much the owner's to refuse. Raise Forbidden."""
    changed = decision.get("updatedInput", permission.input)
    if permission.kind in ("question", "elicitation") or changed == permission.input:
        return
    rule = decide(session.services.config().permissions.rules, replace(permission, input=changed))
    if rule is not None and rule.answer == "deny":
        raise Forbidden(
            f"A rule refuses what `updatedInput` asks for: {rule.message or f'{rule.tool}, {rule.pattern}'}. Answer otherwise.",
            code="denied_by_rule",
            data={"rule": {"tool": rule.tool, "pattern": rule.pattern}},
        )


def _told(permission: Permission, decision: dict[str, Any]) -> dict[str, Any]:
    """The answer for the record: what really runs, where that is not what was asked, and which rules Claude has from now on."""
    told: dict[str, Any] = {"decision": decision["behavior"]}
    if "updatedPermissions" in decision:
        told |= {"decision": "always", "changed": decision["updatedPermissions"]}
    if permission.kind != "question" and decision.get("updatedInput", permission.input) != permission.input:
        told["input"] = decision["updatedInput"]
    return excerpt(told)


async def _answer_handed(session: Session, permission: Permission, request: Answer) -> dict[str, Any]:
    """Answer a request whose hook was let go, in its dialog."""
    if permission.server is not None:
        raise Conflict("The form is shown at the terminal: it is answered there.", code="not_writer")
    _refuse_input(request)

    def there() -> bool:
        shown = permission.shown_as is not None and session.shown is not None
        return shown or permission not in session.permissions.pending

    await session.changed.wait_for(there, SEEN_SECONDS)
    if permission not in session.permissions.pending:
        raise too_late(session, permission.id)
    up = session.shown
    choices = up.screen_reading.menu.choices if up is not None and up.screen_reading.menu is not None else []
    if up is None or permission.shown_as is None or not choices:
        raise Unavailable("Claude has not shown its dialog yet. Ask again in a moment.", code="not_shown_yet")
    question_answer.refuse_both(request, refusal=False)
    first, last = choices[0], choices[-1]
    name = named(choices, request.choice, {"allow": first.id, "yes": first.id, "deny": last.id, "no": last.id})
    await _choose(session, up, name)
    session.permissions.drop(permission)
    return {"choice": name, "label": next(choice.label for choice in choices if choice.id == name)}


def _words(session: Session) -> tuple[str, str] | None:
    menu = session.screen_reading().menu
    return (menu.digest, menu.text) if menu is not None else None


# -- dialogs, answered on the screen -------------------------------------------------------------------------------------


async def _answer_dialog(session: Session, waiting: Waiting, request: Answer) -> dict[str, Any]:
    _refuse_input(request)
    up = session.shown
    question_answer.refuse_both(request, refusal=False)
    if request.choice is None and request.text and _takes_text(waiting):
        text = _plain(request.text)
        await _out_of_guard(waiting)
        if up is None or up.id != waiting.id:
            raise too_late(session, waiting.id)
        await _type(session, up, text)
        session.observer.dialog_over()
        return {"decision": "text"}
    name = named(waiting.choices, request.text if request.choice is None else request.choice)
    label = next(choice.label for choice in waiting.choices if choice.id == name)
    if name == "retry":
        await _retry(session, waiting)
        return {"choice": name}
    if up is None or up.id != waiting.id:
        raise too_late(session, waiting.id)
    if name != "escape":
        await _out_of_guard(waiting)
    if name in ("enter", "escape"):
        await _dismiss(session, up, ENTER if name == "enter" else ESCAPE)
    else:
        await _choose(session, up, name)
    session.observer.dialog_over()
    return {"choice": name, "label": label}


async def leave(session: Session, waiting: Waiting, actor: str) -> None:
    """Leave a dialog of the CLI's own by Esc, if it is still there."""
    async with session.answering:
        up = session.shown
        if session.waiting is None or session.waiting.id != waiting.id or up is None or up.id != waiting.id:
            return
        session.begin_answer(waiting.id)
        try:
            await _dismiss(session, up, ESCAPE)
        except BaseException:
            session.answer_failed(waiting.id)
            raise
        session.observer.dialog_over()
        session.store.append(
            session_events.Answered(id=waiting.id, for_=waiting.kind, by=actor, choice="escape"), session.id
        )


def _refuse_input(request: Answer) -> None:
    if request.updated_input is not None:
        raise InvalidRequest(
            "What is answered in its dialog runs as it was asked: leave `updatedInput` out.",
            code="input_not_changeable",
        )


async def _retry(session: Session, waiting: Waiting) -> None:
    if is_hold(waiting.id):
        with session.change():
            lift(session.record)
            session.store.save_session(session.record)
    if waiting.kind == "login" and session.restart is not None:
        await session.restart("retry")


async def choose(session: Session, screen_reading: ScreenReading, choice: str) -> None:
    """Move the pointer of this menu on the screen to a choice and press Enter; see each step happen."""
    async with session.answering:
        await _choose(session, Appearance("", screen_reading), choice)


async def _steady(session: Session) -> None:
    """Wait until the dialog has stood still: a fresh trust dialog of 2.1.330 puts its pointer back within 150 ms, so that an
    Enter right behind the move would confirm the first row ("No, exit"). A person's key may still be about to move it."""
    end = time.monotonic() + MOVE_SECONDS
    while time.monotonic() < end and session.terminal is not None:
        left = DIALOG_SECONDS - (time.monotonic() - max(session.terminal.output_at, session.keyed_at))
        if left <= 0:
            break
        await asyncio.sleep(left)


async def _out_of_guard(waiting: Waiting) -> None:
    """Wait until the dialog takes answers. Whether it is still there is seen afterwards."""
    age = max(0.0, (now_ms() - waiting.since) / 1000)
    if waiting.kind not in BRIEFLY_GUARDED and age < GUARDED_SECONDS:
        await asyncio.sleep(GUARDED_SECONDS - age)


async def _choose(session: Session, up: Appearance, choice: str) -> None:
    await _steady(session)
    menu = _present(session, up)
    wanted = next((i for i, c in enumerate(menu.choices) if choice == c.id), None)
    if wanted is None:
        raise InvalidRequest(f"`choice` must be one of: {names_of(menu.choices)}.", code="invalid_choice")
    for _ in range(3 * len(menu.choices) + 1):
        async with session.typing:
            await _steady(session)
            menu = _present(session, up)
            before = menu.pointer
            if before == wanted:
                session.last_answer = (session.record.generation, menu.title, menu.choices[wanted].label)
                answered = menu.digest
                await press(session, ENTER)
                break
            await press(session, DOWN if before < wanted else UP)

        def moved(before: int = before) -> bool:
            now = session.screen_reading().menu
            return now is None or now.pointer != before

        await session.changed.wait_for(moved, MOVE_SECONDS)
    else:
        raise Unavailable("The dialog's pointer does not move. Answer at the terminal.", code="dialog_stuck")
    if not await session.changed.wait_for(lambda: _has_changed(session, up, answered), GONE_SECONDS):
        raise Unavailable("The dialog is still there. Answer at the terminal.", code="dialog_stuck")


async def _dismiss(session: Session, up: Appearance, key: bytes) -> None:
    async with session.typing:
        await _steady(session)
        session.observer.look_at_status()
        if not _shows(session, up):
            raise too_late(session, up.id)
        answered = session.screen_reading().digest
        await press(session, key)
    if not await session.changed.wait_for(lambda: _has_changed(session, up, answered), GONE_SECONDS):
        raise Unavailable("The dialog is still there. Answer at the terminal.", code="dialog_stuck")


def _takes_text(waiting: Waiting) -> bool:
    """Whether it may have an input line. In a list, characters are keys that choose: there a text is the name of a choice."""
    return waiting.kind in TYPED_KINDS and all(choice.id in ("enter", "escape") for choice in waiting.choices)


def _plain(text: str) -> str:
    if len(text) > MAX_TEXT or one_line(text) != text:
        raise InvalidRequest(
            f"A dialog takes one line of at most {MAX_TEXT} characters, without control characters.",
            code="invalid_text",
        )
    return text


async def _type(session: Session, up: Appearance, text: str) -> None:
    """Type into the input line of a dialog, see that it is shown, and press Enter."""
    session.filled = session.waiting
    try:
        async with session.typing:
            await _steady(session)
            before = session.screen_reading()
            session.observer.look_at_status()
            if before.kind not in ("notice", "other") or not _shows(session, up):
                raise too_late(session, up.id)
            await press(session, text.encode())
            if not await session.changed.wait_for(lambda: session.screen_reading().text != before.text, MOVE_SECONDS):
                raise Unavailable(
                    "The dialog shows nothing of what is typed. Answer at the terminal.", code="dialog_stuck"
                )
            await _steady(session)
            typed = session.screen_reading()
            if (typed.kind, typed.title) != (before.kind, before.title):
                return  # it took the first key for an answer
            await press(session, ENTER)
        if not await session.changed.wait_for(lambda: session.screen_reading().text != typed.text, GONE_SECONDS):
            raise Unavailable("The dialog is still there. Answer at the terminal.", code="dialog_stuck")
        await session.changed.wait_for(lambda: session.screen_reading().kind != typed.kind, DIALOG_SECONDS)
    finally:
        session.filled = None


def _shows(session: Session, up: Appearance) -> bool:
    return up.is_up(session.screen_reading(), stamp_of(session.status), up.size)


def _has_changed(session: Session, up: Appearance, answered: str) -> bool:
    """Whether an answer has done something: the dialog is gone, or shows it (a setting that was toggled)."""
    return session.screen_reading().digest != answered or not _shows(session, up)


def _present(session: Session, up: Appearance) -> Menu:
    session.observer.look_at_status()  # of two dialogs that look alike it says that there are two
    menu = session.screen_reading().menu
    if menu is None or not _shows(session, up):
        raise too_late(session, up.id)
    return menu


async def press(session: Session, data: bytes) -> None:
    """Press a key once. Raise Conflict without a process."""
    if session.terminal is None:
        raise Conflict("The session has no process.", code="no_process")
    await session.terminal.press(f"a:{time.monotonic_ns()}", data)
