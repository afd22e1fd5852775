"""One line of a transcript: the only module that knows what Claude writes there, for the fate of a message as for history.

Unknown types keep coming with each release and are `other`. Shapes are those of 2.1.197 and 2.1.330: a command's output is a
`system` line (`local_command`) or a `user` line (`<local-command-stdout>`), depending on command and release. What must not
regress: a line is decoded once, whoever asks, and what nobody here reads of it (`toolUseResult` repeats the whole result) is
never made into objects; a shape that nobody expected is no error.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

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
_FROM_PEER = "peer"
"""The sender of a prompt that came in through Claude's inbox socket, from another session or any process."""

_INTERRUPTED = "[Request interrupted by user"
_FEEDBACK = "Stop hook feedback:"

USAGE_KEYS = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")

SAID = re.compile(rb'"type":\s?"(user|assistant|summary)"')
"""In the bytes of a transcript: something was said in it. For whoever only has to know that."""

_ROLES = (b'"role":"user"', b'"role":"assistant"')
_ENTERED = frozenset({"prompt", "command", "output"})
_WITH_WORDS = frozenset({"prompt", "absorbed", "refused", "title", "summary"})
_TOLD = frozenset({"assistant", "tool_result", "command", "output", "notice", "compacted", "interrupted"})


def counts(beginning: bytes) -> bool:
    """Whether somebody says something in the line that begins with these bytes, roughly: a prompt, a reply, a tool's result."""
    return not beginning.startswith(b'{"type":"api-request') and any(role in beginning for role in _ROLES)


class _Raw(msgspec.Struct, rename="camel"):
    """The members that are read. Any of them may have any shape."""

    type: Any = None
    subtype: Any = None
    timestamp: Any = None
    uuid: Any = None
    parent_uuid: Any = None
    prompt_id: Any = None
    cwd: Any = None
    message: Any = None
    content: Any = None
    attachment: Any = None
    origin: Any = None
    error: Any = None
    is_sidechain: Any = None
    is_meta: Any = None
    is_compact_summary: Any = None
    is_api_error_message: Any = None
    prevent_continuation: Any = None
    hook_infos: Any = None
    hook_count: Any = msgspec.UNSET
    summary: Any = None
    ai_title: Any = None
    custom_title: Any = None


_decoder = msgspec.json.Decoder(_Raw)


class TranscriptLine(msgspec.Struct, frozen=True):
    """What we use of one line. Its `kind` is one of

    prompt, command, output   what stands in a line of the user's: what was entered, or what a command gave back. `local`: the CLI
                              has said it in a line of its own (`system`), which belongs to no turn
    absorbed                  a prompt that was typed while a turn ran, and was given to Claude in the midst of it
    meta, feedback            what the CLI tells Claude by itself; a person's Stop hook that has it go on
    assistant, tool_result    what Claude said or called, and what a tool gave back
    interrupted               a person has ended the turn
    notice, refused           a notice for the person who looks; a hook has refused a prompt
    compacted, summary, title, turn_end, stop_hooks, other

    `text` is as it is written, `words` as a person is shown it; `at` in milliseconds. `own`: Claude has prompted itself with it,
    or something else that is no person; `peer`: it came in through Claude's inbox, from another session or any process.
    `parent` is the `uuid` of the line before it in the conversation, which need not be the line before it in the file."""

    kind: str
    text: str | None = None
    at: int | None = None
    uuid: str | None = None
    parent: str | None = None
    prompt_id: str | None = None
    message_id: str | None = None
    tool_uses: list[dict[str, Any]] = []
    tool_results: list[dict[str, Any]] = []
    usage: dict[str, int] | None = None
    model: str | None = None
    stop_reason: str | None = None
    api_error: str | None = None
    sidechain: bool = False
    local: bool = False
    own: bool = False
    peer: bool = False
    synthetic: bool = False
    """What the CLI has put in the place of a reply, so that there is one; nobody has said it."""

    hooks: tuple[str, ...] | None = None
    """The commands of the Stop hooks that were run (`stop_hooks`)."""

    cwd: str | None = None

    @property
    def entered(self) -> bool:
        """Whether it stands where a prompt does, and may open a turn."""
        return self.kind in _ENTERED and not self.local

    @property
    def told(self) -> bool:
        """Whether it tells a person something: what is not, is in no history."""
        if self.kind in _WITH_WORDS:
            return bool((self.text or "").strip())
        return self.kind in _TOLD and not self.synthetic

    @property
    def words(self) -> str:
        """Its text as a person is shown it."""
        text = self.text or ""
        if self.tool_results:
            return ""
        if self.kind in ("command", "output"):
            found = _marked(text)
            return found[1] if found is not None else text
        if self.kind in ("notice", "refused", "compacted"):
            return plain(text)
        return _of_peer(text) if self.peer and self.kind == "prompt" else text


