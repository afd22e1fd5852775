"""The one state of a session as data: transitions, what is wrong with it, how long it may rest. Nothing here has a session."""
