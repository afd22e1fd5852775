"""What a transcript line says to a person: prompts, replies, tool calls and results, commands and their output, notices.

`journal` reads the same lines for the fate of a message; this reads them for history and search. Unknown types keep
coming with each release and are skipped. Shapes are those of 2.1.197 and 2.1.330: a command's output is a `system` line
(`local_command`) or a `user` line (`<local-command-stdout>`), depending on command and release.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypedDict

import msgspec

from supervisor.claude import lenient_json

_NAME = re.compile(r"<command-name>\s*(/?[^<]*?)\s*</command-name>")
_ARGS = re.compile(r"<command-args>(.*?)</command-args>", re.DOTALL)
_OUTPUT = re.compile(r"^\s*<(local-command-(?:stdout|stderr)|bash-(?:stdout|stderr))>(.*?)(?:</\1>|$)", re.DOTALL)
_SHELL = re.compile(r"^\s*<bash-input>(.*?)</bash-input>", re.DOTALL)
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_PEER = re.compile(
    r"^Another Claude session sent a message:\n(?:<cross-session-message\b[^>]*>\n)?(.*?)(?:\n</cross-session-message>)?"
    r"(?:\n\nThis came from another Claude session\b.*)?$",
    re.DOTALL,
)
"""How 2.1.330 words for Claude what came in through its inbox socket."""

_OWN = re.compile(r"^\s*<(task-notification|system-reminder|local-command-caveat)>")
PEER = "peer"
"""The origin of a prompt that came in through Claude's inbox socket, from another session or any process."""

INTERRUPTED = "[Request interrupted by user"


USAGE_KEYS = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


@dataclass(frozen=True)
class Spoken:
    """One line. `kind` is prompt, assistant, result, command, output, notice, compacted, interrupted or title; `at` in
    milliseconds; `own` marks what Claude prompted itself with, `peer` what another session, or any process, sent it."""

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
    peer: bool = False
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
    except (msgspec.DecodeError, UnicodeDecodeError):
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
    origin = _origin(raw)
    if text and origin == PEER:
        return Spoken("prompt", _of_peer(text), own=True, peer=True, **common)
    if raw.get("isMeta") or raw.get("isCompactSummary") or not text:
        return None
    marked = _marked(text, common)
    if marked is not None:
        return marked
    return Spoken("prompt", text, own=origin is not None or bool(_OWN.match(text)), **common)


def _origin(raw: dict[str, Any]) -> str | None:
    """Who a prompt is from, when it is not from a person."""
    origin = raw.get("origin")
    kind = origin.get("kind") if isinstance(origin, dict) else None
    return str(kind) if kind not in (None, "human") else None


def _of_peer(text: str) -> str:
    """The words of a peer, less those that the CLI puts around them."""
    found = _PEER.match(text)
    return found.group(1) if found else text


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
    text = _queued_prompt(attachment)
    if not text:
        return None
    origin = _origin(attachment)
    own = origin is not None or attachment.get("commandMode") not in (None, "prompt") or bool(_OWN.match(text))
    return Spoken("prompt", text, own=own, peer=origin == PEER, **_common(raw))


@dataclass(frozen=True)
class TranscriptLine:
    """What we use of one transcript line; unknown types have `kind` "other". An `absorbed` prompt was typed while a turn ran and
    given to Claude in the midst of it; a person's Stop hook that has Claude go on gives `feedback`, and a hook that refuses
    a prompt `refused`. `peer`: a prompt that came in through Claude's inbox, from nobody here.
    `parent` is the `uuid` of the line before it in the conversation, which need not be the line before it in the file."""

    kind: str
    prompt_id: str | None = None
    text: str | None = None
    message_id: str | None = None
    tool_uses: list[dict[str, Any]] = field(default_factory=list)
    tool_results: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, int] | None = None
    stop_reason: str | None = None
    api_error: str | None = None
    at: str | None = None
    uuid: str | None = None
    parent: str | None = None
    sidechain: bool = False
    peer: bool = False
    hooks: tuple[str, ...] | None = None
    """The commands of the Stop hooks that were run (`stop_hooks`)."""


