"""Walks over the pages as one person, by the links that this person is shown."""

from collections import defaultdict, deque
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin, urlsplit

import httpx2
from fastapi import FastAPI
from starlette.routing import Match, Route

MOST = 12
"""Addresses of one route that are visited: a card differs by its state, a page by what it shows."""


class Sight(HTMLParser):
    """The links and forms of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[tuple[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "form" and given.get("method") != "dialog":
            self.forms.append((given.get("method", "get").upper(), given.get("action", "")))


def template(app: FastAPI, method: str, path: str) -> str:
    """The route that an address leads to; nothing for none."""
    scope = {"type": "http", "method": method, "path": path, "headers": []}
    found = (route for route in app.routes if isinstance(route, Route) and route.matches(scope)[0] is Match.FULL)
    return next((route.path for route in found), "")


async def crawl(app: FastAPI, http: httpx2.AsyncClient) -> dict[str, set[str]]:
    """By page, the routes of the forms on it. Every link must lead somewhere that this person may be."""
    pages: dict[str, set[str]] = {}
    visited: dict[str, set[str]] = defaultdict(set)
    waiting = deque(["/"])
    while waiting:
        address = waiting.popleft()
        page = template(app, "GET", urlsplit(address).path)
        assert page, f"{address} leads nowhere"
        if address in visited[page] or len(visited[page]) >= MOST:
            continue
        visited[page].add(address)
        answer = await http.get(address, follow_redirects=True)
        assert answer.status_code == 200, (address, answer.status_code)
        if not answer.headers["content-type"].startswith("text/html"):
            pages.setdefault(page, set())
            continue
        page = template(app, "GET", answer.url.path)
        sight = Sight(answer.text)
        forms = {
            f"{method} {template(app, method, urlsplit(action).path or answer.url.path)}"
            for method, action in sight.forms
        }
        pages.setdefault(page, set()).update(forms)
        links = (urldefrag(urljoin(str(answer.url), link))[0] for link in sight.links)
        waiting += [
            link.removeprefix(str(http.base_url).rstrip("/")) for link in links if link.startswith(str(http.base_url))
        ]
    return pages
