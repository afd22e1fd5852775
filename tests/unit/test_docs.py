"""The pages for people who write clients name everything that there is, and nothing that there is not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from api.terminals import messages
from shared.bus import events, operations
from tests.harness import ROOT
from tests.unit.bus import every_operation


def first_column(page: str, heading: str) -> set[str]:
    """The names in the first column of the table under this head."""
    text = (ROOT / "docs" / page).read_text()
    rows = text[text.index(f"| {heading} |") :].partition("\n\n")[0].splitlines()[2:]
    return {name for row in rows for name in re.findall(r"`([\w.]+)`", row.split("|")[1])}


def members_in(page: str, heading: str) -> dict[str, list[str]]:
    """The names in the second column of each row of the table under this head."""
    text = (ROOT / "docs" / page).read_text()
    rows = re.findall(
        r"^\| `([\w.]+)` \| (.*) \|$", text[text.index(f"| {heading} |") :].partition("\n\n")[0], re.MULTILINE
    )
    return {name: re.findall(r"`([\w?]+)`", told) for name, told in rows}


def appended() -> Iterator[tuple[str, ast.expr]]:
    """(file, first argument) of every entry into the journal."""
    for path in sorted((ROOT / "supervisor").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "append":
                owner = node.func.value
                name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
                if name.strip("_") == "store":
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node.args[0]


def test_every_kind_of_event_is_told() -> None:
    assert first_column("bus.md", "kind") == set(events.KINDS)
    assert members_in("bus.md", "data of") == events.members()


def test_nothing_is_said_that_has_no_type() -> None:
    found = list(appended())
    assert len(found) > 30
    assert [where for where, said in found if isinstance(said, ast.Constant | ast.JoinedStr)] == []


def test_every_kind_is_said_by_somebody() -> None:
    source = "".join(path.read_text() for path in (ROOT / "supervisor").rglob("*.py"))
    used = re.sub(r"^from [\w.]+ import (\([^)]*\)|.*)$", "", source, flags=re.MULTILINE)
    silent = {kind for kind, struct in events.KINDS.items() if not re.search(rf"\b{struct.__name__}\b", used)}
    assert silent == {"tick"} | repairs()


def repairs() -> set[str]:
    """What the health pass says by the name that `daemon` gives to a repair."""
    return set(re.findall(r'\("(\w+)", [\w.]*restore\)', (ROOT / "supervisor" / "daemon.py").read_text()))


def test_every_repair_that_is_told_of_is_an_event() -> None:
    assert len(repairs()) == 4
    assert repairs() <= set(events.KINDS)


def test_every_operation_is_told(tmp_path: Path) -> None:
    assert first_column("bus.md", "op") == set(every_operation.table(tmp_path))
    assert members_in("bus.md", "args of") == operations.members()


def test_every_word_of_the_terminal_is_told() -> None:
    def tags(words: tuple[type[messages.TerminalMessage], ...]) -> set[Any]:
        return {word.__struct_config__.tag for word in words}

    text = (ROOT / "docs" / "terminal.md").read_text()
    assert first_column("terminal.md", "type") == tags(messages.RECEIVED)
    assert set(re.findall(r'\| .*"type": "(\w+)"', text)) == tags(messages.SENT)
    assert all(str(code) in text for code in messages.CLOSES)


def test_each_decision_has_a_number_of_its_own_and_says_it() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    numbers = [int(page.name.partition("-")[0]) for page in pages]
    assert numbers == sorted(set(numbers))
    assert [page.name for page in pages if not page.read_text().startswith(f"# {int(page.name[:4])}. ")] == []
