"""What a gate needs to know: where the service is, and the keys."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from approvals.errors import NotConfigured
from approvals.secret_reference import resolve


@dataclass(frozen=True)
class GateSettings:
    """The service's URL, the installation's key, and (stdio) the agent's key."""

    url: str
    server_key: str
    agent_key: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "GateSettings":
        """From APPROVALS_URL, APPROVALS_SERVER_KEY and APPROVALS_AGENT_KEY; secrets may be references. Raises
        NotConfigured, naming the variable that is missing or wrong."""
        url = environment.get("APPROVALS_URL", "").rstrip("/")
        key = environment.get("APPROVALS_SERVER_KEY", "")
        missing = [name for name, value in (("APPROVALS_URL", url), ("APPROVALS_SERVER_KEY", key)) if not value]
        if missing:
            raise NotConfigured(
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set where this MCP server runs.",
                hint="Make a key with `approvals server add NAME` and set what it prints.",
            )
        _check_url(url)
        agent_key = environment.get("APPROVALS_AGENT_KEY", "")
        return cls(
            url,
            _key("APPROVALS_SERVER_KEY", resolve(key), "mcps_"),
            _key("APPROVALS_AGENT_KEY", resolve(agent_key), "mcpa_") if agent_key else None,
        )


def _key(name: str, value: str, prefix: str) -> str:
    if not value.startswith(prefix) or not value.isascii():
        raise NotConfigured(f"{name} is no key of the right kind: it should start with {prefix}")
    return value


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise NotConfigured(f"APPROVALS_URL is {url!r:.200}, which is no http(s) address.")
    if parts.scheme == "http" and not _is_near(parts.hostname):
        raise NotConfigured(
            f"APPROVALS_URL sends keys to {parts.hostname} without encryption.", hint="Use https for another machine."
        )


def _is_near(host: str) -> bool:
    """Loopback, or a name without dots: a container's neighbour."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or "." not in host
