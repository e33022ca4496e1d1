"""Stored values that are none: whoever owns the database can put anything into a column."""

from approvals.errors import ApprovalsError

UNREADABLE = (ApprovalsError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What reading such a value raises: a fault of the row that holds it, and never the end of a verification."""
