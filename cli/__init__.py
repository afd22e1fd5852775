"""Command line: thin over the bus; starts and stops the daemons.

__main__    the command
completion  for shells
context     what every command needs
first_run   the second half of `./run`
follow      one message to its end
output      results and errors
owners      who holds a lock file
wording     advice that names commands
access/     who may come in
chat/       a conversation
commands/   one module a subject
daemons/    what runs
mcp/        tools for other agents
setup/      from a fresh checkout
terminal/   attach

May import: shared, demo, pilotlight.
"""
