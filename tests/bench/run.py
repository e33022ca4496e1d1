"""`make bench`: each row against a reference measured in the same run; a table, and bench.json.

`make bench ROWS=resume,read` measures some; `ROWS=smoke` all of them with few samples, to see that they still run
(`ROWS=smoke:read` some of those).
"""

import asyncio
import contextlib
import json
import platform
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import commands
import filing
import growth
import proxied
import read
import recovery
import resume
import slack
import waiting
from figures import Figures
from process import floor, postgres, reference, replica, sqlite, subject

import policy

COLUMNS = ("row", "p50", "p99", "cpu", "budget", "runs", "met")
KINDS = {"SQLite": sqlite, "PostgreSQL": postgres}


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    decisions: int = resume.EACH
    filings: int = filing.ROUNDS
    reads: int = read.EACH
    crowd: int = waiting.CROWD
    calls: int = waiting.THROUGH_ONE_GATE
    pending: int = recovery.PENDING
    history: int = growth.MANY
    pages: int = growth.EACH
    commands: int = commands.TIMES


SMOKE = Size(decisions=5, filings=1, reads=10, crowd=200, calls=40, pending=100, history=20_000, pages=2, commands=1)


async def resumes(size: Size) -> list[Figures]:
    """Decisions, on either database, and through a second replica."""
    rows: list[Figures] = []
    for kind, fresh in KINDS.items():
        with contextlib.ExitStack() as stack:
            enter = stack.enter_context
            own, plain = enter(fresh()), enter(reference(enter(fresh())))
            bare, service = enter(floor(enter(fresh()))), enter(subject(own))
            rows += await resume.measure(plain, bare, service, kind, each=size.decisions)
            if kind == "PostgreSQL":
                second = enter(replica(own, service))
                rows += await resume.measure(plain, bare, service, f"{kind}, two replicas", second, size.decisions)
    return rows


async def filings(size: Size) -> list[Figures]:
    """Filing, on either database."""
    rows: list[Figures] = []
    for kind, fresh in KINDS.items():
        with fresh() as own, fresh() as other, reference(other) as plain, subject(own) as service:
            rows += await filing.measure(plain, service, kind, size.filings)
    return rows


async def reads(size: Size) -> list[Figures]:
    """Calls that nobody has to approve."""
    with sqlite() as database, subject(database) as service:
        return await read.measure(service, size.reads)


async def passes(size: Size) -> list[Figures]:
    """The same through the proxy."""
    with sqlite() as database, subject(database) as service:
        return await proxied.measure(service, size.reads)


async def waits(size: Size) -> list[Figures]:
    """Many calls that wait."""
    with sqlite() as one, sqlite() as other, subject(one) as crowd, subject(other) as alone:
        rows = await waiting.on_a_stream(crowd, alone, size.crowd)
    with sqlite() as database, subject(database) as service:
        return [*rows, *await waiting.through_one_gate(service, size.calls)]


async def recoveries(size: Size) -> list[Figures]:
    """Serving again after a crash."""
    rows = []
    for kind, fresh in KINDS.items():
        with fresh() as database:
            rows.append(await recovery.measure(database, kind, size.pending))
    return rows


async def growths(size: Size) -> list[Figures]:
    """Pages over a long history."""
    return [row for kind, fresh in KINDS.items() for row in await growth.measure(fresh, kind, size.history, size.pages)]


async def presses(size: Size) -> list[Figures]:
    """Decisions in Slack."""
    return [await slack.measure(size.decisions)]


async def judgements(_: Size) -> list[Figures]:
    """The policy alone."""
    return policy.measure()


async def processes(size: Size) -> list[Figures]:
    """The command line."""
    return commands.measure(size.commands)


ROWS: dict[str, Callable[[Size], Awaitable[list[Figures]]]] = {
    "policy": judgements,
    "commands": processes,
    "resume": resumes,
    "filing": filings,
    "read": reads,
    "proxy": passes,
    "slack": presses,
    "waiting": waits,
    "recovery": recoveries,
    "growth": growths,
}


async def measure(asked: str) -> list[Figures]:
    """The rows asked for, by name; all of them without names."""
    smoke, _, some = asked.partition(":") if asked.startswith("smoke") else ("", "", asked)
    size, names = SMOKE if smoke else Size(), some.split(",") if some else list(ROWS)
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        sys.exit(f"No such rows: {', '.join(unknown)}. There are: {', '.join(ROWS)}, and smoke.")
    rows: list[Figures] = []
    for name in names:
        began = time.monotonic()
        rows += await ROWS[name](size)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return rows


def main(asked: str = "") -> None:
    rows = asyncio.run(measure(asked))
    table = [COLUMNS, *(_line(row) for row in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(COLUMNS))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    document = {"python": platform.python_version(), "rows": [row.document() for row in rows]}
    Path("bench.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _line(row: Figures) -> tuple[str, ...]:
    more = [f"{name} {budget:g}" for name, budget in (("p99", row.budget_p99), ("cpu", row.budget_cpu)) if budget]
    budget = ", ".join([f"{'≥' if row.higher else '≤'} {row.budget:g}{row.unit}", *more])
    p99 = f"{row.p99:.2f}" if len(row.subject) > 1 else ""
    cpu = "" if row.cpu is None else f"{row.cpu:.2f}x"
    met = "" if "(information)" in row.name else "yes" if row.met else "NO"
    return row.name, f"{row.p50:.2f}{row.unit}", p99, cpu, budget, str(len(row.subject)), met


if __name__ == "__main__":
    main(*sys.argv[1:])
