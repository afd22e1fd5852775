#!/bin/sh
# The external editor that Claude calls on Ctrl+G. It hands over the prompt that the supervisor has armed, once: the
# rename is the claim, so however often it runs, a prompt enters a box at most one time. It never touches a draft.
# Other programs that inherit EDITOR, and a person who presses Ctrl+G, get the person's own editor.
own() {
    [ -n "$PILOTLIGHT_EDITOR" ] || exit 0
    EDITOR=$PILOTLIGHT_EDITOR VISUAL=$PILOTLIGHT_EDITOR
    export EDITOR VISUAL
    eval "exec $PILOTLIGHT_EDITOR \"\$@\""
}
dir=$PILOTLIGHT_SESSION_DIR
case "${1##*/}" in
    claude-prompt-*) ;;
    *) [ -n "$PILOTLIGHT_EDITOR" ] || PILOTLIGHT_EDITOR=vi; own "$@" ;;
esac
for pending in "$dir"/outbox/*.pending; do
    [ -f "$pending" ] || continue
    id=${pending##*/}; id=${id%.pending}
    if [ -s "$1" ]; then
        cat "$1" > "$dir/outbox/draft.$$" && printf 'editor draft %s %s\n' "$id" "draft.$$" >> "$dir/hooks.log"
        exit 0
    fi
    mv "$pending" "${pending%.pending}.claimed" 2>/dev/null || continue
    if cat "${pending%.pending}.claimed" > "$1"; then
        printf 'editor claimed %s\n' "$id" >> "$dir/hooks.log"
    else
        : > "$1"
        mv "${pending%.pending}.claimed" "$pending"
        printf 'editor failed %s\n' "$id" >> "$dir/hooks.log"
    fi
    exit 0
done
if [ -f "$dir/outbox/person" ]; then
    rm -f "$dir/outbox/person"
    printf 'editor person %s\n' "$$" >> "$dir/hooks.log"
    own "$@"
fi
printf 'editor nothing -\n' >> "$dir/hooks.log"
