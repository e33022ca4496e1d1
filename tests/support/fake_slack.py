"""A service that is installed in a stand-in for Slack: real HTTP both ways."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI

from approvals.instant import SECOND
from approvals.service.audit.seals import Touched
from approvals.service.identity.users import require_user
from approvals.service.keyring import Keyring
from approvals.service.requests.rate_limits import Allowance
from approvals.service.service import Service
from approvals.service.slack.blocks import APPROVE, DENY
from approvals.service.slack.workspace import Installed, Workspace
from approvals.service.storage.database import Transaction, database_at
from approvals.service.storage.tables import SlackLink
from approvals_web.app import create_app
from approvals_web.demo.slack import sending
from approvals_web.demo.slack.sending import Acknowledged
from approvals_web.demo.slack.server import DemoSlack
from approvals_web.demo.slack.state import Said
from support.serving import SECRET, serving

CHANNEL = "C1"


class SlackScenario:
    """What a test does there, one line each."""

    def __init__(self, scenario: Any, demo: DemoSlack, url: str, workspace: Workspace, app: Any) -> None:
        self.scenario = scenario
        self.demo = demo
        self.state = demo.state
        self.url = url
        self.workspace = workspace
        self.app = app

    def link(self, slack_user: str, name: str) -> None:
        link(self.scenario, self.state.team_id, slack_user, name)

    async def announced(self, request_id: str, channel: str = CHANNEL) -> Said:
        """The message of a request, once it is there."""

        def find() -> Said | None:
            return next((said for said in self.state.messages(channel) if request_id in json.dumps(said.blocks)), None)

        return await self.state.until(find)

    async def file(self, *given: Any) -> Said:
        """The message of a new request."""
        return await self.announced(self.scenario.file(*given).request_id)

    async def file_to(self, channel: str) -> Said:
        """The message of a new request in a channel of its rule."""
        return await self.announced(self.scenario.file().request_id, channel)

    async def approve(self, said: Said, user: str = "UANN") -> Acknowledged:
        return await self.demo.press(user, said, APPROVE)

    async def deny(self, said: Said, reason: str, user: str = "UANN", *, again: bool = False) -> Acknowledged:
        """Press, write, send."""
        assert (await self.demo.press(user, said, DENY)).ok
        options = [{"value": "again"}] if again else []
        values = {"reason": {"reason": {"value": reason}}, "again": {"again": {"selected_options": options}}}
        return await self.demo.submit(user, values)

    async def shows(self, said: Said, words: str) -> None:
        """Once the message says so."""
        await self.state.until(lambda: words in json.dumps(said.blocks, ensure_ascii=False))

    async def told(self, user: str, words: str) -> None:
        """Once somebody was told so, alone."""
        await self.state.until(lambda: any(words in said for said in self.state.whispers(user)))

    async def drained(self, pause: float = 0.0) -> None:
        """Once nothing is left to send. `pause`: seconds that the clock goes on whenever nothing is due, for what is
        tried again later."""
        query = "SELECT 1 FROM delivery WHERE done_at IS NULL AND dead_at IS NULL"
        async with asyncio.timeout(30):
            while self.scenario.rows(query):
                if not await self.scenario.service.sender.send_due():
                    self.scenario.clock.forward(pause)
                    await asyncio.sleep(0.01)  # the service's own sender may be at it

    async def send(self, payload: dict[str, Any], headers: dict[str, str] | None = None) -> Acknowledged:
        """A payload of one's own, signed unless the headers say otherwise."""
        return await sending.send(self.state, self.body(payload), headers)

    def body(self, payload: dict[str, Any]) -> bytes:
        return urlencode({"payload": json.dumps(payload)}).encode()

    def payload(self, said: Said, user: str = "UANN", action: str = APPROVE) -> dict[str, Any]:
        return sending.pressed(self.state, self.demo.url, user, said, action)


@contextlib.asynccontextmanager
async def fake_slack(scenario: Any, **options: Any) -> AsyncIterator[SlackScenario]:
    """Ann and Bob are linked; Eve is in the workspace, and nobody here."""
    demo = DemoSlack()
    demo.state.clock = lambda: scenario.clock.now() / SECOND
    for name in ("ann", "bob", "eve"):
        demo.state.add_user(f"U{name.upper()}", name)
    demo.state.add_channel(CHANNEL, "approvals")
    demo.state.add_channel("C2", "money")
    policy = options.pop("policy", None)
    if options.pop("socket", False):
        options["app_token"] = demo.state.app_token
    async with demo.running():
        installed = Installed(
            **{
                "bot_token": demo.state.token,
                "channel": "#approvals",
                "signing_secret": demo.state.signing_secret,
                "api_url": demo.api_url,
            }
            | options
        )
        async with served_in(scenario, installed, policy) as (url, workspace, app):
            demo.state.request_url = f"{url}/slack/actions"
            made = SlackScenario(scenario, demo, url, workspace, app)
            for name in ("ann", "bob"):
                if not scenario.rows("SELECT 1 FROM slack_link WHERE slack_name = :name", name=name):
                    made.link(f"U{name.upper()}", name)
            yield made


@contextlib.asynccontextmanager
async def served_in(
    scenario: Any, installed: Installed, policy: Any = None
) -> AsyncIterator[tuple[str, Workspace, FastAPI]]:
    """The scenario's service behind HTTP, installed in a workspace; it takes the place of the scenario's own."""
    given = {"policy": policy} if policy else {}
    keyring, unlimited = Keyring(SECRET), Allowance(None, None)
    database, public_url = database_at(scenario.url, scenario.clock), scenario.service.public_url
    service = Service(database, keyring, public_url, allowance=unlimited, **given)
    scenario.service.database.stop()
    scenario.service = service
    workspace = Workspace(service, installed)
    app = create_app(service, slack=workspace)
    async with serving(service, app=app) as url:
        yield url, workspace, app


def link(scenario: Any, team_id: str, slack_user: str, name: str) -> None:
    """As if a code had been typed and confirmed."""
    user = scenario.read(lambda reader: require_user(reader, name))
    facts = {"team_id": team_id, "slack_user_id": slack_user, "slack_name": name, "by": "code"}

    def linked(tx: Transaction) -> None:
        made = Touched(SlackLink, None, tx.insert(SlackLink, user_id=user.id, linked_at=tx.now, **facts))
        tx.record("slack.linked", f"user:{user.id}", f"user:{user.id}", made)

    scenario.write(linked)
