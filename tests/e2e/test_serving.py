"""`approvals serve` and the other commands, as processes: what they print, refuse, keep secret and survive."""

import contextlib
import json
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time

import httpx2
import pytest

from approvals.protocol.messages import WIRE_HEADER, WIRE_VERSION
from support.processes import CLI, PATIENCE, clean_environment, free_port


def bearer(key):
    return {"Authorization": f"Bearer {key}", WIRE_HEADER: str(WIRE_VERSION)}


def register(installed, key):
    body = {"session": "session-0001", "tools": [{"name": "wipe", "input_schema": {"type": "object"}}]}
    answer = httpx2.put(f"{installed.url}/api/v1/servers/shop/tools", json=body, headers=bearer(key), trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer


def test_serve_says_where_everything_is_and_stops_cleanly_with_streams_open(installed):
    service = installed.serve()
    assert service.line("Review queue:") == f"Review queue: {installed.url}/"
    assert re.fullmatch(rf"Sign in: {installed.url}/setup\?t=[\w-]{{43}}", service.line("Sign in:"))
    server_key = installed.key("server", "add", "shop")
    agent_key = installed.key("agent", "add", "scout")
    register(installed, server_key)
    ann = installed.sign_in(service)
    for name in ("approvals.db", "approvals.db.sock", "approvals.db.key"):
        mode = stat.S_IMODE((installed.folder / name).stat().st_mode)
        assert mode == 0o600, f"{name} is {mode:o}"
    raw = b"".join(path.read_bytes() for path in installed.folder.glob("approvals.db*") if not path.is_socket())
    assert not [key for key in (server_key, agent_key) if key[-32:].encode() in raw]

    with contextlib.ExitStack() as streams:
        gate = streams.enter_context(httpx2.Client(headers=bearer(server_key), trust_env=False, timeout=20))
        opening = {"session": "session-0001", "waiting": []}
        url = f"{installed.url}/api/v1/requests/events"
        events = streams.enter_context(gate.stream("POST", url, json=opening))
        assert next(events.iter_lines()).startswith("event: lease")
        pokes = streams.enter_context(ann.stream("GET", "/events"))
        assert next(pokes.iter_lines()).startswith("event: hello")
        began = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - began < 5
    ann.close()
    assert not [line for line in service.lines if "Traceback" in line or "ERROR" in line]
    assert not (installed.folder / "approvals.db.sock").exists()


@pytest.mark.slow
def test_commands_work_with_and_without_a_running_service_and_are_on_record(installed):
    assert "newest schema" in installed.cli("migrate")
    assert stat.S_IMODE(installed.database.stat().st_mode) == 0o600
    first = installed.key("agent", "add", "scout", "--scopes", "shop/*")
    service = installed.serve()
    second = installed.key("agent", "rotate", "scout")
    server_key = installed.key("server", "add", "shop")
    verify = f"{installed.url}/api/v1/agents/verify"

    def whose(key):
        answer = httpx2.post(verify, json={"key": key}, headers=bearer(server_key), trust_env=False)
        return answer.json().get("agent")

    assert (whose(first), whose(second)) == ("scout", "scout")
    assert "2 keys revoked" in installed.cli("agent", "revoke", "scout")
    assert (whose(first), whose(second)) == (None, None)
    (listed,) = json.loads(installed.cli("agent", "list", "--json"))
    assert (listed["name"], listed["owners"], listed["state"]) == ("scout", "", "disabled")
    assert "shop" in installed.cli("server", "list")
    assert "/setup?t=" in installed.cli("user", "invite", "bob")
    assert "bob" not in installed.cli("user", "list")
    actors = {actor for (actor,) in installed.rows("SELECT actor FROM audit_event WHERE kind LIKE 'agent.%'")}
    assert all(actor.startswith("cli:") for actor in actors)
    assert service.stop() == 0


@pytest.mark.slow
def test_p5_a_command_says_whom_it_spoke_to_and_prints_the_running_services_address(installed, tmp_path):
    service = installed.serve(APPROVALS_PUBLIC_URL="https://approvals.example")
    spoken = f"Service: https://approvals.example (database {installed.database})"

    def both(*arguments, folder=installed.folder):
        command = [sys.executable, *CLI, *arguments]
        done = subprocess.run(
            command, cwd=folder, env=clean_environment(), capture_output=True, text=True, timeout=PATIENCE
        )
        return done.returncode, done.stdout, done.stderr

    code, said, beside = both("server", "add", "shop")
    assert (code, said.splitlines()[0]) == (0, "APPROVALS_URL=https://approvals.example")
    assert spoken in beside
    code, said, beside = both("user", "invite", "bob")
    assert said.startswith("https://approvals.example/setup?t=")
    assert spoken in beside

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    code, said, beside = both("freeze", folder=elsewhere)
    assert (code, said) == (1, "")
    assert f"There is no database {elsewhere / 'approvals.db'}." in beside
    assert list(elsewhere.iterdir()) == []
    assert both("freeze", "--database-url", f"sqlite:///{installed.database}", folder=elsewhere)[1].startswith(
        "All writes are frozen"
    )

    assert service.stop() == 0
    code, said, beside = both("user", "invite", "bob")
    assert said.startswith("https://approvals.example/setup?t=")  # where the service was reached last
    assert f"Database: {installed.database} (no running service answers for it)" in beside


@pytest.mark.slow
@pytest.mark.parametrize(("trusted", "recorded"), [("", "127.0.0.1"), ("127.0.0.1", "203.0.113.9")])
def test_p8_a_forwarded_address_goes_on_record_only_from_a_proxy_that_is_trusted(installed, trusted, recorded):
    service = installed.serve(APPROVALS_TRUSTED_PROXIES=trusted, FORWARDED_ALLOW_IPS="*")
    with installed.client() as anybody:
        form = {"t": service.line("Sign in:").partition("t=")[2], "name": "ann", "password": "correct horse battery"}
        said = anybody.post("/setup", data=form, headers={"X-Forwarded-For": "203.0.113.9"})
    assert said.status_code == 303, said.text
    assert installed.rows("SELECT address FROM web_session") == [(recorded,)]
    assert service.stop() == 0


ONE, *OTHERS = (
    (("server", "rotate", "bank"), {}, "no live installation"),
    (("agent", "add", ""), {}, "name"),
    (("user", "invite", "bob", "--roles", "king"), {}, "Unknown roles"),
    (("server", "add", "shop", "--assurance", "total"), {}, "enforced or cooperative"),
    (("migrate",), {"APPROVALS_DATABASE_URL": "mysql://x:secret@localhost/db"}, "sqlite:///"),
    (("migrate",), {"APPROVALS_DATABASE_URL": "postgresql://x:secret@localhost:1/db"}, "cannot be reached"),
    (("serve",), {"APPROVALS_DATABASE_URL": "sqlite:////nowhere/at/all.db"}, "no folder"),
    (("serve",), {"APPROVALS_POLICY": "policy.yaml"}, "cannot be read: No such file"),
    (("migrate",), {"APPROVALS_SECRET_KEY": "file:/nowhere"}, ""),
)


@pytest.mark.parametrize(
    ("arguments", "environment", "complaint"), [ONE, *(pytest.param(*case, marks=pytest.mark.slow) for case in OTHERS)]
)
def test_a_bad_command_gets_one_clear_line(installed, arguments, environment, complaint):
    if not complaint:
        installed.cli(*arguments, **environment)
        arguments, complaint = ("agent", "list"), "/nowhere"
    elif arguments[0] not in {"serve", "migrate"}:
        installed.cli("migrate")
    said = installed.cli(*arguments, code=1, **environment)
    assert complaint in said
    assert "secret@" not in said
    assert "Traceback" not in said
    assert "secret@" not in said


@pytest.mark.slow
def test_a_second_service_a_taken_port_and_a_foreign_key_are_refused(installed):
    service = installed.serve()
    second = installed.start((*CLI, "serve", "--port", str(free_port())))
    second.line("approvals: Another process already serves")
    assert second.wait() == 1
    elsewhere = installed.start((*CLI, "serve", "--port", str(installed.port), "--database-url", "sqlite:///other.db"))
    elsewhere.line(f"approvals: Port {installed.port} of 127.0.0.1 cannot be used")
    assert elsewhere.wait() == 1
    assert service.stop() == 0
    foreign = installed.start((*CLI, "serve"), APPROVALS_SECRET_KEY="another key, as long as it should be")
    foreign.line("approvals: This database belongs to another APPROVALS_SECRET_KEY")
    assert foreign.wait() == 1


@pytest.mark.slow
def test_p8_audit_verify_finds_what_was_changed_or_cut_off(installed):
    installed.cli("migrate")
    installed.key("agent", "add", "scout")
    service = installed.serve()
    service.line('{"audit_head"')
    assert service.stop() == 0
    said = installed.cli("audit", "verify")
    head = re.search(r"Head: (\S+)", said)[1]
    assert said.startswith("Intact:")
    assert "Intact" in installed.cli("audit", "verify", "--head", head)
    exported = [json.loads(line) for line in installed.cli("audit", "export").splitlines()]
    assert exported[0]["kind"]
    assert [event["id"] for event in exported] == sorted(event["id"] for event in exported)

    connection = sqlite3.connect(installed.database)
    with pytest.raises(sqlite3.IntegrityError, match="append"):
        connection.execute("UPDATE audit_event SET actor = 'nobody'")
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("UPDATE audit_event SET actor = 'nobody' WHERE id = 2")
    connection.commit()
    broken = installed.cli("audit", "verify", code=1)
    connection.execute("DELETE FROM audit_link")
    connection.execute("DELETE FROM audit_event")
    connection.commit()
    connection.close()
    cut = installed.cli("audit", "verify", "--head", head, code=1)
    named = f"Database: {installed.database}\n"
    assert broken == cut == named  # findings are results: they go to standard output


@pytest.mark.slow
def test_what_it_logs_is_json_whoever_says_it(installed):
    service = installed.serve(APPROVALS_AGENT_KEY="mcpa_x", APPROVALS_LOG_LEVEL="info")
    with socket.create_connection(("127.0.0.1", installed.port), 10) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        connection.recv(1000)
    service.line('{"level": "WARNING", "logger": "uvicorn.error", "message": "Invalid HTTP request received."')
    assert service.stop() == 0
    others = ("Review queue:", "Sign in:", '{"audit_head"')
    logged = [json.loads(line) for line in service.lines if not line.startswith(others)]
    assert {line["logger"] for line in logged} == {"approvals", "uvicorn.error"}
    assert all({"time", "level", "message"} <= set(line) for line in logged)
    complaint = installed.start((*CLI, "serve"), APPROVALS_LOG="xml")
    complaint.line("approvals: APPROVALS_LOG is 'xml'")
    assert complaint.wait() == 1


@pytest.mark.slow
def test_a_client_that_says_nonsense_to_the_local_socket_harms_nothing(installed):
    service = installed.serve()
    for nonsense in (b"\n", b"[]\n", b'{"command": "drop"}\n', b'{"command": "AddAgent", "arguments": {"x": 1}}\n'):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(installed.folder / "approvals.db.sock"))
            connection.sendall(nonsense)
            assert "error" in json.loads(connection.makefile().readline())
    installed.key("agent", "add", "scout")
    assert service.stop() == 0


