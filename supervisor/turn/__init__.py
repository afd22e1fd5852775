"""Turn: one turn, or one command, as the transcript tells it. Nothing here has a session.

command_run     what a command has said
early_reply     whole before the transcript
tool_events     what a `tool` event says
truncation      what an event carries
turn            one turn and its outcome
turn_assembler  which line belongs where

May import: claude, store.

1. A fate is settled when Stop hook and transcript agree. (tests/unit/turn/test_turn.py)
2. What an event carries has a bound. (tests/unit/turn/test_truncation.py)
"""
