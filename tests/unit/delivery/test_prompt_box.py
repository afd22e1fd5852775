"""What is said of a prompt box whose editor is another program's, and when no more."""

from __future__ import annotations

import contextlib
import logging
from types import SimpleNamespace
from typing import Any

from supervisor.delivery import prompt_box, queue
from supervisor.state.conditions import Conditions


def test_an_editor_that_was_taken_keeps_nothing_back_once_ours_is_called_again() -> None:
    """A message may then wait for a person's draft, and whoever looks must not be told of an editor that has gone."""
    session: Any = SimpleNamespace(health=Conditions(), obstacle=None)
    queue.hold(session, "the service refuses")
    prompt_box.is_ours(session)
    assert session.obstacle == "the service refuses", "which is not ours to end"
    session.health.begin(prompt_box.EDITOR_TAKEN)
    queue.hold(session, "Claude opens `nano`")
    prompt_box.is_ours(session)
    assert (session.obstacle, session.health.worst) == (None, "ok")


def test_an_editor_that_was_never_called_is_said_once_and_the_next_message_does_not_wait_as_long() -> None:
    said: list[Any] = []
    session: Any = SimpleNamespace(
        id="s",
        health=Conditions(),
        obstacle=None,
        change=contextlib.nullcontext,
        changed=SimpleNamespace(notify=lambda: None),
        store=SimpleNamespace(append=lambda event, _: said.append(event)),
        services=SimpleNamespace(log=logging.getLogger("test")),
    )
    assert prompt_box.tries(session) == prompt_box.EDITOR_TRIES
    for _ in range(2):
        prompt_box.never_called(session)
    assert (len(said), session.health.worst, prompt_box.tries(session)) == (1, "editor_taken", 1)
    prompt_box.is_ours(session)
    assert (session.health.worst, prompt_box.tries(session)) == ("ok", prompt_box.EDITOR_TRIES)
