"""Invitations: who may still give one, who sees what is open, and who takes it back."""

import re

import pytest
from typer.testing import CliRunner

from approvals.errors import Invalid, NotFound, Unauthenticated
from approvals.service.identity import roles as user_roles
from approvals.service.identity import sign_in_links
from approvals.service.identity.admins import Operator
from approvals.service.identity.users import require_user
from approvals_web.cli.commands import app
from approvals_web.operator.dispatch import carry_out
from approvals_web.operator.messages.users import Invite
from approvals_web.operator.operation import Operation

PASSWORD = "correct horse battery"


def user_of(scenario, name):
    return scenario.read(lambda reader: require_user(reader, name))


def invite(scenario, name="eve", by="ann", roles="admin reviewer"):
    maker = scenario.person(by) if by else Operator("root")
    return scenario.write(lambda tx: sign_in_links.make(tx, maker, "invite", name=name, roles=roles))


def spend(scenario, token):
    return scenario.write(lambda tx: sign_in_links.spend(tx, token))


def demoted(scenario):
    scenario.write(lambda tx: user_roles.set_roles(tx, user_of(scenario, "ann"), "reviewer", Operator("test")))


def disabled(scenario):
    scenario.write(lambda tx: user_roles.disable(tx, user_of(scenario, "ann").id, Operator("test")))


@pytest.mark.parametrize("end", [demoted, disabled])
async def test_p1_an_invitation_ends_with_its_makers_right_to_make_it(served, visitors, end):
    scenario = served.scenario
    token = invite(scenario)
    end(scenario)
    stranger = visitors.stranger()
    for answer in (
        await stranger.http.get(f"/setup?t={token}"),
        await stranger.http.post("/setup", data={"t": token, "password": PASSWORD}),
    ):
        assert answer.status_code == 401
        assert "whoever made it is no admin any more" in answer.text
    assert scenario.rows("SELECT COUNT(*) FROM user_account WHERE subject = 'eve'") == [(0,)]


def test_an_operators_invitation_needs_no_admin(scenario):
    token = invite(scenario, by="")
    assert spend(scenario, token).made_by == "cli:root"


async def test_p1_open_invitations_are_listed_and_an_admin_takes_one_back(served, visitors, ann):
    scenario = served.scenario
    scenario.add_user("aud", "auditor")
    tokens = [invite(scenario), invite(scenario, by=""), invite(scenario, "dora", by="bob", roles="viewer")]
    page = (await ann.http.get("/users")).text
    assert re.findall(r'name="name" value="(\w+)"', page).count("eve") == 2
    assert "cli:root" in page
    looking = (await (await visitors.signed_in("aud")).http.get("/users")).text
    assert "Open invitations" in looking
    assert "Take back" not in looking
    answer = await ann.http.post("/users/invitations/revocation", data={"name": "eve"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/users")
    for token in tokens[:2]:
        with pytest.raises(Unauthenticated):
            spend(scenario, token)
    assert spend(scenario, tokens[2]).name == "dora"
    assert scenario.events("user:eve") == ["link.made", "link.made", "link.revoked"]
    assert "An open invitation was taken back" in (await ann.http.get("/notices")).text
    again = await ann.http.post("/users/invitations/revocation", data={"name": "eve"})
    assert again.status_code == 404
    assert "There is no open invitation" in again.text
    assert "Open invitations" not in (await ann.http.get("/users")).text


async def test_whoever_no_longer_counts_is_said_beside_their_invitation(served, visitors):
    scenario = served.scenario
    invite(scenario)
    demoted(scenario)
    bob = await visitors.signed_in("bob")
    assert "no longer an admin, so the link does not work" in (await bob.http.get("/users")).text


def test_spent_and_old_invitations_are_not_open(scenario):
    spend(scenario, invite(scenario, "carl"))
    invite(scenario, "old")
    scenario.clock.forward(sign_in_links.INVITATION_LIFE)
    invite(scenario)
    assert [row.name for row in scenario.read(sign_in_links.invitations)] == ["eve"]
    with pytest.raises(NotFound):
        scenario.write(lambda tx: sign_in_links.revoke(tx, Operator("test"), "old"))


def test_the_command_line_lists_and_takes_back(scenario, monkeypatch):
    invite(scenario)
    monkeypatch.setenv("APPROVALS_SECRET_KEY", "a secret key for tests, long enough to count")
    run = CliRunner().invoke
    scenario.service.database.stop()
    listed = run(app, ["user", "invitations", "--database-url", scenario.url])
    assert listed.exit_code == 0, listed.output
    assert "eve" in listed.output
    assert run(app, ["user", "uninvite", "eve", "--database-url", scenario.url]).exit_code == 0
    assert "None yet." in run(app, ["user", "invitations", "--database-url", scenario.url]).output


@pytest.mark.parametrize("name", ["ann", "somebody-new"])
def test_p1_a_role_that_there_is_not_is_refused_whoever_is_invited(scenario, name):
    with pytest.raises(Invalid):
        scenario.write(lambda tx: carry_out(Operation(scenario.service, tx, Operator("root")), Invite(name, "emperor")))
