"""Writes docs/crash-matrix.md from the cases that are tested."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.matrix import table

if __name__ == "__main__":
    (Path(__file__).parents[2] / "docs" / "crash-matrix.md").write_text(table())
