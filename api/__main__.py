"""`python -m api`: the HTTP process in the foreground, for `pilotlight up` and for service managers."""

from __future__ import annotations

import logging
import resource
import sys
import time
from argparse import ArgumentParser

from api.server.instance import claim, keep, listen
from shared import config as configuration
from shared import paths as places
from shared.errors import PilotlightError
from shared.logs import log_everything
from shared.readiness import READY, STOPPING, notify

FILES = 4096
CONFIGURED = "It takes no arguments: PILOTLIGHT_HOME, PILOTLIGHT_PORT and config.yaml say where and how."


def main() -> int:
    """Serve until told to stop. 0 after a polite stop, 1 with a sentence on standard error when it cannot start."""
    began = time.perf_counter()
    try:
        paths = places.resolve()
        config = configuration.load(paths.config_file)
        paths.prepare()
        _raise_file_limit()
        lock, name = claim(paths, config.api.port)
        log_everything(name, paths.log_dir, config.log)
        listener, url = listen(config.api, paths)

        from api.app import create_app
        from api.bus import LazyBus
        from api.server.worker import Server, leave

        app = create_app(config, paths, LazyBus(paths.request_address))
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

    Server(app, config.api.threads, ready).serve(listener)
    notify(STOPPING)
    log.info("stopped")
    lock.release()
    leave(0)
    return 0


def _raise_file_limit() -> None:
    """launchd gives 256 descriptors, which is less than the connections that are served."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if most == resource.RLIM_INFINITY else min(FILES, most)
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


if __name__ == "__main__":
    ArgumentParser("python -m api", description=__doc__, epilog=CONFIGURED).parse_args()
    sys.exit(main())
