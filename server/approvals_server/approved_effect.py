"""What was approved, as a tool needs it in the moment of its effect."""

from approvals import current_preview


def approved_basis() -> str | None:
    """What the approved effect was computed from: compared in the transaction of the effect, it leaves no gap."""
    foreseen = current_preview()
    return foreseen.basis if foreseen is not None else None
