"""What a load balancer does to a gate: each HTTP request reaches another replica."""

import contextlib
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence

from approvals.gate.connection import Answer, Connection
from approvals.gate.http_exchange import Exchange


class RoundRobin:
    """Asks the next replica that can be connected to, as an `Exchange` asks its one address."""

    def __init__(self, urls: Sequence[str], headers: Mapping[str, str], most: int) -> None:
        self._replicas = [Exchange(f"{url}/api/v1", headers, most) for url in urls]
        self._next = itertools.cycle(self._replicas)

    async def ask(self, method: str, path: str, body: bytes = b"", *, within: float) -> Answer:
        for _ in self._replicas[1:]:
            with contextlib.suppress(ConnectionRefusedError):
                return await next(self._next).ask(method, path, body, within=within)
        return await next(self._next).ask(method, path, body, within=within)

    @contextlib.asynccontextmanager
    async def following(self, path: str, body: bytes, *, within: float) -> AsyncIterator[tuple[Answer, Connection]]:
        for _ in self._replicas:
            async with contextlib.AsyncExitStack() as stack:
                try:
                    followed = await stack.enter_async_context(next(self._next).following(path, body, within=within))
                except ConnectionRefusedError:
                    continue
                yield followed
                return
        raise ConnectionRefusedError("No replica is there.")

    async def close(self) -> None:
        for replica in self._replicas:
            await replica.close()
