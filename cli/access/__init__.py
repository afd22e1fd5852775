"""Access: who may come in, given and taken back at the prompt.

bus_keys  other machines on the bus
devices   browsers let in
tokens    others on the HTTP API

May import: owners, context, output, terminal.

1. A secret is shown once, and kept nowhere. (tests/unit/cli/test_bus_keys.py)
"""
