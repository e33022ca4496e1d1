"""Says in Slack what waits, and keeps every message true."""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any

from approvals.protocol.states import State
from approvals.service.notifications.notifier import NotDelivered, Notice, Undeliverable
from approvals.service.service import Service
from approvals.service.slack import blocks, channels, message_log, request_view
from approvals.service.slack.blocks import RAN, Message
from approvals.service.slack.buttons import Buttons
from approvals.service.slack.client import Refused, SlackApi
from approvals.service.slack.rate_limit import TOGETHER, Gathering, Pace
from approvals.service.slack.request_view import Face
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Row

QUIET: dict[str, Any] = {"unfurl_links": "false", "unfurl_media": "false", "parse": "none", "link_names": "false"}
"""Nothing in a message fetches an address, and nobody is mentioned."""
NO_CHANNEL = frozenset({"channel_not_found", "not_in_channel", "is_archived", "restricted_action", "is_inactive"})
NO_MESSAGE = frozenset({"message_not_found", "cant_update_message", "thread_not_found"})
REFRESH = 1.0
"""Seconds in which changes of one digest are collected."""


class SlackNotifier:
    """One workspace's. `channel` is where requests go whose rule names none."""

    name = "slack"

    def __init__(self, service: Service, api: SlackApi, channel: str) -> None:
        self._service = service
        self._api = api
        self._channel = channel
        self._buttons = Buttons(service.keyring)
        self._pace = Pace()
        self._digests = Gathering(self._post_digest, TOGETHER)
        self._refreshes = Gathering(self._refresh_digest, REFRESH)
        self._unreachable: dict[str, str] = {}

    @property
    def trouble(self) -> str | None:
        """What people should mend; None while all is well."""
        lost = "; ".join(f"{channel}: {why}" for channel, why in sorted(self._unreachable.items()))
        said = self._api.trouble or (f"Channels that cannot be reached: {lost}." if lost else None)
        return said and f"{said} To see what to mend: approvals slack doctor."

    async def announce(self, notice: Notice) -> None:
        """In the channel, and to people; where it stands already it is not said again."""
        if notice.status.state is not State.PENDING:
            return
        team = await self._api.team()
        request_id = notice.row.id

        def missing(reader: Reader) -> list[str]:
            row = self._service.statuses.row(reader, request_id)
            known = {copy.asked for copy in message_log.copies(reader, request_id)}
            places = channels.of(self._service, reader, row, self._channel, team.team_id)
            return [place for place in places if place not in known]

        await _all(self._tell(place, request_id) for place in await self._service.read(missing))

    async def update(self, notice: Notice) -> None:
        """Every copy, and the thread once it ran."""
        seen, copies = await self._service.read(lambda reader: self._seen(reader, notice.row.id))
        await _all(self._renew(seen, copy) for copy in copies)

    async def reply(self, notice: Notice) -> None:
        """In the thread; who may decide may have become more."""
        if notice.status.state is not State.PENDING:
            return
        await self.announce(notice)
        seen, copies = await self._service.read(lambda reader: self._seen(reader, notice.row.id))
        await _all(self._renew(seen, copy) for copy in copies)
        await _all(self._thread(copy, blocks.reminder(seen)) for copy in copies if not copy.digest)

    def _seen(self, reader: Reader, request_id: str) -> tuple[Face, list[Row]]:
        return self._face(reader, request_id), message_log.copies(reader, request_id)

    def _face(self, reader: Reader, request_id: str) -> Face:
        return request_view.of(self._service, self._buttons, reader, request_id)

    async def _tell(self, place: str, request_id: str) -> None:
        now = asyncio.get_running_loop().time()
        if place.startswith("@") or self._pace.take(place, now):
            await self._post_one(place, request_id)
        else:
            await self._digests.add(place, request_id)

    async def _post_one(self, place: str, request_id: str, *, reposted: bool = False) -> None:
        seen = await self._service.read(lambda reader: self._face(reader, request_id))
        if seen.status.state is State.PENDING:
            await self._post(place, [request_id], blocks.request(seen), reposted=reposted)

    async def _post_digest(self, place: str, request_ids: list[str]) -> None:
        if len(request_ids) == 1:
            await self._post_one(place, request_ids[0])
            return
        listed = sorted(request_ids)  # as every refresh lists them
        faces = await self._service.read(lambda reader: [self._face(reader, request_id) for request_id in listed])
        await self._post(place, request_ids, blocks.digest(faces, self._service.public_url), digest=True)

    async def _post(self, place: str, request_ids: list[str], said: Message, **kind: bool) -> None:
        answer = await self._posted(place, said)
        channel, ts = str(answer["channel"]), str(answer["ts"])

        def write(tx: Any) -> None:
            for request_id in request_ids:
                message_log.posted(tx, request_id, channel, ts, place, **kind)

        await self._service.write(write)

    async def _posted(self, place: str, said: Message) -> dict[str, Any]:
        """Where it was to be said; else in the usual channel, with a word on why there."""
        try:
            channel = await self._conversation(place)
            answer = await self._say(channel, said)
        except Refused as error:
            if error.error not in NO_CHANNEL:
                raise
            self._unreachable[place] = error.error
            if place in {self._channel, ""} or place.startswith("@"):
                raise NotDelivered(f"{place}: {error.error}", 60.0) from None
            words = blocks.note(f"Meant for {place}, which cannot be reached ({error.error}).")
            return await self._say(self._channel, Message(said.text, [*said.blocks, words]))
        self._unreachable.pop(place, None)
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

    async def _renew(self, seen: Face, copy: Row) -> None:
        if copy.digest:
            await self._refreshes.add(f"{copy.channel} {copy.ts}", seen.row.id)
            return
        said = blocks.request(seen)
        try:
            await self._api.call("chat.update", channel=copy.channel, ts=copy.ts, text=said.text, blocks=said.blocks)
        except Refused as error:
            await self._lost(seen, copy, error)
            return
        state = seen.status.state
        if state in RAN and copy.told != state:
            await self._thread(copy, blocks.result(seen))
            await self._service.write(lambda tx: message_log.told(tx, seen.row.id, copy.channel, state))

    async def _lost(self, seen: Face, copy: Row, error: Refused) -> None:
        """A deleted message comes back once while there is something to decide."""
        if error.error in NO_CHANNEL:
            raise Undeliverable(f"{copy.channel}: {error.error}") from None
        if error.error not in NO_MESSAGE:
            raise error
        await self._service.write(lambda tx: message_log.forget(tx, copy.channel, copy.ts))
        if seen.status.state is State.PENDING and not copy.reposted:
            await self._post_one(copy.asked or copy.channel, seen.row.id, reposted=True)

    async def _refresh_digest(self, key: str, changed: list[str]) -> None:
        channel, ts = key.split(" ")

        def gather(reader: Reader) -> list[Face]:
            return [self._face(reader, row.request_id) for row in message_log.shown_at(reader, channel, ts)]

        said = blocks.digest(await self._service.read(gather), self._service.public_url)
        try:
            await self._api.call("chat.update", channel=channel, ts=ts, text=said.text, blocks=said.blocks)
        except Refused as error:
            if error.error not in NO_MESSAGE:
                raise
            await self._service.write(lambda tx: message_log.forget(tx, channel, ts))

    async def _thread(self, copy: Row, said: Message) -> None:
        try:
            await self._say(copy.channel, said, thread_ts=copy.ts)
        except Refused as error:
            if error.error not in NO_MESSAGE:
                raise


async def _all(doing: Iterable[Awaitable[None]]) -> None:
    """Each of them, whatever becomes of the others; then the first error."""
    done = await asyncio.gather(*doing, return_exceptions=True)
    for outcome in done:
        if isinstance(outcome, BaseException):
            raise outcome
