"""The service's settings, from APPROVALS_* variables; any secret may be a reference (`file:PATH`, `exec:COMMAND`)."""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from approvals.database import path_of
from approvals.keyring import Keyring, keep_beside
from approvals.retention import Retention
from approvals.secret_reference import resolve


class Settings(BaseSettings):
    """Everything that `serve` reads from its environment."""

    model_config = SettingsConfigDict(env_prefix="APPROVALS_", extra="ignore")

    database_url: str = "sqlite:///approvals.db"
    host: str = "127.0.0.1"
    port: int = 8700
    public_url: str = ""
    secret_key: str = ""
    policy: str = ""
    retention: str = ""
    demo_port: int = 8701

    @property
    def database_path(self) -> Path:
        return path_of(self.database_url)

    def url(self) -> str:
        """Where people reach the service."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::", ""} else self.host  # noqa: S104
        host = f"[{host}]" if ":" in host else host
        return (self.public_url or f"http://{host}:{self.port}").rstrip("/")

    def keeps(self) -> Retention:
        """How long what is kept. Raises Invalid."""
        return Retention.parse(self.retention)

    def keyring(self) -> Keyring:
        """The derived keys; without APPROVALS_SECRET_KEY from the file beside the database."""
        return Keyring(resolve(self.secret_key) if self.secret_key else keep_beside(self.database_path))
