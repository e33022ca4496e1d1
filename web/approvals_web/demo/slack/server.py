"""The stand-in behind a port: the Web API, response addresses, sockets, and the page."""

import asyncio
import contextlib
import json
import secrets
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from approvals_web.demo.slack import methods, page, sending
from approvals_web.demo.slack.sending import PATIENCE, Acknowledged
from approvals_web.demo.slack.state import Fault, State

TICKET_SECONDS = 30.0

KEEP_ALIVE = 75
"""Seconds of silence after which it hangs up, as large services do: far above any pause between two messages here."""


class DemoSlack:
    """One workspace behind one port."""

    def __init__(self, state: State | None = None) -> None:
        self.state = state or State()
        self.key = secrets.token_urlsafe(24)
        """Opens the page: without it anybody on this machine could press."""
        self.url = ""
        self._tickets: dict[str, float] = {}
        """Each opens one socket, and until when: whoever holds one has shown the app's token."""

    @property
    def api_url(self) -> str:
        return f"{self.url}/api/"

    @property
    def page_url(self) -> str:
        return f"{self.url}/?key={self.key}"

    @contextlib.asynccontextmanager
    async def running(self, port: int = 0) -> AsyncIterator[str]:
        """Serves while the context lasts; its address. Loopback only."""
        listener = socket.create_server(("127.0.0.1", port))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = uvicorn.Server(
            uvicorn.Config(
                self._app(), log_config=None, lifespan="off", timeout_graceful_shutdown=1, timeout_keep_alive=KEEP_ALIVE
            )
        )
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup(sockets=[listener])
        try:
            yield self.url
        finally:
            for line in self.state.sockets:
                await line.close()
            await server.shutdown(sockets=[listener])

    async def press(self, user_id: str, said: Any, action_id: str) -> Acknowledged:
        """A user presses a button."""
        return await sending.deliver(self.state, sending.pressed(self.state, self.url, user_id, said, action_id))

    async def submit(self, user_id: str, values: dict[str, object]) -> Acknowledged:
        """A user sends their dialog; it closes unless the app found fault."""
        answer = await sending.deliver(self.state, sending.submitted(self.state, user_id, values))
        if answer.ok and not (answer.body or {}).get("errors"):
            self.state.dialogs.pop(user_id, None)
        return answer

    async def command(self, user_id: str, text: str) -> Acknowledged:
        """A user types a slash command."""
        return await sending.deliver(self.state, sending.command(self.state, self.url, user_id, text))

    def _app(self) -> Starlette:
        routes = [
            Route("/api/{method}", self._api, methods=["GET", "POST"]),
            Route("/response/{made}", self._response, methods=["POST"]),
            WebSocketRoute("/socket/{ticket}", self._socket),
            *page.routes(self),
        ]
        return Starlette(routes=routes)

    async def _api(self, request: Request) -> Response:
        method = request.path_params["method"]
        kind = request.headers.get("content-type", "")
        form = await request.json() if kind.startswith("application/json") else dict(await request.form())
        given = dict(request.query_params) | dict(form)
        fault = self.state.fault(method, str(given.get("channel") or given.get("users") or given.get("user") or ""))
        if fault is not None and fault.word != "lost":
            return await _failed(fault)
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        said = methods.answer(self.state, method, token, given)
        if fault is not None:
            return PlainTextResponse("sorry", 500)
        if said.get("error") == "ratelimited":
            return _limited(int(next(iter(said.get("response_metadata", {}).get("messages", [])), 1)))
        if method == "apps.connections.open" and said["ok"]:
            said["url"] = f"{self.url.replace('http', 'ws', 1)}/socket/{self._ticket()}"
        return JSONResponse(said, headers={"X-OAuth-Scopes": methods.SCOPES})

    async def _response(self, request: Request) -> Response:
        used = self.state.answered(request.path_params["made"], await request.json())
        return PlainTextResponse("ok" if used else "used_url", 200 if used else 404)

    def _ticket(self) -> str:
        now = time.monotonic()
        self._tickets = {ticket: until for ticket, until in self._tickets.items() if until > now}
        ticket = secrets.token_urlsafe(24)
        self._tickets[ticket] = now + TICKET_SECONDS
        return ticket

    async def _socket(self, websocket: WebSocket) -> None:
        """Apps are no browsers: a page that found a ticket is turned away as well."""
        until = self._tickets.pop(websocket.path_params["ticket"], 0.0)
        if until < time.monotonic() or "origin" in websocket.headers:
            await websocket.close()
            return
        await websocket.accept()
        line = _Line(websocket)
        self.state.sockets.append(line)
        self.state.changed()
        try:
            await websocket.send_text(json.dumps({"type": "hello", "num_connections": 1}))
            while True:
                line.heard(json.loads(await websocket.receive_text()))
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            self.state.sockets.remove(line)
            self.state.changed()


class _Line:
    """An app's open socket."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._waiting: dict[str, asyncio.Future[Any]] = {}

    async def send(self, kind: str, payload: dict[str, object]) -> Acknowledged:
        envelope = secrets.token_hex(8)
        self._waiting[envelope] = asyncio.get_running_loop().create_future()
        begun = time.monotonic()
        said = {"envelope_id": envelope, "type": kind, "payload": payload, "accepts_response_payload": True}
        await self._websocket.send_text(json.dumps(said))
        try:
            body = await asyncio.wait_for(self._waiting[envelope], PATIENCE)
        except TimeoutError:
            return Acknowledged(504, None, time.monotonic() - begun)
        return Acknowledged(200, body, time.monotonic() - begun)

    async def ask_for_another(self, reason: str) -> None:
        """As Slack does every few hours, before it hangs up."""
        await self._websocket.send_text(json.dumps({"type": "disconnect", "reason": reason}))

    def heard(self, said: dict[str, Any]) -> None:
        waiting = self._waiting.get(said.get("envelope_id", ""))
        if waiting is not None and not waiting.done():
            waiting.set_result(said.get("payload"))

    async def close(self) -> None:
        with contextlib.suppress(RuntimeError):
            await self._websocket.close()


async def _failed(fault: Fault) -> Response:
    if fault.word == "hang":
        await asyncio.sleep(60)
    if fault.word == "ratelimited":
        return _limited(fault.retry_after)
    if fault.word.isdigit():
        return PlainTextResponse("sorry", int(fault.word))
    return JSONResponse({"ok": False, "error": fault.word})


def _limited(seconds: int) -> Response:
    return JSONResponse({"ok": False, "error": "ratelimited"}, 429, headers={"Retry-After": str(seconds)})
