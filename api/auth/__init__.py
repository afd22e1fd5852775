"""Auth: who may come in, before any route runs, and how often.

device_cookie  a browser that is signed in
guard          Host, Origin, token, scope, pace
rate_limit     how fast one token may act
tickets        leave to open one stream

May import: http, context.

1. Nothing but health and the pages is answered without a token, and nothing on a foreign Host or Origin.
   (tests/unit/api/test_guard.py)
2. A ticket is good once, soon, and for one thing. (tests/unit/api/test_tickets.py)
3. A cookie counts only for what comes from our own page. (tests/unit/api/test_devices.py)
"""
