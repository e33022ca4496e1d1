"""MCP servers behind the gate."""
