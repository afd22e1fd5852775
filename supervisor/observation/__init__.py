"""What Claude does in one session, found out from its hooks, its transcript and its screen, and told to the session."""
