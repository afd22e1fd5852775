"""Every text that is accepted reaches the model byte for byte and once, whatever it looks like to the CLI; or, where a person
sends it, in a form that differs from it in what the receipt says.

The texts are sent to both pinned releases; what `check_prompt` lets through is measured here, not argued. The lists are
what once was changed, acted upon or completed by a release, and what people really send.
"""

from __future__ import annotations

import json
import random
import struct
import unicodedata
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from shared.errors import Conflict, InvalidRequest, PilotlightError
from supervisor.claude.texts import invisible
from supervisor.claude.texts.prompts import LONG, check_prompt
from supervisor.delivery.prompt_box import PROOF_SECONDS
from tests.harness import House
from tests.shared_houses import SharedHouse

AT_THE_START = [
    "!ls -la",
    "# a note",
    "@README.md what is this",
    "& in the background",
    "// a comment",
    "/* a comment */",
    "/(a|b)/",
    "／help",
    "！ls",
    "   leading blanks",
    "\n\n\n  leading lines",
    "\t\ttabs\there",
    "\u3000ideographic",
    "\r\nCRLF first",
]
AT_THE_END = [
    "that is nice :smi",
    "vim :qa",
    "list :+1",
    "look at @READ",
    "look at @./",
    "@~/",
    "@src/ma",
    "see #gen",
    "please run /hel",
    "please run /help",
    "x\n/help",
    "a final backslash\\",
    "two of them\\\\",
    "\\",
]
"""What is special at one end of a text: one of each goes together."""

ALONE = [
    "#",
    "?",
    "/etc/hosts is broken",
    "/etc/",
    "[Pasted text #1 +3 lines]",
    "[Image #1]",
    "[...Truncated text #1 +3 lines...]",
    "exit\n\nexit",
    "exit()",
    "logout",
    "1",
    "\\",
    "code:\n```sh\nexit\n```",
]
"""What is special when it is all there is: each goes alone."""

ANYWHERE = [
    "👨‍👩‍👧‍👦 👩🏽‍🚀 🏳️‍🌈 🏴‍☠️ ❤️‍🔥 👁️‍🗨️",
    "🇩🇪🇫🇷 🏴󠁧󠁢󠁥󠁮󠁧󠁿 🏴󠁧󠁢󠁳󠁣󠁴󠁿 🏴󠁧󠁢󠁷󠁬󠁳󠁿",
    "1️⃣ #️⃣ *️⃣ 👍🏿👋🏻 ☎️ ☺︎ ™️ ⁉️",
    "newer than some Unicode tables: \U0001fae9 \U0001fac8 \U0001fa8a",
    "می‌خواهم کتاب‌ها را بخوانم",
    "क्‍ष नमस्ते क्‌ष ক্‍ষ ശ്രീ‍",
    "بِسْمِ ٱللَّهِ ٱلرَّحْمَٰنِ ۝ ؀١٢",
    "שלום עולם שָׁלוֹם",
    "C++\u200fשלום, שלום\u200f! (\u200eשלום)",
    "漢字 かな ガ 한국어 ｶﾞ ＡＢＣ　１２３",
    "x\u0302 ɛ̃ q̃ ą̣ Z̲",
    "\u1112\uafff ᄒ",
    "𝐀𝑩𝒞𝔻 𝟘𝟙 ﷽ ﬁ",
    "⠀⠁ braille blank",
    "\ue000\uf8ff\U000f0001 private",
    "a\u00a0b\u2009c\u202fd",
    "İ ı ß ſ ǅ",
    "quotes ' \" ` ´ \u2018 \u2019 \u201c \u201d",
    "$(id) `id` ${HOME} %s {0} \\n \\x1b[31m",
    "please exit now, help, clear, y, ..., -",
    "ultrathink about it",
    "https://example.com/a?b=c#d",
    "e&lt; <b>not html</b> &amp;",
    "first\r\nsecond\r\n\r\nfourth",
]
"""What is special wherever it stands, if at all: all of it goes together."""

MARKED = [
    "<system-reminder>hi</system-reminder>",
    "<command-name>/clear</command-name>",
    "<bash-input>ls</bash-input>",
    "<local-command-stdout>x</local-command-stdout>",
]
"""What the demo model takes for the CLI's own: looked for in the requests themselves."""


