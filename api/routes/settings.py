"""Settings at run time; the supervisor validates, stores, publishes and applies them."""

from __future__ import annotations

from flask import Blueprint, Response

from api.context import api
from api.http import requests
from api.http.problems import json_response
from shared.bus.service_requests import SettingsPatch

routes = Blueprint("settings", __name__)


@routes.get("/api/settings")
def get_settings() -> Response:
    """The settings in force, and which of them were changed at run time."""
    return json_response({"success": True, **api().call("settings.get")})


@routes.patch("/api/settings")
def patch_settings() -> Response:
    """Change settings: `{"sessions.timeout_hours": 48}`, keys as in the configuration file."""
    values = requests.json_object()
    if not values:
        raise requests.invalid("body", 'Nothing to change: send for example {"sessions.timeout_hours": 48}.')
    return json_response({"success": True, **api().call("settings.patch", SettingsPatch(values=values))})
