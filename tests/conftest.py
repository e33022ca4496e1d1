"""What all tests share: quick certificates and passwords, and garbage that fails the test that made it."""

import functools
import gc
from collections.abc import Iterator

import httpcore2
import pytest
from hypothesis import HealthCheck, settings
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from approvals_web.auth import passwords

pytest_plugins = ["support.databases", "support.fixtures", "support.selection"]

httpcore2.default_ssl_context = functools.cache(httpcore2.default_ssl_context)
"""Every client reads all certificates of the machine: 50 ms, hundreds of times."""

passwords.HASHER = PasswordHash([Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)])
"""A password that is as dear to check as it should be costs 0.1 s; `serve` is told nothing of this."""

settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.load_profile("tests")
"""How long an example takes says how busy the machine is."""


def pytest_collection_finish() -> None:
    """Let a test's garbage be found by looking at what that test made: none of it grows old (`nothing_left_open`)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 1_000_000, 1_000_000)


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    """What a test leaves open fails that test, and none that comes after: garbage warns where it is collected. This is
    the first fixture, so all others and the event loop are gone by then. All that is alive costs 0.2 s to look at."""
    yield
    gc.collect(1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
