"""Session: one conversation. It knows nobody who acts for it.

attachments      files of a message, checked
background       what is done beside
condition        waiting for a change
editor           what the editor told
fates            waiting for a fate
last_words       what was said last
mention_rules    what `@path` may name
model_choice     the model it is given
move             going to another node
permission_mode  the mode it is in
permissions      what Claude asks leave for
receipts         the message under way
scheduled        what is planned
services         what it is given
session          the record and the one state
spent_files      removed behind everything
unreadable       what is done without
view             as clients see it

May import: state, turn, waiting, terminal, store, claude, clock, failpoints.

1. Nothing assigns its attributes but their owner. (tests/unit/session/test_ownership.py)
"""
