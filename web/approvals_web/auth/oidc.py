"""The identity provider: where it is, its keys, and the exchange of a code for an ID token.

Every call has limits in time and size, follows no redirect, and goes over https, but for loopback.
"""

import asyncio
import base64
import hashlib
import json
import logging
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import httpx2
from joserfc.jwk import Key

from approvals.errors import (
    Forbidden,
    Unauthenticated,
    Unavailable,
)
from approvals.instant import SECOND, Clock
from approvals.service.identity.sso import Identity
from approvals_web.auth.claims import claim, identity, says
from approvals_web.auth.id_token import Expected, usable, validate
from approvals_web.auth.oidc_client import Client, is_loopback, is_safe
from approvals_web.auth.oidc_state import PendingLogin

logger = logging.getLogger("approvals.oidc")

PATIENCE = 10.0
MAX_BYTES = 512 * 1024
KEPT = 3600 * SECOND
"""How long the provider's addresses and keys are believed."""
LOOK_AGAIN = 60 * SECOND
"""A token with an unknown key makes us look for new ones, so often at most."""


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
            if not says(claim(claims, name), value):
                raise Forbidden("This account may not sign in here.", hint="Use the account of your organization.")
        at = claims.get("auth_time")
        return identity(self.client, claims), None if at is None else min(int(at * SECOND), self._clock.now())

    async def _validated(self, metadata: Metadata, token: object, pending: PendingLogin) -> dict[str, Any]:
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

    async def _completed(self, metadata: Metadata, claims: dict[str, object], access: object) -> dict[str, Any]:
        """Some providers tell the e-mail address and the groups at another address only."""
        wanted = ["email", *([self.client.groups_claim] if self.client.policy.roles else [])]
        if (
            all(claim(claims, name) is not None for name in wanted)
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

    async def _exchange(self, metadata: Metadata, code: str, verifier: str, redirect_uri: str) -> dict[str, object]:
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
            if not isinstance(address, str) or not is_safe(address, self.client.issuer):
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

    async def _call(self, method: str, address: str, **given: Any) -> dict[str, object]:
        """A JSON object from the provider. Raises Unauthenticated when it refuses, Unavailable when it is not there or
        makes no sense."""
        try:
            async with (
                asyncio.timeout(PATIENCE),
                httpx2.AsyncClient(
                    timeout=PATIENCE, follow_redirects=False, trust_env=not is_loopback(address)
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


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
