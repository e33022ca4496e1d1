"""Ratios of pairs measured in one run, and what they are held against."""

import statistics
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Figures:
    """One row: subject and floor measured in turn, and the budget for their ratio."""

    name: str
    budget: float
    budget_p99: float | None = None
    higher: bool = False
    """Whether more is better."""
    unit: str = "x"
    subject: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)

    def pair(self, subject: float, floor: float) -> None:
        self.subject.append(subject)
        self.floor.append(floor)

    @property
    def p50(self) -> float:
        return statistics.median(self.subject) / statistics.median(self.floor)

    @property
    def p99(self) -> float:
        return p99(self.subject) / p99(self.floor)

    @property
    def met(self) -> bool:
        if self.higher:
            return self.p50 >= self.budget
        return self.p50 <= self.budget and (self.budget_p99 is None or self.p99 <= self.budget_p99)

    def document(self) -> dict[str, Any]:
        """The row of bench.json."""
        return {
            "name": self.name,
            "p50": round(self.p50, 3),
            "p99": round(self.p99, 3),
            "budget": {"p50": self.budget, "p99": self.budget_p99, "at_least": self.higher},
            "runs": len(self.subject),
            "met": self.met,
            "subject_p50": statistics.median(self.subject),
            "floor_p50": statistics.median(self.floor),
        }


def p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]
