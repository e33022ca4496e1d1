"""The service's settings, from APPROVALS_* variables.

Any secret may be a reference (`file:PATH`, `exec:COMMAND`), and so may a database's URL, which carries one.
"""

from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from approvals.errors import Invalid
from approvals.secret_reference import resolve
from approvals.service.storage.url import check_url, path_of
from approvals_web.setting_values import address, limit, pairs, port, printable, yes

if TYPE_CHECKING:  # a command to a running service needs none of these, and importing them takes most of a second
    from approvals.service.keyring import Keyring
    from approvals.service.notifications.webhook import Webhook
    from approvals.service.policies.file import PolicyFile
    from approvals.service.requests.rate_limits import Allowance
    from approvals.service.retention.schedule import Retention
    from approvals.service.slack.workspace import Installed
    from approvals.service.storage.database import Database
    from approvals_web.auth.oidc_client import Client

Unshown = Annotated[str, Field(repr=False)]
"""Carries a secret, so no `repr` shows it: logs and tracebacks are read by many."""

Port = Annotated[int | str, Field(union_mode="left_to_right")]
YesNo = Annotated[bool | str, Field(union_mode="left_to_right")]
"""Read where it counts, as all others: a freeze must not fail for the port of a demo."""


class Settings(BaseSettings):
    """Everything that `serve` reads from its environment. Whatever stands there can be held; `check` refuses it."""

    model_config = SettingsConfigDict(env_prefix="APPROVALS_", extra="ignore", str_strip_whitespace=True)

    database_url: Unshown = "sqlite:///approvals.db"
    database_direct_url: Unshown = ""
    """Past a pooler in transaction mode (PgBouncer), for LISTEN and for migrations."""
    host: str = "127.0.0.1"
    port: Port = 8700
    public_url: str = ""
    trusted_proxies: str = ""
    """Whose X-Forwarded-For counts: addresses or networks, separated by commas; * for everybody. Else nobody's."""
    secret_key: Unshown = ""
    policy: str = ""
    """Path of the policy file."""
    retention: str = ""
    agent_pending: str = "20"
    """How many requests of one agent may wait at once; `none` for no limit."""
    agent_minute: str = "60"
    """How many requests one agent may file a minute; `none` for no limit."""
    metrics_token: Unshown = ""
    """Shows /metrics, and what /readyz knows, to other machines."""
    log: str = "auto"
    """`json`, `text`, or `auto`: text on a terminal."""
    log_level: str = "INFO"
    demo_port: Port = 8701
    demo_slack_port: Port = 8702
    slack_bot_token: Unshown = ""
    slack_signing_secret: Unshown = ""
    """Of the app's requests to POST /slack/actions."""
    slack_app_token: Unshown = ""
    """For Socket Mode, instead of the signing secret: no public address is needed."""
    slack_channel: str = ""
    """Where requests are announced whose rule names no channel."""
    slack_link_by_email: YesNo = False
    """Whether a Slack user is taken for the account with the same verified e-mail address."""
    slack_api_url: str = "https://slack.com/api/"
    webhook_url: Unshown = ""
    webhook_secret: Unshown = ""
    oidc_issuer: str = ""
    """An OpenID Connect provider that people may sign in through, exactly as it names itself."""
    oidc_client_id: str = ""
    oidc_client_secret: Unshown = ""
    oidc_scopes: str = "openid profile email"
    oidc_groups_claim: str = "groups"
    oidc_roles: str = ""
    """Claimed groups and the roles they give: `approvals-admins=admin reviewer, staff=viewer`."""
    oidc_require: str = ""
    """Claims that everybody needs, such as `hd=example.org`, separated by commas."""
    oidc_auto_create: YesNo = True
    """Whether somebody without an account gets one."""
    oidc_name: str = ""
    """What the sign-in page calls it, instead of its host."""

    def check(self) -> None:
        """Read all that is set, before anything is made of it. Raises Invalid."""
        for name, value in self:
            if isinstance(value, str):
                printable(f"APPROVALS_{name.upper()}", value)
        for name, value in (
            ("PORT", self.port),
            ("DEMO_PORT", self.demo_port),
            ("DEMO_SLACK_PORT", self.demo_slack_port),
        ):
            port(f"APPROVALS_{name}", value)
        for name, said in (
            ("SLACK_LINK_BY_EMAIL", self.slack_link_by_email),
            ("OIDC_AUTO_CREATE", self.oidc_auto_create),
        ):
            yes(f"APPROVALS_{name}", said)
        if self.public_url:
            address("APPROVALS_PUBLIC_URL", self.public_url)
        self.keeps(), self.allowance(), self.oidc(), self.slack(), self.webhook(), self.proxies()

    def database(self) -> "Database":
        """Raises Invalid for a URL of no known database."""
        from approvals.service.storage.database import database_at

        return database_at(resolve(self.database_url), direct_url=resolve(self.database_direct_url))

    @property
    def migration_url(self) -> str:
        return resolve(self.database_direct_url or self.database_url)

    @property
    def beside(self) -> Path:
        """What is kept beside the database begins with this path: the folder of a SQLite file, else the present one."""
        return (self.file or Path("approvals")).absolute()

    @property
    def file(self) -> Path | None:
        """The SQLite file; None of another database. Raises Invalid for a URL of no known database."""
        url = resolve(self.database_url)
        check_url(url)
        return path_of(url) if url.startswith("sqlite:") else None

    def url(self) -> str:
        """Where people reach the service."""
        return (self.public_url or self.near_url).rstrip("/")

    @property
    def near_url(self) -> str:
        """Where this machine reaches it: exactly what it listens on, where nobody else can listen."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::", "", "localhost"} else self.host  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def proxies(self) -> list[str]:
        """The proxies whose word on addresses counts. Raises Invalid."""
        named = [part.strip() for part in self.trusted_proxies.split(",") if part.strip()]
        for part in named:
            try:
                _ = part == "*" or ip_network(part)
            except ValueError:
                raise Invalid(
                    f"APPROVALS_TRUSTED_PROXIES has {part!r:.60}, which is no address and no network.",
                    hint="For example 10.0.0.5, or 10.0.0.0/24; * for everybody.",
                ) from None
        return ["*"] if "*" in named else named

    def keeps(self) -> "Retention":
        """How long what is kept. Raises Invalid."""
        from approvals.service.retention.schedule import Retention

        return Retention.parse(self.retention)

    def policy_file(self) -> "PolicyFile | None":
        from approvals.service.policies.file import PolicyFile

        return PolicyFile(Path(self.policy)) if self.policy else None

    def allowance(self) -> "Allowance":
        """What agents may ask that have no limits of their own. Raises Invalid."""
        from approvals.service.requests.rate_limits import Allowance

        return Allowance(
            limit("APPROVALS_AGENT_PENDING", self.agent_pending), limit("APPROVALS_AGENT_MINUTE", self.agent_minute)
        )

    def oidc(self) -> "Client | None":
        """The identity provider, if there is one. Raises Invalid."""
        if not self.oidc_issuer:
            return None
        from approvals.service.identity.sso import SsoPolicy
        from approvals_web.auth.oidc_client import Client

        return Client(
            issuer=self.oidc_issuer,
            client_id=resolve(self.oidc_client_id),
            client_secret=resolve(self.oidc_client_secret),
            scopes=self.oidc_scopes,
            groups_claim=self.oidc_groups_claim,
            required=pairs("APPROVALS_OIDC_REQUIRE", self.oidc_require),
            policy=SsoPolicy(
                pairs("APPROVALS_OIDC_ROLES", self.oidc_roles), yes("APPROVALS_OIDC_AUTO_CREATE", self.oidc_auto_create)
            ),
            name=self.oidc_name,
        )

    def webhook(self) -> "Webhook | None":
        """Who is told by signed webhooks. Raises Invalid."""
        if not self.webhook_url:
            return None
        from approvals.service.notifications.webhook import Webhook

        return Webhook(resolve(self.webhook_url), resolve(self.webhook_secret))

    def slack(self) -> "Installed | None":
        """The workspace that the service is installed in. Raises Invalid when something is missing."""
        if not self.slack_bot_token:
            return None
        from approvals.service.slack.workspace import Installed

        if not self.slack_channel:
            raise Invalid("APPROVALS_SLACK_CHANNEL is not set.", hint="Say where requests are announced: #approvals.")
        if not (self.slack_signing_secret or self.slack_app_token):
            raise Invalid(
                "Nothing pressed in Slack could arrive.",
                hint="Set APPROVALS_SLACK_SIGNING_SECRET, or APPROVALS_SLACK_APP_TOKEN for Socket Mode.",
            )
        return Installed(
            bot_token=resolve(self.slack_bot_token),
            channel=self.slack_channel,
            signing_secret=resolve(self.slack_signing_secret) if self.slack_signing_secret else "",
            app_token=resolve(self.slack_app_token) if self.slack_app_token else "",
            api_url=self.slack_api_url,
            by_email=yes("APPROVALS_SLACK_LINK_BY_EMAIL", self.slack_link_by_email),
        )

    def prepare(self) -> None:
        """Make the database, or bring it to the newest schema; and beside a SQLite file that belongs to no key yet, a
        secret key. Raises Unavailable."""
        from approvals.service.keyring import keep_beside
        from approvals.service.storage import database_facts
        from approvals.service.storage.migrate import upgrade

        upgrade(self.migration_url)
        if not self.secret_key and self.file is not None and self.database().read_now(database_facts.known_key) is None:
            keep_beside(self.beside)

    def keyring(self) -> "Keyring":
        """The derived keys; without APPROVALS_SECRET_KEY from the file beside a SQLite database. Raises Invalid without
        one for a database that several processes share."""
        from approvals.service.keyring import Keyring, kept_beside

        if self.secret_key:
            return Keyring(resolve(self.secret_key))
        if self.file is None:
            raise Invalid(
                "APPROVALS_SECRET_KEY is not set, and all processes over one PostgreSQL database need the same.",
                hint="Make one, keep it outside the database, and set APPROVALS_SECRET_KEY=file:/path/to/it.",
            )
        return Keyring(kept_beside(self.beside))
