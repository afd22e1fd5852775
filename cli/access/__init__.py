"""Who may come in: tokens of the HTTP API, keys of the bus, browsers that were let in."""
