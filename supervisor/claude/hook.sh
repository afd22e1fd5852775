#!/bin/sh
# The hook program: one event of Claude, kept where the supervisor finds it now or when it comes back. The event goes to
# a file of its own and its name to hooks.log in one short write: a pipe's worth of `cat` is several writes, and hooks of
# one moment run side by side, so longer lines would interleave (docs/decisions/0001-hook-spool.md).
# What a session runs can write here, too: nothing that has the name already is opened (a pipe would hold Claude up), and an
# answer counts only behind a key that is made here for this request, and that the supervisor takes away when it reads it.
# usage: set -- SESSION_DIR EVENT; . hook.sh (in the shell that Claude starts; sessions of earlier versions: sh hook.sh ...)
# What Claude says is short, and comes line by line: the shell reads it itself, byte by byte, for less than half of what another process
# costs (300 bytes: 1.6 ms of CPU, not 3.0; as much at 4 kB). What a person or a tool says may be long.
by_line() {
    while IFS= read -r line; do printf '%s\n' "$line" || return 1; done
    printf '%s' "$line"
}
is_free() { [ ! -e "$1" ] && [ ! -L "$1" ]; }
n=0
set -C
until is_free "$1/spool/$$.$n" && true > "$1/spool/$$.$n"; do
    n=$((n + 1))
    [ "$n" -lt 100 ] || exit 0
done 2>/dev/null
set +C
event="$1/spool/$$.$n"
is_free "$1/hooks.log" || [ -f "$1/hooks.log" ] || exit 0
# On a full disk nothing half written stays behind; the transcript says the same a moment later.
case $2 in
MessageDisplay | Stop) by_line > "$event" 2>/dev/null ;;
*) cat > "$event" 2>/dev/null ;;
esac || { rm -f "$event"; exit 0; }
if [ "$2" != PermissionRequest ] && [ "$2" != Elicitation ]; then
    printf 'hook %s %s\n' "$2" "$$.$n" >> "$1/hooks.log"
    exit 0
fi
umask 077
key=$(od -An -N16 -tx1 /dev/urandom 2>/dev/null | tr -d ' \n')
{ [ -n "$key" ] && is_free "$event.key" && printf '%s' "$key" > "$event.key" && mkfifo "$event.answer"; } 2>/dev/null
waits=$?
printf 'hook %s %s\n' "$2" "$$.$n" >> "$1/hooks.log"
[ "$waits" = 0 ] || exit 0
# The pipe is removed when nobody is to answer; whoever else opens and closes it has said nothing.
while [ -p "$event.answer" ]; do
    while IFS= read -r line; do
        case $line in
        "$key "*) printf '%s\n' "${line#* }" && exit 0 ;;
        esac
    done < "$event.answer"
done 2>/dev/null
