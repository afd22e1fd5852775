"""Another program that Claude has opened as its editor: it is found, named and ended, and a person's own never is."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.process import alive, identify
from supervisor.claude.settings import other_editor
from supervisor.claude.settings.set_up import EDITOR_NAME
from tests.harness import until


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Opens an editor that minds no TERM, below this process, as Claude does."""
    made: list[subprocess.Popen[bytes]] = []

    def open_it(name: str = "my-editor") -> subprocess.Popen[bytes]:
        program = tmp_path / name
        program.write_text("#!/bin/sh\ntrap '' HUP INT TERM\necho up\nread answer\n")
        words = ["sh", str(program), str(tmp_path / "claude-prompt-1.md")]
        child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        made.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        return child

    yield open_it
    for child in made:
        child.kill()
        child.communicate()


def test_it_is_found_by_its_file_named_and_ended(opened: Callable[..., subprocess.Popen[bytes]]) -> None:
    claude = identify(os.getpid())
    assert claude is not None
    assert other_editor.find(claude, None) == []
    editor = opened()
    found = other_editor.find(claude, None)
    assert [process.pid for process in found] == [editor.pid]
    assert other_editor.name(found) == "my-editor"
    other_editor.end(found)
    until(lambda: not alive(found[0]), "it has gone")


def test_what_a_person_has_opened_is_left_alone(opened: Callable[..., subprocess.Popen[bytes]]) -> None:
    claude = identify(os.getpid())
    assert claude is not None
    assert other_editor.find(claude, opened().pid) == []


def test_ours_that_is_slow_is_left_alone(opened: Callable[..., subprocess.Popen[bytes]]) -> None:
    claude = identify(os.getpid())
    assert claude is not None
    opened(EDITOR_NAME)
    assert other_editor.find(claude, None) == []
