"""What a transcript line says to a person: prompts, replies, tool calls and results, commands and their output, notices.

`journal` reads the same lines for the fate of a message; this reads them for history and search. Unknown types keep
coming with each release and are skipped. Shapes are those of 2.1.197 and 2.1.330: a command's output is a `system` line
(`local_command`) or a `user` line (`<local-command-stdout>`), depending on command and release.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from supervisor.claude import lenient_json
from supervisor.claude.journal import USAGE_KEYS

_NAME = re.compile(r"<command-name>\s*(/?[^<]*?)\s*</command-name>")
_ARGS = re.compile(r"<command-args>(.*?)</command-args>", re.DOTALL)
_OUTPUT = re.compile(r"^\s*<(local-command-(?:stdout|stderr)|bash-(?:stdout|stderr))>(.*?)(?:</\1>|$)", re.DOTALL)
_SHELL = re.compile(r"^\s*<bash-input>(.*?)</bash-input>", re.DOTALL)
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_OWN = re.compile(r"^\s*<(task-notification|system-reminder|local-command-caveat)>")
INTERRUPTED = "[Request interrupted by user"


@dataclass(frozen=True)
class Spoken:
    """One line. `kind` is prompt, assistant, result, command, output, notice, compacted, interrupted or title; `at` in
    milliseconds; `own` marks what Claude prompted itself with."""

    kind: str
    text: str = ""
    at: int | None = None
    uuid: str | None = None
    prompt_id: str | None = None
    message_id: str | None = None
    tools: list[dict[str, Any]] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, int] | None = None
    model: str | None = None
    stop_reason: str | None = None
    error: str | None = None
    own: bool = False
    side: bool = False


def read(data: bytes) -> Spoken | None:
    """One line; None when it says nothing to a person, or is no JSON object."""
    raw = decode(data)
    if raw is None:
        return None
    match raw.get("type"):
        case "user":
            return _user(raw)
        case "assistant":
            return _assistant(raw)
        case "system":
            return _system(raw)
        case "attachment":
            return _queued(raw)
        case "summary" | "ai-title" | "custom-title":
            text = raw.get("customTitle") or raw.get("aiTitle") or raw.get("summary")
            return Spoken("title", text) if isinstance(text, str) and text.strip() else None
    return None


def decode(data: bytes) -> dict[str, Any] | None:
    """The line as a JSON object."""
    try:
        raw = lenient_json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return raw if isinstance(raw, dict) else None


def milliseconds(timestamp: object) -> int | None:
    """A line's time stamp."""
    try:
        return int(datetime.fromisoformat(str(timestamp)).timestamp() * 1000)
    except ValueError:
        return None


def plain(text: str) -> str:
    """Without colours and trailing white space."""
    return _ANSI.sub("", text).strip("\n").rstrip()


def _common(raw: dict[str, Any]) -> dict[str, Any]:
    prompt_id = raw.get("promptId")
    return {
        "at": milliseconds(raw.get("timestamp")),
        "uuid": raw.get("uuid") if isinstance(raw.get("uuid"), str) else None,
        "prompt_id": prompt_id if isinstance(prompt_id, str) else None,
        "side": bool(raw.get("isSidechain")),
    }


def _marked(text: str, common: dict[str, Any]) -> Spoken | None:
    """A command or the output of one, told by its tags."""
    output = _OUTPUT.match(text)
    if output:
        return Spoken("output", plain(output.group(2)), **common)
    shell = _SHELL.match(text)
    if shell:
        return Spoken("command", f"!{shell.group(1).strip()}", **common)
    if text.lstrip().startswith(("<command-name>", "<command-message>")):
        name, args = _NAME.search(text), _ARGS.search(text)
        if name:
            word = name.group(1) if name.group(1).startswith("/") else f"/{name.group(1)}"
            return Spoken("command", f"{word} {args.group(1).strip() if args else ''}".strip(), **common)
    return None


def _user(raw: dict[str, Any]) -> Spoken | None:
    content = (raw.get("message") or {}).get("content")
    blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
    blocks = [block for block in blocks if isinstance(block, dict)]
    common = _common(raw)
    results = [block for block in blocks if block.get("type") == "tool_result"]
    text = "\n".join(_texts(blocks))
    if results:
        return Spoken("result", results=results, **common)
    if text.startswith(INTERRUPTED):
        return Spoken("interrupted", text, **common)
    if raw.get("isMeta") or raw.get("isCompactSummary") or not text:
        return None
    marked = _marked(text, common)
    if marked is not None:
        return marked
    origin = raw.get("origin")
    human = not isinstance(origin, dict) or origin.get("kind") in (None, "human")
    return Spoken("prompt", text, own=not human or bool(_OWN.match(text)), **common)


def _texts(blocks: list[dict[str, Any]]) -> list[str]:
    return [text for block in blocks if block.get("type") == "text" and isinstance(text := block.get("text"), str)]


def _assistant(raw: dict[str, Any]) -> Spoken | None:
    message = raw.get("message") or {}
    error = raw.get("error") or "api_error" if raw.get("isApiErrorMessage") else None
    if message.get("model") == "<synthetic>" and error is None:
        return None
    content = message.get("content")
    blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    usage = message.get("usage") or {}
    return Spoken(
        "assistant",
        "".join(_texts(blocks)),
        message_id=message.get("id") if isinstance(message.get("id"), str) else None,
        tools=[block for block in blocks if block.get("type") == "tool_use"],
        usage={key: usage[key] for key in USAGE_KEYS if isinstance(usage.get(key), int)} or None,
        model=message.get("model") if error is None else None,
        stop_reason=message.get("stop_reason") if isinstance(message.get("stop_reason"), str) else None,
        error=str(error) if error is not None else None,
        **_common(raw),
    )


def _system(raw: dict[str, Any]) -> Spoken | None:
    content, kind = raw.get("content"), raw.get("subtype")
    if not isinstance(content, str):
        return None
    common = _common(raw)
    if kind == "local_command":
        return _marked(content, common)
    if kind == "informational":
        return Spoken("notice", plain(content), **common)
    if kind == "compact_boundary":
        return Spoken("compacted", plain(content), **common)
    return None


def _queued(raw: dict[str, Any]) -> Spoken | None:
    """A prompt that was typed while a turn ran, and was given to Claude in the midst of it."""
    attachment = raw.get("attachment")
    if not isinstance(attachment, dict) or attachment.get("type") != "queued_command":
        return None
    text = attachment.get("prompt")
    if not isinstance(text, str) or not text:
        return None
    own = attachment.get("commandMode") not in (None, "prompt") or bool(_OWN.match(text))
    return Spoken("prompt", text, own=own, **_common(raw))
