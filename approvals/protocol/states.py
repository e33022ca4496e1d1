"""The life of a request, as a pure function over a table of moves.

pending ─┬─ denied
         ├─ expired
         ├─ withdrawn
         └─ approved ─┬─ lapsed
                      ├─ revoked
                      └─ executing ─┬─ succeeded
                                    ├─ stale           its effect was another by then, so nothing ran
                                    ├─ failed
                                    ├─ not_executed    the gate claimed, and knows it did not start
                                    └─ unknown ── succeeded | failed | not_executed | stale
"""

from dataclasses import dataclass
from enum import StrEnum

from approvals.errors import NotPossible
from approvals.instant import Instant


class State(StrEnum):
    """Where a request stands."""

    PENDING = "pending"
    APPROVED = "approved"
    EXECUTING = "executing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_EXECUTED = "not_executed"
    STALE = "stale"
    DENIED = "denied"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"
    REVOKED = "revoked"


OPEN = frozenset({State.PENDING, State.APPROVED, State.EXECUTING, State.UNKNOWN})
"""States in which identical calls share this request."""


class Move(StrEnum):
    """What can happen to a request."""

    APPROVE = "approve"
    DENY = "deny"
    EXPIRE = "expire"
    WITHDRAW = "withdraw"
    LAPSE = "lapse"
    REVOKE = "revoke"
    CLAIM = "claim"
    SUCCEED = "succeed"
    FAIL = "fail"
    SKIP = "skip"
    OUTDATE = "outdate"
    LOSE = "lose"


MOVES: dict[State, dict[Move, State]] = {
    State.PENDING: {
        Move.APPROVE: State.APPROVED,
        Move.DENY: State.DENIED,
        Move.EXPIRE: State.EXPIRED,
        Move.WITHDRAW: State.WITHDRAWN,
    },
    State.APPROVED: {
        Move.CLAIM: State.EXECUTING,
        Move.LAPSE: State.LAPSED,
        Move.REVOKE: State.REVOKED,
        Move.WITHDRAW: State.REVOKED,
    },
    State.EXECUTING: {
        Move.SUCCEED: State.SUCCEEDED,
        Move.FAIL: State.FAILED,
        Move.SKIP: State.NOT_EXECUTED,
        Move.OUTDATE: State.STALE,
        Move.LOSE: State.UNKNOWN,
    },
    State.UNKNOWN: {
        Move.SUCCEED: State.SUCCEEDED,
        Move.FAIL: State.FAILED,
        Move.SKIP: State.NOT_EXECUTED,
        Move.OUTDATE: State.STALE,
    },
}

OUTCOMES = {"succeeded": Move.SUCCEED, "failed": Move.FAIL, "not_executed": Move.SKIP, "stale": Move.OUTDATE}


def after(state: State, move: Move) -> State:
    """The state that `move` leads to. Raises NotPossible when the state has no such move."""
    try:
        return MOVES[state][move]
    except KeyError:
        raise NotPossible(
            f"The request is {state}, so it cannot {move}.", hint="Look at its present state.", state=state
        ) from None


@dataclass(frozen=True)
class Deadlines:
    """The instants at which time itself moves a request."""

    expires_at: Instant
    execute_by: Instant | None = None
    lease_until: Instant | None = None


def due(state: State, deadlines: Deadlines, now: Instant) -> Move | None:
    """The move that the passing of time has made by `now`, if any. Every compare-and-swap asks first, so a dead timer
    leaves nothing approvable or claimable."""
    by_state: dict[State, tuple[Instant | None, Move]] = {
        State.PENDING: (deadlines.expires_at, Move.EXPIRE),
        State.APPROVED: (deadlines.execute_by, Move.LAPSE),
        State.EXECUTING: (deadlines.lease_until, Move.LOSE),
    }
    at, move = by_state.get(state, (None, None))
    return move if at is not None and now >= at else None
