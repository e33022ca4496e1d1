"""What a button carries: which request, in which content, and that this service made it."""

import hmac
from dataclasses import dataclass

from approvals.errors import Forbidden, Stale
from approvals.service.keyring import Keyring
from approvals.service.storage.tables import Request


@dataclass(frozen=True)
class Pressed:
    """What a button names."""

    request_id: str
    content_version: int
    mac: str


class Buttons:
    """Opaque ids without a table: the MAC binds request, content version and the full digest."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def of(self, row: Request) -> str:
        """The id of a button about this content."""
        return f"{row.id}.{row.content_version}.{self._mac(row)}"

    def check(self, pressed: Pressed, row: Request) -> None:
        """Raises Stale when the content is another by now, Forbidden for a button that this service did not make."""
        if pressed.content_version != row.content_version:
            raise Stale("What would run has changed since this message.", hint="Look at it again before you decide.")
        if not hmac.compare_digest(pressed.mac, self._mac(row)):
            raise Forbidden("This button was not made by this service.", hint="Open the request in the web app.")

    def _mac(self, row: Request) -> str:
        return self._keyring.pressed(row.id, str(row.content_version), row.digest)


def read(value: str) -> Pressed:
    """What a button's id names. Raises Forbidden for what is none."""
    request_id, _, rest = value.partition(".")
    version, _, mac = rest.partition(".")
    if not (request_id and version.isascii() and version.isdigit() and len(version) < 10 and mac.isascii() and mac):
        raise Forbidden("This button was not made by this service.", hint="Open the request in the web app.")
    return Pressed(request_id, int(version), mac)
