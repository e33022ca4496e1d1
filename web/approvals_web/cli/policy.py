"""`approvals policy`: check a policy file, explain what it says of a call, test it against examples, print its schema.

Exit status 0: all is well; 1: the policy is refused, or an example is judged otherwise; 2: wrong use.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from approvals.errors import Invalid
from approvals.instant import wall
from approvals.policy import examples as policy_examples
from approvals.policy.document import json_schema
from approvals.policy.engine import RulePolicy
from approvals.policy.loader import PolicyRefused, read
from approvals.policy.model import (
    CallFacts,
    DefaultPolicy,
    Judgement,
    ToolFacts,
)
from approvals.protocol.canonical import JsonObject, encode
from approvals.protocol.previews import facts_given
from approvals.protocol.registration import Annotations, ToolDefinition
from approvals.secret_reference import resolve
from approvals.service.storage.url import path_of
from approvals_web.cli import policy_replay
from approvals_web.cli.options import AsJson, DatabaseUrl, counted, record, settings, text
from approvals_web.settings import Settings

app = typer.Typer()
app.command("replay")(policy_replay.replay)

File = Annotated[Path | None, typer.Argument(help="Instead of APPROVALS_POLICY.")]
FileOption = Annotated[Path | None, typer.Option("--policy", help="Instead of APPROVALS_POLICY.")]
ToolsFile = Annotated[
    Path | None,
    typer.Option("--tools", help="JSON, server by server a list of its tools, instead of those in the database."),
]


@app.command()
def lint(file: File = None, tools: ToolsFile = None, as_json: AsJson = False, database_url: DatabaseUrl = None) -> None:
    """Find everything that is wrong with a policy file; conditions are checked against the known tools."""
    path, text = _text(file)
    known = _tools(tools, database_url)
    try:
        policy = read(text, known)
    except PolicyRefused as refused:
        if as_json:
            print(json.dumps({"ok": False, "problems": [asdict(found) for found in refused.problems]}, indent=2))
        else:
            print(refused.report(path))
        raise typer.Exit(1) from refused
    if as_json:
        print(json.dumps({"ok": True, "problems": [], "rules": len(policy.rules), "tools": len(known)}, indent=2))
    else:
        counts = f"{counted(len(policy.rules), 'rule')}, checked against {counted(len(known), 'known tool')}"
        print(f"{path}: {counts}. Nothing is wrong.")


@app.command()
def explain(
    server: Annotated[str, typer.Option(parser=text, help="The MCP server's name.")],
    tool: Annotated[str, typer.Option(parser=text, help="The tool's name.")],
    args: Annotated[str, typer.Option(parser=text, help="The arguments, as JSON.")] = "{}",
    effect: Annotated[
        str, typer.Option("--facts", parser=text, help="The facts of its preview, as a JSON object.")
    ] = "{}",
    agent: Annotated[
        str | None, typer.Option(parser=text, help="The agent's name; without it, an unidentified caller.")
    ] = None,
    agent_group: Annotated[
        list[str] | None, typer.Option(parser=text, help="A group the agent is in; may be repeated.")
    ] = None,
    environment: Annotated[str | None, typer.Option(parser=text, help="The installation's.")] = None,
    assurance: Annotated[str | None, typer.Option(parser=text, help="enforced or cooperative.")] = None,
    untrusted: Annotated[bool, typer.Option("--untrusted", help="The server's annotations are not believed.")] = False,
    read_only: Annotated[bool, typer.Option("--read-only", help="An unknown tool says that it only reads.")] = False,
    file: FileOption = None,
    tools: ToolsFile = None,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """What the policy says of one call, rule by rule."""
    path, text = _text(file)
    policy = _read(path, text)
    facts = policy_examples.facts(
        server,
        tool,
        _tools(tools, database_url),
        environment=environment,
        assurance=assurance,
        trusted=False if untrusted else None,
        annotations=Annotations(read_only=True, destructive=False) if read_only else None,
    )
    groups, found = tuple(agent_group or ()), _facts(effect)
    call = CallFacts(facts, encode(_json(args, "--args")), agent, 0, wall(), groups, found)
    explained = policy.explain(call)
    if as_json:
        steps = [asdict(step) for step in explained.steps]
        print(json.dumps({"steps": steps, "judgement": asdict(explained.judgement)}, indent=2))
        return
    if not facts.input_schema:
        print(f"{server}.{tool} is not a known tool: its arguments are taken as they are.", file=sys.stderr)
    for step in explained.steps:
        print(f"{path}:{step.line}: {step.rule}: {step.outcome.value}: {step.why}.")
    print("\n".join(_words(explained.judgement)))


@app.command()
def test(
    file: File = None,
    examples: Annotated[Path | None, typer.Option(help="Instead of NAME.test.yaml beside the policy.")] = None,
    tools: ToolsFile = None,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Judge the example calls kept beside a policy, and say which come out otherwise than expected."""
    path, text = _text(file)
    known = _tools(tools, database_url)
    beside = examples or Path(path).with_suffix(f".test{Path(path).suffix}")
    policy = _read(path, text, known)
    try:
        placed = policy_examples.read_examples(_read_file(beside))
    except PolicyRefused as refused:
        print(refused.report(str(beside)))
        raise typer.Exit(1) from refused
    results = policy_examples.run(policy, placed, known, wall())
    failed = [result for result in results if result.differences]
    if as_json:
        print(json.dumps([asdict(result) for result in results], indent=2))
    else:
        for result in failed:
            print(f"{beside}:{result.line}: {result.name}")
            print("".join(f"    {difference}\n" for difference in result.differences), end="")
        print(f"{counted(len(results), 'example')}, {len(failed)} judged otherwise than expected.")
    if failed or not results:
        raise typer.Exit(1)


