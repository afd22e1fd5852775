"""Observation: what Claude does in one session, found out and told to the session.

file_news           a file has grown
hook_silence        hooks are off, said once
log_reader          lines of hooks and transcript, each once
log_tails           read to where
observer            judged from the screen
print_stream        a process for one message, as events
refused_prompt      gets no turn
transcript_file     which file it is
unanswered_request  decided by Claude itself

May import: session, state, turn, waiting, store, claude.

1. Hooks and transcript that come late change nothing that is settled. (tests/unit/observation/test_late_news.py)
2. What cannot be read is said once, and done without. (tests/unit/observation/test_unreadable.py)
"""
