"""A reviewer's browser, as raw HTTP: reads a card, and posts its form."""

import json
import re
from typing import Any
from urllib.parse import urlencode

from connection import Connection
from filing import filing

from approvals import Gate, GateSettings

_FIELD = re.compile(rb'<input type="hidden" name="(\w+)" value="([^"]*)">')


class Reviewer:
    """One keep-alive connection with a session cookie."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, subject: dict[str, Any]) -> "Reviewer":
        cookie = f"approvals={subject['cookie']}"
        return cls(await Connection.open(subject["url"], Cookie=cookie, Sec_Fetch_Site="same-origin"))

    async def form(self, request_id: str) -> bytes:
        """What pressing Approve would send."""
        status, page = await self._connection.ask("GET", f"/requests/{request_id}")
        assert status == 200, page[:500]
        fields = {name.decode(): value.decode() for name, value in _FIELD.findall(page)}
        return urlencode(fields | {"verdict": "approve"}).encode()

    def approve(self, request_id: str, form: bytes) -> None:
        """Send it; the answer is read with `done`."""
        kind = "application/x-www-form-urlencoded"
        self._connection.send("POST", f"/requests/{request_id}/decisions", form, Content_Type=kind)

    async def done(self) -> None:
        status, body = await self._connection.receive()
        assert status == 303, body[:500]


async def gate(subject: dict[str, Any]) -> Connection:
    """A gate's keep-alive connection."""
    bearer = f"Bearer {subject['key']}"
    return await Connection.open(
        subject["url"], Authorization=bearer, Approvals_Wire="1", Content_Type="application/json"
    )


async def file(connection: Connection, subject: dict[str, Any], order: int) -> str:
    """File one call; the request's id."""
    status, body = await connection.ask("POST", "/api/v1/requests", filing(subject, order))
    assert status in {200, 201}, body
    return str(json.loads(body)["id"])


def gate_of(subject: dict[str, Any]) -> Gate:
    """A real gate of a server named `bench`."""
    return Gate("bench", GateSettings(subject["url"], subject["bench_key"], subject["agent"]))
