"""A test request goes the whole way of a real one, and does nothing."""

from approvals.protocol.states import State


async def test_a_test_request_is_approved_runs_and_says_so(served, ann, until):
    assert "Send a test request" in (await ann.http.get("/")).text
    sent = await ann.http.post("/test-requests")
    request_id = sent.headers["location"].rpartition("/")[2]
    card = (await ann.http.get(sent.headers["location"])).text
    assert "Greet Ann (a test: nothing else happens)" in card
    assert "Send a test request" not in (await ann.http.get("/")).text
    await ann.decide(request_id)
    await until(lambda: served.scenario.status(request_id).state is State.SUCCEEDED)
    assert "Nothing else happened" in (await ann.http.get(f"/requests/{request_id}")).text
    await until(lambda: "session.closed" in served.scenario.events("approvals-test"))


async def test_a_denied_test_request_runs_nothing_and_another_is_a_new_one(served, ann, until):
    first = (await ann.http.post("/test-requests")).headers["location"].rpartition("/")[2]
    await ann.decide(first, "deny", comment="only a test")
    await until(lambda: "session.closed" in served.scenario.events("approvals-test"))
    assert served.scenario.status(first).state is State.DENIED
    served.scenario.clock.forward(1)
    second = (await ann.http.post("/test-requests")).headers["location"].rpartition("/")[2]
    assert second != first
    assert len(served.scenario.rows("SELECT 1 FROM installation WHERE server = 'approvals-test'")) == 1


async def test_only_admins_are_offered_one(served, visitors):
    served.scenario.add_user("rita", roles="reviewer")
    rita = await visitors.signed_in("rita")
    assert "Send a test request" not in (await rita.http.get("/")).text
    assert (await rita.http.post("/test-requests")).status_code == 403
