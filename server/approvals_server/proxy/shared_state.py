"""What all connections of one proxy process share: the gate, the tools that it knows, the seal on states."""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

from mcp.server.request_state import InvalidRequestState, RequestStateCodec

from approvals.gate import input_rounds
from approvals.gate.gate import Gate
from approvals_server.proxy.catalogue import Catalogue
from approvals_server.proxy.rules.rule import NO_RULES, Rules


class Desk:
    """One for each upstream. `behind` says what it is: its command, or its URL; `rules`, what its owner says of its
    tools."""

    def __init__(self, gate: Gate, behind: Sequence[str], rules: Rules = NO_RULES) -> None:
        self.gate = gate
        self.rules = rules
        self.catalogue = Catalogue()
        self._behind = tuple(behind)
        self._codec: RequestStateCodec | None = (
            input_rounds.security(gate.settings).codec if gate.is_configured else None
        )
        gate.definitions = lambda: self.catalogue.definitions
        gate.code_versions = lambda: self.catalogue.versions

    def version(self, info: Mapping[str, Any]) -> str:
        """What runs the tools: the upstream's command or URL, and the version that it says it is. Keyed, since commands
        may hold secrets."""
        key = self.gate.settings.server_key if self.gate.is_configured else ""
        said = json.dumps([*self._behind, info.get("name"), info.get("version")])
        return hmac.new(key.encode(), said.encode(), hashlib.sha256).hexdigest()[:16]

    def sealed(self, state: str, of: str) -> str:
        """A state for the client to bring back with the call that `of` names."""
        assert self._codec is not None  # noqa: S101 — nothing waits without a gate
        return self._codec.seal(json.dumps([state, of]).encode())

    def opened(self, token: Any, of: str) -> str | None:
        """The state that a client brought back; None for what is none of ours, or another call's."""
        if self._codec is None or not isinstance(token, str):
            return None
        try:
            state, bound = json.loads(self._codec.unseal(token))
        except (InvalidRequestState, ValueError):
            return None
        return str(state) if bound == of else None
