"""How long a call is held, by what its client can bear (facts: MCP clients give up after 5, 60 or 300 seconds)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """Seconds to hold a call, and between two progress notifications (None: the client asked for none)."""

    hold: float
    beat: float | None = None


@dataclass(frozen=True)
class Budgets:
    """A gate's settings: below the common 60 s time-out without progress, below 5 minutes with."""

    plain: float = 45.0
    with_progress: float = 240.0
    beat: float = 8.0

    def for_call(self, *, protocol: str | None, wants_progress: bool) -> Budget:
        """The budget of one call. `protocol` will tell 2026-07-28 clients apart, which can be sent away with a state
        and come back (InputRequiredResult); until then they are held like the others."""
        if wants_progress:
            return Budget(self.with_progress, self.beat)
        return Budget(self.plain)
