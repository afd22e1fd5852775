"""Names of keys: what they send, and what is not sent."""

from __future__ import annotations

import pytest

from shared.errors import InvalidRequest
from supervisor.terminal.keys import key_bytes


def test_text_goes_before_the_keys() -> None:
    assert key_bytes(["Up", "C-c", "x"], "text") == b"text\x1b[A\x03x"


@pytest.mark.parametrize(("keys", "text"), [(["C-z"], None), (["\x1a"], None), ([], "a\x1ab"), ([], "\x1b[122;5u")])
def test_nobody_suspends_claude_without_a_shell_to_bring_it_back(keys: list[str], text: str | None) -> None:
    with pytest.raises(InvalidRequest) as refused:
        key_bytes(keys, text)
    assert refused.value.error_code == "key_refused"


@pytest.mark.parametrize(("keys", "text", "code"), [(["F99"], None, "unknown_key"), ([], None, "keys_required")])
def test_what_is_no_key_is_said(keys: list[str], text: str | None, code: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        key_bytes(keys, text)
    assert refused.value.error_code == code
