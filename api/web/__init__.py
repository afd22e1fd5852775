"""The dashboard: one web application, served as it lies here, that speaks the public HTTP API only."""

from api.web.routes import register as register
