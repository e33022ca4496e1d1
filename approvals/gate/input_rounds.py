"""Rounds of a 2026-07-28 call: its client is sent away with a state, and comes back with it to wait on.

The state says where the call stood and permits nothing: the service looks up whose request it names, in what state it
is, and whether the call is still the same. It is sealed all the same, and bound to the call and its caller.
"""

import re
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from mcp.server.request_state import RequestStateSecurity
from mcp_types import ElicitRequest, ElicitRequestURLParams, InputRequiredResult

from approvals.gate.settings import GateSettings
from approvals.protocol.messages import RequestStatus
from approvals.protocol.states import State

TTL = 30 * 86_400.0
"""Seconds for which a state is good: far longer than a request waits, so that its end can still be told."""

_STATE = re.compile(
    r"approvals:1:(?P<request_id>[0-9a-zA-Z_-]{8,64}):(?P<number>[0-9]{1,3})(:(?P<caller>[0-9a-f]{32}))?", re.ASCII
)


@dataclass(frozen=True)
class Round:
    """One exchange in which a call waits. The first continues nothing."""

    number: int = 0
    continues: str | None = None
    """The request for which the call waited before, as its client says."""
    opens_links: bool = False
    """Whether the client declared that it shows links to its user (`elicitation.url`)."""
    caller: str = ""
    """Whose call it is, when nothing but the state tells: whoever brings it back goes on with the call."""

    @classmethod
    def of(cls, state: str | None, *, opens_links: bool = False) -> "Round":
        """What a state says; what is none of ours says nothing."""
        found = _STATE.fullmatch(state or "")
        if found is None:
            return cls(opens_links=opens_links)
        return cls(int(found["number"]), found["request_id"], opens_links, found["caller"] or "")

    def points_first(self, status: RequestStatus) -> bool:
        """Whether the client's user gets the link before anything else: once, and while there is something to see."""
        return self.opens_links and self.number == 0 and status.state is State.PENDING

    def next(self, status: RequestStatus, caller: str = "") -> InputRequiredResult:
        """The way back. What the client's user says to the link is nobody's approval, and is never read."""
        state = f"approvals:1:{status.id}:{self.number + 1}{':' if caller else ''}{caller}"
        if not self.points_first(status):
            return InputRequiredResult(request_state=state)
        words = f"A reviewer has to approve: {status.summary}. If that is you, decide there."
        link = ElicitRequest(params=ElicitRequestURLParams(message=words, url=status.review_url))
        return InputRequiredResult(input_requests={"review": link}, request_state=state)


def is_ours(state: str | None) -> bool:
    """Whether it is a state of the gate's, and none that the tool itself gave out."""
    return _STATE.fullmatch(state or "") is not None


def security(settings: GateSettings) -> RequestStateSecurity:
    """The same in every process of an installation, and after a restart: by APPROVALS_STATE_KEY, else by the key that
    the installation has anyway. What its own key sealed before is still opened."""
    own = HKDF(SHA256(), 32, salt=None, info=b"mcp-approvals request state").derive(settings.server_key.encode())
    return RequestStateSecurity(keys=[*settings.state_keys, own], ttl=TTL)
