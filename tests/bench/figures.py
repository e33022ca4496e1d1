"""Ratios of pairs measured in one run, and what they are held against."""

import statistics
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Figures:
    """One row: subject and reference measured in turn, and the budget for their ratio."""

    name: str
    budget: float
    budget_p99: float | None = None
    budget_cpu: float | None = None
    higher: bool = False
    """Whether more is better."""
    unit: str = "x"
    """`x` for a ratio; else the subject's own figures, and the reference is 1."""
    subject: list[float] = field(default_factory=list)
    reference: list[float] = field(default_factory=list)
    subject_cpu: list[float] = field(default_factory=list)
    """Seconds of processor time for each act, of the service (and of the gate, where the row is about it)."""
    reference_cpu: list[float] = field(default_factory=list)

    def pair(self, subject: float, reference: float = 1) -> None:
        self.subject.append(subject)
        self.reference.append(reference)

    def pair_cpu(self, subject: float, reference: float) -> None:
        self.subject_cpu.append(subject)
        self.reference_cpu.append(reference)

    @property
    def p50(self) -> float:
        return statistics.median(self.subject) / statistics.median(self.reference)

    @property
    def p99(self) -> float:
        return p99(self.subject) / p99(self.reference)

    @property
    def cpu(self) -> float | None:
        """Ratio of the means: what follows an act (linking, sending) does not fall on each of them alike."""
        return sum(self.subject_cpu) / sum(self.reference_cpu) if self.reference_cpu else None

    @property
    def met(self) -> bool:
        if self.higher:
            return self.p50 >= self.budget
        of_all = ((self.p50, self.budget), (self.p99, self.budget_p99), (self.cpu, self.budget_cpu))
        return all(budget is None or (figure is not None and figure <= budget) for figure, budget in of_all)

    def document(self) -> dict[str, Any]:
        """The row of bench.json."""
        return {
            "name": self.name,
            "unit": self.unit,
            "p50": round(self.p50, 3),
            "p99": round(self.p99, 3),
            "cpu": None if self.cpu is None else round(self.cpu, 3),
            "budget": {"p50": self.budget, "p99": self.budget_p99, "cpu": self.budget_cpu, "at_least": self.higher},
            "runs": len(self.subject),
            "met": self.met,
            "subject_p50": statistics.median(self.subject),
            "reference_p50": statistics.median(self.reference),
            "subject_cpu": statistics.fmean(self.subject_cpu) if self.subject_cpu else None,
        }


def p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]
