"""The effective arguments of a call to somebody else's tool: what was sent. Its own schema says what fits."""

from collections.abc import Mapping
from typing import Any

from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import validator_for
from referencing import Registry

from approvals.errors import Invalid
from approvals.gate.arguments import Effective


class SchemaArguments(Effective):
    """Arguments that a JSON Schema describes. Defaults are the upstream's to fill in."""

    def __init__(self, schema: Mapping[str, Any], arguments: dict[str, Any], *, task: bool = False) -> None:
        super().__init__(arguments)
        self._schema = schema
        self._task = task

    def settle(self) -> None:
        """Raise Invalid for what does not fit the schema: no person is asked about a call that cannot run, nor about
        one of which nobody can say whether it can."""
        if self._task:
            raise Invalid("A call that waits for a person cannot be a task.", hint="Call it without `task`.")
        try:
            kind = validator_for(self._schema)
            problem = best_match(kind(self._schema, registry=Registry()).iter_errors(self.shown))
        except Exception as error:  # whatever somebody else's schema makes of the library
            raise Invalid(
                f"The tool's input schema cannot be evaluated ({type(error).__name__}), so nobody was asked.",
                hint="Tell the upstream server's author; without an approval it is not called.",
            ) from error
        if problem is not None:
            raise Invalid(f"Invalid arguments. {_place(problem)}{problem.message[:500]}", hint="Correct them.")


def _place(problem: ValidationError) -> str:
    path = ".".join(map(str, problem.absolute_path))
    return f"{path}: " if path else ""
