#!/bin/sh
# The hook program: one event of Claude, kept where the supervisor finds it now or when it comes back. The event goes to
# a file of its own and its name to hooks.log in one short write: a pipe's worth of `cat` is several writes, and hooks of
# one moment run side by side, so longer lines would interleave (docs/decisions/0001-hook-spool.md).
# usage: hook.sh SESSION_DIR EVENT
n=0
set -C
until true > "$1/spool/$$.$n"; do
    n=$((n + 1))
    [ "$n" -lt 100 ] || exit 0
done 2>/dev/null
set +C
# On a full disk nothing half written stays behind; the transcript says the same a moment later.
cat > "$1/spool/$$.$n" 2>/dev/null || { rm -f "$1/spool/$$.$n"; exit 0; }
if [ "$2" = PermissionRequest ]; then
    mkfifo -m 600 "$1/spool/$$.$n.answer" 2>/dev/null
    printf 'hook %s %s\n' "$2" "$$.$n" >> "$1/hooks.log"
    [ -p "$1/spool/$$.$n.answer" ] && exec cat "$1/spool/$$.$n.answer"
    exit 0
fi
printf 'hook %s %s\n' "$2" "$$.$n" >> "$1/hooks.log"
