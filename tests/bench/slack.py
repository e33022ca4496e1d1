"""From a press in Slack until the waiting gate hears of it, against the same from a form of the web app."""

import asyncio
import json
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

EACH = 120
PAUSE = 0.005


async def measure(each: int = EACH) -> Figures:
    """A press and a form in turn."""
    row = Figures("press in Slack to event at the gate, over the web decision's", 2)
    demo = DemoSlack()
    demo.state.add_user("UANN", "ann")
    demo.state.add_channel("C1", "approvals")
    demo.state.at_once = 1_000_000
    async with demo.running():
        slack = {"api_url": demo.api_url, "secret": demo.state.signing_secret, "token": demo.state.token}
        with sqlite() as database, subject(database, BENCH_SLACK=json.dumps(slack)) as service:
            demo.state.request_url = f"{service['url']}/slack/actions"
            both = await Both.open(demo, service)
            for number in range(each + 5):
                pair = [await both.seconds(10_000 + number * 2 + int(slack), slack=slack) for slack in (True, False)]
                if number >= 5:
                    row.pair(*pair)
            both.close()
    return row


class Both:
    """A reviewer in the browser, the same one in Slack, and the gate's stream."""

    def __init__(self, demo: DemoSlack, service: dict[str, Any]) -> None:
        self._demo, self._service = demo, service

    @classmethod
    async def open(cls, demo: DemoSlack, service: dict[str, Any]) -> "Both":
        self = cls(demo, service)
        self._filer, self._stream, self._reviewer = (
            await gate(service),
            await gate(service),
            await Reviewer.open(service),
        )
        self._stream.send("POST", "/api/v1/requests/events", json.dumps({"session": service["session"]}).encode())
        await self._stream.head()
        self._press = await Connection.open(service["url"], Content_Type="application/x-www-form-urlencoded")
        return self

    async def seconds(self, order: int, *, slack: bool) -> float:
        """From the press, or the form, until the gate's stream says approved."""
        request_id = await file(self._filer, self._service, order)
        form = await self._reviewer.form(request_id)
        said = await self._demo.state.until(partial(_about, self._demo, request_id))
        payload = sending.pressed(self._demo.state, self._demo.url, "UANN", said, APPROVE)
        body = urlencode({"payload": json.dumps(payload)}).encode()
        headers = {name.replace("-", "_"): value for name, value in sending.signed(self._demo.state, body).items()}
        await asyncio.sleep(PAUSE)
        began = time.perf_counter()
        if slack:
            self._press.send("POST", "/slack/actions", body, **headers)
        else:
            self._reviewer.approve(request_id, form)
        while not (request_id.encode() in (news := await self._stream.event()) and b'"approved"' in news):
            pass
        took = time.perf_counter() - began
        await (self._press.receive() if slack else self._reviewer.done())
        return took

    def close(self) -> None:
        for connection in (self._filer, self._stream, self._press):
            connection.close()


def _about(demo: DemoSlack, request_id: str) -> Any:
    found = (said for said in reversed(demo.state.messages("C1")) if request_id in json.dumps(said.blocks))
    return next(found, None)
