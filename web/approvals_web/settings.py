"""The service's settings, from APPROVALS_* variables.

Any secret may be a reference (`file:PATH`, `exec:COMMAND`), and so may a database's URL, which carries one.
"""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from approvals.allowance import Allowance
from approvals.database import Database, check_url, database_at
from approvals.errors import Invalid
from approvals.keyring import Keyring, keep_beside
from approvals.policy_file import PolicyFile
from approvals.retention import Retention
from approvals.secret_reference import resolve
from approvals.sqlite import Sqlite, path_of


class Settings(BaseSettings):
    """Everything that `serve` reads from its environment."""

    model_config = SettingsConfigDict(env_prefix="APPROVALS_", extra="ignore")

    database_url: str = "sqlite:///approvals.db"
    database_direct_url: str = ""
    """Past a pooler in transaction mode (PgBouncer), for LISTEN and for migrations."""
    host: str = "127.0.0.1"
    port: int = 8700
    public_url: str = ""
    trusted_proxies: str = "127.0.0.1"
    """Whose X-Forwarded-For counts: addresses or networks, separated by commas; * for everybody."""
    secret_key: str = ""
    policy: str = ""
    """Path of the policy file."""
    retention: str = ""
    agent_pending: str = "20"
    """How many requests of one agent may wait at once; `none` for no limit."""
    agent_minute: str = "60"
    """How many requests one agent may file a minute; `none` for no limit."""
    log: str = "auto"
    """`json`, `text`, or `auto`: text on a terminal."""
    log_level: str = "INFO"
    demo_port: int = 8701

    def database(self) -> Database:
        """Raises Invalid for a URL of no known database."""
        return database_at(resolve(self.database_url), direct_url=resolve(self.database_direct_url))

    @property
    def migration_url(self) -> str:
        return resolve(self.database_direct_url or self.database_url)

    @property
    def beside(self) -> Path:
        """What is kept beside the database begins with this path: the folder of a SQLite file, else the present one."""
        url = resolve(self.database_url)
        check_url(url)
        return path_of(url).absolute() if url.startswith("sqlite:") else Path("approvals").absolute()

    def url(self) -> str:
        """Where people reach the service."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::", ""} else self.host  # noqa: S104
        host = f"[{host}]" if ":" in host else host
        return (self.public_url or f"http://{host}:{self.port}").rstrip("/")

    def keeps(self) -> Retention:
        """How long what is kept. Raises Invalid."""
        return Retention.parse(self.retention)

    def policy_file(self) -> PolicyFile | None:
        return PolicyFile(Path(self.policy)) if self.policy else None

    def allowance(self) -> Allowance:
        """What agents may ask that have no limits of their own. Raises Invalid."""
        return Allowance(
            _limit("APPROVALS_AGENT_PENDING", self.agent_pending), _limit("APPROVALS_AGENT_MINUTE", self.agent_minute)
        )

    def keyring(self) -> Keyring:
        """The derived keys; without APPROVALS_SECRET_KEY from the file beside a SQLite database. Raises Invalid without
        one for a database that several processes share."""
        if self.secret_key:
            return Keyring(resolve(self.secret_key))
        if not isinstance(self.database(), Sqlite):
            raise Invalid(
                "APPROVALS_SECRET_KEY is not set, and all processes over one PostgreSQL database need the same.",
                hint="Make one, keep it outside the database, and set APPROVALS_SECRET_KEY=file:/path/to/it.",
            )
        return Keyring(keep_beside(self.beside))


def _limit(name: str, given: str) -> int | None:
    if given == "none":
        return None
    if not (given.isascii() and given.isdigit() and len(given) < 8):
        raise Invalid(f"{name} is {given!r:.40}, which is no limit.", hint="Use a whole number, or none.")
    return int(given)
