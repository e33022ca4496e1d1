"""What this process logs of a failing tool: masked as all that leaves, since others read and keep logs."""

import logging
import traceback
from contextvars import ContextVar

from approvals.gate.masking import NO_SECRETS, Mask
from approvals.protocol import redaction

MOST = 8_000
LOGGERS = ("approvals.gate.gate", "mcp.server.mcpserver.server", "mcp.shared.direct_dispatcher")
"""Ours, and the SDK's, which log the words of a tool's or a prompt's exception."""
_mask: ContextVar[Mask] = ContextVar("mask", default=NO_SECRETS)


class _Masking(logging.Filter):
    """Masks a record's words; an exception's become part of them."""

    def filter(self, record: logging.LogRecord) -> bool:
        words = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            words += "\n" + "".join(traceback.format_exception(record.exc_info[1]))
        record.msg = redaction.text(words, MOST, _mask.get().declared)
        record.args, record.exc_info, record.exc_text = (), None, None
        return True


def mask_with(mask: Mask) -> None:
    """From now on in this task, until another one is given."""
    _mask.set(mask)


def install() -> None:
    """Once for each process."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(kept, _Masking) for kept in logger.filters):
            logger.addFilter(_Masking())
