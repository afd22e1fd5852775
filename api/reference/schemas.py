"""The schemas of the OpenAPI document: of the types of the wire, with what a type cannot say.

What a type cannot say (a number's bounds, a text that must not be blank) stands in `HINTS`, by the field's name. What must not
regress: three generators make clients of these forms, and some believe of a default that the member is always there.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import msgspec

from api.http.requests import MAX_ID_LENGTH, MAX_WAIT_SECONDS
from api.reference import descriptions
from api.reference.call import Body
from shared.bus.messages import MAX_ATTACHMENTS, MAX_MESSAGE_BYTES

REF = "#/components/schemas/{name}"
SAID = {"type": "string", "minLength": 1, "pattern": r"[^\s\x1c-\x1f\x85]"}
KEY = {"type": "string", "pattern": rf"^[\x21-\x7e]{{1,{MAX_ID_LENGTH}}}$"}
PLACE = {"type": "string", "pattern": r"^(([0-9A-Za-z_-]+:)?[0-9]{1,18}(\+[0-9]{1,18}){0,100})?$"}
WAIT = {"type": "number", "minimum": 0, "maximum": MAX_WAIT_SECONDS}


HINTS: Mapping[str, Mapping[str, Any]] = {
    "message": {**SAID, "maxLength": MAX_MESSAGE_BYTES},
    "text": {**SAID, "maxLength": MAX_MESSAGE_BYTES},
    "projectPath": SAID,
    "requestId": KEY,
    "wait": WAIT,
    "since": PLACE,
    "limit": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
    "format": {"enum": ["json", "text", "html"], "default": "json"},
    "sessionId": {"type": "string", "format": "uuid"},
    "session": {"type": "string", "format": "uuid"},
}


ATTACHMENT: Mapping[str, Any] = {
    "data": {
        "type": "string",
        "description": "base64",
        "pattern": "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
    },
    "name": SAID,
}


_PARTS = frozenset({"string", "number", "integer", "boolean"})
"""What a part of a form can say."""


def describe(name: str, schema: dict[str, Any]) -> None:
    """Say what each member means, where its type does not."""
    for member, said in schema.get("properties", {}).items():
        if "description" not in said and (text := descriptions.member(name, member)) is not None:
            schema["properties"][member] = {**said, "description": text}


def tell_defaults(schema: dict[str, Any]) -> None:
    """In a body, a default is said in words: of a member that has one some generators believe that it is always there."""
    for member, said in schema["properties"].items():
        rest = {name: value for name, value in said.items() if name != "default"}
        if said.get("default") not in (None, [], {}):
            default = msgspec.json.encode(said["default"]).decode()
            rest["description"] = f"{said.get('description', '')} Default: `{default}`.".strip()
        schema["properties"][member] = rest


class Schemas:
    """The schemas that were referred to so far."""

    def __init__(self) -> None:
        self.components: dict[str, Any] = {}
        self.sent: set[str] = set()
        """What clients send as a body."""

    def ref(self, kind: type[Any]) -> dict[str, Any]:
        (schema,), found = msgspec.json.schema_components([kind], ref_template=REF)
        self._keep(found)
        return schema

    def _keep(self, found: dict[str, Any]) -> None:
        self.components = {**found, **self.components}

    def plain(self, kind: type[Any]) -> dict[str, Any]:
        """The schema of a struct itself, to be changed."""
        _, found = msgspec.json.schema_components([kind], ref_template=REF)
        own: dict[str, Any] = copy.deepcopy(found.pop(kind.__name__))
        self._keep(found)
        return own

    def body(self, body: Body) -> dict[str, Any]:
        if body.kind is None:
            return {"type": "object", "minProperties": 1}
        schema = self.plain(body.kind)
        schema.pop("title", None)
        fields = {name: value for name, value in schema["properties"].items() if name not in body.drop}
        for name in fields:
            if name in HINTS:
                fields[name] = _hinted(name, fields[name], name in body.need)
        if "requestId" not in fields:
            fields["requestId"] = {"anyOf": [KEY, {"type": "null"}]}
        fields["requestId"] = {**fields["requestId"], "description": "As the header Idempotency-Key."}
        schema["properties"] = fields
        schema["required"] = [*(n for n in schema.get("required", []) if n not in body.drop), *body.need]
        if body.one_of:
            said = {} if body.null_counts else {"not": {"type": "null"}, "minItems": 1}
            # With `anyOf` a generator would make a type of each; nobody makes types of `if`.
            given = [{"required": [name], "properties": {name: said}} for name in body.one_of]
            schema |= {"if": {"not": {"anyOf": given}}, "then": {"not": {}}}
        if body.exclusive:
            schema["not"] = {"required": list(body.one_of), "properties": dict.fromkeys(body.one_of, said)}
        own = body.kind.__module__.startswith("api.")
        name = body.name or (body.kind.__name__ if own else f"{body.kind.__name__}Request")
        self.components[name] = schema
        self.sent.add(name)
        return {"$ref": REF.format(name=name)}

    def form(self, body: dict[str, Any]) -> dict[str, Any]:
        """The same fields as parts of a form, and files, whose parts may have any name."""
        name = body["$ref"].rpartition("/")[2]
        schema = copy.deepcopy(self.components[name])
        fields = {part: without_null(said) for part, said in schema["properties"].items()}
        fields = {part: said for part, said in fields.items() if said.get("type") in _PARTS or "enum" in said}
        file = {"type": "string", "contentMediaType": "application/octet-stream", "format": "binary"}
        more = {"description": "Attachments, 10 MB each; the name of the part does not matter, that of the file does."}
        schema["properties"] = {**fields, "file": {"type": "array", "items": file, "maxItems": MAX_ATTACHMENTS, **more}}
        if schema.get("additionalProperties") is not False:
            schema["additionalProperties"] = {"type": "string"}
        self.components[f"{name}Form"] = schema
        self.sent.add(f"{name}Form")
        return {"$ref": REF.format(name=f"{name}Form")}


def _hinted(name: str, schema: dict[str, Any], required: bool) -> dict[str, Any]:
    nullable = any(part.get("type") == "null" for part in schema.get("anyOf", []))
    return {"anyOf": [dict(HINTS[name]), {"type": "null"}]} if nullable and not required else dict(HINTS[name])


def without_null(schema: dict[str, Any]) -> dict[str, Any]:
    parts = [part for part in schema.get("anyOf", []) if part.get("type") != "null"]
    if parts:
        return parts[0] if len(parts) == 1 else {"anyOf": parts}
    if None in schema.get("enum", []):
        return {"enum": [value for value in schema["enum"] if value is not None]}
    return schema
