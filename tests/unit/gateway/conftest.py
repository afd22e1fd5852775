"""Two nodes and a gateway before them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway_double import Gateway, Node


@pytest.fixture(scope="package")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Node]]:
    folder = tmp_path_factory.mktemp("nodes")
    nodes = Node(folder, "n1"), Node(folder, "n2")
    yield nodes
    for node in nodes:
        node.stop()


@pytest.fixture
def one(pair: tuple[Node, Node]) -> Node:
    pair[0].renew()
    return pair[0]


@pytest.fixture
def two(pair: tuple[Node, Node]) -> Node:
    pair[1].renew()
    return pair[1]


@pytest.fixture
def ask(tmp_path: Path, one: Node, two: Node) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path / "gateway", one, two)
    yield gateway
    gateway.close()
