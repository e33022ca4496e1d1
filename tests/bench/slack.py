"""From a press in Slack until the waiting gate hears of it, against the same from a form of the web app."""

import asyncio
import json
import os
import time
from functools import partial
from typing import Any
from urllib.parse import urlencode

from connection import Connection
from figures import Figures
from process import sqlite, subject
from reviewer import Reviewer, file, gate

from approvals.service.slack.blocks import APPROVE
from approvals_web.demo.slack import sending
from approvals_web.demo.slack.server import DemoSlack

EACH = 40
PAUSE = 0.005


async def measure(rounds: int) -> Figures:
    """Interleaved rounds of both."""
    row = Figures("press in Slack to event at the gate, over the web decision's", 2)
    demo = DemoSlack()
    demo.state.add_user("UANN", "ann")
    demo.state.add_channel("C1", "approvals")
    demo.state.at_once = 1_000_000
    async with demo.running():
        os.environ["BENCH_SLACK"] = json.dumps(
            {"api_url": demo.api_url, "secret": demo.state.signing_secret, "token": demo.state.token}
        )
        with sqlite() as database, subject(database) as service:
            demo.state.request_url = f"{service['url']}/slack/actions"
            for number in range(rounds):
                web = await _times(demo, service, 10_000 + number * 1000, slack=False)
                slack = await _times(demo, service, 50_000 + number * 1000, slack=True)
                for one, other in zip(slack, web, strict=True):
                    row.pair(one, other)
    return row


async def _times(demo: DemoSlack, service: dict[str, Any], start: int, *, slack: bool) -> list[float]:
    filer, stream, reviewer = await gate(service), await gate(service), await Reviewer.open(service)
    stream.send("POST", "/api/v1/requests/events", json.dumps({"session": service["session"]}).encode())
    await stream.head()
    press = await Connection.open(service["url"], Content_Type="application/x-www-form-urlencoded")
    times = []
    for number in range(EACH):
        request_id = await file(filer, service, start + number)
        form = await reviewer.form(request_id)
        said = await demo.state.until(partial(_about, demo, request_id))
        payload = sending.pressed(demo.state, demo.url, "UANN", said, APPROVE)
        body = urlencode({"payload": json.dumps(payload)}).encode()
        headers = {name.replace("-", "_"): value for name, value in sending.signed(demo.state, body).items()}
        await asyncio.sleep(PAUSE)
        began = time.perf_counter()
        if slack:
            press.send("POST", "/slack/actions", body, **headers)
        else:
            reviewer.approve(request_id, form)
        while not (request_id.encode() in (news := await stream.event()) and b'"approved"' in news):
            pass
        times.append(time.perf_counter() - began)
        await (press.receive() if slack else reviewer.done())
    for connection in (filer, stream, press):
        connection.close()
    return times


def _about(demo: DemoSlack, request_id: str) -> Any:
    found = (said for said in reversed(demo.state.messages("C1")) if request_id in json.dumps(said.blocks))
    return next(found, None)