def read(data: bytes) -> TranscriptLine | None:
    """One line; None when it is no JSON object."""
    try:
        raw = lenient_json.decode_as(_decoder, data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    match raw.type:
        case "user":
            return _user(raw)
        case "assistant":
            return _assistant(raw)
        case "system":
            return _system(raw)
        case "attachment":
            return _attachment(raw)
        case "summary":
            return _line(raw, "summary", _string(raw.summary))
        case "ai-title" | "custom-title":
            return _line(raw, "title", _string(raw.custom_title or raw.ai_title))
    return _line(raw, "other")


def _line(raw: _Raw, kind: str, text: str | None = None, **more: Any) -> TranscriptLine:
    return TranscriptLine(
        kind,
        text,
        at=_milliseconds(raw.timestamp),
        uuid=_string(raw.uuid),
        parent=_string(raw.parent_uuid),
        prompt_id=_string(raw.prompt_id),
        sidechain=bool(raw.is_sidechain),
        cwd=_string(raw.cwd),
        **more,
    )


def _user(raw: _Raw) -> TranscriptLine:
    content = _object(raw.message).get("content")
    blocks = _blocks(content) if isinstance(content, list) else [{"type": "text", "text": content}]
    results = [block for block in blocks if block.get("type") == "tool_result"]
    texts = _texts(blocks)
    text = "\n".join(texts) if texts else None
    sender = _sender(raw.origin)
    peer = sender == _FROM_PEER
    kind, own = "prompt", peer
    if results:
        kind = "interrupted" if _INTERRUPTED in (text or "") else "tool_result"
    elif (raw.is_meta or raw.is_compact_summary) and not peer:
        kind = "feedback" if (text or "").startswith(_FEEDBACK) else "meta"
    elif (text or "").startswith((f"{_INTERRUPTED}]", f"{_INTERRUPTED} for tool use]")):
        kind = "interrupted"
    elif text and not peer:
        marked = _marked(text)
        kind = marked[0] if marked is not None else kind
        own = marked is None and (sender is not None or bool(_OWN.match(text)))
    return _line(raw, kind, text, tool_results=results, own=own, peer=peer)


def _assistant(raw: _Raw) -> TranscriptLine:
    message = _object(raw.message)
    blocks = _blocks(message.get("content"))
    texts = _texts(blocks)
    usage = _object(message.get("usage"))
    model, error = message.get("model"), None
    if raw.is_api_error_message:
        error = _string(raw.error) or "api_error"
    return _line(
        raw,
        "assistant",
        "".join(texts) if texts else None,
        message_id=_string(message.get("id")),
        tool_uses=[block for block in blocks if block.get("type") == "tool_use"],
        usage={key: usage[key] for key in USAGE_KEYS if isinstance(usage.get(key), int)} or None,
        model=_string(model) if error is None else None,
        stop_reason=_string(message.get("stop_reason")),
        api_error=error,
        synthetic=model == "<synthetic>" and error is None,
    )


def _system(raw: _Raw) -> TranscriptLine:
    text = _string(raw.content)
    match raw.subtype:
        case "turn_duration":
            return _line(raw, "turn_end")
        case "stop_hook_summary":
            return _line(raw, "stop_hooks", hooks=_commands(raw))
        case "local_command" if text is not None and (marked := _marked(text)) is not None:
            return _line(raw, marked[0], text, local=True)
        case "informational" if raw.prevent_continuation:
            return _line(raw, "refused", text)
        case "informational" if text is not None:
            return _line(raw, "notice", text)
        case "compact_boundary" if text is not None:
            return _line(raw, "compacted", text)
    return _line(raw, "other")


def _attachment(raw: _Raw) -> TranscriptLine:
    """A prompt that was typed while a turn ran, and was given to Claude in the midst of it, is one of these."""
    attachment = _object(raw.attachment)
    if attachment.get("type") != "queued_command":
        return _line(raw, "other")
    prompt = attachment.get("prompt")
    text = "\n".join(_texts(_blocks(prompt))) or None if isinstance(prompt, list) else _string(prompt)
    sender = _sender(attachment.get("origin"))
    own = sender is not None or attachment.get("commandMode") not in (None, "prompt") or bool(_OWN.match(text or ""))
    return _line(raw, "absorbed", text, own=own, peer=sender == _FROM_PEER)


def _marked(text: str) -> tuple[str, str] | None:
    """The kind and the words of a command or the output of one, told by its tags."""
    output = _OUTPUT.match(text)
    if output:
        return "output", plain(output.group(2))
    shell = _SHELL.match(text)
    if shell:
        return "command", f"!{shell.group(1).strip()}"
    if text.lstrip().startswith(("<command-name>", "<command-message>")):
        name, args = _NAME.search(text), _ARGS.search(text)
        if name:
            word = name.group(1) if name.group(1).startswith("/") else f"/{name.group(1)}"
            return "command", f"{word} {args.group(1).strip() if args else ''}".strip()
    return None


def plain(text: str) -> str:
    """Without colours and trailing white space."""
    return _ANSI.sub("", text).strip("\n").rstrip()


def _of_peer(text: str) -> str:
    """The words of a peer, less those that the CLI puts around them."""
    found = _PEER.match(text)
    return found.group(1) if found else text


def _commands(raw: _Raw) -> tuple[str, ...] | None:
    """What each hook of a summary runs; None when it does not say it of all."""
    infos = raw.hook_infos
    if not isinstance(infos, list) or (raw.hook_count is not msgspec.UNSET and raw.hook_count != len(infos)):
        return None
    known = tuple(info["command"] for info in _blocks(infos) if isinstance(info.get("command"), str))
    return known if len(known) == len(infos) else None


def _sender(origin: object) -> str | None:
    """Who a prompt is from, when it is not from a person."""
    kind = _object(origin).get("kind")
    return str(kind) if kind not in (None, "human") else None


def _texts(blocks: list[dict[str, Any]]) -> list[str]:
    return [text for block in blocks if block.get("type") == "text" and isinstance(text := block.get("text"), str)]


def _blocks(content: object) -> list[dict[str, Any]]:
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _milliseconds(timestamp: object) -> int | None:
    try:
        return int(datetime.fromisoformat(timestamp).timestamp() * 1000) if isinstance(timestamp, str) else None
    except ValueError:
        return None
