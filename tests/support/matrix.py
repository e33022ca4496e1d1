"""The crash matrix: what must come of a call when this happens to that at this step, and the agent asks again."""

from dataclasses import dataclass
from itertools import groupby

STEPS = (
    "looking",
    "filing sent",
    "filing kept",
    "pending",
    "approved",
    "claim sent",
    "claim kept",
    "looking again",
    "tool started",
    "effect done",
    "outcome sent",
    "outcome kept",
    "reported",
)
COMMITS = tuple(
    f"{what} {when}" for what in ("filing", "decision", "claim", "outcome") for when in ("cut", "committed")
)
IN_FLIGHT = {"claim sent", "claim kept", "looking again", "claim cut", "claim committed"}
FAST = {("sqlite", "SIGKILL", "gate", "claim kept")}


SLOWLY = "; where recovery takes over 5 seconds: not executed; approved anew, 1 effect"


@dataclass(frozen=True)
class Case:
    database: str
    fault: str
    who: str
    step: str
    states: tuple[str, ...] = ("succeeded",)
    """Of the call's requests, in the end: one more when the first one did not run, and a person approved it anew."""
    effects: int = 1
    slow: bool = False
    """A recovery that takes longer than `start_within` also ends well: not executed, and approved anew."""
    late: bool = False
    """The message that was on its way still arrives."""

    @property
    def name(self) -> str:
        return "-".join((self.database, self.fault, self.who, self.step)).replace(" ", "_") + "-late" * self.late

    @property
    def fast(self) -> bool:
        return (self.database, self.fault, self.who, self.step) in FAST

    @property
    def outcome(self) -> str:
        words = {1: "1 effect", 0: "0 effects"}[self.effects]
        if self.states == ("unknown",):
            return f"unknown, {words}; never repeated by itself"
        if self.states[0] == "not_executed":
            return f"not executed; approved anew, {words}"
        return f"succeeded, {words}{SLOWLY * self.slow}"


def _killed_gate(database: str, who: str, step: str) -> Case:
    if step in {"claim kept", "looking again", "tool started"}:
        return Case(database, "SIGKILL", who, step, ("unknown",), 0)
    if step in {"effect done", "outcome sent"}:
        return Case(database, "SIGKILL", who, step, ("unknown",), 1)
    return Case(database, "SIGKILL", who, step)


def _killed_service(step: str) -> Case:
    """The gate asks for its claim's answer for less time than a restart takes; then it does not start."""
    if step == "claim kept":
        return Case("sqlite", "SIGKILL", "service", step, ("not_executed", "succeeded"))
    return Case("sqlite", "SIGKILL", "service", step)


def _stopped_gate(step: str) -> Case:
    if step in {"claim sent", "claim kept", "looking again"}:
        return Case("postgres", "SIGSTOP", "gate", step, ("not_executed", "succeeded"))
    return Case("postgres", "SIGSTOP", "gate", step)


CASES: tuple[Case, ...] = (
    *(_killed_service(step) for step in STEPS),
    *(_killed_gate("sqlite", "gate", step) for step in STEPS),
    *(_killed_gate("sqlite", "service and gate", step) for step in STEPS if step != "claim sent"),
    *(Case("postgres", "SIGKILL", "replica", step, slow=step in IN_FLIGHT) for step in STEPS),
    *(_killed_gate("postgres", "gate", step) for step in STEPS),
    Case("postgres", "SIGKILL", "gate", "claim sent", ("unknown",), 0, late=True),
    *(_stopped_gate(step) for step in STEPS),
    *(Case("postgres", "SIGKILL", "client", step) for step in STEPS),
    *(Case("postgres", "cut", "gate connection", step, slow=step in IN_FLIGHT) for step in STEPS),
    *(Case("postgres", "cut", "database connection", step, slow=step in IN_FLIGHT) for step in COMMITS),
)


def table() -> str:
    """The matrix as a page."""
    lines = [
        "# The crash matrix",
        "",
        "What comes of one call when this happens at this step, everything runs again, and the agent repeats its call",
        "while it is told to. Every row is a test with real processes (`tests/e2e/test_matrix.py`), its effects",
        "counted in the tool's own log: none is lost, none is doubled, none is unapproved.",
        "",
        "- *Looking*: the tool's preview is at work, before the call is filed; *looking again*: after it was claimed.",
        "- *Sent*: on its way, not arrived. *Kept*: arrived, and its answer not. *Late*: it arrives after the crash.",
        "- *Cut* and *committed*: the connection broke before the COMMIT arrived, and before its answer did.",
        "- *SIGSTOP* lasts longer than the lease, then the process goes on.",
        "",
        "Written by `python tests/e2e/print_matrix.py`.",
    ]
    for (database, fault, who), cases in groupby(CASES, lambda case: (case.database, case.fault, case.who)):
        lines += ["", f"## {fault}, {who} ({database})", "", "| step | outcome |", "|---|---|"]
        lines += [f"| {case.step}{', late' * case.late} | {case.outcome} |" for case in cases]
    return "\n".join(lines) + "\n"
