"""Pool: all sessions.

accepting        a message as it is stored
admission        who gets the next place
checks           what is well and what is not
folders          where a session may be opened
health           the health pass
managed_session  one session and who acts for it
memory_limit     what too much memory calls for
metrics          counters
opening          where a new session comes from
pool             created, found, listed
recovery         a damaged database
redraw           a screen that tells nothing
resources        what process trees use
retention        folders of the ended
samples          use over time
transcripts      kept young

May import: delivery, lifecycle, observation, session, state, history, terminal, holder, store, claude, clock.

1. A database that cannot be written refuses at once and loses nothing. (tests/faults/test_storage.py)
2. A stuck turn is said once and never killed. (tests/faults/test_limits.py)
"""
