"""What every command's message has: what it asks for, as JSON on the local socket, and what comes of it.

A command that speaks to a running service imports these messages and no more; what each does is in the module of the
same name beside this package.
"""

from dataclasses import fields
from typing import Generic, TypeVar, cast, get_args

from pydantic import TypeAdapter

R = TypeVar("R", covariant=True)


class Ask(Generic[R]):
    """Something that an operator wants done; R is what comes of it."""

    @classmethod
    def result(cls) -> TypeAdapter[R]:
        """The result's type, to write one as JSON and read it again."""
        bases: tuple[type, ...] = cls.__orig_bases__  # type: ignore[attr-defined]
        return TypeAdapter(get_args(bases[0])[0])

    def written(self) -> dict[str, object]:
        """The message's fields as JSON."""
        return cast(dict[str, object], TypeAdapter(type(self)).dump_python(self, mode="json"))

    @classmethod
    def read(cls, written: object) -> "Ask[R]":
        """Read a message from JSON. Raises TypeError or ValueError for what is not its JSON."""
        if not isinstance(written, dict):
            raise TypeError("no object")
        unknown = written.keys() - {one.name for one in fields(cls)}  # type: ignore[arg-type]
        if unknown:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        return TypeAdapter(cls).validate_python(written)
