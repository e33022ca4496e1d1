"""The TypeScript SDKs' clients, installed once for each lock into the user's cache, each call a process of its own."""

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from support.processes import clean_environment, missing

SOURCES = Path(__file__).parents[1] / "typescript"
NPM = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error")


def installed(sources: Path = SOURCES) -> Path:
    """A folder with the clients and what they import. Skips the test where that cannot be had; fails it where nothing
    may be missing."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        missing("node or npm is missing: apt-get install nodejs npm")
    files = sorted(path for path in sources.iterdir() if path.is_file())
    names = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mcp-approvals-tests"
    folder = cache / names
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=cache))
        shutil.copytree(sources, fresh, dirs_exist_ok=True)
        done = subprocess.run((str(npm), *NPM), cwd=fresh, capture_output=True, text=True, timeout=180)
        if done.returncode != 0:
            shutil.rmtree(fresh)
            missing(f"npm could not install the TypeScript clients: {done.stderr[-500:]}")
        try:
            fresh.rename(folder)
        except OSError:  # another worker was first
            shutil.rmtree(fresh)
    return folder


async def call(client: str, **options: Any) -> dict[str, Any]:
    """What one client's process prints of its one call."""
    answer: dict[str, Any] = json.loads(
        await _printed("node", f"{client}.mjs", json.dumps(options), folder=installed())
    )
    return answer


async def _printed(*command: str, folder: Path) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()
    return out


async def inspect(url: str, key: str, tool: str, arguments: dict[str, Any]) -> str:
    """What Inspector's command line prints of one call."""
    given = [part for name, value in arguments.items() for part in ("--tool-arg", f"{name}={json.dumps(value)}")]
    call = ("--transport", "http", "--header", f"Authorization: Bearer {key}", "--method", "tools/call")
    command = ("node", "index.js", url, *call, "--tool-name", tool, *given)
    build = installed() / "node_modules/@modelcontextprotocol/inspector-cli/build"
    return (await _printed(*command, folder=build)).decode()  # elsewhere it does not find its own package.json


def version(package: str) -> str:
    """Of what is installed."""
    found = json.loads((installed() / "node_modules" / package / "package.json").read_bytes())
    return str(found["version"])
