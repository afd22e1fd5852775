"""At the prompt no sentence sends anybody to an HTTP call: every one that the supervisor has is looked at."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from cli.__main__ import run
from cli.wording import at_the_prompt
from shared.errors import Conflict
from tests.harness import ROOT
from tests.unit.cli.test_double import app_of, bus_with

_OF_HTTP = re.compile(r"(GET|POST|PUT|PATCH|DELETE) /|/api/|commands call|`(choice|answers|partial|updatedInput)\b")


def sentences() -> Iterator[str]:
    """Every text in the supervisor's code that is no docstring, with `x` for what is filled in."""
    for path in sorted((ROOT / "supervisor").rglob("*.py")):
        tree = ast.parse(path.read_text())
        documents = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        pieces = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents | pieces:
                yield node.value


def advice() -> list[str]:
    """Those that speak of a call or its members to whoever reads them."""
    return sorted({text for text in sentences() if _OF_HTTP.search(text) and " " in text})


def test_advice_names_commands() -> None:
    found = advice()
    assert len(found) > 8
    assert not [text for text in found if _OF_HTTP.search(at_the_prompt(text))]


def test_an_error_at_the_prompt_names_the_command_and_json_keeps_the_words_of_the_api(tmp_path, capsys):
    sentence = "The session has ended (killed). `POST /api/sessions/abc/reopen` brings it back."
    bus = bus_with(message__send=Conflict(sentence, code="session_ended"))
    assert run(["send", "aaaa", "x", "--json"], app_of(tmp_path, bus)) == 5
    told = capsys.readouterr()
    assert "`pilotlight reopen abc` brings it back" in told.err
    assert sentence in told.out
