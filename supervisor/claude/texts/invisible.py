"""Where 2.1.330 lets an invisible character stand; everywhere else it silently drops it.

Measured by sending every code point in every neighbourhood that matters and comparing what the model received; the
tables are those measurements, not Unicode's properties, and `tests/real/test_exactness.py` measures them again. 2.1.197
drops none. What must not regress: a text that `first_lost` passes arrives with all of its characters, `without_lost` takes
out no other ones, and both work in one pass without backtracking, so that no text can make them slow.
"""

from __future__ import annotations

import re
from functools import cache

_DROPPED = (
    "AD 34F 61C 115F-1160 17B4-17B5 180B-180F 200B-200F 202A-202E 2060-206F 3164 FE00-FE0F FEFF FFA0 FFF0-FFFB 1107F "
    "13430-1343F 16FE4 1BCA0-1BCA3 1D173-1D17A E0000-E0FFF"
)
_JOINING_LETTERS = (
    "620-63F 641-64A 66E-66F 671-6D3 6D5 6E5-6E6 6EE-6EF 6FA-6FC 6FF 710 712-72F 74D-77F 860-86A 870-887 889-88E "
    "8A0-8C9 904-939 93D 950 960-961 971-980 985-98C 98F-990 993-9A8 9AA-9B0 9B2 9B6-9B9 9BD 9CE 9E0-9E1 9F0-9F1 "
    "9FC A05-A0A A0F-A10 A13-A28 A2A-A30 A32 A35 A38-A39 A5C A72-A74 A85-A8D A8F-A91 A93-AA8 AAA-AB0 AB2-AB3 "
    "AB5-AB9 ABD AD0 AE0-AE1 AF9 B05-B0C B0F-B10 B13-B28 B2A-B30 B32-B33 B35-B39 B3D B5F-B61 B71 B83 B85-B8A "
    "B8E-B90 B92-B95 B99-B9A B9C B9E-B9F BA3-BA4 BA8-BAA BAE-BB9 BD0 C05-C0C C0E-C10 C12-C28 C2A-C39 C3D C58-C5A "
    "C5D C60-C61 C80 C85-C8C C8E-C90 C92-CA8 CAA-CB3 CB5-CB9 CBD CDD-CDE CE0-CE1 CF1-CF2 D04-D0C D0E-D10 D12-D3A "
    "D3D D4E D54-D56 D5F-D61 D7A-D7F D85-D96 D9A-DB1 DB3-DBB DBD DC0-DC6 F00 F40-F42 F44-F47 F49-F4C "
    "F4E-F51 F53-F56 F58-F5B F5D-F68 F6A-F6C F88-F8C 1000-102A 103F 1050-1055 105A-105D 1061 1065-1066 106E-1070 "
    "1075-1081 108E 1780-17B3 17D7 17DC A8F2-A8F7 A8FB A8FD-A8FE A9E0-A9E4 A9E6-A9EF A9FA-A9FE AA60-AA76 AA7A "
    "AA7E-AA7F FB50-FBB1 FBD3-FD3D FD50-FD8F FD92-FDC7 FDF0-FDFB FE70-FE74 FE76-FEFC "
)
"""Letters of scripts that need joiners (Arabic, Syriac, those of India, Sinhala, Tibetan, Burmese, Khmer)."""

_JOINING_MARKS = (
    "610-61A 64B-65F 670 6D6-6DC 711 730-74A 8D3-8E1 8E3-8FF 900-903 93C 93E-94F 981-983 9BC 9BE-9CD A01-A03 A3C-A4D "
    "A81-A83 ABC ABE-ACD B01-B03 B3C B3E-B4D B82 BBE-BCD C00-C04 C3C C3E-C56 C81-C83 CBC CBE-CCD D00-D03 D3B-D3C "
    "D3E-D4D D81-D83 DCA-DDF F71-F84 102B-103E 17B6-17D1 "
)
"""What may stand between such a letter and its joiner."""

