"""How the database would answer a statement: for agents that look before they ask."""

from pydantic import BaseModel, Field

from approvals_server.postgres.errors import Refused
from approvals_server.postgres.plan import MOST_SCANS, plan_text, planned
from approvals_server.postgres.role import Role


class Scan(BaseModel):
    """How one table is read."""

    table: str
    how: str
    index: str | None
    estimated_rows: int


class Change(BaseModel):
    """What would be written."""

    verb: str
    table: str
    estimated_rows: int


class Explanation(BaseModel):
    """A statement's plan. Nothing was run."""

    estimated_rows: int
    total_cost: float = Field(description="In the planner's units: a page read in order costs 1.")
    changes: list[Change] = Field(description="What it would write; empty for a query.")
    scans: list[Scan]
    plan: str


async def explain(role: Role, sql: str) -> Explanation:
    """The plan of a query or a write. Raises Away, Refused."""
    async with role.reading() as connection:
        plan = await planned(connection, sql)
        if plan is None:
            raise Refused("This statement has no plan.")
        text = await plan_text(connection, sql)
    scans = [node for node in plan.root.walk() if node.relation and node.kind != "ModifyTable"]
    return Explanation(
        estimated_rows=plan.root.rows,
        total_cost=plan.root.cost,
        changes=[Change(verb=one.verb, table=one.table, estimated_rows=one.rows) for one in plan.changes],
        scans=[
            Scan(table=node.table, how=node.kind, index=node.index or None, estimated_rows=node.rows)
            for node in scans[:MOST_SCANS]
        ],
        plan=text,
    )
