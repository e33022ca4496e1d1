"""What a smoke test found: one line per check and tool, with what to mend."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from approvals.protocol.canonical import JsonObject
from approvals.service.text import visible


class Result(StrEnum):
    """The end of a check. `open`: it could not be made, and it is not needed to pass."""

    PASSED = "passed"
    FAILED = "failed"
    OPEN = "open"


@dataclass(frozen=True)
class Finding:
    """One check, of one tool or of all of them."""

    check: str
    result: Result
    tool: str = ""
    words: str = ""
    fix: str = ""

    @property
    def line(self) -> str:
        """For a person at a terminal: a server's own words are made harmless."""
        said = ": ".join(part for part in (self.check, visible(self.tool), visible(self.words)) if part)
        return f"{self.result.value:<6}  {said}" + (f"\n        Fix: {self.fix}" if self.fix else "")


@dataclass(frozen=True)
class Tested:
    """A tool as it was tested: another definition, or other code, was not."""

    tool_hash: str
    code_version: str = ""


@dataclass(frozen=True)
class Report:
    """All that one run found."""

    findings: tuple[Finding, ...]
    tested: Mapping[str, Tested] = field(default_factory=dict)
    """By tool; nothing of a server without a gate."""

    @property
    def passed(self) -> bool:
        """Whether something was found, and no fault among it."""
        return bool(self.findings) and all(one.result is not Result.FAILED for one in self.findings)

    @property
    def faults(self) -> list[Finding]:
        return [one for one in self.findings if one.result is Result.FAILED]

    def dump(self) -> JsonObject:
        """As JSON."""
        return {
            "passed": self.passed,
            "findings": [asdict(one) for one in self.findings],
            "tested": {name: asdict(one) for name, one in self.tested.items()},
        }


def passed(check: str, tool: str = "", words: str = "") -> Finding:
    return Finding(check, Result.PASSED, tool, words)


def failed(check: str, tool: str, words: str, fix: str) -> Finding:
    return Finding(check, Result.FAILED, tool, words, fix)


def left_open(check: str, tool: str, words: str, fix: str = "") -> Finding:
    return Finding(check, Result.OPEN, tool, words, fix)
