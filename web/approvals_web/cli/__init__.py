"""The `approvals` command."""

import gc
import sys

INTERRUPTED = 130
"""What a shell says of a command that ctrl-C ended."""


def main() -> None:
    """Run it. Without the service's dependencies, say how to get them."""
    gc.set_threshold(100_000)  # nothing imported is garbage: looking for some takes a sixth of a command's time
    try:
        from approvals_web.cli.commands import run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("approvals"):
            raise
        sys.exit(f"The service is not installed ({error.name} is missing): pip install 'mcp-approvals[web]'")
    except KeyboardInterrupt:  # while it still imports
        sys.exit(INTERRUPTED)
    try:
        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
