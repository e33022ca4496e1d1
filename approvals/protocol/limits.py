"""The most that one message may hold, and one gate process."""

MAX_TOOLS = 10_000
"""Tools of one gate process."""
MAX_SERVED = 16_777_216
"""Bytes of one gate process's definitions together."""
MAX_BODY = 1_048_576
"""Bytes of one JSON body; more is a 413."""
MAX_ARGUMENTS = 262_144
"""Bytes of a call's canonical encoded arguments; more is a 413."""
MAX_REASON = 2_000
"""Characters of the agent's words, or of a reviewer's comment."""
MAX_RESULT = 16_384
"""Characters of the redacted result that people are shown; the gate cuts it."""
MAX_SEALED = 786_432
"""Characters of a sealed blob (base64)."""
MAX_UNREPORTED = 500
"""Calls that a gate may run before it must have reported some: what a dead gate may have left unrecorded."""
MAX_NUMBER = 2**31 - 1
"""What a whole number's column holds, whichever the database."""
MAX_DURATION = 2**53 - 1
"""Milliseconds; what JSON carries exactly."""
