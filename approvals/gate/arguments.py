"""The effective arguments of a call: validated and defaulted by the tool's own model, nothing undeclared.

They are read once. The values that come out are what the tool gets; the JSON that stands for them is what people see
and what is digested; and what the caller said, without what the call made by itself, is what makes two calls the same.
"""

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Literal

from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import ValidationError

from approvals.errors import ApprovalsError, Invalid
from approvals.gate.call_identity import chooses, makes, said
from approvals.gate.idempotency import STAND_IN
from approvals.gate.shown_names import as_shown
from approvals.gate.undeclared import ABSENT, parsed, undeclared
from approvals.gate.value_json import classes, read_back, shown
from approvals.protocol.canonical import JsonObject, canonical, encode


class InvalidArguments(Invalid):
    """What the tool's model does not take, in its validators' own words: for the caller, who sent the values."""

    def __init__(self, error: ValidationError) -> None:
        self._problems = error.errors(include_input=False, include_url=False, include_context=False)[:5]
        super().__init__(self._complaint("msg"), hint="Correct the arguments and call again.")

    @property
    def kinds(self) -> str:
        """The same for everybody else, without the validators' words: one argument's may speak of another one."""
        return self._complaint("type")

    def _complaint(self, words: Literal["msg", "type"]) -> str:
        said = (f"{'.'.join(map(str, problem['loc']))}: {problem[words]}" for problem in self._problems)
        return "Invalid arguments. " + "; ".join(said)


class Effective:
    """Arguments that are plain JSON, and that nothing changes: as they are said they are shown, and run."""

    def __init__(self, arguments: JsonObject) -> None:
        self.shown = arguments
        """Plain JSON; what people see and what is digested."""
        self.values = arguments
        """What runs."""

    @cached_property
    def said(self) -> object:
        """JSON that is equal for calls that say the same."""
        return self.shown

    @cached_property
    def says_more(self) -> bool:
        """Whether what was said is not all in what is shown, so that two calls may be shown alike."""
        return False

    @cached_property
    def makes(self) -> bool:
        """Whether it may show more than what was said, so that another call that says the same may show another."""
        return False

    def settle(self) -> None:
        """Raise Invalid unless a repetition of the call can run what was approved of this one."""

    async def check(self) -> None:
        """Raise Invalid for what somebody else's tool would not take, as far as that takes time to find out."""

    def as_approved(self, approved: JsonObject) -> JsonObject:
        """What runs when `approved` was shown, of a call that says the same. Raises Invalid where that cannot be."""
        if not _same(approved, self.shown):
            raise _restless()
        return self.values

    def edited(self, wanted: JsonObject) -> "Effective":
        """The arguments as a person changed them. Raises Invalid for what cannot be read so."""
        changed = copy.copy(self)
        changed.shown = changed.values = wanted
        vars(changed).pop("said", None)
        return changed


@contextmanager
def _honestly() -> Iterator[None]:
    """Whatever code of a tool's author raises here, nothing was run, and the caller is told so."""
    try:
        yield
    except ApprovalsError:
        raise
    except Exception as error:
        raise Invalid(
            f"The tool failed to read its arguments ({type(error).__name__}).", hint="Tell the tool's author."
        ) from error


