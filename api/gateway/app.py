"""A gateway's application: the same guard, problems, reference and dashboard as a node's, and other ways behind them."""

from __future__ import annotations

from typing import Any

from flask import Flask

from api.context import Api
from api.gateway import routes
from api.gateway.events import Merged
from api.gateway.here import EXTENSION, Gateway
from api.gateway.nodes import Nodes
from api.gateway.upstream import Upstream, probe
from shared.errors import NotFound
from shared.paths import Paths

NODES_FILE = "nodes.yaml"


class NoBus:
    """Where the application of a node has its supervisor. What comes here has no way at a gateway."""

    def __init__(self, upstream: Upstream, nodes: Nodes) -> None:
        self._upstream, self._nodes = upstream, nodes

    def call(self, op: str, args: Any = None, *, timeout: float = 10.0, actor: str | None = None) -> Any:
        """Raise NotFound."""
        raise NotFound("A gateway has no sessions of its own: ask a node for this.", code="not_at_a_gateway")

    def tell(self, op: str, args: Any = None, *, actor: str | None = None) -> None:
        """Nobody is told: what is refused here is in the log."""

    def close(self) -> None:
        """End what waits for nodes."""
        self._nodes.stop()
        self._upstream.close()


def collaborators(paths: Paths) -> tuple[Gateway, NoBus, Merged]:
    """What a gateway works with, from the `nodes.yaml` of its home. Raise InvalidRequest."""
    upstream = Upstream()
    nodes = Nodes(paths.home / NODES_FILE, probe)
    return Gateway(nodes, upstream), NoBus(upstream, nodes), Merged(nodes, upstream)


def equip(app: Flask, gateway: Gateway) -> None:
    """Give an application the ways of a gateway."""
    assert isinstance(app.extensions["pilotlight"], Api)
    app.extensions[EXTENSION] = gateway
    routes.register(app)
