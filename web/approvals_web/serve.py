"""The serving process: one database, one event loop, a clean end."""

import asyncio
import contextlib
import errno
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator

import uvicorn
from uvicorn.server import HANDLED_SIGNALS

from approvals.errors import Invalid, Unavailable
from approvals.secret_reference import resolve
from approvals.service.audit.chain import Head
from approvals.service.identity.admins import Operator
from approvals.service.service import Service, head_line
from approvals.service.slack.workspace import Installed, Workspace
from approvals.service.storage.database import Database
from approvals.service.storage.sqlite import Sqlite
from approvals_web import logs
from approvals_web.app import create_app
from approvals_web.demo.demo import Demo
from approvals_web.demo.workspace import demo_workspace
from approvals_web.http.request_timeouts import PatientProtocol
from approvals_web.operator import socket as control
from approvals_web.operator import users
from approvals_web.operator.operation import Operation
from approvals_web.setting_values import port
from approvals_web.settings import Settings

logger = logging.getLogger("approvals")

LAST_WORDS = 3
"""Seconds that open connections have, once their streams were told to end."""
NEAR = "127.0.0.1"
LOOPBACK = frozenset({NEAR, "::1", "localhost"})
YOUNG = (700, 10, 10)
"""CPython's own thresholds of collection: small and often, so that no pause is long."""
IDLE_SECONDS = 75
"""How long a connection may do nothing: longer than balancers keep theirs, so that none is closed under a request."""


class Server(uvicorn.Server):
    """uvicorn, but streams and long-polls are told to end before it waits for them."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but the signal is not raised again afterwards: a stop that was asked for is no failure."""
        loop = asyncio.get_running_loop()
        handled = (*HANDLED_SIGNALS, *_hang_up())
        for number in handled:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in handled:
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.collect()
        gc.freeze()  # what was made at the start stays: full collections then pause for less
        gc.set_threshold(*YOUNG)  # the command line raised it for the imports

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._service.stop()
        await super().shutdown(sockets)


def _hang_up() -> list[signal.Signals]:
    """SIGHUP: a terminal that closes ends the service as it would be ended on purpose; under nohup it goes on."""
    return [signal.SIGHUP] if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL else []


def serve(settings: Settings, *, demo: bool) -> None:
    """Migrate, then serve until a signal. Raises ApprovalsError when it cannot start."""
    settings.check()
    logs.configure(settings.log, settings.log_level)
    if demo:
        _check_near(settings.host)
    retention, allowance = settings.keeps(), settings.allowance()
    database = settings.database()
    with contextlib.ExitStack() as held:
        held.enter_context(_alone(database))
        listener = held.enter_context(
            _listener(settings.host, port("APPROVALS_PORT", settings.port), "approvals serve --port 8710")
        )
        shop = held.enter_context(_demo_listener(settings)) if demo else None
        settings.prepare()
        service = Service(
            database,
            settings.keyring(),
            settings.url(),
            policy_file=settings.policy_file(),
            emit_head=_emitter(),
            retention=retention,
            allowance=allowance,
        )
        database.write_now(service.check_key)
        database.write_now(service.record_address)
        service.begin_policy()
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_run(settings, service, listener, shop))


async def _run(settings: Settings, service: Service, listener: socket.socket, shop: socket.socket | None) -> None:
    async with contextlib.AsyncExitStack() as stack:
        installed = settings.slack()
        if shop is not None and installed is None:
            installed = await stack.enter_async_context(demo_workspace(settings))
        await _serve(settings, service, listener, installed, shop)


