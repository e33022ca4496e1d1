"""Slack end to end: a real service process, an MCP client over stdio that waits, and a stand-in that keeps Slack's
rules; and a service that is killed at the worst moments."""

import asyncio
import contextlib
import json
import re
import sqlite3
import sys

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from approvals.service.slack.blocks import APPROVE, DENY
from approvals_web.demo.slack.server import DemoSlack
from support.answer_table import facts
from support.relay import Relay


class Deployment:
    """A service in its own process, installed in the stand-in's workspace; Ann is linked by code."""

    def __init__(self, installed, demo):
        self.installed, self.demo, self.state = installed, demo, demo.state
        self.service = None
        self.reviewer = None
        demo.state.request_url = f"{installed.url}/slack/actions"

    async def serve(self):
        environment = {
            "APPROVALS_SLACK_BOT_TOKEN": self.state.token,
            "APPROVALS_SLACK_SIGNING_SECRET": self.state.signing_secret,
            "APPROVALS_SLACK_CHANNEL": "#approvals",
            "APPROVALS_SLACK_API_URL": self.demo.api_url,
        }
        self.service = await anyio.to_thread.run_sync(lambda: self.installed.serve(**environment))

    async def link(self):
        self.reviewer = await anyio.to_thread.run_sync(lambda: self.installed.sign_in(self.service))
        page = (await anyio.to_thread.run_sync(lambda: self.reviewer.post("/account/slack/code"))).text
        code = re.search(r"/approvals link (\w+)", page)[1]
        assert "confirm" in (await self.demo.command("UANN", f"link {code}")).body["text"]
        confirmation = {"slack_user": "UANN"}
        answer = await anyio.to_thread.run_sync(
            lambda: self.reviewer.post("/account/slack/confirmation", data=confirmation)
        )
        assert answer.status_code == 303

    def agent(self):
        env = {
            "APPROVALS_URL": self.installed.url,
            "APPROVALS_SERVER_KEY": self.installed.key("server", "add", "shop", "--label", "stdio", "--trusted"),
            "APPROVALS_AGENT_KEY": self.installed.key("agent", "add", "scout"),
            "SHOP_DATABASE_URL": f"sqlite:///{self.installed.folder}/shop.db",
        }
        arguments = ["-m", "approvals_server.shop.cli"]
        return Client(StdioServerParameters(command=sys.executable, args=arguments, env=env, cwd=self.installed.folder))

    async def message(self, order):
        return await self.state.until(lambda: self._about(order), 30)

    def _about(self, order):
        found = (said for said in self.state.messages("C1") if re.search(rf"\b{order}\b", json.dumps(said.blocks)))
        return next(found, None)

    async def shows(self, said, words):
        await self.state.until(lambda: words in json.dumps(said.blocks), 30)

    def states(self):
        return [state for (state,) in self.installed.rows("SELECT state FROM request ORDER BY id")]


@pytest.fixture
async def deployment(installed):
    demo = DemoSlack()
    demo.state.add_user("UANN", "ann")
    demo.state.add_channel("C1", "approvals")
    async with demo.running():
        made = Deployment(installed, demo)
        await made.serve()
        await made.link()
        yield made
        made.reviewer.close()


def refund(client, order, cents=100):
    return client.call_tool("refund_order", {"order_id": order, "amount_cents": cents})


async def ran(agent, call):
    """The call's result; a gate that lost the service at the claim says to call again, and starts nothing."""
    result = await call
    if result.is_error and facts(result)["status"] == "unavailable":
        return await refund(agent, 1042)
    return result


def refunded(installed, order):
    with contextlib.closing(sqlite3.connect(installed.folder / "shop.db")) as shop:
        return shop.execute("SELECT count(*) FROM refund WHERE order_id = ?", (order,)).fetchone()[0]


async def test_p2_an_agent_waits_a_press_resumes_its_tool_and_a_denial_reaches_it(deployment):
    with anyio.fail_after(90):
        async with deployment.agent() as agent, asyncio.TaskGroup() as tasks:
            approved = tasks.create_task(refund(agent, 1042))
            said = await deployment.message(1042)
            assert refunded(deployment.installed, 1042) == 0
            answer = await deployment.demo.press("UANN", said, APPROVE)
            assert answer.ok and deployment.states()[0] in {"approved", "executing", "succeeded"}
            result = await approved
            await deployment.shows(said, "It ran")
            (reply,) = await deployment.state.until(lambda: deployment.state.thread(said.ts))
            denied = tasks.create_task(refund(agent, 1043))
            other = await deployment.message(1043)
            assert (await deployment.demo.press("UANN", other, DENY)).ok
            await deployment.demo.submit("UANN", {"reason": {"reason": {"value": "Offer store credit"}}})
            refusal = await denied
    assert not result.is_error and refunded(deployment.installed, 1042) == 1
    assert refusal.is_error and "Offer store credit" in refusal.content[0].text
    assert refunded(deployment.installed, 1043) == 0 and "refunded" in json.dumps(reply.blocks)
    assert deployment.service.stop() == 0
    assert not [line for line in deployment.service.lines if "Traceback" in line]


class Deaf(Relay):
    """Passes the press on; when its acknowledgement comes back, the service dies and nobody hears it."""

    def __init__(self, url, kill):
        super().__init__(url)
        self._kill = kill

    async def _serve(self, reader, writer):
        far_reader, far_writer = await asyncio.open_connection(self._to.hostname, self._to.port)
        task = asyncio.create_task(self._pass_on(reader, far_writer))
        await far_reader.read(1)
        self._kill()
        writer.transport.abort()
        task.cancel()


async def test_p2_killed_between_commit_and_acknowledgement_the_decision_stands_and_runs_once(deployment):
    with anyio.fail_after(120):
        async with deployment.agent() as agent, asyncio.TaskGroup() as tasks:
            call = tasks.create_task(refund(agent, 1042))
            said = await deployment.message(1042)
            relay = Deaf(deployment.state.request_url, deployment.service.kill)
            await relay.start()
            deployment.state.request_url, direct = relay.url, deployment.state.request_url
            with pytest.raises(httpx2.HTTPError):
                await deployment.demo.press("UANN", said, APPROVE)
            relay.cut()
            deployment.state.request_url = direct
            assert deployment.states()[0] in {"approved", "executing", "succeeded"}  # its gate may have been quicker
            await deployment.serve()
            if said.button(APPROVE):  # whoever saw the error presses again
                assert (await deployment.demo.press("UANN", said, APPROVE)).ok
            result = await ran(agent, call)
            await deployment.shows(said, "It ran")
    assert not result.is_error and refunded(deployment.installed, 1042) == 1
    assert deployment.installed.rows("SELECT count(*) FROM decision") == [(1,)]


async def test_killed_between_acknowledgement_and_update_the_message_still_tells_the_truth(deployment):
    with anyio.fail_after(120):
        async with deployment.agent() as agent, asyncio.TaskGroup() as tasks:
            call = tasks.create_task(refund(agent, 1042))
            said = await deployment.message(1042)
            deployment.state.fail("chat.update", "500", times=1000)
            assert (await deployment.demo.press("UANN", said, APPROVE)).ok
            deployment.service.kill()
            assert said.button(APPROVE), "not updated yet"
            deployment.state.faults.clear()
            await deployment.serve()
            await deployment.shows(said, "Approved")
            result = await ran(agent, call)
            await deployment.shows(said, "It ran")
    assert not result.is_error and refunded(deployment.installed, 1042) == 1
    assert len(deployment.state.messages("C1")) == 1
