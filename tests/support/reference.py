"""The promises as a plain model: what each move of a call must answer, and the state that it leaves. No SQL, no I/O.

Instants are whole microseconds; a request is as old as the model's time says, and what time moved is looked up when
somebody asks, as the product does.
"""

from dataclasses import dataclass, field

TTL, EXECUTE_WITHIN, LEASE, MARGIN, COOL_DOWN, REPLAY = 600, 60, 30, 60, 90, 120
SECOND = 1_000_000
OPEN = {"pending", "approved", "executing", "unknown"}
TABLE = {
    "pending": {"approved", "denied", "expired", "withdrawn"},
    "approved": {"executing", "lapsed", "revoked"},
    "executing": {"succeeded", "failed", "not_executed", "stale", "unknown"},
    "unknown": {"succeeded", "failed", "not_executed", "stale"},
}
DONE = ("done",)


def quorum_of(call: int) -> int:
    return 2 if call % 2 == 0 else 1


@dataclass
class Ask:
    """One request."""

    agent: str
    call: int
    tool: int
    created: int
    state: str = "pending"
    version: int = 1
    votes: dict[str, str] = field(default_factory=dict)
    execute_by: int | None = None
    claim: str | None = None
    lease_until: int = 0
    outcome: str | None = None
    ended: int | None = None
    by_policy: bool = False
    effect: int = 0
    """What it would do, as it is shown."""
    amount: int = 1
    """As it stands: 1 is what the agent asked."""
    id: str | None = None

    def due(self, now: int) -> str | None:
        """Where time has moved it by now."""
        at, to = {
            "pending": (self.created + TTL * SECOND, "expired"),
            "approved": (self.execute_by, "lapsed"),
            "executing": (self.lease_until, "unknown"),
        }.get(self.state, (None, ""))
        return to if at is not None and now >= at else None

    def seen(self, now: int) -> str:
        return self.due(now) or self.state

    def to(self, state: str, now: int) -> None:
        assert state in TABLE[self.state], f"{self.state} to {state}"
        self.state = state
        if state not in OPEN:
            self.ended = now

    @property
    def is_edited(self) -> bool:
        return self.amount != 1

    def revise(self, **now: int) -> None:
        """Another content: the votes before it are void."""
        self.version, self.votes = self.version + 1, {}
        for name, value in now.items():
            setattr(self, name, value)

    def take(self, now: int) -> None:
        """On record what time has moved."""
        if (to := self.due(now)) is not None:
            self.to(to, now)


