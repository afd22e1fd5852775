"""Terminals: WebSockets on one side, the supervisor's socket on the other, one thread between.

messages   what is said, as types
relay      the thread between
websocket  the protocol, server side

May import: nothing.

1. Who floods or never reads is cut off, and the others are served. (tests/unit/api/test_websocket.py)
2. One writes at a time. (tests/real/test_web_terminal.py)
"""