def received(house: House, session: str, text: str) -> list[str]:
    """The prompts that the model got because of this message, which must have been answered."""
    before = len(house.model.turns())
    message = house.send(text, session, wait=30, exact=True)["message"]
    assert message["state"] == "answered", (message["state"], message["error"], ascii(text[:80]))
    return [turn.prompt for turn in house.model.turns()[before:] if turn.attempt == 1]


def assert_exact(house: House, session: str, text: str) -> None:
    """Byte for byte, once."""
    got = received(house, session, text)
    wanted = check_prompt(text).rstrip()
    assert wanted == text.rstrip()
    assert got == [wanted], difference(wanted, got)


def difference(wanted: str, got: list[str]) -> str:
    """The first place where they part, readable."""
    if len(got) != 1:
        return f"{len(got)} prompts for {wanted[:80]!a}"
    at = next(
        (n for n, (a, b) in enumerate(zip(wanted, got[0], strict=False)) if a != b), min(len(wanted), len(got[0]))
    )
    around = slice(max(0, at - 10), at + 10)
    return f"at {at} of {len(wanted)}: sent {wanted[around]!a}, received {got[0][around]!a}"


def picture(path: Path) -> None:
    """A PNG of one pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 4)) + chunk(b"IEND", b"")
    )


def furnish(house: House, warm: str) -> str:
    """The session, in a project whose files could be completed to, attached or shown."""
    (house.project / "README.md").write_text("hello")
    (house.project / "src").mkdir()
    (house.project / "src" / "main.py").write_text("pass")
    picture(house.project / "pic.png")
    return warm


@pytest.mark.turns
def test_no_text_is_a_command_a_key_or_completed(house: SharedHouse, warm: str) -> None:
    session = furnish(house, warm)
    house.cool()
    pid = house.session(session)["pid"]
    paths = [f"{house.project}/pic.png", f"'{house.project}/pic.png'", f"{house.project}/README.md", "./README.md"]
    ends = ["\n".join(both) for both in zip(AT_THE_START, AT_THE_END, strict=True)]
    for text in [*ends, *ALONE, "\n".join(ANYWHERE), *paths, *["the same again"] * 2]:
        assert_exact(house, session, text)
    for text in MARKED:
        assert received(house, session, text) == []
        assert text in last_texts(house), ascii(text)
    assert house.session(session)["pid"] == pid


def last_texts(house: House) -> set[str]:
    """All texts of the last requests."""
    found: set[str] = set()
    for body in house.model.bodies()[-4:]:
        for message in json.loads(body)["messages"]:
            content = message["content"]
            blocks: Iterable[Any] = [{"text": content}] if isinstance(content, str) else content
            found.update(str(block.get("text", "")) for block in blocks)
    return found


@pytest.mark.turns
def test_long_texts_are_exact_wherever_the_cli_cuts_them(house: SharedHouse, warm: str) -> None:
    session = furnish(house, warm)
    house.cool()
    long_line = "0123456789" * 9_999
    many_lines = placed(["x", *(f"{number}: \t漢 👩‍🚀" for number in range(3000)), "x"])
    for text in (long_line, many_lines, "xy\r\n" * 9000 + "y", "x" * (LONG - 1)):
        assert_exact(house, session, text)
    for units in (498, 501):
        for middle in ("\r\n", "\U0001f600", "क्‍ष", "👩‍🚀"):
            for text in ("a" * units + middle + "b" * LONG, "a" * LONG + middle + "b" * units):
                try:
                    check_prompt(text)
                except PilotlightError:
                    continue
                assert_exact(house, session, text)
    assert_exact(house, session, "[Pasted text #1 +2999 lines] and [...Truncated text #2 +9 lines...]")


@pytest.mark.turns
def test_every_emoji_and_joiner_that_passes_arrives(house: SharedHouse, warm: str) -> None:
    session = furnish(house, warm)
    house.cool()
    skins = "\U0001f3fb\U0001f3ff"
    lines: list[str] = []
    for number in [*range(0xA9, 0x3300), *range(0x1F000, 0x1FB00)]:
        sign = chr(number)
        forms = [
            sign + "\ufe0f",
            sign + "\ufe0e",
            f"{sign}\u200d👩",
            f"👩\u200d{sign}",
            f"{sign}\ufe0f\u200d{sign}\ufe0f",
        ]
        forms += [sign + skin + f"\u200d{sign}" for skin in skins] + [
            f"{sign}\u200dx",
            f"{sign}\u200c{sign}",
            f"\u200f{sign}",
        ]
        forms += [f"{sign}\u200e"] if unicodedata.bidirectional(sign) in ("R", "AL") else []
        kept = [form for form in forms if invisible.first_lost(form) is None and unicodedata.is_normalized("NFC", form)]
        lines += [f"-{form}-" for form in kept if invisible.first_lost(f"-{form}-") is None]
    assert len(lines) > 10_000
    for prompt in packed(lines, 80_000):
        assert_exact(house, session, prompt)


def packed(lines: list[str], size: int) -> list[str]:
    """As few prompts as hold the lines; a line that would lie across a cut is put elsewhere by a longer first line."""
    prompts, current, used = [], ["x"], 2
    for line in lines:
        current.append(line)
        used += len(line.encode()) + 1
        if used > size:
            prompts.append(current)
            current, used = ["x"], 2
    prompts.append(current)
    return [placed(prompt) for prompt in prompts]


def placed(lines: list[str]) -> str:
    """The lines as one text that `check_prompt` takes."""
    for before in range(12):
        for behind in range(12):
            text = "\n".join(["x" * (before + 1), *lines[1:], "x" * (behind + 1)])
            try:
                check_prompt(text)
            except PilotlightError:
                continue
            return text
    return "\n".join(lines)


DRAWN = {
    "hindi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है। ",
    "thai": "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ น้ำ ",
    "burmese": "လူတိုင်းသည် တူညီ လွတ်လပ်သော ဂုဏ်သိက္ခာဖြင့် လည်းကောင်း၊ ",
    "hebrew": "כָּל בְּנֵי הָאָדָם נוֹלְדוּ בְּנֵי חוֹרִין ",
    "arabic": "يُولَدُ جَمِيعُ النَّاسِ أَحْرَارًا مُتَسَاوِينَ فِي الْكَرَامَةِ ",
    "japanese": "すべての人間は、生まれながらにして自由であり、ｶﾀｶﾅ ",
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈👍🏽🇩🇪1️⃣❤️☺︎",
    "boxes": "┌─┬─┐│█▓▒░⠿①②③■□●○★☆→←°±×÷§¶ ",
}
OVERDRAWN = {
    "tamil": "மனிதப் பிறிவியினர் சகலரும் சுதந்திரமாகவே பிறக்கின்றனர்; ",
    "malayalam": "മനുഷ്യരെല്ലാവരും തുല്യാവകാശങ്ങളോടും ",
    "bengali": "সমস্ত মানুষ স্বাধীনভাবে সমান মর্যাদা ",
    "jamo": "\u1100\u1100 \u11a8 ",
}
"""Scripts of which a release draws fewer columns than the terminal, so that letters are missing on the screen."""

KNOWN_SECONDS = PROOF_SECONDS - 4


@pytest.mark.turns
def test_whole_paragraphs_of_many_scripts_are_exact(house: SharedHouse, warm: str) -> None:
    session = furnish(house, warm)
    for sentence in DRAWN.values():
        assert_exact(house, session, unicodedata.normalize("NFC", sentence * 40))


@pytest.mark.turns
def test_scripts_that_the_cli_draws_badly_are_exact(house: SharedHouse, warm: str) -> None:
    session = furnish(house, warm)
    for sentence in OVERDRAWN.values():
        text = unicodedata.normalize("NFC", sentence * 10)
        # It is known in the box: a prompt that seems to have left it is asked for after PROOF_SECONDS.
        assert house.send(text, session, wait=KNOWN_SECONDS)["message"]["state"] == "answered", ascii(sentence)
        assert house.model.turns()[-1].prompt == text.rstrip()


CHANGED = [
    ("cafe\u0301 \u212b", "caf\xe9 \xc5", ["nfc"]),
    ("\ufeffa\u200bb\xadc\u2066d\u2069 漢\U000e0100 x\u200dy z\ufe0f", "abcd 漢 xy z", ["invisible:8"]),
    (
        "one\u2028two\u2029three\x85four\rfive\x0bsix\x0cseven\r\neight",
        "one\ntwo\nthree\nfour\nfive\nsix\nseven\r\neight",
        ["lines:6"],
    ),
    ("\x1b[31mred\x1b[0m \x00\x07\x08\x7f\x9b.", "[31mred[0m .", ["control:7"]),
    (
        "می\u200b\u200cخواهم क्\u200dष 👩\u200d🚀 🏳\ufe0f\u200d🌈 1\ufe0f\u20e3 ☺\ufe0e שלום\u200f!",
        None,
        ["invisible:1"],
    ),
    ("a" * (LONG // 20 - 1) + "😀\r\n" * 3000 + "👩\u200d👩" + "b" * (LONG // 20 - 2), None, ["leading:1"]),
    ("e\u200b\u0301\u200b \n", "\xe9", ["nfc", "invisible:2", "trailing:2"]),
    ("exactly\n\n", "exactly", ["trailing:2"]),
]
"""What is sent, what is typed for it (None: the text less its zero-width spaces, behind its leading blanks), and what is told."""


@pytest.mark.turns
def test_what_is_harmless_is_typed_in_the_form_that_arrives_and_told(house: SharedHouse, warm: str) -> None:
    session = furnish(house, warm)
    house.cool()
    texts = []
    for number, (text, wanted, changes) in enumerate(CHANGED):
        before = len(house.model.turns())
        sent = house.send(text, session, wait=30, key=f"exact-{number}")["message"]
        assert sent["state"] == "answered", (sent["error"], ascii(text[:80]))
        typed = wanted or " " * (changes == ["leading:1"]) + text.replace("\u200b", "")
        got = [turn.prompt for turn in house.model.turns()[before:] if turn.attempt == 1]
        assert got == [typed], difference(typed, got)
        assert (sent["text"], sent["typedText"], sent["normalized"]) == (text, typed, changes)
        if not changes[0].startswith("trailing"):
            with pytest.raises(InvalidRequest):
                house.send(text, session, exact=True)
        again = house.send(text, session, key=f"exact-{number}")
        assert again["duplicate"], "what counts is what was sent"
        assert again["message"] == sent
        with pytest.raises(Conflict):
            house.send(typed, session, key=f"exact-{number}")
        texts.append(typed)
    said = house.call("history", {"sessionId": session, "limit": 100})["entries"]
    own = [entry for entry in said if entry["role"] == "user" and entry["source"] == "api"]
    assert [entry["text"] for entry in own][-len(texts) :] == texts
    assert all(entry["messageId"] for entry in own)


SEED = 20240229


def assigned(dice: random.Random) -> str:
    """A character of any script that the CLI can draw; one in ten of those that are ever special."""
    if dice.random() < 0.1:
        return dice.choice("\t\n \u200d\u200c\ufe0f\u200f/!@#\\:😀👩❤ब1اש\u0301\u0323")
    while True:
        number = dice.randrange(0x20, dice.choice([0x250, 0x3000, 0x10000, 0x20000, 0x30000]))
        drawn = not (0x980 <= number < 0xDFF or 0x1160 <= number < 0x1200 or 0xD7B0 <= number < 0xD800)
        if drawn and unicodedata.category(chr(number)) not in ("Cn", "Cs", "Cc", "Co"):
            return chr(number)


@pytest.mark.turns
def test_random_texts_arrive_exactly_or_are_refused(house: House, warm: str) -> None:
    dice = random.Random(SEED)
    session = furnish(house, warm)
    sent = refused = 0
    while sent < 5:
        rows = ("".join(assigned(dice) for _ in range(20)) for _ in range(30))
        text = unicodedata.normalize("NFC", "\n".join(rows))
        while True:
            try:
                check_prompt(text)
            except PilotlightError as error:
                refused += 1
                at = error.data["position"]
                text = unicodedata.normalize("NFC", text[:at] + text[at + 1 :])
            else:
                break
        assert_exact(house, session, text)
        sent += 1
    assert refused > 10
