"""State: the one state of a session as data. Nothing here has a session.

conditions  what is wrong, by name
held        why the queue does not move
lifetime    how long it may idle
states      which event leads where
transition  what is said of one

May import: store.

1. Every state has an answer to every event. (tests/unit/state/test_states.py)
2. Each condition has one owner, and is told once. (tests/unit/state/test_conditions.py)
"""
