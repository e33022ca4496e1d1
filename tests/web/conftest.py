"""Browsers for the pages' tests: signed-in people, as httpx2 clients that send what a browser sends."""

import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from types import SimpleNamespace

import httpx2
import pytest
from playwright.async_api import BrowserContext, ConsoleMessage, Page

from approvals.service.identity import sessions
from approvals.service.identity.users import require_user
from approvals.service.requests.contents import content_of

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
        service = self._served.scenario.service
        user = self._served.scenario.read(lambda reader: require_user(reader, name))
        token = await service.write(lambda tx: sessions.sign_in(tx, service.keyring, user, "password", "", "tests"))
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
async def visitors_to(scenario) -> AsyncIterator[object]:
    """Browsers to a service at another address."""
    made: list[Visitors] = []

    def open_to(url: str) -> Visitors:
        made.append(Visitors(SimpleNamespace(url=url, scenario=scenario)))
        return made[-1]

    yield open_to
    for visitors in made:
        await visitors.close()


@dataclass
class Tabs:
    """The tabs of one person's browser. What a console calls an error is a fault, unless the test excuses it."""

    context: BrowserContext
    excused: tuple[str, ...] = ()
    faults: list[str] = field(default_factory=list)

    async def open(self, address: str) -> Page:
        tab = await self.blank()
        await tab.goto(address)
        await tab.wait_for_function("() => window.htmx !== undefined")
        return tab

    async def blank(self) -> Page:
        """A tab that has not gone anywhere."""
        tab = await self.context.new_page()
        tab.set_default_timeout(10_000)
        tab.on("console", self._said)
        tab.on("pageerror", lambda error: self.faults.append(str(error)))
        return tab

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(words in message.text for words in self.excused):
            self.faults.append(message.text)


@pytest.fixture
async def open_browser(browser, visitors_of) -> AsyncIterator[object]:
    """Opens Ann's browser on a service."""
    opened: list[Tabs] = []

    async def open_at(served, *excused: str, **options) -> Tabs:
        context = await browser.new_context(base_url=served.url, **options)
        await context.add_cookies([{"name": "approvals", "value": await visitors_of(served), "url": served.url}])
        opened.append(Tabs(context, excused))
        return opened[-1]

    yield open_at
    for tabs in opened:
        await tabs.context.close()
    assert [tabs.faults for tabs in opened if tabs.faults] == []


@pytest.fixture
def file_at():
    """A call filed by a gate: committed by the service's own writer, so open pages are poked."""

    async def file(served, **changes) -> str:
        scenario = served.scenario
        filing, at = scenario.filing(**changes), scenario.installation()
        return (
            await scenario.service.write(lambda tx: scenario.service.filings.file(tx, at, content_of(filing)))
        ).request_id

    return file
