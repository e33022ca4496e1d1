"""What counts of an identity provider's claims, however it writes them. Pure."""

import logging
from collections.abc import Mapping
from typing import Any

from approvals.service.identity.roles import MAX_GROUPS, is_claimed_group
from approvals.service.identity.sso import Identity
from approvals.service.identity.users import is_handle
from approvals.service.text import visible
from approvals_web.auth.oidc_client import Client

logger = logging.getLogger("approvals.oidc")

MAX_NAME = 100


def identity(client: Client, claims: dict[str, Any]) -> Identity:
    """What counts of the claims."""
    email = claims.get("email")
    verified = isinstance(email, str) and _is_true(claims.get("email_verified"))
    names = (claims.get(name) for name in ("name", "preferred_username", "email", "sub"))
    name = next(name for name in names if isinstance(name, str) and name.strip())
    return Identity(
        issuer=client.issuer,
        subject=claims["sub"],
        name=visible(name.strip())[:MAX_NAME],
        email=str(email).lower() if verified and is_handle(str(email).lower()) else "",
        groups=_groups(client, claims),
    )


def _groups(client: Client, claims: Mapping[str, object]) -> tuple[str, ...]:
    listed = _listed(claim(claims, client.groups_claim))
    names = sorted({name for name in listed if isinstance(name, str) and is_claimed_group(name)})
    if len(names) > MAX_GROUPS or len(names) < len(set(map(str, listed))):
        logger.warning("not all groups that %s claims count: too many, or no names", client.shown)
    return tuple(names[:MAX_GROUPS])


def claim(claims: Mapping[str, object], name: str) -> object:
    """A claim by its name, which may have dots itself, or by its path: `realm_access.roles`."""
    found: Any = claims
    for part in [name] if name in claims else name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _listed(groups: object) -> list[object]:
    """A list as it is; text with commas (in brackets or not) by its commas, other text by its blanks."""
    if not isinstance(groups, str):
        return groups if isinstance(groups, list) else []
    text = groups.strip().removeprefix("[").removesuffix("]")
    return [part.strip() for part in (text.split(",") if "," in text else text.split()) if part.strip()]


def _is_true(claim: object) -> bool:
    """Some providers (Amazon Cognito) write it as text."""
    return claim is True or (isinstance(claim, str) and claim.lower() == "true")


def says(claim: object, value: str) -> bool:
    if isinstance(claim, list):
        return value in claim
    return claim == value or (isinstance(claim, bool) and str(claim).lower() == value)
