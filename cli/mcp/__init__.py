"""MCP: other agents drive sessions with tools. The only room with the official SDK (`mcp`), which is an extra.

tools    the tools: each is a call or two of the HTTP API by `pilotlight.client`, with the caller's own token
server   the two ways in: standard input and output, and HTTP on this machine, where each request brings its token

Nothing here knows more than the HTTP API tells, or may do more than the token that is given.
"""
