"""A QR code for the terminal: what `pilotlight open --qr` prints for a phone's camera.

Byte mode, error correction L, versions 1 to 10 (up to 271 bytes: a link), as ISO/IEC 18004 has it; a dependency for one picture
would be more than the picture. What must not regress: it is the same matrix that the vendored lean-qr makes (a browser test
compares them); it is dark on light with a quiet zone on every terminal, whatever that's own colours are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

from shared.errors import InvalidRequest

_DATA = (19, 34, 55, 80, 108, 136, 156, 194, 232, 274)
_CHECK = (7, 10, 15, 20, 26, 18, 20, 24, 30, 18)
_BLOCKS = (1, 1, 1, 1, 1, 2, 2, 2, 2, 4)
_ALIGN = ((), (6, 18), (6, 22), (6, 26), (6, 30), (6, 34), (6, 22, 38), (6, 24, 42), (6, 26, 46), (6, 28, 50))
"""By version, for level L: data codewords, check codewords of a block, blocks, centres of the alignment patterns."""

_MASKS: tuple[Callable[[int, int], bool], ...] = (
    lambda x, y: (x + y) % 2 == 0,
    lambda x, y: y % 2 == 0,
    lambda x, y: x % 3 == 0,
    lambda x, y: (x + y) % 3 == 0,
    lambda x, y: (y // 2 + x // 3) % 2 == 0,
    lambda x, y: x * y % 2 + x * y % 3 == 0,
    lambda x, y: (x * y % 2 + x * y % 3) % 2 == 0,
    lambda x, y: ((x + y) % 2 + x * y % 3) % 2 == 0,
)
_LEVEL_L = 1
_QUIET = 2
_INK = "\x1b[38;5;16m\x1b[48;5;231m"
_PLAIN = "\x1b[0m"


def matrix(text: str, mask: int | None = None) -> list[list[bool]]:
    """The modules, dark is true. Raise InvalidRequest for what is too long. `mask` is chosen by the rules unless it is given."""
    data = text.encode()
    version = next((v for v, room in enumerate(_DATA, 1) if len(data) + (2 if v < 10 else 3) <= room), None)
    if version is None:
        raise InvalidRequest("This is too long for a QR code.", code="too_long")
    bits = list(_bits(_interleaved(_codewords(data, version), version)))
    made = [_drawn(version, bits, number) for number in (range(8) if mask is None else [mask])]
    return min(made, key=_penalty)


def drawing(text: str) -> str:
    """The same in lines of half blocks, with its quiet zone."""
    modules = matrix(text)
    width = len(modules) + 2 * _QUIET
    edge = [False] * _QUIET
    rows = [[False] * width] * _QUIET + [[*edge, *row, *edge] for row in modules] + [[False] * width] * (_QUIET + 1)
    blocks = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}
    lines = [
        "".join(blocks[pair] for pair in zip(rows[y], rows[y + 1], strict=True)) for y in range(0, len(rows) - 1, 2)
    ]
    return "\n".join(f"{_INK}{line}{_PLAIN}" for line in lines)


# -- data and check words ------------------------------------------------------------------------------------------------


def _codewords(data: bytes, version: int) -> list[int]:
    room, count = _DATA[version - 1] * 8, 8 if version < 10 else 16
    bits = f"0100{len(data):0{count}b}" + "".join(f"{byte:08b}" for byte in data)
    bits += "0" * min(4, room - len(bits))
    bits += "0" * (-len(bits) % 8)
    words = [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]
    return words + [0xEC if number % 2 == 0 else 0x11 for number in range(_DATA[version - 1] - len(words))]


def _interleaved(words: list[int], version: int) -> list[int]:
    count, check = _BLOCKS[version - 1], _CHECK[version - 1]
    short, longer = divmod(len(words), count)
    blocks, at = [], 0
    for number in range(count):
        size = short + (number >= count - longer)
        blocks.append(words[at : at + size])
        at += size
    checks = [_remainder(block, check) for block in blocks]
    found = [block[at] for at in range(short + 1) for block in blocks if at < len(block)]
    return found + [block[at] for at in range(check) for block in checks]


def _times(a: int, b: int) -> int:
    """In the field of 256 elements with the polynomial 0x11D."""
    product = 0
    while b:
        product ^= a * (b & 1)
        a, b = (a << 1) ^ (0x11D * (a >> 7)), b >> 1
    return product


def _remainder(block: list[int], check: int) -> list[int]:
    generator, root = [1], 1
    for _ in range(check):
        shifted = [*generator, 0]
        generator = [x ^ _times(y, root) for x, y in zip(shifted, [0, *generator], strict=True)]
        root = _times(root, 2)
    rest = [0] * check
    for word in block:
        factor = word ^ rest[0]
        rest = [x ^ _times(y, factor) for x, y in zip([*rest[1:], 0], generator[1:], strict=True)]
    return rest


def _bits(words: list[int]) -> Iterator[bool]:
    for word in words:
        yield from ((word >> shift) & 1 == 1 for shift in range(7, -1, -1))


# -- the picture ---------------------------------------------------------------------------------------------------------


def _drawn(version: int, bits: list[bool], mask: int) -> list[list[bool]]:
    size = 17 + 4 * version
    fixed = _patterns(version, size) | _format(mask, size) | _version(version, size)
    stream = iter(bits)
    for x, y in _path(size):
        if (x, y) not in fixed:
            fixed[x, y] = next(stream, False) ^ _MASKS[mask](x, y)
    return [[fixed[x, y] for x in range(size)] for y in range(size)]


def _patterns(version: int, size: int) -> dict[tuple[int, int], bool]:
    fixed: dict[tuple[int, int], bool] = {}
    for number in range(size):
        fixed[number, 6] = fixed[6, number] = number % 2 == 0
    for left, top in ((0, 0), (size - 7, 0), (0, size - 7)):
        for x in range(-1, 8):
            for y in range(-1, 8):
                if 0 <= left + x < size and 0 <= top + y < size:
                    ring = max(abs(x - 3), abs(y - 3))
                    fixed[left + x, top + y] = ring not in (2, 4)
    centres: tuple[int, ...] = _ALIGN[version - 1]
    for cx in centres:
        for cy in centres:
            if (cx, cy) in ((6, 6), (6, centres[-1]), (centres[-1], 6)):
                continue
            for x in range(-2, 3):
                for y in range(-2, 3):
                    fixed[cx + x, cy + y] = max(abs(x), abs(y)) != 1
    return fixed


def _checked(value: int, degree: int, polynomial: int) -> int:
    rest = value << degree
    while rest.bit_length() > degree:
        rest ^= polynomial << (rest.bit_length() - degree - 1)
    return (value << degree) | rest


def _format(mask: int, size: int) -> dict[tuple[int, int], bool]:
    value = _checked(_LEVEL_L << 3 | mask, 10, 0x537) ^ 0x5412
    bits = [(value >> shift) & 1 == 1 for shift in range(15)]
    down = [*range(6), 7, 8, *range(size - 7, size)]
    across = [*range(size - 1, size - 9, -1), 7, *range(5, -1, -1)]
    fixed = {(8, y): bit for y, bit in zip(down, bits, strict=True)}
    fixed |= {(x, 8): bit for x, bit in zip(across, bits, strict=True)}
    return fixed | {(8, size - 8): True}


def _version(version: int, size: int) -> dict[tuple[int, int], bool]:
    if version < 7:
        return {}
    value = _checked(version, 12, 0x1F25)
    fixed = {}
    for number in range(18):
        bit, a, b = (value >> number) & 1 == 1, number // 3, size - 11 + number % 3
        fixed[a, b] = fixed[b, a] = bit
    return fixed


def _path(size: int) -> Iterator[tuple[int, int]]:
    """Two columns at a time from the right, up and down in turn, without the column of the timing pattern."""
    upward = True
    for right in (*range(size - 1, 6, -2), 5, 3, 1):
        for y in range(size - 1, -1, -1) if upward else range(size):
            yield from ((right, y), (right - 1, y))
        upward = not upward


def _penalty(modules: list[list[bool]]) -> int:
    size, columns = len(modules), [list(column) for column in zip(*modules, strict=True)]
    total = 0
    for line in (*modules, *columns):
        text = "".join("1" if dark else "0" for dark in line)
        run = 1
        for before, now in zip(text, text[1:] + "?", strict=True):
            run, ended = (run + 1, 0) if now == before else (1, run)
            total += ended - 2 if ended >= 5 else 0
        total += 40 * sum(text.startswith(("10111010000", "00001011101"), at) for at in range(size - 10))
    for upper, lower in pairwise(modules):
        total += 3 * sum(upper[x] == upper[x + 1] == lower[x] == lower[x + 1] for x in range(size - 1))
    dark = sum(map(sum, modules)) * 100 / size**2
    return total + 10 * int(abs(dark - 50) // 5)
