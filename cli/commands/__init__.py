"""Commands: each subject's commands, thin over the bus.

attention      attention, answer
backup         backup, restore
chat           chat
conversations  import
doctor         doctor
down           down
drain          drain
events         events
history        search, history, export, usage, fork, queue
logs           logs
manage         extend, hibernate, wake, recycle, reopen, set
mcp            mcp
nodes          gateway, nodes, move
notify         notify
rules          rules
screen         screen, keys, resize, record
service        service
sessions       new, ls, send, message, show, kill
status         status, token
up             up

May import: chat, access, daemons, mcp, setup, terminal, completion, follow, owners, context, output, wording.

1. Every command speaks JSON, and they reach every operation that HTTP reaches. (tests/unit/cli/test_reach.py)
2. What others wrote drives no terminal. (tests/unit/cli/test_hostile.py)
"""
