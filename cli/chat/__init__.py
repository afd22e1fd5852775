"""A conversation at the prompt: who types, what is shown, what is asked."""
