"""Viewers: people who look at terminals.

audience  all who look, one who types
member    one who looks
recorder  what was shown, never what was typed
server    their socket

May import: pool, delivery, session, state, terminal, store.

1. An attached terminal outlives a dead supervisor. (tests/real/test_attach.py)
"""
