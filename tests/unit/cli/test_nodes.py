"""`pilotlight nodes`, against a gateway behind a real socket."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.__main__ import run
from cli.context import App
from tests.gateway_double import Gateway, Node
from tests.harness import ROOT


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    node = Node(tmp_path, "n1")
    made = Gateway(tmp_path / "gateway", node)
    made.listen()
    yield made
    made.close()
    node.stop()


def app(gateway: Gateway, **environment: str) -> App:
    told = {"PILOTLIGHT_GATEWAY": gateway.url, "PILOTLIGHT_TOKEN": gateway.token}
    return App({"HOME": str(gateway.paths.home), **told, **environment})


def test_the_nodes_are_listed(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["nodes"], app(gateway)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["NODE", "STATE", "SEEN", "ADDRESS", "WHY"]
    assert lines[1].split()[:2] == ["n1", "ok"]
    assert run(["nodes", "--json"], app(gateway)) == 0
    assert [node["state"] for node in json.loads(capsys.readouterr().out)["nodes"]] == ["ok"]


def test_a_refusal_is_told_and_so_is_nobody(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["nodes"], app(gateway, PILOTLIGHT_TOKEN="wrong")) == 5
    assert run(["nodes"], app(gateway, PILOTLIGHT_GATEWAY="http://127.0.0.1:1")) == 3
    assert "does not answer" in capsys.readouterr().err
    assert run(["nodes"], App({"PILOTLIGHT_HOME": str(gateway.paths.home / "none")})) == 3
    assert "pilotlight gateway" in capsys.readouterr().err


def test_a_token_of_this_home_goes_to_no_address_of_others(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gateway.paths.token_file.read_text().strip() == gateway.token
    app = App({"PILOTLIGHT_HOME": str(gateway.paths.home), "PILOTLIGHT_GATEWAY": gateway.url})
    assert run(["nodes"], app) == 2
    assert "Set PILOTLIGHT_TOKEN" in capsys.readouterr().err
    assert run(["mcp", "--url", gateway.url], app) == 5
    assert "--token-file" in capsys.readouterr().err


def test_what_is_no_name_is_refused_in_a_sentence(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["drain", "n 1"], ["drain", "n1&node=n2"], ["move", "8 f&limit=1", "n1"]):
        assert run(words, app(gateway)) in (4, 5), words
        assert "does not answer" not in capsys.readouterr().err, words


def test_a_gateway_is_the_api_in_another_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Any] = []
    monkeypatch.setattr(os, "execve", lambda *told: ran.append(told))
    monkeypatch.chdir(tmp_path)
    run(["gateway"], App({"PILOTLIGHT_HOME": str(tmp_path)}))
    (_, words, environment), here = ran[0], os.getcwd()
    assert (words[1:], environment["PILOTLIGHT_HOME"], Path(here)) == (["-m", "api", "gateway"], str(tmp_path), ROOT)
