"""Lifecycle: starting, adopting, ending and reviving the process of one session.

conversation_conflict  somebody else's `claude`
conversation_lock      one process a transcript
ending                 how a session ends, with its reason
exits                  an end that nobody asked for
hibernation            may the process be ended
holder_link            the connection to the holder
launch                 what a start needs
lifecycle              start, adopt, end, revive
one_message            a process for one message
orphans                what a process left behind
recycling              a change reaches the process
restart_policy         what an end means
scheduled_work         planned tasks, when the process ends
session_folder         made again under a process
shared_conversation    said once
teardown               the whole tree ended

May import: observation, session, state, terminal, holder, store, claude, failpoints.

1. `claude` outlives the supervisor and an upgrade of it. (tests/faults/test_supervisor_killed.py)
2. At most one process for a transcript. (tests/faults/test_claude_killed.py)
3. A stop takes the whole tree. (tests/faults/test_leftovers.py)
"""
