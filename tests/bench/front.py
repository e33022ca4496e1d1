"""The proxy over streamable HTTP before a URL, on a port that it prints: `front.py URL`."""

import asyncio
import socket
import sys

import httpx2
import uvicorn

from approvals import Gate, GateSettings
from approvals_server.proxy.configuration.opening import over_http
from approvals_server.proxy.http_clients import PATH, Front
from approvals_server.proxy.remote import TIMEOUT
from approvals_server.proxy.shared_state import Desk
from approvals_server.proxy.upstreams import Behind, One


async def main(behind: str) -> None:
    desk = Desk(Gate("bench", GateSettings.from_environment()), [behind])
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    async with httpx2.AsyncClient(timeout=TIMEOUT) as http:
        front = Front(One(Behind(desk, over_http(http, behind))), "127.0.0.1")
        async with front.open():
            print(f"http://127.0.0.1:{listener.getsockname()[1]}{PATH}", flush=True)
            config = uvicorn.Config(front, log_level="warning", access_log=False, lifespan="off", backlog=4096)
            await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    asyncio.Runner(loop_factory=uvicorn.Config(None).get_loop_factory()).run(main(sys.argv[1]))
