"""Bus: requests answered and events spread, and who may ask what.

access       whose key may do what
audit        who did what
replies      the same id gets the same reply
server       requests answered, events spread
sockets      the endpoints, ipc and tcp
operations/  everything that can be asked

May import: moving, viewers, notifications, pool, delivery, lifecycle, session, state, history, terminal, holder, store, claude,
settings.

1. A key does what its scopes say, and nothing else. (tests/faults/test_bus_tcp.py)
2. Every operation is declared once and told in the docs. (tests/unit/test_docs.py)
"""
