"""What an answer to a request of Claude's decides: its choice, by any of its names, as the waiting hook is to say it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from shared.bus.messages import Choice, Waiting
from shared.bus.session_requests import Answer
from shared.errors import InvalidRequest
from supervisor.delivery import form_answer, question_answer
from supervisor.waiting.waiting import Permission

ALIASES = {"yes": "allow", "1": "allow", "no": "deny"}
FORM_ALIASES = {"yes": "accept", "allow": "accept", "1": "accept", "no": "decline", "deny": "decline", "2": "decline"}
"""Other names of choices, for when no choice is called that itself."""


def decision_of(permission: Permission, waiting: Waiting, request: Answer) -> dict[str, Any]:
    """What its hook is to say. Raise InvalidRequest when the answer names no choice, or not all that is needed."""
    if permission.kind == "elicitation":
        name = None if request.choice is None else named(waiting.choices, request.choice, FORM_ALIASES)
        return form_answer.decision(waiting.fields or [], request, name)
    if permission.kind == "question":
        return _of_question(permission, waiting, request)
    if request.choice is None and request.text is not None and permission.kind == "plan":
        return {"behavior": "deny", "message": request.text}
    name = named(waiting.choices, request.choice, ALIASES)
    question_answer.refuse_both(request, name == "deny")
    if name == "deny":
        return {"behavior": "deny", "message": request.text or "The user refused."}
    decision: dict[str, Any] = {"behavior": "allow"}
    if name == "always":
        decision["updatedPermissions"] = permission.suggestions
    if request.updated_input is not None:
        decision["updatedInput"] = request.updated_input
    elif permission.kind == "plan":
        decision["updatedInput"] = permission.input  # 2.1.330 ignores a plain `allow` and leaves the dialog up
    return decision


def _of_question(permission: Permission, waiting: Waiting, request: Answer) -> dict[str, Any]:
    questions = waiting.questions or []
    if request.answers:
        question_answer.refuse_both(request, refusal=False)
        answers = question_answer.answers(questions, request)
    elif request.choice is None and request.text is not None and len(questions) == 1:
        answers = {str(questions[0].get("question")): request.text}
    elif request.choice is None and len(questions) != 1:
        raise InvalidRequest(
            "Several questions are asked: put {question: answer} into `answers`.", code="answers_required"
        )
    else:
        name = named(waiting.choices, request.choice, {"no": "deny"})
        question_answer.refuse_both(request, name == "deny")
        if name == "deny":
            return {"behavior": "deny", "message": request.text or "The user declined to answer."}
        label = next(choice.label for choice in waiting.choices if choice.id == name)
        answers = {str(questions[0].get("question")): label}
    return {"behavior": "allow", "updatedInput": {**permission.input, "answers": answers}}


def named(choices: list[Choice], wanted: str | None, aliases: Mapping[str, str] = MappingProxyType({})) -> str:
    """The id of the choice that is meant, by id, by label or else by alias. Raise InvalidRequest that names them all."""
    if wanted is None:
        raise InvalidRequest(f"Name one of the choices in `choice`: {names_of(choices)}.", code="choice_required")
    for choice in choices:
        if wanted == choice.id:
            return choice.id
    for choice in choices:
        if wanted.strip().casefold() == choice.label.casefold():
            return choice.id
    meant = aliases.get(wanted.strip().casefold())
    if any(choice.id == meant for choice in choices):
        return str(meant)
    raise InvalidRequest(f"`choice` must be one of: {names_of(choices)}.", code="invalid_choice")


def names_of(choices: list[Choice]) -> str:
    """All of them, for a sentence."""
    return ", ".join(f"{choice.id} ({choice.label})" for choice in choices) or "(none; answer at the terminal)"
