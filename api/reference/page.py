"""The reference as one page without a script, a font or a request of its own; its policy allows nothing but its style."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from html import escape
from typing import Any

import msgspec

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 3rem; border-bottom: 1px solid var(--line); }
nav ul { columns: 18rem; padding-left: 1.2rem; }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .6rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; overflow-wrap: anywhere; }
summary b { display: inline-block; min-width: 4.5rem; font-family: ui-monospace, monospace; }
.scope { float: right; font-size: .8rem; border: 1px solid var(--line); border-radius: 1rem; padding: 0 .6rem; }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; padding: .2rem .6rem .2rem 0; }
pre { background: var(--soft); border-radius: .4rem; padding: .6rem; overflow-x: auto; }
code { font-family: ui-monospace, monospace; font-size: .9em; }
"""
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def render(document: dict[str, Any]) -> tuple[str, str]:
    """The page and its Content-Security-Policy."""
    body = "".join(_body(document))
    title = f"{escape(document['info']['title'])} {escape(document['info']['version'])}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}: the HTTP API</title><style>{_STYLE}</style></head><body>{body}</body></html>"
    ), POLICY


def _body(document: dict[str, Any]) -> Iterator[str]:
    yield f"<h1>{escape(document['info']['title'])}: the HTTP API</h1><p>{_prose(document['info']['description'])}</p>"
    yield '<p>For programs: <a href="/api/openapi.json">openapi.json</a> (OpenAPI 3.1).</p><nav><ul>'
    for tag in document["tags"]:
        yield f'<li><a href="#{escape(tag["name"])}">{escape(tag["name"])}</a>: {_prose(tag["description"])}</li>'
    yield '<li><a href="#shapes">Shapes</a>: every type by name.</li></ul></nav>'
    for tag in document["tags"]:
        yield f'<h2 id="{escape(tag["name"])}">{escape(tag["name"])}</h2>'
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if tag["name"] in operation["tags"]:
                    yield from _operation(method.upper(), path, operation)
    yield '<h2 id="shapes">Shapes</h2>'
    for name, schema in document["components"]["schemas"].items():
        yield f'<details id="schema-{escape(name)}"><summary><code>{escape(name)}</code> '
        yield f"{_prose(schema.get('description', ''))}</summary>{_fields(schema)}</details>"


def _operation(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    scope = operation["x-scope"] or "no token"
    yield f'<details><summary><span class="scope">{escape(scope)}</span><b>{method}</b> <code>{escape(path)}</code> '
    yield f"{_prose(operation['summary'])}</summary><p>{_prose(operation['description'])}</p>"
    if operation["parameters"]:
        yield "<table><tr><th>Parameter</th><th>In</th><th>Type</th><th></th></tr>"
        for item in operation["parameters"]:
            yield f"<tr><td><code>{escape(item['name'])}</code></td><td>{item['in']}</td><td>{_type(item['schema'])}</td>"
            yield f"<td>{_prose(item.get('description', ''))}</td></tr>"
        yield "</table>"
    if "requestBody" in operation:
        for kind, content in operation["requestBody"]["content"].items():
            yield f"<p>Body, {escape(kind)}: {_type(content['schema'])}</p>"
            if "example" in content:
                yield _example(content["example"])
    if "x-websocket" in operation:
        yield from _words(operation["x-websocket"])
    yield "<table><tr><th>Status</th><th>Answer</th></tr>"
    for status, response in operation["responses"].items():
        yield f"<tr><td>{status}</td><td>{_answer(response)}</td></tr>"
    yield "</table>"
    for status, response in operation["responses"].items():
        for kind, media in response.get("content", {}).items():
            if "example" in media:
                yield f"<p>{status}, {escape(kind)}:</p>{_example(media['example'])}"
    yield "</details>"


def _words(spoken: dict[str, Any]) -> Iterator[str]:
    for way, title in (("received", "You receive"), ("sent", "You send")):
        shapes = ", ".join(_type(word) for word in spoken[way])
        yield f"<p>{title}, as text: {shapes}; as binary: {'output, or a drawing' if way == 'received' else 'keys'}.</p>"
    rows = "".join(f"<tr><td>{code}</td><td>{_prose(text)}</td></tr>" for code, text in spoken["closes"].items())
    yield f"<table><tr><th>Closes</th><th></th></tr>{rows}</table>"


def _answer(response: dict[str, Any]) -> str:
    if "$ref" in response:
        return _type({"$ref": "#/components/schemas/Problem"})
    parts = [f"{escape(kind)}: {_type(media['schema'])}" for kind, media in response["content"].items()]
    return f"{_prose(response['description'])} {'; '.join(parts)}"


def _fields(schema: dict[str, Any]) -> str:
    if "properties" not in schema:
        return _example(schema)
    rows = [
        f"<tr><td><code>{escape(name)}</code>{'' if name in schema.get('required', ()) else ' (optional)'}</td>"
        f"<td>{_type(part)}</td></tr>"
        for name, part in schema["properties"].items()
    ]
    return f"<table>{''.join(rows)}</table>"


def _type(schema: dict[str, Any] | bool) -> str:
    if isinstance(schema, bool):
        return "any"
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(part) for part in schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    kind = str(schema.get("format") or schema.get("type") or "any")
    if kind == "array" and "items" in schema:
        return f"list of {_type(schema['items'])}"
    bounds = [f"{word} {schema[key]:g}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in schema]
    return escape(" ".join([kind, *bounds]))


def _example(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return f"<pre><code>{escape(text)}</code></pre>"


def _prose(text: str) -> str:
    """Text with `code` in it."""
    return "".join(
        f"<code>{escape(part)}</code>" if index % 2 else escape(part) for index, part in enumerate(text.split("`"))
    )
