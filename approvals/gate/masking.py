"""What a gate lets out: the one place through which every text of an agent or a tool passes on its way to the service.

The gate's client sends `Masked` messages and the gate's own words, nothing else; and only a mask makes a `Masked`.
"""

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic, TypeVar

from annotated_types import MaxLen

from approvals.errors import ApprovalsError
from approvals.gate.argument_names import Spellings, spelled
from approvals.gate.arguments import InvalidArguments
from approvals.gate.preview_mask import masked_preview
from approvals.protocol import redaction
from approvals.protocol.canonical import JsonObject
from approvals.protocol.limits import MAX_RESULT
from approvals.protocol.message_fields import Message
from approvals.protocol.previews import Preview, dumped
from approvals.protocol.secret_paths import declared_at
from approvals.protocol.secret_text import Declared

M = TypeVar("M", bound=Message)

_EXACT = (
    *("assertion", "call_id", "claim_id", "continues", "outcome", "refreshes", "sealed_arguments", "sealed_result"),
    *("preview", "said", "session", "subject", "tool", "tool_hash", "trace_id"),
)
"""Fields that no agent and no tool words: made by the gate or the service, sealed, or masked leaf by leaf before."""


@dataclass(frozen=True)
class Masked(Generic[M]):
    """A message that may leave."""

    message: M


@dataclass(frozen=True)
class Mask:
    """What one call must not let out beside what looks like a credential anywhere: its declared secrets."""

    secret: tuple[str, ...] = ()
    """Paths of the leaves."""
    forms: tuple[JsonObject, ...] = field(default=(), repr=False)
    """The arguments in each form that they have had: as they came, and as they run."""
    spellings: Spellings = field(default_factory=dict, repr=False)
    """The names under which they may have come."""

    @cached_property
    def declared(self) -> Declared:
        """The values at the paths, in any of the forms."""
        paths = spelled(self.secret, self.spellings)
        return Declared((value for form in self.forms for value in declared_at(form, paths)), self._names)

    @cached_property
    def _names(self) -> frozenset[str]:
        """The names that are no secret: what anybody can read in the tool's schema is no secret, whatever a caller
        sends as one."""
        return frozenset(self.spellings)

    def arguments(self, encoded: object, pepper: bytes) -> tuple[JsonObject, int]:
        """Encoded arguments with stand-ins, and how many characters are hidden beyond the declared leaves."""
        kept = redaction.leaves(encoded, self.secret, pepper)
        shown, hidden = redaction.looks_secret(kept, pepper, self.declared, self._names)
        return shown, hidden

    def message(self, kind: type[M], **fields: object) -> Masked[M]:
        """A message with masked words, cut to what it holds; where it counts what is hidden, those count, too."""
        told, hidden = self._told(kind, fields)
        if "hidden" in kind.model_fields:
            told["hidden"] = told.get("hidden", 0) + hidden
        return Masked(kind(**told))

    def preview(self, preview: Preview, pepper: bytes) -> tuple[Preview, int]:
        """A preview with masked words, and how many characters are hidden. Where any are, it says so by a name for
        all that it said: previews that differ behind the mask are not equal."""
        told, hidden = masked_preview(preview, self.declared)
        if not hidden:
            return preview, 0
        name = hmac.new(pepper, b"preview\0" + dumped(preview), hashlib.sha256).hexdigest()
        return Preview.model_validate(told | {"hidden": name}), hidden

    def of_error(self, error: ApprovalsError) -> str:
        """What may be said of an error: not what a tool's own validators say where a secret may be in it."""
        return error.kinds if self.secret and isinstance(error, InvalidArguments) else error.detail

    def _told(self, kind: type[Message], fields: JsonObject) -> tuple[JsonObject, int]:
        done = {name: self._field(kind, name, value) for name, value in fields.items()}
        return {name: value for name, (value, _) in done.items()}, sum(hidden for _, hidden in done.values())

    def _field(self, kind: type[Message], name: str, value: object) -> tuple[object, int]:
        if name in _EXACT:
            return value, 0
        if isinstance(value, Message):
            told, hidden = self._told(type(value), dict(value))
            return type(value)(**told), hidden
        if not isinstance(value, str):
            return value, 0
        return redaction.told(value, _most(kind, name), self.declared)


NO_SECRETS = Mask()


def _most(kind: type[Message], name: str) -> int:
    return next(_lengths(kind, name), MAX_RESULT)


def _lengths(kind: type[Message], name: str) -> Iterator[int]:
    yield from (limit.max_length for limit in kind.model_fields[name].metadata if isinstance(limit, MaxLen))
