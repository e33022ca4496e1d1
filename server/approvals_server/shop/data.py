"""The shop's sample database: customers, orders and refunds in SQLite, made on first use, always the same."""

import hashlib
import random
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

CUSTOMERS = 400
ORDERS = 3000
_FIRST = (
    "Ada",
    "Ben",
    "Chloe",
    "Dario",
    "Elif",
    "Farah",
    "Goran",
    "Hana",
    "Ivan",
    "Jun",
    "Kofi",
    "Lea",
    "Mira",
    "Noor",
)
_LAST = ("Abbas", "Berg", "Costa", "Dahl", "Eriksen", "Fischer", "Garcia", "Haas", "Ito", "Jansen", "Kaya", "Lopez")
_ITEMS = (
    "desk lamp",
    "office chair",
    "standing desk",
    "monitor arm",
    "keyboard",
    "webcam",
    "headset",
    "docking station",
)
_STATES = ("paid", "shipped", "shipped", "shipped", "cancelled")
_SCHEMA = """
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL UNIQUE, since TEXT NOT NULL);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customer (id),
    item TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('paid', 'shipped', 'cancelled', 'refunded')),
    total_cents INTEGER NOT NULL,
    ordered_on TEXT NOT NULL
);
CREATE INDEX orders_by_customer ON orders (customer_id, id);
CREATE TABLE refund (
    id INTEGER PRIMARY KEY,
    order_id INTEGER NOT NULL REFERENCES orders (id),
    amount_cents INTEGER NOT NULL CHECK (amount_cents > 0),
    request_id TEXT UNIQUE,
    refunded_at TEXT NOT NULL
);
"""
_ORDER = """
SELECT o.*, c.name AS customer,
    COALESCE((SELECT SUM(amount_cents) FROM refund WHERE order_id = o.id), 0) AS refunded_cents
FROM orders o JOIN customer c ON c.id = o.customer_id
"""


class ShopError(Exception):
    """What the shop cannot do, in words for whoever asked."""


class Changed(ShopError):
    """What was approved was looked up before something else happened; nothing was done."""


@dataclass(frozen=True)
class Deletion:
    """A customer, and the orders that would go as well."""

    id: int
    name: str
    email: str
    since: str
    orders: list[dict[str, Any]]


class Shop:
    """The database at a `sqlite:///path` URL."""

    def __init__(self, url: str) -> None:
        self._path = url.removeprefix("sqlite:///")
        with self._connect() as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'orders'").fetchone():
                _seed(connection)

    def search_orders(
        self, status: str | None, customer_id: int | None, minimum_cents: int, after: int, limit: int
    ) -> list[dict[str, object]]:
        """Up to `limit` orders with ids above `after`, by id."""
        with self._connect() as connection:
            return connection.execute(
                _ORDER + "WHERE o.id > :after AND o.total_cents >= :minimum"
                " AND (:status IS NULL OR o.status = :status) AND (:customer IS NULL OR o.customer_id = :customer)"
                " ORDER BY o.id LIMIT :limit",
                {"after": after, "minimum": minimum_cents, "status": status, "customer": customer_id, "limit": limit},
            ).fetchall()

    def order(self, order_id: int) -> dict[str, object]:
        """Raises ShopError."""
        with self._connect() as connection:
            return _find(connection, order_id)

    def customers(self, query: str, after: int, limit: int) -> list[dict[str, object]]:
        """Up to `limit` customers whose name or address contains `query`, with ids above `after`."""
        with self._connect() as connection:
            return connection.execute(
                "SELECT c.*, (SELECT COUNT(*) FROM orders WHERE customer_id = c.id) AS orders FROM customer c"
                " WHERE c.id > ? AND (instr(lower(c.name), lower(?)) OR instr(lower(c.email), lower(?)))"
                " ORDER BY c.id LIMIT ?",
                (after, query, query, limit),
            ).fetchall()

    def refund(
        self, order_id: int, amount_cents: int, request_id: str | None, basis: str | None = None
    ) -> dict[str, object]:
        """Give money back, once per `request_id`; the order afterwards. Raises ShopError, Changed."""
        with self._connect() as connection:
            done = connection.execute("SELECT 1 FROM refund WHERE request_id = ?", (request_id,)).fetchone()
            if not done:
                _check_basis(basis, refund_basis(_find(connection, order_id)))
                self._refund(connection, order_id, amount_cents, request_id)
            return _find(connection, order_id)

    def refundable(self, order_id: int, amount_cents: int) -> dict[str, Any]:
        """An order of which so much can be refunded now. Raises ShopError."""
        with self._connect("DEFERRED") as connection:
            return _refundable(connection, order_id, amount_cents)

    def delete_customer(self, customer_id: int, basis: str | None = None) -> str:
        """Delete a customer, and the orders that came to nothing; the name. Raises ShopError while others exist, and
        Changed."""
        with self._connect() as connection:
            going = _deletable(connection, customer_id)
            _check_basis(basis, deletion_basis(going))
            connection.execute("DELETE FROM orders WHERE customer_id = ?", (customer_id,))
            connection.execute("DELETE FROM customer WHERE id = ?", (customer_id,))
            return going.name

    def deletable(self, customer_id: int) -> Deletion:
        """What would go with a customer now. Raises ShopError."""
        with self._connect("DEFERRED") as connection:
            return _deletable(connection, customer_id)

    def _refund(self, connection: sqlite3.Connection, order_id: int, amount_cents: int, request_id: str | None) -> None:
        order = _refundable(connection, order_id, amount_cents)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        connection.execute(
            "INSERT INTO refund (order_id, amount_cents, request_id, refunded_at) VALUES (?, ?, ?, ?)",
            (order_id, amount_cents, request_id, at),
        )
        if amount_cents == order["total_cents"] - order["refunded_cents"]:
            connection.execute("UPDATE orders SET status = 'refunded' WHERE id = ?", (order_id,))

    @contextmanager
    def _connect(self, kind: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
        """One transaction: committed when the block ends well. DEFERRED for what only reads."""
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=10)
        connection.row_factory = lambda cursor, row: {
            column[0]: value for column, value in zip(cursor.description, row, strict=True)
        }
        try:
            for pragma in ("journal_mode = WAL", "foreign_keys = ON"):
                connection.execute(f"PRAGMA {pragma}")
            connection.execute(f"BEGIN {kind}")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()


