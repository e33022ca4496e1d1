"""The `approvals` command."""

import sys


def main() -> None:
    """Run it. Without the service's dependencies, say how to get them."""
    try:
        from approvals_web.cli.commands import run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("approvals"):
            raise
        sys.exit(f"The service is not installed ({error.name} is missing): pip install 'mcp-approvals[web]'")
    run()