@app.command()
def schema() -> None:
    """The JSON Schema of a policy file, for editors."""
    print(json.dumps(json_schema(), indent=2))


def _words(judgement: Judgement) -> list[str]:
    """The judgement for people."""
    reviewers = judgement.reviewers
    lines = [f"→ {judgement.action.value} by rule {judgement.rule}, risk {judgement.risk}"]
    if judgement.reason:
        lines.append(f"  {judgement.reason}")
    if judgement.action.value == "require_approval":
        who = ", ".join((*reviewers.people, *(f"group {name}" for name in reviewers.groups))) or "any reviewer"
        lines.append(f"  {reviewers.quorum} of: {who}; expires after {judgement.ttl} s")
    return lines


def _text(file: Path | None) -> tuple[str, str]:
    """The policy file's name and text; without one, the default policy's."""
    path = file or (Path(chosen) if (chosen := settings(None).policy) else None)
    if path is None:
        return "default policy", DefaultPolicy.text
    return str(path), _read_file(path)


def _read_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise Invalid(f"{path} cannot be read: {reason}.", hint="Look at the path.") from error


def _read(path: str, text: str, tools: Sequence[ToolFacts] = ()) -> RulePolicy:
    try:
        return read(text, tools)
    except PolicyRefused as refused:
        print(refused.report(path))
        raise typer.Exit(1) from refused


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"{what} is not JSON: {error}") from error


def _facts(text: str) -> JsonObject:
    try:
        return facts_given(_json(text, "--facts"))
    except ValueError as error:
        raise typer.BadParameter(f"--facts: {error}.") from error


def _tools(path: Path | None, database_url: str | None) -> list[ToolFacts]:
    """Known tools: of a file, else of the database if there is one."""
    if path is None:
        return _stored_tools(settings(database_url))
    found = _json(_read_file(path), str(path))
    try:
        definitions = [(server, ToolDefinition.model_validate(tool)) for server in found for tool in found[server]]
    except (ValueError, TypeError) as error:
        hint = "Write {server: [{name, input_schema, annotations}]}."
        raise Invalid(f"{path} is not a list of tools: {error}", hint=hint) from error
    return [
        ToolFacts(server, tool.name, tool.annotations, True, input_schema=tool.input_schema, secret=tool.secret)
        for server, tool in definitions
    ]


def _stored_tools(chosen: Settings) -> list[ToolFacts]:
    url = resolve(chosen.database_url)
    if url.startswith("sqlite:") and not path_of(url).exists():
        print(f"There is no database {path_of(url).absolute()}: no tools are known.", file=sys.stderr)
        return []
    service = record(chosen)
    try:
        return service.database.read_now(service.registry.known_tools)
    finally:
        service.database.stop()
