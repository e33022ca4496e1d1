"""`oidc-provider-mock` on a real port, and somebody between it and us who can change its answers.

Whoever changes a token signs it anew with a key that the changed key set offers: only what was changed is wrong.
"""

import base64
import hashlib
import hmac
import io
import json
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import werkzeug.serving
from joserfc import jws, jwt
from joserfc.jwk import RSAKey

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it uses what Authlib is about to drop
    import oidc_provider_mock._app as mock

KEY = RSAKey.generate_key(2048, {"kid": "ours", "alg": "RS256", "use": "sig"})
Claims = dict[str, Any]


class IdentityProvider:
    """What happens to its answers: `claims` may be changed, the token signed otherwise, whole documents replaced."""

    def __init__(self, people: dict[str, Claims]) -> None:
        self.people = people
        self.change: Callable[[Claims], None] | None = None
        self.sign: Callable[[Claims], str] = lambda claims: jwt.encode({"alg": "RS256", "kid": "ours"}, claims, KEY)
        self.documents: dict[str, Any] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        """Token requests: headers' Authorization, and the form."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            users = [mock.User(sub=sub, claims=claims) for sub, claims in people.items()]
            self._app = mock.app(user_claims=users)
        self.issuer = ""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        path = environ["PATH_INFO"]
        if path == "/oauth2/token":
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            self.asked.append(
                (environ.get("HTTP_AUTHORIZATION", ""), {k: v[0] for k, v in parse_qs(body.decode()).items()})
            )
            environ["wsgi.input"] = io.BytesIO(body)
        told: list[Any] = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            body = b"".join(self._app(environ, lambda status, headers, *_: told.append((status, headers))))
        status, headers = told[0]
        body = self._changed(path, body) if status.startswith("200") else body
        headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
        start_response(status, [*headers, ("Content-Length", str(len(body)))])
        return [body]

    def _changed(self, path: str, body: bytes) -> bytes:
        if path in self.documents:
            return self.documents[path] if isinstance(self.documents[path], bytes) else _json(self.documents[path])
        if self.change is None:
            return body
        if path == "/jwks":
            return _json({"keys": [KEY.as_dict(private=False)]})
        if path == "/oauth2/token":
            answer = json.loads(body)
            claims = json.loads(jws.extract_compact(answer["id_token"].encode()).payload)
            self.change(claims)
            return _json(answer | {"id_token": self.sign(claims)})
        return body

    async def consent(self, url: str, who: str) -> str:
        """What the person's browser does there: choose an account. The address that it is sent back to."""
        async with httpx2.AsyncClient(trust_env=False) as browser:
            answer = await browser.post(url, data={"sub": who})
            assert answer.status_code == 302, answer.text
            return str(answer.headers["location"])


@contextmanager
def running(people: dict[str, Claims]) -> Iterator[IdentityProvider]:
    provider = IdentityProvider(people)
    server = werkzeug.serving.make_server("127.0.0.1", 0, provider, threaded=True, request_handler=_Quiet)
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(werkzeug.serving.WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        pass


def unsigned(claims: Claims) -> str:
    return f"{_part({'alg': 'none'})}.{_part(claims)}."


def signed_with_the_public_key(claims: Claims) -> str:
    """As if the provider's public key were a secret that both sides share."""
    said = f"{_part({'alg': 'HS256', 'kid': 'ours'})}.{_part(claims)}"
    mac = hmac.new(KEY.as_pem(private=False), said.encode(), hashlib.sha256).digest()
    return f"{said}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def signed_by_somebody(claims: Claims) -> str:
    return jwt.encode({"alg": "RS256", "kid": "ours"}, claims, RSAKey.generate_key(2048))


def query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def now() -> int:
    return int(time.time())


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(_json(value)).decode().rstrip("=")


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
