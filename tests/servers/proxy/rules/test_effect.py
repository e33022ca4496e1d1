"""What a rule makes of a call's arguments and of what was read."""

import pytest
from pydantic import ValidationError

from approvals.protocol.previews import differs
from approvals_server.proxy.rules.effect import MOST, Answer, NoEffect, arguments_of_read, effect
from approvals_server.proxy.rules.recipes import all_recipes, name_for, recipe
from approvals_server.proxy.rules.rule import PreviewRule

WRITE = recipe("filesystem").of("write_file").preview
SQL = recipe("sqlite").of("write_query").preview
ASKED = {"path": "/srv/a.txt", "content": "one\nthree\n"}
PEPPER = b"pepper"


def said(text, **more):
    return Answer.of({"content": [{"type": "text", "text": text}], **more})


def test_a_write_shows_what_was_there_and_what_will_be():
    preview = effect(WRITE, ASKED, said("one\ntwo\n"), PEPPER)
    assert preview.effect == "Replaces /srv/a.txt"
    assert (preview.before.text, preview.after.text) == ("one\ntwo\n", "one\nthree\n")


def test_what_is_not_there_yet_is_created():
    preview = effect(WRITE, ASKED, said("ENOENT: no such file or directory", isError=True), PEPPER)
    assert preview.effect == "Creates /srv/a.txt"
    assert preview.before.text == ""


def test_an_error_that_says_nothing_of_the_effect_is_no_preview():
    with pytest.raises(NoEffect, match="access denied"):
        effect(WRITE, ASKED, said("access denied", isError=True), PEPPER)


def test_a_long_text_shows_the_lines_around_what_differs():
    lines = [f"line {i}" for i in range(2000)]
    changed = [*lines[:1000], "another", *lines[1001:]]
    asked = {**ASKED, "content": "\n".join(changed)}
    preview = effect(WRITE, asked, said("\n".join(lines)), PEPPER)
    assert "another" in preview.after.text
    assert preview.before.text.startswith("[997 equal lines above]\nline 997\n")
    assert len(preview.before.text) < 200


@pytest.mark.parametrize(
    "path", ["/ENOENT", "/srv/enoent.txt", "/EN%4fENT", "/EN%254fENT", "/E\N{ZERO WIDTH SPACE}NOENT", "/\uff25NOENT"]
)
def test_p2_an_agent_cannot_word_the_error_that_says_that_nothing_is_there(path):
    with pytest.raises(NoEffect, match="the call itself has the words"):
        effect(WRITE, {**ASKED, "path": path}, said("EACCES: permission denied, ENOENT", isError=True), PEPPER)


def test_a_text_that_is_not_read_with_may_say_anything():
    asked = {**ASKED, "content": "ENOENT"}
    assert effect(WRITE, asked, said("ENOENT: no such file", isError=True), PEPPER).effect.startswith("Creates")


def test_p8_nobody_without_the_pepper_can_guess_what_an_effect_is_based_on():
    one, other = (effect(WRITE, ASKED, said("one"), pepper).basis for pepper in (PEPPER, b"another"))
    assert one != other


def test_p2_a_change_that_is_not_shown_is_another_effect():
    asked = {**ASKED, "content": "x" * 20_000}
    one, other = (effect(WRITE, asked, said("y" * 20_000 + end), PEPPER) for end in "ab")
    assert one.before == other.before
    assert len(one.before.text) < MOST + 100
    assert differs(one, other)


@pytest.mark.parametrize(
    "query", ["DELETE FROM notes WHERE id = 1", "update notes set a = 1", "INSERT OR REPLACE INTO notes VALUES (1)"]
)
def test_a_word_of_an_argument_stands_in_the_read(query):
    assert '"notes" LIMIT' in arguments_of_read(SQL, {"query": query})["query"]


@pytest.mark.parametrize("query", ['DELETE FROM "a"" b"', "VACUUM", "", "DELETE FROM ; DROP TABLE a"])
def test_p1_nothing_but_a_word_gets_into_a_statement(query):
    try:
        read = arguments_of_read(SQL, {"query": query})["query"]
    except NoEffect:
        return
    assert read.count('"') == 4
    assert ";" not in read


def test_an_argument_keeps_its_kind_and_is_left_out_where_it_is():
    rule = PreviewRule.model_validate(
        {"effect": "x", "read": {"tool": "r", "arguments": {"n": "{n}", "all": "{items[].id}", "no": "{none}", "c": 1}}}
    )
    asked = {"n": 5, "items": [{"id": 1}, {"id": 2}]}
    assert arguments_of_read(rule, asked) == {"n": 5, "all": [1, 2], "c": 1}


def test_an_argument_among_other_words_is_refused():
    rule = PreviewRule.model_validate({"effect": "x", "read": {"tool": "r", "arguments": {"q": "say {name}"}}})
    with pytest.raises(NoEffect, match="within other words"):
        arguments_of_read(rule, {"name": "x"})


def test_a_refund_says_the_money_as_facts():
    rule = recipe("stripe").of("create_refund").preview
    answer = said('{"id": "pi_1", "amount_received": 12000, "currency": "usd", "livemode": true}')
    preview = effect(rule, {"payment_intent": "pi_1", "amount": 4000}, answer, PEPPER)
    assert [(fact.name, fact.value, fact.currency) for fact in preview.facts] == [
        ("refund", 4000, "USD"),
        ("paid", 12000, "USD"),
    ]
    assert "livemode" not in preview.before.text


def test_a_file_of_githubs_is_its_content_without_the_words_about_it():
    rule = recipe("github").of("create_or_update_file").preview
    content = [
        {"type": "text", "text": "successfully downloaded text file (SHA: 1)"},
        {"type": "resource", "resource": {"uri": "repo://a", "text": "old"}},
    ]
    asked = {"owner": "o", "repo": "r", "path": "a", "branch": "main", "message": "m", "content": "new"}
    preview = effect(rule, asked, Answer.of({"content": content}), PEPPER)
    assert preview.before.text == "old"
    assert preview.effect == "Replaces a on main of o/r: m"


def test_a_rule_without_a_read_has_no_answer():
    with pytest.raises(ValidationError, match="without a read"):
        PreviewRule.model_validate({"effect": "{answer.title}"})


def test_every_recipe_is_read():
    assert set(all_recipes()) == {"filesystem", "git", "github", "memory", "sqlite", "stripe"}
    assert all(known.tools for known in all_recipes().values())


def test_no_recipe_says_what_would_refuse_a_tool_that_has_changed():
    """A summary or a secret that names no argument does."""
    ruled = [rule for known in all_recipes().values() for rule in known.tools.values()]
    assert not [rule for rule in ruled if rule.summary is not None or rule.secret]


@pytest.mark.parametrize(
    ("upstream", "name"),
    [
        (["npx", "-y", "@modelcontextprotocol/server-filesystem@2026.8.31", "/srv"], "filesystem"),
        (["node", "/x/node_modules/@modelcontextprotocol/server-memory/dist/index.js"], "memory"),
        (["uvx", "mcp-server-git==2026.1.1", "-r", "."], "git"),
        (["python", "-m", "mcp_server_git"], "git"),
        (["/usr/local/bin/mcp-server-sqlite"], "sqlite"),
        (["https://api.githubcopilot.com/mcp/"], "github"),
        (["npx", "-y", "@stripe/mcp"], "stripe"),
        (["npx", "-y", "@modelcontextprotocol/server-filesystem-other"], "none"),
        (["https://mcp.example.com/mcp"], "none"),
    ],
)
def test_a_recipe_is_found_by_the_upstreams_command(upstream, name):
    assert name_for(upstream) == name
