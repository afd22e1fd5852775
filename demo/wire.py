"""The Anthropic wire format: server-sent events, whole messages and error bodies.

Pure: a plan becomes bytes and pauses, the handler does the waiting. Events that need no pause between them
come out as separate pieces, and the handler joins them into one write, which is what keeps a reply instant.
"""

from __future__ import annotations

import itertools
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

from demo.plan import Drop, Fail, Gate, Pause, Plan, Step, Text, Think, ToolUse, Wait

PING = b'event: ping\ndata: {"type": "ping"}\n\n'
ERRORS: dict[int, tuple[str, str]] = {
    400: ("invalid_request_error", "The request is not valid (demo model)"),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "Your credit balance is too low to access the Anthropic API."),
    403: ("permission_error", "Your account does not have permission to use this resource."),
    404: ("not_found_error", "Not found"),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your account's rate limit. Please try again later."),
    500: ("api_error", "Internal server error"),
    504: ("timeout_error", "Request timed out"),
    529: ("overloaded_error", "Overloaded"),
}
REASONS = {402: "Payment Required", 413: "Payload Too Large", 529: "Overloaded"}


def new_id(prefix: str) -> str:
    return f"{prefix}_01{uuid.uuid4().hex[:22]}"


def error_body(fail: Fail, request_id: str) -> bytes:
    kind, message = ERRORS.get(fail.status, ("api_error", "Internal server error"))
    detail = {"type": fail.error_type or kind, "message": fail.message or message}
    return json.dumps({"type": "error", "error": detail, "request_id": request_id}).encode()


def error_headers(fail: Fail) -> dict[str, str]:
    """The headers a rate-limited caller reads; other errors carry none."""
    headers: dict[str, str] = {}
    if fail.retry_after is not None:
        headers["retry-after"] = f"{fail.retry_after:g}"
    if fail.status == 429:
        headers["anthropic-ratelimit-requests-remaining"] = "0"
        reset = time.gmtime(time.time() + (fail.retry_after or 60))
        headers["anthropic-ratelimit-requests-reset"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", reset)
    return headers


def tokens(text_length: int) -> int:
    return max(1, text_length // 4)


def events(plan: Plan, model: str, input_tokens: int) -> Iterator[bytes | Pause]:
    """The stream of one message. A `Drop` ends it where the connection is to be closed."""
    usage = _usage(input_tokens, 1)
    message = {**_message(model, [], usage), "stop_reason": None}
    yield _event("message_start", message=message)
    written = 0
    index = -1
    last: Step | None = None
    for step in plan.steps:
        if isinstance(step, (Wait, Gate)):
            yield step
            continue
        if isinstance(step, Drop):
            yield step
            return
        if not (isinstance(last, Text) and isinstance(step, Text)):
            if last is not None:
                yield _event("content_block_stop", index=index)
            index += 1
            yield _event("content_block_start", index=index, content_block=_empty_block(step))
            if index == 0:
                yield PING
        last = step
        written += len(str(step))
        yield from _deltas(step, index)
    if last is not None:
        yield _event("content_block_stop", index=index)
    delta = {"stop_reason": plan.stop_reason, "stop_sequence": None}
    yield _event("message_delta", delta=delta, usage=_usage(input_tokens, tokens(written)))
    yield _event("message_stop")


def whole(plan: Plan, model: str, input_tokens: int) -> bytes:
    """The same message in one piece, for `stream: false`; the caller has done the waiting."""
    content: list[dict[str, Any]] = []
    for step in plan.steps:
        match step:
            case Text(text) if content and content[-1]["type"] == "text":
                content[-1]["text"] += text
            case Text(text):
                content.append({"type": "text", "text": text})
            case Think(text):
                content.append({"type": "thinking", "thinking": text, "signature": "ZGVtbw=="})
            case ToolUse(_, given):
                content.append({**_empty_block(step), "input": dict(given)})
    usage = _usage(input_tokens, tokens(sum(len(str(block)) for block in content)))
    return json.dumps({**_message(model, content, usage), "stop_reason": plan.stop_reason}).encode()


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields}, ensure_ascii=False)}\n\n".encode(
        errors="surrogatepass"
    )


def _message(model: str, content: list[dict[str, Any]], usage: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": new_id("msg"),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_sequence": None,
        "usage": usage,
    }


def _usage(input_tokens: int, output_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }


def _empty_block(step: Step) -> dict[str, Any]:
    match step:
        case Think():
            return {"type": "thinking", "thinking": "", "signature": ""}
        case ToolUse(name, _):
            return {"type": "tool_use", "id": new_id("toolu"), "name": name, "input": {}}
        case _:
            return {"type": "text", "text": ""}


def _deltas(step: Step, index: int) -> Iterator[bytes | Pause]:
    def delta(kind: str, **fields: str) -> bytes:
        return _event("content_block_delta", index=index, delta={"type": kind, **fields})

    match step:
        case Text(text, over):
            pieces = _pieces(text, over)
            for position, piece in enumerate(pieces):
                if over and position:
                    yield Wait(over / (len(pieces) - 1))
                yield delta("text_delta", text=piece)
        case Think(text):
            yield delta("thinking_delta", thinking=text)
            yield delta("signature_delta", signature="ZGVtbw==")
        case ToolUse(_, given):
            for piece in _pieces(json.dumps(given, ensure_ascii=False), 0):
                yield delta("input_json_delta", partial_json=piece)


def _pieces(text: str, over: float) -> list[str]:
    """At most 64 deltas for an instant reply, about 20 a second for a spread one."""
    wanted = max(2, int(over * 20)) if over else min(64, len(text) // 40 + 1)
    count = max(1, min(wanted, len(text)))
    cuts = [len(text) * number // count for number in range(count + 1)]
    return [text[start:end] for start, end in itertools.pairwise(cuts)]
