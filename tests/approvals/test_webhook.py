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
async def house(open_house, sqlite_url, receiver):
    house = open_house(sqlite_url, notifiers=(Webhook(receiver.url, SECRET),))
    house.build()
    house.service.database.start()
    yield house
    house.service.database.stop()


def verified(came):
    headers, body = came
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)  # the library's own check is by the wall clock
    assert Verifier(SECRET).sign(headers["webhook-id"], at, body.decode()) == headers["webhook-signature"]
    return json.loads(body)


async def test_a_receiver_hears_what_is_asked_and_what_became_of_it_signed(house, receiver):
    request_id = house.file().request_id
    await house.service.sender.send_due()
    house.decide(request_id, "deny", comment="no")
    await house.service.sender.send_due()
    first, second = (verified(came) for came in receiver.came)
    assert (first["type"], second["type"]) == ("request.pending", "request.denied")
    assert first["data"]["id"] == request_id and first["data"]["arguments"] == {"order_id": 1042, "amount_cents": 12000}
    assert second["data"]["comment"] == "no" and first["data"]["agent"] == "scout"


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [(503, {"retry-after": "120"}, 120), (500, {}, 1), (302, {"location": "http://127.0.0.1:1/"}, 1)],
)
async def test_what_did_not_arrive_is_sent_again_with_the_same_id(house, receiver, status, headers, wait):
    house.file()
    receiver.status, receiver.headers = status, headers
    await house.service.sender.send_due()
    house.clock.forward(wait * 0.4)
    await house.service.sender.send_due()
    assert len(receiver.came) == 1
    receiver.status, receiver.headers = 200, {}
    house.clock.forward(wait)
    await house.service.sender.send_due()
    ids = {headers["webhook-id"] for headers, _ in receiver.came}
    assert len(receiver.came) == 2 and len(ids) == 1
    assert house.rows("SELECT count(*) FROM delivery WHERE done_at IS NOT NULL") == [(1,)]


async def test_a_receiver_that_was_down_from_filing_to_denial_hears_of_the_denial_once(house, receiver):
    receiver.status = 503
    request_id = house.file().request_id
    await house.service.sender.send_due()
    house.decide(request_id, "deny", comment="no")
    await house.service.sender.send_due()
    receiver.came.clear()
    receiver.status = 204
    for _ in range(4):
        house.clock.forward(60)
        await house.service.sender.send_due()
    (said,) = map(verified, receiver.came)
    assert (said["type"], said["data"]["state"]) == ("request.denied", "denied")
    assert house.rows("SELECT count(*) FROM delivery WHERE done_at IS NULL") == [(0,)]


async def test_a_vote_that_is_not_enough_is_a_reminder_and_says_who_may(house, receiver):
    filed = house.file()
    house.need(filed.request_id, quorum=2)
    await house.service.sender.send_due()
    house.decide(filed.request_id)
    for _ in range(3):
        await house.service.sender.send_due()
    assert [verified(came)["type"] for came in receiver.came] == ["request.pending", "request.reminded"]


async def test_a_receiver_that_is_gone_for_good_is_not_asked_again(house, receiver):
    house.file()
    receiver.status = 410
    await house.service.sender.send_due()
    house.clock.forward(86_400)
    await house.service.sender.send_due()
    assert len(receiver.came) == 1
    ((error,),) = house.rows("SELECT error FROM delivery WHERE dead_at IS NOT NULL")
    assert "410" in error


async def test_nothing_that_listens_is_a_retry_and_blocks_no_decision(house, receiver):
    house.service.outbox.notifiers["webhook"]._url = "http://127.0.0.1:9/in"
    request_id = house.file().request_id
    await house.service.sender.send_due()
    house.decide(request_id)
    assert house.status(request_id).state == "approved"
    assert house.rows("SELECT dead_at FROM delivery WHERE error IS NOT NULL") == [(None,)]


@pytest.mark.parametrize("url", ["http://example.org/in", "ftp://example.org", "https://", "nonsense", ""])
def test_an_address_that_is_not_https_is_refused(url):
    with pytest.raises(Invalid):
        Webhook(url, SECRET)


@pytest.mark.parametrize("secret", ["", "short", "whsec_" + base64.b64encode(b"k" * 8).decode(), "whsec_%%%"])
def test_a_secret_that_is_none_is_refused_and_not_repeated(secret):
    with pytest.raises(Invalid) as refused:
        Webhook("https://example.org/in", secret)
    assert not secret or secret not in str(refused.value.detail + refused.value.hint)
