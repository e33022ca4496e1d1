"""`approvals-proxy wrap FILE` and `unwrap FILE`: show what would change, change it when told to, and keep a copy."""

import argparse
import os
import sys
from pathlib import Path

from approvals.errors import ApprovalsError
from approvals_server.proxy import client_files


def main(verb: str, words: list[str]) -> str | None:
    """None, or what went wrong."""
    parser = argparse.ArgumentParser(prog=f"approvals-proxy {verb}", description=__doc__)
    parser.add_argument("file", type=Path, help="an MCP client's own, such as .mcp.json")
    parser.add_argument("--yes", action="store_true", help="change it; without, only show how")
    if verb == "wrap":
        url = os.environ.get("APPROVALS_URL", "http://127.0.0.1:8700")
        parser.add_argument("--url", default=url, help="of the approval service")
        parser.add_argument(
            "--keys", type=Path, default=client_files.KEYS, help="the folder with the keys, a file each"
        )
    asked = parser.parse_args(words)
    try:
        document, before = client_files.read(asked.file)
        if verb == "wrap":
            changed = client_files.wrapped(document, asked.url, asked.keys.absolute())
        else:
            changed = client_files.unwrapped(document)
        _tell(asked, before, client_files.written(changed, before) if changed != document else before)
        if verb == "wrap":
            _say_keys(client_files.names(changed), asked.keys.absolute())
    except ApprovalsError as error:
        return f"approvals-proxy: {error.detail} {error.hint}".strip()
    return None


def _tell(asked: argparse.Namespace, before: str, after: str) -> None:
    if after == before:
        _say("Nothing to change.")
        return
    _say(client_files.difference(before, after, asked.file))
    if asked.yes:
        _say(f"Changed. As it was: {client_files.save(asked.file, after)}")
    else:
        _say("Not changed yet: say --yes.")


def _say_keys(servers: list[str], keys: Path) -> None:
    missing = [name for name in ("agent", *servers) if not (keys / f"{name}.key").exists()]
    if missing:
        files = ", ".join(f"{name}.key" for name in missing)
        _say(f"Keys that are not in {keys} yet: {files}.")
        _say("`approvals server add NAME` and `approvals agent add NAME` make them; mode 0600.")


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
