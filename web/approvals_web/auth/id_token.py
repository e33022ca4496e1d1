"""What makes an ID token count (OpenID Connect Core 3.1.3.7). Pure: keys, expectations and the clock are passed in.

Signatures are joserfc's. Only asymmetric algorithms are heard of, so neither `none` nor a public key used as the secret
of an HMAC can pass.
"""

import hmac
from dataclasses import dataclass
from typing import Any, TypeGuard

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey, import_key

from approvals.errors import Unauthenticated

ALGORITHMS = {
    "RS256": "RSA",
    "RS384": "RSA",
    "RS512": "RSA",
    "PS256": "RSA",
    "PS384": "RSA",
    "PS512": "RSA",
    "ES256": "EC",
    "ES384": "EC",
    "ES512": "EC",
    "Ed25519": "OKP",
    "EdDSA": "OKP",
}
LEEWAY = 60
"""Seconds that the provider's clock and ours may differ."""
MAX_SUBJECT = 255
MAX_KEYS = 50
MINIMUM_RSA = 2048


@dataclass(frozen=True)
class Expected:
    """What this sign-in was begun with. Instants are seconds since 1970."""

    issuer: str
    client_id: str
    nonce: str
    authenticated_after: int | None = None
    """Set when the person was to prove again who they are."""


class Registry(jws.JWSRegistry):
    """Headers of any provider, but short ones."""

    max_header_length = 4096

    def __init__(self) -> None:
        super().__init__(algorithms=list(ALGORITHMS), strict_check_header=False)


def validate(token: str, keys: list[Key], expected: Expected, now: float) -> dict[str, object]:
    """The claims of an ID token that was signed by one of the keys and is meant for this sign-in. Raises
    Unauthenticated, which says which check failed."""
    claims = _signed(token, keys)
    if claims.get("iss") != expected.issuer:
        raise _bad("it was issued by somebody else")
    audience = claims.get("aud")
    listed = audience if isinstance(audience, list) else [audience]
    if expected.client_id not in listed:
        raise _bad("it is meant for somebody else")
    if (len(listed) > 1 or "azp" in claims) and claims.get("azp") != expected.client_id:
        raise _bad("it was given to somebody else")
    if not _number(claims.get("exp")) or claims["exp"] <= now - LEEWAY:
        raise _bad("it has run out")
    if not _number(claims.get("iat")) or claims["iat"] > now + LEEWAY:
        raise _bad("it is of the future")
    if "nbf" in claims and (not _number(claims["nbf"]) or claims["nbf"] > now + LEEWAY):
        raise _bad("it does not count yet")
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise _bad("it belongs to another sign-in")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT:
        raise _bad("it names nobody")
    _check_freshness(claims.get("auth_time"), expected.authenticated_after, now)
    return claims


def usable(document: object) -> list[Key]:
    """The keys of a JWK set that may sign ID tokens."""
    listed = document.get("keys") if isinstance(document, dict) else None
    found: list[Key] = []
    for given in listed[:MAX_KEYS] if isinstance(listed, list) else []:
        if not isinstance(given, dict) or given.get("kty") not in {"RSA", "EC", "OKP"} or given.get("use") == "enc":
            continue
        try:
            key = import_key(given)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        if not isinstance(key, RSAKey) or key.public_key.key_size >= MINIMUM_RSA:
            found.append(key)
    return found


def _signed(token: str, keys: list[Key]) -> dict[str, Any]:
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, TypeError) as error:
        raise _bad("it cannot be read") from error
    family = ALGORITHMS.get(str(header.get("alg")))
    for key in keys:
        if key.key_type != family or not isinstance(key, RSAKey | ECKey | OKPKey):
            continue
        if key.alg is not None and key.alg != header["alg"]:
            continue
        if header.get("kid") is not None and key.kid is not None and header["kid"] != key.kid:
            continue
        try:
            return jwt.decode(token, key, registry=Registry()).claims
        except (JoseError, ValueError, TypeError):
            continue
    raise _bad("no key of the provider has signed it")


def _check_freshness(at: object, after: int | None, now: float) -> None:
    if at is not None and (not _number(at) or at > now + LEEWAY):
        raise _bad("its time of authentication cannot be")
    if after is not None and (not _number(at) or at < after - LEEWAY):
        raise _bad("the provider does not say that you authenticated just now")


def _number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _bad(why: str) -> Unauthenticated:
    return Unauthenticated(f"The identity provider's token does not count: {why}.", hint="Sign in again.")
