"""What a press, a dialog or a command does. The decision is committed before anything is acknowledged: Slack does not
send again what was, so an acknowledgement that came first could lose it."""

import asyncio
import logging
from typing import Any

from pydantic import ValidationError
from sqlalchemy import bindparam, select

from approvals.errors import ApprovalsError, Forbidden, Invalid
from approvals.protocol.limits import MAX_REASON
from approvals.protocol.messages import Decision
from approvals.protocol.states import State
from approvals.service.authority import on_content
from approvals.service.identity.users import Person
from approvals.service.notifications.notifier import NotDelivered
from approvals.service.requests.decisions import Seen
from approvals.service.service import Service
from approvals.service.slack import blocks, buttons, links, message_log, modals, payloads, request_view
from approvals.service.slack.buttons import Buttons, Pressed
from approvals.service.slack.client import SlackApi
from approvals.service.slack.identity import Identities
from approvals.service.slack.payloads import Action, Command, Container, Event, Interaction, Place, View
from approvals.service.slack.text import inline
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.statements import Row, Statement
from approvals.service.storage.tables.handles import requests

logger = logging.getLogger("approvals")

Answer = dict[str, Any] | None
INTERACTIVE, COMMAND, EVENT = "interactive", "slash_commands", "events_api"
OPEN_SECONDS = 2.0
"""For opening a dialog: its trigger lives for three seconds."""
LISTED = 10
HELP = (
    "`/approvals list` what waits for a decision\n"
    "`/approvals link CODE` link your Slack user to your account (the code is on your account page)\n"
    "`/approvals freeze` stop all writes (admins)"
)
_WAITING = Statement(
    select(requests.c.id)
    .where(requests.c.state == State.PENDING, requests.c.expires_at > bindparam("now"))
    .order_by(requests.c.expires_at)
    .limit(LISTED)
)


