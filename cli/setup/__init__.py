"""Setup: from a fresh checkout to what `run` and `test` need.

axe             for the browser tests
bootstrap       before there is a library
chromium        for the browser tests
claude          where `claude` is, or gets here
generators      for the client tests
golang          for the example in Go
login           is there a login
progress        steps that one can watch
promtool        for metrics and alert rules
smoke_browsers  Firefox and WebKit
suite           what `./test` runs

May import: nothing.

1. Whatever is up to date is left alone. (tests/unit/cli/test_setup.py)
2. A login is found out without touching it. (tests/unit/cli/test_setup.py)
"""
