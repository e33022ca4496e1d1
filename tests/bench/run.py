"""`make bench`: each row against the floor measured in the same run; a table, and bench.json."""

import asyncio
import json
import platform
from pathlib import Path

import filing
import growth
import policy
import read
import recovery
import resume
import slack
import waiting
from figures import Figures
from process import floor, postgres, replica, sqlite, subject

ROUNDS = 5
COLUMNS = ("row", "p50", "p99", "budget", "runs", "met")


async def measure() -> list[Figures]:
    """Every row."""
    rows: list[Figures] = policy.measure()
    with sqlite() as database, sqlite() as other, floor(other) as floor_url, subject(database) as service:
        rows += await resume.measure(floor_url, service, ROUNDS, "SQLite", 2.5)
        rows += await filing.measure(floor_url, service, ROUNDS, "SQLite")
        rows += await read.measure(service, ROUNDS)
    rows.append(await slack.measure(ROUNDS))
    with postgres() as database, floor(database) as floor_url, subject(database) as service:
        with replica(database, service) as second:
            rows += await resume.measure(floor_url, service, ROUNDS, "PostgreSQL, two replicas", 1.6, second)
        rows += await filing.measure(floor_url, service, ROUNDS, "PostgreSQL")
    with sqlite() as database, subject(database) as service:
        rows += await waiting.measure(service, 1_000, 1.3, 10_000_000)
        rows += await waiting.measure(service, 10_000, 1.6, 20_000_000)
    for kind, fresh in (("SQLite", sqlite), ("PostgreSQL", postgres)):
        with fresh() as database:
            rows.append(await recovery.measure(database, kind))
        rows += await growth.measure(fresh, kind)
    return rows


def main() -> None:
    rows = asyncio.run(measure())
    table = [COLUMNS, *(_line(row) for row in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(COLUMNS))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    document = {"python": platform.python_version(), "rows": [row.document() for row in rows]}
    Path("bench.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _line(row: Figures) -> tuple[str, ...]:
    budget = f"{'≥' if row.higher else '≤'} {row.budget:g}" + (f" / {row.budget_p99:g}" if row.budget_p99 else "")
    p99 = f"{row.p99:.2f}" if row.budget_p99 else ""
    return row.name, f"{row.p50:.2f}{row.unit}", p99, budget, str(len(row.subject)), "yes" if row.met else "NO"


if __name__ == "__main__":
    main()
