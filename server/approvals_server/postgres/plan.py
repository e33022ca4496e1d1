"""The planner's word on a statement: what it would change, and how much it expects. Read from EXPLAIN; nothing runs."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import psycopg
from pydantic import BaseModel, Field

from approvals_server.postgres.changes import Change
from approvals_server.postgres.role import Connection
from approvals_server.postgres.statement import single
from approvals_server.postgres.summary import cut

TEXT = 8_000
MOST_SCANS = 50


class Node(BaseModel):
    """A node of a plan, as far as it is looked at."""

    kind: str = Field(alias="Node Type")
    operation: str = Field("", alias="Operation")
    schema_name: str = Field("", alias="Schema")
    relation: str = Field("", alias="Relation Name")
    index: str = Field("", alias="Index Name")
    relationship: str = Field("", alias="Parent Relationship")
    rows: int = Field(0, alias="Plan Rows")
    cost: float = Field(0, alias="Total Cost")
    plans: list["Node"] = Field(default_factory=list, alias="Plans")

    @property
    def table(self) -> str:
        """With its schema."""
        return ".".join(filter(None, [self.schema_name, self.relation]))

    def walk(self) -> Iterator["Node"]:
        """This node and all below it."""
        yield self
        for plan in self.plans:
            yield from plan.walk()


class Explained(BaseModel):
    """A plan as its JSON says it."""

    plan: Node = Field(alias="Plan")


@dataclass(frozen=True)
class Plan:
    """A statement's plan."""

    root: Node
    changes: tuple[Change, ...] = field(default=())


async def planned(connection: Connection, sql: str) -> Plan | None:
    """The plan of a statement; None of one that has none, such as DDL, or that is none at all. Raises psycopg.Error."""
    text = f"EXPLAIN (FORMAT JSON, VERBOSE) {single(sql)}"
    try:
        async with connection.transaction():
            cursor = await connection.execute(text.encode(), prepare=True)
            row = await cursor.fetchone()
    except psycopg.errors.SyntaxError:
        return None
    if row is None:
        return None
    root = Explained.model_validate(row[0][0]).plan
    return Plan(root, tuple(_change(node) for node in root.walk() if node.kind == "ModifyTable"))


async def plan_text(connection: Connection, sql: str) -> str:
    """The plan as people write it. Raises psycopg.Error."""
    cursor = await connection.execute(f"EXPLAIN (COSTS) {single(sql)}".encode(), prepare=True)
    return cut("\n".join(str(row[0]) for row in await cursor.fetchall()), TEXT)


def _change(node: Node) -> Change:
    """Its own estimate is of the rows that it returns; what comes from below is what it changes."""
    sources = [plan.rows for plan in node.plans if plan.relationship in {"Outer", "Member"}]
    return Change(node.operation.lower(), node.table, sum(sources))
