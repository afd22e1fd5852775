"""MCP: other agents drive sessions with tools. The only room with the official SDK (`mcp`), which is an extra.

server  standard input and output, or HTTP with the caller's token
tools   each a call or two of the HTTP API

May import: nothing.

1. Nobody does here what the token that is given may not do. (tests/clients/test_mcp.py)
2. A repeat under the same key does nothing twice. (tests/clients/test_mcp.py)
"""
