"""`pilotlight attention` and `pilotlight answer`: what waits for a person, and the person's word."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from cli.completion import session_argument
from cli.context import KEYS_SECONDS, App, json_option, pass_app
from cli.output import emit, short_path, show_asked, state_text, waiting_lines
from shared.bus.messages import SessionView, Waiting
from shared.bus.session_requests import Answer
from shared.errors import Conflict, InvalidRequest


@click.command()
@json_option
@pass_app
def attention(app: App, as_json: bool) -> None:
    """List all that waits for a person, session by session and in Claude's order, with the choices."""
    waiting = [view for view in app.sessions() if view.waiting is not None]
    if as_json:
        emit({"sessions": waiting})
        return
    for view in waiting:
        assert view.waiting is not None
        for asked in view.all_waiting or [view.waiting]:
            click.echo(f"{view.id[:8]}  {asked.kind}  {short_path(view.project_path)}")
            for line in waiting_lines(asked):
                click.echo(f"  {line}")
    if not waiting:
        click.echo("Nothing waits for you.", err=True)


@click.command()
@session_argument
@click.option(
    "--choice", "choices", multiple=True, help="The number, id or label of a choice (several, where it takes several)."
)
@click.option("--text", help="An answer in your own words, where that is possible.")
@click.option(
    "--to",
    "answers",
    multiple=True,
    metavar="QUESTION=ANSWER",
    help="One of several questions, or its number (several times).",
)
@click.option("--partial", is_flag=True, help="Leave the other questions open.")
@click.option("--input", "changed", metavar="JSON", help="Allow the tool with another input.")
@json_option
@pass_app
def answer(
    app: App,
    session_id: str,
    choices: tuple[str, ...],
    text: str | None,
    answers: tuple[str, ...],
    partial: bool,
    changed: str | None,
    as_json: bool,
) -> None:
    """Answer what the session ID waits for; without options: show what that is."""
    view = app.session(session_id)
    waiting = view.waiting
    if waiting is None:
        raise Conflict(f"Session {view.id[:8]} does not wait for an answer: it is {view.state}.", code="not_waiting")
    if not choices and text is None and not answers and changed is None:
        if as_json:
            emit(view)
        else:
            show_asked(view.id, waiting)
        return
    choice = choices[0] if len(choices) == 1 else None
    order = msgspec.structs.replace(
        answer_of(view.id, waiting, choice, text),
        answers=_answers(waiting, choices if len(choices) > 1 else (), answers),
        partial=partial,
        updated_input=None if changed is None else _object(changed),
    )
    result = app.call("session.answer", order, timeout=KEYS_SECONDS)
    if as_json:
        emit(result)
    else:
        click.echo(f"Answered; the session is {state_text(msgspec.convert(result['session'], SessionView))}.")


def _answers(waiting: Waiting, choices: tuple[str, ...], pairs: tuple[str, ...]) -> dict[str, str | list[str]] | None:
    """The answers by question; several choices are those of the only question."""
    given: dict[str, str | list[str]] = {}
    for question, said in map(_pair, pairs):
        if question in given:
            raise click.UsageError(f"{question!r} is answered twice.")
        given[question] = said
    if choices:
        if len(waiting.questions or []) != 1:
            raise click.UsageError("One --choice only; several questions are answered with --to.")
        if given:
            raise click.UsageError("Either --choice or --to.")
        given["1"] = list(choices)
    return given or None


def _pair(item: str) -> tuple[str, str]:
    question, equals, said = item.rpartition("=")
    if not equals:
        raise click.UsageError(f"Write {item!r} as QUESTION=ANSWER.")
    return question, said


def _object(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise click.UsageError(f"--input is no JSON object: {error}.") from None


def answer_of(session_id: str, waiting: Waiting, choice: str | None, text: str | None = None) -> Answer:
    """The request that answers exactly this question."""
    picked = None if choice is None else choice_id(waiting, choice)
    return Answer(session_id=session_id, waiting_id=waiting.id, choice=picked, text=text)


def choice_id(waiting: Waiting, wanted: str) -> str:
    """The id of the choice with this id, number (from 1) or label. Raise InvalidRequest that lists them."""
    ids = [choice.id for choice in waiting.choices]
    if wanted in ids:
        return wanted
    if wanted.isdecimal() and 1 <= int(wanted) <= len(ids):
        return ids[int(wanted) - 1]
    for choice in waiting.choices:
        if choice.label.casefold() == wanted.casefold():
            return choice.id
    listed = "; ".join(f"{number}. {choice.label}" for number, choice in enumerate(waiting.choices, 1))
    raise InvalidRequest(f"There is no choice {wanted!r}. The choices: {listed or 'none'}.", code="unknown_choice")
