"""Writes the pages of docs/ that are made from code: `configuration.md` and `API.md`.

    python -m tests.reference_pages

`tests/unit/test_site.py` compares them with what is in the tree. What must not regress: every option with its type, its default
and its bounds, every call with what it takes and answers, and nothing written by hand that the code says better.
"""

from __future__ import annotations

import re
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Meta, Struct

from api.reference import openapi
from shared import config
from shared.bus.notifications import Rules
from tests.api_caller import Caller
from tests.api_double import FakeSupervisor
from tests.harness import ROOT

BOUNDS = {"ge": "from {}", "gt": "above {}", "le": "to {}", "lt": "below {}", "min_length": "at least {} long"}
HEAD = """# Configuration

Made from `shared/config.py` and `config/default.yaml` by `python -m tests.reference_pages`. Your own file is `config.yaml` in
`PILOTLIGHT_HOME`; without one `~/.config/pilotlight/config.yaml` (Linux), `~/Library/Application Support/pilotlight/config.yaml`
(macOS). It holds only what differs. Unknown options, wrong types and values beyond their bounds are refused with their path.

What `pilotlight settings` lists can be changed while everything runs (`pilotlight settings sessions.timeout_hours=48`); the
rest counts from the next `pilotlight restart`."""
WORDS = {int: "whole number", float: "number", str: "text", bool: "true or false"}
PARTS = (config.NotifyChannel, config.ApnsConfig, config.PermissionRule, Rules)
"""What stands in lists and maps of the configuration: tables of their own."""


def configuration() -> str:
    """The reference of every option."""
    said = comments((ROOT / "config" / "default.yaml").read_text())
    lines = [HEAD]
    variables = {f"{section}.{key}": name for name, (section, key) in config.ENVIRONMENT.items()}
    for section in msgspec.structs.fields(config.Config):
        lines += ["", f"## {section.name}", "", sentence(section.type), ""]
        lines += ["| option | type | default | what it does |", "| --- | --- | --- | --- |"]
        for key in msgspec.structs.fields(section.type):
            path = f"{section.name}.{key.name}"
            more = f" Environment: `{variables[path]}`." if path in variables else ""
            lines.append(row(f"`{path}`", kind(key.type), default(key), said.get(path, "") + more))
    for part in PARTS:
        lines += ["", f"## {part.__name__}", "", sentence(part), ""]
        lines += ["| member | type | default |", "| --- | --- | --- |"]
        lines += [row(f"`{key.name}`", kind(key.type), default(key)) for key in msgspec.structs.fields(part)]
    return "\n".join(lines) + "\n"


def comments(text: str) -> dict[str, str]:
    """What stands above each option of the file; those below it without words of their own share it."""
    found: dict[str, str] = {}
    section, above = "", list[str]()
    fresh = True
    for line in text.splitlines():
        if top := re.match(r"(\w+):", line):
            section, above, fresh = top[1], [], True
        elif note := re.match(r"  # ?(.*)", line):
            above = [note[1]] if fresh else [*above, note[1]]
            fresh = False
        elif option := re.match(r"  (\w+):", line):
            found[f"{section}.{option[1]}"] = " ".join(above)
            fresh = True
    return {
        path: re.sub(r"\b([A-Z]+_[A-Z_]{8,})\b", r"`\1`", words).replace("``", "`") for path, words in found.items()
    }


def sentence(struct: Any) -> str:
    """A struct's own first paragraph."""
    return escaped((struct.__doc__ or "").partition("\n\n")[0].strip())


