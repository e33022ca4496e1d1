"""The identity provider: where it is, its keys, and the exchange of a code for an ID token.

Every call has limits in time and size, follows no redirect, and goes over https, but for loopback.
"""

import asyncio
import base64
import hashlib
import ipaddress
import json
import logging
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx2
from joserfc.jwk import Key

from approvals.errors import (
    Forbidden,
    Invalid,
    Unauthenticated,
    Unavailable,
)
from approvals.instant import SECOND, Clock
from approvals.service.identity.roles import MAX_CLAIMED, MAX_GROUPS, is_claimed_group
from approvals.service.identity.sso import Identity, SsoPolicy
from approvals.service.identity.users import ROLES, is_handle
from approvals.service.text import visible
from approvals_web.auth.id_token import Expected, usable, validate
from approvals_web.auth.oidc_state import PendingLogin

logger = logging.getLogger("approvals.oidc")

PATIENCE = 10.0
MAX_BYTES = 512 * 1024
KEPT = 3600 * SECOND
"""How long the provider's addresses and keys are believed."""
LOOK_AGAIN = 60 * SECOND
"""A token with an unknown key makes us look for new ones, so often at most."""
MAX_NAME = 100


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
        if not _is_safe(self.issuer, self.issuer):
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


@dataclass(frozen=True)
class Metadata:
    """The provider's own description."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str
    secret_in_body: bool
    names_itself: bool
    """Whether it says its name in each answer (RFC 9207)."""


class Provider:
    """One identity provider. Event loop only."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self.client = client
        self._clock = clock
        self._metadata: tuple[int, Metadata] | None = None
        self._keys: tuple[int, list[Key]] | None = None

    async def authorization_url(self, pending: PendingLogin, redirect_uri: str) -> str:
        """Where the browser goes. Raises Unavailable."""
        endpoint = (await self._described()).authorization_endpoint
        asked = {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": redirect_uri,
            "scope": self.client.scopes,
            "state": pending.state,
            "nonce": pending.nonce,
            "code_challenge": _challenge(pending.verifier),
            "code_challenge_method": "S256",
        }
        if pending.fresh:
            asked |= {"max_age": "0", "prompt": "login"}
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"

    async def identify(
        self, pending: PendingLogin, code: str, named: str | None, redirect_uri: str
    ) -> tuple[Identity, int | None]:
        """Who came back with this code, and when they authenticated (microseconds), if the provider says so. Raises
        Unauthenticated, Forbidden, or Unavailable."""
        metadata = await self._described()
        if named != self.client.issuer and (named is not None or metadata.names_itself):
            raise Unauthenticated("This answer came from another identity provider.", hint="Sign in again.")
        tokens = await self._exchange(metadata, code, pending.verifier, redirect_uri)
        claims = await self._validated(metadata, tokens.get("id_token"), pending)
        claims = await self._completed(metadata, claims, tokens.get("access_token"))
        for name, value in self.client.required.items():
            if not _says(_said(claims, name), value):
                raise Forbidden("This account may not sign in here.", hint="Use the account of your organization.")
        at = claims.get("auth_time")
        return self.identity(claims), None if at is None else min(int(at * SECOND), self._clock.now())

    def identity(self, claims: dict[str, Any]) -> Identity:
        """What counts of the claims."""
        email = claims.get("email")
        verified = isinstance(email, str) and _is_true(claims.get("email_verified"))
        names = (claims.get(name) for name in ("name", "preferred_username", "email", "sub"))
        name = next(name for name in names if isinstance(name, str) and name.strip())
        return Identity(
            issuer=self.client.issuer,
            subject=claims["sub"],
            name=visible(name.strip())[:MAX_NAME],
            email=str(email).lower() if verified and is_handle(str(email).lower()) else "",
            groups=self._groups(claims),
        )

    def _groups(self, claims: dict[str, Any]) -> tuple[str, ...]:
        listed = _listed(_said(claims, self.client.groups_claim))
        names = sorted({name for name in listed if isinstance(name, str) and is_claimed_group(name)})
        if len(names) > MAX_GROUPS or len(names) < len(set(map(str, listed))):
            logger.warning("not all groups that %s claims count: too many, or no names", self.client.shown)
        return tuple(names[:MAX_GROUPS])

    async def _validated(self, metadata: Metadata, token: Any, pending: PendingLogin) -> dict[str, Any]:
        if not isinstance(token, str):
            raise Unauthenticated("The identity provider gave no ID token.", hint="Sign in again.")
        after = pending.began_at // SECOND if pending.fresh else None
        expected = Expected(self.client.issuer, self.client.client_id, pending.nonce, after)
        now = self._clock.now()
        asked_at, keys = await self._known_keys(metadata)
        try:
            return validate(token, keys, expected, now / SECOND)
        except Unauthenticated:
            if now < asked_at + LOOK_AGAIN:
                raise
        self._keys = None  # it may have signed with a new one
        _, keys = await self._known_keys(metadata)
        return validate(token, keys, expected, now / SECOND)

    async def _completed(self, metadata: Metadata, claims: dict[str, Any], access: Any) -> dict[str, Any]:
        """Some providers tell the e-mail address and the groups at another address only."""
        wanted = ["email", *([self.client.groups_claim] if self.client.policy.roles else [])]
        if (
            all(_said(claims, name) is not None for name in wanted)
            or not metadata.userinfo_endpoint
            or not isinstance(access, str)
        ):
            return claims
        more = await self._call("GET", metadata.userinfo_endpoint, headers={"Authorization": f"Bearer {access}"})
        if more.get("sub") != claims["sub"]:
            raise Unauthenticated("The identity provider tells of two people.", hint="Sign in again.")
        if "email" in claims:
            more.pop("email_verified", None)  # it would be about another address
        return more | claims

    async def _exchange(self, metadata: Metadata, code: str, verifier: str, redirect_uri: str) -> dict[str, Any]:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        form["code_verifier"] = verifier
        headers = {"Accept": "application/json"}
        known, secret = self.client.client_id, self.client.client_secret
        if not secret or metadata.secret_in_body:
            form |= {"client_id": known} | ({"client_secret": secret} if secret else {})
        else:
            pair = base64.b64encode(f"{quote(known, safe='')}:{quote(secret, safe='')}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        return await self._call("POST", metadata.token_endpoint, headers=headers, data=form)

    async def _described(self) -> Metadata:
        now = self._clock.now()
        if self._metadata is None or now >= self._metadata[0] + KEPT:
            address = f"{self.client.issuer.rstrip('/')}/.well-known/openid-configuration"
            self._metadata = now, self._read(await self._call("GET", address))
        return self._metadata[1]

    def _read(self, said: dict[str, Any]) -> Metadata:
        if said.get("issuer") != self.client.issuer:
            raise self._unusable(
                "it says that it is another one: is APPROVALS_OIDC_ISSUER exactly as it writes itself?"
            )
        wanted = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        found: dict[str, Any] = {name: said.get(name) for name in wanted}
        optional = said.get("userinfo_endpoint") or ""
        for address in (*found.values(), *([optional] if optional else [])):
            if not isinstance(address, str) or not _is_safe(address, self.client.issuer):
                raise self._unusable("its addresses are missing, or no https addresses")
        methods = said.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        return Metadata(
            **found,
            userinfo_endpoint=optional,
            secret_in_body="client_secret_basic" not in methods and "client_secret_post" in methods,
            names_itself=said.get("authorization_response_iss_parameter_supported") is True,
        )

    async def _known_keys(self, metadata: Metadata) -> tuple[int, list[Key]]:
        now = self._clock.now()
        if self._keys is None or now >= self._keys[0] + KEPT:
            self._keys = now, usable(await self._call("GET", metadata.jwks_uri))
        return self._keys

    async def _call(self, method: str, address: str, **given: Any) -> dict[str, Any]:
        """A JSON object from the provider. Raises Unauthenticated when it refuses, Unavailable when it is not there or
        makes no sense."""
        try:
            async with (
                asyncio.timeout(PATIENCE),
                httpx2.AsyncClient(
                    timeout=PATIENCE, follow_redirects=False, trust_env=not _is_loopback(address)
                ) as http,
                http.stream(method, address, **given) as answer,
            ):
                body = b""
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > MAX_BYTES:
                        raise self._unusable("its answer is too long")
        except (TimeoutError, httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise self._unusable("it does not answer") from error
        if method == "POST" and answer.status_code in {400, 401, 403}:
            raise Unauthenticated("The identity provider does not accept this sign-in.", hint="Sign in again.")
        try:
            said = json.loads(body) if answer.status_code == 200 else None
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise self._unusable("its answer makes no sense")
        return said

    def _unusable(self, why: str) -> Unavailable:
        return Unavailable(
            f"The identity provider {self.client.shown} cannot be used: {why}.",
            hint="Try again, or sign in with a local account or a sign-in link.",
        )


def _said(claims: dict[str, Any], name: str) -> Any:
    """A claim by its name, which may have dots itself, or by its path: `realm_access.roles`."""
    found: Any = claims
    for part in [name] if name in claims else name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _listed(groups: Any) -> list[Any]:
    """A list as it is; text with commas (in brackets or not) by its commas, other text by its blanks."""
    if not isinstance(groups, str):
        return groups if isinstance(groups, list) else []
    text = groups.strip().removeprefix("[").removesuffix("]")
    return [part.strip() for part in (text.split(",") if "," in text else text.split()) if part.strip()]


def _is_true(claim: Any) -> bool:
    """Some providers (Amazon Cognito) write it as text."""
    return claim is True or (isinstance(claim, str) and claim.lower() == "true")


def _says(claim: Any, value: str) -> bool:
    if isinstance(claim, list):
        return value in claim
    return claim == value or (isinstance(claim, bool) and str(claim).lower() == value)


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _is_safe(address: str, issuer: str) -> bool:
    """Whether an address is https; plain http stays on loopback, and only when the issuer is there, too."""
    parts = urlsplit(address)
    if parts.scheme == "https":
        return bool(parts.hostname)
    return parts.scheme == "http" and _is_loopback(address) and _is_loopback(issuer)


def _is_loopback(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
