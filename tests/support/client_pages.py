"""Writes docs/clients/: how each client is told of the proxy, and of a server that somebody else starts."""

from pathlib import Path

from approvals.client_configs import CLIENTS, Launch, Remote

FOLDER = Path(__file__).parents[2] / "docs" / "clients"
SETTINGS = {
    "APPROVALS_URL": "http://127.0.0.1:8700",
    "APPROVALS_SERVER_KEY": "file:/home/me/.config/mcp-approvals/files.key",
    "APPROVALS_AGENT_KEY": "file:/home/me/.config/mcp-approvals/agent.key",
}
UPSTREAM = ("npx", "-y", "@modelcontextprotocol/server-filesystem@2026.8.31", "/srv/files")
STARTED = Launch("files", ("approvals-proxy", "--name", "files", "--", *UPSTREAM), SETTINGS)
CALLED = Remote("files", "https://mcp.example.com/mcp", "mcpa_YOUR_AGENTS_KEY")
_FORMS = {"claude-code": "sh", "codex": "toml", "other": "text"}


def page(client: str) -> str:
    """Of one client."""
    known = CLIENTS[client]
    form = _FORMS.get(client, "json")
    asked = f"approvals-proxy config --client {client} --name files -- {' '.join(UPSTREAM)}"
    return f"""# {known.title}

Where: {known.place}. Written by `{asked}`.

The client starts the proxy. The keys lie in files (mode 0600); `approvals server add files` and
`approvals agent add NAME` print what goes into them:

```{form}
{known.write(STARTED)}```

Somebody else runs the server or the proxy over HTTP; the client sends its agent's key:

```{form}
{known.write(CALLED)}```

What else the proxy does: [proxy.md](../proxy.md). What this client shows of an answer: [clients.md](../clients.md).
"""


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in CLIENTS:
        (FOLDER / f"{name}.md").write_text(page(name), encoding="utf-8")
