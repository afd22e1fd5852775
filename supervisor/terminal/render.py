"""A terminal screen as bytes that draw it again, or as HTML.

pyghostty's own methods give plain text only, so this goes through its binding of libghostty's formatter. What must not
regress: a drawing leaves any terminal that shows it, whatever it showed before, with the same text, styles, cursor,
pen and modes as the original, because raw output is going to be written on top of it.
"""

from __future__ import annotations

import re
from typing import Any

from supervisor.terminal.emulator import Terminal, check, ffi, init_sized, lib

MODES_OFF = b"".join(
    b"\x1b[?%dl" % mode for mode in (1, 5, 6, 9, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 1049, 2004, 2026, 2031)
)
"""Every mode that a program is likely to have set, off; the drawing turns those on again that are."""

BLANK = b"\x1b[0m" + MODES_OFF + b"\x1b[?7h\x1b[?25h\x1b>\x1b[r\x1b[4l\x1b(B\x0f\x1b[H\x1b[2J"
ROWS_BELOW_CURSOR = 5
_PLACED = re.compile(rb"\x1b\[\d+;\d+H")
_SEQUENCE = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]|[\x0e\x0f]")
_LINK = re.compile(r'<a href="([^"]*)">')
_WEB = re.compile(r"https?://", re.IGNORECASE)
_USED = re.compile(r"var\(--vt-palette-(\d{1,3})\)")
_TERMINAL_EXTRAS = ("modes", "scrolling_region", "keyboard")
_SCREEN_EXTRAS = ("cursor", "style", "hyperlink", "protection", "charsets")
_PALETTE = (
    *("#1d1f21", "#cc6666", "#b5bd68", "#f0c674", "#81a2be", "#b294bb", "#8abeb7", "#c5c8c6"),
    *("#666666", "#d54e53", "#b9ca4a", "#e7c547", "#7aa6da", "#c397d8", "#70c0b1", "#eaeaea"),
)


def vt(terminal: Terminal) -> bytes:
    """Bytes that make another terminal of the same size show the same."""
    drawn = _format(terminal, lib.GHOSTTY_FORMATTER_FORMAT_VT, _all(terminal), True)
    return BLANK + (_wrap_pending(drawn) if terminal.get("cursor_pending_wrap", "bool") else drawn)


def _wrap_pending(drawn: bytes) -> bytes:
    """A cursor that waits behind the last column to wrap. The formatter writes the last cell again, which has that effect,
    unless it is empty (a screen that was switched or erased keeps its cursor as it was): then a blank does."""
    place = max(_PLACED.finditer(drawn), key=lambda found: found.start(), default=None)
    if place is None or _SEQUENCE.sub(b"", drawn[place.end() :]):
        return drawn
    return drawn[: place.end()] + b"\x1b[0m " + drawn[place.end() :]


def cropped(terminal: Terminal, cols: int, rows: int) -> bytes:
    """Bytes that show as much as fits of it: the left columns, and the rows around the cursor."""
    width, height = terminal.size
    cols, rows = min(cols, width), min(rows, height)
    x, y = terminal.cursor
    top = max(0, min(height - rows, y + 1 + min(ROWS_BELOW_CURSOR, rows // 3) - rows))
    parts = [BLANK, b"\x1b[?7l"]
    for index in range(rows):
        parts.append(b"\x1b[%d;1H\x1b[0m" % (index + 1))
        parts.append(_format(terminal, lib.GHOSTTY_FORMATTER_FORMAT_VT, _area(terminal, cols, top + index, 1), False))
    parts.append(b"\x1b[0m\x1b[?7h\x1b[%d;%dH" % (min(rows, max(1, y - top + 1)), min(cols, x + 1)))
    if not terminal.mode(25):
        parts.append(b"\x1b[?25l")
    return b"".join(parts)


def html(terminal: Terminal) -> str:
    """One self-contained element: everything that the program wrote is escaped, and its links lead to web pages only."""
    body = _format(terminal, lib.GHOSTTY_FORMATTER_FORMAT_HTML, _all(terminal), False).decode("utf-8", "replace")
    body = _LINK.sub(
        lambda link: f'<a rel="noopener noreferrer" href="{link[1]}">' if _WEB.match(link[1]) else "<a>", body
    )
    used = sorted({int(index) for index in _USED.findall(body)})
    palette = "".join(f"--vt-palette-{index}:{colour(index)};" for index in used)
    return f'<div class="pilotlight-screen" style="{palette}">{body}</div>'


def colour(index: int) -> str:
    """The usual colour of a palette entry (xterm's cube and greys), as CSS."""
    if index < 16:
        return _PALETTE[index]
    if index >= 232:
        grey = 8 + 10 * (index - 232)
        return f"#{grey:02x}{grey:02x}{grey:02x}"
    levels = (0, 95, 135, 175, 215, 255)
    cube = index - 16
    return f"#{levels[cube // 36]:02x}{levels[cube // 6 % 6]:02x}{levels[cube % 6]:02x}"


def between_sequences(terminal: Terminal) -> bool:
    """Whether the output so far does not end within an escape sequence or a character."""
    return terminal.feed_until_ground(b"") is not None


def _all(terminal: Terminal) -> Any:
    cols, rows = terminal.size
    return _area(terminal, cols, 0, rows)


def _area(terminal: Terminal, cols: int, top: int, rows: int) -> Any:
    selection = init_sized("GhosttySelection")
    selection.start = terminal.ref(0, top)[0]
    selection.end = terminal.ref(cols - 1, top + rows - 1)[0]
    return selection


def _format(terminal: Terminal, kind: int, selection: Any, extras: bool) -> bytes:
    options = init_sized("GhosttyFormatterTerminalOptions")
    options.emit, options.unwrap, options.trim, options.selection = kind, False, False, selection
    if extras:
        for name in _TERMINAL_EXTRAS:
            setattr(options.extra, name, True)
        for name in _SCREEN_EXTRAS:
            setattr(options.extra.screen, name, True)
    formatter = ffi.new("GhosttyFormatter*")
    check(lib.ghostty_formatter_terminal_new(ffi.NULL, formatter, terminal._t[0], options[0]), "formatter_new")
    try:
        size = ffi.new("size_t*")
        lib.ghostty_formatter_format_buf(formatter[0], ffi.NULL, 0, size)
        buffer = ffi.new("uint8_t[]", max(size[0], 1))
        check(lib.ghostty_formatter_format_buf(formatter[0], buffer, len(buffer), size), "format")
        return bytes(ffi.buffer(buffer, size[0]))
    finally:
        lib.ghostty_formatter_free(formatter[0])
