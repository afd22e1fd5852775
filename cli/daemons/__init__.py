"""Daemons: the two processes of an installation, and who keeps them running.

checks          what `doctor` looks at
demo_model      the demo model of one home
foreground      `up` that stays
manager         launchd or systemd
own_api         a connection to the API of this home
processes       started, stopped, healthy
report          what runs, as data
service_checks  what `service install` looks at
units           files of the managers

May import: setup, owners, context, output.

1. A stop, a restart or a crash leaves every live session alone. (tests/unit/cli/test_services.py)
2. `up` twice is `up` once. (tests/unit/cli/test_lifecycle.py)
"""
