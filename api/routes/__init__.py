"""The HTTP calls, one blueprint a subject."""

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
    recipients,
    sessions,
    settings,
    terminal,
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
    ):
        app.register_blueprint(module.routes)
