"""JSON bodies without loose ends: capped, no duplicate keys, no NaN, no lone surrogates, no bottomless nesting."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute

from approvals.errors import BadRequest, TooLarge
from approvals.protocol.limits import MAX_BODY
from approvals_web.http.bearer import identify

MAX_NESTING = 64
READ_AT_ONCE = 65_536
"""Bytes that are parsed where they arrive; longer bodies are parsed beside the event loop."""


class StrictRequest(Request):
    """A request whose body is read up to MAX_BODY bytes and parsed by `parse`."""

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            self._body = await self._capped()
        return self._body

    async def json(self) -> object:
        if not hasattr(self, "_json"):
            body = await self.body()
            self._json = parse(body) if len(body) <= READ_AT_ONCE else await asyncio.to_thread(parse, body)
        return self._json

    async def _capped(self) -> bytes:
        declared = self.headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > MAX_BODY:
            raise _too_large()
        chunks, size = [], 0
        async for chunk in self.stream():
            size += len(chunk)
            if size > MAX_BODY:
                raise _too_large()
            chunks.append(chunk)
        return b"".join(chunks)


class StrictRoute(APIRoute):
    """An API route with strict JSON, read for whoever has a live key and nobody else; parsing errors are problems like
    all others."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            await identify(request)
            request = StrictRequest(request.scope, request.receive)
            if await request.body():
                await request.json()
            return await handle(request)

        return strict


def parse(raw: bytes) -> object:
    """The JSON value of a body. Raises BadRequest, saying what is wrong with it."""
    try:
        text = raw.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer)
    except UnicodeDecodeError as error:
        raise BadRequest("The body is not UTF-8.", hint="Send JSON in UTF-8.") from error
    except RecursionError as error:
        raise _too_deep() from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise BadRequest(f"The body is not JSON: {error.msg} at {where}.") from error
    _check(value, 0)
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    seen = dict(pairs)
    if len(seen) != len(pairs):
        twice = next(name for name, number in Counter(name for name, _ in pairs).items() if number > 1)
        raise BadRequest(f"The key {twice!r:.80} stands twice in one object.", hint="Send each key once.")
    return seen


def _constant(name: str) -> NoReturn:
    raise BadRequest(f"{name} is not JSON.", hint="Send a finite number.")


def _integer(digits: str) -> int:
    if len(digits) > 400:
        raise BadRequest("A number has over 400 digits.", hint="Send it as text.")
    return int(digits)


def _check(value: object, depth: int) -> None:
    if depth > MAX_NESTING:
        raise _too_deep()
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key)
            _check(item, depth + 1)
    elif isinstance(value, float) and value in (float("inf"), float("-inf")):
        raise BadRequest("A number is too large for JSON.", hint="Send it as text.")


def _check_text(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadRequest("Text has half of a surrogate pair.", hint="Send valid Unicode.") from error


def _too_large() -> TooLarge:
    return TooLarge(f"The body is over {MAX_BODY:,} bytes.", hint="Send less.")


def _too_deep() -> BadRequest:
    return BadRequest(f"The body is nested deeper than {MAX_NESTING} levels.", hint="Flatten it.")
