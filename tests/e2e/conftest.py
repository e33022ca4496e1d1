"""The whole product: real processes in a folder of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.processes import Installed


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Installed]:
    product = Installed(tmp_path)
    yield product
    product.close()
