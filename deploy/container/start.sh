#!/bin/sh
# What the container runs: the configuration of a first start, then `pilotlight` with whatever was said (`up`).
set -eu
umask 077
mkdir -p "$PILOTLIGHT_HOME" "$HOME"
if [ ! -e "$PILOTLIGHT_HOME/config.yaml" ]; then
    # The container's own loopback is nobody else's: what is let in is decided by where the port is published.
    printf 'api:\n  host: "0.0.0.0"\n' >"$PILOTLIGHT_HOME/config.yaml"
fi
exec pilotlight "$@"
