"""The service under measure, as `serve` runs it: a migrated database, uvicorn with uvloop and httptools."""

import asyncio
import contextlib
import json
import os
import socket
import sys
import time

import uvicorn
import uvloop

from approvals.protocol.registration import Annotations, Assurance, Registration, ToolDefinition
from approvals.service.identity import credentials, servers, sessions, users
from approvals.service.identity.admins import Operator
from approvals.service.identity.servers import installation_named
from approvals.service.identity.users import find
from approvals.service.keyring import Keyring
from approvals.service.requests.rate_limits import Allowance
from approvals.service.service import Service
from approvals.service.slack.workspace import Installed, Workspace
from approvals.service.storage import migrate
from approvals.service.storage.database import database_at
from approvals.service.storage.tables import SlackLink
from approvals.service.tools.registrations import examine
from approvals_web.app import create_app
from approvals_web.serve import Server

TICK = 0.002

TOOL = ToolDefinition(
    name="refund_order",
    input_schema={"type": "object", "properties": {"order_id": {"type": "integer"}}},
    annotations=Annotations(),
    summary="Refund order {order_id}",
)

BENCH = Operator("bench")


def furnish(service: Service) -> dict[str, str]:
    """A server, an agent and a signed-in reviewer; their credentials."""
    write = service.database.write_now
    key = write(
        lambda tx: servers.add_server(tx, BENCH, "shop", label="bench", assurance=Assurance.ENFORCED, trusted=True)
    )
    bench_key = write(
        lambda tx: servers.add_server(tx, BENCH, "bench", label="bench", assurance=Assurance.ENFORCED, trusted=True)
    )
    agent = write(lambda tx: servers.add_agent(tx, BENCH, "scout"))
    user = write(lambda tx: users.add(tx, "bench", subject="ann", name="Ann", roles="reviewer", password_hash=None))
    row = service.read_now(lambda reader: find(reader, user))
    assert row is not None
    cookie = write(lambda tx: sessions.sign_in(tx, service.keyring, row, "password", "127.0.0.1", "bench"))
    installation = service.read_now(lambda reader: installation_named(reader, "shop", "bench"))
    registration = Registration(session="bench-session", tools=(TOOL,))
    write(lambda tx: service.registrations.take(tx, installation, examine(registration)))
    registered = service.read_now(lambda reader: service.registry.registered(reader, installation, "bench-session"))
    tool_hash = registered.tools["refund_order"].tool_hash
    return {
        "key": key,
        "bench_key": bench_key,
        "agent": agent,
        "cookie": cookie,
        "tool_hash": tool_hash,
        "session": "bench-session",
        "reader": write(lambda tx: credentials.mint(tx, "user", user)),
    }


def _slack(service: Service) -> Workspace | None:
    """Installed in the stand-in that the environment names, with Ann linked."""
    given = json.loads(os.environ.get("BENCH_SLACK", "{}"))
    if not given:
        return None
    user = service.read_now(lambda reader: users.require_user(reader, "ann"))
    link = {"team_id": "T0DEMO", "slack_user_id": "UANN", "slack_name": "ann", "by": "code", "user_id": user.id}
    service.database.write_now(lambda tx: tx.insert(SlackLink, linked_at=tx.now, **link))
    return Workspace(service, Installed(given["token"], "#approvals", given["secret"], api_url=given["api_url"]))


async def main(database: str, *, replica: bool) -> None:
    migrate.upgrade(database)
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    service = Service(database_at(database), Keyring("bench" * 10), url, allowance=Allowance(None, None))
    print(json.dumps({"url": url} | ({} if replica else furnish(service))), flush=True)
    app = create_app(service, slack=_slack(service))
    ticks = Ticks()
    app.add_api_route("/bench/hold-up", ticks.longest, include_in_schema=False)
    config = uvicorn.Config(app, log_level="warning", access_log=False, backlog=2048, lifespan="on")
    server = Server(config, service)
    ticking = asyncio.create_task(ticks.run()) if replica else None
    with contextlib.suppress(KeyboardInterrupt):
        await server.serve(sockets=[listener])
    if ticking is not None:
        ticking.cancel()


class Ticks:
    """A clock in the service's own loop, which notices when something holds the loop up."""

    def __init__(self) -> None:
        self._longest = 0.0

    async def run(self) -> None:
        while True:
            due = time.perf_counter() + TICK
            await asyncio.sleep(TICK)
            self._longest = max(self._longest, time.perf_counter() - due)

    async def longest(self) -> float:
        """Seconds, since it was asked last."""
        longest, self._longest = self._longest, 0.0
        return longest


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1], replica="replica" in sys.argv))
