"""One turn, or one command, as the transcript tells it, and what of it is told on. Nothing here has a session."""
