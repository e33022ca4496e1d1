"""A real, headless Chromium."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, async_playwright

REFRESHED = """() => new Promise((done) => {
  document.addEventListener("htmx:after:swap", ({ detail }) => detail.ctx?.target?.id === "card" && done());
  approvals.refresh();
})"""
"""Has the card asked for again, and waits until it was swapped in."""

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Skips the test where there is none; fails it where none may be missing."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        if os.environ.get("APPROVALS_TEST_REQUIRE_ALL"):
            pytest.fail("chromium is missing")
        pytest.skip("no chromium here: apt-get install chromium")
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=found, args=QUIET)
        yield running
        await running.close()
