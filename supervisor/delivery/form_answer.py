"""What an answer to a form means: for each field its value, of the type that the MCP server has asked for.

What must not regress: nothing that was given is dropped, and nothing is accepted that the form does not have: the hook's
answer goes to the server as it is, without Claude's own look at it.
"""

from __future__ import annotations

import math
from typing import Any

from shared.bus.messages import Field
from shared.bus.session_requests import Answer
from shared.errors import InvalidRequest

_TRUE, _FALSE = ("true", "yes", "1", "on"), ("false", "no", "0", "off")


def decision(fields: list[Field], request: Answer, choice: str | None) -> dict[str, Any]:
    """What Claude's hook is answered. Without a choice, fields that were filled in are accepted. Raise InvalidRequest."""
    if choice == "decline":
        if request.answers or request.text is not None:
            raise InvalidRequest("A form is declined without words or answers.", code="one_answer_only")
        return {"behavior": "decline"}
    given = dict(request.answers or {})
    if request.text is not None:
        if len(fields) != 1 or given:
            raise InvalidRequest("Put {field: answer} into `answers`.", code="answers_required")
        given = {fields[0].name: request.text}
    return {"behavior": "accept", "content": _content(fields, given)}


def _content(fields: list[Field], given: dict[str, str | list[str]]) -> dict[str, Any]:
    names = [field.name for field in fields]
    strange = [name for name in given if name not in names]
    if strange:
        raise InvalidRequest(f"{strange[0]!r} is not asked. Asked: {names}.", code="invalid_choice")
    content: dict[str, Any] = {}
    for field in fields:
        if field.name in given:
            content[field.name] = _value(field, given[field.name])
        elif field.value is not None:
            content[field.name] = _value(field, field.value)
    missing = [field.name for field in fields if field.required and field.name not in content]
    if missing:
        raise InvalidRequest(f"Not answered: {missing}. Put them into `answers`, or decline.", code="answers_missing")
    return content


def _value(field: Field, said: str | list[str]) -> Any:
    if field.several:
        parts = said if isinstance(said, list) else [part for part in said.split(",") if part.strip()]
        return list(dict.fromkeys(_chosen(field, part) if field.choices else part for part in parts))
    if isinstance(said, list):
        if len(said) != 1:
            raise InvalidRequest(f"{field.name!r} takes one answer.", code="invalid_choice")
        said = said[0]
    if field.type == "enum":
        return _chosen(field, said)
    if field.type == "boolean":
        word = said.strip().casefold()
        if word not in (*_TRUE, *_FALSE):
            raise InvalidRequest(f"{field.name!r} is true or false.", code="invalid_choice")
        return word in _TRUE
    return said if field.type == "text" else _number(field, said)


def _chosen(field: Field, said: str) -> str:
    """A value of an enum by itself, by its label or, if none is called that, by its number."""
    word = said.strip()
    for choice in field.choices:
        if said == choice.id:
            return choice.id
    for choice in field.choices:
        if word.casefold() in (choice.label.casefold(), choice.id.casefold()):
            return choice.id
    if word.isdecimal() and 1 <= int(word) <= len(field.choices):
        return field.choices[int(word) - 1].id
    raise InvalidRequest(
        f"{field.name!r} must be one of: {', '.join(choice.id for choice in field.choices)}.", code="invalid_choice"
    )


def _number(field: Field, said: str) -> int | float:
    try:
        number = int(said) if field.type == "integer" else float(said)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidRequest(f"{field.name!r} is a number.", code="invalid_choice")
    return number
