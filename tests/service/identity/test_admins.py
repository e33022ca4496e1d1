"""Who administers: the role is asked for inside each act, whichever way it was asked for."""

import inspect
from dataclasses import replace

import pytest

from approvals.errors import Forbidden
from approvals.service.controls import audiences, rollouts
from approvals.service.identity import admins, agents, roles, servers, sign_in_links
from approvals.service.identity.admins import Operator, require_admin
from approvals.service.identity.users import require_user
from approvals.service.requests.freezing import Freezes
from approvals.service.requests.withdrawals import Withdrawals
from approvals.service.retention.erasure import Erasures
from approvals.service.tools.offers import Offers

MODULES = (agents, audiences, roles, rollouts, servers, sign_in_links)
PARTS = {Erasures: "erasures", Freezes: "freezes", Offers: "offers", Withdrawals: "withdrawals"}
"""Of the service."""


def acts():
    """Every function that takes an admin."""
    for place in (*MODULES, *PARTS):
        for name, function in inspect.getmembers(place, inspect.isfunction):
            given = inspect.signature(function).parameters.values()
            if function is not require_admin and any(one.annotation == admins.Admin for one in given):
                yield pytest.param(place, function, id=f"{place.__name__.rpartition('.')[2]}.{name}")


@pytest.mark.parametrize(("place", "act"), list(acts()))
def test_p1_every_act_of_an_admin_refuses_whoever_is_none(scenario, place, act):
    scenario.add_user("rex", "reviewer")
    filed = scenario.file()
    row, bob = scenario.row(filed.request_id), scenario.read(lambda reader: require_user(reader, "bob"))
    given = {
        "agent": scenario.read(lambda reader: servers.agent_named(reader, "scout")),
        "allowed": True,
        "by": scenario.person("rex"),
        "installation": scenario.installation(),
        "kind": "installation",
        "mode": "refuse",
        "name": "dora",
        "principal": scenario.installation(),
        "purpose": "invite",
        "request_id": filed.request_id,
        "roles": "admin",
        "scope": "all",
        "server": row.server,
        "tool_hash": row.tool_hash,
        "user": bob,
        "user_id": bob.id,
    }
    wanted = [one for one in inspect.signature(act).parameters.values() if one.default is one.empty]
    named = {one.name: given.get(one.name, "") for one in wanted if one.name not in {"self", "tx"}}
    first = [getattr(scenario.service, PARTS[place])] if place in PARTS else []
    with pytest.raises(Forbidden):
        scenario.write(lambda tx: act(*first, tx, **named))


def test_there_are_as_many_acts_of_admins_as_one_thinks():
    assert len(list(acts())) >= 23


def test_p1_a_role_taken_away_after_the_page_was_opened_does_not_act_any_more(scenario):
    bob = scenario.person("bob")
    scenario.read(lambda reader: require_admin(reader, bob))
    scenario.write(lambda tx: roles.set_roles(tx, require_user(tx, "bob"), "reviewer", Operator("ops")))
    with pytest.raises(Forbidden):
        scenario.read(lambda reader: require_admin(reader, bob))


def test_p1_a_role_given_since_does_not_widen_what_somebody_came_with(scenario):
    came = replace(scenario.person("bob"), roles=frozenset({"reviewer"}))
    with pytest.raises(Forbidden):
        scenario.read(lambda reader: require_admin(reader, came))
