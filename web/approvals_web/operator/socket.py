"""What an operator may do from the command line, and the local socket (mode 0600) over which a serving process does it.

While `serve` runs, commands go through its socket, so that it knows at once; else they write the database themselves
(`approvals_web.operator.target`). Both run the same functions; the audit event names the operating-system user.
"""

import asyncio
import contextlib
import json
import os
import pwd
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

from approvals.errors import (
    ApprovalsError,
    BadRequest,
    Forbidden,
)
from approvals.service.identity.admins import Operator
from approvals.service.service import Service
from approvals.service.storage.database import Database
from approvals.service.storage.sqlite import Sqlite
from approvals_web.operator.client import PATIENCE, socket_beside
from approvals_web.operator.dispatch import carry_out_written
from approvals_web.operator.operation import Operation

MAX_LINE = 65_536


@contextlib.asynccontextmanager
async def listening(service: Service) -> AsyncIterator[None]:
    """Take commands on the socket for as long as the context lasts."""
    name = socket_path(service.database)
    if not name:
        yield
        return
    _clear(name)
    mask = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(lambda r, w: _serve(service, r, w), name, limit=MAX_LINE)
    finally:
        os.umask(mask)
    try:
        yield
    finally:
        server.close()
        _clear(name)


def socket_path(database: Database) -> str:
    """Beside the file; none where commands and services reach the same database over the network, or where the path is
    longer than a socket's may be."""
    return socket_beside(database.path) if isinstance(database, Sqlite) else ""


def _clear(name: str) -> None:
    Path(name).unlink(missing_ok=True)


async def _serve(service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        uid = _peer(writer)
        if uid not in {0, os.getuid()}:
            raise Forbidden("This socket is for the service's own user.")
        asked = json.loads(await asyncio.wait_for(reader.readline(), PATIENCE))
        name, written = asked["command"], asked["arguments"]
        result = await service.write(
            lambda tx: carry_out_written(Operation(service, tx, operator_of(uid)), name, written)
        )
        answer = {"result": result}
    except ApprovalsError as error:
        answer = {"error": error.document()}
    except (ValueError, KeyError, TypeError, TimeoutError):
        answer = {"error": BadRequest("This command cannot be read.").document()}
    writer.write(json.dumps(answer).encode() + b"\n")
    with contextlib.suppress(OSError):
        await writer.drain()
    writer.close()


def _peer(writer: asyncio.StreamWriter) -> int:
    """The user id at the other end (Linux SO_PEERCRED); elsewhere the file mode has to do."""
    raw = writer.get_extra_info("socket")
    if not hasattr(socket, "SO_PEERCRED"):
        return os.getuid()
    _, uid, _ = struct.unpack("3i", raw.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(uid)


def operator_of(uid: int) -> Operator:
    """Name whoever has a user id on this machine."""
    try:
        return Operator(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return Operator(str(uid))
