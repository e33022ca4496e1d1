"""The planner's word on a statement: what it would change, and how much it expects. Read from EXPLAIN; nothing runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import LiteralString

import psycopg
from pydantic import BaseModel, Field

from approvals_server.postgres.cascades import with_cascades
from approvals_server.postgres.changes import Change
from approvals_server.postgres.errors import Refused
from approvals_server.postgres.marker import SCHEMA as MARKERS
from approvals_server.postgres.role import Connection
from approvals_server.postgres.summary import SAFE_INTEGER, cut
from approvals_server.postgres.text import pieces, single

TEXT = 8_000
MOST_PLAN = 5_000_000
"""Characters of a plan, which this process holds as a whole: constants in it may be large values."""
_ASKED: LiteralString = "SELECT set_config('approvals.asked', %s, true), set_config('approvals.size', '0', true)"
_MEASURED: LiteralString = """DO $$ DECLARE line text; size bigint := 0; BEGIN
    FOR line IN EXECUTE 'EXPLAIN (VERBOSE) ' || current_setting('approvals.asked') LOOP
        size := size + length(line);
    END LOOP;
    PERFORM set_config('approvals.size', size::text, true);
EXCEPTION WHEN query_canceled OR lock_not_available THEN RAISE; WHEN OTHERS THEN NULL; -- asked again, and told then
END $$"""
_SIZE: LiteralString = "SELECT current_setting('approvals.size')::bigint"
WRITES = frozenset({"insert", "update", "delete", "merge", "with"})
MOST_SCANS = 50
NO_WRITE = (
    "execute_write takes exactly one INSERT, UPDATE, DELETE or MERGE, with its values in it. Ask with search_postgres, "
    "look at plans with explain_query, and leave definitions, functions and procedures to the database's owner."
)


class Node(BaseModel):
    """A node of a plan, as far as it is looked at."""

    kind: str = Field(alias="Node Type")
    operation: str = Field("", alias="Operation")
    schema_name: str = Field("", alias="Schema")
    relation: str = Field("", alias="Relation Name")
    index: str = Field("", alias="Index Name")
    on_conflict: str = Field("", alias="Conflict Resolution")
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
    """A statement's plan, with what rules add to it."""

    root: Node
    changes: tuple[Change, ...] = field(default=())


async def planned(connection: Connection, sql: str) -> Plan | None:
    """The plan of a statement; None of one that has none, such as DDL, or that is none at all. Raises psycopg.Error."""
    plans = await _plans(connection, sql)
    return Plan(plans[0], _changes(plans, sql)) if plans else None


async def written(connection: Connection, sql: str) -> Plan:
    """The plan of one INSERT, UPDATE, DELETE or MERGE, which is what the database says it is. Raises Refused,
    psycopg.Error."""
    words = pieces(sql)
    if not words or words[0][0] not in WRITES:
        raise Refused(NO_WRITE)
    plans = await _plans(connection, sql)
    if not plans:
        raise Refused("A rule of this table does something else instead. Write to the table behind it.")
    if any(plan.kind != "ModifyTable" for plan in plans):
        raise Refused(NO_WRITE)
    nodes = [node for plan in plans for node in plan.walk()]
    if any(node.schema_name == MARKERS and node.relation for node in nodes):
        raise Refused(f"The schema {MARKERS} holds this server's own markers, which no statement may touch.")
    found = Plan(plans[0], await with_cascades(connection, _changes(plans, sql)))
    if any(change.rows > SAFE_INTEGER for change in found.changes):
        raise Refused("The planner expects more rows than can be counted. Name the rows by their key.")
    return found


async def _plans(connection: Connection, sql: str) -> list[Node]:
    """One for the statement, and one for each that a rule adds; none where nothing is left of it."""
    await _measured(connection, single(sql))
    text = f"EXPLAIN (FORMAT JSON, VERBOSE) {single(sql)}"
    try:
        async with connection.transaction():
            cursor = await connection.execute(text.encode(), prepare=True)
            row = await cursor.fetchone()
    except psycopg.errors.SyntaxError as error:
        raise Refused(f"{error.diag.message_primary}. This is no single statement that has a plan.", "42601") from None
    said = row[0] if row else []
    if not all(isinstance(one, dict) and "Plan" in one for one in said):
        raise Refused("A rule of this table adds a statement that has no plan. Write to another table.")
    return [Explained.model_validate(one).plan for one in said]


async def _measured(connection: Connection, sql: str) -> None:
    """How large a plan is, counted in the database before it comes here. Raises Refused, psycopg.Error."""
    await connection.execute(_ASKED, [sql])
    await connection.execute(_MEASURED)
    cursor = await connection.execute(_SIZE)
    (size,) = await cursor.fetchone() or (0,)
    if size > MOST_PLAN:
        raise Refused(
            f"Its plan has {size:,} characters, and {MOST_PLAN:,} are looked at: leave out what makes large values."
        )


async def plan_text(connection: Connection, sql: str) -> str:
    """The plan as people write it, of a statement whose plan was asked for before. Raises psycopg.Error."""
    cursor = await connection.execute(f"EXPLAIN (COSTS) {single(sql)}".encode(), prepare=True)
    return cut("\n".join(str(row[0]) for row in await cursor.fetchall()), TEXT)


def _changes(plans: Sequence[Node], sql: str) -> tuple[Change, ...]:
    return tuple(_change(node, sql) for plan in plans for node in plan.walk() if node.kind == "ModifyTable")


def _change(node: Node, sql: str) -> Change:
    """Its own estimate is of the rows that it returns; what comes from below is what it changes."""
    sources = [plan.rows for plan in node.plans if plan.relationship in {"Outer", "Member"}]
    verb, *more = _verbs(node, sql)
    return Change(verb, node.table, sum(sources), tuple(more))


def _verbs(node: Node, sql: str) -> list[str]:
    """The gravest first. What a MERGE may do stands in its text alone; the database's count holds it to that."""
    verb = node.operation.lower()
    if verb == "insert" and node.on_conflict == "UPDATE":
        return ["update", "insert"]
    if verb != "merge":
        return [verb]
    words = {word for word, _ in pieces(sql)}
    return [
        *([each for each in ("delete", "update", "insert") if each in words] or ["delete", "update", "insert"]),
        verb,
    ]