async def _serve(
    settings: Settings,
    service: Service,
    listener: socket.socket,
    installed: Installed | None,
    shop: socket.socket | None,
) -> None:
    """`shop` is where the demo's shop listens, with --demo."""
    webhook = settings.webhook()
    slack = Workspace(service, installed) if installed else None
    if webhook:
        service.outbox.carry(webhook)
    config = uvicorn.Config(
        create_app(service, settings.oidc(), slack, metrics_token=resolve(settings.metrics_token)),
        http=PatientProtocol,
        log_config=None,  # as everybody's
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=LAST_WORDS,
        timeout_keep_alive=IDLE_SECONDS,
        proxy_headers=bool(settings.proxies()),
        forwarded_allow_ips=settings.proxies(),
        server_header=False,
        lifespan="on",
    )
    server = Server(config, service)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():  # noqa: ASYNC110 — uvicorn tells in no other way
        await asyncio.sleep(0.01)
    async with contextlib.AsyncExitStack() as stack:
        if not serving.done():
            await stack.enter_async_context(control.listening(service))
            await _greet(settings, service, demo=shop is not None)
            if shop is not None:
                await stack.enter_async_context(Demo(settings, service, shop).running())
        stopping = asyncio.create_task(service.stopping.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
    await serving


async def _greet(settings: Settings, service: Service, *, demo: bool) -> None:
    print(f"Review queue: {service.public_url}/", flush=True)
    link = await service.write(lambda tx: users.first_link(Operation(service, tx, Operator("serve")), demo))
    if link is not None:
        print(f"Sign in: {link}", flush=True)
    for warning in _warnings(settings, demo=demo):
        logger.warning(warning)


def _warnings(settings: Settings, *, demo: bool) -> list[str]:
    near = settings.host in LOOPBACK
    said = []
    if demo or os.environ.get("APPROVALS_AGENT_KEY"):
        said.append(
            "an agent on this machine may share this user id, and could reach the database: cooperative, not enforced. "
            "In earnest, run the service under a user id of its own."
        )
    if not near and not service_is_https(settings):
        said.append("serving plain HTTP beyond this machine; put TLS before it and set APPROVALS_PUBLIC_URL=https://…")
    if service_is_https(settings) and not settings.proxies():
        said.append(
            "everybody's address on record is the TLS proxy's, and all share one limit of failed sign-ins: "
            "name the proxy in APPROVALS_TRUSTED_PROXIES, and let it set X-Forwarded-For."
        )
    return said


def service_is_https(settings: Settings) -> bool:
    return settings.url().startswith("https://")


def _emitter() -> Callable[[Head, int], None] | None:
    """New heads of the audit chain go to standard output as JSON lines, unless a person is looking at it."""
    if sys.stdout.isatty():
        return None
    return lambda head, at: print(head_line(head, at), flush=True)


def _check_near(host: str) -> None:
    """Raises Invalid: the demo's keys lie open in its output, and plain HTTP carries them."""
    if host not in LOOPBACK:
        raise Invalid(
            f"--demo is for this machine alone, and APPROVALS_HOST is {host!r}.",
            hint="Leave the host out; or leave --demo out, and make keys of your own.",
        )


def _alone(database: Database) -> contextlib.AbstractContextManager[None]:
    """A SQLite file has one serving process."""
    if not isinstance(database, Sqlite):
        return contextlib.nullcontext()
    path = database.path
    if not path.parent.is_dir():
        raise Unavailable(f"There is no folder {path.parent}.", hint="Make it, or change APPROVALS_DATABASE_URL.")
    return database.only_process()


def _demo_listener(settings: Settings) -> contextlib.AbstractContextManager[socket.socket]:
    return _listener(NEAR, port("APPROVALS_DEMO_PORT", settings.demo_port), "APPROVALS_DEMO_PORT=8711")


@contextlib.contextmanager
def _listener(host: str, port: int, otherwise: str) -> Iterator[socket.socket]:
    """Raises Unavailable for a port that is taken, with another way to say it; Invalid for another machine's host."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        if error.errno in {errno.EADDRNOTAVAIL, socket.EAI_NONAME, socket.EAI_AGAIN}:
            raise Invalid(
                f"APPROVALS_HOST is {host!r:.200}, which is no address of this machine.",
                hint="Use 127.0.0.1 for this machine alone, 0.0.0.0 for everybody who can reach it.",
            ) from error
        raise Unavailable(
            f"Port {port} of {host} cannot be used: {os.strerror(error.errno or 0)}.",
            hint=f"Stop what uses it, or choose another: {otherwise}",
        ) from error
    with listener:
        yield listener


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
