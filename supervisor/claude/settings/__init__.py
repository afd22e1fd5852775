"""Settings of Claude: what a person has set up themselves, and what the `--settings` that we give say.

deny_rules    the owner's rules in Claude's form
hooks_off     will hooks of ours run
keybindings   which keys open the editor
login         is there one
other_editor  another program in place of ours
protection    what a session is kept from
set_up        what a person has set up
"""
