"""Parts of a rule as they are kept with each of its requests."""

from dataclasses import asdict
from functools import lru_cache
from typing import TYPE_CHECKING

from approvals.protocol.canonical import canonical

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@lru_cache(1024)
def written(part: "DataclassInstance") -> str:
    """The canonical JSON of a frozen part: written once for all requests of a rule."""
    return canonical(asdict(part)).decode()
