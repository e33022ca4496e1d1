"""How long a call is held, by what its client can bear (facts: MCP clients give up after 5, 60 or 300 seconds)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mcp_types.version import MODERN_PROTOCOL_VERSIONS

LONGEST_ROUND = 45.0
"""Seconds of one round: below the common 60 s time-out, which counts each round for itself."""

KNOWN_CLIENTS: Mapping[str, float] = {
    # by the name that the client gives itself, in lower case; none of these is known to wait longer for progress
    "claude-ai": 45.0,  # Claude Desktop: about 60 s, not configurable
    "cline": 45.0,  # 60 s unless its user configures more
    "cursor-vscode": 45.0,  # about 60 s by some reports, 300 s by others
    "mcp-inspector": 45.0,  # its web page: progress resets 300 s, and 60 s cap it all
}
"""Seconds for clients that ask for progress and give up before `Budgets.with_progress` all the same."""

COME_BACK = frozenset({"claude-code", "fastmcp"})
"""Clients of 2026-07-28 that are known to come back by themselves with a state, by their names; others raise an error
(whatever is made with the Python SDK's `ClientSession`, which calls itself `mcp`), or their names tell nothing."""


@dataclass(frozen=True)
class Budget:
    """Seconds to hold a call, and between two progress notifications (None: the client asked for none). With more than
    one round, the call is held as long again and again, each time that its client comes back."""

    hold: float
    beat: float | None = None
    rounds: int = 1


@dataclass(frozen=True)
class Budgets:
    """A gate's settings: below the common 60 s time-out without progress, below 5 minutes with."""

    plain: float = 45.0
    with_progress: float = 240.0
    beat: float = 8.0
    rounds: int = 8
    """Of clients that are known to come back; below the 10 after which they stop. 1: none is sent away."""
    by_client: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Seconds for clients by name, in lower case; they win over everything else but LONGEST_ROUND."""
    rounds_by_client: Mapping[str, int] = field(default_factory=dict, hash=False)
    """Rounds for clients by name, in lower case: whether one comes back, whatever is known of it here."""

    def for_call(self, *, protocol: str | None, wants_progress: bool, client: str = "") -> Budget:
        """The budget of one call. A client of 2026-07-28 that comes back is sent away with a state; nothing is known of
        how long the others wait."""
        name, beat = client.lower(), self.beat if wants_progress else None
        is_new = protocol in MODERN_PROTOCOL_VERSIONS
        rounds = self.rounds_by_client.get(name, self.rounds if name in COME_BACK else 1)
        if is_new and rounds > 1:
            return Budget(min(self.by_client.get(name, self.plain), LONGEST_ROUND), beat, rounds)
        if name in self.by_client:
            return Budget(self.by_client[name], beat)
        if is_new or not wants_progress:
            return Budget(self.plain, beat)
        return Budget(min(self.with_progress, KNOWN_CLIENTS.get(name, self.with_progress)), beat)