@dataclass
class World:
    """Everything that decides what may happen."""

    now: int
    agents: set[str]
    reviewers: set[str]
    serves: dict[str, int]
    """Which definition of the tool each gate process serves."""
    refused: bool = False
    effect: int = 0
    """What any call would do now."""
    asks: list[Ask] = field(default_factory=list)

    def file(
        self, session: str, agent: str, call: int, tool: int, effect: int, *, asserted: bool
    ) -> tuple[object, ...]:
        if self.serves[session] != tool:
            return ("Stale",)
        if not asserted or agent not in self.agents:
            return ("Unauthenticated",)
        twins = [ask for ask in self.asks if (ask.agent, ask.call) == (agent, call)]
        before = twins[-1] if twins else None
        if before is not None and before.state in OPEN:
            before.take(self.now)
            if before.state == "pending":
                self._look(before, tool, effect)
                return ("filed", before, False, False)
            if before.state == "approved" and before.tool != tool:
                before.to("revoked", self.now)
            if before.state in OPEN:
                return ("filed", before, False, False)
        if before is not None and before.ended is not None:
            age = self.now - before.ended
            if before.state in {"succeeded", "failed"} and age < REPLAY * SECOND:
                return ("filed", before, False, True)
            if before.state == "denied" and age < COOL_DOWN * SECOND:
                return ("filed", before, False, False)
        ask = Ask(agent, call, tool, self.now, effect=effect)
        self.asks.append(ask)
        if self.refused:
            ask.to("denied", self.now)
        return ("filed", ask, True, False)

    def _look(self, ask: Ask, tool: int, effect: int) -> None:
        """What the same call would do by now."""
        if ask.tool != tool:
            ask.revise(tool=tool, effect=effect, amount=1)
        elif not ask.is_edited and ask.effect != effect:
            ask.revise(effect=effect)
        else:
            return
        if self.refused:
            ask.to("denied", self.now)

    def refresh(self, number: int, session: str, tool: int, effect: int, *, asserted: bool) -> tuple[object, ...]:
        ask = self.asks[number]
        if self.serves[session] != tool:
            return ("Stale",)
        if not asserted or ask.agent not in self.agents:
            return ("Unauthenticated",)
        if ask.seen(self.now) != "pending" or ask.is_edited:
            return ("NotPossible",)
        self._look(ask, tool, effect)
        return ("filed", ask, False, False)

    def edit(self, number: int, who: str, session: str, amount: int, version: int, effect: int) -> tuple[object, ...]:
        """A person changes it, and its gate answers at once; what nothing can be made of is put on record alone."""
        ask = self.asks[number]
        if who not in self.reviewers:
            return ("Forbidden",)
        if ask.seen(self.now) != "pending":
            return ("NotPossible",)
        if version != ask.version:
            return ("Stale",)
        if amount == ask.amount:
            return ("Invalid",)
        if self.serves[session] == ask.tool and ask.agent in self.agents and not self.refused:
            ask.revise(amount=amount, effect=effect)
        return DONE

    def decide(self, number: int, who: str, verdict: str, version: int) -> tuple[object, ...]:
        ask = self.asks[number]
        if who not in self.reviewers:
            return ("Forbidden",)
        if ask.seen(self.now) != "pending":
            return ("NotPossible",)
        if version != ask.version:
            return ("Stale",)
        if who in ask.votes:
            return ("Conflict",)
        ask.votes[who] = verdict
        if verdict == "deny":
            ask.to("denied", self.now)
        elif len(set(ask.votes) & self.reviewers) >= quorum_of(ask.call):  # who left meanwhile counts no more
            ask.execute_by = min(ask.created + TTL * SECOND, self.now + EXECUTE_WITHIN * SECOND)
            ask.to("approved", self.now)
        return DONE

    def withdraw(self, number: int, *, own: bool) -> tuple[object, ...]:
        ask = self.asks[number]
        if not own:
            return ("NotFound",)
        if ask.seen(self.now) not in {"pending", "approved"}:
            return ("NotPossible",)
        ask.to("withdrawn" if ask.state == "pending" else "revoked", self.now)
        return DONE

    def claim(self, number: int, session: str, claim: str, tool: int, version: int) -> tuple[object, ...]:
        ask = self.asks[number]
        if ask.claim == claim:
            return DONE
        ask.take(self.now)
        if ask.state != "approved":
            return ("NotPossible",)
        if (tool, version) != (ask.tool, ask.version):
            return ("Stale",)
        refusal = self._refusal(ask, session)
        if refusal is not None:
            ask.to("revoked", self.now)
            return (refusal,)
        ask.to("executing", self.now)
        ask.claim, ask.lease_until = claim, self.now + LEASE * SECOND
        return DONE

    def renew(self, number: int, claim: str) -> tuple[object, ...]:
        ask = self.asks[number]
        if ask.claim is None or ask.claim != claim:
            return ("NotFound",)
        if ask.seen(self.now) != "executing":
            return ("NotPossible",)
        ask.lease_until = self.now + LEASE * SECOND
        return DONE

    def report(self, number: int, claim: str, outcome: str) -> tuple[object, ...]:
        ask = self.asks[number]
        if ask.claim is None or ask.claim != claim:
            return ("NotFound",)
        ask.take(self.now)
        if ask.outcome is None:
            ask.outcome = outcome
            ask.to(outcome, self.now)
        return DONE

    def settle(self, number: int, who: str, truth: str) -> tuple[object, ...]:
        ask = self.asks[number]
        if who not in self.reviewers:
            return ("Forbidden",)
        early = self.now < ask.lease_until + MARGIN * SECOND
        if ask.seen(self.now) != "unknown" or (truth == "not_executed" and early):
            return ("NotPossible",)
        ask.take(self.now)
        ask.outcome = truth
        ask.to(truth, self.now)
        return DONE

    def sweep(self) -> tuple[object, ...]:
        for ask in self.asks:
            ask.take(self.now)
        return DONE

    def _refusal(self, ask: Ask, session: str) -> str | None:
        if self.serves[session] != ask.tool:
            return "Stale"
        if ask.agent not in self.agents:
            return "Unauthenticated"
        if len(set(ask.votes) & self.reviewers) < quorum_of(ask.call) or self.refused:
            return "NotPossible"
        return None
