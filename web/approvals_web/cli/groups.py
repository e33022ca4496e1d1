"""Groups of commands whose module is imported when one of them is used: `approvals freeze` need not import the policy
compiler."""

from functools import cached_property
from importlib import import_module

import typer
from typer._click import Command, Context
from typer.core import TyperGroup


def loaded_on_use(module: str) -> type[TyperGroup]:
    """A group of the commands of `module.app`."""

    class Group(TyperGroup):
        @cached_property
        def _commands(self) -> TyperGroup:
            return typer.main.get_group(import_module(module).app)

        def list_commands(self, ctx: Context) -> list[str]:
            return self._commands.list_commands(ctx)

        def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
            return self._commands.get_command(ctx, cmd_name)

    return Group
