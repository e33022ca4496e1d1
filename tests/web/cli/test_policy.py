"""`approvals policy`: what it prints, and its exit status."""

import json

import pytest
from typer.testing import CliRunner

from approvals.errors import Invalid
from approvals_web.cli.commands import app
from support.serving import SECRET

POLICY = """\
version: 1
rules:
  - id: reads
    match: {annotations: {read_only: true}}
    action: allow
  - id: small
    match: {server: shop, tool: refund}
    when: args.amount <= 50
    action: allow
  - id: big
    match: {server: shop}
    action: require_approval
    reviewers: {people: [ann, bob], quorum: 2}
    risk: critical
"""
EXAMPLES = """\
examples:
  - name: small ones run
    call: {server: shop, tool: refund, args: {amount: 5}, agent: scout}
    expect: {action: allow, rule: small}
  - name: big ones wait for two
    call: {server: shop, tool: refund, args: {amount: 51}}
    expect: {action: require_approval, rule: big, risk: critical, quorum: 2}
  - name: a secret is not looked at
    call: {server: shop, tool: refund, args: {amount: $redacted}, now: "2026-11-23T18:00:00+01:00"}
    expect: {action: require_approval, reason: is redacted}
"""
TOOLS = {
    "shop": [{"name": "refund", "input_schema": {"type": "object", "properties": {"amount": {"type": "integer"}}}}]
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a policy, its examples and its tools, and no database."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "policy.test.yaml").write_text(EXAMPLES)
    (tmp_path / "tools.json").write_text(json.dumps(TOOLS))
    return tmp_path


def run(*words):
    done = CliRunner().invoke(app, ["policy", *words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_lint_says_that_nothing_is_wrong_and_makes_no_database(here):
    done = run("lint", "policy.yaml")
    assert (done.exit_code, done.stdout) == (
        0, "policy.yaml: 3 rules, checked against 0 known tools. Nothing is wrong.\n",
    )  # fmt: skip
    assert sorted(path.name for path in here.iterdir()) == ["policy.test.yaml", "policy.yaml", "tools.json"]


def test_lint_shows_every_problem_and_fails(here):
    (here / "policy.yaml").write_text(POLICY.replace("args.amount", "args.amonut").replace("risk:", "rsik:"))
    done = run("lint", "policy.yaml", "--tools", "tools.json")
    assert done.exit_code == 1
    assert "policy.yaml:8:16: In this condition: args has no 'amonut'." in done.stdout
    assert "^ Did you mean amount?" in done.stdout
    assert "policy.yaml:14:5: Unknown key 'rsik'." in done.stdout
    found = json.loads(run("lint", "policy.yaml", "--tools", "tools.json", "--json").stdout)
    assert (found["ok"], [problem["line"] for problem in found["problems"]]) == (False, [8, 14])


def test_lint_without_a_file_looks_at_the_policy_that_is_set(here, monkeypatch):
    assert "default policy: 1 rule," in run("lint").stdout
    monkeypatch.setenv("APPROVALS_POLICY", "policy.yaml")
    assert "policy.yaml: 3 rules" in run("lint").stdout


def test_lint_knows_the_tools_of_the_database(scenario, here, monkeypatch):
    monkeypatch.setenv("APPROVALS_SECRET_KEY", SECRET)
    (here / "policy.yaml").write_text(
        "version: 1\nrules: [{id: a, match: {tool: refund_order}, when: args.amonut > 5, action: allow}]\n"
    )
    scenario.file()
    done = run("lint", "policy.yaml", "--database-url", scenario.url)
    assert (done.exit_code, "args has no 'amonut'." in done.stdout) == (1, True)


def test_explain_walks_through_the_rules(here):
    words = ("--policy", "policy.yaml", "--server", "shop", "--tool", "refund", "--tools", "tools.json")
    done = run("explain", *words, "--args", '{"amount": 51}', "--agent", "scout")
    assert (done.exit_code, done.stdout) == (
        0,
        "policy.yaml:3: reads: not matched: read_only is false.\n"
        "policy.yaml:6: small: not matched: it is false.\n"
        "policy.yaml:10: big: matched: nothing more is asked.\n"
        "→ require_approval by rule big, risk critical\n"
        "  2 of: ann, bob; expires after 3600 s\n",
    )
    done = run("explain", *words, "--args", '{"amount": "51"}', "--json")
    answer = json.loads(done.stdout)
    assert answer["steps"][1]["outcome"] == "could not be evaluated"
    assert answer["judgement"]["action"] == "require_approval"
    assert run("explain", *words, "--read-only").stdout.splitlines()[-1] == "→ allow by rule reads, risk low"
    assert "reads" not in run("explain", *words, "--read-only", "--untrusted").stdout.splitlines()[-2]


def test_explain_takes_only_json(here):
    done = run("explain", "--server", "shop", "--tool", "refund", "--args", "{amount: 5}")
    assert done.exit_code == 2
    assert "is not JSON" in done.output


def test_examples_that_come_out_as_expected(here):
    done = run("test", "policy.yaml", "--tools", "tools.json")
    assert (done.exit_code, done.stdout) == (0, "3 examples, 0 judged otherwise than expected.\n")


def test_examples_that_come_out_otherwise_are_shown_with_the_difference(here):
    (here / "policy.yaml").write_text(POLICY.replace("<= 50", "<= 500").replace("quorum: 2", "quorum: 1"))
    done = run("test", "policy.yaml")
    assert (done.exit_code, done.stdout) == (
        1,
        "policy.test.yaml:5: big ones wait for two\n"
        "    action: expected require_approval, got allow\n"
        "    rule: expected big, got small\n"
        "    risk: expected critical, got low\n"
        "    quorum: expected 2, got 1\n"
        "3 examples, 1 judged otherwise than expected.\n",
    )
    assert [bool(result["differences"]) for result in json.loads(run("test", "policy.yaml", "--json").stdout)] == [
        False, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("expect: {action: allow, rule: small}", "expect: {}", "policy.test.yaml:4:13: Nothing is expected here."),
        ("rule: small", "rul: small", "Unknown key 'rul'."),
        ("agent: scout", "agnet: scout", "Did you mean agent?"),
        ("2026-11-23T18:00:00+01:00", "2026-11-23T18:00:00", "has no time zone"),
        ("2026-11-23T18:00:00+01:00", "noon", "This is no call"),
        ("examples:", "exampels:", "Did you mean examples?"),
    ],
)
def test_examples_that_cannot_be_read_fail(here, before, after, said):
    (here / "policy.test.yaml").write_text(EXAMPLES.replace(before, after))
    done = run("test", "policy.yaml")
    assert done.exit_code == 1
    assert said in done.stdout


def test_no_examples_are_no_success(here):
    (here / "policy.test.yaml").write_text("examples: []\n")
    assert run("test", "policy.yaml").exit_code == 1


@pytest.mark.parametrize("words", [["lint", "gone.yaml"], ["test", "policy.yaml", "--examples", "gone.yaml"]])
def test_a_file_that_is_not_there_is_a_clear_error(here, words):
    with pytest.raises(Invalid, match="cannot be read: No such file"):
        run(*words)


def test_tools_that_are_no_tools_are_a_clear_error(here):
    for text in ('{"shop": [{"nam": "x"}]}', '{"shop": 5}', "5"):
        (here / "tools.json").write_text(text)
        with pytest.raises(Invalid, match="is not a list of tools"):
            run("lint", "policy.yaml", "--tools", "tools.json")


def test_the_schema_is_printed(here):
    assert json.loads(run("schema").stdout)["title"] == "Approval policy"


def test_explain_takes_the_facts_of_a_preview(here):
    rule = "{id: many, when: facts.rows > 100, action: deny, reason: too many}"
    (here / "facts.yaml").write_text(f"version: 1\nrules: [{rule}]\n")
    call = ("explain", "--policy", "facts.yaml", "--server", "shop", "--tool", "refund", "--facts")
    assert "deny by rule many" in run(*call, '{"rows": 101}').stdout
    assert "require_approval by rule default" in run(*call, '{"rows": 1}').stdout
    assert run(*call, '{"rows": [1]}').exit_code == 2
