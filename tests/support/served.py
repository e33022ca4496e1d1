"""The service of a scenario behind a real HTTP port."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
from fastapi import FastAPI

from approvals import Gate, GateSettings
from approvals.protocol.canonical import encode
from approvals.protocol.messages import (
    WIRE_HEADER,
    WIRE_VERSION,
    Decision,
)
from approvals.service.history import queries
from approvals.service.realtime.bus import EVERYTHING
from approvals.service.requests import edits
from approvals.service.requests.decisions import Seen
from approvals.service.requests.edits import Wanted
from approvals.service.storage.statements import Row
from approvals.service.storage.tables import Edit
from support.scenario import Scenario


@dataclass
class Served:
    """The service behind a real HTTP port, in the test's own event loop."""

    url: str
    scenario: Scenario
    app: FastAPI | None = None

    def client(self, key: str = "shop", **headers: str) -> httpx2.AsyncClient:
        """A client with one of the scenario's keys, speaking the wire's version."""
        bearer = {"Authorization": f"Bearer {self.scenario.keys.get(key, key)}", WIRE_HEADER: str(WIRE_VERSION)}
        return httpx2.AsyncClient(base_url=f"{self.url}/api/v1", headers=bearer | headers, trust_env=False)

    def gate(self, server: str = "shop", *, agent: str | None = "agent", **options: Any) -> Gate:
        """A gate to this service, with an agent's key as over stdio."""
        keys = self.scenario.keys
        return Gate(server, GateSettings(self.url, keys[server], keys[agent] if agent else None), **options)

    async def pending(self) -> Row:
        """The one pending request, once it is there."""
        with anyio.fail_after(10):
            while True:
                rows = self.scenario.read(lambda reader: queries.page(reader, state="pending"))
                if rows:
                    assert len(rows) == 1
                    return rows[0]
                await self._filed()

    async def decide(self, verdict: str = "approve", *, who: str = "ann", **changes: Any) -> Row:
        """Decide the pending request, as the pages do."""
        row, person = await self.pending(), self.scenario.person(who)
        given = {"verdict": verdict, "comment": "", "content_version": row.content_version, "digest": row.digest}
        decision = Decision(**given | changes)
        return await self.scenario.service.write(
            lambda tx: self.scenario.service.decisions.decide(tx, row.id, person, decision, Seen())
        )

    async def edit(self, *, who: str = "ann", reason: str = "less is enough", **changed: Any) -> Edit:
        """Change arguments of the pending request, as the pages do; the edit, once its gate has answered."""
        row, person, service = await self.pending(), self.scenario.person(who), self.scenario.service
        wanted = Wanted(json.loads(row.arguments) | encode(changed), reason, row.content_version, row.digest)
        asked = await service.write(lambda tx: service.edits.ask(tx, row.id, person, wanted))
        service.gates.edit(asked.session, row.id, asked.edit_id)
        with anyio.fail_after(10):
            while True:
                edit = self.scenario.read(lambda reader: edits.find(reader, asked.edit_id))
                if edit is not None and edit.answered_at is not None:
                    return edit
                await self._filed()

    async def _filed(self) -> None:
        """Until any request changes."""
        changed = asyncio.Event()

        def listener(_: str) -> None:
            changed.set()

        self.scenario.service.bus.subscribe(listener, [EVERYTHING])
        try:
            with anyio.move_on_after(0.2):
                await changed.wait()
        finally:
            self.scenario.service.bus.unsubscribe(listener, [EVERYTHING])
