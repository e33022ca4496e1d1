"""What the shop's writes would do, looked up in its database: the cards show it, and it is approved with the call."""

from approvals import Fact, Preview, View
from approvals_server.shop.data import Shop, deletion_basis, refund_basis

SHOWN = 20
"""Orders in the table of what goes."""


def refund(shop: Shop, order_id: int, amount_cents: int) -> Preview:
    """Of a refund. Raises ShopError for one that would fail."""
    order = shop.refundable(order_id, amount_cents)
    left = order["total_cents"] - order["refunded_cents"] - amount_cents
    return Preview(
        effect=f"Refunds {_usd(amount_cents)} to {order['customer']} for order {order_id} ({order['item']})",
        object=f"Order {order_id}",
        object_id=str(order_id),
        facts=(
            Fact(name="amount", label="Refund", value=amount_cents, currency="USD"),
            Fact(name="left", label="Left to refund afterwards", value=left, currency="USD"),
            Fact(name="total", label="Order total", value=order["total_cents"], currency="USD"),
            Fact(name="customer", value=order["customer"], note=f"customer {order['customer_id']}"),
            Fact(name="item", value=order["item"], note=f"ordered on {order['ordered_on']}, {order['status']}"),
        ),
        reversible="no",
        until="The money is with the customer.",
        basis=refund_basis(order),
    )


def deletion(shop: Shop, customer_id: int) -> Preview:
    """Of a customer's deletion. Raises ShopError for one that would fail."""
    going = shop.deletable(customer_id)
    count = len(going.orders)
    orders = f" and {count} cancelled order{'s' if count > 1 else ''}" if count else ""
    rows = tuple(
        (order["id"], order["item"], _usd(order["total_cents"]), order["ordered_on"]) for order in going.orders[:SHOWN]
    )
    return Preview(
        effect=f"Deletes the customer {going.name}{orders} for good",
        object=going.name,
        object_id=str(customer_id),
        facts=(
            Fact(name="email", label="E-mail address", value=going.email),
            Fact(name="since", label="Customer since", value=going.since),
            Fact(name="orders", label="Cancelled orders that go, too", value=count),
        ),
        before=View(kind="table", columns=("Order", "Item", "Total", "Ordered on"), rows=rows) if rows else None,
        reversible="no",
        until="Nothing keeps a copy.",
        basis=deletion_basis(going),
    )


def _usd(cents: int) -> str:
    return f"${cents / 100:,.2f}"