class Presses:
    """One workspace's. Event loop only."""

    def __init__(self, service: Service, api: SlackApi, identities: Identities) -> None:
        self._service = service
        self._api = api
        self._identities = identities
        self._buttons = Buttons(service.keyring)
        self._links = links.Links(service.log)
        self._saying: set[asyncio.Task[None]] = set()

    async def handle(self, kind: str, payload: dict[str, Any]) -> Answer:
        """The body of the acknowledgement; None for an empty one. Raises BadRequest for what Slack does not send."""
        if kind == COMMAND:
            return await self._command(payloads.read(Command, payload))
        if kind == EVENT:
            self._event(payloads.read(Event, payload))
            return None
        interaction = payloads.read(Interaction, payload)
        handlers = {"block_actions": self._pressed, "view_submission": self._submitted}
        handler = handlers.get(interaction.type)
        return await handler(interaction) if handler else None

    async def finish(self) -> None:
        """What was being said is said."""
        await asyncio.gather(*self._saying, return_exceptions=True)

    async def _pressed(self, payload: Interaction) -> Answer:
        action = next(iter(payload.actions), Action())
        does = {blocks.APPROVE: self._approve, blocks.DENY: self._ask_why}.get(action.action_id)
        if does is None:
            return None
        try:
            pressed = buttons.read(action.value)
            person = await self._identities.person(await self._identities.slack_user(payload.sender))
            await does(person, pressed, payload)
        except ApprovalsError as error:
            self._tell(payload.response_url, error)
        return None

    async def _approve(self, person: Person, pressed: Pressed, payload: Interaction) -> None:
        await self._decide(person, pressed, "approve", payload.container)

    async def _ask_why(self, person: Person, pressed: Pressed, payload: Interaction) -> None:
        row = await self._service.read(lambda reader: self._named(reader, pressed))
        place = payload.container
        private = Place(button=self._buttons.of(row), channel=place.channel_id, ts=place.message_ts)
        await self._open(payload.trigger_id, modals.denial(row.summary, private.model_dump_json()))

    async def _submitted(self, payload: Interaction) -> Answer:
        view = payload.view
        does = {modals.DENIAL: self._deny, modals.FREEZE: self._freeze}.get(view.callback_id)
        if does is None:
            return None
        try:
            await does(await self._identities.person(await self._identities.slack_user(payload.sender)), view)
        except ApprovalsError as error:
            return {"response_action": "errors", "errors": {modals.REASON: _words(error)[:2000]}}
        return None

    async def _deny(self, person: Person, view: View) -> None:
        try:
            private = Place.model_validate_json(view.private_metadata)
        except ValidationError:
            raise Forbidden("This dialog was not made by this service.", hint="Press Deny again.") from None
        place = Container(channel_id=private.channel, message_ts=private.ts)
        again = bool(view.input(modals.AGAIN).selected_options)
        reason = _reason(view)
        await self._decide(person, buttons.read(private.button), "deny", place, comment=reason, may_ask_again=again)

    async def _decide(self, person: Person, pressed: Pressed, verdict: Any, place: Container, **more: Any) -> None:
        def write(tx: Transaction) -> None:
            row = self._service.statuses.row(tx, pressed.request_id)
            self._buttons.check(pressed, row)
            if _said_before(tx, row, person, verdict):
                return  # the same press, delivered again
            seen = blocks.request(request_view.of(self._service, self._buttons, tx, row.id))
            if verdict == "approve" and not seen.complete:
                raise Forbidden(
                    "The message could not show all that would run.", hint="Open it in the web app to approve it."
                )
            decision = Decision(verdict=verdict, content_version=pressed.content_version, digest=row.digest, **more)
            self._service.decisions.decide(tx, row.id, person, decision, Seen(seen.shown))
            if place.channel_id and place.message_ts:  # a copy that nobody wrote down is brought up to date, too
                message_log.posted(tx, row.id, place.channel_id, place.message_ts, asked="")

        await self._service.write(write)

    def _named(self, reader: Reader, pressed: Pressed) -> Row:
        row = self._service.statuses.row(reader, pressed.request_id)
        self._buttons.check(pressed, row)
        return row

    async def _command(self, payload: Command) -> Answer:
        word, _, rest = payload.text.strip().partition(" ")
        does = {"": self._list, "list": self._list, "link": self._link, "freeze": self._ask_freeze}.get(word.lower())
        try:
            words = await does(payload, rest.strip()) if does else HELP
        except ApprovalsError as error:
            words = _words(error)
        return {"response_type": "ephemeral", "text": words} if words else None

    async def _list(self, payload: Command, _: str) -> str:
        await self._identities.person(await self._identities.slack_user(payload.sender))
        rows = await self._service.read(self._waiting)
        if not rows:
            return "Nothing waits for a decision."
        return "\n".join(f"• <{url}|{inline(summary, 100)}> · {risk}" for url, summary, risk in rows)

    def _waiting(self, reader: Reader) -> list[tuple[str, str, str]]:
        found = [self._service.statuses.row(reader, row.id) for row in reader.all(_WAITING, now=reader.now)]
        return [(self._service.statuses.review_url(row.id), row.summary, row.risk) for row in found]

    async def _link(self, payload: Command, code: str) -> str:
        who = await self._identities.slack_user(payload.sender)
        await self._service.write(lambda tx: self._links.typed(tx, who, code))
        return f"Now confirm on {self._service.public_url}/account that this is you, in the same browser."

    async def _ask_freeze(self, payload: Command, _: str) -> str:
        _check_admin(await self._identities.person(await self._identities.slack_user(payload.sender)))
        await self._open(payload.trigger_id, modals.freeze())
        return ""

    async def _freeze(self, person: Person, view: View) -> None:
        _check_admin(person)
        mode, reason = view.input(modals.MODE).selected_option.value, _reason(view)
        await self._service.write(lambda tx: self._service.freezes.make(tx, person.actor, "all", "", mode, reason))

    async def _open(self, trigger_id: str, view: dict[str, Any]) -> None:
        try:
            await self._api.call("views.open", patience=OPEN_SECONDS, trigger_id=trigger_id, view=view)
        except NotDelivered as error:
            raise Invalid(
                f"Slack did not open the dialog ({error.why}).", hint="Press again, or use the web app."
            ) from None

    def _event(self, payload: Event) -> None:
        if payload.event.type in {"app_uninstalled", "tokens_revoked"}:
            self._api.trouble = "The app was removed from the workspace, or its token revoked."

    def _tell(self, response_url: str, error: ApprovalsError) -> None:
        """A refusal, to whoever pressed. It changes nothing, so it does not have to survive this process."""
        task = asyncio.create_task(self._say(response_url, _words(error)))
        self._saying.add(task)
        task.add_done_callback(self._saying.discard)

    async def _say(self, response_url: str, words: str) -> None:
        try:
            await self._api.respond(response_url, words)
        except NotDelivered as error:
            logger.warning("a refusal could not be told in Slack: %s", error.why)


def _check_admin(person: Person) -> None:
    if "admin" not in person.roles:
        raise Forbidden("Only admins may freeze.", hint="Ask an admin.")


def _said_before(reader: Reader, row: Row, person: Person, verdict: str) -> bool:
    return any(vote.user_id == person.id and vote.verdict == verdict for vote in on_content(reader, row))


def _reason(view: View) -> str:
    """Raises Invalid for more than a record holds; Slack's own dialog lets nobody write so much."""
    reason = view.input(modals.REASON).value.strip()
    if len(reason) > MAX_REASON:
        raise Invalid(f"This reason has {len(reason):,} characters; {MAX_REASON:,} are the most.", hint="Shorten it.")
    return reason


def _words(error: ApprovalsError) -> str:
    """Escaped: what is refused may quote an agent."""
    words = f"{error.detail} {error.hint}".strip()
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
