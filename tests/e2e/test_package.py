"""The built wheel, installed into empty environments, used from a folder that has a server.py of its own."""

import subprocess
import sys
import zipfile
from pathlib import Path

import httpx2
import pytest

from support.processes import Child, clean_environment, free_port

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


def run(*command, cwd, code=0):
    done = subprocess.run(command, cwd=cwd, env=clean_environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def environment(folder, wheel, extra=""):
    """An environment with the wheel, at the locked versions."""
    run(str(UV), "venv", "--quiet", "--python", sys.executable, str(folder), cwd=folder.parent)
    python = folder / "bin" / "python"
    wanted = f"mcp-approvals{extra} @ {wheel.as_uri()}"
    install = ("pip", "install", "--quiet", "--python", str(python), "--no-verify-hashes")
    run(str(UV), *install, "-c", str(ROOT / "requirements.lock"), wanted, cwd=folder.parent)
    return python


@pytest.fixture
def foreign(tmp_path):
    """Somebody's own project, with names that ours must not shadow or be shadowed by."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("server.py", "web.py", "alembic.py"):
        (folder / name).write_text("raise SystemExit('imported by mistake')\n")
    return folder


def test_the_wheel_holds_the_three_packages_the_migrations_and_the_pages(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {
        "approvals",
        "approvals_server",
        "approvals_web",
    }
    for part in ("approvals/migrations/versions/0001", "approvals_web/templates/card.html", "approvals/py.typed"):
        assert any(name.startswith(part) for name in names), part


GATE = """
import sys
from approvals import Approval, ApprovalsError, Budgets, Gate, GatedServer, GateSettings, current_request_id
GatedServer("mine")
loaded = sorted({name.partition(".")[0] for name in sys.modules} & {"fastapi", "sqlmodel", "sqlalchemy", "slack_sdk"})
assert not loaded, loaded
print("gate ready")
"""


def test_without_extras_it_is_the_gate_alone(wheel, tmp_path, foreign):
    python = environment(tmp_path / "venv", wheel)
    assert "gate ready" in run(str(python), "-c", GATE, cwd=foreign)
    installed = run(str(UV), "pip", "list", "--python", str(python), cwd=foreign)
    assert not [name for name in ("fastapi", "sqlmodel", "slack", "alembic") if name in installed]
    said = run(str(python.with_name("approvals")), "serve", cwd=foreign, code=1)
    assert "pip install 'mcp-approvals[web]'" in said
    asked = run(str(python.with_name("approvals-postgres")), "init", cwd=foreign, code=1)
    assert "pip install 'mcp-approvals[postgres]'" in asked
    assert "0." in run(str(python.with_name("approvals-shop")), "--version", cwd=foreign)


def test_with_web_it_migrates_and_serves_from_a_foreign_folder(wheel, tmp_path, foreign):
    python = environment(tmp_path / "venv", wheel, "[web]")
    approvals = str(python.with_name("approvals"))
    assert "newest schema" in run(approvals, "migrate", cwd=foreign)
    port = free_port()
    service = Child((approvals, "serve", "--port", str(port)), foreign, {})
    try:
        service.line("Review queue:")
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            assert http.get("/healthz").status_code == 200
            login = http.get("/login").text
            (script_address,) = [part.split('"')[0] for part in login.split('<script src="')[1:]]
            assert http.get(script_address).status_code == 200
    finally:
        service.stop()