def parse_transcript_line(data: bytes) -> TranscriptLine | None:
    """One line of a transcript; None when it is no JSON object."""
    raw = decode(data)
    if raw is None:
        return None
    place = _Place(
        at=_string(raw.get("timestamp")),
        uuid=_string(raw.get("uuid")),
        parent=_string(raw.get("parentUuid")),
        sidechain=bool(raw.get("isSidechain")),
    )
    kind = raw.get("type")
    if kind == "user":
        return _user_line(raw, place)
    if kind == "assistant":
        return _assistant_line(raw, place)
    if kind == "system" and raw.get("subtype") == "turn_duration":
        return TranscriptLine("turn_end", **place)
    if kind == "system" and raw.get("subtype") == "stop_hook_summary":
        return TranscriptLine("stop_hooks", hooks=_commands(raw), **place)
    if kind == "system" and raw.get("subtype") == "informational" and raw.get("preventContinuation"):
        return TranscriptLine("refused", text=_string(raw.get("content")), **place)
    if kind == "summary":
        return TranscriptLine("summary", text=_string(raw.get("summary")))
    attachment = raw.get("attachment")
    if kind == "attachment" and isinstance(attachment, dict) and attachment.get("type") == "queued_command":
        return TranscriptLine("absorbed", text=_queued_prompt(attachment), peer=_origin(attachment) == PEER, **place)
    return TranscriptLine("other", **place)


def _commands(raw: dict[str, Any]) -> tuple[str, ...] | None:
    """What each hook of a summary runs; None when it does not say it of all."""
    infos = raw.get("hookInfos")
    if not isinstance(infos, list) or raw.get("hookCount", len(infos)) != len(infos):
        return None
    commands = [info.get("command") for info in infos if isinstance(info, dict)]
    known = tuple(command for command in commands if isinstance(command, str))
    return known if len(known) == len(infos) else None


def _queued_prompt(attachment: dict[str, Any]) -> str | None:
    """The words of a prompt that was given to Claude in the midst of a turn: a text, or blocks when an image is with it."""
    prompt = attachment.get("prompt")
    if not isinstance(prompt, list):
        return _string(prompt)
    texts = [block.get("text") for block in prompt if isinstance(block, dict) and block.get("type") == "text"]
    return "\n".join(text for text in texts if isinstance(text, str)) or None


class _Place(TypedDict):
    at: str | None
    uuid: str | None
    parent: str | None
    sidechain: bool


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _message(raw: dict[str, Any]) -> dict[str, Any]:
    value = raw.get("message")
    return value if isinstance(value, dict) else {}


def _user_line(raw: dict[str, Any], place: _Place) -> TranscriptLine:
    content = _message(raw).get("content")
    blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
    texts = [b.get("text", "") for b in blocks if isinstance(b, dict) and b.get("type") == "text"]
    results = [b for b in blocks if isinstance(b, dict) and b.get("type") == "tool_result"]
    text = "\n".join(t for t in texts if isinstance(t, str)) if texts else None
    peer = _origin(raw) == PEER
    kind = "tool_result" if results else "meta" if raw.get("isMeta") or raw.get("isCompactSummary") else "user"
    if kind == "meta" and text and text.startswith("Stop hook feedback:"):
        kind = "feedback"
    if kind == "meta" and peer:
        kind = "user"
    if kind == "user" and text and re.match(r"\[Request interrupted by user( for tool use)?\]", text):
        kind = "interrupted"
    if results and text and "[Request interrupted by user" in text:
        kind = "interrupted"
    return TranscriptLine(
        kind,
        prompt_id=_string(raw.get("promptId")),
        text=text,
        tool_results=results,
        peer=peer,
        **place,
    )


def _assistant_line(raw: dict[str, Any], place: _Place) -> TranscriptLine:
    message = _message(raw)
    content = message.get("content")
    blocks = [b for b in content if isinstance(b, dict)] if isinstance(content, list) else []
    texts = [b["text"] for b in blocks if b.get("type") == "text" and isinstance(b.get("text"), str)]
    tools = [b for b in blocks if b.get("type") == "tool_use"]
    usage = message.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    error = None
    if raw.get("isApiErrorMessage"):
        error = _string(raw.get("error")) or "api_error"
    return TranscriptLine(
        "assistant",
        text="".join(texts) if texts else None,
        message_id=_string(message.get("id")),
        tool_uses=tools,
        usage={key: usage[key] for key in USAGE_KEYS if isinstance(usage.get(key), int)} or None,
        stop_reason=_string(message.get("stop_reason")),
        api_error=error,
        **place,
    )
