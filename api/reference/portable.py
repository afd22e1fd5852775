"""JSON Schema as generators of clients understand it, without a word less than before.

msgspec writes what JSON Schema 2020-12 allows: `items: false` behind a tuple, `enum` without a type, an array of anything without
`items`. Each is valid, and each makes a generator refuse the document or drop the type. What must not regress: the portable
form accepts exactly the same values.
"""

from __future__ import annotations

from typing import Any

_TYPES = {bool: "boolean", int: "integer", str: "string"}


def portable(tree: Any) -> Any:
    """The same schema, or anything with schemas in it, in the forms that every generator takes."""
    if isinstance(tree, list):
        return [portable(part) for part in tree]
    if not isinstance(tree, dict):
        return tree
    found = {name: tree[name] if name in ("example", "default") else portable(tree[name]) for name in tree}
    if "default" in found and found["default"] is None:
        del found["default"]  # it says nothing that `null` among the types does not
    if found.get("type") == "array":
        return _array(found)
    return _typed(found) if isinstance(found.get("enum"), list) else found


def _array(schema: dict[str, Any]) -> dict[str, Any]:
    """Every array says what is in it. A tuple of one type is a list of that length."""
    parts = schema.get("prefixItems")
    if parts and schema.get("items") is False and all(part == parts[0] for part in parts):
        schema = {name: value for name, value in schema.items() if name != "prefixItems"} | {"items": parts[0]}
    return {"items": {}, **schema}


def _typed(schema: dict[str, Any]) -> dict[str, Any]:
    """An enumeration with the type of its values; null stands beside it, and one boolean is a constant."""
    values = schema["enum"]
    if "type" in schema:
        return schema
    if None in values and len(values) > 1:
        said = {name: value for name, value in schema.items() if name in ("description", "default")}
        return {"anyOf": [_typed({"enum": [value for value in values if value is not None]}), {"type": "null"}], **said}
    kinds = {type(value) for value in values}
    kind = _TYPES.get(kinds.pop()) if len(kinds) == 1 else None
    if kind == "boolean" and len(values) == 1:
        return {**{name: value for name, value in schema.items() if name != "enum"}, "type": kind, "const": values[0]}
    return {"type": kind, **schema} if kind else schema
