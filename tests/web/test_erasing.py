"""Erased contents as people, gates and operators see them."""

import re

import pytest
from typer.testing import CliRunner

from approvals.errors import NotFound, NotPossible
from approvals.service.identity.admins import Operator
from approvals_web.cli.commands import app
from approvals_web.operator.dispatch import carry_out
from approvals_web.operator.messages.requests import Erase
from approvals_web.operator.operation import Operation


async def test_an_erased_card_says_so_and_shows_the_facts(served, ann):
    scenario = served.scenario
    filed = scenario.file(scenario.filing(reason="the parcel is lost"))
    scenario.decide(filed.request_id, comment="fine by me")
    scenario.claim(filed.request_id)
    scenario.report(filed.request_id, result="refunded in full")
    erase(scenario, filed.request_id)
    for path in (f"/requests/{filed.request_id}", "/", "/history"):
        page = (await ann.http.get(path)).text
        assert "shop.refund_order (contents erased)" in page
        for words in ("12000", "parcel", "fine by me", "refunded in full", "1042"):
            assert words not in page
    page = (await ann.http.get(f"/requests/{filed.request_id}")).text
    assert "The contents of this request were erased on" in page
    assert re.search(r"Vote to approve</strong> <span[^>]*>by Ann .*?</span>\s*<blockquote>\(words erased\)", page)
    assert "Contents erased</strong>" in page
    assert scenario.row(filed.request_id).digest in page
    async with served.client() as gate:
        status = (await gate.get(f"/requests/{filed.request_id}")).json()
    assert (status["erased"], status["state"], status["result"]) == (True, "succeeded", None)


async def test_p7_an_erased_denial_is_still_a_denial(served):
    scenario = served.scenario
    filed = scenario.file()
    scenario.decide(filed.request_id, "deny", comment="use store credit")
    erase(scenario, filed.request_id)
    again = scenario.file()
    status = scenario.status(again.request_id)
    assert (again.request_id, status.state, status.comment, status.erased) == (filed.request_id, "denied", None, True)


def erase(scenario, request_id):
    scenario.write(lambda tx: carry_out(Operation(scenario.service, tx, Operator("ops")), Erase(request_id)))


def test_the_command_erases_one_ended_request_and_names_who_did_it(scenario, tmp_path, monkeypatch):
    monkeypatch.setenv("APPROVALS_SECRET_KEY", "a secret key for tests, long enough to count")
    filed = scenario.file()
    url = scenario.url
    early = CliRunner().invoke(app, ["erase", filed.request_id, "--database-url", url])
    assert isinstance(early.exception, NotPossible)
    scenario.withdraw(filed.request_id)
    done = CliRunner().invoke(app, ["erase", filed.request_id, "--database-url", url])
    assert done.stdout == f"The contents of {filed.request_id} are erased.\n"
    assert scenario.row(filed.request_id).erased_at is not None
    connection = scenario.service.database.connect()
    actor = connection.execute("SELECT actor FROM audit_event WHERE kind = 'request.erased'").fetchone()[0]
    connection.close()
    assert actor.startswith("cli:")
    with pytest.raises(NotFound):
        erase(scenario, "01a3185c-5000-7000-8bbb-246bea5d6ff3")
