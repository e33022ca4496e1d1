"""The effective arguments of a call to somebody else's tool: what was sent. Its own schema says what fits."""

from collections.abc import Mapping
from typing import Any

from approvals.errors import Invalid
from approvals.gate.arguments import Effective
from approvals_server.proxy.schemas import Unchecked, misfit


class SchemaArguments(Effective):
    """Arguments that a JSON Schema describes. Defaults are the upstream's to fill in."""

    def __init__(self, schema: Mapping[str, Any], arguments: dict[str, Any], *, task: bool = False) -> None:
        super().__init__(arguments)
        self._schema = schema
        self._task = task

    def settle(self) -> None:
        """Raise Invalid for a call that cannot wait."""
        if self._task:
            raise Invalid("A call that waits for a person cannot be a task.", hint="Call it without `task`.")

    async def check(self) -> None:
        """Raise Invalid for what does not fit the schema: no person is asked about a call that cannot run, nor about
        one of which nobody can say whether it can."""
        try:
            problem = await misfit(self._schema, self.shown)
        except Unchecked as error:
            hint = "Tell the upstream server's author; without an approval it is not called."
            raise Invalid(f"{error}, so nobody was asked.", hint=hint) from error
        if problem:
            raise Invalid(f"Invalid arguments. {problem}", hint="Correct them.")
