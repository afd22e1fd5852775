"""What Claude asks, with one number for each thing that can be said, and what the person's word means.

What must not regress: the number that stands before a choice is the one that chooses it, also the last one, that declines; what
is neither number nor name is the person's own words where those are possible, and refused where not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cli.output import printable
from shared.bus.messages import Field, Waiting
from shared.bus.session_requests import Answer
from shared.errors import InvalidRequest

DECLINE = "deny"
ACCEPT, DECLINE_FORM = "accept", "decline"


@dataclass(frozen=True)
class Ask:
    """One thing to ask: lines to show, how to prompt, and what may be chosen (id and label), in the order of the numbers."""

    lines: list[str]
    prompt: str
    choices: list[tuple[str, str]]
    question: str | None = None
    several: bool = False
    words: bool = False
    optional: bool = False

    def meant(self, said: str) -> list[str] | None:
        """The ids that are meant by numbers, labels or ids; None when it is something else."""
        parts = [part.strip() for part in said.split(",")] if self.several else [said.strip()]
        found = [self._one(part) for part in parts]
        known = [choice for choice in found if choice is not None]
        return known if len(known) == len(found) else None

    def _one(self, word: str) -> str | None:
        for choice, label in self.choices:
            if word.casefold() == label.casefold():
                return choice
        if word.isdecimal() and 1 <= int(word) <= len(self.choices):
            return self.choices[int(word) - 1][0]
        return next((choice for choice, _ in self.choices if word == choice and not word.isdecimal()), None)


def asks(waiting: Waiting) -> list[Ask]:
    """What to ask, one after the other."""
    questions = waiting.questions or []
    if questions:
        return [_of_question(waiting, question, number) for number, question in enumerate(questions, 1)]
    lines = [printable(waiting.title, 200)]
    if waiting.text != waiting.title:
        lines += [f"  {printable(line, 200)}" for line in waiting.text.splitlines() if line.strip()]
    if not waiting.choices:
        return [Ask(lines, "Your answer: ", [], words=True)]
    lines += _numbered([(choice.label, choice.description) for choice in waiting.choices])
    names = [(choice.id, choice.label) for choice in waiting.choices]
    return [Ask(lines, f"Choose 1-{len(names)}: ", names), *map(_of_field, waiting.fields or [])]


def _of_question(waiting: Waiting, question: dict[str, Any], number: int) -> Ask:
    found = question.get("options")
    options = [option for option in found if isinstance(option, dict)] if isinstance(found, list) else []
    several = bool(question.get("multiSelect"))
    decline = next((choice.label for choice in waiting.choices if choice.id == DECLINE), None)
    named = [(str(option.get("label", "")), option.get("description")) for option in options]
    choices = [(label, label) for label, _ in named]
    if decline is not None:
        named.append((decline, None))
        choices.append((DECLINE, decline))
    many = len(waiting.questions or [])
    head = f"Question {number} of {many}: " if many > 1 else ""
    lines = [head + printable(str(question.get("question", "")), 200), *_numbered(named)]
    how = "Numbers with commas" if several else "Number"
    return Ask(lines, f"{how}, or your own words: ", choices, str(question.get("question", "")), several, words=True)


def _of_field(field: Field) -> Ask:
    choices = (
        [("true", "Yes"), ("false", "No")] if field.type == "boolean" else [(c.id, c.label) for c in field.choices]
    )
    more = f" - {field.description}" if field.description else ""
    lines = [printable(field.label + more, 200), *_numbered([(label, None) for _, label in choices])]
    how = ("Numbers with commas" if field.several else "Number") if choices else "Your answer"
    optional = not field.required or field.value is not None
    prompt = f"{how} (Enter leaves it as it is): " if optional else f"{how}: "
    return Ask(lines, prompt, choices, field.name, field.several, words=not choices, optional=optional)


def _numbered(choices: list[tuple[str, Any]]) -> list[str]:
    return [
        f"  {number}. {printable(label + (f' - {more}' if more else ''), 200)}"
        for number, (label, more) in enumerate(choices, 1)
    ]


def declines(waiting: Waiting, ask: Ask, text: str) -> bool:
    """Whether this word declines all of it, so that nothing more is to be asked."""
    if waiting.fields:
        return ask.question is None and ask.meant(text) == [DECLINE_FORM]
    return ask.meant(text) == [DECLINE]


def answer(session_id: str, waiting: Waiting, said: list[tuple[Ask, str]]) -> Answer:
    """The request that these words make. Raise InvalidRequest when a word chooses nothing and cannot be one's own."""
    answers: dict[str, str | list[str]] = {}
    for ask, text in said:
        meant = ask.meant(text)
        if (ask.optional and not text.strip()) or (waiting.fields and not ask.question and meant == [ACCEPT]):
            continue
        if meant and (declines(waiting, ask, text) or not ask.question):
            return Answer(session_id=session_id, waiting_id=waiting.id, choice=meant[0])
        if meant is None and not (ask.words and text.strip()):
            raise InvalidRequest(f"There is no choice {text.strip()!r}.", code="unknown_choice")
        if ask.question is None:
            return Answer(session_id=session_id, waiting_id=waiting.id, text=text)
        if meant is None:
            answers[ask.question] = text
        else:
            answers[ask.question] = [choice for choice in meant if choice != DECLINE] if ask.several else meant[0]
    choice = ACCEPT if waiting.fields else None
    return Answer(session_id=session_id, waiting_id=waiting.id, choice=choice, answers=answers or None)
