"""Keeping secrets inside the gate's process: declared leaves, and text that looks like a credential."""

import re
from typing import Any

from approvals.protocol.canonical import redacted

_SHAPES = re.compile(
    r"|".join(
        (
            r"\bmcp[asu]_[0-9a-f]{6,}_[\w-]{16,}",
            r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
            r"\bgh[pousr]_[0-9A-Za-z]{30,}",
            r"\bgithub_pat_\w{40,}",
            r"\bglpat-[\w-]{20,}",
            r"\bxox[abeoprs]-[\w-]{10,}",
            r"\bxapp-[\w-]{20,}",
            r"\b[rsp]k_(?:live|test)_\w{16,}",
            r"\bsk-(?:ant-|proj-)?[\w-]{24,}",
            r"\bAIza[\w-]{35}",
            r"\bnpm_\w{36}",
            r"\bpypi-[\w-]{50,}",
            r"(?<![\w-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}",
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
            r"(?i:\bbearer\s+)[\w.~+/-]{20,}=*",
            r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)",
        )
    )
)

_BETWEEN = " \n\r\t\"',;<>{}[]()"
"""What no credential has in it."""


def leaves(arguments: Any, secret: tuple[str, ...], pepper: bytes) -> Any:
    """A copy of encoded arguments whose declared secret leaves are stand-ins."""
    for path in secret:
        arguments = _at(arguments, path.split("."), "", pepper)
    return arguments


def looks_secret(arguments: Any, pepper: bytes, path: str = "") -> tuple[Any, int]:
    """A copy whose text leaves that contain a credential are stand-ins, and how many characters that hid."""
    if isinstance(arguments, str) and _SHAPES.search(arguments):
        return redacted(pepper, path, arguments), len(arguments)
    if isinstance(arguments, list):
        done = [looks_secret(item, pepper, f"{path}[{i}]") for i, item in enumerate(arguments)]
        return [item for item, _ in done], sum(hidden for _, hidden in done)
    if isinstance(arguments, dict):
        parts = {key: looks_secret(item, pepper, f"{path}.{key}") for key, item in arguments.items()}
        return {key: item for key, (item, _) in parts.items()}, sum(hidden for _, hidden in parts.values())
    return arguments, 0


def clean(words: str) -> str:
    """Text that UTF-8 can carry: half surrogate pairs become question marks."""
    return words.encode("utf-8", "replace").decode()


def text(words: str, most: int) -> str:
    """Free text for people: credentials masked, cut to `most` characters."""
    start, cut = clean(words[: 4 * most]), len(words) > 4 * most
    if cut:  # half a credential has no shape: the word that was cut goes as a whole
        start = start[: 1 + max(start.rfind(character) for character in _BETWEEN)]
    masked = _SHAPES.sub(lambda match: f"[{len(match[0])} characters hidden]", start)
    return masked if len(masked) <= most and not cut else masked[: most - 12] + "… (cut off)"


def _at(value: Any, steps: list[str], where: str, pepper: bytes) -> Any:
    if not steps:
        return value if value is None else redacted(pepper, where, value)
    name, each = steps[0].removesuffix("[]"), steps[0].endswith("[]")
    if not isinstance(value, dict) or name not in value:
        return value
    place = f"{where}.{name}" if where else name
    if not each:
        return value | {name: _at(value[name], steps[1:], place, pepper)}
    if not isinstance(value[name], list):
        return value | {name: redacted(pepper, place, value[name])}
    return value | {name: [_at(item, steps[1:], f"{place}[{i}]", pepper) for i, item in enumerate(value[name])]}
