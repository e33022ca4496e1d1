"""What every route of the API may answer, for the OpenAPI document."""

from fastapi import FastAPI
from pydantic import BaseModel

from approvals_web.http.problems import MEDIA_TYPE


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
    503: "The service cannot be used now: it starts, stops, or has no database",
}
_ANY = frozenset({400, 401, 403, 413, 422, 503})
"""Of every route: whatever comes as a body is read, even where none is asked for."""


def problems(*statuses: int) -> dict[int | str, dict[str, object]]:
    """The problem answers of a route: these, and those of every route."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": _WORDS[status], "content": {MEDIA_TYPE: {"schema": schema}}, "model": Problem}
        for status in sorted(_ANY | {*statuses})
    }


class DocumentedApp(FastAPI):
    """An application whose document tells the media type of problems as it is."""

    def openapi(self) -> dict[str, object]:
        if self.openapi_schema is None:
            document = super().openapi()
            for operation in (one for path in document["paths"].values() for one in path.values()):
                for answer in operation["responses"].values():
                    if MEDIA_TYPE in answer.get("content", {}):
                        answer["content"].pop("application/json", None)  # FastAPI adds it for every model
            self.openapi_schema = document
        return self.openapi_schema
