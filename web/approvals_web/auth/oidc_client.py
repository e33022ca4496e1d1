"""How this service is known to the identity provider: its settings, checked."""

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from approvals.errors import Invalid
from approvals.service.identity.roles import MAX_CLAIMED, is_claimed_group
from approvals.service.identity.sso import SsoPolicy
from approvals.service.identity.users import ROLES


@dataclass(frozen=True)
class Client:
    """How this service is known to the provider, and what it makes of its claims."""

    issuer: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    scopes: str = "openid profile email"
    groups_claim: str = "groups"
    required: dict[str, str] = field(default_factory=dict)
    """Claims that everybody has to have, with their values."""
    policy: SsoPolicy = field(default_factory=SsoPolicy)
    name: str = ""

    def __post_init__(self) -> None:
        if not is_safe(self.issuer, self.issuer):
            raise Invalid(
                f"APPROVALS_OIDC_ISSUER is {self.issuer!r}.", hint="It begins with https:// (http:// on loopback only)."
            )
        if not self.client_id:
            raise Invalid("APPROVALS_OIDC_CLIENT_ID is not set.", hint="The provider gave it to you.")
        if not self.groups_claim.strip():
            raise Invalid("APPROVALS_OIDC_GROUPS_CLAIM is empty.", hint="For example: groups, or realm_access.roles")
        for group in self.policy.roles:
            if not is_claimed_group(group):
                raise Invalid(
                    f"APPROVALS_OIDC_ROLES has the group {group!r:.200}, which can never be claimed.",
                    hint=f"A group's name has 1 to {MAX_CLAIMED} printable characters.",
                )
        for roles in self.policy.roles.values():
            if not set(roles.split()) <= set(ROLES):
                raise Invalid(f"APPROVALS_OIDC_ROLES has {roles!r}.", hint=f"Roles: {', '.join(ROLES)}.")
        if "openid" not in self.scopes.split():
            raise Invalid("APPROVALS_OIDC_SCOPES lacks openid.", hint="For example: openid profile email")

    @property
    def shown(self) -> str:
        """What people call it."""
        return self.name or str(urlsplit(self.issuer).hostname)


def is_safe(address: str, issuer: str) -> bool:
    """Whether an address is https; plain http stays on loopback, and only when the issuer is there, too."""
    parts = urlsplit(address)
    if parts.scheme == "https":
        return bool(parts.hostname)
    return parts.scheme == "http" and is_loopback(address) and is_loopback(issuer)


def is_loopback(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
