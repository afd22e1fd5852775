"""The Flask application, from its collaborators: nothing is read from the environment, nothing is global."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, Response, g, request

from api import routes, web
from api.auth import device_cookie, guard
from api.context import Api, Bus, slots_for
from api.events.feed import Feed
from api.http import access_log, problems
from api.inbox import Source
from api.reference import calls
from api.reference import routes as reference
from shared.access.devices import Devices
from shared.access.persons import EXPECT_HEADER
from shared.access.tokens import Keyring
from shared.bus.messages import MAX_FRAME_BYTES
from shared.config import Config
from shared.errors import Misdirected
from shared.node import EPOCH_HEADER, NODE_HEADER, NodeFile
from shared.paths import Paths

ENVELOPE_BYTES = 64 * 1024
"""What the bus adds around a body; a body that would not fit into a frame is refused before it is read."""

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def create_app(
    config: Config,
    paths: Paths,
    bus: Bus,
    feed: Source | None = None,
    register: Callable[[Flask], None] = routes.register,
) -> Flask:
    """The application for one home; makes the token if there is none. `feed` defaults to the supervisor's events, `register`
    gives it the calls: those of a node, or a gateway's."""
    keyring = Keyring(paths)
    keyring.ensure()
    devices, cookie = Devices(paths, keyring), device_cookie.cookie_name(paths)
    streams, long_calls = slots_for(config.api.threads)
    app = Flask("pilotlight", static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=MAX_FRAME_BYTES - ENVELOPE_BYTES, PROPAGATE_EXCEPTIONS=False)
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.extensions["pilotlight"] = Api(
        config=config,
        paths=paths,
        bus=bus,
        feed=feed or Feed(paths.event_address),
        keyring=keyring,
        devices=devices,
        cookie=cookie,
        streams=streams,
        long_calls=long_calls,
    )
    access_log.access_log(app)
    guard.register(app, config.api, keyring, devices, cookie, calls.scopes())
    problems.register(app)
    register(app)
    app.register_blueprint(reference.routes)
    web.register(app)

    nodes = NodeFile(paths.home)

    @app.before_request
    def refuse_another_node_s() -> None:
        wanted = request.headers.get(EXPECT_HEADER)
        if wanted is not None and ((node := nodes.now()) is None or node.id != wanted):
            raise Misdirected("Another node is meant than the one at this address. Look its address up again.")

    @app.after_request
    def name_node(response: Response) -> Response:
        if request.endpoint != "web.static" and (node := nodes.now()) is not None:  # a file is no node's
            response.headers.setdefault(NODE_HEADER, node.id)
            response.headers.setdefault(EPOCH_HEADER, node.epoch)
        return response

    @app.after_request
    def harden(response: Response) -> Response:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        if g.get("request_id"):
            response.headers["X-Request-Id"] = g.request_id
        return response

    return app
