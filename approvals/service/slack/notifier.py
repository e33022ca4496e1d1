"""Says in Slack what waits, and keeps every message true: one step of the outbox for each copy of a message.

A copy is called by its channel and its time stamp, an announcement by the place it is for. What a copy shows is kept
with it, so that nothing is sent twice that says the same.
"""

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import Any

from approvals.protocol.states import State
from approvals.service.notifications.notifier import (
    ANNOUNCE,
    NOTHING,
    REPLY,
    UPDATE,
    NotDelivered,
    Notice,
    Sent,
    Step,
    Undeliverable,
)
from approvals.service.service import Service
from approvals.service.slack import blocks, channels, message_log, replies
from approvals.service.slack.buttons import Buttons
from approvals.service.slack.client import Refused, SlackApi
from approvals.service.slack.message import Message, request_message
from approvals.service.slack.outcomes import RAN
from approvals.service.slack.rate_limit import TOGETHER, Gathering, RateLimit
from approvals.service.slack.request_view import RequestView, view_request
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.tables import SlackMessage

AS_WRITTEN: dict[str, Any] = {"parse": "none", "link_names": "false"}
QUIET: dict[str, Any] = {"unfurl_links": "false", "unfurl_media": "false"} | AS_WRITTEN
"""Nothing in a message fetches an address, and nobody is mentioned by what somebody else wrote."""
NO_CHANNEL = frozenset({"channel_not_found", "not_in_channel", "is_archived", "restricted_action", "is_inactive"})
NO_MESSAGE = frozenset({"message_not_found", "cant_update_message", "thread_not_found"})
NO_PERSON = frozenset({"user_not_found", "user_disabled", "user_not_visible", "cannot_dm_bot", "messages_tab_disabled"})


