"""PgBouncer in transaction mode before a database, with fewer connections than its clients want."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from support.processes import PATIENCE, free_port

SERVERS = 3
CONFIGURATION = """
[databases]
* = host={host} user={user}
[pgbouncer]
pool_mode = transaction
default_pool_size = {servers}
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
logfile = {folder}/log
"""


@contextlib.contextmanager
def pooled(url: str) -> Iterator[str]:
    """The URL of the same database through a pooler. Skips the test where there is none, unless none may be missing."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        if os.environ.get("APPROVALS_TEST_REQUIRE_ALL"):
            pytest.fail("pgbouncer is missing")
        pytest.skip("no pgbouncer here: apt-get install pgbouncer")
    known, port = psycopg.conninfo.conninfo_to_dict(url), free_port()
    with tempfile.TemporaryDirectory(prefix="approvals-tests-") as name:
        folder = Path(name)
        configuration = folder / "pgbouncer.ini"
        facts = {"host": known["host"], "user": known["user"], "servers": SERVERS, "port": port, "folder": folder}
        configuration.write_text(CONFIGURATION.format(**facts))
        user = _user(folder, str(known["host"]))
        process = subprocess.Popen([program, "--quiet", configuration], user=user, cwd=folder)
        try:
            through = f"postgresql://{known['user']}@127.0.0.1:{port}/{known['dbname']}"
            _until_it_answers(through, process)
            yield through
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _user(folder: Path, socket: str) -> int | None:
    """It refuses to be root: then whoever PostgreSQL runs as."""
    if os.geteuid() != 0:
        return None
    user = next(path.stat().st_uid for path in Path(socket).glob(".s.PGSQL.*") if path.is_socket())
    for path in (folder, *folder.iterdir()):
        os.chown(path, user, pwd.getpwuid(user).pw_gid)
    return user


def _until_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url, connect_timeout=2):
            return
    pytest.fail("pgbouncer does not answer")
