"""One check of a doctor's, as `approvals doctor` and `approvals slack doctor` tell it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One check. `mend` says what to do where it is not ok."""

    what: str
    ok: bool
    said: str = ""
    mend: str = ""

    @property
    def told(self) -> str:
        """For a terminal: a line, and below it what to do."""
        line = f"{'ok    ' if self.ok else 'FAILED'} {self.what}{f': {self.said}' if self.said else ''}"
        return f"{line}\n       {self.mend}" if self.mend else line
