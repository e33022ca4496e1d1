"""Ratios of pairs measured in one run, and what they are held against."""

import statistics
from dataclasses import dataclass, field


@dataclass
class Figures:
    """One row: subject and floor measured in turn, and the budget for their ratio."""

    name: str
    budget: float
    higher: bool = False
    """Whether more is better."""
    subject: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)
    unit: str = ""

    def pair(self, subject: float, floor: float) -> None:
        self.subject.append(subject)
        self.floor.append(floor)

    @property
    def p50(self) -> float:
        return statistics.median(self.subject) / statistics.median(self.floor)

    @property
    def p99(self) -> float:
        return _p99(self.subject) / _p99(self.floor)

    def met(self, ratio: float) -> bool:
        return ratio >= self.budget if self.higher else ratio <= self.budget


def _p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]
