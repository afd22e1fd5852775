"""What people write survives; what drives a terminal does not."""

from __future__ import annotations

import pytest

from shared.plain_text import escaped, one_line, plain

KEPT = "no\xa0break 全角\u3000空白 👩\u200d💻 \ue0b0\U000f0001 🏴\U000e0067\U000e0062\U000e007f e\u0301 \xad \U0001fae9"
UNSAFE = [chr(code) for code in (*range(9), 11, 12, 13, 27, 0x7F, 0x80, 0x9B, 0x9F)]
TURNING = ["\u061c", "\u200e", "\u200f", "\u2028", "\u2029", "\u202a", "\u202e", "\u2066", "\u2069", "\ud800"]


def test_what_people_write_is_kept() -> None:
    assert plain(KEPT + "\n\tx") == KEPT + "\n\tx"
    assert one_line(KEPT) == KEPT
    assert escaped(KEPT) == KEPT


@pytest.mark.parametrize("char", UNSAFE + TURNING, ids=lambda char: f"{ord(char):x}")
def test_what_drives_a_terminal_is_not(char: str) -> None:
    assert plain(f"a{char}b") == "a�b"
    assert one_line(f"a{char}b") == "a b"
    assert escaped(f"a{char}b") == f"a{char!r}b".replace("'", "")
