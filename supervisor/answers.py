"""Answering what a session waits for: through the waiting hook, or by moving the pointer of a menu on its screen.

A menu is never typed into blindly: the pointer is moved one row at a time and seen to have moved, Enter is pressed only
while the same menu is on the screen with the pointer on the choice, and the answer counts when the menu is gone.
"""

from __future__ import annotations

import time
from typing import Any

from shared.errors import Conflict, InvalidRequest, Unavailable
from shared.messages import Answer
from supervisor.claude.dialogs import Menu
from supervisor.session import Session

UP, DOWN, ENTER = b"\x1b[A", b"\x1b[B", b"\r"
MOVE_SECONDS = 1.0
GONE_SECONDS = 3.0


async def answer(session: Session, request: Answer) -> dict[str, Any]:
    """Answer the session's present question. Raise Conflict when it was answered already or another one is up."""
    waiting = session.waiting
    if waiting is None or (request.waiting_id and request.waiting_id != waiting.id):
        raise Conflict(
            "Nothing waits for this answer: it was given already, here or at the terminal.", code="already_answered"
        )
    if session.permission is not None:
        decision = _decision(session, request)
        permission = session.permission
        if not permission.decide(decision):
            session.drop_permission()
            raise Conflict("It was answered at the terminal first.", code="already_answered")
        session.permission = None
        if permission.answer is not None:
            permission.answer.unlink(missing_ok=True)
        session.store.append(
            "answered", session.id, {"id": waiting.id, "for": waiting.kind, "decision": decision["behavior"]}
        )
        await session.pulse.until(lambda: session.sight().kind != "menu", GONE_SECONDS)
        return {"id": waiting.id, "decision": decision["behavior"]}
    if request.choice is None:
        raise InvalidRequest("Name one of the choices in `choice`.", code="choice_required")
    if waiting.id == "notice":
        await _acknowledge(session)
    else:
        await choose(session, waiting.id, request.choice)
    session.store.append("answered", session.id, {"id": waiting.id, "for": waiting.kind, "choice": request.choice})
    return {"id": waiting.id, "choice": request.choice}


def _decision(session: Session, request: Answer) -> dict[str, Any]:
    permission = session.permission
    assert permission is not None
    if permission.kind == "question":
        if request.choice == "deny":
            return {"behavior": "deny", "message": request.text or "The user declined to answer."}
        return {
            "behavior": "allow",
            "updatedInput": {**permission.input, "answers": _question_answers(session, request)},
        }
    if request.choice in ("allow", "always", "1", "yes"):
        decision: dict[str, Any] = {"behavior": "allow"}
        if request.choice == "always":
            if not permission.suggestions:
                raise InvalidRequest("Claude suggests no rule to allow always.", code="invalid_choice")
            decision["updatedPermissions"] = permission.suggestions
        if request.updated_input is not None:
            decision["updatedInput"] = request.updated_input
        return decision
    if request.choice in ("deny", "no"):
        return {"behavior": "deny", "message": request.text or "The user refused."}
    raise InvalidRequest("`choice` must be allow, always or deny.", code="invalid_choice")


def _question_answers(session: Session, request: Answer) -> dict[str, str]:
    assert session.permission is not None
    questions = session.permission.input.get("questions") or []
    if request.answers:
        return dict(request.answers)
    if len(questions) != 1:
        raise InvalidRequest(
            "Several questions are asked: put {question: answer} into `answers`.", code="answers_required"
        )
    question = questions[0]
    if request.text is not None:
        return {question["question"]: request.text}
    options = question.get("options") or []
    for number, option in enumerate(options, 1):
        if request.choice in (str(number), option.get("label")):
            return {question["question"]: option["label"]}
    raise InvalidRequest(
        "`choice` must be one of the choices, or put your own words into `text`.", code="invalid_choice"
    )


async def choose(session: Session, identity: str, choice: str) -> None:
    """Move the pointer of the menu on the screen to a choice and press Enter; see each step happen."""
    menu = _present(session, identity)
    wanted = next((i for i, c in enumerate(menu.choices) if choice in (c.id, c.label)), None)
    if wanted is None:
        names = ", ".join(f"{c.id} ({c.label})" for c in menu.choices)
        raise InvalidRequest(f"`choice` must be one of: {names}.", code="invalid_choice")
    for _ in range(3 * len(menu.choices)):
        menu = _present(session, identity)
        if menu.pointer == wanted:
            break
        before = menu.pointer
        await _press(session, DOWN if before < wanted else UP)

        def moved(before: int = before) -> bool:
            now = session.sight().menu
            return now is None or now.pointer != before

        await session.pulse.until(moved, MOVE_SECONDS)
    menu = _present(session, identity)
    if menu.pointer != wanted:
        raise Unavailable("The dialog's pointer does not move. Answer at the terminal.", code="dialog_stuck")
    await _press(session, ENTER)
    if not await session.pulse.until(lambda: not _shows(session, identity), GONE_SECONDS):
        raise Unavailable("The dialog is still there. Answer at the terminal.", code="dialog_stuck")


async def _acknowledge(session: Session) -> None:
    if session.sight().kind != "notice":
        raise Conflict("It was answered already.", code="already_answered")
    text = session.sight().text
    await _press(session, ENTER)
    await session.pulse.until(lambda: session.sight().text != text, GONE_SECONDS)


def _shows(session: Session, identity: str) -> bool:
    menu = session.sight().menu
    return menu is not None and menu.identity == identity


def _present(session: Session, identity: str) -> Menu:
    menu = session.sight().menu
    if menu is None or menu.identity != identity:
        raise Conflict("The dialog was answered already, or another one is up.", code="already_answered")
    return menu


async def _press(session: Session, data: bytes) -> None:
    if session.terminal is None:
        raise Conflict("The session has no process.", code="no_process")
    await session.terminal.press(f"a:{time.monotonic_ns()}", data)


INTERRUPT_SECONDS = 3.0


async def interrupt(session: Session) -> str:
    """End the turn that runs, without ever ending the TUI: Esc, and Esc again. Return which rung worked.

    One Esc ends a tool or a streaming reply; it is never pressed when the box has the focus and nothing runs, because
    two in a row then open the rewind dialog. Raise Conflict when nothing runs.
    """
    if session.terminal is None or session.record.turn_prompt is None:
        raise Conflict("Nothing runs that could be interrupted.", code="nothing_runs")
    for rung in ("escape", "escape_again"):
        await _press(session, b"\x1b")
        if await session.pulse.until(lambda: session.record.turn_prompt is None, INTERRUPT_SECONDS):
            return rung
    raise Unavailable("The turn goes on in spite of Esc. Answer at the terminal.", code="not_interrupted")
