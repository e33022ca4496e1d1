"""Conditions of rules: compiled, checked against a tool's arguments, and evaluated by Google's CEL.

A condition is evaluated over plain maps, so that a missing argument is an error and not an empty value. Whatever is
not true or false is an Unanswered, with why.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cel_expr_python import cel

from approvals.instant import Instant, to_datetime
from approvals.policy import cel_ast
from approvals.policy.cel_ast import Expression, Miss
from approvals.policy.schema_types import Path, Type

Program = Any
"""A compiled condition; the library has no types."""
Environment = Any
CelFacts = Any
"""The facts of one call as the library reads them."""


@dataclass(frozen=True)
class Issue:
    """Why a condition cannot be used; line and column in it, from 1."""

    line: int
    column: int
    message: str


class Faulty(Exception):
    """A condition that does not compile."""

    def __init__(self, issues: list[Issue]) -> None:
        super().__init__("; ".join(issue.message for issue in issues))
        self.issues = issues


class Unanswered(Exception):
    """Neither true nor false came of evaluating a condition."""


@dataclass(frozen=True)
class Condition:
    """A condition that compiles."""

    text: str
    program: Program
    tree: Expression
    touches: frozenset[Path]
    boolean: bool
    """Whether its result is known to be true or false without knowing the arguments' types."""


VARIABLES = ("args", "facts", "tool", "agent", "server", "now")
NO_BOOL = "A condition is true or false"
"""The beginning of an issue that is about the result."""

_MAPS = ("args", "facts", "tool", "agent", "server")
_ISSUE = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_OVERLOAD = re.compile(r"found no matching overload for '@?_?([^'_@]+(?:_[a-z]\w*)*)_?' applied to '(\(.*\))'")
_UNKNOWN = re.compile(r"undeclared reference to '([^']*)'.*")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_RESERVED = re.compile(
    "as|break|const|continue|else|false|for|function|if|import|in|let|loop|namespace|null|package|return|true|var|void|while"
)
_TYPES = {
    ("int", False): cel.Type.INT,
    ("string", False): cel.Type.STRING,
    ("bool", False): cel.Type.BOOL,
    ("int", True): cel.Type("google.protobuf.Int64Value"),
    ("string", True): cel.Type("google.protobuf.StringValue"),
    ("bool", True): cel.Type("google.protobuf.BoolValue"),
}
Declared = tuple[str, str, bool, tuple[str, bool]]
"""A place's dotted name, its kind, whether it may be null, and the same of a list's elements."""
_OPEN = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)


class Cel:
    """Google's CEL, over the variables of a policy."""

    def __init__(self) -> None:
        self._env = _environment({})

    def compile(self, text: str) -> Condition:
        """A condition over arguments of unknown types. Raises Faulty."""
        program = _compiled(self._env, text)
        kind = program.return_type()
        if kind not in (cel.Type.BOOL, cel.Type.DYN):
            raise Faulty([Issue(1, 1, f"{NO_BOOL}, and this is {kind.name().lower()}.")])
        tree = cel_ast.read(program.serialize())
        return Condition(text, program, tree, cel_ast.touched(tree), kind == cel.Type.BOOL)

    def check(self, condition: Condition, roots: Mapping[str, Type]) -> list[Issue]:
        """What is wrong with a condition if the variables are of these types. Fields that are not there are not looked
        at."""
        typed = _typed_environment(_declared(condition.touches, roots))
        try:
            kind = _compiled(typed, _without_has(condition.text)).return_type()
        except Faulty as faulty:
            return faulty.issues
        if kind != cel.Type.BOOL:
            named = "of a type that the tool does not declare" if kind == cel.Type.DYN else kind.name().lower()
            return [Issue(1, 1, f"{NO_BOOL}, and this is {named}.")]
        return []

    def bind(self, facts: Mapping[str, object], now: Instant) -> CelFacts:
        """One call's facts, for any number of conditions. Raises Unanswered."""
        try:
            return self._env.Activation(dict(facts) | {"now": to_datetime(now)})
        except Exception as error:
            raise Unanswered(f"the engine cannot read this call ({type(error).__name__})") from error

    def evaluate(self, condition: Condition, bound: CelFacts) -> bool:
        """Whether a condition holds for what `bind` made. Raises Unanswered."""
        try:
            value = condition.program.eval(bound)
            kind, result = value.type(), value.value()
        except Exception as error:
            raise Unanswered(_because(str(error))) from error
        if kind == cel.Type.BOOL and isinstance(result, bool):
            return result
        if kind == cel.Type.ERROR:
            raise Unanswered(_because(str(result)))
        raise Unanswered(f"the result is {kind.name().lower()}, not true or false")


