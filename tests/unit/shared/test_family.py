"""Claude's own daemon, which a tool may have started, and all below it are nobody's: neither counted nor ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import shared.process
from shared.process import ProcessId, ancestors, arguments, family, identify
from supervisor.holder.process_tree import Tree
from supervisor.lifecycle import orphans
from supervisor.pool import resources

DAEMON = ("daemon", "run", "--origin", "transient", "--spawned-by", "{}")
SCRIPT = (
    "import subprocess, sys; below = subprocess.Popen(['sleep', '60'], start_new_session=True);"
    "print(below.pid, flush=True); below.wait()"
)


@pytest.mark.parametrize(
    ("words", "so"),
    [
        (["/usr/bin/claude", *DAEMON], True),
        (["bun", "/opt/cli.js", *DAEMON], True),
        (["claude bg-pty-host", "--bg-pty-host", "/tmp/s", "200", "50", "--", "claude", "--bg-spare", "x"], True),
        (["claude daemon"], True),
        (["claude", "daemon", "run"], False),
        (["daemon", "run", "--origin"], False),
        (["claude", "--session-id", "x"], False),
        (["sh", "-c", "claude daemon run --origin transient"], False),
        ([], False),
    ],
)
def test_the_daemon_is_known_by_its_words(words: list[str], so: bool) -> None:
    assert family.is_daemons(words) is so


@pytest.fixture
def started(tmp_path: Path) -> Iterator[dict[str, list[ProcessId]]]:
    """A tool, and a daemon beside it, each with a process of its own below it, in a session of ours."""
    environment = {**os.environ, orphans.MARK: str(tmp_path)}
    children = {
        name: subprocess.Popen(
            [sys.executable, "-c", SCRIPT, *words], stdout=subprocess.PIPE, env=environment, start_new_session=True
        )
        for name, words in (("tool", ()), ("daemon", DAEMON))
    }
    found = {}
    for name, child in children.items():
        assert child.stdout is not None
        pids = (child.pid, int(child.stdout.readline()))
        found[name] = [known for pid in pids if (known := identify(pid)) is not None]
    yield found
    for processes in found.values():
        for process in processes:
            os.kill(process.pid, 9)
    for child in children.values():
        child.communicate()


def test_the_kernel_is_asked_once_for_all_processes_of_all_sessions_and_they_are_sorted_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    me = identify(os.getpid())
    assert me is not None
    listings, parents = list[list[int]](), list[int]()
    listed, told = shared.process._all_pids, shared.process._stat

    class Noted(shared.process._Stat):
        def __getattribute__(self, name: str) -> object:
            if name == "parent":
                parents.append(1)
            return super().__getattribute__(name)

    monkeypatch.setattr(shared.process, "_all_pids", lambda: (listings.append(listed()), listings[-1])[1])
    monkeypatch.setattr(shared.process, "_stat", lambda pid: (found := told(pid)) and Noted(*found))
    found = resources.sample({name: [me, me] for name in ("a", "b", "c")})
    assert found["a"].pids >= 1
    assert len(listings) == 1
    assert 0 < len(parents) <= len(listings[0])


def test_neither_it_nor_what_it_runs_is_a_sessions(started: dict[str, list[ProcessId]], tmp_path: Path) -> None:
    me = identify(os.getpid())
    assert me is not None
    tool, daemon = started["tool"], started["daemon"]
    assert arguments(daemon[0])[-1] == DAEMON[-1]
    assert ancestors(daemon[1])[:2] == [daemon[0], me]
    ours = {*family.members(me), *Tree(me, tool[0]).members(), *orphans.belonging(tmp_path)}
    assert set(tool) <= ours
    assert not ours & set(daemon)
    assert [family.is_nobodys(one) for one in (*tool, *daemon)] == [False, False, True, True]
    counted = resources.sample({"s": [me]})["s"].pids
    assert counted == 1 + len(family.members(me))