class SlackNotifier:
    """One workspace's. `channel` is where requests go whose rule names none."""

    name = "slack"

    def __init__(self, service: Service, api: SlackApi, channel: str) -> None:
        self._service = service
        self._api = api
        self._channel = channel
        self._buttons = Buttons(service.keyring)
        self._rate = RateLimit()
        self._digests = Gathering(self._post_digest, TOGETHER)
        self._unreachable: dict[str, str] = {}

    @property
    def trouble(self) -> str | None:
        """What people should mend; None while all is well."""
        lost = "; ".join(f"{channel}: {why}" for channel, why in sorted(self._unreachable.items()))
        said = self._api.trouble or self._api.deaf or (f"Channels that cannot be reached: {lost}." if lost else None)
        return said and f"{said} To see what to mend: approvals slack doctor."

    async def announce(self, notice: Notice) -> Sent:
        """In the channel, and to people; where it stands already it is not said again."""
        if notice.status.state is not State.PENDING:
            return NOTHING
        request_id, place = notice.row.id, notice.target
        if not place:
            steps = await self._unannounced(request_id)
            return Sent(then=lambda _: steps)
        if place in await self._service.read(lambda reader: self._settled(reader, request_id)):
            return NOTHING
        if not place.startswith("@") and not self._rate.take(place, asyncio.get_running_loop().time()):
            return await self._digests.add(place, request_id)
        return await self._post_one(place, request_id)

    async def update(self, notice: Notice) -> Sent:
        """Every copy, and the thread once it ran."""
        request_id = notice.row.id
        if notice.target:
            return await self._renew(request_id, *notice.target.split(" "))
        copies = await self._service.read(lambda reader: _standing(reader, request_id))
        return Sent(then=lambda _: [Step(UPDATE, _name(copy)) for copy in copies])

    async def reply(self, notice: Notice) -> Sent:
        """In the thread of every copy; who may decide may have become more."""
        request_id = notice.row.id
        if notice.target:
            return await self._thread(request_id, *notice.target.split(" "))
        if notice.status.state is not State.PENDING:
            return NOTHING
        unannounced = await self._unannounced(request_id)
        copies = await self._service.read(lambda reader: _standing(reader, request_id))
        steps = [Step(verb, _name(copy)) for verb in (UPDATE, REPLY) for copy in copies]
        return Sent(then=lambda _: [*unannounced, *steps])

    async def _unannounced(self, request_id: str) -> list[Step]:
        team_id = (await self._api.team()).team_id

        def missing(reader: Reader) -> list[Step]:
            row = self._service.statuses.row(reader, request_id)
            settled = self._settled(reader, request_id)
            wanted = channels.places(self._service, reader, row, self._channel, team_id)
            return [Step(ANNOUNCE, place) for place in wanted if place not in settled]

        return await self._service.read(missing)

    def _settled(self, reader: Reader, request_id: str) -> set[str]:
        """The places where it stands, or was deleted twice."""
        rows = message_log.standing(reader, request_id)
        deleted = [row.asked for row in rows if row.gone]
        return {row.asked for row in rows if not row.gone} | {asked for asked in deleted if deleted.count(asked) > 1}

    def _view(self, reader: Reader, request_id: str) -> RequestView:
        return view_request(self._service, self._buttons, reader, request_id)

    async def _message(self, request_id: str) -> tuple[RequestView, Message]:
        team_id = (await self._api.team()).team_id

        def render(reader: Reader) -> tuple[RequestView, Message]:
            view = self._view(reader, request_id)
            return view, request_message(view, channels.mentions(reader, view.row, team_id))

        return await self._service.read(render)

    async def _post_one(self, place: str, request_id: str) -> Sent:
        view, said = await self._message(request_id)
        if not view.pending:
            return NOTHING
        channel, ts = await self._post(place, said)

        def write(tx: Transaction) -> Iterable[Step]:
            message_log.posted(tx, request_id, channel, ts, place, shown=said.fingerprint)
            return [Step(UPDATE, f"{channel} {ts}")]  # for what changed meanwhile; says nothing if nothing did

        return Sent(then=write)

    async def _post_digest(self, place: str, request_ids: list[str]) -> Sent:
        if len(request_ids) == 1:
            return await self._post_one(place, request_ids[0])
        said = await self._digest(sorted(request_ids))  # as every refresh lists them
        channel, ts = await self._post(place, said)

        def write(tx: Transaction) -> None:
            for request_id in request_ids:
                message_log.posted(tx, request_id, channel, ts, place, digest=True, shown=said.fingerprint)

        await self._service.write(write)
        return Sent(then=lambda _: [Step(UPDATE, f"{channel} {ts}")])

    async def _digest(self, request_ids: list[str]) -> Message:
        team_id = (await self._api.team()).team_id

        def render(reader: Reader) -> Message:
            views = [self._view(reader, one) for one in request_ids]
            called = [one for view in views if view.pending for one in channels.mentions(reader, view.row, team_id)]
            return replies.digest(views, self._service.public_url, tuple(dict.fromkeys(called))[: channels.PEOPLE])

        return await self._service.read(render)

    async def _post(self, place: str, said: Message) -> tuple[str, str]:
        """Where it stands now, and as which message."""
        answer = await self._said_at(place, said)
        return str(answer["channel"]), str(answer["ts"])

    async def _said_at(self, place: str, said: Message) -> dict[str, Any]:
        """Where it was to be said; else in the usual channel, with a word on why there."""
        try:
            channel = await self._conversation(place)
            answer = await self._say(channel, said)
        except Refused as error:
            if error.error in NO_PERSON:
                raise Undeliverable(f"{place} cannot be written to: {error.error}") from None
            if error.error not in NO_CHANNEL:
                raise
            self._unreachable[place] = error.error
            if place in {self._channel, ""} or place.startswith("@"):
                raise NotDelivered(f"{place}: {error.error}", 60.0) from None
            words = blocks.note(f"Meant for {place}, which cannot be reached ({error.error}).")
            return await self._say(self._channel, Message(said.text, [*said.blocks, words]))
        self._unreachable.pop(place, None)
        self._unreachable.pop(str(answer["channel"]), None)
        return answer

    async def _say(self, channel: str, said: Message, **more: Any) -> dict[str, Any]:
        return await self._api.call(
            "chat.postMessage", channel=channel, text=said.text, blocks=said.blocks, **QUIET, **more
        )

    async def _conversation(self, place: str) -> str:
        if not place.startswith("@"):
            return place
        opened = await self._api.call("conversations.open", users=place.removeprefix("@"))
        return str(opened["channel"]["id"])

    async def _renew(self, request_id: str, channel: str, ts: str) -> Sent:
        copies = await self._service.read(lambda reader: message_log.shown_at(reader, channel, ts))
        mine = next((copy for copy in copies if copy.request_id == request_id), None)
        if mine is None:
            return NOTHING
        if mine.digest:
            said, ran = await self._digest([copy.request_id for copy in copies]), False
        else:
            view, said = await self._message(request_id)
            ran = view.status.state in RAN and mine.told != view.status.state
        if said.fingerprint != mine.shown:
            try:
                await self._api.call(
                    "chat.update", channel=channel, ts=ts, text=said.text, blocks=said.blocks, **AS_WRITTEN
                )
            except Refused as error:
                return self._lost(copies, error)
            self._unreachable.pop(channel, None)
        steps = [Step(REPLY, _name(mine))] if ran else []

        def write(tx: Transaction) -> Iterable[Step]:
            message_log.shows(tx, channel, ts, said.fingerprint)
            return steps

        return Sent(then=write)

    def _lost(self, copies: list[SlackMessage], error: Refused) -> Sent:
        """A deleted message comes back once, while there is something to decide. What stands in a channel that cannot
        be reached is tried again: somebody may let the app in again."""
        if error.error in NO_CHANNEL:
            why = f"{copies[0].channel}: {error.error}"
            if copies[0].asked.startswith("@"):
                raise Undeliverable(why) from None
            self._unreachable[copies[0].channel] = error.error
            raise NotDelivered(why, 60.0) from None
        if error.error not in NO_MESSAGE:
            raise error

        def write(tx: Transaction) -> Iterable[Step]:
            message_log.lost(tx, copies[0].channel, copies[0].ts)
            return [Step(ANNOUNCE, copy.asked, copy.request_id) for copy in copies if copy.asked]

        return Sent(then=write)

    async def _thread(self, request_id: str, channel: str, ts: str) -> Sent:
        """How it ran, or that it still waits; nothing where neither is so, and nothing to people who have approved."""
        copies = await self._service.read(lambda reader: message_log.shown_at(reader, channel, ts))
        mine = next((copy for copy in copies if copy.request_id == request_id), None)
        if mine is None:
            return NOTHING
        view, asked = await self._still_asked(mine)
        state = view.status.state
        if view.pending and not asked:
            return NOTHING
        if not view.pending and (state not in RAN or mine.told == state or mine.digest):
            return NOTHING
        try:
            await (self._remind(mine, view) if view.pending else self._say(channel, replies.result(view), thread_ts=ts))
        except Refused as error:
            return self._lost(copies, error)
        self._unreachable.pop(channel, None)
        return NOTHING if view.pending else Sent(then=partial(_told, mine, state))

    async def _still_asked(self, copy: SlackMessage) -> tuple[RequestView, bool]:
        """The request, and whether whoever a copy is with may still approve it."""
        team_id = (await self._api.team()).team_id

        def look(reader: Reader) -> tuple[RequestView, bool]:
            view = self._view(reader, copy.request_id)
            people = copy.asked.startswith("@")
            return view, not people or copy.asked in channels.places(self._service, reader, view.row, "", team_id)

        return await self._service.read(look)

    async def _remind(self, copy: SlackMessage, view: RequestView) -> None:
        """In the channel as well when it is the last reminder, or others have approved, and to people always: nobody
        is told of what stands in a thread alone."""
        team_id = (await self._api.team()).team_id
        called = await self._service.read(lambda reader: channels.mentions(reader, view.row, team_id))
        said = replies.reminder(view, called)
        visible = copy.asked.startswith("@") or view.approved_by or view.row.remind_at is None
        await self._say(copy.channel, said, thread_ts=copy.ts, **({"reply_broadcast": "true"} if visible else {}))


def _standing(reader: Reader, request_id: str) -> list[SlackMessage]:
    return [copy for copy in message_log.standing(reader, request_id) if not copy.gone]


def _name(copy: SlackMessage) -> str:
    return f"{copy.channel} {copy.ts}"


def _told(copy: SlackMessage, state: State, tx: Transaction) -> Iterable[Step]:
    message_log.told(tx, copy.request_id, copy.channel, copy.ts, state)
    return ()
