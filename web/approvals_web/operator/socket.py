"""What an operator may do from the command line, and the local socket (mode 0600) over which a serving process does it.

While `serve` runs, commands go through its socket, so that it knows at once; else they write the database themselves
(`approvals_web.operator.reach`). Both run the same functions; the audit event names the operating-system user.
"""

import asyncio
import contextlib
import json
import os
import pwd
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from approvals.errors import (
    ApprovalsError,
    BadRequest,
    Forbidden,
    Invalid,
)
from approvals.instant import to_datetime
from approvals.protocol.registration import Assurance
from approvals.service.identity import credentials, key_lifetimes, servers, sign_in_links, users
from approvals.service.service import Service
from approvals.service.storage.database import Database, Transaction
from approvals.service.storage.sqlite import Sqlite
from approvals.service.storage.tables import Installation, User
from approvals_web.operator import controls, grants, offers
from approvals_web.operator import users as user_control
from approvals_web.operator.agents import AGENT_COMMANDS
from approvals_web.operator.client import PATIENCE, socket_beside
from approvals_web.setting_values import address as origin

MAX_LINE = 65_536

Command = Callable[..., Any]


def server_add(
    s: Service,
    tx: Transaction,
    actor: str,
    name: str,
    label: str,
    assurance: str,
    trusted: bool,
    expires: str = key_lifetimes.NEVER,
) -> Any:
    known = {item.value: item for item in Assurance}
    if assurance not in known:
        raise Invalid(f"{assurance!r} is no assurance.", hint="enforced or cooperative")
    return servers.add_server(
        tx, actor, name, label=label, assurance=known[assurance], trusted=trusted, life=key_lifetimes.seconds(expires)
    )


def server_list(s: Service, tx: Transaction, actor: str) -> Any:
    return [_listed(tx, row) for row in servers.installations(tx)]


def server_rotate(s: Service, tx: Transaction, actor: str, name: str, label: str) -> Any:
    return servers.rotate(tx, actor, "installation", servers.installation_named(tx, name, label))


def server_revoke(s: Service, tx: Transaction, actor: str, name: str, label: str) -> Any:
    return servers.revoke(tx, actor, "installation", servers.installation_named(tx, name, label))


def user_list(s: Service, tx: Transaction, actor: str) -> Any:
    return [
        {"handle": row.handle or row.id, "name": row.name, "roles": row.roles, "groups": row.groups}
        | {"claimed_groups": ", ".join(row.claimed_groups.splitlines())}
        | _times(row)
        for row in users.everyone(tx)
    ]


def user_invite(s: Service, tx: Transaction, actor: str, name: str, roles: str) -> Any:
    """A link for a new account, or for an existing one to sign in with."""
    users.check_roles(roles)
    user = users.by_sign_in_name(tx, name)
    if user is None:
        users.check_free(tx, name)
    else:
        return _link(s, sign_in_links.make(tx, actor, "sign_in", user_id=user.id))
    return _link(s, sign_in_links.make(tx, actor, "invite", name=name, roles=roles))


def user_disable(s: Service, tx: Transaction, actor: str, name: str) -> Any:
    users.disable(tx, users.require_user(tx, name).id, actor)
    return name


def user_setup(s: Service, tx: Transaction, actor: str, demo: bool) -> Any:
    """The one-time link that `serve` prints: for the first account, or on demand for the first admin."""
    if not users.count(tx):
        return _link(s, sign_in_links.make(tx, actor, "setup", roles=users.FIRST_ROLES))
    admins = [row for row in users.everyone(tx) if row.disabled_at is None and "admin" in row.roles.split()]
    if not demo or not admins:
        return None
    return _link(s, sign_in_links.make(tx, actor, "sign_in", user_id=admins[0].id))


def address_of(service: Service) -> str:
    """Where people reach the service. Raises Invalid where it is told; what tells nobody, such as a freeze, goes on."""
    return origin("APPROVALS_PUBLIC_URL", service.public_url)


def address(s: Service, tx: Transaction, actor: str) -> Any:
    return s.public_url


def erase(s: Service, tx: Transaction, actor: str, request_id: str) -> Any:
    s.erasures.contents(tx, request_id, actor, "erased on demand")
    return request_id


def withdraw(s: Service, tx: Transaction, actor: str, request_id: str, reason: str) -> Any:
    s.withdrawals.by_operator(tx, request_id, actor, reason)
    return request_id


COMMANDS: dict[str, Command] = {
    **user_control.COMMANDS,
    "server add": server_add,
    "server list": server_list,
    "server rotate": server_rotate,
    "server revoke": server_revoke,
    "user list": user_list,
    "user invite": user_invite,
    "user disable": user_disable,
    "erase": erase,
    "withdraw": withdraw,
    "address": address,
    **grants.COMMANDS,
    **offers.COMMANDS,
    **controls.COMMANDS,
    **AGENT_COMMANDS,
}


def close_restored(service: Service) -> Counter[str]:
    """Let nothing that was open when the back-up was made lead to an execution. Raises Unavailable while a service
    runs on this SQLite file; on PostgreSQL whoever restores has to know."""
    database, became = service.database, Counter[str]()
    with database.only_process() if isinstance(database, Sqlite) else contextlib.nullcontext():
        database.write_now(service.check_key)
        database.write_now(lambda tx: service.restorations.record(tx, actor_of(os.getuid())))
        while closed := database.write_now(service.restorations.close):
            became += closed
        service.link_now()
    return became


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
        command, arguments = asked["command"], asked["arguments"]
        result = await service.write(lambda tx: run(service, tx, command, actor_of(uid), arguments))
        answer = {"result": result}
    except ApprovalsError as error:
        answer = {"error": error.document()}
    except (ValueError, KeyError, TypeError, TimeoutError):
        answer = {"error": BadRequest("This command cannot be read.").document()}
    writer.write(json.dumps(answer).encode() + b"\n")
    with contextlib.suppress(OSError):
        await writer.drain()
    writer.close()


def run(service: Service, tx: Transaction, command: str, actor: str, arguments: dict[str, Any]) -> Any:
    if command not in COMMANDS:
        raise BadRequest(f"There is no command {command!r}.", hint="Is the running service of an older version?")
    return COMMANDS[command](service, tx, actor, **arguments)


def _peer(writer: asyncio.StreamWriter) -> int:
    """The user id at the other end (Linux SO_PEERCRED); elsewhere the file mode has to do."""
    raw = writer.get_extra_info("socket")
    if not hasattr(socket, "SO_PEERCRED"):
        return os.getuid()
    _, uid, _ = struct.unpack("3i", raw.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(uid)


def actor_of(uid: int) -> str:
    try:
        return f"cli:{pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"cli:{uid}"


def _link(service: Service, token: str) -> str:
    """Raises Invalid where links would lead nowhere."""
    return f"{address_of(service)}/setup?t={token}"


def _listed(tx: Transaction, row: Installation) -> dict[str, Any]:
    names = ("server", "label", "assurance")
    keys = credentials.live(tx, "installation", row.id)
    used = [key.last_used_at for key in keys if key.last_used_at]
    last = to_datetime(max(used)).isoformat(timespec="seconds") if used else ""
    return {name: getattr(row, name) for name in names} | {"keys": len(keys), "last used": last} | _times(row)


def _times(row: User | Installation) -> dict[str, Any]:
    since = to_datetime(row.created_at).isoformat(timespec="seconds")
    return {"since": since, "state": "disabled" if row.disabled_at else "live"}
