"""The person's own terminal while a session is looked at: the prefix, pastes, and what stays untouched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.terminal.keyboard import Keyboard, prefix_byte, prefix_name
from cli.terminal.tty import Cleaner
from shared.errors import InvalidRequest


def test_the_prefix_is_for_us_and_twice_for_the_session() -> None:
    prefix = prefix_byte("C-]")
    assert (prefix, prefix_name(prefix), prefix_byte("c-a")) == (0x1D, "Ctrl+]", 1)
    assert Keyboard(prefix).feed(b"ab\x1dd") == [b"ab", "detach"]
    assert Keyboard(prefix).feed(b"\x1d\x1dx\x1dS\x1dry\x1d?") == [b"\x1dx", "steal", "redraw", b"y", "help"]
    assert Keyboard(prefix).feed(b"\x1dq") == [b"\x1dq"]
    split = Keyboard(prefix)
    assert [split.feed(b"a\x1d"), split.feed(b"d")] == [[b"a"], ["detach"]]
    for wrong in ("]", "C-1", "C-", "x"):
        with pytest.raises(InvalidRequest):
            prefix_byte(wrong)


def test_nothing_in_a_paste_is_for_us() -> None:
    keyboard = Keyboard(0x1D)
    paste = b"\x1b[200~one \x1dd two\x1b[201~"
    assert b"".join(item for n in range(len(paste)) for item in keyboard.feed(paste[n : n + 1])) == paste  # type: ignore[misc]
    assert keyboard.feed(b"\x1dd") == ["detach"]


@given(
    st.lists(
        st.sampled_from([b"a", b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[31m", b"\x1b[?1047h", b"\x1b[2J"]), max_size=8
    )
)
def test_a_session_never_switches_the_persons_own_screen(pieces: list[bytes]) -> None:
    stream = b"".join(pieces) + b"."
    expected = b"".join(piece for piece in pieces if b"?10" not in piece) + b"."
    for size in (1, 3, len(stream)):
        cleaner = Cleaner()
        fed = [cleaner.feed(stream[n : n + size]) for n in range(0, len(stream), size)]
        assert b"".join(shown for shown, _ in fed) == expected
        assert any(switched for _, switched in fed) == (len(expected) < len(stream))


def test_a_session_does_not_clear_what_the_person_can_scroll_back_to() -> None:
    assert Cleaner().feed(b"\x1b[2J\x1b[3Jx") == (b"\x1b[2Jx", False)
