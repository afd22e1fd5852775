"""A form of an MCP server: its fields from the schema, and what an answer to them becomes; nothing that was given is dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.bus.messages import Choice
from shared.bus.session_requests import Answer
from shared.config import PermissionRule
from shared.errors import InvalidRequest
from supervisor.delivery.decision import decision_of
from supervisor.waiting.permission_rules import decide as ruled
from supervisor.waiting.waiting import Permission, handed_waiting, permission_waiting

NAME = {"type": "string", "title": "Your name", "description": "How you are called"}
SURE = {"type": "boolean", "default": False}
COLOR = {"type": "string", "enum": ["r", "g"], "enumNames": ["Red", "Green"]}
SIZE = {"type": "string", "oneOf": [{"const": "s", "title": "Small"}, {"const": "l"}]}
TAGS = {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}}
AGE = {"type": "integer"}


def asked(required: tuple[str, ...] = (), **properties: Any) -> Permission:
    """Its payload as both releases give it."""
    schema = {"type": "object", "properties": properties, "required": list(required)}
    told = {"mcp_server_name": "forms", "message": "Who?", "mode": "form", "requested_schema": schema}
    return Permission.from_hook(Path("nowhere"), {"hook_event_name": "Elicitation", **told})


def decide(permission: Permission, **given: Any) -> dict[str, Any]:
    return decision_of(permission, permission_waiting(permission), Answer(session_id="s", **given))


def test_a_form_is_a_waiting_of_its_own_with_a_field_for_each_property() -> None:
    waiting = permission_waiting(asked(("n",), n=NAME, sure=SURE, color=COLOR, size=SIZE, tags=TAGS, age=AGE, odd={}))
    assert (waiting.kind, waiting.text, waiting.tool) == ("elicitation", "Who?", None)
    assert [choice.id for choice in waiting.choices] == ["accept", "decline"]
    fields = {field.name: field for field in waiting.fields or []}
    types = {
        "n": "text",
        "sure": "boolean",
        "color": "enum",
        "size": "enum",
        "tags": "enum",
        "age": "integer",
        "odd": "text",
    }
    assert {name: field.type for name, field in fields.items()} == types
    assert [name for name, field in fields.items() if field.required] == ["n"]
    assert [name for name, field in fields.items() if field.several] == ["tags"]
    assert (fields["n"].label, fields["n"].description, fields["sure"].value) == (
        "Your name",
        "How you are called",
        "false",
    )
    assert fields["color"].choices == [Choice(id="r", label="Red"), Choice(id="g", label="Green")]
    assert fields["size"].choices == [Choice(id="s", label="Small"), Choice(id="l", label="l")]


@pytest.mark.parametrize(
    ("given", "content"),
    [
        ({"answers": {"n": "1"}}, {"n": "1", "sure": False}),
        ({"answers": {"n": "Ada", "sure": "yes"}}, {"n": "Ada", "sure": True}),
        ({"answers": {"n": "Ada", "sure": "False"}, "choice": "accept"}, {"n": "Ada", "sure": False}),
        ({"answers": {"n": "Ada", "color": "green"}}, {"n": "Ada", "sure": False, "color": "g"}),
        ({"answers": {"n": "Ada", "color": "1"}}, {"n": "Ada", "sure": False, "color": "r"}),
        ({"answers": {"n": "Ada", "tags": ["2", "a"]}}, {"n": "Ada", "sure": False, "tags": ["b", "a"]}),
        ({"answers": {"n": "Ada", "tags": "a, b"}}, {"n": "Ada", "sure": False, "tags": ["a", "b"]}),
        ({"answers": {"n": "Ada", "age": "36"}}, {"n": "Ada", "sure": False, "age": 36}),
    ],
)
def test_each_field_gets_its_value(given: dict[str, Any], content: dict[str, Any]) -> None:
    permission = asked(("n",), n=NAME, sure=SURE, color=COLOR, tags=TAGS, age=AGE)
    assert decide(permission, **given) == {"behavior": "accept", "content": content}


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"choice": "accept"}, "answers_missing"),
        ({"answers": {"sure": "yes"}}, "answers_missing"),
        ({"answers": {"n": "Ada", "who": "me"}}, "invalid_choice"),
        ({"answers": {"n": "Ada", "sure": "perhaps"}}, "invalid_choice"),
        ({"answers": {"n": "Ada", "color": "blue"}}, "invalid_choice"),
        ({"answers": {"n": "Ada", "age": "old"}}, "invalid_choice"),
        ({"answers": {"n": ["Ada", "Bob"]}}, "invalid_choice"),
        ({"text": "Ada"}, "answers_required"),
        ({"choice": "decline", "answers": {"n": "Ada"}}, "one_answer_only"),
        ({"choice": "perhaps"}, "invalid_choice"),
    ],
)
def test_what_the_form_does_not_have_is_refused(given: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        decide(asked(("n",), n=NAME, sure=SURE, color=COLOR, age=AGE), **given)
    assert refused.value.error_code == code


def test_it_is_declined_by_any_name_of_it_and_one_field_takes_a_text() -> None:
    assert decide(asked(("n",), n=NAME), choice="no") == {"behavior": "decline"}
    assert decide(asked(("n",), n=NAME), text="Ada") == {"behavior": "accept", "content": {"n": "Ada"}}
    assert decide(asked(), choice="yes") == {"behavior": "accept", "content": {}}


def test_one_that_is_shown_at_the_terminal_offers_nothing_here() -> None:
    waiting = handed_waiting(asked(n=NAME), None)
    assert (waiting.choices, [field.name for field in waiting.fields or []]) == ([], ["n"])


def test_no_rule_fills_in_a_form() -> None:
    assert ruled([PermissionRule(tool="*", answer="allow")], asked(n=NAME)) is None
