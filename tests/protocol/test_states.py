"""The table of moves, whole."""

import pytest

from approvals.errors import NotPossible
from approvals.protocol.states import (
    MOVES,
    OPEN,
    Deadlines,
    Move,
    State,
    after,
    due,
)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("move", Move)
def test_p1_a_move_that_the_table_lacks_is_refused(state, move):
    if move in MOVES.get(state, {}):
        assert after(state, move) is MOVES[state][move]
    else:
        with pytest.raises(NotPossible):
            after(state, move)


def test_p3_nothing_leads_back_to_a_state_that_can_be_claimed():
    reached_by = {(state, move) for state, moves in MOVES.items() for move, to in moves.items() if to is State.APPROVED}
    assert reached_by == {(State.PENDING, Move.APPROVE)}


def test_states_that_end_have_no_moves():
    assert set(MOVES) == OPEN


def test_p5_time_moves_at_the_instant_itself():
    deadlines = Deadlines(expires_at=10, execute_by=20, lease_until=30)
    assert [due(State.PENDING, deadlines, now) for now in (9, 10)] == [None, Move.EXPIRE]
    assert [due(State.APPROVED, deadlines, now) for now in (19, 20)] == [None, Move.LAPSE]
    assert [due(State.EXECUTING, deadlines, now) for now in (29, 30)] == [None, Move.LOSE]
    assert due(State.SUCCEEDED, deadlines, 99) is None
