"""What a session's `claude` may be started with."""

from __future__ import annotations

import pytest

from shared.errors import InvalidRequest
from supervisor.lifecycle import recycling


def test_servers_that_are_nested_too_deeply_are_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match="mcpConfig"):
        recycling.options({"mcp_config": '{"mcpServers": ' + "[" * 100_000})
