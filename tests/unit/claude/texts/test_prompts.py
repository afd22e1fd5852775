"""What `check_prompt` takes, what it refuses and how it says so. That the CLI agrees is measured in
`tests/real/test_exactness.py`."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.errors import InvalidRequest, TooLarge, UnsendableText
from supervisor.claude.texts.prompts import CUT, LONG, check_prompt

PATIENCE_SECONDS = 0.02
"""How long 100 kB may take; the machine that measures may be three times slower than ours, and slower still for a while."""

TRIES = 30


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "  leading",
        "a\r\nb\nc",
        "/etc/hosts is broken",
        "// comment",
        "!ls",
        "please exit now",
        "a final \\",
        "use :smi",
        "👩‍👩‍👧‍👦 🏳️‍🌈 1️⃣ 🏴󠁧󠁢󠁥󠁮󠁧󠁿 👍🏿",
        "می‌خواهم",
        "क्‍ष",
        "שלום\u200f!",
        "\U0001fae9\U0001fac8",
        "\ue0b0",
        "the (pasted content) of `pasted_content`",
        "[Pasted text #1 +3 lines]",
    ],
)
def test_ordinary_text_passes_with_one_space_behind_it(text: str) -> None:
    assert check_prompt(text) == text + " "


@pytest.mark.parametrize("tail", [" ", "\n", "\r\n\r\n", "\t \u3000", "\u2028", "\x85"])
def test_trailing_white_space_is_dropped(tail: str) -> None:
    assert check_prompt("text" + tail) == "text "


@pytest.mark.parametrize("text", ["", " ", "\n\r\n\t", "\u3000\u2003\xa0"])
def test_blank_is_a_missing_message(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_prompt(text)
    assert (caught.value.error_code, caught.value.status) == ("message_required", 400)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("ab\x1b[A", 2),
        ("\x00", 0),
        ("a\x07", 1),
        ("a\x7f", 1),
        ("a\x85b", 1),
        ("a\x0bb", 1),
        ("a\rb", 1),
        ("a\r\r\nb", 1),
        ("a\u2028b", 1),
        ("a\ud800", 1),
        ("a\u200bb", 1),
        ("a\u200db", 1),
        ("\ufeffa", 0),
        ("a\xadb", 1),
        ("ab\u202eb", 2),
        ("漢\U000e0100", 1),
        ("a\ufe0f", 1),
        ("👩\u200d", 1),
        ("👩\u200d\u200d👩", 1),
        ("cafe\u0301", 4),
        ("x \u212b", 2),
        ("x <pasted_content id='1'>", 2),
        ("x </ Pasted-Content>", 2),
        ("‹pаsted_content", 0),
        ("a\x1c", 1),
    ],
)
def test_what_would_change_is_refused_with_its_place(text: str, position: int) -> None:
    with pytest.raises(UnsendableText) as caught:
        check_prompt(text)
    assert (caught.value.error_code, caught.value.status) == ("unsendable_text", 400)
    assert caught.value.data == {"position": position}
    assert f"at character {position}," in caught.value.message


@pytest.mark.parametrize("text", ["exit", " quit ", ":q", ":wq\n", "\texit", "Exit", "\u3000:q!"])
def test_what_ends_the_process_is_refused(text: str) -> None:
    with pytest.raises(UnsendableText, match="end the session"):
        check_prompt(text)


@pytest.mark.parametrize(
    "text", ["/help", "/", "/ x", " /clear", "\n/exit", "/a:b c", "/help\t/x", "/help\n/x", "/my-cmd é"]
)
def test_what_would_run_as_a_command_is_refused(text: str) -> None:
    with pytest.raises(UnsendableText, match="slash command"):
        check_prompt(text)


def test_the_limit_is_in_bytes() -> None:
    assert check_prompt("é" * 50_000)
    with pytest.raises(TooLarge) as caught:
        check_prompt("é" * 50_000 + "x")
    assert (caught.value.error_code, caught.value.status) == ("message_too_large", 413)


@pytest.mark.parametrize("pair", ["\r\n", "\U0001f600", "क्‍ष", "👩‍👩"])
def test_nothing_that_belongs_together_lies_across_a_cut_of_a_long_text(pair: str) -> None:
    units = len(pair.encode("utf-16-le")) // 2
    for before in range(CUT - units - 2, CUT + 2):
        across = before < CUT < before + units
        try:
            check_prompt("a" * before + pair + "b" * LONG)
            refused = False
        except UnsendableText:
            refused = True
        assert not refused or across or before == CUT, before
        if pair in ("\r\n", "\U0001f600"):
            assert refused == across
        prompt = check_prompt("a" * LONG + pair + "b" * (before - 1))
        pieces = prompt.encode("utf-16-le")[: -2 * CUT], prompt.encode("utf-16-le")[-2 * CUT :]
        assert all(pair in piece.decode("utf-16-le") for piece in pieces) is False
        assert any(pair in piece.decode("utf-16-le") for piece in pieces), "blanks behind a text move its second cut"


def test_a_short_text_has_no_cuts() -> None:
    assert check_prompt("a" * (CUT - 1) + "\U0001f600" + "b" * 1000)


def test_placeholders_are_refused_in_long_texts_only() -> None:
    assert check_prompt("[Image #1] x")
    with pytest.raises(UnsendableText):
        check_prompt("x" * LONG + "[Image #1]")


@given(st.text(max_size=300))
@example("\u0344")
@example("\U0001f3f4\U000e0067")
def test_any_text_is_taken_whole_or_refused_in_words(text: str) -> None:
    refusal = prompt = None
    try:
        prompt = check_prompt(text)
    except InvalidRequest as error:
        refusal = error
    if refusal is not None:
        assert refusal.message.endswith(".")
        assert 0 <= refusal.data.get("position", 0) <= len(text)
    if prompt is not None:
        assert prompt[-1] == " "
        assert text.startswith(prompt[:-1])
        assert text[len(prompt) - 1 :].strip() == ""
        assert unicodedata.is_normalized("NFC", prompt)


@pytest.mark.parametrize(
    "text",
    [
        "x" * 100_000,
        "1 " * 50_000,
        "x\r\n" * 33_000,
        "\r\n" * 49_999 + "x",
        "👩\u200d" * 14_000 + "👩",
        "می\u200cخواهم " * 5_000,
        "क्\u200d" * 8_000 + "क",
        "<" * 100_000,
        "<!" * 50_000,
        "\U0001f600" * 25_000,
        "a" + "\u0316\u0301" * 24_000,
        "a" + "\u0301\u0316" * 24_000,
        "\u0915\u094d" * 16_000,
        "[Pasted text " * 7_500,
        "/" * 100_000,
        " " * 99_999 + "x",
        "x" + " " * 99_999,
    ],
    ids=lambda text: ascii(text[:6]),
)
def test_no_text_takes_long(text: str) -> None:
    assert any(_seconds(text) < 3 * PATIENCE_SECONDS for _ in range(TRIES))


def _seconds(text: str) -> float:
    started = time.thread_time()
    try:
        check_prompt(text)
    except InvalidRequest:
        pass
    return time.thread_time() - started
