"""Web: the dashboard, served as it lies here; `README.md` is its map.

assets  files under one hash
routes  pages, and their policy
vendor  made from npm, by maintainers

May import: http, auth.

1. A page lets nothing in, and needs nothing from elsewhere. (tests/unit/api/test_web.py)
2. It speaks the public HTTP API only. (tests/unit/api/test_web.py)
"""

from api.web.routes import register as register