def kind(annotation: Any, bounds: tuple[Meta, ...] = ()) -> str:
    """A type in words, with its bounds."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *metas = get_args(annotation)
        return kind(inner, tuple(meta for meta in metas if isinstance(meta, Meta)))
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if origin in (Union, types.UnionType):
        return " or ".join("null" if part is type(None) else kind(part) for part in get_args(annotation))
    if origin is list:
        return f"list of {kind(get_args(annotation)[0])}"
    if origin is dict:
        return f"map of {kind(get_args(annotation)[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Struct):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    limits = [
        form.format(f"{value:,}")
        for meta in bounds
        for name, form in BOUNDS.items()
        if (value := getattr(meta, name)) is not None
    ]
    limits += [f"like `{meta.pattern}`" for meta in bounds if meta.pattern is not None]
    return ", ".join(
        [WORDS.get(annotation, str(annotation)), " ".join(limits)]
        if limits
        else [WORDS.get(annotation, str(annotation))]
    )


def default(key: Any) -> str:
    """As one would write it in the file."""
    if key.default_factory is not NODEFAULT:
        value = key.default_factory()
    elif key.default is NODEFAULT:
        return "(needed)"
    else:
        value = key.default
    return f"`{msgspec.json.encode(value).decode()}`" if not isinstance(value, Struct) else "as listed there"


def api() -> str:
    """The reference of every call."""
    with tempfile.TemporaryDirectory() as folder:
        document = openapi.document(Caller(Path(folder), FakeSupervisor()).app)
    return "\n".join(_api(document)) + "\n"


def _api(document: dict[str, Any]) -> Iterator[str]:
    yield from (
        "# The HTTP API",
        "",
        "Made from the OpenAPI document by `python -m tests.reference_pages`. A running pilotlight serves the document at",
        "`/api/openapi.json`, and a page with examples of every body and answer at `/api/docs`.",
        "",
        f"{document['info']['description']} A token goes into `Authorization: Bearer …`; bodies are `application/json`.",
        "What acts takes an `Idempotency-Key`: the same request with the same key is done once and answered twice the same.",
        "",
    )
    for tag in document["tags"]:
        yield from (f"## {tag['name']}", "", escaped(tag["description"]), "")
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if tag["name"] in operation["tags"]:
                    yield from _call(method.upper(), path, operation)
    yield from ("## Shapes", "", "Every type by name; (optional) may be missing.", "")
    for name, schema in document["components"]["schemas"].items():
        yield from (f'### <a id="{name}"></a>{name}', "", escaped(schema.get("description", "")), "")
        yield from _members(schema)


def _call(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield from (
        f"### `{method} {path}`",
        "",
        f"Scope: {operation['x-scope'] or 'none, no token needed'}. {escaped(operation['summary'])}",
    )
    if operation["description"] and operation["description"] != operation["summary"]:
        yield from ("", escaped(operation["description"]))
    if operation["parameters"]:
        yield from ("", "| parameter | in | type | |", "| --- | --- | --- | --- |")
        for item in operation["parameters"]:
            yield row(f"`{item['name']}`", item["in"], shape(item["schema"]), item.get("description", ""))
    answers = operation["responses"].items()
    yield ""
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"- Body, `{media}`: {shape(content['schema'])}"
    for status, response in answers:
        if "$ref" not in response:
            told = "; ".join(
                f"`{media}`: {shape(content['schema'])}" for media, content in response.get("content", {}).items()
            )
            yield f"- {status}: {told}"
    refused = [f"{status}" for status, response in answers if "$ref" in response]
    yield from ([f"- refused ([Problem](#Problem)): {', '.join(refused)}", ""] if refused else [""])


def _members(schema: dict[str, Any]) -> Iterator[str]:
    if "properties" not in schema:
        yield from (shape(schema), "")
        return
    yield from ("| member | type | |", "| --- | --- | --- |")
    for name, part in schema["properties"].items():
        optional = "" if name in schema.get("required", ()) else " (optional)"
        yield row(f"`{name}`{optional}", shape(part), part.get("description", ""))
    yield ""


def shape(schema: dict[str, Any] | bool) -> str:
    """A type in words, with links."""
    if isinstance(schema, bool) or not schema:
        return "any"
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name})"
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(shape(part) for part in schema[several]))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    named = str(schema.get("format") or schema.get("type") or "any")
    if named == "array" and "items" in schema:
        return f"list of {shape(schema['items'])}"
    bounds = [f"{word} {schema[key]:,}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in schema]
    return " ".join([named, *bounds])


def row(*cells: str) -> str:
    """One line of a table."""
    return f"| {' | '.join(escaped(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def escaped(text: str) -> str:
    """As Markdown that shows `<` and does not end a line of a table; what is code stays."""
    parts = " ".join(text.split()).split("`")
    return "`".join(part if index % 2 else part.replace("<", "&lt;") for index, part in enumerate(parts))


PAGES = {"configuration.md": configuration, "API.md": api}


if __name__ == "__main__":
    for name, made in PAGES.items():
        (ROOT / "docs" / name).write_text(made())
