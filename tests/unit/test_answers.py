"""Which choice an answer names, told from its words alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.errors import InvalidRequest
from shared.messages import Answer
from supervisor.answers import _decision
from supervisor.claude.dialogs import Sight
from supervisor.waits import Permission, permission_waiting


def decision(tool: str, tool_input: dict[str, Any], choice: str) -> dict[str, Any]:
    permission = Permission.from_hook(Path("nowhere"), {"tool_name": tool, "tool_input": tool_input})
    waiting = permission_waiting(permission, Sight("menu"))
    return _decision(permission, waiting, Answer(session_id="s", choice=choice))


def asking(*labels: str) -> dict[str, Any]:
    return {"questions": [{"question": "Go on?", "options": [{"label": label} for label in labels]}]}


@pytest.mark.parametrize("choice", ["No", "no", "2"])
def test_an_option_that_is_called_no_is_an_answer_and_no_refusal(choice: str) -> None:
    given = decision("AskUserQuestion", asking("Yes", "No"), choice)
    assert (given["behavior"], given["updatedInput"]["answers"]) == ("allow", {"Go on?": "No"})


def test_no_declines_a_question_that_has_no_such_option() -> None:
    assert decision("AskUserQuestion", asking("Red", "Blue"), "no")["behavior"] == "deny"


@pytest.mark.parametrize(
    ("choice", "behavior"), [("yes", "allow"), ("1", "allow"), ("allow", "allow"), ("No", "deny"), ("deny", "deny")]
)
def test_a_permission_takes_ids_labels_and_plain_words(choice: str, behavior: str) -> None:
    assert decision("Bash", {"command": "ls"}, choice)["behavior"] == behavior


def test_what_names_no_choice_is_refused_with_all_of_them() -> None:
    with pytest.raises(InvalidRequest, match=r"allow \(Yes\), deny \(No\)"):
        decision("Bash", {"command": "ls"}, "perhaps")
