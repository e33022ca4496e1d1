"""What most tests stand on: a scenario, over its own methods or over HTTP."""

import contextlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest
from playwright.async_api import Browser

from approvals import Gate
from approvals.service.keyring import Keyring
from approvals.service.service import Service
from approvals.service.storage.database import database_at
from approvals_web.app import create_app
from support.chromium import chromium
from support.hand_clock import HandClock
from support.scenario import HERE, UNLIMITED, Scenario
from support.served import Served
from support.serving import SECRET, serving


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def service(database_url: str, clock: HandClock) -> Iterator[Service]:
    """A service whose transactions run where they are called: `scenario.write`."""
    service = Service(database_at(database_url, clock), Keyring(SECRET), "http://127.0.0.1:8700", allowance=UNLIMITED)
    yield service
    service.database.stop()


@pytest.fixture(scope="session")
def built(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A database file in which a scenario is built, to copy, and the scenario's keys."""
    path = tmp_path_factory.mktemp("built") / "built.db"
    shutil.copyfile(migrated, path)
    clock, url = HandClock(), f"sqlite:///{path}"
    scenario = Scenario(Service(database_at(url, clock), Keyring(SECRET), HERE, allowance=UNLIMITED), clock, url)
    scenario.build()
    scenario.service.database.stop()
    return path, scenario.keys


@pytest.fixture
def scenario(
    service: Service, clock: HandClock, database_url: str, request: pytest.FixtureRequest
) -> Iterator[Scenario]:
    scenario = Scenario(service, clock, database_url)
    if service.database.shared:
        scenario.build()
    else:
        path, keys = request.getfixturevalue("built")
        shutil.copyfile(path, database_url.removeprefix("sqlite:///"))
        scenario.keys |= keys
    yield scenario
    if not scenario.tampered_with:
        scenario.check_record()
    scenario.service.database.stop()


@pytest.fixture
def open_scenario() -> Callable[..., Scenario]:
    """Makes a scenario over any database, not built yet; several over one database share a clock and keys."""

    def make(url: str, clock: HandClock | None = None, keys: dict[str, str] | None = None, **options: Any) -> Scenario:
        clock = clock or HandClock()
        service = Service(database_at(url, clock), Keyring(SECRET), HERE, **{"allowance": UNLIMITED} | options)
        return Scenario(service, clock, url, {} if keys is None else keys)

    return make


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Waits for a condition that other tasks of this event loop bring about."""

    async def wait(condition: Callable[[], bool]) -> None:
        with anyio.fail_after(10):
            while not condition():
                await anyio.lowlevel.checkpoint()

    return wait


@pytest.fixture
def serve(scenario: Scenario) -> Callable[[str], contextlib.AbstractAsyncContextManager[Served]]:
    """The service over HTTP, for as long as a test likes; again on the same port when given the URL."""

    @contextlib.asynccontextmanager
    async def run(url: str = "") -> AsyncIterator[Served]:
        fresh = Service(database_at(scenario.url, scenario.clock), Keyring(SECRET), url or HERE, allowance=UNLIMITED)
        scenario.service.database.stop()
        scenario.service = fresh
        app = create_app(fresh)
        async with serving(fresh, int(url.rpartition(":")[2]) if url else 0, app) as where:
            yield Served(where, scenario, app)

    return run  # type: ignore[return-value]


@pytest.fixture
async def served(serve: Callable[..., contextlib.AbstractAsyncContextManager[Served]]) -> AsyncIterator[Served]:
    async with serve() as running:
        yield running


@pytest.fixture
def client_to(scenario: Scenario) -> Callable[[str], httpx2.AsyncClient]:
    """A client of any replica, with the shop's key."""
    return lambda url: Served(url, scenario).client()


@pytest.fixture
def gate_to(scenario: Scenario) -> Callable[[str], Gate]:
    """A gate to any replica."""
    return lambda url: Served(url, scenario).gate()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running
