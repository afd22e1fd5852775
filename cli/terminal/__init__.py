"""Terminal: a session's terminal in the person's own.

attach      attach, watch
keyboard    keys for it, and keys for us
qr          for a phone's camera
scrollback  what has scrolled away
tty         raw, and as it was afterwards

May import: completion, context, output.

1. What the session draws never changes the person's own terminal for good. (tests/unit/cli/test_tty.py)
2. Nothing in a paste is for us. (tests/unit/cli/test_tty.py)
"""