_PICTOGRAPHS = (
    "A9 AE 203C 2049 2122 2139 2194-2199 21A9-21AA 231A-231B 2328 23CF 23E9-23F3 23F8-23FA 24C2 25AA-25AB 25B6 "
    "25C0 25FB-25FE 2600-2604 260E 2611 2614-2615 2618 261D 2620 2622-2623 2626 262A 262E-262F 2638-263A 2640 "
    "2642 2648-2653 265F-2660 2663 2665-2666 2668 267B 267E-267F 2692-2697 2699 269B-269C 26A0-26A1 26A7 "
    "26AA-26AB 26B0-26B1 26BD-26BE 26C4-26C5 26C8 26CE-26CF 26D1 26D3-26D4 26E9-26EA 26F0-26F5 26F7-26FA 26FD "
    "2702 2705 2708-270D 270F 2712 2714 2716 271D 2721 2728 2733-2734 2744 2747 274C 274E 2753-2755 2757 "
    "2763-2764 2795-2797 27A1 27B0 27BF 2934-2935 2B05-2B07 2B1B-2B1C 2B50 2B55 3030 303D 3297 3299 1F004 "
    "1F02C-1F02F 1F094-1F09F 1F0AF-1F0B0 1F0C0 1F0CF-1F0D0 1F0F6-1F0FF 1F170-1F171 1F17E-1F17F 1F18E 1F191-1F19A "
    "1F1AE-1F1E5 1F201-1F20F 1F21A 1F22F 1F232-1F23A 1F23C-1F23F 1F249-1F25F 1F266-1F27C 1F27E-1F321 1F324-1F393 "
    "1F396-1F397 1F399-1F39B 1F39E-1F3F0 1F3F3-1F3F5 1F3F7-1F3FA 1F400-1F4FD 1F4FF-1F53D 1F549-1F54E 1F550-1F567 "
    "1F56F-1F570 1F573-1F57A 1F587 1F58A-1F58D 1F590 1F595-1F596 1F5A4-1F5A5 1F5A8 1F5B1-1F5B2 1F5BC 1F5C2-1F5C4 "
    "1F5D1-1F5D3 1F5DC-1F5DE 1F5E1 1F5E3 1F5E8 1F5EF 1F5F3 1F5FA-1F64F 1F680-1F6C5 1F6CB-1F6D2 1F6D5-1F6E5 1F6E9 "
    "1F6EB-1F6F0 1F6F3-1F6FF 1F7DA-1F7FF 1F80C-1F80F 1F848-1F84F 1F85A-1F85F 1F888-1F88F 1F8AE-1F8AF 1F8BC-1F8BF "
    "1F8C2-1F8CF 1F8D9-1F8FF 1F90C-1F93A 1F93C-1F945 1F947-1F9FF 1FA58-1FA5F 1FA6E-1FAFF "
)
"""Emoji, with the code points that Unicode holds in reserve for them."""

_RIGHT_TO_LEFT_LETTERS = "5D0-5EA 620-63F 641-64A 671-6D3 6D5"
_RIGHT_TO_LEFT_MARKS = "591-5BD 5BF 5C1-5C2 5C4-5C5 5C7 64B-65F 670"
_RIGHT_TO_LEFT_ALL = "590-8FF FB1D-FDFF FE70-FEFC 10800-10FFF 1E800-1EFFF"
SKINS = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
"""What may stand between an emoji and its joiner."""

_BLACK_FLAG = "\U0001f3f4\U000e0067\U000e0062(?:{})\U000e007f".format(
    "|".join(("\U000e0065\U000e006e\U000e0067", "\U000e0073\U000e0063\U000e0074", "\U000e0077\U000e006c\U000e0073"))
)


def _class(ranges: str) -> str:
    """Hexadecimal ranges as the inside of a regular expression's character class."""
    ends = (part.partition("-") for part in ranges.split())
    return "".join(rf"\U{int(low, 16):08x}-\U{int(high or low, 16):08x}" for low, _, high in ends)


@cache
def _kept() -> re.Pattern[str]:
    """Made for the first text that is not ASCII: it takes a sixteenth of a supervisor's start, and most never need it."""
    dropped, letters, marks = _class(_DROPPED), _class(_JOINING_LETTERS), _class(_JOINING_MARKS)
    pictographs, rtl = _class(_PICTOGRAPHS), _class(_RIGHT_TO_LEFT_LETTERS)
    rtl_marks, rtl_all = _class(_RIGHT_TO_LEFT_MARKS), _class(_RIGHT_TO_LEFT_ALL)
    alternatives = (
        rf"[^{dropped}{letters}{rtl}{pictographs}]++",
        rf"[{letters}][{marks}]{{0,8}}+[\u200c\u200d](?![{dropped}])",
        rf"[{rtl}][{rtl_marks}]{{0,8}}+[\u200e\u200f](?![{dropped}{rtl_all}])",
        rf"[{letters}{rtl}]",
        rf"(?<![{dropped}{rtl_all}])[\u200e\u200f](?=[{rtl}])",
        _BLACK_FLAG,
        rf"[{pictographs}](?:\ufe0e|[{SKINS}]\ufe0f|[\ufe0f{SKINS}]?(?:\u200d(?=[{pictographs}]))?)",
        r"(?<=[#*0-9])\ufe0f\u20e3",
    )
    return re.compile(f"(?:{'|'.join(alternatives)})*+")


_SOMEWHERE_KEPT = "\u200c\u200d\u200e\u200f\ufe0e\ufe0f\U000e0020-\U000e007f"
_NEVER_KEPT = re.compile(f"(?![{_SOMEWHERE_KEPT}])[{_class(_DROPPED)}]")
_INVISIBLE = re.compile(f"[{_class(_DROPPED)}]")


def first_lost(text: str) -> int | None:
    """The index of the first character that 2.1.330 would drop; None when it keeps them all."""
    if text.isascii():
        return None
    found = _kept().match(text)
    end = found.end() if found else 0
    return None if end == len(text) else end


def without_lost(text: str) -> tuple[str, int]:
    """The text without what 2.1.330 would drop, and how many characters that were. What is kept nowhere goes first: behind a
    zero-width space, a joiner still has the letter that needs it."""
    if text.isascii():
        return text, 0
    text, lost = _NEVER_KEPT.subn("", text)
    kept, at = [], 0
    while True:
        found = _kept().match(text, at)
        end = found.end() if found else at
        kept.append(text[at:end])
        if end == len(text):
            return "".join(kept), lost
        at, lost = end + 1, lost + 1


def is_invisible(character: str) -> bool:
    """Whether 2.1.330 keeps it in some places only, or nowhere."""
    return _INVISIBLE.match(character) is not None
