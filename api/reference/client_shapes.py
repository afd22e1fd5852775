"""Writes `pilotlight/client/shapes.py`, the answers of the API as types of Python, from the OpenAPI document.

Run `python -m api.reference.client_shapes < openapi.json`, the document being what `/api/openapi.json` answers; a test compares.
"""

from __future__ import annotations

import json
import keyword
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

_HEAD = '''"""What the API answers, as types; made by `api/reference/client_shapes.py`, not to be edited.

Over 400 lines: one file, because the types name each other, and whoever uses them looks for all of them under one name.
"""


from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict
'''
_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


def module(document: dict[str, Any]) -> str:
    """The text of the module."""
    schemas = document["components"]["schemas"]
    wanted = sorted(_needed(document, schemas))
    return _HEAD + "".join(f"\n{text}\n" for text in (_shape(name, schemas[name]) for name in wanted))


def _needed(document: dict[str, Any], schemas: dict[str, Any]) -> set[str]:
    """What answers are made of."""
    answers = [operation["responses"] for methods in document["paths"].values() for operation in methods.values()]
    found = set(_names(answers)) | {"Problem", "StreamEnd", "Event", "EventGap"}
    new = set(found)
    while new:
        new = {name for known in new for name in _names(schemas[known])} - found
        found |= new
    return found


def _names(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        if "$ref" in tree and "/schemas/" in tree["$ref"]:
            yield tree["$ref"].rpartition("/")[2]
        tree = list(tree.values())
    if isinstance(tree, list):
        for part in tree:
            yield from _names(part)


def _shape(name: str, schema: dict[str, Any]) -> str:
    """One TypedDict; as a call where a member's name is a word of Python."""
    needed = set(schema.get("required", ()))
    fields = {
        member: _kind(said) if member in needed else f"NotRequired[{_kind(said)}]"
        for member, said in schema.get("properties", {}).items()
    }
    said = " ".join(str(schema.get("description", "")).split())
    if any(keyword.iskeyword(member) for member in fields):
        inner = "".join(f"        {json.dumps(member)}: {_quoted(kind)},\n" for member, kind in fields.items())
        return f"{name} = TypedDict(\n    {json.dumps(name)},\n    {{\n{inner}    }},\n)"
    lines = "".join(f"    {member}: {kind}\n" for member, kind in fields.items())
    text = "\n    ".join(textwrap.wrap(said.replace("\\", "\\\\"), 110))
    return f'\nclass {name}(TypedDict):\n    """{text}"""\n\n{lines}'.rstrip() + "\n"


def _quoted(kind: str) -> str:
    """A type in a string; a long one in pieces."""
    pieces = textwrap.wrap(kind, 100, drop_whitespace=False, break_long_words=False, break_on_hyphens=False)
    if len(pieces) == 1:
        return json.dumps(kind)
    inner = "".join(f"            {json.dumps(piece)}\n" for piece in pieces)
    return f"(\n{inner}        )"


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "const" in schema:
        return f"Literal[{schema['const']!r}]"
    if "enum" in schema:
        return f"Literal[{', '.join(repr(value) for value in schema['enum'])}]"
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_kind(part) for part in schema["anyOf"]))
    if schema.get("type") == "array":
        return f"list[{_kind(schema['items'])}]"
    if schema.get("type") == "object":
        inner = schema.get("additionalProperties")
        return f"dict[str, {_kind(inner) if isinstance(inner, dict) and inner else 'Any'}]"
    return _PLAIN.get(str(schema.get("type")), "Any")


if __name__ == "__main__":
    print(module(json.load(sys.stdin)), end="")
