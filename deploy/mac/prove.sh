#!/bin/bash
# What only a Mac can prove, proven there: launchd starts, restarts and ends pilotlight, and no session notices.
#
#   deploy/mac/prove.sh [REPORT]        from a checkout in which ./run has run once; the report goes to REPORT
#
# It works in a home of its own, with the demo (the real CLI, answered by a scripted model), and takes away what it made.
# shellcheck disable=SC2329 # what is proven is called by its name
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
report=${1:-$root/mac-report.md}
pilotlight=$root/.venv/bin/pilotlight
failed=0

if [ "$(uname -s)" != Darwin ]; then
    echo "This is not a Mac: what this script proves can be proven nowhere else." >&2
    exit 2
fi
if [ ! -x "$pilotlight" ]; then
    echo "There is no $pilotlight yet: \`./run --detach\` makes it; then \`pilotlight down\`." >&2
    exit 2
fi
if ls "$HOME"/Library/LaunchAgents/pilotlight.*.plist >/dev/null 2>&1; then
    echo "pilotlight is installed as a service here: \`pilotlight service uninstall\` first (sessions stay)." >&2
    exit 2
fi

place=$(mktemp -d /tmp/pl-prove.XXXXXX)
export PILOTLIGHT_HOME=$place/home
domain=gui/$(id -u)

finish() {
    "$pilotlight" service uninstall >/dev/null 2>&1
    "$pilotlight" down --all >/dev/null 2>&1
    rm -rf "$place"
}
trap finish EXIT

say() { printf '%s\n' "$*" | tee -a "$report"; }

prove() { # prove WHAT COMMAND…: one line of the report
    local what=$1
    shift
    if "$@" >"$place/out" 2>&1; then
        say "- ok: $what"
    else
        failed=$((failed + 1))
        say "- **failed**: $what"
        sed 's/^/      /' "$place/out" | tail -20 | tee -a "$report"
    fi
}

member() { "$pilotlight" show "$session" --json | /usr/bin/python3 -c "import json, sys; print(json.load(sys.stdin)['session']['$1'])"; }

within() { # within SECONDS COMMAND…: until it succeeds
    local end=$(($(date +%s) + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -lt "$end" ] || return 1
        sleep 0.5
    done
}

remembers() { "$pilotlight" send "$session" "What word did I ask you to remember?" | grep -q BANANA; }
up() { within 60 "$pilotlight" status; }
same_process() { kill -0 "$claude" && [ "$(member pid)" = "$claude" ]; }
killed_by_launchd() { launchctl kill SIGKILL "$domain/pilotlight.$1" && sleep 1 && up; }
restarted_by_launchd() { launchctl kickstart -k "$domain/pilotlight.$1" && sleep 1 && up; }
alive() { kill -0 "$1"; }
gone() { ! kill -0 "$1"; }

: >"$report"
say "# pilotlight on a Mac"
say ""
say "$(date -u '+%Y-%m-%d %H:%M UTC'), macOS $(sw_vers -productVersion) $(uname -m), $("$pilotlight" --version)"
say ""

"$pilotlight" up --demo --detach >"$place/out" 2>&1 && "$pilotlight" down >>"$place/out" 2>&1
prove "the demo starts by hand" grep -q "demo" "$place/out"
prove "the services install, and launchd starts both" "$pilotlight" service install
prove "both answer" up
mkdir -p "$place/project"
session=$("$pilotlight" new "$place/project" --trust)
prove "a session answers" "$pilotlight" send "$session" "Remember the word BANANA"
claude=$(member pid)

prove "launchd restarts a supervisor that is killed" killed_by_launchd supervisor
prove "the same claude lives on after it" same_process
prove "and remembers" remembers
prove "launchd restarts an API that is killed" killed_by_launchd api
prove "kickstart -k of the supervisor" restarted_by_launchd supervisor
prove "the same claude lives on after it" same_process
prove "pilotlight down goes through launchd (bootout)" "$pilotlight" down
prove "claude outlives it (AbandonProcessGroup)" alive "$claude"
prove "pilotlight up goes through launchd (bootstrap)" "$pilotlight" up --detach
prove "the same claude is adopted" same_process
prove "and remembers" remembers
prove "one that is killed is resumed" kill -9 "$claude"
prove "and remembers" remembers
prove "doctor finds nothing to mend" "$pilotlight" doctor
prove "processes are told apart (libproc)" "$root/.venv/bin/python" -m pytest -q "$root/tests/unit/shared"
claude=$(member pid)
prove "the services go" "$pilotlight" service uninstall
prove "and everything ends" "$pilotlight" down --all
prove "claude with it" within 20 gone "$claude"

say ""
say "$([ "$failed" -eq 0 ] && echo "All proven." || echo "$failed failed.")"
exit $((failed > 0))
