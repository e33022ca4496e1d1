"""What carries a key, a token or a signature goes to the address that its owner wrote, and nowhere else."""

import pytest
from aiohttp import web

from approvals.errors import ApprovalsError
from approvals.gate.client import ServiceClient
from approvals.gate.settings import GateSettings
from approvals.instant import Clock
from approvals.protocol.messages import Waiting
from approvals.service.notifications.notifier import NotDelivered
from approvals.service.slack.client import SlackApi
from approvals.service.slack.doctor import examine
from approvals.service.slack.workspace import Installed
from approvals_web.auth.oidc import Provider
from approvals_web.auth.oidc_client import Client


class Places:
    """A server that redirects whatever is asked, to an address that notes what arrives."""

    def __init__(self, status):
        self.status = status
        self.asked, self.arrived = [], []
        self.url = ""

    async def answer(self, request):
        if request.path == "/elsewhere":
            self.arrived.append(dict(request.headers))
            return web.json_response({"ok": True})
        self.asked.append(request.path)
        return web.Response(status=self.status, headers={"Location": f"{self.url}/elsewhere"})


@pytest.fixture(params=[301, 302, 303, 307, 308])
async def places(request):
    found = Places(request.param)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", found.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


async def a_gate_asks(url):
    client = ServiceClient(GateSettings(url, "mcps_a_b"))
    try:
        await client.verify_agent("mcpa_a_b")
    finally:
        await client.close()


async def a_gate_listens(url):
    client = ServiceClient(GateSettings(url, "mcps_a_b"))
    try:
        async for _ in client.events(Waiting(session="session-0001", waiting=())):
            pass
    finally:
        await client.close()


async def slack_is_called(url):
    api = SlackApi("xoxb-token", f"{url}/api/")
    try:
        await api.call("chat.postMessage", text="a card")
    finally:
        await api.close()


async def slack_is_answered(url):
    api = SlackApi("xoxb-token", f"{url}/api/")
    try:
        await api.respond(f"{url}/response/1", "words")
    finally:
        await api.close()


async def the_doctor_looks(url):
    (finding,) = [finding async for finding in examine(Installed("xoxb-token", "#c", "s", api_url=f"{url}/api/"))]
    if not finding.ok:
        raise NotDelivered(finding.said)


async def a_code_is_exchanged(url):
    provider = Provider(Client(url, "approvals", "secret"), Clock())
    await provider._call("POST", f"{url}/token", data={"client_secret": "secret"})


SENDERS = (
    a_gate_asks,
    a_gate_listens,
    slack_is_called,
    slack_is_answered,
    the_doctor_looks,
    a_code_is_exchanged,
)


@pytest.mark.parametrize("send", SENDERS, ids=lambda send: send.__name__)
async def test_p5_nothing_secret_follows_a_redirect(places, send):
    with pytest.raises((ApprovalsError, NotDelivered)):
        await send(places.url)
    assert places.asked
    assert places.arrived == []
