"""Server: one process that listens; the only room with gunicorn.

connection  no slow client holds a thread
instance    lock and socket of a home's API
tls         TLS in front of it all
worker      gunicorn without its master

May import: http, context.

1. A SIGKILL frees port and lock at once. (tests/unit/api/test_process.py)
2. Slow clients cost the others nothing. (tests/faults/test_slow_clients.py)
3. A renewed certificate is served without a restart, a broken one never. (tests/unit/api/test_tls.py)
"""
