"""What several upstreams list, under the names that their client sees, and whose each thing is."""

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from mcp_types import METHOD_NOT_FOUND

from approvals.gate.approval_arguments import GET_APPROVAL
from approvals_server.proxy import client_facts, frames
from approvals_server.proxy.aggregation import merging
from approvals_server.proxy.aggregation.names import Names, Route, named
from approvals_server.proxy.aggregation.relays import Relays
from approvals_server.proxy.approval_arguments import LOOK
from approvals_server.proxy.client_facts import Sender
from approvals_server.proxy.frames import Frame

logger = logging.getLogger("approvals.proxy")

MAX_PAGES = 1_000
TOOLS, PROMPTS, RESOURCES, TEMPLATES = "tools/list", "prompts/list", "resources/list", "resources/templates/list"
KEYS = {TOOLS: "tools", PROMPTS: "prompts", RESOURCES: "resources", TEMPLATES: "resourceTemplates"}
Listed = Mapping[str, list[Any]]
"""Things, by upstream."""


class Lists:
    """Those of one client."""

    def __init__(self, relays: Relays, prefixes: Mapping[str, str]) -> None:
        self._relays = relays
        self._prefixes = prefixes
        self._names: dict[str, Names] = {}
        """By the method that lists them."""
        self._places: dict[str, str] = {}
        """The upstream of each resource, and of the beginning of each template."""

    async def answer(self, frame: Frame, sender: Sender) -> Frame:
        """To one of KEYS: all that there is, at once."""
        method = frame.method or ""
        firsts, found = await self._learn(method, frame, sender)
        results = {name: first.result for name, first in firsts.items() if first.error is None}
        if not results:
            return frames.with_id(next(iter(firsts.values())), frame.id)
        items = [item for name in found for item in self._shown(method, name, found[name])]
        if method == TOOLS:
            items.append(LOOK)  # once: it is the gates', not the upstreams'
        return frames.result(frame.id, merging.listing(results, KEYS[method], items))

    async def route(self, method: str, name: Any, frame: Frame, sender: Sender) -> Route | None:
        """Where the name of a tool or a prompt leads; None where nowhere."""
        if not isinstance(name, str):
            return None
        if method not in self._names or name not in self._names[method].routes:
            await self._learn(method, frame, sender)
        return self._names[method].routes.get(name)

    async def owner(self, uri: str, frame: Frame, sender: Sender) -> str | None:
        """The upstream whose resource it is; None where none of them lists it."""
        if self._placed(uri) is None:
            await self._learn(RESOURCES, frame, sender)
            await self._learn(TEMPLATES, frame, sender)
        return self._placed(uri)

    def forget(self, prefixes: Mapping[str, str]) -> None:
        """Ask anew: there are other upstreams now."""
        self._prefixes = prefixes
        self._names.clear()
        self._places.clear()

    def _placed(self, uri: str) -> str | None:
        if uri in self._places:
            return self._places[uri]
        fitting = [place for place in self._places if place.endswith("{") and uri.startswith(place[:-1])]
        return self._places[max(fitting, key=len)] if fitting else None

    async def _learn(self, method: str, asked: Frame, sender: Sender) -> tuple[dict[str, Frame], Listed]:
        """The first answer of each, and all that it lists."""
        asking = (self._pages(name, method, asked, sender) for name in self._relays.names)
        answers = dict(zip(self._relays.names, await asyncio.gather(*asking), strict=True))
        found = {name: items for name, (_, items) in answers.items()}
        if method == TOOLS:
            found = {name: [item for item in items if not _is_look(item)] for name, items in found.items()}
        if method in (TOOLS, PROMPTS):
            plain = {name: [item["name"] for item in items if _is_named(item)] for name, items in found.items()}
            self._names[method] = named(plain, self._prefixes)
        else:
            places = [(place, name) for name, items in found.items() for item in items if (place := _place(item))]
            self._places |= dict(reversed(places))
        return {name: first for name, (first, _) in answers.items()}, found

    async def _pages(self, name: str, method: str, asked: Frame, sender: Sender) -> tuple[Frame, list[Any]]:
        params = client_facts.envelope(asked.meta)
        answer = first = await self._relays.ask(name, method, params, sender, asked.id)
        if first.error is not None and first.error.get("code") != METHOD_NOT_FOUND:
            logger.warning("%s does not answer %s: %s", name, method, first.error.get("message"))
        items: list[Any] = []
        for _ in range(MAX_PAGES):
            page, cursor = answer.result.get(KEYS[method]), answer.result.get("nextCursor")
            items += page if isinstance(page, list) else []
            if not isinstance(cursor, str):
                break
            answer = await self._relays.ask(name, method, {**params, "cursor": cursor}, sender, asked.id)
        return first, items

    def _shown(self, method: str, upstream: str, items: list[Any]) -> list[Any]:
        if method not in (TOOLS, PROMPTS):
            return items
        renamed = map(partial(_renamed, self._names[method], upstream), items)
        return [item for item in renamed if item is not None]


def _is_look(item: Any) -> bool:
    return isinstance(item, dict) and item.get("name") == GET_APPROVAL


def _is_named(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("name"), str)


def _renamed(names: Names, upstream: str, item: Any) -> Any:
    """As the client sees it; None for what no name was left for."""
    if not _is_named(item):
        return None
    shown = names.shown(upstream, item["name"])
    return None if shown is None else item if shown == item["name"] else {**item, "name": shown}


def _place(item: Any) -> str:
    if not isinstance(item, dict):
        return ""
    uri, template = item.get("uri"), item.get("uriTemplate")
    if isinstance(uri, str):
        return uri
    return f"{template.partition('{')[0]}{{" if isinstance(template, str) else ""
