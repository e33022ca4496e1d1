"""Failed sign-ins are on record, and cannot fill it."""

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.service.identity import failed_sign_ins, users
from approvals.service.identity.failed_sign_ins import EACH, HOUR, is_recorded
from approvals_web.auth import passwords

PASSWORD = "correct horse battery"


def failures(scenario):
    """Actor, subject and facts of each that was recorded."""
    rows = scenario.rows(
        "SELECT e.actor, e.subject, p.body FROM audit_event e JOIN audit_payload p ON p.payload_hash = e.payload_hash"
        " WHERE e.kind = 'user.sign_in_failed' ORDER BY e.id"
    )
    return [(actor, subject, json.loads(body)) for actor, subject, body in rows]


@pytest.fixture
async def carl(served):
    """The id of somebody with a password."""
    known = await passwords.hashed(PASSWORD)
    return await served.scenario.service.write(
        lambda tx: users.add(tx, "test", subject="carl", name="Carl", roles="reviewer", password_hash=known)
    )


async def test_p8_a_failed_sign_in_is_on_record_without_what_was_typed(served, visitors, carl):
    scenario, stranger = served.scenario, visitors.stranger()
    tries = [("carl", "not it, I fear"), ("hunter2-typed-as-name", PASSWORD), ("carl", PASSWORD)]
    codes = [(await stranger.http.post("/login", data={"name": n, "password": p})).status_code for n, p in tries]
    assert codes == [401, 401, 303]
    (one, other) = failures(scenario)
    assert one[:2] == ("anonymous", f"user:{carl}")
    assert other[:2] == ("anonymous", "sign-in:password")
    assert (one[2]["way"], one[2]["address"], one[2]["within_an_hour"]) == ("password", "127.0.0.1", 1)
    assert one[2]["name"] != other[2]["name"]
    for typed in ("carl", "not it", "hunter2", PASSWORD):
        assert typed not in json.dumps([one, other])


async def test_p8_links_and_identity_providers_that_let_nobody_in_are_on_record(served, visitors):
    stranger = visitors.stranger()
    assert (await stranger.http.post("/setup", data={"t": "x" * 43, "password": PASSWORD})).status_code == 401
    served.app.state.provider = SimpleNamespace(client=SimpleNamespace(shown="the provider"))
    assert (await stranger.http.get("/login/oidc/callback?state=x&code=y")).status_code == 401
    assert [subject for _, subject, _ in failures(served.scenario)] == ["sign-in:link", "sign-in:oidc"]


def test_p8_guessing_does_not_fill_the_record(scenario):
    record = failed_sign_ins.record

    def guess(times, name=""):
        scenario.write(
            lambda tx: [
                record(tx, scenario.service.keyring, "password", "192.0.2.1", name or f"name{i}") for i in range(times)
            ]
        )

    guess(1000)
    assert [facts["within_an_hour"] for _, _, facts in failures(scenario)] == [
        *range(1, EACH + 1),
        40,
        80,
        160,
        320,
        640,
    ]
    guess(1, "ann")  # whose own count begins with one
    assert failures(scenario)[-1][2]["within_an_hour"] == 1
    scenario.clock.forward(HOUR // 1_000_000)
    guess(1)
    assert failures(scenario)[-1][1:] == ("sign-in:password", failures(scenario)[-1][2])
    assert failures(scenario)[-1][2]["within_an_hour"] == 1


@given(st.integers(1, 10**9))
def test_p8_of_any_number_of_guesses_a_few_dozen_are_recorded(number):
    doublings = [EACH << power for power in range(31)]
    assert is_recorded(number) is (number <= EACH or number in doublings)
