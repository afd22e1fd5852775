"""Gateway: one front door for many nodes, which keeps a cache and no truth.

app        what its application is made of
cursor     a place in many journals
events     many journals as one stream
following  where a session is, and where it has gone
health     is it well, and who is there
here       one request to one node
ids        `<node>~<id>`
moving     from one node to another, step by step
nodes      who is where, and since when not
placement  where a new session goes
routes     each call and its way
scatter    one question to all
srv        services of a domain name
terminals  two connections, joined
upstream   requests to nodes, and their fate

May import: reference, routes, auth, http, events, context, inbox.

1. A message has one fate: what is not known is said, and a repeat has the same key. (tests/unit/gateway/test_forward.py)
2. Every node is named in every list. (tests/unit/gateway/test_scatter.py)
3. Every missing event is fetched or declared. (tests/unit/gateway/test_events.py)
4. An address is no identity. (tests/unit/gateway/test_nodes.py)
5. A move that has broken off goes on. (tests/unit/gateway/test_moving.py)
"""
