"""The `approvals` command."""

from typer.testing import CliRunner

from approvals_web.cli.commands import app


def test_help_introduces_the_product():
    said = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())
    assert "Human approval for AI agents: a tool that writes waits until a person lets it." in said
    assert "approvals serve --demo" in said
