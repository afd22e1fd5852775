"""Waiting: what a session waits for, a person or Claude's service. Nothing here has a session.

appearances       which dialog this is
backoff           the service left alone
edit_preview      an edit, as a diff
form              an MCP server's, as fields
permission_rules  which rule answers
request_key       known to hook and us
shown_requests    whose dialog it is
suggestions       what "always" would change
waiting           made from a hook or the screen

May import: claude, store, clock.

1. What looks alike on the screen has its own id. (tests/unit/waiting/test_appearances.py)
2. After a refusal the service is left alone until it may serve. (tests/unit/waiting/test_backoff.py)
"""
