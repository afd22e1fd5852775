"""Chat: a conversation at the prompt.

conversation  who says what, in turn
display       what is shown of a turn
person        who types
questions     what Claude asks, and the word

May import: context, output, wording.

1. A pipe gets replies and nothing else. (tests/unit/cli/test_chat.py)
2. What is answered elsewhere is not asked for ever. (tests/unit/cli/test_chat.py)
"""
