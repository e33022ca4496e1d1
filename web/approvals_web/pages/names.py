"""What the record calls by an id, as people know it."""

from approvals.service.identity import credentials, users
from approvals.service.storage.database import Reader


def named(reader: Reader, text: str) -> str:
    """`user:ID` and its like, as people know them."""
    kind, _, principal_id = text.partition(":")
    if kind == "installation":
        installation = credentials.installation(reader, principal_id)
        return text if installation is None else f"{installation.server} ({installation.label})"
    found = {"agent": credentials.agent, "user": users.find}.get(kind)
    row = found(reader, principal_id) if found is not None else None
    return text if row is None else row.name