def refund_basis(order: dict[str, object]) -> str:
    """Names what the effect of a refund hangs on."""
    return f"order {order['id']} {order['status']}, {order['refunded_cents']} of {order['total_cents']} refunded"


def deletion_basis(going: Deletion) -> str:
    """Names what goes with a customer."""
    orders = ",".join(str(order["id"]) for order in going.orders)
    return f"customer {going.id}, orders {hashlib.sha256(orders.encode()).hexdigest()[:16]}"


def _check_basis(approved: str | None, present: str) -> None:
    if approved is not None and approved != present:
        raise Changed(f"It was approved for {approved}; by now it is {present}.")


def _refundable(connection: sqlite3.Connection, order_id: int, amount_cents: int) -> dict[str, Any]:
    order = _find(connection, order_id)
    left = order["total_cents"] - order["refunded_cents"]
    if order["status"] == "cancelled" or left <= 0:
        raise ShopError(f"Order {order_id} is {order['status']}: there is nothing to refund.")
    if amount_cents > left:
        raise ShopError(f"Order {order_id} has {left} cents left to refund; {amount_cents} is too much.")
    return order


def _deletable(connection: sqlite3.Connection, customer_id: int) -> Deletion:
    found = connection.execute("SELECT * FROM customer WHERE id = ?", (customer_id,)).fetchone()
    if found is None:
        raise ShopError(f"There is no customer {customer_id}.")
    orders = connection.execute("SELECT * FROM orders WHERE customer_id = ? ORDER BY id", (customer_id,)).fetchall()
    needed = sum(order["status"] != "cancelled" for order in orders)
    if needed:
        raise ShopError(f"Customer {customer_id} has {needed} orders that the books need; only cancelled ones may go.")
    return Deletion(customer_id, found["name"], found["email"], found["since"], orders)


def _find(connection: sqlite3.Connection, order_id: int) -> dict[str, Any]:
    order: dict[str, Any] | None = connection.execute(_ORDER + "WHERE o.id = ?", (order_id,)).fetchone()
    if order is None:
        raise ShopError(f"There is no order {order_id}.")
    return order


def _seed(connection: sqlite3.Connection) -> None:
    dice = random.Random(1042)  # noqa: S311 — sample data
    for statement in _SCHEMA.split(";\n"):
        connection.execute(statement)
    for number in range(1, CUSTOMERS + 1):
        first, last = dice.choice(_FIRST), dice.choice(_LAST)
        email = f"{first}.{last}.{number}@example.com".lower()
        since = date(2021, 1, 1) + timedelta(days=dice.randrange(1500))
        connection.execute(
            "INSERT INTO customer VALUES (?, ?, ?, ?)", (number, f"{first} {last}", email, since.isoformat())
        )
    for number in range(1, ORDERS + 1):
        total, item = dice.randrange(15, 900) * 100, dice.choice(_ITEMS)
        status, day = dice.choice(_STATES), date(2025, 1, 1) + timedelta(days=number // 5)
        row = (number, dice.randrange(CUSTOMERS - 5) + 1, item, status, total, day.isoformat())
        if number == 1042:
            row = (1042, 17, "standing desk", "paid", 12_000, day.isoformat())
        connection.execute("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)", row)
