"""Reading a configuration file: YAML, strictly."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from approvals.errors import Invalid
from approvals_server.proxy.configuration.document import Document

MOST = 1_000_000
"""Characters of a file."""


def read(path: Path) -> Document:
    """Raises Invalid, in words that say where."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read: {type(error).__name__}.") from error
    return parsed(text, str(path))


def parsed(text: str, name: str) -> Document:
    """Raises Invalid."""
    if len(text) > MOST:
        raise Invalid(f"{name} has {len(text):,} characters; {MOST:,} is the most.")
    try:
        return Document.model_validate(yaml.load(text, _Strict))  # noqa: S506 — a SafeLoader, and stricter
    except yaml.MarkedYAMLError as error:
        where = f", line {error.problem_mark.line + 1}" if error.problem_mark is not None else ""
        raise Invalid(f"{name}{where}: {error.problem}.") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise Invalid(f"{name} is no YAML: {type(error).__name__}.") from error
    except ValidationError as error:
        raise Invalid(f"{name}: {_words(error)}") from error
    except (ValueError, TypeError) as error:
        raise Invalid(f"{name} cannot be read: {type(error).__name__}.") from error


class _Strict(yaml.SafeLoader):  # type: ignore[misc]
    """No name twice, and no aliases, which can make much of little."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem="aliases (*name) are not taken", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        except (ValueError, TypeError, LookupError, AttributeError) as error:  # 2026-13-45, 0x_, !!map x
            said = f"this is no {node.tag.rpartition(':')[2]}"
            raise yaml.MarkedYAMLError(problem=said, problem_mark=node.start_mark) from error

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        if not isinstance(node, yaml.MappingNode):
            raise yaml.MarkedYAMLError(problem="this is no map", problem_mark=node.start_mark)
        names: set[Any] = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if not isinstance(name, str) or name in names:
                said = f"{name!r:.100} stands there twice" if isinstance(name, str) else f"{name!r:.100} is no name"
                raise yaml.MarkedYAMLError(problem=said, problem_mark=key.start_mark)
            names.add(name)
        made: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return made


def _words(error: ValidationError) -> str:
    """Values are not shown: they may be secrets."""
    found = error.errors(include_input=False, include_url=False, include_context=False)[:5]
    said = (f"{'.'.join(map(str, problem['loc'])) or 'the file'}: {problem['msg']}" for problem in found)
    return "; ".join(said) + "."
