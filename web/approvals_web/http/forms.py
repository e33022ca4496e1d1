"""Forms as people wrote them: browsers send each line's end as CR LF, whatever was typed; here it is LF."""

import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

FORM = "application/x-www-form-urlencoded"
_LINE_END = re.compile(rb"(?:%0[Dd]|\r)(?:%0[Aa]|\n)?")
"""In a form's own bytes, where a percent sign that was typed is %25."""


class FormRequest(Request):
    """A request whose form has LF for every line's end: nothing is counted, digested or told with CR in it."""

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            body = await super().body()
            is_form = self.headers.get("content-type", "").lower().startswith(FORM)
            self._body = _LINE_END.sub(b"%0A", body) if is_form else body
        return self._body


class FormRoute(APIRoute):
    """A page's route."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        if not self.methods or self.methods <= {"GET", "HEAD"}:
            return handle

        async def with_line_ends(request: Request) -> Response:
            request = FormRequest(request.scope, request.receive)
            await request.body()
            return await handle(request)

        return with_line_ends
