"""Browsers for the pages' tests: signed-in people, as httpx2 clients that send what a browser sends."""

import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import SimpleNamespace

import httpx2
import pytest

from approvals.people import require_user

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}
_FIELD = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


@dataclass
class Visitor:
    """One browser."""

    http: httpx2.AsyncClient

    async def form(self, request_id: str) -> dict[str, str]:
        """The hidden fields of the card's forms, as this person was shown them."""
        page = (await self.http.get(f"/requests/{request_id}")).text
        return {name: html.unescape(value) for name, value in _FIELD.findall(page)}

    async def decide(self, request_id: str, verdict: str = "approve", **changes: str) -> httpx2.Response:
        form = await self.form(request_id) | {"verdict": verdict} | changes
        return await self.http.post(f"/requests/{request_id}/decisions", data=form)


class Visitors:
    """Opens browsers to one service."""

    def __init__(self, served) -> None:
        self._served = served
        self._open: list[httpx2.AsyncClient] = []

    def stranger(self, **headers: str) -> Visitor:
        http = httpx2.AsyncClient(base_url=self._served.url, headers=SAME_ORIGIN | headers, trust_env=False)
        self._open.append(http)
        return Visitor(http)

    async def signed_in(self, name: str = "ann") -> Visitor:
        people = self._served.house.service.people
        user = self._served.house.read(lambda reader: require_user(reader, name))
        token = await self._served.house.service.write(lambda tx: people.sign_in(tx, user, "password", "", "tests"))
        visitor = self.stranger()
        visitor.http.cookies.set("approvals", token)
        return visitor

    async def close(self) -> None:
        for http in self._open:
            await http.aclose()


@pytest.fixture
async def visitors(served) -> AsyncIterator[Visitors]:
    made = Visitors(served)
    yield made
    await made.close()


@pytest.fixture
async def ann(visitors) -> Visitor:
    return await visitors.signed_in()


@pytest.fixture
def visitors_of():
    """Ann's session cookie at a service."""

    async def sign_in(served) -> str:
        visitors = Visitors(served)
        ann = await visitors.signed_in()
        await visitors.close()
        return ann.http.cookies["approvals"]

    return sign_in


@pytest.fixture
async def visitors_to(house) -> AsyncIterator[object]:
    """Browsers to a service at another address."""
    made: list[Visitors] = []

    def open_to(url: str) -> Visitors:
        made.append(Visitors(SimpleNamespace(url=url, house=house)))
        return made[-1]

    yield open_to
    for visitors in made:
        await visitors.close()
