"""Speaking to the serving process over its local socket (`approvals_web.operator.socket`). Most commands need no more
than this, so it imports nothing of the service."""

import json
import socket
from pathlib import Path
from typing import TypeVar

from approvals.errors import Unavailable, from_document
from approvals_web.operator.messages.ask import Ask

R = TypeVar("R")

MAX_PATH = 100
"""Bytes: a longer path cannot name a socket everywhere."""
PATIENCE = 15.0
"""Seconds."""
NOBODY = (FileNotFoundError, ConnectionRefusedError, PermissionError)
"""Nobody listens, or nobody who would listen to this user. Any other error may come from a service that is busy."""


def socket_beside(path: Path) -> str:
    """The socket of the service over this SQLite file; "" where its path would be too long."""
    name = str(path.absolute().with_name(path.name + ".sock"))
    return name if len(name.encode()) <= MAX_PATH else ""


def over(path: str, asked: Ask[R]) -> R:
    """What the serving process does as asked. Raises one of NOBODY when nobody listens, and ApprovalsError."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        try:
            connection.connect(path)
        except TimeoutError as error:
            raise _unanswered() from error
        try:
            connection.sendall(
                json.dumps({"command": type(asked).__name__, "arguments": asked.written()}).encode() + b"\n"
            )
            with connection.makefile("rb") as file:
                raw = file.readline()
        except OSError as error:
            raise _unanswered() from error
    if not raw:
        raise _unanswered()
    answer = json.loads(raw)
    if "error" in answer:
        raise from_document(int(answer["error"]["status"]), answer["error"])
    return asked.result().validate_python(answer["result"])


def _unanswered() -> Unavailable:
    return Unavailable(
        "The running service did not answer the command.", hint="Look whether it was carried out, then try again."
    )
