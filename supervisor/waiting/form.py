"""What an MCP server asks a person for, as fields that a client can turn into inputs: `requested_schema` of the Elicitation hook.

What must not regress: every property of the schema is a field, also one of a kind that is not known here: it is text then.
"""

from __future__ import annotations

from typing import Any

from shared.bus.messages import Choice, Field, FieldType

_TYPES: dict[str, FieldType] = {"boolean": "boolean", "number": "number", "integer": "integer"}


def fields(schema: Any) -> list[Field]:
    """The fields of a form, in the schema's order."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    required = schema.get("required") if isinstance(schema, dict) else None
    wanted = required if isinstance(required, list) else []
    if not isinstance(properties, dict):
        return []
    return [_field(name, asked, name in wanted) for name, asked in properties.items() if isinstance(asked, dict)]


def _field(name: str, asked: dict[str, Any], required: bool) -> Field:
    items = asked.get("items")
    several = asked.get("type") == "array" and isinstance(items, dict)
    choices = _choices(items if several and isinstance(items, dict) else asked)
    return Field(
        name=name,
        type="enum" if choices else _TYPES.get(str(asked.get("type")), "text"),
        label=_words(asked.get("title")) or name,
        description=_words(asked.get("description")),
        required=required,
        several=several,
        choices=choices,
        value=_default(asked.get("default")),
    )


def _choices(asked: dict[str, Any]) -> list[Choice]:
    """The values of an enum and what they are called: both ways of saying it that MCP has had, and the plain list."""
    titled = asked.get("oneOf") or asked.get("anyOf")
    if isinstance(titled, list):
        return [
            Choice(id=str(option["const"]), label=str(option.get("title") or option["const"]))
            for option in titled
            if isinstance(option, dict) and "const" in option
        ]
    values, names = asked.get("enum"), asked.get("enumNames")
    if not isinstance(values, list):
        return []
    labels = names if isinstance(names, list) and len(names) == len(values) else values
    return [Choice(id=str(value), label=str(label)) for value, label in zip(values, labels, strict=True)]


def _default(value: Any) -> str | list[str] | None:
    if isinstance(value, list):
        return [str(part) for part in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None


def _words(said: Any) -> str | None:
    return said if isinstance(said, str) and said else None
