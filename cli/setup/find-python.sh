#!/bin/sh
# Print a Python that is 3.11 or newer and can make a virtual environment. A name on PATH proves nothing (version managers
# put stubs there), so each candidate is run. PILOTLIGHT_PYTHON names one to try first.
set -u
without_venv=
for candidate in ${PILOTLIGHT_PYTHON:+"$PILOTLIGHT_PYTHON"} python3.11 python3.12 python3.13 python3.14 python3 python; do
    path=$(command -v "$candidate" 2>/dev/null) || continue
    "$path" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue
    if "$path" -I -c 'import ensurepip, venv' >/dev/null 2>&1; then
        printf '%s\n' "$path"
        exit 0
    fi
    without_venv=$path
done
if [ -n "$without_venv" ]; then
    echo "pilotlight: $without_venv cannot make virtual environments: install its venv module (Debian and Ubuntu: apt install python3-venv)." >&2
else
    echo "pilotlight: Python 3.11 or newer is needed and was not found: install it (macOS: brew install python@3.13; Debian and Ubuntu: apt install python3 python3-venv), or set PILOTLIGHT_PYTHON to its path." >&2
fi
exit 1
