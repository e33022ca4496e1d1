"""What every route of the API may answer, for the OpenAPI document."""

from typing import Any

from pydantic import BaseModel

from approvals_web.problems import MEDIA_TYPE


class Problem(BaseModel):
    """RFC 9457 problem details; `hint` says what to do next."""

    type: str
    title: str
    status: int
    detail: str
    hint: str = ""


_WORDS = {
    400: "The body cannot be read",
    401: "No live credential",
    403: "This principal may never do this",
    404: "It does not exist, or is none of the caller's business",
    409: "The state has changed",
    413: "Too large",
    422: "Not acceptable",
    426: "The gate is too old",
    429: "Asked too much; `retry_after_seconds` and the header Retry-After say when to come back",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problem answers of a route."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": _WORDS[status], "content": {MEDIA_TYPE: {"schema": schema}}, "model": Problem}
        for status in sorted({401, 403, 422, *statuses})
    }
