"""docs/architecture.md names every package, and nothing that is gone."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
TREES = ("approvals", "server/approvals_server", "web/approvals_web")


def test_the_map_has_a_row_for_each_package_and_no_other():
    packages = {
        ".".join((Path(tree).name, *folder.parent.relative_to(ROOT / tree).parts))
        for tree in TREES
        for folder in (ROOT / tree).rglob("__init__.py")
    }
    rows = re.findall(r"^\| `(approvals[\w.]*)` \|", PAGE, re.MULTILINE)
    assert sorted(rows) == sorted(packages)


def test_each_module_that_the_map_names_exists():
    paths = [path.relative_to(ROOT).as_posix() for tree in TREES for path in (ROOT / tree).rglob("*")]
    named = set(re.findall(r"`([\w/]+\.py)`", PAGE))
    assert len(named) > 30
    gone = {name for name in named if not (ROOT / name).exists() and not any(p.endswith(f"/{name}") for p in paths)}
    assert not gone
