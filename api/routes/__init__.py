"""Routes: the HTTP calls, one blueprint a subject.

chat        `POST /api/chat`
desk        what a client with a screen needs
devices     a browser in and out
events      the journal
health      is it well
history     what was said
legacy      calls of legacy clients
messages    messages and receipts
metrics     metrics
moves       from one node to another
prometheus  their text format
recipients  who is told
sessions    sessions
settings    settings at run time
terminal    the terminal
tokens      named tokens

May import: http, auth, events, terminals, context, inbox.

1. A repeat of a message is harmless, and says so. (tests/unit/api/test_chat.py)
2. Old clients get their exact shapes and sentences. (tests/unit/api/test_legacy.py)
3. An unknown session is a 404 everywhere. (tests/unit/api/test_sessions.py)
"""

from __future__ import annotations

from flask import Flask

from api.routes import (
    chat,
    desk,
    devices,
    events,
    health,
    history,
    legacy,
    messages,
    metrics,
    moves,
    recipients,
    sessions,
    settings,
    terminal,
    tokens,
)


def register(app: Flask) -> None:
    """Give the application all its routes."""
    for module in (
        chat,
        desk,
        devices,
        sessions,
        messages,
        legacy,
        health,
        events,
        metrics,
        settings,
        terminal,
        history,
        recipients,
        tokens,
        moves,
    ):
        app.register_blueprint(module.routes)
