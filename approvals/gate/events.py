"""A gate's one connection for all that it waits for: verdict leases and the states of its requests."""

import asyncio
import contextlib
import logging
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

from pydantic import ValidationError

from approvals.clock import boot_clock
from approvals.errors import ApprovalsError, Unreachable
from approvals.gate.client import ServiceClient
from approvals.gate.lease import VerdictLease
from approvals.protocol.messages import EditAsked, LookAgain, RequestStatus, Waiting
from approvals.protocol.registration import Registered
from approvals.protocol.states import State

logger = logging.getLogger("approvals.gate.gate")

REMEMBERED_SECONDS = 60.0
"""How long news are kept for a call whose filing is not answered yet; more than a filing can take."""
_ORDER = {state: rank for rank, state in enumerate(State)}


class Waiter:
    """One call that waits for one request."""

    def __init__(self, status: RequestStatus) -> None:
        self.status = status
        self._told_at = boot_clock()
        self._changed = asyncio.Event()

    def now(self) -> RequestStatus:
        """The status with what is left of its time."""
        if self.status.expires_in is None:
            return self.status
        left = max(0.0, self.status.expires_in - (boot_clock() - self._told_at))
        return self.status.model_copy(update={"expires_in": left})

    def tell(self, status: RequestStatus) -> None:
        """Take the service's news; older news changes nothing."""
        if _rank(status) >= _rank(self.status):
            self.status, self._told_at = status, boot_clock()
            self._changed.set()

    def wake(self) -> None:
        """Let the call look again, though nothing was told."""
        self._changed.set()

    async def change(self, seconds: float) -> None:
        """Wait until something is told, or the time is up."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        self._changed.clear()


class EventStream:
    """Follows the service, reconnecting for as long as it is open."""

    def __init__(
        self,
        client: ServiceClient,
        session: str,
        lease: VerdictLease,
        look: Callable[[str], None],
        edit: Callable[[str, str], None],
    ) -> None:
        self._client = client
        self._session = session
        self._lease = lease
        self._look = look
        self._edit = edit
        self._waiters: dict[str, set[Waiter]] = {}
        self._news: OrderedDict[str, tuple[float, RequestStatus]] = OrderedDict()
        """What was told last of each request, and when."""
        self.connected = False
        self._said = ""
        """What was logged of the present outage."""

    @contextlib.contextmanager
    def waiting(self, status: RequestStatus) -> Iterator[Waiter]:
        """A Waiter for this request, told of everything that came in since the request was filed."""
        waiter = Waiter(status)
        self._waiters.setdefault(status.id, set()).add(waiter)
        if (news := self._news.get(status.id)) is not None and _rank(news[1]) > _rank(status):
            waiter.tell(news[1])
        try:
            yield waiter
        finally:
            others = self._waiters[status.id]
            others.discard(waiter)
            if not others:
                del self._waiters[status.id]

    @property
    def waited_for(self) -> int:
        """How many requests calls wait for."""
        return len(self._waiters)

    async def follow_forever(self) -> None:
        """Stay connected. After a break, name all that is waited for: the service sends the state of each."""
        pause = 0.1
        while True:
            try:
                await self._follow()
                pause = 0.1
            except ApprovalsError as error:
                if pause > 0.3:  # a restart is no news
                    self._say(error)
            self._broke()
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 — jitter
            pause = min(5.0, pause * 2)

    def _say(self, error: ApprovalsError) -> None:
        """Log an outage once. The address is for who runs the gate; agents are not told."""
        if error.detail != self._said:
            self._said = error.detail
            words = f"{error.detail} {error.hint}".strip()
            logger.warning("the approval service at %s cannot be followed: %s", self._client.address, words)

    async def _follow(self) -> None:
        await self._lease.register()
        waiting = Waiting(session=self._session, waiting=tuple(self._waiters))
        async with contextlib.aclosing(self._client.events(waiting)) as events:
            async for kind, data in events:
                self.connected, self._said = True, ""
                try:
                    self._take(kind, data)
                except ValidationError as error:
                    raise Unreachable("The approval service's event makes no sense.") from error

    def _take(self, kind: str, data: str) -> None:
        self._forget_old(time.monotonic() - REMEMBERED_SECONDS)
        if kind == "lease":
            self._lease.renew(Registered.model_validate_json(data))
        elif kind == "request":
            self.tell(RequestStatus.model_validate_json(data))
        elif kind == "look":
            self._look(LookAgain.model_validate_json(data).id)
        elif kind == "edit":
            asked = EditAsked.model_validate_json(data)
            self._edit(asked.id, asked.edit)

    def tell(self, status: RequestStatus) -> None:
        """Tell every call that waits for this request; one whose filing is not answered yet, later."""
        self._news[status.id] = time.monotonic(), status
        self._news.move_to_end(status.id)
        for waiter in tuple(self._waiters.get(status.id, ())):
            waiter.tell(status)

    def _forget_old(self, before: float) -> None:
        while self._news and next(iter(self._news.values()))[0] < before:
            self._news.popitem(last=False)

    def _broke(self) -> None:
        self.connected = False
        self.wake()

    def wake(self) -> None:
        """Every call that waits looks again."""
        for request_id in self._waiters:
            self.wake_waiters(request_id)

    def wake_waiters(self, request_id: str) -> None:
        """Every call that waits for this request looks again."""
        for waiter in self._waiters.get(request_id, ()):
            waiter.wake()


def _rank(status: RequestStatus) -> tuple[int, int]:
    """States only ever move forward in the table's order; a revised content starts over."""
    return status.content_version, _ORDER[status.state]
