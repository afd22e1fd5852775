"""The form in which a text arrives: what is changed, what is told of it, and what is still refused. That it arrives is
measured in `tests/real/test_exactness.py`."""

from __future__ import annotations

import time
import unicodedata
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.errors import InvalidRequest, PilotlightError, TooLarge, UnsendableText
from supervisor.claude.texts.invisible import first_lost, is_invisible, without_lost
from supervisor.claude.texts.normalization import prepare
from supervisor.claude.texts.prompts import CUT, LONG, check_prompt

PATIENCE_SECONDS = 0.1
TRIES = 30


@pytest.mark.parametrize(
    ("sent", "typed", "changes"),
    [
        ("hello", "hello", []),
        ("cafe\u0301", "caf\xe9", ["nfc"]),
        ("\u212b \u2126", "\xc5 \u03a9", ["nfc"]),
        ("\ufeffmy file", "my file", ["invisible:1"]),
        ("a\u200bb\xadc\u2060d", "abcd", ["invisible:3"]),
        ("a\u202eb\u2066c\u2069\u202c", "abc", ["invisible:4"]),
        ("one\u2028two\u2029three\x85four", "one\ntwo\nthree\nfour", ["lines:3"]),
        ("one\rtwo\r\nthree\x0bfour\x0cfive", "one\ntwo\r\nthree\nfour\nfive", ["lines:3"]),
        ("\x1b[31mred\x1b[0m\x07", "[31mred[0m", ["control:3"]),
        ("a\x00b\x7fc\x9bd", "abcd", ["control:3"]),
        ("text \u200b\n", "text", ["invisible:1", "trailing:2"]),
        ("text\r\n\r\n", "text", ["trailing:4"]),
        ("e\u200b\u0301", "\xe9", ["nfc", "invisible:1"]),
        ("\r\u200b\n x", "\n\n x", ["lines:1", "invisible:1"]),
        ("漢\U000e0100字", "漢字", ["invisible:1"]),
        ("x\u200dy z\ufe0f", "xy z", ["invisible:2"]),
        ("می\u200cخواهم\u200b", "می\u200cخواهم", ["invisible:1"]),
        ("می\u200b\u200cخواهم", "می\u200cخواهم", ["invisible:1"]),
        ("क्\u200dष\u200b", "क्\u200dष", ["invisible:1"]),
        ("👩\u200d🚀\ufeff 🏳\ufe0f\u200d🌈 1\ufe0f\u20e3", "👩\u200d🚀 🏳\ufe0f\u200d🌈 1\ufe0f\u20e3", ["invisible:1"]),
        ("👩\u200d", "👩", ["invisible:1"]),
        ("שלום\u200f!\u200b", "שלום\u200f!", ["invisible:1"]),
        ("\u200eabc", "abc", ["invisible:1"]),
    ],
)
def test_what_is_harmless_is_changed_and_told(sent: str, typed: str, changes: list[str]) -> None:
    found = prepare(sent, exact=False)
    assert (found.text, sorted(found.changes)) == (typed, sorted(changes))
    assert found.prompt == typed + " "
    assert prepare(typed, exact=True).prompt == found.prompt
    if any(not change.startswith("trailing") for change in changes):
        with pytest.raises(UnsendableText):
            prepare(sent, exact=True)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("/help", "slash command"),
        ("\u200b/help", "slash command"),
        ("\x1b/help", "slash command"),
        ("/he\u200blp", "slash command"),
        ("\u2028/clear", "slash command"),
        ("ex\u200bit", "end the session"),
        ("\ufeff:q!\x00", "end the session"),
        ("x <pasted\u200b_content>", "pasted_content"),
        ("x <pasted_content>", "pasted_content"),
        ("a\ud800\u200b", "surrogate"),
        ("x\u200b" * LONG + "[Image #1]", "Image #1"),
    ],
)
def test_what_would_change_the_meaning_is_refused_all_the_same(text: str, why: str) -> None:
    with pytest.raises(UnsendableText, match=why) as caught:
        prepare(text, exact=False)
    assert caught.value.status == 400


def test_a_place_in_a_text_that_was_changed_is_told_with_the_changes() -> None:
    with pytest.raises(UnsendableText) as caught:
        prepare("\u200bx <pasted_content>", exact=False)
    assert caught.value.data == {"position": 2, "normalized": ["invisible:1"]}


