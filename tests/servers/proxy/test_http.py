"""Streamable HTTP on either side of the proxy, in both eras, with real clients and servers."""

import asyncio
import json

import anyio
import httpx2
import pytest

from approvals.service.identity import servers
from approvals.service.identity.admins import Operator
from support.answer_table import facts
from support.listening import listening


def text(result):
    return "\n".join(block.text for block in result.content)


@pytest.fixture(params=["process", "http"])
async def url(proxied, request):
    """The proxy over HTTP, before either kind of upstream."""
    if request.param == "process":
        async with proxied.front() as url:
            yield url
    else:
        async with proxied.behind() as behind, proxied.front(behind) as url:
            yield url


@pytest.fixture
async def modern(proxied):
    async with proxied.behind() as behind, proxied.front(behind) as url:
        yield url


async def decided(proxied, agent, verdict, tool, **arguments):
    async with asyncio.TaskGroup() as tasks:
        call = tasks.create_task(agent.call_tool(tool, arguments))
        row = await proxied.served.decide(verdict, comment="because")
        with anyio.fail_after(10):
            return row, await call


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_p1_a_write_waits_and_a_read_passes(proxied, url, mode):
    async with proxied.http(url, mode=mode) as agent:
        assert "b" in text(await agent.call_tool("read_note", {"name": "b"}))
        row, result = await decided(proxied, agent, "approve", "write_note", name="a")
        assert not result.is_error
        assert proxied.served.scenario.rows("SELECT name FROM agent WHERE id = :id", id=row.agent_id) == [("scout",)]
        _, result = await decided(proxied, agent, "deny", "write_note", name="c")
        assert facts(result)["status"] == "denied"
    assert len([what for what, _ in proxied.did if what in {"write", "write_note"}]) == 1


async def test_p1_the_same_in_2026(proxied, modern):
    async with proxied.http(modern, mode="2026-07-28") as agent:
        assert text(await agent.call_tool("read_note", {"name": "b"})) == "the note b"
        _, result = await decided(proxied, agent, "approve", "write_note", name="a")
        assert text(result) == "wrote a"
        assert (await agent.read_resource("note://c")).contents[0].text == "resource c"


async def test_p1_two_agents_of_2026_that_count_alike_get_their_own_answers(proxied, modern):
    async with proxied.http(modern, mode="2026-07-28") as one, proxied.http(modern, mode="2026-07-28") as other:
        async with asyncio.TaskGroup() as tasks:
            calls = [
                tasks.create_task(who.call_tool("read_note", {"name": name}))
                for who, name in ((one, "a"), (other, "b"))
            ]
        assert [text(await call) for call in calls] == ["the note a", "the note b"]


async def test_p5_without_an_agents_key_nobody_is_let_in(proxied, url):
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}}
    async with httpx2.AsyncClient(trust_env=False) as http:
        for key in ("", "Bearer nonsense", f"Bearer {proxied.served.scenario.keys['notes']}"):
            answer = await http.post(url, json=hello, headers={"Authorization": key} if key else {})
            assert answer.status_code == 401
            assert "Bearer" in answer.headers["www-authenticate"]
    assert proxied.did == []


async def test_a_session_is_its_agents_own(proxied, url):
    scenario = proxied.served.scenario
    scenario.keys["other"] = scenario.write(lambda tx: servers.add_agent(tx, Operator("test"), "other"))
    async with httpx2.AsyncClient(trust_env=False, headers={"Accept": "application/json, text/event-stream"}) as http:
        mine, theirs = ({"Authorization": f"Bearer {scenario.keys[name]}"} for name in ("agent", "other"))
        params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "0"}}
        hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
        answer = await http.post(url, json=hello, headers=mine)
        session = {"Mcp-Session-Id": answer.headers["mcp-session-id"]}
        ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
        assert (await http.post(url, json=ping, headers=mine | session)).json()["result"] == {}
        assert (await http.post(url, json=ping, headers=theirs | session)).status_code == 404
        assert (await http.delete(url, headers=theirs | session)).status_code == 404
        assert (await http.delete(url, headers=mine | session)).status_code == 200
        assert (await http.post(url, json=ping, headers=mine | session)).status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"), [({"Host": "evil.example"}, 421), ({"Origin": "https://evil.example"}, 403)]
)
async def test_p5_a_page_of_somebody_elses_cannot_call(proxied, url, headers, status):
    key = {"Authorization": f"Bearer {proxied.served.scenario.keys['agent']}"}
    async with httpx2.AsyncClient(trust_env=False) as http:
        answer = await http.post(url, json={"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers=key | headers)
        assert answer.status_code == status


async def test_the_upstream_never_sees_the_agents_key(proxied):
    seen = []

    async def app(scope, receive, send):
        seen.extend(value for _, value in scope["headers"])
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message["more_body"]:
                break
        answer = {"jsonrpc": "2.0", "id": json.loads(body or b"{}").get("id"), "result": {}}
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    async with listening(app) as behind, proxied.front(behind) as url:
        key = proxied.served.scenario.keys["agent"]
        async with httpx2.AsyncClient(trust_env=False) as http:
            hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}
            assert (await http.post(url, json=hello, headers={"Authorization": f"Bearer {key}"})).status_code == 200
    assert seen
    assert key.encode() not in b" ".join(seen)


async def test_p3_a_client_of_2026_that_hangs_up_leaves_its_request_to_whoever_asks_again(proxied, modern):
    async with proxied.http(modern, mode="2026-07-28") as agent:
        with anyio.move_on_after(30) as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(agent.call_tool, "write_note", {"name": "a"})
                row = await proxied.served.pending()
                tasks.cancel_scope.cancel()
        assert not scope.cancelled_caught
        again, result = await decided(proxied, agent, "approve", "write_note", name="a")
    assert again.id == row.id
    assert text(result) == "wrote a"
    assert proxied.did == [["write", {"name": "a", "text": ""}]]


async def test_p3_an_approval_for_a_client_that_is_gone_waits_for_it(proxied, url):
    """In the older protocols hanging up cancels nothing."""
    async with proxied.http(url, mode="legacy") as agent, anyio.create_task_group() as tasks:
        tasks.start_soon(agent.call_tool, "write_note", {"name": "a"})
        row = await proxied.served.pending()
        tasks.cancel_scope.cancel()
    assert proxied.did == []
    async with proxied.http(url, mode="legacy") as agent:
        again, _ = await decided(proxied, agent, "approve", "write_note", name="a")
    assert again.id == row.id
    assert len(proxied.did) == 1