class ToolArguments(Effective):
    """Arguments as a tool's model reads them. `key` is the idempotency argument, which is the gate's to fill."""

    def __init__(self, model: type[ArgModelBase], words: JsonObject, key: str | None) -> None:
        self._model, self._words, self._key = model, words, key
        self.read = _read(model, words)
        self.values = self.read.model_dump_one_level()
        self.shown = self._without_key(_shown(self.read))

    @cached_property
    def said(self) -> object:
        return said(self.read, self._without_key(self._words), self.shown)

    @cached_property
    def says_more(self) -> bool:
        return self.makes or chooses(self._model)

    @cached_property
    def makes(self) -> bool:
        return makes(self._model)

    @_honestly()
    def settle(self) -> None:
        if not self.makes:
            return
        try:
            other = ToolArguments(self._model, self._words, self._key)
        except Invalid as error:
            raise _restless() from error
        other.as_approved(self.shown)

    @_honestly()
    def as_approved(self, approved: JsonObject) -> JsonObject:
        if _same(approved, self.shown):
            return self._unchanged()
        try:
            made = ToolArguments(self._model, _merged(self._words, self.shown, approved), self._key)
        except Invalid as error:
            raise _restless() from error
        if not _same(made.shown, approved) or classes(made.values) != classes(self.values):
            raise _restless()
        return made.values

    @_honestly()
    def edited(self, wanted: JsonObject) -> Effective:
        """Read by the model as if they had come so; what is read is read as the same again, anywhere else, too."""
        if self._key in wanted:
            raise _not_declared([repr(self._key)])
        made = self._read_as(wanted)
        again = self._read_as(made.shown)
        if not _same(again.shown, made.shown) or classes(again.values) != classes(made.values):
            raise _restless()
        return made

    def _read_as(self, wanted: JsonObject) -> "ToolArguments":
        words = _merged(as_shown(self._words, self.read), self.shown, wanted)
        made = ToolArguments(self._model, words, self._key)
        if self.makes and not _same(made.shown, wanted):  # what a call makes by itself stays what it was
            words = _merged(words, made.shown, wanted)
            made = ToolArguments(self._model, words, self._key)
        dropped = list(undeclared(words, made.read))
        if dropped:
            raise _not_declared(dropped)
        return made

    def _unchanged(self) -> JsonObject:
        """Arguments as they were: they may have waited for days beside code that holds them, too."""
        if not _same(self._without_key(_shown(self.read)), self.shown):
            raise _restless()
        return self.values

    def _without_key(self, form: JsonObject) -> JsonObject:
        return {name: value for name, value in form.items() if name != self._key}


@_honestly()
def effective(tool: Tool, arguments: JsonObject, key: str | None = None) -> Effective:
    """Raises Invalid, in words that the agent can act on."""
    given = tool.fn_metadata.pre_parse_json(copy.deepcopy(arguments))
    if key is not None:
        if key in given:
            raise _not_declared([repr(key)])
        given[key] = STAND_IN
    read = ToolArguments(tool.fn_metadata.arg_model, given, key)
    dropped = list(undeclared(given, read.read))
    if dropped:
        raise _not_declared(dropped)
    return read


def _read(model: type[ArgModelBase], words: JsonObject) -> ArgModelBase:
    """The arguments read from a copy: validators may change what they are given."""
    try:
        return model.model_validate(copy.deepcopy(words))
    except ValidationError as error:
        raise InvalidArguments(error) from error


def _shown(read: ArgModelBase) -> JsonObject:
    try:
        form: JsonObject = shown(read)
    except RecursionError as error:
        raise Invalid("These arguments are nested too deeply.", hint="Send less at once.") from error
    return form


def _merged(words: Any, own: Any, approved: Any) -> Any:
    """The caller's words, with what was approved where the call makes something of its own."""
    if _same(own, approved):
        return words
    forms = (words, own, approved)
    if all(isinstance(form, dict) for form in forms):
        named = {name: _merged(*(_at(form, name) for form in forms)) for name in approved}
        left_out = own.keys() - approved.keys()
        words = {name: item for name, item in words.items() if name not in left_out}
        return words | {name: item for name, item in named.items() if item is not ABSENT}
    if all(isinstance(form, list) for form in forms) and len(words) == len(own) == len(approved):
        return [_merged(*(_at(form, i) for form in forms)) for i in range(len(words))]
    if isinstance(words, str) and isinstance(own, dict | list):  # Json[…], inside something else
        return json.dumps(_merged(parsed(words), own, approved))
    return read_back(approved)


def _at(value: Any, place: object) -> object:
    try:
        return value[place]
    except (TypeError, KeyError, IndexError):
        return ABSENT


def _same(one: object, other: object) -> bool:
    """Whether two values have the same bytes: 1, 1.0 and true are equal to Python."""
    if one is ABSENT or other is ABSENT:
        return one is other
    return canonical(encode(one)) == canonical(encode(other))


def _restless() -> Invalid:
    return Invalid(
        "The tool's validators change its arguments each time, so what is approved could not be what runs.",
        hint="The tool's author must make them idempotent.",
    )


def _not_declared(names: list[str]) -> Invalid:
    return Invalid(f"The tool has no argument {', '.join(names[:5])}.", hint="Leave it out; see its input schema.")
