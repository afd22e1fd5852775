"""All that knows the Claude CLI: how it is started, what it logs, how its screen reads, what it cannot be sent."""
