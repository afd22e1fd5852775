"""Every block of the manual is run by a test, read by one here, or named with the reason why it is neither."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest
import yaml

from api.gateway.nodes import NodesFile
from cli.__main__ import cli
from shared import config as configuration
from shared.bus.messages import Event, Reply, Request
from tests.harness import ROOT
from tests.pages import Block, all_blocks, pages

RUN = {
    ("README.md", ""): "tests/real/test_distribution.py",
    ("docs/bus.md", "python"): "tests/unit/bus/test_example.py tests/real/test_pages.py",
    ("docs/bus.md", ""): "tests/real/test_pages.py",
    ("docs/client.md", "python"): "tests/clients/test_python_client.py",
    ("docs/emergency.md", ""): "tests/real/test_pages.py",
    ("docs/first-steps.md", "sh"): "tests/real/test_pages.py",
    ("docs/first-steps.md", "python"): "tests/real/test_pages.py",
    ("docs/machines.md", "sh"): "tests/real/test_pages.py",
    ("docs/mcp.md", "sh"): "tests/clients/test_mcp.py",
    ("docs/moving.md", "sh"): "tests/real/test_pages.py",
    ("docs/terminal.md", "html"): "tests/browser/test_terminal.py",
    ("docs/terminal.md", "python"): "tests/real/test_pages.py",
}
"""By page and language: which tests run all such blocks of it."""

NOT_RUN = {
    "./run       set up": "a checkout's set-up, which tests/real/test_set_up.py tries by itself",
    "./run       start": "the same",
    "$ ./run --detach": "the same, and its start is tests/real/test_distribution.py",
    "$ pilotlight down\n": "stops what the page's other lines run in; tests/unit/cli/test_lifecycle.py does it",
    "$ pilotlight down --all": "the same",
    "./test tests/unit": "the tests themselves",
    ".venv/bin/python -m tests.reference_pages": "writes into the checkout; tests compare what it would write",
    ".venv/bin/python -m tests.matrix": "takes minutes; tests/real/test_matrix.py lives through a few of its cells",
    "kubectl create namespace": "needs a cluster; tests/unit/test_deploy.py reads what is applied",
    " browser, phone, curl": "a drawing",
    "docker build": "needs an engine for containers; tests/unit/test_deploy.py lints and tries what it is made of",
    "tailscale serve": "Tailscale's own program and network",
    "pilotlight.example.org {": "a file of Caddy's",
    "pilotlight up --demo --detach": "starts what the page's test has started; tests/real/test_distribution.py does it",
    "pilotlight move mini1~": "needs two machines; tests/faults/test_gateway.py does it",
    "sudo useradd": "makes an account on this machine",
}
"""By the beginning of the block: why no test runs it."""

EVERY = [(page, block) for page in pages() for block in all_blocks(page)]
CODE = {"", "indented", "sh", "python", "js", "html", "go"}


def reasons(block: Block) -> list[str]:
    return [begin for begin in NOT_RUN if block.text.startswith(begin)]


def test_every_block_that_could_run_is_run_or_has_a_reason() -> None:
    lost = [
        (page, block.language, block.text[:60])
        for page, block in EVERY
        if block.language in CODE and (page, block.language) not in RUN and not reasons(block)
    ]
    assert lost == []


def test_no_reason_and_no_test_is_for_a_block_that_is_gone() -> None:
    assert {begin for _, block in EVERY for begin in reasons(block)} == set(NOT_RUN)
    assert RUN.keys() <= {(page, block.language) for page, block in EVERY}
    for (page, _), tests in RUN.items():
        for test in tests.split():
            assert Path(page).name in (ROOT / test).read_text(), f"{test} does not read {page}"


def test_whatever_is_not_code_is_read() -> None:
    assert {block.language for _, block in EVERY} <= CODE | {"yaml", "json"}


@pytest.mark.parametrize(("page", "text"), [(page, block.text) for page, block in EVERY if block.language == "yaml"])
def test_a_configuration_is_one(page: str, text: str) -> None:
    if text.startswith("# nodes.yaml"):
        assert msgspec.yaml.decode(text.encode(), type=NodesFile).nodes
    else:
        configuration.validate(yaml.safe_load(text), page)


@pytest.mark.parametrize(("page", "text"), [(page, block.text) for page, block in EVERY if block.language == "json"])
def test_what_is_sent_has_its_form(page: str, text: str) -> None:
    """Each value that starts a line: an event, a request or a reply where it says that it is one."""
    for one in re.split(r"\n(?=\{)", text.strip()):
        told = json.loads(one)
        form = Event if "epoch" in told else Request if "op" in told else Reply if "ok" in told else None
        if form is not None:
            msgspec.convert(told, form)
            assert told.keys() <= {field.encode_name for field in msgspec.structs.fields(form)}, page


def test_a_command_that_stands_in_a_block_exists() -> None:
    for page, block in EVERY:
        for name in re.findall(r"(?:^|[$(] ?|; |&& |=\S+ )pilotlight ([a-z][a-z-]*)", block.text, re.MULTILINE):
            assert name in cli.commands or (page, name) == ("README.md", "is"), f"{page}: pilotlight {name}"
