"""Which tests run on which database: most on both, PostgreSQL as a slow one. A module says more by a marker:

- `databases("both")`: on PostgreSQL in `make test`, too.
- `databases("one")`: what a gate, its clients and browsers do; they cannot see which database the service has.
- `databases("every case")`: what is sent reaches for the edges of the databases: NUL, wide numbers.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[1] / "web"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "databases(which): on which of them the tests of this module run")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    on_postgres = [item for item in items if _database(item) == "postgres"]
    for item in on_postgres:
        if _wanted(item) != "both":
            item.add_marker(pytest.mark.slow)
    left_out = {item for item in on_postgres if _wanted(item) == "one"} | set(_more_of_a_page(on_postgres))
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


def _more_of_a_page(items: list[pytest.Item]) -> Iterator[pytest.Item]:
    """All cases but the first of a page's or a route's test: the statements are the same, whatever is sent to it."""
    seen = set()
    for item in items:
        test = item.path, getattr(item, "originalname", item.name)
        if test in seen and item.path.is_relative_to(PAGES) and not _wanted(item):
            yield item
        seen.add(test)


def _wanted(item: pytest.Item) -> str:
    marker = item.get_closest_marker("databases")
    return "" if marker is None else str(marker.args[0])


def _database(item: pytest.Item) -> str | None:
    of = getattr(item, "callspec", None)
    return None if of is None else of.params.get("database_url")