def any_of(engine: Cel, conditions: Sequence[Condition]) -> Condition:
    """One condition that is false exactly if every one of these is. True or an error says nothing of each."""
    return engine.compile(" || ".join(f"({condition.text}\n)" for condition in conditions))


def misses(condition: Condition, roots: Mapping[str, Type]) -> list[tuple[Issue, Miss]]:
    """Fields that a condition names and that cannot be there."""
    found = []
    for miss in cel_ast.misses(condition.tree, roots):
        before = condition.text[: miss.position]
        column = miss.position - (before.rfind("\n") + 1) + 1
        message = f"{miss.owner} has no {miss.name!r}."
        found.append((Issue(before.count("\n") + 1, column, message), miss))
    return found


def _environment(more: Mapping[str, cel.Type]) -> Environment:
    variables = dict.fromkeys(_MAPS, _OPEN) | {"now": cel.Type.TIMESTAMP} | dict(more)
    return cel.NewEnv(variables=variables)


def _compiled(env: Environment, text: str) -> Program:
    try:
        return env.compile(text)
    except Exception as error:
        issues = [
            Issue(int(line), int(column), _words(message.replace("[INVALID_ARGUMENT]", "").strip()))
            for line, column, message in _ISSUE.findall(str(error))
        ]
        raise Faulty(issues[:10] or [Issue(1, 1, f"{_because(str(error)).capitalize()}.")]) from error


def _words(message: str) -> str:
    if found := _OVERLOAD.search(message):
        return f"`{found[1]}` does not go with {found[2].replace('google.protobuf.', '').lower()}."
    if found := _UNKNOWN.match(message):
        return f"There is no {found[1]!r} here."
    return re.sub(r" expecting \{.*\}", "", message.removeprefix("Syntax error: ")).rstrip(".").capitalize() + "."


def _because(message: str) -> str:
    """The engine's words on one line, without its codes and without values of the call."""
    if "Key not found" in message:
        found = re.search(r'map : "([^"]{1,100})"', message)
        return f"there is no {found[1]!r} in this call" if found else "something is missing in this call"
    if "budget" in message:
        return "it takes too many steps"
    if "No matching overload" in message:
        return "values of different types meet in it"
    if "recursion" in message:
        return "it is nested too deeply"
    if "divide" in message or "modulus" in message or "overflow" in message:
        return "its arithmetic fails"
    return "the engine gives an error"


def _declared(paths: Iterable[Path], roots: Mapping[str, Type]) -> tuple[Declared, ...]:
    """What the types tell of the places that a condition looks at, each under its dotted name."""
    return tuple(sorted({found for path in paths if path[0] in roots for found in _along(path, roots[path[0]])}))


def _along(path: Path, known: Type) -> Iterator[Declared]:
    name = path[0]
    for step in (*path[1:], ""):
        if (known.kind, known.nullable) in _TYPES:
            yield name, known.kind, known.nullable, ("", False)
        elif known.kind == "list" and not known.nullable and known.item is not None:
            yield name, "list", False, (known.item.kind, known.item.nullable)
        if step not in known.fields or not _IDENTIFIER.match(step) or _RESERVED.fullmatch(step):
            return
        name, known = f"{name}.{step}", known.fields[step]


@lru_cache(maxsize=256)
def _typed_environment(declared: tuple[Declared, ...]) -> Environment:
    """Typed variables with dotted names, which take precedence over fields of the open maps."""
    return _environment(
        {
            name: cel.Type.List(_TYPES.get(item, cel.Type.DYN)) if kind == "list" else _TYPES[kind, nullable]
            for name, kind, nullable, item in declared
        }
    )


_TOKEN = re.compile(
    r"""[rR]?(?:\"\"\"[\s\S]*?\"\"\"|'''[\s\S]*?'''|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|//[^\n]*|\bhas\s*\(|[()]|[\s\S]"""
)


def _without_has(text: str) -> str:
    """The same with `true` for every `has(…)`, which no typed variable can be asked; what follows keeps its place."""
    out: list[str] = []
    depth, began = 0, 0
    for token in _TOKEN.finditer(text):
        word = token[0]
        if depth:
            depth += word.endswith("(") - (word == ")")
            if depth == 0:
                inside = text[began : token.end()]
                out.append("true" + re.sub(r"[^\n]", " ", inside[4:]))
        elif word.startswith("has") and word.endswith("("):
            depth, began = 1, token.start()
        else:
            out.append(word)
    return "".join(out)
