"""Delivery: everything that presses keys in one session.

answer           a request or dialog, answered
auto_answer      answers given in advance
chat_mode        the mode of a chat
decision         what an answer decides
form_answer      a form, by its fields
interrupt        ending a turn
keyboard         a person's keys, never between a prompt's
late_answer      what is told who answers too late
limit_dialog     left when the pause is over
per_message      one process for one message
prompt           one prompt, through the editor
prompt_box       what stands in the box
question_answer  which option is meant
queue            messages in order, and their fate
slash_commands   how one is submitted
trust_dialog     answered by itself, once

May import: lifecycle, session, state, turn, waiting, terminal, store, claude, failpoints.

1. A text is handed to the CLI at most once. (tests/faults/test_typing_faults.py)
2. An answer reaches the dialog that was asked, and no other. (tests/real/test_dialogs.py)
3. Whoever holds `session.typing` is the only one who presses keys. (tests/real/test_terminal.py)
"""
