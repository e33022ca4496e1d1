"""One answer of the answers that several upstreams gave to the same request. Pure."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

Results = Mapping[str, Mapping[str, Any]]
"""By upstream, of those that gave a result."""

SELF = {"name": "approvals-proxy", "version": version("mcp-approvals")}


def greeting(results: Results) -> dict[str, Any]:
    """Of `initialize`: what all speak, and all that any of them offers."""
    return _offered(results) | {
        "protocolVersion": min(str(result.get("protocolVersion", "")) for result in results.values()),
        "serverInfo": SELF,
    }


def discovery(results: Results) -> dict[str, Any]:
    """Of `server/discover`, likewise."""
    first, *others = results.values()
    spoken = [set(_list(result.get("supportedVersions"))) for result in others]
    versions = [one for one in _list(first.get("supportedVersions")) if all(one in many for many in spoken)]
    return {**first} | _offered(results) | {"supportedVersions": versions, "serverInfo": SELF, **_kept(results)}


def listing(results: Results, key: str, items: Sequence[Any]) -> dict[str, Any]:
    """Of a list, whole."""
    first: Mapping[str, Any] = next(iter(results.values()), {})
    rest = {name: value for name, value in first.items() if name not in {"nextCursor", key}}
    return {**rest, key: list(items), **_kept(results)}


def _offered(results: Results) -> dict[str, Any]:
    capabilities: dict[str, Any] = {}
    for result in results.values():
        capabilities = _both(capabilities, result.get("capabilities") or {})
    said = {name: result.get("instructions") for name, result in results.items()}
    words = [f"{name}: {text}" for name, text in said.items() if isinstance(text, str) and text]
    return {"capabilities": capabilities} | ({"instructions": "\n\n".join(words)} if words else {})


def _both(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        return {name: _both(one.get(name), other.get(name)) for name in [*one, *(other.keys() - one.keys())]}
    if isinstance(one, bool) and isinstance(other, bool):
        return one or other
    return one if one is not None else other


def _kept(results: Results) -> dict[str, Any]:
    """For how long, and for whom, a client may keep the answer: as the strictest says."""
    told = {}
    times = [result["ttlMs"] for result in results.values() if isinstance(result.get("ttlMs"), int | float)]
    if times:
        told["ttlMs"] = min(times) if len(times) == len(results) else 0
    if any(result.get("cacheScope") == "private" for result in results.values()):
        told["cacheScope"] = "private"
    return told


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
