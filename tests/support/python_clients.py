"""Python clients that people have, in an environment of their own (their pins are not ours), made once for each lock in
the user's cache."""

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from support.processes import clean_environment, missing

SOURCES = Path(__file__).parents[1] / "clients"
LOCK = SOURCES / "requirements.lock"
UV = (sys.executable, "-m", "uv")


def installed(lock: Path = LOCK) -> Path:
    """The environment's Python. Skips the test where it cannot be had; fails it where nothing may be missing."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mcp-approvals-tests"
    made = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = cache / f"clients-{made}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=cache))
        _run(fresh, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(fresh / "env"))
        python = ("--python", str(fresh / "env" / "bin" / "python"))
        _run(fresh, "pip", "install", "--quiet", "--require-hashes", *python, "-r", str(lock))
        with contextlib.suppress(OSError):  # another worker was first
            (fresh / "env").rename(folder)
        shutil.rmtree(fresh)
    return folder / "bin" / "python"


def _run(folder: Path, *command: str) -> None:
    done = subprocess.run((*UV, *command), capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        shutil.rmtree(folder)
        missing(f"uv could not install the Python clients: {done.stderr[-500:]}")


class Talk:
    """A client's process, which makes one call after the other."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def read(self, tool: str, arguments: dict[str, Any]) -> Any:
        """What the model reads of one call."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"tool": tool, "arguments": arguments}).encode() + b"\n")
        return await self.said()

    async def said(self) -> Any:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, "the client ended; its standard error says why"
        return json.loads(line)


@contextlib.asynccontextmanager
async def talking(script: str, url: str, key: str) -> AsyncIterator[Talk]:
    process = await asyncio.create_subprocess_exec(
        str(installed()),
        str(SOURCES / script),
        json.dumps({"url": url, "key": key}),
        env=clean_environment(NO_PROXY="127.0.0.1", OPENAI_AGENTS_DISABLE_TRACING="1"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Talk(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(20):
                await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
