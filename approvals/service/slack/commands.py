"""The slash command: what waits, linking an account, stopping all writes."""

from typing import Any

from sqlalchemy import bindparam, func, select

from approvals.errors import ApprovalsError, Invalid
from approvals.protocol.states import State
from approvals.service.identity.admins import require_admin
from approvals.service.notifications.notifier import NotDelivered
from approvals.service.service import Service
from approvals.service.slack import blocks, modals
from approvals.service.slack.buttons import Buttons
from approvals.service.slack.client import SlackApi
from approvals.service.slack.identity import Identities
from approvals.service.slack.links import Links
from approvals.service.slack.message_lines import risk
from approvals.service.slack.payloads import Command
from approvals.service.slack.request_view import RequestView, view_request
from approvals.service.slack.text import inline
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables.handles import requests

OPEN_SECONDS = 2.0
"""For opening a dialog: its trigger lives for three seconds."""
LISTED, COUNTED = 10, 1000
HELP = (
    "`/approvals list` what waits for a decision\n"
    "`/approvals link CODE` link your Slack user to your account (the code is on your account page)\n"
    "`/approvals freeze` stop all writes (admins)"
)
_waits = (requests.c.state == State.PENDING, requests.c.expires_at > bindparam("now"))
_WAITING = Statement(select(requests.c.id).where(*_waits).order_by(requests.c.expires_at).limit(LISTED))
_COUNT = Statement(
    select(func.count().label("n")).select_from(select(requests.c.id).where(*_waits).limit(COUNTED).subquery())
)


class Commands:
    """One workspace's. Event loop only."""

    def __init__(self, service: Service, api: SlackApi, identities: Identities) -> None:
        self._service = service
        self._api = api
        self._identities = identities
        self._links = Links()
        self._buttons = Buttons(service.keyring)

    async def handle(self, payload: Command) -> dict[str, Any] | None:
        """The body of the acknowledgement."""
        word, _, rest = payload.text.strip().partition(" ")
        does = {"": self._list, "list": self._list, "link": self._link, "freeze": self._ask_freeze}.get(word.lower())
        try:
            words = await does(payload, rest.strip()) if does else HELP
        except ApprovalsError as error:
            words = refusal(error)
        return {"response_type": "ephemeral", "text": words} if words else None

    async def _list(self, payload: Command, _: str) -> str:
        await self._identities.person(await self._identities.slack_user(payload.sender))
        views, waiting = await self._service.read(self._waiting)
        if not views:
            return "Nothing waits for a decision."
        said = [f"• {_link(view)} · {risk(view)} · {inline(view.who, 60)}" for view in views]
        if waiting > len(views):
            more = f"{waiting - len(views)}{' or more' if waiting == COUNTED else ''}"
            said.append(f"and {more} more: {blocks.anchor(self._service.public_url, 'open the queue')}")
        return "\n".join(said)

    def _waiting(self, reader: Reader) -> tuple[list[RequestView], int]:
        """The requests that expire first, and how many wait in all, counted up to COUNTED."""
        found = [row.id for row in reader.all(_WAITING, now=reader.now)]
        count = reader.one(_COUNT, now=reader.now)
        views = [view_request(self._service, self._buttons, reader, request_id) for request_id in found]
        return views, 0 if count is None else int(count.n)

    async def _link(self, payload: Command, code: str) -> str:
        who = await self._identities.slack_user(payload.sender)
        await self._service.write(lambda tx: self._links.typed(tx, who, code))
        return f"Now confirm on {self._service.public_url}/account that this is you, in the same browser."

    async def _ask_freeze(self, payload: Command, _: str) -> str:
        person = await self._identities.person(await self._identities.slack_user(payload.sender))
        await self._service.read(lambda reader: require_admin(reader, person))
        await open_dialog(self._api, payload.trigger_id, modals.freeze())
        return ""


def _link(view: RequestView) -> str:
    return blocks.anchor(view.status.review_url, inline(view.title, 100))


async def open_dialog(api: SlackApi, trigger_id: str, view: dict[str, Any]) -> None:
    """Raises Invalid, with what to do, when Slack does not."""
    try:
        await api.call("views.open", patience=OPEN_SECONDS, trigger_id=trigger_id, view=view)
    except NotDelivered as error:
        raise Invalid(
            f"Slack did not open the dialog ({error.why}).", hint="Press again, or use the web app."
        ) from None


def refusal(error: ApprovalsError) -> str:
    """In words, escaped: what is refused may quote an agent."""
    return inline(f"{error.detail} {error.hint}".strip(), 1500)
