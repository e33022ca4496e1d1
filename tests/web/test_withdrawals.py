"""Taking a request back: an admin from its page, an operator from the command line; nobody else."""

from getpass import getuser

import pytest
from typer.testing import CliRunner

from approvals.errors import Forbidden, NotPossible
from approvals_web.cli.commands import app

FORM = 'action="/requests/{}/withdrawal"'


@pytest.mark.parametrize(("state", "then"), [("pending", "withdrawn"), ("approved", "revoked")])
async def test_p1_an_admin_withdraws_a_request_from_its_page_and_the_agent_is_told_why(served, visitors, state, then):
    scenario = served.scenario
    scenario.add_user("vera", "admin")
    vera = await visitors.signed_in("vera")
    scenario.add_user("rex", "reviewer")
    filed = scenario.file()
    if state == "approved":
        scenario.decide(filed.request_id)
    form = FORM.format(filed.request_id)
    rex = await visitors.signed_in("rex")
    assert form not in (await rex.http.get(f"/requests/{filed.request_id}")).text
    path = f"/requests/{filed.request_id}/withdrawal"
    assert (await rex.http.post(path, data={"comment": ""})).status_code == 403
    assert form in (await vera.http.get(f"/requests/{filed.request_id}")).text
    done = await vera.http.post(path, data={"comment": " wrong customer "})
    assert (done.status_code, done.headers["location"]) == (303, f"/requests/{filed.request_id}")
    status = scenario.status(filed.request_id)
    assert (status.state, status.ended_because) == (then, "Vera took it back: wrong customer")
    again = await vera.http.post(path, data={"comment": ""})
    assert again.status_code == 409
    assert form not in again.text
    assert scenario.claim(filed.request_id) is not None


def test_p1_who_is_no_admin_withdraws_nothing_by_any_way(scenario):
    scenario.add_user("rex", "reviewer")
    filed, rex = scenario.file(), scenario.person("rex")
    with pytest.raises(Forbidden):
        scenario.write(lambda tx: scenario.service.withdrawals.by_admin(tx, filed.request_id, rex, ""))
    assert scenario.status(filed.request_id).state == "pending"


def test_an_operator_withdraws_from_the_command_line(scenario, monkeypatch):
    monkeypatch.setenv("APPROVALS_SECRET_KEY", "a secret key for tests, long enough to count")
    filed = scenario.file()
    asked = ["withdraw", filed.request_id, "--reason", "wrong customer", "--database-url", scenario.url]
    done = CliRunner().invoke(app, asked)
    assert done.stdout == f"{filed.request_id} is withdrawn.\n"
    status = scenario.status(filed.request_id)
    assert (status.state, status.ended_because) == (
        "withdrawn",
        f"the operator {getuser()} took it back: wrong customer",
    )
    late = CliRunner().invoke(app, asked)
    assert isinstance(late.exception, NotPossible)
