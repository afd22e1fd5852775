"""Demo: a scripted Messages API on loopback, so that tests, benchmarks and newcomers can run the real CLI without a login.

__main__    in the foreground
directives  `[[...]]` of a prompt
handler     one connection
home        a HOME to throw away
ledger      requests seen, gates, failures
messages    what was asked
plan        steps of an answer
planmode    proposing a plan
script      what is answered
server      start it, look at it
texts       its words
wire        the format on the wire

May import: shared.

1. An answer depends on the request alone. (tests/unit/demo/test_script.py)
2. The wire is that of the service. (tests/unit/demo/test_server.py)
"""
