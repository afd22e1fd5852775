"""JSON that Claude writes, whose strings may hold half an emoji: text cut between the two halves of a surrogate pair.

JavaScript writes such a half as `\\ud83d`; msgspec, being strict, refuses the whole line for it. What must not regress: the
line is read, with U+FFFD in the place of the half; what is no JSON at all is still refused, and so is what is nested too deeply,
in the same way; and lines without such halves, which are nearly all, are decoded once.
"""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
_strict: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
_HALF = re.compile("[\ud800-\udfff]")


def decode(data: bytes) -> Any:
    """The value. Raise msgspec.DecodeError or UnicodeDecodeError when it is none, or nested deeper than can be read."""
    return decode_as(_strict, data)


def decode_as(decoder: msgspec.json.Decoder[T], data: bytes) -> T:
    """The value as this decoder makes it. Raise as `decode` does."""
    try:
        return decoder.decode(data)
    except RecursionError as error:
        raise msgspec.DecodeError(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError):
        try:
            text = json.dumps(json.loads(data.decode("utf-8", "surrogatepass")), ensure_ascii=False)
        except (ValueError, RecursionError):
            text = ""
        whole = _HALF.sub("\N{REPLACEMENT CHARACTER}", text)
        if whole == text:
            raise
        return decoder.decode(whole)