@pytest.mark.parametrize("text", ["\u200b", "\ufeff\x00 \u2028", "\x1b"])
def test_what_is_blank_without_the_invisible_is_a_missing_message(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        prepare(text, exact=False)
    assert caught.value.error_code == "message_required"


def test_the_limit_counts_what_was_sent_and_what_is_typed() -> None:
    for text in ("\u200b" * 40_000 + "x", "\u0958" * 33_000):
        with pytest.raises(TooLarge):
            prepare(text, exact=False)


ENGLAND = "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"


@pytest.mark.parametrize("pair", ["\r\n", "\U0001f600", "क्\u200dष", "👩\u200d👩\u200d👧\u200d👦", ENGLAND])
def test_blanks_before_a_long_text_move_its_first_cut(pair: str) -> None:
    """Only where the text would not arrive; and all that was joined stays so."""
    for before in range(CUT - 16, CUT + 2):
        text = "a" * before + pair + "b" * LONG
        found = prepare(text, exact=False)
        assert found.text.lstrip(" ") == text
        blanks = len(found.text) - len(text)
        assert found.changes == ([f"leading:{blanks}"] if blanks else [])
        assert prepare(found.text, exact=True).prompt == found.prompt
        if not blanks:
            assert check_prompt(text) == found.prompt


SPECIAL = (
    "\x00\x07\t\n\r\x0b\x0c\x1b\x7f\x85\x9b \xa0\xad\u034f\u061c\u115f\u180b\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202e"
    "\u2060\u2066\u3000\ufe0e\ufe0f\ufeff\U000e0067\U000e007f\U000e0100e\u0301\u0316\u0344\u0958\u212b/!@#<:1\u20e3👩🏳🌈"
    "\U0001f3fd🏴میخक्षש\u05bc가ᄀ\u11a8x"
)
texts = st.text(st.one_of(st.sampled_from(SPECIAL), st.characters(exclude_categories=["Cs"])), max_size=120)


def seen(text: str) -> Counter[str]:
    """What can be seen of a text, letter by letter."""
    shown = (c for c in text if not is_invisible(c) and unicodedata.category(c) != "Cc" and not c.isspace())
    return Counter(unicodedata.normalize("NFD", "".join(shown)))


@given(texts)
@example("\u0344\u200b")
@example("\u0958\u200b")
def test_any_text_arrives_in_a_form_that_is_exact_or_is_refused_for_its_meaning(text: str) -> None:
    try:
        found = prepare(text, exact=False)
    except InvalidRequest as error:
        told = error.message
        assert any(word in told for word in ("is empty", "slash command", "end the session", "pasted_content")), told
        return
    assert prepare(found.text, exact=True) == prepare(found.text, exact=False)
    assert prepare(found.text, exact=True).prompt == found.prompt
    assert seen(found.text) == seen(text), "nothing visible comes or goes"
    assert bool(found.changes) == (found.text != text)


@given(texts)
def test_what_arrives_exactly_is_not_touched(text: str) -> None:
    try:
        prompt = check_prompt(text)
    except InvalidRequest:
        return
    found = prepare(text, exact=False)
    assert found.prompt == prompt
    assert all(change.startswith("trailing:") for change in found.changes)


@given(texts)
def test_only_what_would_be_lost_is_taken_out(text: str) -> None:
    left, lost = without_lost(text)
    assert first_lost(left) is None
    assert lost == len(text) - len(left)
    assert (lost == 0) == (first_lost(text) is None)
    assert [c for c in text if not is_invisible(c)] == [c for c in left if not is_invisible(c)]


@pytest.mark.parametrize(
    "text",
    [
        "\u200b" * 33_000 + "x",
        "x\u200b" * 25_000,
        "👩\u200d" * 14_000,
        "e\u0301" * 33_000,
        "a" + "\u0316\u0301" * 24_000,
        "a" + "\u0301\u0316" * 24_000,
        "e\u200b\u0301" * 16_000,
        "\x00x" * 50_000,
        "x\r" * 50_000,
        "\u2028" * 33_000 + "x",
        "x \u200b" * 20_000,
        "\u0344" * 49_000,
        "می\u200b\u200c" * 10_000,
    ],
    ids=lambda text: ascii(text[:6]),
)
def test_no_text_takes_long(text: str) -> None:
    assert any(_seconds(text) < 3 * PATIENCE_SECONDS for _ in range(TRIES))


def _seconds(text: str) -> float:
    started = time.thread_time()
    try:
        prepare(text, exact=False)
    except PilotlightError:
        pass
    return time.thread_time() - started
