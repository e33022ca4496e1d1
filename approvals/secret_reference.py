"""Secrets by reference: `file:PATH` is a file's text, `exec:COMMAND` what a command prints; else the value itself."""

import shlex
import subprocess
from pathlib import Path

from approvals.errors import NotConfigured

PATIENCE = 20


def resolve(value: str) -> str:
    """The secret that `value` names. Raises NotConfigured, never showing what was read."""
    kind, _, rest = value.partition(":")
    if kind == "file":
        return _read(rest)
    if kind == "exec":
        return _run(rest)
    return value


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NotConfigured(f"The secret file {path} cannot be read: {type(error).__name__}.") from error


def _run(command: str) -> str:
    try:
        words = shlex.split(command)
        done = subprocess.run(words, capture_output=True, timeout=PATIENCE, check=True, text=True)  # noqa: S603
    except (OSError, ValueError, IndexError, subprocess.SubprocessError) as error:
        name = command.split(" ", 1)[0]
        raise NotConfigured(f"The command {name} gave no secret: {type(error).__name__}.") from error
    return done.stdout.strip()
