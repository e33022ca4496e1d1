"""A shop's MCP server: the template to start from. Reads run at once; refunds and deletions wait for a person."""

from collections.abc import Callable
from typing import Annotated, Literal, TypeVar

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field

from approvals import Approval, GatedServer, Preview, Stale, current_request_id
from approvals_server.annotations import DESTROYS, READS
from approvals_server.approved_effect import approved_basis
from approvals_server.paging import NEXT, After, Limit
from approvals_server.shop import previews
from approvals_server.shop.data import Changed, Shop, ShopError

T = TypeVar("T")

OrderId = Annotated[int, Field(ge=1, description="The order's number, e.g. 1042.")]
CustomerId = Annotated[int, Field(ge=1, description="The customer's number.")]
Cents = Annotated[int, Field(ge=1, le=100_000_000, description="Money in whole cents: 12000 is $120.00.")]
Status = Literal["paid", "shipped", "cancelled", "refunded"]


class Order(BaseModel):
    """An order. Money in cents."""

    id: int
    customer_id: int
    customer: str
    item: str
    status: Status
    total_cents: int
    refunded_cents: int
    ordered_on: str


class Orders(BaseModel):
    """One page of orders."""

    orders: list[Order]
    next_cursor: int | None = Field(description=NEXT)


class Customer(BaseModel):
    """A customer, and how many orders there are."""

    id: int
    name: str
    email: str
    since: str
    orders: int


class Customers(BaseModel):
    """One page of customers."""

    customers: list[Customer]
    next_cursor: int | None = Field(description=NEXT)


class Refund(BaseModel):
    """What was given back, and what is left."""

    order: Order
    refunded_now_cents: int
    left_cents: int


class Deleted(BaseModel):
    """Who is gone."""

    customer_id: int
    name: str


def create_shop(shop: Shop, name: str = "shop") -> GatedServer:
    """The server over a shop's database. The gate is configured by the environment (see GatedServer)."""
    words = "A shop's orders and customers. Refunds and deletions wait for a person."
    mcp = GatedServer(name, instructions=words, log_level="WARNING")

    @mcp.tool(annotations=READS)
    def search_orders(
        status: Status | None = None,
        customer_id: CustomerId | None = None,
        minimum_cents: Annotated[int, Field(ge=0, description="Only orders of at least this much.")] = 0,
        cursor: After = 0,
        limit: Limit = 20,
    ) -> Orders:
        """Find orders by status, customer or size, oldest first. Use it to learn an order's number before you look at
        it or refund it. Returns at most 50 orders with their totals and what was already refunded, and a cursor for the
        next page; narrow the search rather than paging through thousands. Changes nothing and needs no approval."""
        rows = shop.search_orders(status, customer_id, minimum_cents, cursor, limit)
        return Orders(orders=[Order(**row) for row in rows], next_cursor=rows[-1]["id"] if len(rows) == limit else None)

    @mcp.tool(annotations=READS)
    def get_order(order_id: OrderId) -> Order:
        """Look at one order: its customer, item, status, total and how much of it was refunded, in cents. Use it before
        a refund, to see what is left. Fails when there is no such order. Changes nothing and needs no approval."""
        return Order(**_asked(lambda: shop.order(order_id)))

    @mcp.tool(annotations=READS)
    def list_customers(
        query: Annotated[
            str, Field(max_length=100, description="Part of a name or e-mail address; empty for all.")
        ] = "",
        cursor: After = 0,
        limit: Limit = 20,
    ) -> Customers:
        """Find customers by a part of their name or e-mail address, with the number of their orders. Returns at most
        50, and a cursor for the next page. Use it to learn a customer's number. Changes nothing, needs no approval."""
        rows = shop.customers(query, cursor, limit)
        following = rows[-1]["id"] if len(rows) == limit else None
        return Customers(customers=[Customer(**row) for row in rows], next_cursor=following)

    def refund(order_id: int, amount_cents: int) -> Preview:
        return _asked(lambda: previews.refund(shop, order_id, amount_cents))

    @mcp.tool(
        annotations=DESTROYS,
        approval=Approval(summary="Refund {amount_cents:usd} of order {order_id}", preview=refund),
    )
    def refund_order(order_id: OrderId, amount_cents: Cents) -> Refund:
        """Give a customer money back for an order, in whole or in part. Waits until a person approves, which may take a
        while; say why in approval_reason. Look at the order first: a refund beyond what is left, or of a cancelled
        order, fails and says what is left. Returns the order afterwards. The same approved call never refunds twice."""
        order = Order(**_asked(lambda: shop.refund(order_id, amount_cents, current_request_id(), approved_basis())))
        left = order.total_cents - order.refunded_cents
        return Refund(order=order, refunded_now_cents=amount_cents, left_cents=left)

    def deletion(customer_id: int) -> Preview:
        return _asked(lambda: previews.deletion(shop, customer_id))

    @mcp.tool(
        annotations=DESTROYS, approval=Approval(summary="Delete customer {customer_id} for good", preview=deletion)
    )
    def delete_customer(customer_id: CustomerId) -> Deleted:
        """Delete a customer and their cancelled orders for good; there is no way back. Waits until a person approves;
        say why in approval_reason. Fails while the customer has orders that the books need, and says how many. Returns
        the name of who is gone."""
        return Deleted(
            customer_id=customer_id, name=_asked(lambda: shop.delete_customer(customer_id, approved_basis()))
        )

    return mcp


def _asked(act: Callable[[], T]) -> T:
    """The shop's own words to the agent when it cannot be done."""
    try:
        return act()
    except Changed as error:
        raise Stale(str(error)) from error
    except ShopError as error:
        raise ToolError(str(error)) from error
