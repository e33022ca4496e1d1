"""What one caller, or a stranger, may keep open."""

import asyncio
import contextlib
import json
import threading

import httpx2
import pytest
import uvicorn

from approvals.errors import TooMany
from approvals.service.realtime.gate_streams import MOST, GateStream
from approvals.service.realtime.stream_limits import Places
from approvals_web.http import request_timeouts, strict_json
from approvals_web.http.request_timeouts import PatientProtocol


def test_p5_places_are_counted_by_caller_and_come_back():
    places = Places(2, "streams")
    with places.held("one"):
        with places.held("one"):
            places.check("other")
            with pytest.raises(TooMany, match="There are 2 streams already"):
                places.check("one")
        places.check("one")
    assert not places._taken


async def test_p5_a_browser_holds_so_many_streams_and_no_more(served, ann, visitors, monkeypatch):
    monkeypatch.setattr(served.scenario.service.browsers, "_most", 2)
    streams = []
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(2):
            answer = await stack.enter_async_context(ann.http.stream("GET", "/events"))
            streams.append(answer.aiter_lines())
            assert (await anext(streams[-1])).startswith("event: hello")
        refused = await ann.http.get("/events")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
        bob = await visitors.signed_in("bob")
        async with bob.http.stream("GET", "/events") as answer:
            assert answer.status_code == 200


async def test_p5_of_a_gate_process_the_oldest_of_too_many_streams_ends(served, scenario):
    body = {"session": scenario.session, "waiting": []}
    async with served.client() as gate, contextlib.AsyncExitStack() as stack, asyncio.timeout(30):
        streams = []
        for _ in range(MOST + 1):
            answer = await stack.enter_async_context(gate.stream("POST", "/requests/events", json=body, timeout=30))
            lines = answer.aiter_lines()
            assert (await anext(lines)).startswith("event: lease")
            streams.append(lines)
        assert "event: bye" in [line async for line in streams[0]]
        assert scenario.service.gates.number() == MOST


async def test_p5_an_installation_holds_so_many_streams_and_no_more(served, scenario, monkeypatch):
    monkeypatch.setattr(scenario.service.gate_places, "_most", 0)
    async with served.client() as gate:
        refused = await gate.post("/requests/events", json={"session": scenario.session, "waiting": []})
    assert refused.status_code == 429
    assert json.loads(refused.text)["retry_after_seconds"] == 5


def test_a_stream_that_is_told_to_end_wakes(scenario):
    stream = GateStream("session", "installation")
    stream.end()
    assert stream.ended


HALVES = (
    b"",
    b"GET / HTTP/1.1\r\nHost: x\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /",
    b"\r\n",
)


@contextlib.asynccontextmanager
async def listening():
    async def app(scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    config = uvicorn.Config(app, http=PatientProtocol, lifespan="off", log_level="critical")
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(
        lambda: PatientProtocol(config=config, server_state=server.server_state, app_state={}), "127.0.0.1", 0
    )
    yield listener.sockets[0].getsockname()
    listener.close()
    await listener.wait_closed()


@pytest.mark.parametrize("half", HALVES)
async def test_p5_half_a_request_is_hung_up_on(monkeypatch, half):
    monkeypatch.setattr(request_timeouts, "REQUEST_SECONDS", 0.05)
    async with listening() as (host, port), asyncio.timeout(20):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(half)
        while await reader.read(1000):
            pass
        writer.close()


async def test_p5_a_head_without_end_is_hung_up_on():
    async with listening() as (host, port), asyncio.timeout(20):
        reader, writer = await asyncio.open_connection(host, port)
        with contextlib.suppress(ConnectionError):
            writer.write(b"GET / HTTP/1.1\r\n")
            while not reader.at_eof():
                writer.write(b"X-Header: " + b"x" * 4000 + b"\r\n")
                await writer.drain()
        writer.close()


async def test_what_came_whole_may_take_its_time_to_be_answered(monkeypatch):
    monkeypatch.setattr(request_timeouts, "REQUEST_SECONDS", 0.05)
    async with listening() as (host, port), asyncio.timeout(20):
        reader, writer = await asyncio.open_connection(host, port)
        for _ in range(2):
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")
            assert await reader.readline() == b"HTTP/1.1 204 No Content\r\n"
            while await reader.readline() != b"\r\n":
                pass
        writer.close()


async def test_p5_nothing_of_a_body_is_parsed_for_whoever_has_no_live_key(served, monkeypatch):
    parsed = []
    parse = strict_json.parse
    monkeypatch.setattr(strict_json, "parse", lambda raw: parsed.append(len(raw)) or parse(raw))
    body = b"[" + b"[]," * 100_000 + b"[]]"
    async with httpx2.AsyncClient() as client:
        for headers in ({}, {"Authorization": "Bearer mcps_000000000000_x"}, {"Authorization": "Basic eDp5"}):
            refused = await client.post(f"{served.url}/api/v1/requests", content=body, headers=headers)
            assert refused.status_code == 401
    assert not parsed


async def test_p5_a_long_body_is_parsed_beside_the_event_loop(served, scenario, monkeypatch):
    threads = []
    parse = strict_json.parse
    monkeypatch.setattr(strict_json, "parse", lambda raw: threads.append(threading.current_thread()) or parse(raw))
    async with served.client() as gate:
        await gate.post("/requests", content=b"[" + b"[]," * 100_000 + b"[]]")
        await gate.post("/requests", content=b"[]")
    long, short = threads
    assert long is not short


async def test_p5_an_agent_holds_so_many_long_polls_and_no_more(served, scenario, monkeypatch):
    monkeypatch.setattr(scenario.service.poll_places["agent"], "_most", 0)
    filed = scenario.file()
    async with served.client("agent") as agent, served.client() as gate:
        refused = await agent.get(f"/requests/{filed.request_id}?wait=5")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
        assert (await agent.get(f"/requests/{filed.request_id}")).status_code == 200
        assert (await gate.get(f"/requests/{filed.request_id}?wait=0.01")).status_code == 200


async def test_p5_verdicts_are_judged_beside_the_event_loop(scenario, monkeypatch):
    threads = []
    registered = scenario.service.registry.registered

    def judged(*of, **more):
        threads.append(threading.current_thread())
        return registered(*of, **more)

    monkeypatch.setattr(scenario.service.registry, "registered", judged)
    assert (await scenario.service.leased(scenario.installation(), scenario.session)).tools
    assert threads != [threading.current_thread()]


@pytest.mark.parametrize("path", ["/api/v1/requests", "/login"])
async def test_a_caller_that_hangs_up_in_the_middle_is_no_fault_of_the_service(served, scenario, caplog, until, path):
    host, port = served.url.removeprefix("http://").split(":")
    seen = len(caplog.records)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {scenario.keys['shop']}\r\n"
        "Sec-Fetch-Site: same-origin\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        "Content-Length: 500\r\n\r\nname="
    )
    for _ in range(5):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(head.encode())
        await writer.drain()
        await asyncio.sleep(0)
        writer.close()
        await writer.wait_closed()
    async with served.client() as gate:
        await gate.get("/requests/none")
    assert [record.message for record in caplog.records[seen:] if record.levelname == "ERROR"] == []
