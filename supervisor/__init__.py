"""The daemon that owns every session: it decides everything, holds no pty, and may be killed at any moment.

__main__        in the foreground
archive         what is in one that others made
backup          one file with all of a home
clock           two clocks
daemon          wires the rooms
failpoints      where a test can hold it
instance        one a home
settings        changed at run time
holder/         owns one terminal
claude/         what is known of the CLI
terminal/       one live terminal
store/          the database
history/        what was said
state/          states as data
turn/           one turn
waiting/        what is waited for
session/        one conversation
observation/    what Claude does
lifecycle/      its process
delivery/       presses keys
pool/           all sessions
moving/         to another node, and from one
viewers/        people who look
notifications/  people who are told
bus/            requests and events

May import: shared.
"""
