"""What a load balancer does to a gate: each HTTP request reaches another replica."""

import itertools
from collections.abc import Sequence

import httpx2


class RoundRobin(httpx2.AsyncBaseTransport):
    """Sends each request to the next replica that can be connected to."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._inner = httpx2.AsyncHTTPTransport()
        self._size = len(urls)
        self._next = itertools.cycle([httpx2.URL(url) for url in urls])

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        for _ in range(self._size - 1):
            try:
                return await self._inner.handle_async_request(self._sent_to_next(request))
            except httpx2.ConnectError:
                continue
        return await self._inner.handle_async_request(self._sent_to_next(request))

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _sent_to_next(self, request: httpx2.Request) -> httpx2.Request:
        there = next(self._next)
        request.url = request.url.copy_with(host=there.host, port=there.port)
        return request
