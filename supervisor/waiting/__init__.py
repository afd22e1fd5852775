"""What a session waits for: an answer from a person, or Claude's service. Nothing here has a session."""
