"""What a rule says to people: why somebody is asked, its condition as written, the reasons at hand for a denial."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from approvals.policy.rules import DEFAULT
from approvals.policy.yaml_nodes import Node, Unreadable, parse


@dataclass(frozen=True)
class Wording:
    """Of one rule of one version."""

    title: str = ""
    when: str = ""
    deny_reasons: tuple[str, ...] = ()


@lru_cache(maxsize=16)
def wordings(text: str) -> Mapping[str, Wording]:
    """By rule, with the defaults under the name of what no rule matches. A text that nothing can be made of has
    none."""
    try:
        root = parse(text)
    except Unreadable:
        return MappingProxyType({})
    top: dict[str, Node] = root.value if isinstance(root.value, dict) else {}
    usual = _wording(top["defaults"], ()) if "defaults" in top else Wording()
    rules = top.get("rules")
    nodes = rules.value if rules is not None and isinstance(rules.value, list) else []
    named = {str(node.value["id"].value): node for node in nodes if isinstance(node.value, dict) and "id" in node.value}
    found = {rule: _wording(node, usual.deny_reasons) for rule, node in named.items()}
    return MappingProxyType({DEFAULT: usual} | found)


def _wording(node: Node, usual: tuple[str, ...]) -> Wording:
    if not isinstance(node.value, dict):
        return Wording(deny_reasons=usual)
    said = {name: below.plain() for name, below in node.value.items() if name in ("title", "when", "deny_reasons")}
    reasons = said.get("deny_reasons")
    return Wording(
        str(said.get("title") or ""),
        str(said.get("when") or "").strip(),
        tuple(map(str, reasons)) if isinstance(reasons, list) else usual,
    )
