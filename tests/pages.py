"""The blocks of the manual's pages, for the tests that run them and for the one that asks whether all are run."""

from __future__ import annotations

import re
import textwrap
from typing import NamedTuple

from tests.harness import ROOT

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?<=\n\n)(?: {4}\S.*\n(?:(?: {4}.*)?\n)*)", re.MULTILINE)


class Block(NamedTuple):
    """What stands between fences, or indented (then the language is `indented`)."""

    language: str
    text: str


def all_blocks(page: str) -> list[Block]:
    """Every block of a page, fenced ones first."""
    text = (ROOT / page).read_text()
    fenced = [Block(*found) for found in _FENCED.findall(text)]
    rest = re.sub(r"^\d+\. .*\n(?:    .*\n)+", "", _FENCED.sub("", text), flags=re.MULTILINE)
    return fenced + [Block("indented", textwrap.dedent(found).strip("\n") + "\n") for found in _INDENTED.findall(rest)]


def blocks(page: str, language: str) -> list[str]:
    """What stands in the page's blocks of one language."""
    return [block.text for block in all_blocks(page) if block.language == language]


def pages() -> list[str]:
    """Every page that a person reads, by its path."""
    found = [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("docs/decisions/*.md"),
        *ROOT.glob("deploy/**/*.md"),
    ]
    return sorted(str(path.relative_to(ROOT)) for path in found)


SESSION, URL = "8f18b2f1-c3d4-4b4e-9059-4ce12da03470", "http://127.0.0.1:3001"
"""What the README's lines call its session, and where its API is."""


def readme_lines() -> list[tuple[str, str]]:
    """Each command behind `$` in the README, and what stands below it."""
    line = re.compile(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
    return [found for block in blocks("README.md", "") for found in line.findall(block)]
