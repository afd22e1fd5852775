"""`python -m api`: the HTTP process in the foreground, for `pilotlight up` and for service managers.

With `gateway` it is the front door of the nodes in `nodes.yaml` instead of the API of one: the same server, and no supervisor.
"""

from __future__ import annotations

import gc
import logging
import resource
import sys
import time
from argparse import ArgumentParser
from functools import partial
from typing import TYPE_CHECKING, Literal

from api.server.instance import claim, keep, listen
from shared import config as configuration
from shared.certificate import configured
from shared.errors import PilotlightError
from shared.logs import log_everything
from shared.paths import resolve
from shared.readiness import READY, STOPPING, notify

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from api.server.tls import PassOn
    from shared.config import Config
    from shared.paths import Paths

FILES = 4096
CONFIGURED = "PILOTLIGHT_HOME, PILOTLIGHT_PORT and config.yaml say where and how."


def main(mode: Literal["node", "gateway"] = "node") -> int:
    """Serve until told to stop. 0 after a polite stop, 1 with a sentence on standard error when it cannot start."""
    began = time.perf_counter()
    try:
        paths = resolve()
        config = configuration.load(paths.config_file)
        certificate = configured(config.api)
        paths.prepare()
        _raise_file_limit()
        lock, name = claim(paths, config.api.port)
        log_everything(name, paths.log_dir, config.log)
        listener, url = listen(config.api, paths, certificate)

        gc.disable()  # nothing of what is imported is garbage: looking for it took a tenth of the start
        from api.server.tls import TlsFront
        from api.server.worker import Server, leave

        app = _application(mode, config, paths)
        gc.enable()
    except (PilotlightError, OSError) as error:
        print(f"pilotlight api: {error}", file=sys.stderr)
        return 1
    log = logging.getLogger("pilotlight.api")

    def ready() -> None:
        lock.announce(url)
        keep(lock, paths, listener.getsockname()[1])
        if not sys.stderr.isatty():  # a terminal gets the line below
            print(f"pilotlight api: listening at {url}", file=sys.stderr, flush=True)
        notify(READY)
        log.info("listening", extra={"fields": {"url": url, "ms": round((time.perf_counter() - began) * 1000)}})

    front: Callable[[PassOn], TlsFront] | None = None
    if certificate is not None:
        front = partial(TlsFront, listener, config.api, certificate)
    Server(app, config.api.threads, ready, front).serve(listener)
    notify(STOPPING)
    log.info("stopped")
    lock.release()
    leave(0)
    return 0


def _application(mode: Literal["node", "gateway"], config: Config, paths: Paths) -> Flask:
    from api.app import create_app

    if mode == "node":
        from api.bus import LazyBus

        return create_app(config, paths, LazyBus(paths.request_address))
    from api.gateway import app as front

    gateway, bus, feed = front.collaborators(paths)
    app = create_app(config, paths, bus, feed, lambda app: front.equip(app, gateway))
    gateway.nodes.start()
    return app


def _raise_file_limit() -> None:
    """launchd gives 256 descriptors, which is less than the connections that are served."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if most == resource.RLIM_INFINITY else min(FILES, most)
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


if __name__ == "__main__":
    parser = ArgumentParser("python -m api", description=__doc__, epilog=CONFIGURED)
    parser.add_argument("mode", nargs="?", choices=("node", "gateway"), default="node")
    sys.exit(main(parser.parse_args().mode))
