"""Each word has one meaning in the names of the code: private words are out, and a word that could mean several things means one.

Names are what is defined: functions, classes, arguments, variables, attributes. What Claude, HTTP or a library calls something
is theirs to name. `test_openapi.py` holds the public names of the API, `docs/glossary.md` explains the terms.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from shared.bus.events import KINDS
from shared.bus.operations import OPERATIONS
from tests.unit.test_arrows import modules

INSTEAD = {
    "book": "turns",
    "chore": "task",
    "chores": "tasks",
    "confess": "report",
    "door": "endpoint, or gateway",
    "doors": "endpoints",
    "doorman": "ZAP handler",
    "heal": "restore",
    "household": "managed session",
    "households": "managed sessions",
    "hurry": "soon, or now",
    "leftover": "orphan",
    "leftovers": "orphans",
    "logbook": "log reader",
    "pulse": "condition",
    "relock": "lock outdated",
    "remains": "what is readable",
    "restful": "may hibernate",
    "salvage": "recovery",
    "stranger": "other process",
    "strangers": "other processes",
    "stray": "orphan (a process), unplaced (a line)",
    "strays": "orphans (processes), unplaced (lines)",
    "talk": "history, or message stream",
    "typist": "keyboard queue",
    "visit": "request",
    "volume": "transcript reference",
    "volumes": "transcript references",
}
"""A word that is no name here, and what to say."""

ONE_MEANING = {
    "held": (
        "kept from being sent on purpose: a queue, or a notification",
        "supervisor/waiting supervisor/state supervisor/store supervisor/session supervisor/observation supervisor/notifications "
        "supervisor/moving shared/bus pilotlight/client cli",
    ),
    "hold": (
        "the same; of the demo's model: to wait at a gate",
        "supervisor/waiting supervisor/session supervisor/delivery/queue.py demo",
    ),
    "identity": ("who asks", "api shared/access"),
    "origin": (
        "the HTTP header",
        "api/auth shared/config.py supervisor/claude/transcript.py supervisor/notifications/channels/webpush.py",
    ),
    "origins": ("the HTTP header", "api/auth shared/config.py"),
    "journal": ("the journal of events", "supervisor/store supervisor/notifications"),
    "place": (
        "where something stands in what is in order: a journal, a list, a file, a row",
        "api/events api/gateway api/reference/schemas.py api/routes/history.py cli/commands/history.py pilotlight/client "
        "shared/bus/notifications.py supervisor/bus/operations supervisor/claude/settings supervisor/history supervisor/store "
        "supervisor/holder/ring.py supervisor/notifications/recipients.py supervisor/terminal/render.py",
    ),
    "places": ("the same", "api/gateway cli/commands/logs.py"),
}
"""A word, its meaning, and where it is used for that."""

DRIVING = {"claude", "terminal", "turn", "waiting", "session", "observation", "lifecycle", "delivery"}
"""The rooms that drive Claude."""

SAYING = {"LOST_SIGHT"}
"""Names that say what they say in ordinary English."""


def named(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """What is given a name in a module, and in which line."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, node.lineno
            case ast.arg():
                yield node.arg, node.lineno
            case ast.Name(ctx=ast.Store()):
                yield node.id, node.lineno
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr, node.lineno


def words(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


@pytest.fixture(scope="module")
def all_uses() -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for path, tree in modules():
        for name, line in named(tree):
            for word in words(name) if name not in SAYING else ():
                found.setdefault(word, []).append((path.as_posix(), f"{path}:{line} {name}"))
    return found


def test_private_words_name_nothing(all_uses: dict[str, list[tuple[str, str]]]) -> None:
    wrong = [f"{use}: say {instead}" for word, instead in INSTEAD.items() for _, use in all_uses.get(word, [])]
    assert wrong == []


def test_no_code_and_no_kind_of_event_is_private_language() -> None:
    """What programs compare is public, too."""
    codes = {
        node.value.value
        for _, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "code" and isinstance(node.value, ast.Constant)
    }
    told = {str(code) for code in codes} | set(KINDS) | set(OPERATIONS)
    assert len(told) > 150
    assert {name for name in told if not words(name).isdisjoint(INSTEAD)} == set()


def test_a_word_means_one_thing(all_uses: dict[str, list[tuple[str, str]]]) -> None:
    wrong = [
        f"{use}: `{word}` is {meaning}"
        for word, (meaning, rooms) in ONE_MEANING.items()
        for path, use in all_uses.get(word, [])
        if not any(path == room or path.startswith(f"{room}/") for room in rooms.split())
    ]
    assert wrong == []


def test_an_event_is_what_the_journal_holds() -> None:
    """What happens to a session is a `StateEvent`, what Claude's hooks and our editor tell a `HookEvent` and an `EditorEvent`."""
    events = [
        str(path)
        for path, tree in modules()
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == "Event"
    ]
    assert events == ["pilotlight/client/shapes.py", "shared/bus/messages.py"]


def test_a_time_of_the_cli_has_one_value() -> None:
    """What was measured on the CLI stands beside what waits for it; two numbers under one name would be two measurements."""
    found: dict[str, dict[str, str]] = {}
    for path, tree in modules():
        if path.parts[0] == "supervisor" and path.parts[1] in DRIVING:
            for node in tree.body:
                match node:
                    case ast.Assign(targets=[ast.Name(id=name)]) if name.endswith("_SECONDS"):
                        found.setdefault(name, {})[path.as_posix()] = ast.unparse(node.value)
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


def test_words_are_found_in_names_of_any_form() -> None:
    assert words("_tcpDoor") == words("TCP_DOOR") == words("tcp_door") == {"tcp", "door"}
    assert words("HTTPDoorman") == {"http", "doorman"}
