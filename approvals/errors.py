"""Every error this product raises, in one tree.

    ApprovalsError                 500  something in the product is wrong
    ├── BadRequest                 400  the message cannot be read
    ├── Unauthenticated            401  no live credential came with it
    ├── Forbidden                  403  this principal may never do this
    │   ├── NotInAudience          403  this server is not for this agent
    │   └── OutOfScope             403  this key does not cover it
    ├── NotFound                   404  it does not exist, or is none of the caller's business
    ├── Conflict                   409  the world moved on
    │   ├── Stale                  409  the content is no longer what was seen
    │   ├── NotPossible            409  the request's state has no such move
    │   │   └── Frozen             409  writes are stopped
    │   └── Duplicate              409  the name is taken
    ├── TooLarge                   413  over a documented size
    ├── Invalid                    422  readable, but not acceptable
    ├── WireTooOld                 426  the gate speaks an older wire version
    ├── TooMany                    429  slow down
    └── Unavailable                503  the approval service cannot be used now
        ├── NotConfigured          503  the gate has no URL or key
        └── Unreachable            503  the service did not answer, or not sensibly

The HTTP status and the name of the problem (RFC 9457 `type`) live on the class; `detail` says what happened and
`hint` what to do next. Both are shown to people and agents, so neither may carry a secret.
"""

from typing import Any, ClassVar

PROBLEM = "urn:mcp-approvals:problem:"


class ApprovalsError(Exception):
    """The root: `detail` says what happened, `hint` what to do next, `extra` goes into the problem document."""

    status: ClassVar[int] = 500
    problem: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong here"

    def __init__(self, detail: str, *, hint: str = "", **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint
        self.extra = extra

    def document(self) -> dict[str, object]:
        """The problem document (RFC 9457) for this error."""
        body: dict[str, Any] = {
            "type": f"{PROBLEM}{self.problem}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.hint:
            body["hint"] = self.hint
        return body | self.extra


class BadRequest(ApprovalsError):
    status, problem, title = 400, "bad-request", "This message cannot be read"


class Unauthenticated(ApprovalsError):
    status, problem, title = 401, "unauthenticated", "Not signed in"


class Forbidden(ApprovalsError):
    status, problem, title = 403, "forbidden", "Not allowed"


class NotInAudience(Forbidden):
    problem, title = "not-in-audience", "This server is not for this agent"


class OutOfScope(Forbidden):
    problem, title = "out-of-scope", "Not covered by this key"


class NotFound(ApprovalsError):
    status, problem, title = 404, "not-found", "Not found"


class Conflict(ApprovalsError):
    status, problem, title = 409, "conflict", "The state has changed"


class Stale(Conflict):
    problem, title = "stale", "This is no longer what you saw"


class NotPossible(Conflict):
    problem, title = "not-possible", "Not possible in this state"


class Frozen(NotPossible):
    problem, title = "frozen", "Writes are frozen"


class Duplicate(Conflict):
    problem, title = "duplicate", "Already exists"


class TooLarge(ApprovalsError):
    status, problem, title = 413, "too-large", "Too large"


class Invalid(ApprovalsError):
    status, problem, title = 422, "invalid", "Check your input"


class WireTooOld(ApprovalsError):
    status, problem, title = 426, "wire-too-old", "The gate is too old for this service"


class TooMany(ApprovalsError):
    status, problem, title = 429, "too-many", "Too many requests"


class Unavailable(ApprovalsError):
    status, problem, title = 503, "unavailable", "The approval service cannot be used now"


class NotConfigured(Unavailable):
    problem, title = "not-configured", "The gate is not configured"


class Unreachable(Unavailable):
    problem, title = "unreachable", "The approval service did not answer"


def from_document(status: int, body: dict[str, object]) -> ApprovalsError:
    """The error a problem document stands for; an unknown one becomes the class of its status, else the root."""
    kinds = {kind.problem: kind for kind in _all(ApprovalsError) if kind.__module__ == __name__}
    name = str(body.get("type", "")).removeprefix(PROBLEM)
    by_status = next((kind for kind in kinds.values() if kind.status == status), ApprovalsError)
    kind = kinds.get(name, by_status)
    known = {"type", "title", "status", "detail", "hint"}
    extra = {key: value for key, value in body.items() if key not in known}
    return kind(str(body.get("detail", kind.title)), hint=str(body.get("hint", "")), **extra)


def _all(kind: type[ApprovalsError]) -> list[type[ApprovalsError]]:
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in _all(child))]
