"""What a press and a dialog do. The decision is committed before anything is acknowledged: Slack does not send again
what was, so an acknowledgement that came first could lose it."""

import asyncio
import logging
from typing import Any, Literal

from pydantic import ValidationError

from approvals.errors import ApprovalsError, Conflict, Forbidden, Invalid, NotPossible
from approvals.policy.eligibility import Act
from approvals.protocol.limits import MAX_REASON
from approvals.protocol.messages import Decision
from approvals.protocol.states import State
from approvals.service.authority import on_content, required
from approvals.service.identity.users import Person
from approvals.service.notifications.notifier import UPDATE, NotDelivered
from approvals.service.requests.decisions import Seen
from approvals.service.service import Service
from approvals.service.slack import blocks, buttons, message_log, modals, payloads
from approvals.service.slack.buttons import Buttons, Pressed
from approvals.service.slack.client import SlackApi
from approvals.service.slack.commands import Commands, open_dialog, refusal
from approvals.service.slack.identity import Identities
from approvals.service.slack.message import request_message
from approvals.service.slack.payloads import Action, Command, Container, Event, Interaction, Place, View
from approvals.service.slack.request_view import view_request
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.tables.rows import RequestRun

logger = logging.getLogger("approvals")

Answer = dict[str, Any] | None
INTERACTIVE, COMMAND, EVENT = "interactive", "slash_commands", "events_api"


class Interactions:
    """One workspace's. Event loop only."""

    def __init__(self, service: Service, api: SlackApi, identities: Identities) -> None:
        self._service = service
        self._api = api
        self._identities = identities
        self._commands = Commands(service, api, identities)
        self._buttons = Buttons(service.keyring)
        self._saying: set[asyncio.Task[None]] = set()

    async def handle(self, kind: str, payload: dict[str, Any]) -> Answer:
        """The body of the acknowledgement; None for an empty one. Raises BadRequest for what Slack does not send."""
        if kind == COMMAND:
            return await self._commands.handle(payloads.read(Command, payload))
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
        """Open the dialog; for whoever cannot deny this any more, say so before they write."""

        def look(reader: Reader) -> tuple[str, str]:
            row = self._named(reader, pressed)
            _check_open(self._service, reader, row)
            self._service.authority.check_may_decide(reader, row, person, Act.DENY)
            return view_request(self._service, self._buttons, reader, row.id).title, self._buttons.of(row)

        place = payload.container
        try:
            title, value = await self._service.read(look)
        except NotPossible:
            await self._doubt(pressed, place)
            raise
        private = Place(button=value, channel=place.channel_id, ts=place.message_ts)
        await open_dialog(self._api, payload.trigger_id, modals.denial(title, private.model_dump_json()))

    async def _submitted(self, payload: Interaction) -> Answer:
        view = payload.view
        does = {modals.DENIAL: self._deny, modals.FREEZE: self._freeze}.get(view.callback_id)
        if does is None:
            return None
        try:
            await does(await self._identities.person(await self._identities.slack_user(payload.sender)), view)
        except ApprovalsError as error:
            return {"response_action": "errors", "errors": {modals.REASON: refusal(error)[:2000]}}
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

    async def _decide(
        self, person: Person, pressed: Pressed, verdict: Literal["approve", "deny"], place: Container, **more: Any
    ) -> None:
        def write(tx: Transaction) -> None:
            row = self._named(tx, pressed)
            _check_first(self._service, tx, row, person)
            seen = request_message(view_request(self._service, self._buttons, tx, row.id))
            if verdict == "approve" and not seen.complete:
                raise Forbidden("The message could not show all that would run.", hint="Approve it in the web app.")
            decision = Decision(verdict=verdict, content_version=pressed.content_version, digest=row.digest, **more)
            self._service.decisions.decide(tx, row.id, person, decision, Seen(seen.shown))
            self._note(tx, row.id, place)

        try:
            await self._service.write(write)
        except (NotPossible, Conflict):
            await self._doubt(pressed, place)
            raise

    async def _doubt(self, pressed: Pressed, place: Container) -> None:
        """Somebody pressed what is not offered any more: whatever their copy shows, it is brought up to date."""

        def write(tx: Transaction) -> None:
            row = self._named(tx, pressed)
            self._note(tx, row.id, place)
            if place.channel_id and place.message_ts:
                message_log.shows(tx, place.channel_id, place.message_ts, "")
                self._service.outbox.add(tx, "slack", row.id, UPDATE, f"{place.channel_id} {place.message_ts}")

        await self._service.write(write)

    def _note(self, tx: Transaction, request_id: str, place: Container) -> None:
        """A copy that nobody wrote down is brought up to date with the others."""
        if place.channel_id and place.message_ts:
            message_log.posted(tx, request_id, place.channel_id, place.message_ts, asked="")

    def _named(self, reader: Reader, pressed: Pressed) -> RequestRun:
        row = self._service.statuses.row(reader, pressed.request_id)
        self._buttons.check(pressed, row)
        return row

    async def _freeze(self, person: Person, view: View) -> None:
        mode, reason = view.input(modals.MODE).selected_option.value, _reason(view)
        await self._service.write(lambda tx: self._service.freezes.make(tx, person, "all", "", mode, reason))

    def _event(self, payload: Event) -> None:
        if payload.event.type in {"app_uninstalled", "tokens_revoked"}:
            self._api.trouble = "The app was removed from the workspace, or its token revoked."

    def _tell(self, response_url: str, error: ApprovalsError) -> None:
        """A refusal, to whoever pressed. It changes nothing, so it does not have to survive this process."""
        task = asyncio.create_task(self._say(response_url, refusal(error)))
        self._saying.add(task)
        task.add_done_callback(self._saying.discard)

    async def _say(self, response_url: str, words: str) -> None:
        try:
            await self._api.respond(response_url, words)
        except NotDelivered as error:
            logger.warning("a refusal could not be told in Slack: %s", error.why)


def _check_open(service: Service, reader: Reader, row: RequestRun) -> None:
    """Raises NotPossible once there is nothing left to decide."""
    status = service.statuses.of(row, reader.now)
    if status.state is not State.PENDING:
        by = f" by {row.decided_by}" if row.decided_by and status.state in {State.APPROVED, State.DENIED} else ""
        raise NotPossible(f"This request is already {status.state}{by}.", hint="There is nothing left to decide.")


def _check_first(service: Service, reader: Reader, row: RequestRun, person: Person) -> None:
    """Raises Conflict for a second press, whichever and however late: it changes nothing, and they are told what
    counts."""
    mine = next((vote for vote in on_content(reader, row) if vote.user_id == person.id), None)
    if mine is None:
        return
    if mine.verdict == "deny":
        raise Conflict("You have denied this already.", hint="There is nothing left to decide.")
    status = service.statuses.of(row, reader.now)
    if status.state is not State.PENDING:
        raise Conflict(f"You have approved this already; it is {status.state} now.", hint="")
    quorum = required(row).quorum
    raise Conflict("You have approved this already.", hint=f"It takes {quorum} people: somebody else has to approve.")


def _reason(view: View) -> str:
    """Raises Invalid for more than a record holds; Slack's own dialog lets nobody write so much."""
    reason = view.input(modals.REASON).value.strip()
    if len(reason) > MAX_REASON:
        raise Invalid(f"This reason has {len(reason):,} characters; {MAX_REASON:,} are the most.", hint="Shorten it.")
    return reason
