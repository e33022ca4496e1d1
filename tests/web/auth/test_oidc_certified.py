"""Signing in through npm's oidc-provider, a certified provider that demands PKCE: what a mock lets pass fails here."""

import asyncio
import contextlib
import json
import re
import time
from urllib.parse import urljoin, urlsplit

import httpx2
import pytest

from approvals.instant import SECOND, Clock
from approvals.service.identity.users import by_handle
from approvals_web.auth.oidc import Provider
from approvals_web.auth.oidc_client import Client
from support import typescript
from support.processes import clean_environment

pytestmark = [pytest.mark.slow, pytest.mark.databases("one")]
CAROL = {"name": "Carol", "email": "carol@example.org", "email_verified": True, "groups": ["payments"]}


@contextlib.asynccontextmanager
async def running(callback):
    """The provider's issuer."""
    given = json.dumps({"callback": callback, "people": {"carol-1": CAROL}})
    process = await asyncio.create_subprocess_exec(
        *("node", str(typescript.installed() / "provider.mjs"), given),
        env=clean_environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield json.loads(await asyncio.wait_for(process.stdout.readline(), 30))["issuer"]
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 10)


@pytest.fixture
async def issuer(served):
    async with running(f"{served.scenario.service.public_url}/login/oidc/callback") as issuer:
        served.scenario.clock.at = round(time.time() * SECOND)
        served.app.state.provider = Provider(Client(issuer=issuer, client_id="gate", client_secret="s&cret"), Clock())
        yield issuer


async def through(address):
    """What the person's browser does there: sign in, consent; the address that it is sent back to."""
    async with httpx2.AsyncClient(trust_env=False) as browser:
        answer = await browser.get(address)
        while "/login/oidc/callback" not in address:
            if answer.is_redirect:
                address = urljoin(str(answer.url), answer.headers["location"])
                answer = await browser.get(address) if "/login/oidc/callback" not in address else answer
                continue
            assert answer.status_code == 200, answer.text
            form = dict(re.findall(r'name="(\w+)" value="([^"]*)"', answer.text))
            action = re.search(r'action="([^"]+)"', answer.text)[1]
            answer = await browser.post(
                urljoin(str(answer.url), action), data=form | {"login": "carol-1", "password": "x"}
            )
    return urlsplit(address)


async def test_a_certified_provider_that_demands_pkce_lets_a_person_in(issuer, served, visitors):
    visitor = visitors.stranger()
    left = await visitor.http.get("/login/oidc")
    back = await through(left.headers["location"])
    answer = await visitor.http.get(f"{back.path}?{back.query}", headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/"), answer.text
    user = served.scenario.read(lambda reader: by_handle(reader, "carol@example.org"))
    assert (user.issuer, user.subject, user.claimed_groups) == (issuer, "carol-1", "payments")
    again = await visitor.http.get(f"{back.path}?{back.query}", headers={"Sec-Fetch-Site": "cross-site"})
    assert again.status_code >= 400  # a code counts once


async def test_a_certified_provider_refuses_another_code_verifier(issuer, served, visitors, monkeypatch):
    exchange = Provider._exchange

    async def with_another(self, metadata, code, verifier, redirect_uri):
        return await exchange(self, metadata, code, "x" * 43, redirect_uri)

    monkeypatch.setattr(Provider, "_exchange", with_another)
    visitor = visitors.stranger()
    back = await through((await visitor.http.get("/login/oidc")).headers["location"])
    answer = await visitor.http.get(f"{back.path}?{back.query}", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code >= 400
    assert served.scenario.read(lambda reader: by_handle(reader, "carol@example.org")) is None
