"""The HTTP calls, one blueprint a subject."""

from __future__ import annotations

from flask import Flask

from api.routes import chat, events, health, messages, metrics, origin, reference, sessions, settings, talk, terminal


def register(app: Flask) -> None:
    """Give the application all its routes."""
    for module in (chat, sessions, messages, origin, health, events, metrics, settings, reference, terminal, talk):
        app.register_blueprint(module.routes)
