"""The manual: it builds without a broken link, what is made from code is as the code is, and every name in it exists."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest

from api.reference.calls import CALLS
from cli.__main__ import cli
from shared.bus import events
from shared.config import Config
from tests import reference_pages
from tests.harness import ROOT

PAGES = sorted(
    [
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "docs" / "decisions").glob("*.md"),
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "SECURITY.md",
    ]
)
WRITTEN = [
    page for page in PAGES if page.parent.name != "decisions" and page.name not in ("API.md", "configuration.md")
]
"""By hand, and for readers of today."""


def build(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "-q",
        "-f",
        str(source / "mkdocs.yml"),
        "-d",
        str(target),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


def test_the_site_builds_and_no_link_in_it_is_broken(tmp_path: Path) -> None:
    made = build(ROOT, tmp_path / "site")

    assert (made.returncode, made.stderr) == (0, "")
    assert (tmp_path / "site" / "API" / "index.html").exists()
    tour = tmp_path / "site" / "tour"
    pictures = re.findall(r'src="([^"]+\.png)"', (tour / "index.html").read_text())
    assert [picture for picture in pictures if not (tour / picture).exists()] == []
    assert len(pictures) == 4


@pytest.mark.parametrize("name", reference_pages.PAGES)
def test_what_is_made_from_code_is_as_the_code_is(name: str) -> None:
    made = reference_pages.PAGES[name]()

    assert (ROOT / "docs" / name).read_text() == made, "run: python -m tests.reference_pages"


def test_the_reference_has_every_option_with_its_bounds() -> None:
    rows = re.findall(
        r"^\| `(\w+\.\w+)` \| (.+?) \| (.+?) \| (.*) \|$",
        (ROOT / "docs" / "configuration.md").read_text(),
        re.MULTILINE,
    )
    bounds = {path: kind for path, kind, _, _ in rows}

    assert {path for path, _, _, _ in rows} == set(options())
    assert [path for path, _, _, said in rows if not said] == []
    assert bounds["sessions.columns"] == "whole number, from 20 to 500"
    assert bounds["limits.memory_free_percent"] == "number, from 0 below 100"


def test_every_link_of_a_page_in_the_checkout_leads_to_a_file() -> None:
    gone = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r'(?:\]\(|src=")([^)#"\s]+)', page.read_text())
        if "://" not in target and not target.startswith("mailto:") and not reached(page, target)
    ]
    assert gone == []


def reached(page: Path, target: str) -> bool:
    """In the checkout, or made for the site."""
    return (page.parent / target).exists() or target in {"CHANGELOG.md", "decisions/index.md"}


def test_every_command_is_told() -> None:
    told = set(re.findall(r"[a-z][a-z-]*", " ".join(code((ROOT / "docs" / "commands.md").read_text()))))

    assert {name for name, command in cli.commands.items() if not command.hidden} - told == set()


def test_no_page_names_a_command_or_a_flag_that_is_not_there() -> None:
    wrong = []
    for page in WRITTEN:
        for words in re.findall(
            r"(?:^|[`$(]) ?pilotlight (?!is up)((?:[a-z][a-z-]*)(?: [^`\n|]*)?)",
            "\n".join(code(page.read_text())),
            re.MULTILINE,
        ):
            name, *rest = words.split()
            command = cli.commands.get(name)
            if command is None:
                wrong.append(f"{page.name}: pilotlight {name}")
                continue
            flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", re.split(r"[|;&)]", " ".join(rest))[0]))
            wrong += [f"{page.name}: pilotlight {name} {flag}" for flag in flags - flags_of(command)]
    assert wrong == []


def flags_of(command: click.Command) -> set[str]:
    """Of it and of what is below it."""
    own = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    below = command.commands.values() if isinstance(command, click.Group) else ()
    return own.union(*(flags_of(each) for each in below))


def test_no_page_names_an_option_that_is_not_there() -> None:
    sections = {section.name for section in msgspec.structs.fields(Config)}
    named = {
        (page.name, found)
        for page in WRITTEN
        for words in code(page.read_text())
        for found in re.findall(r"(?<![\w./-])(\w+\.[a-z_]+)(?![\w.(/])", words)
        if found.partition(".")[0] in sections
    }
    wrong = {(page, found) for page, found in named if found not in options()}
    assert {found for _, found in wrong} <= OTHERWISE, sorted(wrong)
    assert len(named) > 60


CALLED = r"(?:^|[`$(]) ?pilotlight (?!is up)((?:[a-z][a-z-]*)(?: [^`\n|]*)?)"
OTHERWISE = {
    "api.log", "api.out", "api.token", "api.url", "bus.sock", "bus.tcp", "events.page", "events.since", "events.sock",
    "node.id", "node.json", "permissions.deny",
}  # fmt: skip
"""Files, operations and members that look like options."""


def test_no_page_names_a_call_that_is_not_there() -> None:
    calls = {(call.method, shaped(call.path)) for call in CALLS} | {("GET", "/api/nodes")}  # the gateway's own
    named = {
        (page.name, method, shaped(path))
        for page in WRITTEN
        for method, path in re.findall(r"\b(GET|POST|PATCH|PUT|DELETE) (/[\w/<>{}.-]*)", page.read_text())
    }
    assert {(page, method, path) for page, method, path in named if (method, path) not in calls} == set()
    assert len(named) > 25


def test_no_page_names_an_event_that_is_not_there() -> None:
    named = {(page.name, found) for page in WRITTEN for found in re.findall(r"`(\w+)` events?\b", page.read_text())}
    assert {found for _, found in named} <= set(events.KINDS), named
    assert len(named) > 5


def options() -> set[str]:
    return {
        f"{section.name}.{key.name}"
        for section in msgspec.structs.fields(Config)
        for key in msgspec.structs.fields(section.type)
    }


def shaped(path: str) -> str:
    """Whatever stands for an id."""
    return re.sub(r"(<[^>]+>|\{[^}]+\})", "<>", path.rstrip("."))


def code(text: str) -> Iterator[str]:
    """What a page shows as code: blocks, and words between ticks."""
    blocks = re.split(r"^```.*$", text, flags=re.MULTILINE)
    for index, part in enumerate(blocks):
        yield from [part] if index % 2 else re.findall(r"`([^`]+)`", part)
