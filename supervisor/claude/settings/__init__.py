"""Settings of Claude: what a person has set up themselves, and what the `--settings` that we give say."""
