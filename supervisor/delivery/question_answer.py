"""What an answer to Claude's questions means: which option of which question, by label or number, or the person's own words.

What must not regress: nothing that was given is dropped. What cannot be put together is refused, and so are answers to some
of several questions, unless it is said that the others are to stay open.
"""

from __future__ import annotations

from typing import Any

from shared.bus.session_requests import Answer
from shared.errors import InvalidRequest


def answers(questions: list[dict[str, Any]], request: Answer) -> dict[str, str]:
    """Claude's answer for each question that was answered. Raise InvalidRequest."""
    texts = [str(question.get("question")) for question in questions]
    given: dict[str, str] = {}
    for name, said in (request.answers or {}).items():
        if name in texts:
            at = texts.index(name)
        elif name.isdecimal() and 1 <= int(name) <= len(texts):
            at = int(name) - 1
        else:
            raise InvalidRequest(f"{name!r} is not asked. Asked: {texts}.", code="invalid_choice")
        if texts[at] in given:
            raise InvalidRequest(f"{texts[at]!r} is answered twice.", code="invalid_choice")
        given[texts[at]] = _answer(questions[at], said)
    missing = [text for text in texts if text not in given]
    if missing and not request.partial:
        raise InvalidRequest(
            f"Not answered: {missing}. Answer all of them in `answers`, or say `partial: true`.", code="answers_missing"
        )
    return given


def _answer(question: dict[str, Any], said: str | list[str]) -> str:
    found = question.get("options")
    labels = (
        [str(option.get("label", "")) for option in found if isinstance(option, dict)]
        if isinstance(found, list)
        else []
    )
    several = bool(question.get("multiSelect"))
    if isinstance(said, list):
        if not said or (len(said) > 1 and not several):
            raise InvalidRequest(f"{question.get('question')!r} takes one answer.", code="invalid_choice")
        return ", ".join(dict.fromkeys(_meant(labels, part) for part in said))
    parts = [part.strip() for part in said.split(",")] if several else [said]
    if all(_meant(labels, part) in labels for part in parts):
        return ", ".join(dict.fromkeys(_meant(labels, part) for part in parts))
    return _meant(labels, said)


def _meant(labels: list[str], said: str) -> str:
    """An option by its label or, if none is called that, by its number; else the words themselves."""
    word = said.strip()
    for label in labels:
        if word.casefold() == label.casefold():
            return label
    return labels[int(word) - 1] if word.isdecimal() and 1 <= int(word) <= len(labels) else said


def refuse_both(request: Answer, refusal: bool) -> None:
    """What is given beside a choice would be dropped: only a refusal takes words along. Raise InvalidRequest."""
    ways = {"choice": request.choice, "answers": request.answers, "text": None if refusal else request.text}
    named = [f"`{name}`" for name, value in ways.items() if value is not None]
    if len(named) > 1:
        raise InvalidRequest(f"Give either {' or '.join(named)}: one of them would be dropped.", code="one_answer_only")
