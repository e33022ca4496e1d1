"""The history: everything, or what was searched for, and the same as a file."""

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import Query, Request, Response
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from approvals.protocol.states import State
from approvals.service.history import export, fulltext, search
from approvals.service.history.search import Found, Sought
from approvals.service.identity import servers
from approvals.service.service import Service
from approvals.service.storage.database import Reader
from approvals_web.http.deps import SignedIn, TheService
from approvals_web.http.rendering import page
from approvals_web.http.routers import PageRouter
from approvals_web.pages.queue.listing import Listed, items

PAGE, CHUNK = 50, 500
MOST = 100_000
"""Lines of one export."""
_FILES = {"csv": ("text/csv; charset=utf-8", export.as_csv), "jsonl": ("application/jsonl", export.as_jsonl)}

router = PageRouter()


class Asked(BaseModel):
    """The form as it stands in the address."""

    q: str = Field("", max_length=200)
    server: str = Field("", max_length=200)
    tool: str = Field("", max_length=200)
    agent: str = Field("", max_length=200)
    person: str = Field("", max_length=200)
    state: Literal["", *State] = ""  # type: ignore[valid-type]
    by: Literal["on_behalf_of", "agent_session", "trace_id"] = "agent_session"
    value: str = Field("", max_length=200)
    cursor: str = Field("", max_length=64)

    def words(self) -> dict[str, str]:
        """What was asked, without where to go on."""
        said = {name: value for name, value in self.model_dump(exclude={"cursor"}).items() if value}
        return {name: value for name, value in said.items() if name != "by" or self.value}


Form = Annotated[Asked, Query()]


@router.get("/history")
def listed(request: Request, person: SignedIn, service: TheService, asked: Form) -> Response:
    """Everything, or what fits, newest first."""
    found, rows = service.read_now(lambda reader: _look(reader, service, asked, asked.cursor, PAGE))
    said = asked.words()
    onwards = urlencode(said | {"cursor": found.after}) if found.after else ""
    shown = {"items": rows, "asked": asked, "said": urlencode(said), "onwards": onwards, "exhausted": found.exhausted}
    more = {"person": person, "states": [str(state) for state in State], "window": search.WINDOW}
    return page(request, "history.html", shown | more)


@router.get("/history/{form}")
def exported(person: SignedIn, service: TheService, asked: Form, form: Literal["csv", "jsonl"]) -> Response:
    """The same as a file, without end of pages: up to MOST lines."""
    kind, _ = _FILES[form]
    headers = {"Content-Disposition": f'attachment; filename="approvals.{form}"', "Cache-Control": "no-store"}
    return StreamingResponse(_lines(service, asked, form), media_type=kind, headers=headers)


def _lines(service: Service, asked: Asked, form: str) -> Iterator[str]:
    """In threads of their own, as Starlette runs it."""
    _, written = _FILES[form]
    cursor, left, head = asked.cursor, MOST, True
    while left > 0:
        found, rows = service.read_now(partial(_look, service=service, asked=asked, cursor=cursor, limit=CHUNK))
        lines = [export.facts(item.row, item.status, item.agent) for item in rows]
        yield written(lines, head=head)
        head, left, cursor = False, left - len(rows), found.after or ""
        if not cursor:
            return


def _look(reader: Reader, service: Service, asked: Asked, cursor: str, limit: int) -> tuple[Found, list[Listed]]:
    agents = {row.name: row.id for row in servers.agents(reader)}
    words = tuple(fulltext.split(asked.q)[:8])
    if (asked.agent and asked.agent not in agents) or (asked.q.strip() and not words):
        return Found([], None, exhausted=False), []
    sought = Sought(
        words=words,
        server=asked.server,
        tool=asked.tool,
        agent_id=agents.get(asked.agent, ""),
        decided_by=asked.person,
        state=asked.state,
        **{asked.by: asked.value},
    )
    found = search.page(reader, sought, before=cursor or None, limit=limit)
    return found, items(reader, service, found.rows)
