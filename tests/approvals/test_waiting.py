"""How long a call is held follows from what its client can bear, and from nothing else."""

import pytest

from approvals.gate.budgets import (
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
def test_a_new_client_is_held_in_rounds_each_below_its_time_out(wants_progress):
    budget = Budgets().for_call(protocol=NEW, wants_progress=wants_progress)
    assert budget == Budget(45.0, 8.0 if wants_progress else None, 8)
    long = Budgets(plain=300.0).for_call(protocol=NEW, wants_progress=wants_progress)
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
    assert budgets.for_call(protocol=NEW, wants_progress=False, client="quick") == Budget(4.0, None, 8)
    assert budgets.for_call(protocol=NEW, wants_progress=False, client="cline").hold == LONGEST_ROUND


def test_one_round_holds_a_new_client_like_an_older_one():
    assert Budgets(rounds=1).for_call(protocol=NEW, wants_progress=True) == Budget(240.0, 8.0)
