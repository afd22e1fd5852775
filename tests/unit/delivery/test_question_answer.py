"""Answers to questions: options by label and number, several of them, own words; nothing that was given is dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.bus.session_requests import Answer
from shared.errors import InvalidRequest
from supervisor.delivery.decision import decision_of
from supervisor.waiting.waiting import Permission, permission_waiting

COLOR = {"question": "Which color?", "options": [{"label": "Red"}, {"label": "Blue"}], "multiSelect": False}
SIZES = {"question": "Which sizes?", "options": [{"label": "S"}, {"label": "M"}, {"label": "L"}], "multiSelect": True}


def decide(questions: list[dict[str, Any]], **given: Any) -> dict[str, Any]:
    permission = Permission.from_hook(
        Path("nowhere"), {"tool_name": "AskUserQuestion", "tool_input": {"questions": questions}}
    )
    return decision_of(permission, permission_waiting(permission), Answer(session_id="s", **given))


@pytest.mark.parametrize(
    ("questions", "given", "answers"),
    [
        ([COLOR], {"answers": {"Which color?": "2"}}, {"Which color?": "Blue"}),
        ([COLOR], {"answers": {"1": "red"}}, {"Which color?": "Red"}),
        ([COLOR], {"answers": {"Which color?": ["Blue"]}}, {"Which color?": "Blue"}),
        ([COLOR], {"answers": {"Which color?": "a grey, 2"}}, {"Which color?": "a grey, 2"}),
        ([COLOR], {"answers": {"Which color?": "7"}}, {"Which color?": "7"}),
        ([SIZES], {"answers": {"Which sizes?": ["1", "L"]}}, {"Which sizes?": "S, L"}),
        ([SIZES], {"answers": {"Which sizes?": ["L", "3", "mine"]}}, {"Which sizes?": "L, mine"}),
        ([SIZES], {"answers": {"Which sizes?": "1, 3"}}, {"Which sizes?": "S, L"}),
        ([SIZES], {"answers": {"Which sizes?": "S, L"}}, {"Which sizes?": "S, L"}),
        ([SIZES], {"choice": "2"}, {"Which sizes?": "M"}),
        ([COLOR, SIZES], {"answers": {"1": "1", "2": ["2", "3"]}}, {"Which color?": "Red", "Which sizes?": "M, L"}),
        ([COLOR, SIZES], {"answers": {"2": "M"}, "partial": True}, {"Which sizes?": "M"}),
    ],
)
def test_an_answer_is_what_was_meant(questions: list[dict[str, Any]], given: dict[str, Any], answers: Any) -> None:
    assert decide(questions, **given)["updatedInput"]["answers"] == answers


@pytest.mark.parametrize(
    ("questions", "given", "code"),
    [
        ([COLOR, SIZES], {"answers": {"Which color?": "Red"}}, "answers_missing"),
        ([COLOR, SIZES], {"answers": {"1": "Red", "Which color?": "Blue"}}, "invalid_choice"),
        ([COLOR, SIZES], {"choice": "1"}, "invalid_choice"),
        ([COLOR], {"answers": {"Which colour?": "Red"}}, "invalid_choice"),
        ([COLOR], {"answers": {"2": "Red"}}, "invalid_choice"),
        ([COLOR], {"answers": {"1": ["Red", "Blue"]}}, "invalid_choice"),
        ([SIZES], {"answers": {"1": []}}, "invalid_choice"),
        ([COLOR], {"choice": "1", "text": "but dark"}, "one_answer_only"),
        ([COLOR], {"choice": "1", "answers": {"1": "2"}}, "one_answer_only"),
        ([COLOR], {"text": "grey", "answers": {"1": "2"}}, "one_answer_only"),
    ],
)
def test_what_would_be_dropped_or_left_open_is_refused(
    questions: list[dict[str, Any]], given: dict[str, Any], code: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        decide(questions, **given)
    assert refused.value.error_code == code


def test_words_go_along_with_a_refusal_only() -> None:
    assert decide([COLOR], choice="deny", text="no colors") == {"behavior": "deny", "message": "no colors"}
    permission = Permission.from_hook(Path("nowhere"), {"tool_name": "Bash", "tool_input": {"command": "ls"}})
    waiting = permission_waiting(permission)
    with pytest.raises(InvalidRequest):
        decision_of(permission, waiting, Answer(session_id="s", choice="allow", text="but quickly"))
    assert decision_of(permission, waiting, Answer(session_id="s", choice="deny", text="no"))["message"] == "no"
