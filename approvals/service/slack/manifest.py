"""The app manifest (https://docs.slack.dev/reference/app-manifest): all that Slack has to be told. Pure."""

from typing import Any

SCOPES = ("chat:write", "commands", "im:write", "users:read")
BY_EMAIL = "users:read.email"
EVENTS = ("app_uninstalled", "tokens_revoked")


def manifest(public_url: str, *, socket: bool, by_email: bool) -> dict[str, Any]:
    """For Socket Mode, or for a service that Slack reaches at `public_url`."""
    actions = f"{public_url.rstrip('/')}/slack/actions"
    address = {} if socket else {"url": actions}
    reached = {} if socket else {"request_url": actions}
    command = {
        "command": "/approvals",
        "description": "What waits, link your account, freeze",
        "usage_hint": "list | link CODE | freeze",
    }
    return {
        "display_information": {"name": "Approvals", "description": "Decide what AI agents may do"},
        "features": {
            "bot_user": {"display_name": "approvals", "always_online": True},
            "slash_commands": [command | address | {"should_escape": False}],
        },
        "oauth_config": {"scopes": {"bot": [*SCOPES, *([BY_EMAIL] if by_email else [])]}},
        "settings": {
            "event_subscriptions": reached | {"bot_events": list(EVENTS)},
            "interactivity": {"is_enabled": True} | reached,
            "org_deploy_enabled": False,
            "socket_mode_enabled": socket,
            "token_rotation_enabled": False,
        },
    }
