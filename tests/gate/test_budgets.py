"""How long a call is held follows from what its client can bear, and from nothing else."""

import pytest

from approvals.gate.budgets import (
    COME_BACK,
    KNOWN_CLIENTS,
    LONGEST_ROUND,
    Budget,
    Budgets,
)

OLD = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", None]
NEW = "2026-07-28"


@pytest.mark.parametrize("protocol", OLD)
def test_an_older_client_is_held_once_below_its_time_out(protocol):
    budgets = Budgets()
    assert budgets.for_call(protocol=protocol, wants_progress=False) == Budget(45.0)
    assert budgets.for_call(protocol=protocol, wants_progress=True) == Budget(240.0, 8.0)
    assert 5.0 <= budgets.beat <= 10.0


@pytest.mark.parametrize("wants_progress", [False, True])
@pytest.mark.parametrize("name", sorted(COME_BACK))
def test_a_new_client_that_comes_back_is_held_in_rounds_each_below_its_time_out(name, wants_progress):
    call = {"protocol": NEW, "wants_progress": wants_progress}
    assert Budgets().for_call(client=name.upper(), **call) == Budget(45.0, 8.0 if wants_progress else None, 8)
    assert Budgets().for_call(**call) == Budget(45.0, 8.0 if wants_progress else None)
    long = Budgets(plain=300.0).for_call(client=name, **call)
    assert long.hold == LONGEST_ROUND


@pytest.mark.parametrize("name", KNOWN_CLIENTS)
def test_clients_that_progress_does_not_help_are_held_below_their_time_out(name):
    for given in (name, name.upper()):
        assert Budgets().for_call(protocol="2025-11-25", wants_progress=True, client=given) == Budget(45.0, 8.0)
    assert Budgets(with_progress=10.0).for_call(protocol=None, wants_progress=True, client=name).hold == 10.0


def test_a_setting_for_one_client_wins_over_what_is_known():
    budgets = Budgets(by_client={"cline": 500.0, "quick": 4.0})
    assert budgets.for_call(protocol="2025-11-25", wants_progress=True, client="Cline") == Budget(500.0, 8.0)
    assert budgets.for_call(protocol="2025-11-25", wants_progress=False, client="Quick") == Budget(4.0)
    assert budgets.for_call(protocol=NEW, wants_progress=False, client="quick") == Budget(4.0)
    known = Budgets(by_client={"fastmcp": 500.0, "quick": 500.0}, rounds_by_client={"fastmcp": 1, "quick": 3})
    assert known.for_call(protocol=NEW, wants_progress=False, client="fastmcp") == Budget(500.0)
    assert known.for_call(protocol=NEW, wants_progress=False, client="Quick") == Budget(LONGEST_ROUND, None, 3)


def test_with_one_round_nobody_is_sent_away():
    for name in COME_BACK:
        assert Budgets(rounds=1).for_call(protocol=NEW, wants_progress=True, client=name) == Budget(45.0, 8.0)
