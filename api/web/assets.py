"""The files of the dashboard, read once: under one hash of all of them, compressed, and joined where that saves a request.

Whatever lies in `static/` is served as `/static/<hash>/<path>` and never changes there, so a browser keeps it for ever and asks
only for the page itself. Two files are made when they are read: `app.css` (tokens, components and what the app adds, in one) and
the pages, into which the icons and the hash are written.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

STATIC = Path(__file__).parent / "static"
STYLES = ("tokens.css", "components.css", "own.css")
FIRST = (
    "vendor/preact.js",
    "app/main.js",
    "app/api.js",
    "app/store.js",
    "app/stream.js",
    "app/words.js",
    "app/ui.js",
    "app/shell.js",
    "app/sessions.js",
)
"""The modules of the first view, fetched side by side instead of one after the other."""

OFFLINE = ("vendor/marked.js",)
TERMINAL = frozenset({"app/terminal.js"})
"""What else the service worker keeps, once the first view stands; the terminal is of no use without a server."""

TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".html": "text/html; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain; charset=utf-8",
    ".lock": "application/json",
}
_FOR_READERS = re.compile(
    rb"^[ ]*(?:/\*\*(?:(?!\*/)(?s:.))*\*/|//.*)\n|^[ ]+|(?<=[;,(){}])[ ]//[^\"'`\n]*$", re.MULTILINE
)
"""What stands in our modules for people and for `tsc`, on lines of its own, before and behind the others: no browser needs it."""

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_SPACE = re.compile(r"\s*([{};,])\s*|(?<=:)\s+")
"""What stands in a stylesheet for people only."""


@dataclass(frozen=True)
class Asset:
    """One file as it is sent; `packed` is it in gzip, where that is smaller."""

    body: bytes
    kind: str
    packed: bytes | None = None

    @classmethod
    def of(cls, body: bytes, suffix: str) -> Asset:
        """With its type, and compressed if that helps."""
        packed = gzip.compress(body, 9, mtime=0) if suffix != ".png" else b""
        return cls(body, TYPES[suffix], packed if 0 < len(packed) < len(body) else None)

    @property
    def tag(self) -> str:
        """What tells it from another version."""
        return hashlib.sha256(self.body).hexdigest()[:20]


@cache
def version() -> str:
    """The hash of everything: a name for this version of the dashboard."""
    digest = hashlib.sha256()
    for path in sorted(path for path in STATIC.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(STATIC)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


@cache
def asset(name: str) -> Asset | None:
    """The file of this name, or None."""
    if name == "app.css":
        return Asset.of(_styles().encode(), ".css")
    known = {str(path.relative_to(STATIC)) for path in STATIC.rglob("*") if path.is_file()}
    if name not in known or name.startswith("pages/"):
        return None
    path = STATIC / name
    if path.suffix not in TYPES:
        return None
    body = path.read_bytes()
    return Asset.of(_FOR_READERS.sub(b"", body) if name.startswith("app/") else body, path.suffix)


@cache
def page(name: str) -> Asset:
    """A page, or another file at a fixed address, with its links to this version."""
    path = STATIC / "pages" / name
    text = path.read_text()
    preload = "\n".join(f'<link rel="modulepreload" href="/static/{version()}/{module}">' for module in FIRST)
    offline = sorted({*FIRST, *OFFLINE, *(f"app/{path.name}" for path in (STATIC / "app").glob("*.js"))} - TERMINAL)
    shell = ", ".join(f'"/static/{version()}/{module}"' for module in ("app.css", *offline))
    for mark, value in (("%PRELOAD%", preload), ("%SHELL%", shell), ("%ICONS%", _icons()), ("%VERSION%", version())):
        text = text.replace(mark, value)
    return Asset.of(text.encode(), path.suffix)


def _styles() -> str:
    text = "\n".join((STATIC / name).read_text() for name in STYLES)
    text = _COMMENT.sub("", text.replace('@import url("tokens.css");', ""))
    return _SPACE.sub(r"\1", text).replace(";}", "}").strip() + "\n"


def _icons() -> str:
    """The symbols, to stand in the page: `<use>` of another file would cost a request, and a flash without icons."""
    symbols = re.findall(r"<symbol.*?</symbol>", (STATIC / "icons.svg").read_text(), re.DOTALL)
    return "".join(symbols)
