"""Claude: all that knows the CLI. `hook.sh` and `editor.sh` never move: living sessions name them by absolute path.

command_line       how `claude` is started
fork               a conversation copied
home               where transcripts are
hooks              which hooks there are
hook_log           what hooks and editor tell
last_words         what an ended process left on its screen
lenient_json       JSON with half an emoji
mode_row           the permission mode on the screen
options            what its flags take
print_mode         one process for one message
private_arguments  what `ps` must not show
prompt_refusal     a prompt that a hook refuses
release            which release is it
schedule           what Claude has planned
screen             what the screen shows
status_file        who else has the conversation
tail               a growing file, line by line
tools              which tools there are
transcript         what a line says
usage_limits       until when the service refuses
settings/          a person's own, and those we give
texts/             what arrives, and in which form

May import: nothing.

1. A text arrives exactly or is refused. (tests/real/test_exactness.py)
2. A screen is told from its shape, on every release. (tests/unit/claude/test_screen.py)
3. No other room knows a hook, a tool or a variable of the CLI by its name. What the
command line must know, too, is in `shared/claude_names.py`. (tests/unit/test_claude_names.py)
"""
