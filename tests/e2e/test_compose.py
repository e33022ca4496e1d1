"""docker-compose.yml without Docker: the same commands, environment, secrets and health checks, at local addresses."""

import contextlib
import re
import shlex
import shutil
import stat
import subprocess
import sys
import time
import uuid
from pathlib import Path

import anyio
import httpx2
import psycopg
import pytest
import yaml
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from approvals_server.postgres.grants import script
from support.balancer import balanced
from support.processes import PATIENCE, Child, Installed, clean_environment, free_port

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
BALANCER = (ROOT / "haproxy.cfg").read_text()
SERVERS = {"shop": "8701", "approvals-postgres": "8704"}
REPLICAS = re.findall(r"^ *server (\S+) \1:8700$", BALANCER, re.MULTILINE)


def make_secrets(folder):
    command = ["make", "-s", "-f", ROOT / "Makefile", "secrets"]
    subprocess.run(command, cwd=folder, env=clean_environment(), check=True)
    return {path.name: path.read_text() for path in (folder / "secrets").iterdir()}


class Composed:
    """The services of docker-compose.yml as processes in one folder, PostgreSQL and the balancer apart."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in (*REPLICAS, *SERVERS)}
        self.children: dict[str, Child] = {}
        self.url = ""

    def start(self, name: str) -> Child:
        self.children[name] = child = Child(self.command(SERVICES[name]["command"]), *self.where(name))
        return child

    def run(self, name: str, *command: str) -> str:
        """As `docker compose exec` would."""
        folder, environment = self.where(name)
        done = subprocess.run(
            self.command(command),
            cwd=folder,
            env=clean_environment(**environment),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def until_healthy(self, name: str) -> None:
        kind, *test = SERVICES[name]["healthcheck"]["test"]
        assert kind == "CMD"
        test = [re.sub("870[014]", str(self.ports[name]), part) for part in test]
        deadline = time.monotonic() + PATIENCE
        while subprocess.run([sys.executable, *test[1:]], capture_output=True, timeout=PATIENCE).returncode:
            assert time.monotonic() < deadline, f"{name} is not healthy:\n" + "\n".join(self.children[name].lines)

    def where(self, name: str) -> tuple[Path, dict[str, str]]:
        """A folder with the secrets that this service is given, and its environment."""
        service, folder = SERVICES[name], self.folder / name
        (folder / "secrets").mkdir(parents=True, exist_ok=True)
        for secret in service.get("secrets", []):
            shutil.copy(self.folder / COMPOSE["secrets"][secret]["file"], folder / "secrets" / secret)
        environment = {key: self.local(value, folder) for key, value in service["environment"].items()}
        near = {"APPROVALS_HOST": "127.0.0.1", "APPROVALS_PORT": str(self.ports[name])}  # the image's own, but local
        return folder, environment | (near if name in REPLICAS else {})

    def command(self, words) -> tuple[str, ...]:
        program, *arguments = words
        places = arguments
        for server, port in SERVERS.items():
            places = [part.replace(f"0.0.0.0:{port}", f"127.0.0.1:{self.ports[server]}") for part in places]
        return (str(Path(sys.executable).with_name(program)), *places)

    def local(self, value: str, folder: Path) -> str:
        default = re.sub(r"\$\{\w+:-(.*)\}", r"\1", value)
        for there, here in (
            ("file:/run/secrets/", f"file:{folder}/secrets/"),
            ("sqlite:////data/", f"sqlite:///{folder}/"),
            ("http://balancer:8700", self.url),
            ("http://127.0.0.1:8700", self.url),
        ):
            default = default.replace(there, here)
        return default

    def close(self) -> None:
        for child in self.children.values():
            child.kill()


@pytest.fixture
def composed(tmp_path, postgres):
    make_secrets(tmp_path)
    made = Composed(tmp_path)
    with postgres.database(migrated=False) as url, balanced(*(made.ports[name] for name in REPLICAS)) as made.url:
        (tmp_path / "secrets" / "database_url").write_text(url + "\n")
        yield made
        made.close()


def test_secrets_are_made_once_in_a_folder_that_is_nobody_elses(tmp_path):
    first = make_secrets(tmp_path)
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o644 for path in (tmp_path / "secrets").iterdir())
    given = {"shop_server_key", "postgres_server_key", "postgres_read_url", "postgres_write_url"}
    assert set(first) | given == set(COMPOSE["secrets"])
    assert len(first["secret_key"]) == len(first["postgres_password"]) == 64
    user = SERVICES["postgres"]["environment"]["POSTGRES_USER"]
    assert first["database_url"].strip() == f"postgresql://{user}:{first['postgres_password']}@postgres/{user}"
    assert make_secrets(tmp_path) == first


def test_nothing_is_published_beyond_this_machine_and_everything_is_locked_and_checked():
    assert len(REPLICAS) == 2
    for name, service in SERVICES.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert (service["read_only"], service["cap_drop"], service["restart"]) == (True, ["ALL"], "unless-stopped")
        assert service["healthcheck"]["test"][0] == "CMD", name
        given = re.findall(r"/run/secrets/(\w+)", str(service.get("environment", {})))
        assert set(given) == set(service.get("secrets", [])), name
    assert "ports" not in SERVICES["postgres"]


def test_the_image_has_no_build_tools_and_takes_no_secret_in():
    last = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    assert re.findall(r"^COPY (.*)$", last, re.MULTILINE) == ["--from=build /opt/venv /opt/venv"]
    assert "USER approvals" in last
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert ignored[0] == "*"
    assert not {"!secrets", "!."} & set(ignored)


@pytest.mark.slow
async def test_what_compose_starts_files_a_call_takes_a_decision_and_runs_the_tool(composed):
    for name in REPLICAS:
        await anyio.to_thread.run_sync(composed.start, name)
    for name in REPLICAS:
        await anyio.to_thread.run_sync(composed.until_healthy, name)
    made = composed.run("approvals-1", *documented("approvals server add"))
    (key,) = re.findall(r"^APPROVALS_SERVER_KEY=(.*)", made, re.MULTILINE)
    (composed.folder / "secrets" / "shop_server_key").write_text(key + "\n")
    agent_key = composed.run("approvals-2", "approvals", "agent", "add", "scout").strip().partition("=")[2]
    composed.start("shop")
    await anyio.to_thread.run_sync(composed.until_healthy, "shop")

    reviewer = Reviewer(composed)
    async with agent(f"http://127.0.0.1:{composed.ports['shop']}/mcp", agent_key) as client:
        assert (await call_approved(client, reviewer, 1042))["refunded_now_cents"] == 100
        composed.children["approvals-1"].kill()
        assert (await call_approved(client, reviewer, 1043))["refunded_now_cents"] == 100
    reviewer.browser.close()
    assert "Intact" in composed.run("approvals-2", "approvals", "audit", "verify")


@pytest.mark.slow
async def test_the_profile_of_a_database_serves_its_reads_and_waits_with_its_writes(composed, postgres):
    await anyio.to_thread.run_sync(composed.start, REPLICAS[0])
    await anyio.to_thread.run_sync(composed.until_healthy, REPLICAS[0])
    made = composed.run(REPLICAS[0], *documented("approvals server add postgres"))
    (key,) = re.findall(r"^APPROVALS_SERVER_KEY=(.*)", made, re.MULTILINE)
    agent_key = composed.run(REPLICAS[0], "approvals", "agent", "add", "scout").strip().partition("=")[2]
    with postgres.database(migrated=False) as url, contextlib.ExitStack() as stack:
        roles = [f"{kind}_{uuid.uuid4().hex[:8]}" for kind in ("read", "write")]
        made = script(*roles, ["public"], [("public", "note")])
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute("CREATE TABLE note (id int PRIMARY KEY, said text);" + made)
            stack.callback(postgres.run, f"DROP ROLE {roles[0]}, {roles[1]}")
        stack.callback(owned_by_nobody, url, roles)
        addresses = {
            f"postgres_{kind}_url": psycopg.conninfo.make_conninfo(url, user=role)
            for kind, role in zip(("read", "write"), roles, strict=True)
        }
        for secret, text in (addresses | {"postgres_server_key": key}).items():
            (composed.folder / "secrets" / secret).write_text(text + "\n")
        composed.start("approvals-postgres")
        await anyio.to_thread.run_sync(composed.until_healthy, "approvals-postgres")
        reviewer = Reviewer(composed)
        async with agent(f"http://127.0.0.1:{composed.ports['approvals-postgres']}/mcp", agent_key) as client:
            with anyio.fail_after(40):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(anyio.to_thread.run_sync, reviewer.approve, "INSERT INTO note")
                    answer = await client.call_tool("execute_write", {"sql": "INSERT INTO note VALUES (1, 'hello')"})
            assert answer.structured_content["rows"] == 1, answer.content
        reviewer.browser.close()
        composed.children["approvals-postgres"].kill()


def owned_by_nobody(url, roles):
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(f"DROP OWNED BY {', '.join(roles)}")


def documented(start: str) -> list[str]:
    """The command as the file's own comment has it."""
    words = re.search(rf"exec -T \S+ ({start}[^\\\n]*)", (ROOT / "docker-compose.yml").read_text())[1]
    return shlex.split(words)


class Reviewer(Installed):
    """Signed in through the balancer."""

    def __init__(self, composed: Composed) -> None:
        super().__init__(composed.folder)
        self.url = composed.url
        self.browser = self.sign_in(composed.children["approvals-1"])

    def approve_the_pending(self, order_id: int) -> None:
        self.approve(f" of order {order_id}<")

    def approve(self, words: str) -> None:
        request_id = self.listed(self.browser, words)
        assert self.decide(self.browser, request_id).status_code == 303


@contextlib.asynccontextmanager
async def agent(url, key):
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=60, trust_env=False)
    async with http, Client(streamable_http_client(url, http_client=http)) as client:
        yield client


async def call_approved(client, reviewer, order_id):
    with anyio.fail_after(40):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, reviewer.approve_the_pending, order_id)
            answer = await client.call_tool("refund_order", {"order_id": order_id, "amount_cents": 100})
    assert not answer.is_error, answer.content
    return answer.structured_content
