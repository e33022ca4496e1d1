"""For generated calls on the shop, the effect that a preview reports is the effect found in the database afterwards."""

import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from approvals_server.shop import previews
from approvals_server.shop.data import CUSTOMERS, Shop, ShopError

refunds = st.tuples(st.just("refund"), st.integers(1, 40), st.integers(1, 100_000))
whole = st.tuples(st.just("whole"), st.integers(1, 40), st.just(0))
deletions = st.tuples(st.just("delete"), st.integers(CUSTOMERS - 12, CUSTOMERS + 1), st.just(0))


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """One database for all calls: each finds it as those before left it. Some customers have cancelled orders alone."""
    path = tmp_path_factory.mktemp("shop") / "shop.db"
    shop = Shop(f"sqlite:///{path}")
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE orders SET status = 'cancelled' WHERE customer_id BETWEEN 389 AND 394")
    connection.close()
    return shop, path


def world(path):
    connection = sqlite3.connect(path)
    try:
        left = "total_cents - COALESCE((SELECT SUM(amount_cents) FROM refund WHERE order_id = o.id), 0)"
        orders = connection.execute(f"SELECT id, customer_id, {left} FROM orders o").fetchall()
        customers = dict(connection.execute("SELECT id, name FROM customer").fetchall())
    finally:
        connection.close()
    return {number: (customer, cents) for number, customer, cents in orders}, customers


@pytest.mark.slow
@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(call=refunds | whole | deletions)
def test_p2_the_effect_reported_is_the_effect_found(shop, call):
    shop, path = shop
    kind, number, cents = call
    orders, customers = world(path)
    if kind == "whole":
        cents = max(1, orders.get(number, (0, 1))[1])
    look = (
        (lambda: previews.deletion(shop, number)) if kind == "delete" else lambda: previews.refund(shop, number, cents)
    )
    act = (
        (lambda basis: shop.delete_customer(number, basis))
        if kind == "delete"
        else (lambda basis: shop.refund(number, cents, None, basis))
    )
    try:
        foreseen = look()
    except ShopError as error:
        with pytest.raises(type(error)) as found:
            act(None)
        assert str(found.value) == str(error)
        assert world(path) == (orders, customers), "what would fail changes nothing"
        return
    act(foreseen.basis)
    now, people = world(path)
    facts = {fact.name: fact.value for fact in foreseen.facts}
    if kind == "delete":
        gone = {key for key in orders if key not in now}
        assert len(gone) == facts["orders"]
        assert {orders[key][0] for key in gone} <= {number}
        assert set(customers) - set(people) == {number}
        assert customers[number] == foreseen.object
    else:
        customer, left = now[number]
        assert left == facts["left"]
        assert orders[number][1] - left == facts["amount"] == cents
        assert people[customer] == facts["customer"]
        assert {key: value for key, value in now.items() if key != number} == {
            key: value for key, value in orders.items() if key != number
        }