@pytest.mark.slow
def test_p5_a_service_whose_key_is_gone_says_so_and_makes_no_other(installed):
    installed.cli("migrate")
    installed.key("agent", "add", "scout")
    key = installed.folder / "approvals.db.key"
    key.unlink()
    for command in (("serve",), ("migrate", "--restored"), ("agent", "list")):
        assert f"The database's key is not where it should be, in {key}" in installed.cli(*command, code=1)
    assert not key.exists()


@pytest.mark.slow
@pytest.mark.parametrize(("ignored", "ends"), [(False, True), (True, False)], ids=["by itself", "under nohup"])
def test_p4_a_terminal_that_closes_ends_the_service_cleanly_unless_it_was_started_to_outlive_it(
    installed, ignored, ends
):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        service = installed.serve()
    finally:
        signal.signal(signal.SIGHUP, before)
    service.process.send_signal(signal.SIGHUP)
    if ends:
        assert service.wait() == 0
    else:
        assert httpx2.get(f"{installed.url}/healthz", trust_env=False).status_code == 200
        assert service.stop() == 0
    assert not (installed.folder / "approvals.db.sock").exists()


def test_p5_serve_says_a_misspelt_setting(installed):
    service = installed.serve(APPROVALS_AGENT_MINUT="5")
    assert service.stop() == 0
    assert any("Did you mean APPROVALS_AGENT_MINUTE?" in line for line in service.lines)
