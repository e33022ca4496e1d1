"""Signed webhooks, to a real receiver that checks them with Standard Webhooks' own library."""

import base64
import json
import socket
from datetime import UTC, datetime

import pytest
import uvicorn
from standardwebhooks.webhooks import Webhook as Verifier
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from approvals.errors import Invalid
from approvals.protocol.previews import Fact, Preview
from approvals.service.notifications.webhook import Webhook

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


class Receiver:
    """Answers as it is told to, and keeps what came."""

    def __init__(self):
        self.came = []
        self.status, self.headers = 204, {}

    async def take(self, request):
        self.came.append((dict(request.headers), await request.body()))
        return Response(status_code=self.status, headers=self.headers)


@pytest.fixture
async def receiver():
    made = Receiver()
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        Starlette(routes=[Route("/in", made.take, methods=["POST"])]), log_config=None, lifespan="off"
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    made.url = f"http://127.0.0.1:{listener.getsockname()[1]}/in"
    yield made
    await server.shutdown(sockets=[listener])


@pytest.fixture
async def scenario(open_scenario, sqlite_url, receiver):
    scenario = open_scenario(sqlite_url, notifiers=(Webhook(receiver.url, SECRET),))
    scenario.build()
    scenario.service.database.start()
    yield scenario
    scenario.service.database.stop()


def verified(came):
    headers, body = came
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)  # the library's own check is by the wall clock
    assert Verifier(SECRET).sign(headers["webhook-id"], at, body.decode()) == headers["webhook-signature"]
    return json.loads(body)


async def test_a_receiver_hears_what_is_asked_and_what_became_of_it_signed(scenario, receiver):
    request_id = scenario.file().request_id
    await scenario.service.sender.send_due()
    scenario.decide(request_id, "deny", comment="no")
    await scenario.service.sender.send_due()
    first, second = (verified(came) for came in receiver.came)
    assert (first["type"], second["type"]) == ("request.pending", "request.denied")
    assert first["data"]["id"] == request_id and first["data"]["arguments"] == {"order_id": 1042, "amount_cents": 12000}
    assert second["data"]["comment"] == "no" and first["data"]["agent"] == "scout"
    assert [vote["verdict"] for vote in second["data"]["votes"]] == ["deny"]


async def test_p6_a_receiver_reads_what_a_card_says(scenario, receiver):
    preview = Preview(effect="Refunds $120.00", facts=(Fact(name="left", value=0, currency="USD"),))
    scenario.file(scenario.filing(preview=preview))
    await scenario.service.sender.send_due()
    told = verified(receiver.came[0])["data"]
    assert told["preview"]["effect"] == "Refunds $120.00"
    assert (told["who_may_approve"], told["assurance"], told["votes"]) == ("any reviewer", "enforced", [])
    assert told["edited"] is None


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [(503, {"retry-after": "120"}, 120), (500, {}, 1), (302, {"location": "http://127.0.0.1:1/"}, 1)],
)
async def test_what_did_not_arrive_is_sent_again_with_the_same_id(scenario, receiver, status, headers, wait):
    scenario.file()
    receiver.status, receiver.headers = status, headers
    await scenario.service.sender.send_due()
    scenario.clock.forward(wait * 0.4)
    await scenario.service.sender.send_due()
    assert len(receiver.came) == 1
    receiver.status, receiver.headers = 200, {}
    scenario.clock.forward(wait)
    await scenario.service.sender.send_due()
    ids = {headers["webhook-id"] for headers, _ in receiver.came}
    assert len(receiver.came) == 2 and len(ids) == 1
    assert scenario.rows("SELECT count(*) FROM delivery WHERE done_at IS NOT NULL") == [(1,)]


async def test_a_receiver_that_was_down_from_filing_to_denial_hears_of_the_denial_once(scenario, receiver):
    receiver.status = 503
    request_id = scenario.file().request_id
    await scenario.service.sender.send_due()
    scenario.decide(request_id, "deny", comment="no")
    await scenario.service.sender.send_due()
    receiver.came.clear()
    receiver.status = 204
    for _ in range(4):
        scenario.clock.forward(60)
        await scenario.service.sender.send_due()
    (said,) = map(verified, receiver.came)
    assert (said["type"], said["data"]["state"]) == ("request.denied", "denied")
    assert scenario.rows("SELECT count(*) FROM delivery WHERE done_at IS NULL") == [(0,)]


async def test_a_vote_that_is_not_enough_is_a_reminder_and_says_who_may(scenario, receiver):
    filed = scenario.file()
    scenario.need(filed.request_id, quorum=2)
    await scenario.service.sender.send_due()
    scenario.decide(filed.request_id)
    for _ in range(3):
        await scenario.service.sender.send_due()
    assert [verified(came)["type"] for came in receiver.came] == ["request.pending", "request.reminded"]


async def test_a_receiver_that_is_gone_for_good_is_not_asked_again(scenario, receiver):
    scenario.file()
    receiver.status = 410
    await scenario.service.sender.send_due()
    scenario.clock.forward(86_400)
    await scenario.service.sender.send_due()
    assert len(receiver.came) == 1
    ((error,),) = scenario.rows("SELECT error FROM delivery WHERE dead_at IS NOT NULL")
    assert "410" in error


async def test_nothing_that_listens_is_a_retry_and_blocks_no_decision(scenario, receiver):
    scenario.service.outbox.notifiers["webhook"]._url = "http://127.0.0.1:9/in"
    request_id = scenario.file().request_id
    await scenario.service.sender.send_due()
    scenario.decide(request_id)
    assert scenario.status(request_id).state == "approved"
    assert scenario.rows("SELECT dead_at FROM delivery WHERE error IS NOT NULL") == [(None,)]


@pytest.mark.parametrize("url", ["http://example.org/in", "ftp://example.org", "https://", "nonsense", ""])
def test_an_address_that_is_not_https_is_refused(url):
    with pytest.raises(Invalid):
        Webhook(url, SECRET)


@pytest.mark.parametrize("secret", ["", "short", "whsec_" + base64.b64encode(b"k" * 8).decode(), "whsec_%%%"])
def test_a_secret_that_is_none_is_refused_and_not_repeated(secret):
    with pytest.raises(Invalid) as refused:
        Webhook("https://example.org/in", secret)
    assert not secret or secret not in str(refused.value.detail + refused.value.hint)
